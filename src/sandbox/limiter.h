/* limiter - the rate limiters a deployment of the endpoint may have. Pure.
 *
 * Times are Unix microseconds, because the windows of real limiters are aligned to the epoch; a clock
 * that steps back is treated as one that stands still. A refused request takes no quota.
 *
 *   sliding  two buckets aligned to the epoch: used = current + floor((1 - fraction) * previous);
 *            this is the known server's
 *   fixed    windows aligned to the epoch
 *   first    a window starts with the first request after the last one ended
 *   log      at most limit requests in any window
 *   token    a bucket of limit tokens that refills by limit a window
 */
#ifndef FLOWSPOOL_SANDBOX_LIMITER_H
#define FLOWSPOOL_SANDBOX_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

enum limiter_kind {
    LIMITER_NONE,
    LIMITER_SLIDING,
    LIMITER_FIXED,
    LIMITER_FIRST,
    LIMITER_LOG,
    LIMITER_TOKEN,
};

#define LIMITER_LIMIT_MAX     1000000
#define LIMITER_WINDOW_MAX_US (INT64_C(86400) * 1000000)

struct limiter {
    enum limiter_kind kind;
    int64_t limit, window_us;
    int64_t last_us;           /* newest time seen */
    int64_t start_us;          /* start of the current window (sliding, fixed, first) */
    int64_t current, previous; /* sliding; fixed and first use current alone */
    int64_t *log;              /* ring of the times of the last `limit` admissions */
    int64_t log_next;          /* slot of the oldest, the next to be written */
    int64_t level;             /* token: tokens times window_us */
};

/* False on an unknown name. */
bool limiter_kind_parse(const char *name, enum limiter_kind *kind);

/* limit 1..LIMITER_LIMIT_MAX, window 1..LIMITER_WINDOW_MAX_US, both ignored for `none`. False: a value
 * out of range, or no memory. */
bool limiter_init(struct limiter *l, enum limiter_kind kind, int64_t limit, int64_t window_us);
void limiter_free(struct limiter *l);
/* Forgets all requests. */
void limiter_reset(struct limiter *l);

/* Takes one request's quota; false: refused, nothing taken. */
bool limiter_take(struct limiter *l, int64_t now_us);
/* What is left at this time. */
int64_t limiter_remaining(const struct limiter *l, int64_t now_us);
/* Time until a request would be admitted if no other came; 0: now. */
int64_t limiter_wait_us(const struct limiter *l, int64_t now_us);

#endif
