#include "core/retry.h"

#include <stddef.h>
#include <string.h>

#include "core/units.h"

/* min(cap, base * 2^(n-1)), at least 1, without ever computing what does not fit. */
static int64_t backoff_ceiling(const struct retry_policy *p, int n)
{
    int64_t cap = p->cap_ms > 0 ? p->cap_ms : 1;
    int64_t ceiling = p->base_ms > 0 ? p->base_ms : 1;
    for (int i = 1; i < n && ceiling < cap; i++)
        ceiling = ceiling > cap / 2 ? cap : ceiling * 2;
    return ceiling < cap ? ceiling : cap;
}

int64_t retry_backoff_ms(const struct retry_policy *p, int n, uint64_t random)
{
    uint64_t ceiling = (uint64_t)backoff_ceiling(p, n);
    return (int64_t)(random % ceiling) + 1;
}

bool retry_allowed(const struct retry_policy *p, int attempts, int job_max)
{
    return attempts < (job_max > 0 ? job_max : p->max_attempts);
}

bool retry_ambiguous_allowed(const struct retry_policy *p, int ambiguous)
{
    return p->ambiguous_retry && ambiguous <= p->max_ambiguous;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t clamp_wait(int64_t ms)
{
    return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

/* Digits, and since some servers send them, decimals; a second that was begun counts whole. */
static int64_t read_seconds(const char *p, const char *end)
{
    int64_t ms = 0;
    bool begun = false;
    for (; p < end && is_digit(*p); p++)
        ms = clamp_wait(ms * 10 + (*p - '0') * INT64_C(1000));
    if (p == end)
        return ms;
    if (*p != '.' || end - p < 2)
        return -1;
    for (p++; p < end && is_digit(*p); p++)
        begun = begun || *p != '0';
    return p == end ? clamp_wait(ms + (begun ? 1000 : 0)) : -1;
}

static int64_t read_date(const char *p, size_t len, int64_t now_unix_ms)
{
    char text[64]; /* twice what the longest date needs */
    int64_t date_ms, wait_ms;
    if (len >= sizeof text)
        return -1;
    memcpy(text, p, len);
    text[len] = '\0';
    if (!units_parse_http_date_ms(text, &date_ms))
        return -1;
    if (date_ms <= now_unix_ms)
        return 0;
    if (__builtin_sub_overflow(date_ms, now_unix_ms, &wait_ms))
        return RETRY_AFTER_MAX_MS;
    return clamp_wait(wait_ms);
}

int64_t retry_after_ms(const char *value, int64_t now_unix_ms)
{
    if (!value)
        return -1;
    value += strspn(value, " \t");
    size_t len = strlen(value);
    while (len > 0 && strchr(" \t\r\n", value[len - 1]))
        len--;
    if (is_digit(value[0]))
        return read_seconds(value, value + len);
    return read_date(value, len, now_unix_ms);
}
