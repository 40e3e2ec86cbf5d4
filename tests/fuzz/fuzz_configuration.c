/* The configuration file: whole or not at all, and every value in its range. */
#include "fault_check.h"

#include <sys/mman.h>
#include <unistd.h>

#include "io/config_internal.h"

static const char *endpoint_fault(const char *endpoint)
{
    return strncmp(endpoint, "https://", 8) == 0 ? NULL : "it must start with https://";
}

static void write_whole(int fd, const uint8_t *data, size_t size)
{
    FUZZ_CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size, "the file in memory");
}

static int64_t value_of(const struct config *c, const struct key *k)
{
    const char *at = (const char *)c + k->offset;
    int small;
    int64_t large;
    switch (k->kind) {
    case KEY_INT:
    case KEY_PERCENT:
        memcpy(&small, at, sizeof small);
        return small;
    case KEY_COUNT:
    case KEY_DURATION:
    case KEY_SIZE:
        memcpy(&large, at, sizeof large);
        return large;
    case KEY_TEXT:
    case KEY_BOOL:
    case KEY_NUMBER:
    case KEY_CHOICE:
        break;
    }
    return k->min;
}

static void check_config(const struct config *c)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        const struct key *k = &config_keys[i];
        int64_t value = value_of(c, k);
        FUZZ_CHECK(value >= k->min && value <= k->max, "%s is %lld", k->name, (long long)value);
    }
    FUZZ_CHECK(c->rate_max_per_second >= 0 && c->rate_max_per_second < 1e12, "%f", c->rate_max_per_second);
    FUZZ_CHECK(c->spool[0] == '/' && c->state_dir[0] == '/', "a relative path");
    FUZZ_CHECK(endpoint_fault(c->endpoint) == NULL, "%s", c->endpoint);
    FUZZ_CHECK(c->retry_cap_ms >= c->retry_base_ms, "retry.cap");
    FUZZ_CHECK((c->rate_limit > 0) == (c->rate_window_ms > 0), "half a hint");
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct config_overrides o = {.spool = "/", .max_jobs = -1, .endpoint_fault = endpoint_fault};
    struct config c, untouched;
    struct fault f;
    if (fd < 0) {
        unsetenv("FLOWSPOOL_ENDPOINT");
        fd = memfd_create("configuration", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    write_whole(fd, data, size);
    memset(&c, 0x5a, sizeof c);
    memset(&untouched, 0x5a, sizeof untouched);
    if (!config_load(path, &o, &c, &f)) {
        check_fault(&f, data, size);
        FUZZ_CHECK(memcmp(&c, &untouched, sizeof c) == 0, "a part of it was taken over");
        return;
    }
    check_config(&c);
    config_free(&c);
}
