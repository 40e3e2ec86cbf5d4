/* The governor's modes: opening, no headers, no limit, counting, pacing, told; readings and options. */
#include "governor_fixture.h"

static void test_opening(void **state)
{
    struct governor g = fresh(256);
    int64_t now;

    (void)state;
    assert_int_equal(send_more(&g, 3, 5), 5); /* a few at once */
    assert_int_equal(governor_next(&g, 5), 95);
    now = send_more(&g, 20, 5);
    assert_in_range(now, 1700, 1900); /* then a dozen a second */
    now = send_more(&g, 233, now);
    assert_in_range(now, 5000, 9000); /* faster and faster where nothing answers */
    assert_int_equal(governor_next(&g, now), GOVERNOR_ON_COMPLETION);
}

static void test_no_headers(void **state)
{
    struct governor g = fresh(256);
    int rounds = 0;

    (void)state;
    /* Quick answers open it up within a few round trips ... */
    for (int64_t now = 0; g.in_flight < 256 && rounds < 10; rounds++, now += 50) {
        uint64_t first = g.log.next - (uint64_t)g.in_flight;

        for (uint64_t seq = first; seq < g.log.next;)
            succeed(&g, seq++, now);
        while (governor_next(&g, now) <= now)
            launch(&g, now);
    }
    assert_in_range(rounds, 3, 8);
    assert_int_equal(g.mode, GOVERNOR_HEADERLESS);
    /* ... and slow ones by and by. */
    g = fresh(256);
    succeed(&g, launch(&g, 0), 10);
    assert_in_range(send_more(&g, 256, 10), 1000, 6000);
}

static void test_no_headers_refused(void **state)
{
    struct governor g = fresh(256);
    int64_t now = 10;
    double rate;

    (void)state;
    succeed(&g, launch(&g, 0), 10);
    for (int i = 0; i < 40; i++) {
        now = send_more(&g, 1, now);
        succeed(&g, g.log.next - 1, now + 1);
        now += 100;
    }
    now = send_more(&g, 1, now);
    refuse(&g, g.log.next - 1, -1, 0, now + 100);
    assert_true(g.pacer.rate > 0.008 && g.pacer.rate < 0.012); /* ten a second, as it was */
    rate = g.pacer.rate;
    now = governor_next(&g, now + 100);
    succeed(&g, launch(&g, now), now + 50);
    now = send_more(&g, 1, now + 60);
    refuse(&g, g.log.next - 1, -1, 0, now + 100);
    assert_true(g.pacer.rate < rate && g.pacer.rate > 0.6 * rate);
    governor_next(&g, now + 5000);
    assert_string_equal(governor_reason(&g), "paced by the server's rate limit");
}

/* Refused twice in the first second: the rate is that of this second, not half of it. */
static void test_no_headers_refused_at_once(void **state)
{
    struct governor g = fresh(256);
    int64_t now = send_more(&g, 10, 0);

    (void)state;
    succeed(&g, 0, now + 1);
    now = send_more(&g, 1, now + 1);
    refuse(&g, g.log.next - 1, -1, 0, now + 100);
    assert_true(g.pacer.rate > 0.008);
    now = send_more(&g, 1, now + 100);
    assert_true(now < 1500);
    refuse(&g, g.log.next - 1, -1, 0, now);
    assert_true(g.pacer.rate > 0.007);
}

static void test_no_limit(void **state)
{
    struct governor g = fresh(256);

    (void)state;
    read_limit(&g, launch(&g, 0), 0, 0, 10);
    for (int i = 0; i < 256; i++)
        launch(&g, 10);
    assert_int_equal(g.mode, GOVERNOR_OPEN);
    assert_int_equal(governor_next(&g, 10), GOVERNOR_ON_COMPLETION);
    read_limit(&g, 5, 10, 3, 20); /* there is one after all */
    governor_next(&g, 20);
    assert_int_equal(g.mode, GOVERNOR_COUNTING);
    for (uint64_t seq = 10; seq < 29; seq++)
        read_limit(&g, seq, 0, 0, 30);
    governor_next(&g, 30);
    assert_int_equal(g.mode, GOVERNOR_COUNTING); /* now and then it is garbage */
    read_limit(&g, 30, 0, 0, 40);
    governor_next(&g, 40);
    assert_int_equal(g.mode, GOVERNOR_OPEN);
}

static void test_counting(void **state)
{
    struct governor g = fresh(256);
    uint64_t probe;
    int64_t now;

    (void)state;
    read_limit(&g, launch(&g, 0), 10, 9, 300);
    now = send_more(&g, 9, 300);
    assert_in_range(now, 300 + 7 * 10, 300 + 9 * 10 + 700); /* what a reading confirmed goes quickly */
    now = governor_next(&g, now);
    assert_in_range(now, 800, 2500); /* full: a probe when a window of a second would be over */
    probe = launch(&g, now);
    assert_true(g.probe.out);
    assert_in_range(governor_next(&g, now + 1), now + 350, now + 3000);
    refuse(&g, probe, -1, 0, now + 200);
    assert_false(g.probe.out);
    assert_in_range(governor_next(&g, now + 200), now + 201, now + 3000);
}

