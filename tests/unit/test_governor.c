/* The governor against limiters it cannot see, in virtual time, and against anything in any order. */
#include "governor_fixture.h"

#include <stdlib.h>

/* ---- the simulation ---- */

enum limiter { UNLIMITED, SLIDING, FIXED };

struct scenario {
    const char *name;
    enum limiter limiter;
    int limit;
    int64_t window_ms, run_ms, median_ms;
    int max_concurrency;
    bool headers;
    int garbage_percent; /* readings that name another limit */
    long long hint_limit;
    double least_efficiency; /* successes / (limit per window) */
    double most_refused;     /* 429s / replies */
};

struct server {
    int64_t window; /* number of the present one */
    int current, previous;
};

enum phase { FREE, TO_SERVER, TO_CLIENT };

struct request {
    enum phase phase;
    int64_t at;
    struct governor_reading reply;
};

struct world {
    const struct scenario *s;
    struct governor g;
    struct server server;
    struct request *requests;
    uint64_t random;
    int64_t now;
    long long successes, refusals;
    int64_t last_admit, longest_stall;
};

static uint64_t xorshift(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int64_t between(struct world *w, int64_t low, int64_t high)
{
    return low + (int64_t)(xorshift(&w->random) % (uint64_t)(high - low + 1));
}

/* exp(x) by (1 + x/1024)^1024: exact enough for a latency, and no libm. */
static double exponential(double x)
{
    double y = 1 + x / 1024;

    for (int i = 0; i < 10; i++)
        y *= y;
    return y;
}

/* Lognormal, sigma 1.2, between 0.2 and 300 s where the median is 8 s. */
static int64_t latency(struct world *w)
{
    double gauss = -6;
    double ms;

    for (int i = 0; i < 12; i++)
        gauss += (double)(xorshift(&w->random) >> 11) / 9007199254740992.0;
    ms = (double)w->s->median_ms * exponential(1.2 * gauss);
    if (ms < (double)w->s->median_ms / 40)
        ms = (double)w->s->median_ms / 40;
    return ms > 300e3 ? 300000 : (int64_t)ms;
}

static int used_now(const struct world *w)
{
    const struct server *v = &w->server;
    int64_t into = w->now % w->s->window_ms;

    if (w->s->limiter == FIXED)
        return v->current;
    return v->current + (int)(v->previous * (w->s->window_ms - into) / w->s->window_ms);
}

static bool server_admits(struct world *w, struct governor_reading *r)
{
    struct server *v = &w->server;
    int64_t window;

    if (w->s->limiter == UNLIMITED)
        return true;
    window = w->now / w->s->window_ms;
    if (window != v->window) {
        v->previous = window == v->window + 1 ? v->current : 0;
        v->current = 0;
        v->window = window;
    }
    if (used_now(w) >= w->s->limit)
        return false;
    v->current++;
    r->has_limit = w->s->headers;
    r->limit = w->s->limit;
    r->remaining = w->s->limit - used_now(w);
    if (r->remaining < 0)
        r->remaining = 0;
    if (between(w, 0, 99) < w->s->garbage_percent)
        r->limit = between(w, r->remaining, 100000);
    return true;
}

static void arrive(struct world *w, struct request *q)
{
    q->phase = TO_CLIENT;
    if (server_admits(w, &q->reply)) {
        q->reply.success = true;
        q->at = w->now + latency(w);
    } else {
        q->reply.rate_limited = true;
        q->at = w->now + between(w, 30, 150);
    }
}

static void complete(struct world *w, struct request *q)
{
    q->phase = FREE;
    q->reply.random = xorshift(&w->random);
    if (q->reply.rate_limited)
        w->refusals++;
    else
        w->successes++;
    governor_reply(&w->g, &q->reply, w->now);
}

static void send_one(struct world *w)
{
    struct request *q = w->requests;

    while (q->phase != FREE)
        q++;
    governor_admit(&w->g, w->now);
    assert_true(w->g.in_flight <= w->s->max_concurrency);
    if (w->now - w->last_admit > w->longest_stall)
        w->longest_stall = w->now - w->last_admit;
    w->last_admit = w->now;
    *q = (struct request){.phase = TO_SERVER, .at = w->now + between(w, 20, 150)};
    q->reply.retry_after_ms = -1;
    q->reply.seq = governor_sent(&w->g, w->now);
}

/* Runs what is due now and returns when the next thing happens. */
static int64_t step_requests(struct world *w)
{
    int64_t next = INT64_MAX;

    for (int i = 0; i < w->s->max_concurrency; i++) {
        struct request *q = &w->requests[i];

        if (q->phase == TO_SERVER && q->at <= w->now)
            arrive(w, q);
        else if (q->phase == TO_CLIENT && q->at <= w->now)
            complete(w, q);
        if (q->phase != FREE && q->at < next)
            next = q->at;
    }
    return next;
}

static void run(struct world *w)
{
    while (w->now < w->s->run_ms) {
        int64_t next = step_requests(w), may;

        while ((may = governor_next(&w->g, w->now)) <= w->now) {
            send_one(w);
            next = w->now; /* arrivals are found by the next step */
        }
        assert_false(may == GOVERNOR_ON_COMPLETION && w->g.in_flight == 0);
        if (may < next)
            next = may;
        assert_true(next < INT64_MAX);
        w->now = next > w->now ? next : w->now + 1;
    }
}

static void simulate(const struct scenario *s, uint64_t seed)
{
    struct governor_options o = plain;
    struct world w = {.s = s, .random = 0x9e3779b97f4a7c15u * (seed + 1)};
    double most, efficiency, refused;

    o.max_concurrency = s->max_concurrency;
    o.hint_limit = s->hint_limit;
    o.hint_window_ms = s->window_ms;
    governor_init(&w.g, &o);
    w.requests = calloc((size_t)s->max_concurrency, sizeof w.requests[0]);
    assert_non_null(w.requests);
    run(&w);
    free(w.requests);
    most = s->limit ? (double)s->limit * (double)s->run_ms / (double)s->window_ms : 1;
    efficiency = (double)w.successes / most;
    refused = (double)w.refusals / (double)(w.successes + w.refusals);
    print_message("%s, seed %d: efficiency %.3f, refused %.3f, longest stall %d ms\n", s->name, (int)seed,
                  s->limit ? efficiency : 1, refused, (int)w.longest_stall);
    if (s->limit)
        assert_true(efficiency >= s->least_efficiency);
    assert_true(refused <= s->most_refused);
    assert_true(w.longest_stall <= o.hold_cap_ms + GOVERNOR_PROOF_MS);
}

static void test_limiters(void **state)
{
    static const struct scenario scenarios[] = {
        {"sliding 10 per 1 s", SLIDING, 10, 1000, 1200000, 8000, 256, true, 0, 0, 0.65, 0.07},
        {"sliding 50 per 1 s", SLIDING, 50, 1000, 600000, 8000, 1024, true, 0, 0, 0.60, 0.08},
        {"sliding 10 per 1 s, told", SLIDING, 10, 1000, 600000, 8000, 256, true, 0, 10, 0.75, 0.02},
        {"sliding 10 per 1 s, fast", SLIDING, 10, 1000, 600000, 50, 256, true, 0, 0, 0.65, 0.09},
        {"sliding 10 per 1 s, garbage", SLIDING, 10, 1000, 1200000, 8000, 256, true, 10, 0, 0.60, 0.08},
        {"sliding 10 per 1 s, no headers", SLIDING, 10, 1000, 1200000, 8000, 256, false, 0, 0, 0.55, 0.08},
        {"fixed 60 per 60 s", FIXED, 60, 60000, 3600000, 8000, 256, true, 0, 0, 0.75, 0.09},
        {"fixed 60 per 60 s, told", FIXED, 60, 60000, 3600000, 8000, 256, true, 0, 60, 0.90, 0.02},
        {"fixed 60 per 60 s, no headers", FIXED, 60, 60000, 7200000, 8000, 256, false, 0, 0, 0.70, 0.10},
        {"fixed 600 per 60 s", FIXED, 600, 60000, 1800000, 8000, 1024, true, 0, 0, 0.75, 0.06},
        {"sliding 60 per 60 s", SLIDING, 60, 60000, 3600000, 8000, 256, true, 0, 0, 0.75, 0.09},
        {"fixed 5 per 10 s", FIXED, 5, 10000, 7200000, 8000, 64, true, 0, 0, 0.75, 0.12},
        {"no limit", UNLIMITED, 0, 0, 300000, 8000, 256, false, 0, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        for (uint64_t seed = 0; seed < 3; seed++)
            simulate(&scenarios[i], seed);
}

/* ---- anything in any order ---- */

struct mess {
    struct governor g;
    uint64_t random, sent[64];
    int nsent, pending;
    int64_t now;
};

static void mess_reply(struct mess *m)
{
    int i = (int)(xorshift(&m->random) % (uint64_t)m->nsent);
    uint64_t dice = xorshift(&m->random);
    struct governor_reading r = {.seq = m->sent[i],
                                 .rate_limited = dice % 16 == 0,
                                 .success = dice % 16 > 4,
                                 .has_limit = dice % 5 < 3,
                                 .limit = (long long)(dice >> 8) % 100 - 5,
                                 .remaining = (long long)(dice >> 16) % 100 - 5,
                                 .retry_after_ms = dice % 7 == 0 ? (int64_t)(dice >> 24) % 100000 : -1,
                                 .random = dice};

    m->sent[i] = m->sent[--m->nsent];
    governor_reply(&m->g, &r, m->now);
}

static void mess_step(struct mess *m)
{
    uint64_t dice = xorshift(&m->random) % 8;
    int64_t at = governor_next(&m->g, m->now);

    if (dice < 4 && at <= m->now) {
        governor_admit(&m->g, m->now);
        m->pending++;
    } else if (dice < 5 && m->pending > 0) {
        m->pending--;
        m->sent[m->nsent++] = governor_sent(&m->g, m->now);
    } else if (dice == 5 && m->pending > 0) {
        m->pending--;
        governor_withdraw(&m->g, m->now);
    } else if (dice == 6 && m->nsent > 0) {
        mess_reply(m);
    } else if (xorshift(&m->random) % 50 == 0) {
        governor_ramp(&m->g);
    } else if (xorshift(&m->random) % 50 == 0) {
        governor_release(&m->g, m->now);
    } else if (xorshift(&m->random) % 50 == 0) {
        m->now -= 100000; /* the clock jumps back */
    } else {
        m->now += (int64_t)(xorshift(&m->random) % 500);
    }
}

static void test_always_a_next_time(void **state)
{
    struct mess m = {.random = 42};

    (void)state;
    m.g = fresh(64);
    for (int i = 0; i < 300000; i++) {
        int64_t at;

        mess_step(&m);
        at = governor_next(&m.g, m.now);
        assert_int_equal(m.g.in_flight, m.nsent + m.pending);
        assert_int_equal(m.g.pending, m.pending);
        assert_in_range(m.g.in_flight, 0, 64);
        assert_in_range(m.g.ramp_older, 0, m.g.in_flight);
        if (at == GOVERNOR_ON_COMPLETION)
            assert_true(m.g.in_flight > 0);
        else
            assert_true(at <= m.now + 300000);
    }
    assert_true(m.g.admitted_total > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limiters),
        cmocka_unit_test(test_always_a_next_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
