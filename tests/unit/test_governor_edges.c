/* The governor where it hardly ever gets: thousands in flight, days without a reply, ends that come twice. */
#include "governor_fixture.h"

static struct governor g;

static void start(int max_concurrency)
{
    struct governor_options o = plain;

    o.max_concurrency = max_concurrency;
    governor_init(&g, &o);
}

/* As soon as it may go. */
static uint64_t launch_next(int64_t *now)
{
    for (int64_t at = governor_next(&g, *now); at > *now; at = governor_next(&g, *now))
        *now = at;
    return launch(&g, *now);
}

/* The server says that it has no limiter. */
static int64_t open_up(int64_t now)
{
    uint64_t seq = launch(&g, now);

    read_limit(&g, seq, 0, 0, now + 10);
    assert_int_equal(g.mode, GOVERNOR_OPENING);
    assert_true(governor_next(&g, now + 10) <= now + 10);
    assert_int_equal(g.mode, GOVERNOR_OPEN);
    return now + 10;
}

/* Of a request whose send is forgotten by the log, only the slot is known. */
static void test_replies_to_what_the_log_forgot(void **state)
{
    int64_t now;

    (void)state;
    start(20000);
    now = open_up(1000);
    for (int i = 0; i < SEND_LOG_EXACT + 10; i++)
        launch(&g, now + i);
    now += SEND_LOG_EXACT + 1000;
    assert_false(send_log_knows(&g.log, 4));
    refuse(&g, 1, -1, 0, now);
    read_limit(&g, 2, 60, 10, now);
    read_limit(&g, 3, 60, 9, now);
    assert_int_equal(g.limit_in_force, 60); /* what it said counts, not when */
    assert_int_equal(g.readings, 0);
    succeed(&g, 4, now);
    assert_int_equal(g.in_flight, SEND_LOG_EXACT + 10 - 4);
    assert_int_equal(g.refused_total, 1);
    /* The oldest that is known: nothing before it is. */
    read_limit(&g, g.log.next - SEND_LOG_EXACT, 60, 8, now);
    assert_int_equal(g.readings, 1);
    for (uint64_t seq = g.log.next - SEND_LOG_EXACT + 1; seq < g.log.next; seq++)
        read_limit(&g, seq, 60, 0, now);
    assert_int_equal(g.in_flight, 10 - 4);
}

/* The newest reading says nothing any more when so much was sent since that the log has forgotten its send.
 */
static void test_a_reading_that_the_log_forgot(void **state)
{
    int64_t now = 1000;
    uint64_t seq;

    (void)state;
    start(20000);
    seq = launch(&g, now);
    read_limit(&g, seq, 1000000000, 999999999, now + 100);
    assert_int_equal(g.reading_seq, seq);
    while (send_log_knows(&g.log, seq)) {
        int64_t at = governor_next(&g, now);

        assert_true(at != GOVERNOR_ON_COMPLETION);
        if (at > now)
            now = at;
        else
            launch(&g, now);
    }
    assert_int_equal(g.mode, GOVERNOR_COUNTING);
    assert_true(governor_next(&g, now + 3000) <= now + 3000);
}

/* A caller's mistake must not let more be sent, or close the account for ever. */
static void test_an_end_that_comes_twice(void **state)
{
    uint64_t seq[4];

    (void)state;
    start(8);
    for (int i = 0; i < 3; i++)
        seq[i] = launch(&g, 1000);
    governor_ramp(&g);
    assert_int_equal(governor_cap(&g), 4);
    refuse(&g, seq[0], -1, 0, 1200);
    refuse(&g, seq[0], -1, 0, 1200);
    assert_int_equal(g.log.total, 2); /* taken out once */
    for (int i = 0; i < 4; i++)
        end(&g, seq[0], 1200);
    assert_int_equal(g.in_flight, 0);
    assert_int_equal(governor_cap(&g), 1);
    governor_sent(&g, 1300); /* nor one that nobody admitted */
    assert_int_equal(g.pending, 0);
    assert_true(governor_next(&g, 60000) <= 60000);
}

static void test_counters_stay_in_bounds(void **state)
{
    int64_t now = 1000;

    (void)state;
    start(8);
    for (int i = 0; i < 1001; i++) {
        uint64_t seq = launch_next(&now);

        refuse(&g, seq, -1, 0, now + 100);
        now += 200;
    }
    assert_int_equal(g.row, 1000);
    start(8);
    now = open_up(1000);
    for (int i = 0; i < 1001; i++)
        read_limit(&g, launch(&g, now), 0, 0, now);
    assert_int_equal(g.unlimited, 1000);
    start(8);
    read_limit(&g, launch(&g, 1000), 60, 59, 1100);
    assert_int_equal(g.readings, 1);
    g.readings = 1000000; /* after weeks */
    read_limit(&g, launch(&g, 3000), 60, 58, 3100);
    assert_int_equal(g.readings, 1000000);
}

/* Slots that were taken before the first refusal may still go to the wire: what is paused stays so. */
static void test_a_pause_is_not_cut_short(void **state)
{
    uint64_t first, second, third;
    int64_t until;

    (void)state;
    start(8);
    for (int i = 0; i < 3; i++) {
        assert_true(governor_next(&g, 1000) <= 1000);
        governor_admit(&g, 1000);
    }
    first = governor_sent(&g, 1000);
    refuse(&g, first, -1, UINT64_MAX, 1100);
    until = governor_next(&g, 1100);
    assert_true(until > 1100 + 225 + 1);
    second = governor_sent(&g, 1100);
    third = governor_sent(&g, 1100);
    end(&g, second, 1100);
    refuse(&g, third, -1, 0, 1100);
    assert_int_equal(governor_next(&g, 1100), until);
}

