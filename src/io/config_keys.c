/* The table of keys, and how one value becomes a field. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/jobfile.h"
#include "core/similar.h"
#include "core/units.h"
#include "io/config_internal.h"

#define HOUR_MS (3600LL * 1000)
#define DAY_MS  (24 * HOUR_MS)
#define KIB     1024LL
#define MIB     (1024 * KIB)

#define AT(field) offsetof(struct config, field)

/* Alphabetical; drives parsing, range checks, messages and the description. */
const struct key config_keys[] = {
    {"api_key_file", KEY_TEXT, AT(api_key_file), "", 0, 0, "",
     "file with the key; one trailing newline is dropped"},
    {"ca_file", KEY_TEXT, AT(ca_file), "", 0, 0, "", "extra trust anchor (PEM)"},
    {"confine", KEY_CHOICE, AT(confine), "auto", 0, 0, "auto or off",
     "give up at the start what is not needed (Landlock, seccomp)"},
    {"connect_timeout", KEY_DURATION, AT(connect_timeout_ms), "10s", 100, HOUR_MS, "100ms to 1h",
     "longest for name lookup, connect and TLS"},
    {"endpoint", KEY_TEXT, AT(endpoint), "", 0, 0, "", "the service, such as https://host"},
    {"forget_after", KEY_DURATION, AT(forget_after_ms), "10m", 0, 365 * DAY_MS, "0 to 8760h",
     "how long a removed job file is remembered"},
    {"inputs_as", KEY_CHOICE, AT(inputs_as), "text", 0, 0, "text or typed", "how scalars of inputs are sent"},
    {"log_file", KEY_TEXT, AT(log_file), "", 0, 0, "",
     "log there instead of on stderr; SIGHUP opens it anew"},
    {"max_concurrency", KEY_INT, AT(max_concurrency), "256", 1, 100000, "1 to 100000",
     "most requests in flight"},
    {"max_job_size", KEY_SIZE, AT(max_job_size), "1MiB", 1 * KIB, JOB_FILE_MAX, "1KiB to 64MiB",
     "largest job file"},
    {"max_jobs", KEY_COUNT, AT(max_jobs), "0", 0, INT64_MAX, "0 or more",
     "most runs this start may buy; 0: no limit"},
    {"max_response_memory", KEY_SIZE, AT(max_response_memory), "256MiB", 64 * KIB, 65536 * MIB,
     "64KiB to 64GiB", "all replies in flight; beyond it they go to state_dir"},
    {"max_response_size", KEY_SIZE, AT(max_response_size), "64MiB", 1 * KIB, 512 * MIB, "1KiB to 512MiB",
     "largest reply"},
    {"once_patience", KEY_DURATION, AT(once_patience_ms), "15m", 0, 365 * DAY_MS, "0 to 8760h",
     "with --once: longest for an endpoint that is out of reach"},
    {"probe", KEY_DURATION, AT(probe_ms), "60s", 100, HOUR_MS, "100ms to 1h",
     "how often one job probes during a hold"},
    {"proxy", KEY_TEXT, AT(proxy), "", 0, 0, "", "proxy to use; the environment's is never used"},
    {"rate.leave", KEY_PERCENT, AT(rate_leave_percent), "0%", 0, 95, "0% to 95%",
     "share of the limit left for other users of the account"},
    {"rate.limit", KEY_COUNT, AT(rate_limit), "0", 0, 1000000000, "0 to 1000000000",
     "hint: requests per window"},
    {"rate.max_per_second", KEY_NUMBER, AT(rate_max_per_second), "0", 0, 1000000, "0 to 1000000",
     "most requests a second; 0: what the server allows"},
    {"rate.window", KEY_DURATION, AT(rate_window_ms), "0s", 0, 31 * DAY_MS, "0 to 744h",
     "hint: length of the window"},
    {"recursive", KEY_BOOL, AT(recursive), "false", 0, 0, "true or false",
     "watch directories below the spool"},
    {"request_timeout", KEY_DURATION, AT(request_timeout_ms), "330s", 100, DAY_MS, "100ms to 24h",
     "longest for one request"},
    {"rescan", KEY_DURATION, AT(rescan_ms), "60s", 100, DAY_MS, "100ms to 24h",
     "how often the spool is listed anew"},
    {"retry.base", KEY_DURATION, AT(retry_base_ms), "1s", 1, HOUR_MS, "1ms to 1h", "first backoff, doubles"},
    {"retry.cap", KEY_DURATION, AT(retry_cap_ms), "60s", 1, DAY_MS, "1ms to 24h", "longest backoff"},
    {"retry.give_up_after", KEY_DURATION, AT(retry_give_up_after_ms), "0s", 0, 365 * DAY_MS, "0 to 8760h",
     "endpoint and workflow holds: longest before their jobs fail; 0: never"},
    {"retry.max_ambiguous", KEY_INT, AT(retry_max_ambiguous), "1", 0, 100, "0 to 100",
     "repeats after ambiguity, per job"},
    {"retry.max_attempts", KEY_INT, AT(retry_max_attempts), "5", 1, 1000, "1 to 1000", "attempts per job"},
    {"retry.on_ambiguous", KEY_CHOICE, AT(retry_on_ambiguous), "retry", 0, 0, "retry or hold",
     "what happens to a job that may have been charged without an answer"},
    {"settle", KEY_DURATION, AT(settle_ms), "1s", 0, HOUR_MS, "0 to 1h",
     "how long a written file must be unchanged"},
    {"shutdown_grace", KEY_DURATION, AT(shutdown_grace_ms), "330s", 0, DAY_MS, "0 to 24h",
     "how long requests in flight may finish after SIGTERM"},
    {"spool", KEY_TEXT, AT(spool), "", 0, 0, "", "directory to watch (required)"},
    {"state_dir", KEY_TEXT, AT(state_dir), "", 0, 0, "", "state, lock, socket; default SPOOL/.flowspool"},
    {"state_group", KEY_TEXT, AT(state_group), "", 0, 0, "", "group whose members may use flowspool(1)"},
    {"status_file", KEY_BOOL, AT(status_file), "false", 0, 0, "true or false",
     "keep SPOOL/STATUS.txt, the status for who has no shell there"},
};
_Static_assert(sizeof config_keys / sizeof config_keys[0] == CONFIG_KEYS, "CONFIG_KEYS counts the table");

