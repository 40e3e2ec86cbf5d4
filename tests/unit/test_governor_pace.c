/* The governor without refusals: opening, pacing, readings, rounds, options. */
#include "governor_fixture.h"

static void test_opens_at_once(void **state)
{
    struct governor g = fresh(256);

    (void)state;
    for (int i = 0; i < 256; i++)
        launch(&g, 5);
    assert_int_equal(g.in_flight, 256);
    assert_int_equal(governor_next(&g, 5), GOVERNOR_ON_COMPLETION);
    /* 10,000 jobs that are answered at once, without headers: not one wait, on a clock that stands still. */
    for (uint64_t seq = 0; seq < 10000; seq++) {
        succeed(&g, seq, 5);
        launch(&g, 5);
    }
    assert_int_equal(g.admitted_total, 10256);
}

static void test_pace(void **state)
{
    static const struct {
        const char *name;
        double max_per_second;
        long long limit;
        int64_t window;
        int leave;
        double interval; /* ms */
    } cases[] = {
        {"ten a second", 10, 0, 0, 0, 100},
        {"two thousand a second: several in one ms", 2000, 0, 0, 0, 0.5},
        {"less than one a minute", 0.01, 0, 0, 0, 100000},
        {"told 60 in 60 s, and the network's jitter", 0, 60, 60000, 0, 1001.67},
        {"a fifth is left for others", 0, 60, 60000, 20, 1252.08},
        {"the slower of both", 0.5, 60, 60000, 0, 2000},
        {"the slower of both", 100, 60, 60000, 0, 1001.67},
        {"a limit without its window is no hint", 10, 60, 0, 0, 100},
        {"leave everything still sends", 0, 100, 60000, 100, 60100},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct governor_options o = plain;
        struct governor g;
        int64_t now = 1000;

        o.max_per_second = cases[i].max_per_second;
        o.hint_limit = cases[i].limit;
        o.hint_window_ms = cases[i].window;
        o.leave_percent = cases[i].leave;
        governor_init(&g, &o);
        for (int n = 0; n < 200; n++) {
            int64_t at = governor_next(&g, now);

            now = at > now ? at : now;
            succeed(&g, launch(&g, now), now);
        }
        if ((double)(now - 1000) < 199 * cases[i].interval - 2 ||
            (double)(now - 1000) > 199 * cases[i].interval + 2)
            fail_msg("%s: 199 intervals took %d ms", cases[i].name, (int)(now - 1000));
    }
}

static void test_pace_makes_up_for_a_late_loop_but_not_for_idleness(void **state)
{
    struct governor_options o = plain;
    struct governor g;

    (void)state;
    o.max_per_second = 10;
    governor_init(&g, &o);
    launch(&g, 0);
    assert_int_equal(governor_next(&g, 0), 100);
    launch(&g, 130);
    assert_int_equal(governor_next(&g, 130), 200);
    launch(&g, 10000);
    assert_int_equal(governor_next(&g, 10000), 10100);
}

