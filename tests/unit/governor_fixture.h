/* governor_fixture - shorthand for the tests of the governor: one send, one reply. */
#ifndef FLOWSPOOL_TESTS_GOVERNOR_FIXTURE_H
#define FLOWSPOOL_TESTS_GOVERNOR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above. */
#include <cmocka.h>

#include "core/governor.h"

static const struct governor_options plain = {
    .max_concurrency = 256, .hold_base_ms = 1000, .hold_cap_ms = 60000};

static inline uint64_t launch(struct governor *g, int64_t now)
{
    assert_true(governor_next(g, now) <= now);
    governor_admit(g, now);
    return governor_sent(g, now);
}

static inline struct governor fresh(int max_concurrency)
{
    struct governor_options o = plain;
    struct governor g;

    o.max_concurrency = max_concurrency;
    governor_init(&g, &o);
    return g;
}

static inline void succeed(struct governor *g, uint64_t seq, int64_t now)
{
    governor_reply(g, &(struct governor_reading){.seq = seq, .success = true, .retry_after_ms = -1}, now);
}

/* A reply that is neither success nor 429. */
static inline void end(struct governor *g, uint64_t seq, int64_t now)
{
    governor_reply(g, &(struct governor_reading){.seq = seq, .retry_after_ms = -1}, now);
}

static inline void read_limit(struct governor *g, uint64_t seq, long long limit, long long remaining,
                              int64_t now)
{
    governor_reply(g,
                   &(struct governor_reading){.seq = seq,
                                              .success = true,
                                              .has_limit = true,
                                              .limit = limit,
                                              .remaining = remaining,
                                              .retry_after_ms = -1},
                   now);
}

static inline void refuse(struct governor *g, uint64_t seq, int64_t retry_after, uint64_t random, int64_t now)
{
    governor_reply(g,
                   &(struct governor_reading){
                       .seq = seq, .rate_limited = true, .retry_after_ms = retry_after, .random = random},
                   now);
}

/* Goes on until `count` more were sent, none of them answered; returns the time. */
static inline int64_t send_more(struct governor *g, int count, int64_t now)
{
    for (int i = 0; i < count; i++) {
        int64_t at = governor_next(g, now);

        now = at > now ? at : now;
        launch(g, now);
    }
    return now;
}

#endif