/* ---- one value ---- */

static void *field(struct config *c, const struct key *k)
{
    return (char *)c + k->offset;
}

static bool set_text(struct config *c, const struct key *k, const char *text)
{
    char **slot = field(c, k);
    char *copy = strdup(text);
    if (copy == NULL)
        return false;
    free(*slot);
    *slot = copy;
    return true;
}

static bool parse_whole(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    *out = n;
    return errno == 0 && end != text && *end == '\0' &&
           (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'));
}

static bool set_choice(struct config *c, const struct key *k, const char *text)
{
    if (k->offset == AT(inputs_as)) {
        c->inputs_as = strcmp(text, "typed") == 0 ? INPUTS_TYPED : INPUTS_TEXT;
        return strcmp(text, "typed") == 0 || strcmp(text, "text") == 0;
    }
    if (k->offset == AT(confine)) {
        c->confine = strcmp(text, "auto") == 0;
        return c->confine || strcmp(text, "off") == 0;
    }
    c->retry_on_ambiguous = strcmp(text, "retry") == 0;
    return c->retry_on_ambiguous || strcmp(text, "hold") == 0;
}

static bool set_bool(struct config *c, const struct key *k, const char *text)
{
    bool *slot = field(c, k);
    *slot = strcmp(text, "true") == 0;
    return *slot || strcmp(text, "false") == 0;
}

static bool set_number(struct config *c, const struct key *k, const char *text)
{
    double *slot = field(c, k);
    char *end;
    *slot = strtod(text, &end);
    /* strtod alone also reads hexadecimal, infinity and leading white space. */
    bool plain = text[0] >= '0' && text[0] <= '9' && text[strspn(text, "0123456789.")] == '\0';
    return plain && *end == '\0' && *slot >= (double)k->min && *slot <= (double)k->max;
}

static bool parse_int64(const struct key *k, const char *text, int64_t *n)
{
    int percent = 0;
    switch (k->kind) {
    case KEY_DURATION:
        return units_parse_duration_ms(text, n);
    case KEY_SIZE:
        return units_parse_size(text, n);
    case KEY_PERCENT:
        *n = 0;
        if (!units_parse_percent(text, &percent))
            return false;
        *n = percent;
        return true;
    default:
        return parse_whole(text, n);
    }
}

bool config_set_value(struct config *c, const struct key *k, const char *text)
{
    int64_t n = 0;
    switch (k->kind) {
    case KEY_TEXT:
        return set_text(c, k, text);
    case KEY_BOOL:
        return set_bool(c, k, text);
    case KEY_CHOICE:
        return set_choice(c, k, text);
    case KEY_NUMBER:
        return set_number(c, k, text);
    default:
        break;
    }
    if (!parse_int64(k, text, &n) || n < k->min || n > k->max)
        return false;
    if (k->kind == KEY_INT || k->kind == KEY_PERCENT)
        *(int *)field(c, k) = (int)n;
    else
        *(int64_t *)field(c, k) = n;
    return true;
}

const char *config_kind_name(const struct key *k)
{
    switch (k->kind) {
    case KEY_TEXT:
        return "text";
    case KEY_DURATION:
        return "a duration such as 10s, 5m or 8h";
    case KEY_SIZE:
        return "a size such as 64KiB or 8MiB";
    case KEY_PERCENT:
        return "a percentage such as 20%";
    case KEY_BOOL:
    case KEY_CHOICE:
        return "one of these words";
    default:
        return "a number";
    }
}

const struct key *config_find_key(const char *name)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++)
        if (strcmp(config_keys[i].name, name) == 0)
            return &config_keys[i];
    return NULL;
}

const char *config_similar_key(const char *name)
{
    const char *names[CONFIG_KEYS];
    for (size_t i = 0; i < CONFIG_KEYS; i++)
        names[i] = config_keys[i].name;
    return similar_name(name, names, CONFIG_KEYS);
}

/* ---- all of them ---- */

void config_free(struct config *c)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++)
        if (config_keys[i].kind == KEY_TEXT)
            free(*(char **)field(c, &config_keys[i]));
    *c = (struct config){0};
}

void config_describe(void (*line)(void *arg, const char *text), void *arg)
{
    char text[256];
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        const struct key *k = &config_keys[i];
        snprintf(text, sizeof text, "%-22s %-10s %-18s %s", k->name, k->preset[0] != '\0' ? k->preset : "-",
                 k->range, k->what);
        line(arg, text);
    }
}