static void test_readings(void **state)
{
    static const struct {
        const char *name;
        long long limit, remaining;
        bool taken;
    } cases[] = {
        {"usual", 10, 9, true},
        {"none left", 10, 0, true},
        {"untouched", 10, 10, true},
        {"0 of 0 is unknown", 0, 0, false},
        {"more than all", 10, 11, false},
        {"negative", 10, -1, false},
        {"negative limit", -5, -5, false},
        {"absurd", 1000000001, 1, false},
        {"largest", 1000000000, 1, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct governor g = fresh(256);

        read_limit(&g, launch(&g, 0), cases[i].limit, cases[i].remaining, 100);
        if (g.has_reading != cases[i].taken)
            fail_msg("%s", cases[i].name);
        assert_int_equal(g.limit, cases[i].taken ? cases[i].limit : 0);
        assert_int_equal(g.remaining, cases[i].taken ? cases[i].remaining : 0);
        /* Evidence of a limit is what starts the pace; without it a burst is free. */
        launch(&g, 100);
        if (cases[i].taken && cases[i].limit == 10)
            assert_in_range(governor_next(&g, 101), 102, 1200);
        else
            assert_true(governor_next(&g, 101) <= 101);
    }
}

static void test_readings_are_ordered_by_send(void **state)
{
    struct governor g = fresh(256);
    double rate;

    (void)state;
    for (int i = 0; i < 6; i++)
        launch(&g, 0);
    read_limit(&g, 3, 100, 50, 1000);
    read_limit(&g, 1, 200, 199, 1100); /* came later, sent earlier */
    assert_int_equal(g.limit, 100);
    assert_int_equal(g.remaining, 50);
    rate = g.rate;
    read_limit(&g, 4, 300, 20, 1200);
    assert_int_equal(g.limit, 300);
    assert_true(g.rate == rate); /* said once: perhaps garbage */
    read_limit(&g, 5, 300, 10, 1300);
    assert_int_equal(g.remaining, 10);
    assert_true(g.rate > 2.9 * rate && g.rate < 3.1 * rate);
}

static void test_ignored_where_headers_lie(void **state)
{
    struct governor g = fresh(256);
    uint64_t seq = launch(&g, 0);

    (void)state;
    governor_reply(
        &g, &(struct governor_reading){.seq = seq, .limit = 10, .remaining = 5, .retry_after_ms = -1}, 10);
    assert_false(g.has_reading);
}

/* Sends and answers at the pace until the rate was judged; what was used is the same each time. */
static double judged(struct governor *g, long long limit, long long used, int replies)
{
    int64_t now = 100000;
    double before = g->rate;

    for (int i = 0; i < replies; i++) {
        int64_t at = governor_next(g, now);
        uint64_t seq;

        now = at > now ? at : now;
        seq = launch(g, now);
        if (limit > 0)
            read_limit(g, seq, limit, limit - used, now);
        else
            succeed(g, seq, now);
    }
    return g->rate / before;
}

static void test_rounds(void **state)
{
    static const struct {
        const char *name;
        long long limit, used;
        int replies;
        bool cut;
        double least, most; /* the new rate over the old */
    } cases[] = {
        {"too early to judge", 10, 1, 7, false, 1, 1},
        {"far from the limit: at most fourfold", 100, 1, 9, false, 3.99, 4.01},
        {"nothing used at all", 100, 0, 9, false, 3.99, 4.01},
        {"half used", 100, 45, 91, false, 1.99, 2.01},
        {"the window has not moved on", 100, 45, 88, false, 1, 1},
        {"near the limit: a little more", 10, 9, 19, false, 1.01, 1.03},
        {"no headers, never refused", 0, 0, 9, false, 1.49, 1.51},
        {"no headers, refused before", 0, 0, 9, true, 1.02, 1.04},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct governor g = fresh(256);
        double change;

        refuse(&g, launch(&g, 0), -1, 0, 10);
        if (cases[i].limit > 0)
            read_limit(&g, launch(&g, 1000), cases[i].limit, cases[i].limit - cases[i].used, 1000);
        else
            succeed(&g, launch(&g, 1000), 1000);
        g.cut = cases[i].cut;
        /* One round by hand, so that what came before does not count. */
        g.round_replies = g.round_paced = g.round_readings = g.round_used = 0;
        change = judged(&g, cases[i].limit, cases[i].used, cases[i].replies);
        if (change < cases[i].least || change > cases[i].most)
            fail_msg("%s: rate changed by %.3f", cases[i].name, change);
    }
}

static void test_a_rate_that_was_not_tried_is_not_raised(void **state)
{
    struct governor g = fresh(256);
    double rate;

    (void)state;
    read_limit(&g, launch(&g, 0), 100, 99, 100);
    rate = g.rate;
    for (int i = 1; i < 100; i++) /* a job every ten seconds is far below it */
        read_limit(&g, launch(&g, i * 10000), 100, 99, i * 10000 + 100);
    assert_true(g.rate == rate);
}

static void test_rate_never_fades_away(void **state)
{
    struct governor g = fresh(4);
    int64_t now = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t at = governor_next(&g, now);
        uint64_t seq;

        assert_true(at <= now + plain.hold_cap_ms + GOVERNOR_PROOF_MS);
        now = at > now ? at : now;
        seq = launch(&g, now);
        if (i % 2)
            refuse(&g, seq, -1, 0, now);
        else
            succeed(&g, seq, now);
    }
    assert_true(g.rate >= 1 / 60000.0);
}

