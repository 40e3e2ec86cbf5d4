/* retry - how long to wait before the next attempt. Pure: randomness is an argument.
 *
 * Full jitter: uniform in (0, min(cap, base * 2^(n-1))], after AWS's "Exponential Backoff And Jitter".
 */
#ifndef FLOWSPOOL_CORE_RETRY_H
#define FLOWSPOOL_CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry_policy {
    int max_attempts;
    int64_t base_ms, cap_ms;
    bool ambiguous_retry; /* false: on_ambiguous: hold */
    int max_ambiguous;
};

/* Neither a wrong clock nor a wrong server can stop the account for longer. */
#define RETRY_AFTER_MAX_MS INT64_C(3600000)

/* n: which failure this is, from 1. random: uniform 64 bits. Result >= 1 ms. */
int64_t retry_backoff_ms(const struct retry_policy *p, int n, uint64_t random);
/* Whether another attempt may follow. attempts: counted so far, this one included. job_max: the job's own
 * max_attempts or 0. */
bool retry_allowed(const struct retry_policy *p, int attempts, int job_max);
/* Whether a job may be sent again although it may have been charged. ambiguous: counted so far, this one
 * included. */
bool retry_ambiguous_allowed(const struct retry_policy *p, int ambiguous);
/* Retry-After (seconds or HTTP date) to a wait, clamped to [0, RETRY_AFTER_MAX_MS]; decimals are rounded up
 * to whole seconds. -1: absent (NULL) or unreadable, signs included. */
int64_t retry_after_ms(const char *value, int64_t now_unix_ms);

#endif