static void test_headers_that_say_nothing(void **state)
{
    struct governor_view v;
    int64_t now = 1000;
    uint64_t seq;

    (void)state;
    start(8);
    read_limit(&g, launch(&g, now), 60, 59, now);
    governor_look(&g, INT64_MIN, &v);
    assert_int_equal(v.known_for_ms, 0); /* a clock that is broken */
    governor_look(&g, INT64_MAX, &v);
    assert_true(v.known_for_ms > 0);
    seq = launch_next(&now);
    read_limit(&g, seq, 0, 5, now);
    assert_int_equal(g.unlimited, 0);
    assert_int_equal(g.silent, 1);
    seq = launch_next(&now);
    end(&g, seq, now);
    assert_int_equal(g.silent, 1); /* of a failure nobody expects them */
    for (int i = 0; i < 1001; i++) {
        seq = launch_next(&now);
        succeed(&g, seq, now + 10);
    }
    assert_int_equal(g.silent, 1000);
}

/* The probe proves itself so late that the log has forgotten it: it was admitted, and that is all. */
static void test_a_probe_that_the_log_forgot(void **state)
{
    int64_t now = 1000;

    (void)state;
    start(20000);
    read_limit(&g, launch(&g, now), 60, 59, now);
    for (int i = 0; i < 20; i++) {
        now += 1000;
        read_limit(&g, launch(&g, now), 0, 0, now);
    }
    assert_true(governor_next(&g, now) <= now);
    assert_int_equal(g.mode, GOVERNOR_OPEN);
    for (int i = 0; i < SEND_LOG_EXACT + 1; i++)
        launch(&g, now);
    g.probe = (struct governor_probe){.out = true, .on_wire = true, .seq = 1, .sent_ms = now};
    assert_true(governor_next(&g, now + 5000) <= now + 5000);
    assert_false(g.probe.out);
}

/* The looks whether a window of a day is shorter after all come ever more rarely, but go on coming. */
static void test_looks_at_a_long_window_go_on(void **state)
{
    static const int64_t day = 86400000;
    struct governor_memory m = {.unix_ms = 1000,
                                .limit = 10,
                                .kind = BANK_FIXED,
                                .window_ms = 86400000,
                                .used = 10,
                                .latency_ms = 100,
                                .refusal_ms = 100};
    int64_t longest = 0, today = 0;
    int used = 0;

    (void)state;
    start(8);
    governor_recall(&g, &m, 1000);
    for (int64_t now = day; now < 400 * day; now += day / 48) {
        if (now / day != today)
            used = 0;
        today = now / day;
        while (governor_next(&g, now) <= now)
            if (used++ < 10)
                read_limit(&g, launch(&g, now), 10, 10 - used, now + 100);
            else
                refuse(&g, launch(&g, now), -1, 0, now + 100);
        longest = g.explore_after_ms > longest ? g.explore_after_ms : longest;
    }
    assert_true(longest >= 30 * day);
    assert_true(longest < 60 * day);
}

static void test_memories_that_make_no_sense(void **state)
{
    static const struct governor_memory good = {.unix_ms = 1000,
                                                .limit = 10,
                                                .window_ms = 60000,
                                                .used = 1,
                                                .per_second = 1,
                                                .latency_ms = 1,
                                                .refusal_ms = 1};
    struct governor_memory bad[6];

    (void)state;
    for (int i = 0; i < 6; i++)
        bad[i] = good;
    bad[1].used = -1;
    bad[2].per_second = -1;
    bad[3].latency_ms = -1;
    bad[4].refusal_ms = 0;
    bad[5].window_ms = 61000;
    for (int i = 0; i < 6; i++) {
        start(8);
        governor_recall(&g, &bad[i], 1000);
        assert_int_equal(g.remembered, i == 0);
    }
}

/* Of sends that are known by the second only, about as many are taken to lie before a moment as it is far
 * into its second: more than there were, where most came late in it. */
static void test_what_is_known_roughly_is_no_contradiction(void **state)
{
    static struct bank b;
    static struct send_log l;

    (void)state;
    bank_init(&b);
    send_log_init(&l, 0);
    bank_set_limit(&b, &l, 10000);
    for (int i = 0; i < 10 + SEND_LOG_EXACT; i++) {
        send_log_add(&l, i < 20 ? 1200 : 1990);
        bank_sent(&b, &l);
    }
    bank_reading(&b, &l, 10, 10000, 9990, 3000);
    bank_set_limit(&b, &l, 20000); /* the gap before the oldest is not known either */
    for (int i = 0; i < BANK_MODELS; i++)
        assert_true(b.error[i] >= 0 && b.other[i] >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies_to_what_the_log_forgot),
        cmocka_unit_test(test_a_reading_that_the_log_forgot),
        cmocka_unit_test(test_an_end_that_comes_twice),
        cmocka_unit_test(test_counters_stay_in_bounds),
        cmocka_unit_test(test_a_pause_is_not_cut_short),
        cmocka_unit_test(test_headers_that_say_nothing),
        cmocka_unit_test(test_a_probe_that_the_log_forgot),
        cmocka_unit_test(test_looks_at_a_long_window_go_on),
        cmocka_unit_test(test_memories_that_make_no_sense),
        cmocka_unit_test(test_what_is_known_roughly_is_no_contradiction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