static void test_options_are_made_sane(void **state)
{
    static const struct governor_options nonsense = {.max_concurrency = -1,
                                                     .max_per_second = -3,
                                                     .hint_limit = -1,
                                                     .hint_window_ms = 5,
                                                     .leave_percent = -1,
                                                     .hold_base_ms = -5,
                                                     .hold_cap_ms = -9};
    struct governor g;

    (void)state;
    governor_init(&g, &nonsense);
    assert_int_equal(governor_cap(&g), 1);
    assert_int_equal(g.opt.hint_window_ms, 0);
    assert_int_equal(g.opt.leave_percent, 0);
    assert_true(g.opt.max_per_second == 0);
    assert_int_equal(g.last_429_ms, -1);
    refuse(&g, launch(&g, 0), -1, 12345, 0);
    assert_int_equal(g.closed_until_ms, 1);
    governor_set_options(&g, &plain);
    assert_true(g.held); /* what was learned stays */
    assert_int_equal(g.opt.max_concurrency, 256);
}

static void test_lower_concurrency_while_running(void **state)
{
    struct governor_options o = plain;
    struct governor g = fresh(8);

    (void)state;
    for (int i = 0; i < 8; i++)
        launch(&g, 0);
    o.max_concurrency = 2;
    governor_set_options(&g, &o);
    for (uint64_t seq = 0; seq < 7; seq++) {
        assert_int_equal(governor_next(&g, 10), g.in_flight >= 2 ? GOVERNOR_ON_COMPLETION : 10);
        succeed(&g, seq, 10);
    }
    assert_true(governor_next(&g, 10) <= 10);
}

static void test_parse_headers(void **state)
{
    static const struct {
        const char *limit, *remaining;
        bool ok;
        long long l, r;
    } cases[] = {
        {"10", "9", true, 10, 9},
        {" 10\t", " 0 \r\n", true, 10, 0},
        {"0010", "010", true, 10, 10},
        {"1000000000", "0", true, 1000000000, 0},
        {NULL, "9", false, 0, 0},
        {"10", NULL, false, 0, 0},
        {NULL, NULL, false, 0, 0},
        {"", "", false, 0, 0},
        {" ", "1", false, 0, 0},
        {"0", "0", false, 0, 0},
        {"10", "11", false, 0, 0},
        {"-10", "-11", false, 0, 0},
        {"+10", "1", false, 0, 0},
        {"10", "-1", false, 0, 0},
        {"10.0", "1", false, 0, 0},
        {"10;w=60", "1", false, 0, 0},
        {"10", "1, 2", false, 0, 0},
        {"0x10", "1", false, 0, 0},
        {"1e3", "1", false, 0, 0},
        {"1000000001", "1", false, 0, 0},
        {"99999999999999999999999999999999", "1", false, 0, 0},
        {"unlimited", "1", false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        long long l = 0, r = 0;

        if (governor_parse_headers(cases[i].limit, cases[i].remaining, &l, &r) != cases[i].ok)
            fail_msg("case %d", (int)i);
        assert_int_equal(l, cases[i].l);
        assert_int_equal(r, cases[i].r);
    }
}

static void test_extreme_times(void **state)
{
    static const int64_t times[] = {INT64_MAX, INT64_MAX - 1, 0, INT64_MIN, -1, INT64_MAX};
    struct governor_options o = plain;
    struct governor g;

    (void)state;
    o.max_per_second = 1e-9;
    o.hint_limit = INT64_MAX;
    o.hint_window_ms = INT64_MAX;
    o.hold_base_ms = INT64_MAX / 2 + 1;
    o.hold_cap_ms = INT64_MAX;
    governor_init(&g, &o);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        uint64_t seq;

        governor_next(&g, times[i]);
        governor_admit(&g, times[i]);
        seq = governor_sent(&g, times[i]);
        refuse(&g, seq, i % 2 ? INT64_MAX : -1, UINT64_MAX, times[i]);
        governor_next(&g, times[i]);
        governor_release(&g, times[i]);
        governor_admit(&g, times[i]);
        read_limit(&g, governor_sent(&g, times[i]), 1000000000, 0, times[i]);
    }
    assert_int_equal(g.in_flight, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_at_once),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_pace_makes_up_for_a_late_loop_but_not_for_idleness),
        cmocka_unit_test(test_readings),
        cmocka_unit_test(test_readings_are_ordered_by_send),
        cmocka_unit_test(test_ignored_where_headers_lie),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_a_rate_that_was_not_tried_is_not_raised),
        cmocka_unit_test(test_rate_never_fades_away),
        cmocka_unit_test(test_options_are_made_sane),
        cmocka_unit_test(test_lower_concurrency_while_running),
        cmocka_unit_test(test_parse_headers),
        cmocka_unit_test(test_extreme_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
