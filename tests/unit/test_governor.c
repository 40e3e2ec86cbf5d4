/* The governor in any order: there is always a next time, and never more in flight than the cap. */
#include "governor_fixture.h"

#include "core/learned.h"

static uint64_t xorshift(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

struct mess {
    struct governor g;
    uint64_t random, sent[64];
    int nsent, pending;
    int64_t now, longest;
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

    if (dice % 3 == 0) { /* often the same, so that it is taken for one */
        r.limit = 40;
        r.remaining = (long long)(dice >> 16) % 41;
    }
    if (dice % 1000 < 100 && m->now % 7 == 0)
        r.limit = r.remaining = 0;
    m->sent[i] = m->sent[--m->nsent];
    governor_reply(&m->g, &r, m->now);
}

static void mess_options(struct mess *m)
{
    uint64_t dice = xorshift(&m->random);
    struct governor_options o = plain;

    o.max_concurrency = 1 + (int)(dice % 64);
    o.max_per_second = dice % 4 == 0 ? (double)(dice % 1000) / 7 : 0;
    o.leave_percent = (int)(dice >> 20) % 100;
    o.hint_limit = dice % 11 == 0 ? 30 : 0;
    o.hint_window_ms = 10000;
    governor_set_options(&m->g, &o);
}

static void mess_recall(struct mess *m)
{
    struct governor_memory memory;

    governor_memorize(&m->g, m->now, &memory);
    if (xorshift(&m->random) % 2)
        memory.unix_ms -= (int64_t)(xorshift(&m->random) % 100000);
    governor_recall(&m->g, &memory, m->now);
}

static void mess_rare(struct mess *m)
{
    switch (xorshift(&m->random) % 400) {
    case 0:
        governor_ramp(&m->g);
        break;
    case 1:
        governor_release(&m->g, m->now);
        break;
    case 2:
        m->now -= 100000; /* the clock jumps back */
        break;
    case 3:
        mess_options(m);
        break;
    case 4:
        governor_set_wall(&m->g, (int64_t)(xorshift(&m->random) % 1000000000));
        break;
    case 5:
        mess_recall(m);
        break;
    case 6:
        m->now += (int64_t)(xorshift(&m->random) % 10000000);
        break;
    default:
        m->now += (int64_t)(xorshift(&m->random) % 500);
    }
}

static void mess_step(struct mess *m)
{
    uint64_t dice = xorshift(&m->random) % 8;

    if (dice < 4 && governor_next(&m->g, m->now) <= m->now) {
        assert_true(m->g.in_flight < m->g.opt.max_concurrency);
        governor_admit(&m->g, m->now);
        m->pending++;
    } else if (dice < 5 && m->pending > 0) {
        m->pending--;
        m->sent[m->nsent++] = governor_sent(&m->g, m->now);
    } else if (dice == 5 && m->pending > 0 && xorshift(&m->random) % 4 == 0) {
        m->pending--;
        governor_withdraw(&m->g, m->now);
    } else if (dice == 6 && m->nsent > 0) {
        mess_reply(m);
    } else {
        mess_rare(m);
    }
}

static void check(struct mess *m)
{
    int64_t at = governor_next(&m->g, m->now);
    char text[LEARNED_WORDS_SIZE];

    assert_int_equal(m->g.in_flight, m->nsent + m->pending);
    assert_int_equal(m->g.pending, m->pending);
    assert_in_range(m->g.in_flight, 0, 64);
    assert_in_range(m->g.ramp_older, 0, m->g.in_flight);
    assert_true(governor_cap(&m->g) >= 1);
    assert_true(m->g.pacer.rate >= 0 && m->g.pacer.rate < 1e6);
    if (at == GOVERNOR_ON_COMPLETION)
        assert_true(m->g.in_flight > 0);
    else
        assert_true(at <= m->now + 86400001);
    const struct learned l = learned_of(&m->g, m->now);
    assert_true(learned_words(&l, false, text)[0] != '\0');
    assert_non_null(governor_reason(&m->g));
}

static void test_always_a_next_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct mess m = {.random = 42 * seed};

        m.g = fresh(64);
        for (int i = 0; i < 60000; i++) {
            mess_step(&m);
            check(&m);
        }
        assert_true(m.g.admitted_total > 1000);
    }
}

/* From any state, with nothing more than time, the next request goes, and within a day of it. */
static void test_time_alone_lets_one_through(void **state)
{
    struct mess m = {.random = 7};

    (void)state;
    m.g = fresh(64);
    for (int i = 0; i < 3000; i++) {
        int64_t began;

        for (int k = 0; k < 20; k++)
            mess_step(&m);
        while (m.nsent > 0)
            mess_reply(&m);
        while (m.pending > 0) {
            m.pending--;
            governor_withdraw(&m.g, m.now);
        }
        began = m.now;
        for (int k = 0; k < 2000000; k++) {
            int64_t at = governor_next(&m.g, m.now);

            if (at <= m.now)
                break;
            assert_true(at < GOVERNOR_ON_COMPLETION);
            m.now = at;
        }
        assert_true(governor_next(&m.g, m.now) <= m.now);
        assert_true(m.now - began <= 2 * 86400000);
    }
}

/* A week at a steady rate: the pace stays exact. */
static void test_a_week(void **state)
{
    struct governor_options o = plain;
    struct governor g;
    int64_t now = 1000;

    (void)state;
    o.max_per_second = 3;
    governor_init(&g, &o);
    g.unlimited = 1;
    for (int i = 0; i < 7 * 86400 * 3; i++) {
        int64_t at = governor_next(&g, now);

        now = at > now ? at : now;
        governor_admit(&g, now);
        succeed(&g, governor_sent(&g, now), now);
    }
    assert_in_range(now, 1000 + 7 * 86400000LL - 1000, 1000 + 7 * 86400000LL + 1000);
}

static void test_extreme_times(void **state)
{
    static const int64_t times[] = {INT64_MAX, INT64_MAX - 1, 0, INT64_MIN, -1, INT64_MAX, 5, INT64_MIN + 1};
    struct governor_options o = plain;
    struct governor g;

    (void)state;
    o.max_per_second = 1e-9;
    o.hold_base_ms = INT64_MAX / 2 + 1;
    o.hold_cap_ms = INT64_MAX;
    governor_init(&g, &o);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        uint64_t seq;
        struct governor_memory memory;

        governor_next(&g, times[i]);
        governor_admit(&g, times[i]);
        seq = governor_sent(&g, times[i]);
        refuse(&g, seq, i % 2 ? INT64_MAX : -1, UINT64_MAX, times[i]);
        governor_next(&g, times[i]);
        governor_release(&g, times[i]);
        governor_admit(&g, times[i]);
        read_limit(&g, governor_sent(&g, times[i]), 1000000000, 0, times[i]);
        governor_set_wall(&g, times[i] / 4);
        governor_memorize(&g, times[i], &memory);
        governor_recall(&g, &memory, times[i]);
    }
    assert_int_equal(g.in_flight, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always_a_next_time),
        cmocka_unit_test(test_time_alone_lets_one_through),
        cmocka_unit_test(test_a_week),
        cmocka_unit_test(test_extreme_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