/* Against 5 in each aligned 20 s, when a shorter window is looked for, in vain; returns how often. */
static int look_for_shorter(struct governor *g, int64_t *looked)
{
    int64_t now = 0, window = -1;
    int n = 0, used = 0;

    while (now < 3000000 && n < 8) {
        int64_t at = governor_next(g, now);
        bool look;

        now = at > now ? at : now;
        at = governor_next(g, now);
        if (at > now)
            continue;
        look = g->next_is_idle_probe;
        launch(g, now);
        if (look) {
            looked[n++] = now;
            refuse(g, g->log.next - 1, -1, 0, now + 100);
        } else {
            used = now / 20000 == window ? used + 1 : 1;
            window = now / 20000;
            read_limit(g, g->log.next - 1, 5, used < 5 ? 5 - used : 0, now);
        }
    }
    return n;
}

/* A guess of the window that is too long explains itself for ever: it is looked at again, more and more
 * rarely. */
static void test_explores(void **state)
{
    struct governor_memory m = {1, 5, BANK_FIXED, 20000, 0, 0, 8000, 200, 0, 0};
    struct governor g = fresh(256);
    int64_t looked[8];
    int n;

    (void)state;
    governor_recall(&g, &m, 1);
    n = look_for_shorter(&g, looked);
    assert_in_range(n, 2, 5);
    assert_true(looked[0] < 300000);
    for (int i = 2; i < n; i++)
        assert_true(10 * (looked[i] - looked[i - 1]) > 18 * (looked[i - 1] - looked[i - 2]));
}

/* A probe that was refused when half of the window was over has shown as much already. */
static void test_explores_later_what_a_probe_has_shown(void **state)
{
    struct governor_memory m = {1, 5, BANK_FIXED, 20000, 0, 0, 8000, 200, 0, 0};
    struct governor g = fresh(256);
    int64_t looked[8];

    (void)state;
    governor_recall(&g, &m, 1);
    g.refused_after_ms = 10000;
    assert_true(look_for_shorter(&g, looked) >= 1); /* but it is looked for */
    assert_true(looked[0] > 900000);
}

static void test_changed_limit(void **state)
{
    struct governor g = fresh(256);

    (void)state;
    for (int i = 0; i < 6; i++)
        send_more(&g, 1, 100 * i);
    read_limit(&g, 3, 100, 50, 1000);
    read_limit(&g, 1, 200, 199, 1100); /* came later, sent earlier */
    assert_int_equal(g.limit, 100);
    assert_int_equal(g.remaining, 50);
    read_limit(&g, 4, 300, 20, 1200);
    assert_int_equal(g.limit, 300);
    assert_int_equal(g.limit_in_force, 100); /* said once: perhaps garbage */
    read_limit(&g, 5, 300, 10, 1300);
    assert_int_equal(g.limit_in_force, 300);
}

static void test_readings(void **state)
{
    static const struct {
        const char *name;
        long long limit, remaining;
        bool taken;
    } cases[] = {
        {"plain", 10, 9, true},
        {"nothing left", 10, 0, true},
        {"0 of 0 is no limit", 0, 0, false},
        {"more left than there is", 10, 11, false},
        {"negative", -10, -11, false},
        {"negative rest", 10, -1, false},
        {"absurd", 1000000001, 1, false},
        {"largest", 1000000000, 1, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct governor g = fresh(256);

        read_limit(&g, launch(&g, 0), cases[i].limit, cases[i].remaining, 100);
        if (g.has_reading != cases[i].taken)
            fail_msg("%s", cases[i].name);
        assert_int_equal(g.limit_in_force, cases[i].taken ? cases[i].limit : 0);
        assert_true(governor_next(&g, 200) < GOVERNOR_ON_COMPLETION);
    }
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

static void test_told_and_most(void **state)
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
        g.unlimited = 1;
        for (int n = 0; n < 200; n++) {
            int64_t at = governor_next(&g, now);

            now = at > now ? at : now;
            succeed(&g, launch(&g, now), now);
            g.unlimited = 1;
        }
        if ((double)(now - 1000) < 199 * cases[i].interval - 2 ||
            (double)(now - 1000) > 199 * cases[i].interval + 2)
            fail_msg("%s: 199 intervals took %d ms", cases[i].name, (int)(now - 1000));
    }
}

static void test_makes_up_for_a_late_loop_but_not_for_idleness(void **state)
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
    refuse(&g, launch(&g, 0), 12345, 0, 0);
    governor_set_options(&g, &plain);
    assert_true(g.held); /* what was learned stays */
    assert_int_equal(g.opt.max_concurrency, 256);
}

static void test_lower_concurrency_while_running(void **state)
{
    struct governor_options o = plain;
    struct governor g = fresh(8);

    (void)state;
    g.unlimited = 1;
    for (int i = 0; i < 8; i++)
        launch(&g, 0);
    o.max_concurrency = 2;
    governor_set_options(&g, &o);
    for (uint64_t seq = 0; seq < 7; seq++) {
        assert_int_equal(governor_next(&g, 10), g.in_flight >= 2 ? GOVERNOR_ON_COMPLETION : 10);
        end(&g, seq, 10);
    }
    assert_true(governor_next(&g, 10) <= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opening),
        cmocka_unit_test(test_no_headers),
        cmocka_unit_test(test_no_headers_refused),
        cmocka_unit_test(test_no_headers_refused_at_once),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_counting),
        cmocka_unit_test(test_explores),
        cmocka_unit_test(test_explores_later_what_a_probe_has_shown),
        cmocka_unit_test(test_changed_limit),
        cmocka_unit_test(test_readings),
        cmocka_unit_test(test_ignored_where_headers_lie),
        cmocka_unit_test(test_told_and_most),
        cmocka_unit_test(test_makes_up_for_a_late_loop_but_not_for_idleness),
        cmocka_unit_test(test_options_are_made_sane),
        cmocka_unit_test(test_lower_concurrency_while_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
