/* The governor after a 429: pauses, Retry-After, the probe, the ramp. */
#include "governor_fixture.h"

/* Held by the server since 1000 with one older request in flight (seq 1); the next may go at 2000. */
static struct governor held(void)
{
    struct governor g = fresh(256);

    launch(&g, 0);
    launch(&g, 0);
    refuse(&g, 0, 1000, 0, 1000);
    assert_true(g.held);
    assert_int_equal(g.closed_until_ms, 2000);
    return g;
}

static void test_retry_after(void **state)
{
    static const struct {
        const char *name;
        int64_t retry_after;
        uint64_t random;
        int64_t wait;
    } cases[] = {
        {"a second", 1000, 0, 1000},
        {"jitter is added", 5000, 500, 5500},
        {"and is a tenth at most", 5000, 501, 5000},
        {"at most an hour", 7200000, 0, 3600000},
        {"for ever is an hour", INT64_MAX, 360000, 3960000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct governor g = fresh(256);

        refuse(&g, launch(&g, 0), cases[i].retry_after, cases[i].random, 100);
        if (g.closed_until_ms != 100 + cases[i].wait)
            fail_msg("%s: waits %d ms", cases[i].name, (int)(g.closed_until_ms - 100));
        assert_int_equal(governor_next(&g, 100), g.closed_until_ms);
    }
}

static void test_retry_after_that_says_nothing(void **state)
{
    (void)state;
    for (int64_t value = -1; value <= 0; value++) {
        struct governor g = fresh(256);
        int64_t at;

        refuse(&g, launch(&g, 0), value, 0, 100);
        assert_false(g.held);
        at = governor_next(&g, 100);
        assert_in_range(at, 320, 340); /* a quarter of retry.base, a tenth less */
    }
}

/* Each refused probe doubles the pause, up to 15 s or retry.cap. */
static void test_pauses_double(void **state)
{
    static const int64_t least[] = {225, 450, 900, 1800, 3600, 7200, 13500, 13500};
    struct governor g = fresh(256);
    int64_t now = 0;

    (void)state;
    for (size_t i = 0; i < sizeof least / sizeof least[0]; i++) {
        uint64_t seq = launch(&g, now);

        assert_true(i == 0 || g.probe.out);
        refuse(&g, seq, -1, 0, now + 200);
        assert_in_range(governor_next(&g, now + 200) - (now + 200), least[i], least[i] + 2);
        assert_int_equal(g.last_429_ms, now + 200);
        assert_int_equal(g.row, i + 1);
        assert_int_equal(g.held, i >= 4); /* long enough to be told */
        now = governor_next(&g, now + 200);
    }
    assert_int_equal(g.refused_total, 8);
    succeed(&g, launch(&g, now), now + 100);
    assert_false(g.held);
    assert_int_equal(g.row, 0);
    assert_int_equal(g.ramp, 0); /* the server did not ask for patience */
}

static void test_cap_bounds_the_pause(void **state)
{
    struct governor_options o = plain;
    struct governor g;
    int64_t now = 0;

    (void)state;
    o.hold_base_ms = 10;
    o.hold_cap_ms = 50;
    governor_init(&g, &o);
    for (int i = 0; i < 20; i++) {
        int64_t at;

        refuse(&g, launch(&g, now), -1, UINT64_MAX, now);
        at = governor_next(&g, now);
        assert_in_range(at, now + 1, now + 56);
        now = at;
    }
}

static void test_one_flight_is_one_refusal(void **state)
{
    struct governor g = fresh(256);
    int64_t until;

    (void)state;
    for (int i = 0; i < 6; i++)
        launch(&g, 90 * i);
    refuse(&g, 0, -1, 0, 600);
    until = governor_next(&g, 600);
    refuse(&g, 1, -1, UINT64_MAX, 610);
    assert_int_equal(governor_next(&g, 610), until);
    refuse(&g, 2, 3000, 0, 630); /* late ones may ask for more patience ... */
    assert_int_equal(g.closed_until_ms, 3630);
    refuse(&g, 3, 100, 0, 640); /* ... not for less */
    assert_int_equal(g.closed_until_ms, 3630);
    assert_int_equal(g.row, 1);
    assert_int_equal(g.refused_total, 4);
    end(&g, 4, 650); /* sent before the hold: proves nothing about now */
    succeed(&g, 5, 660);
    assert_true(g.held);
    assert_int_equal(governor_next(&g, 700), 3630);
}

static void test_probe(void **state)
{
    struct governor g = held();
    uint64_t probe;

    (void)state;
    assert_true(governor_next(&g, 2000) <= 2000);
    governor_admit(&g, 2000);
    assert_int_equal(governor_next(&g, 99999), GOVERNOR_ON_COMPLETION); /* not even sent yet */
    g = held();
    assert_true(governor_next(&g, 2000) <= 2000);
    governor_admit(&g, 2000);
    probe = governor_sent(&g, 2500);
    assert_in_range(governor_next(&g, 2500), 2850, 5500);
    refuse(&g, probe, 1999, 0, 2700);
    assert_int_equal(governor_next(&g, 2700), 4699);
    succeed(&g, launch(&g, 4699), 4800);
    assert_false(g.held);
    assert_int_equal(g.row, 0);
    assert_int_equal(g.ramp, 2);
}

static void test_probe_that_fails_otherwise_was_admitted(void **state)
{
    struct governor g = held();

    (void)state;
    end(&g, launch(&g, 2000), 2100);
    assert_false(g.held);
    assert_int_equal(g.ramp, 1);
}

static void test_probe_is_proven_by_time(void **state)
{
    struct governor g = held();
    uint64_t probe = launch(&g, 2000);
    int64_t proven = governor_next(&g, 2001);

    (void)state;
    assert_true(proven > 2001);
    assert_true(g.held);
    governor_next(&g, proven);
    assert_false(g.held);
    assert_int_equal(governor_cap(&g), 2); /* the old one and the probe */
    refuse(&g, probe, 500, 0, proven + 1); /* proven wrong: a hold like any other */
    assert_true(g.held);
}

static void test_request_sent_since_ends_the_hold(void **state)
{
    struct governor g = fresh(256);
    uint64_t since;

    (void)state;
    launch(&g, 0);
    assert_true(governor_next(&g, 0) <= 0);
    governor_admit(&g, 0); /* its intent is being committed while the 429 comes */
    refuse(&g, 0, 5000, 0, 200);
    since = governor_sent(&g, 210);
    assert_false(g.probe.out);
    succeed(&g, since, 300);
    assert_false(g.held);
}

static void test_withdrawn_probe_frees_its_place(void **state)
{
    struct governor g = held();

    (void)state;
    assert_true(governor_next(&g, 2000) <= 2000);
    governor_admit(&g, 2000);
    assert_true(g.probe.out);
    governor_withdraw(&g, 2002);
    assert_false(g.probe.out);
    assert_true(g.held);
    assert_true(governor_next(&g, 2003) <= 2003);
}

static void test_withdrawn_probe_behind_older_slots(void **state)
{
    struct governor g = fresh(256);

    (void)state;
    launch(&g, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(governor_next(&g, 100 * i) <= 100 * i);
        governor_admit(&g, 100 * i);
    }
    refuse(&g, 0, 500, 0, 200);
    assert_true(governor_next(&g, 1000) <= 1000);
    governor_admit(&g, 1000); /* the probe, third in the queue to the wire */
    governor_sent(&g, 1001);
    assert_false(g.probe.on_wire);
    governor_withdraw(&g, 1002); /* of the other two: which one is not known */
    assert_true(g.probe.out);
    governor_withdraw(&g, 1003);
    assert_false(g.probe.out);
    assert_int_equal(g.in_flight, 1);
    assert_true(governor_next(&g, 9999) <= 9999);
}

static void test_nothing_in_flight_means_no_probe(void **state)
{
    struct governor g = held();
    uint64_t probe = launch(&g, 2000);

    (void)state;
    succeed(&g, 1, 2010);
    governor_withdraw(&g, 2020); /* against the rules: it was sent */
    assert_int_equal(g.in_flight, 0);
    assert_true(governor_next(&g, 3001) <= 3001);
    governor_withdraw(&g, 3030); /* and once too often */
    refuse(&g, probe, -1, 0, 3040);
    refuse(&g, 12345, -1, 0, 3050); /* never sent */
    assert_int_equal(g.in_flight, 0);
    assert_int_equal(g.pending, 0);
}

static void test_ramp(void **state)
{
    struct governor g = fresh(8);
    uint64_t first;

    (void)state;
    g.unlimited = 1; /* nothing else holds back */
    launch(&g, 0);
    launch(&g, 0);
    governor_ramp(&g); /* an endpoint hold has ended; two older requests are out */
    assert_int_equal(governor_cap(&g), 3);
    first = launch(&g, 0);
    assert_int_equal(governor_next(&g, 0), GOVERNOR_PROOF_MS);
    end(&g, first, 10);
    assert_int_equal(g.ramp, 1); /* no success, no more */
    succeed(&g, launch(&g, 10), 20);
    assert_int_equal(g.ramp, 2);
    succeed(&g, 0, 30); /* older ones are no part of the new number, but their success counts */
    assert_int_equal(g.ramp, 4);
    assert_int_equal(governor_cap(&g), 5);
    succeed(&g, 1, 40);
    assert_int_equal(g.ramp, 8);
    succeed(&g, launch(&g, 40), 50);
    assert_int_equal(g.ramp, 0);
    assert_int_equal(governor_cap(&g), 8);
}

static void test_ramp_does_not_wait_for_slow_runs(void **state)
{
    struct governor g = fresh(8);

    (void)state;
    g.unlimited = 1;
    governor_ramp(&g);
    launch(&g, 0);
    assert_int_equal(governor_next(&g, 0), 2000);
    launch(&g, 2000);
    assert_int_equal(g.ramp, 2);
    launch(&g, 4000);
    launch(&g, 4000);
    assert_int_equal(g.ramp, 4);
    assert_int_equal(governor_next(&g, 4000), 6000);
    launch(&g, 6000);
    for (int i = 0; i < 3; i++)
        launch(&g, 8000);
    assert_int_equal(governor_next(&g, 8000), GOVERNOR_ON_COMPLETION);
}

/* A window of a minute is looked for with few probes, each at the end of a window that it may be; that they
 * are refused is no reason to pause, and none is spent later on what they have shown. */
static void test_few_probes_find_a_minute(void **state)
{
    struct governor g = fresh(256);
    int64_t now = 0;
    int probes = 0, late = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        while (governor_next(&g, now) > now)
            now = governor_next(&g, now);
        read_limit(&g, launch(&g, now), 10, 9 - i, now);
    }
    while (now < 60000) {
        int64_t at = governor_next(&g, now);

        if (at > now) {
            now = at;
            continue;
        }
        refuse(&g, launch(&g, now), -1, 0, now + 100);
        probes++;
        late += now > 31000;
        assert_int_equal(g.row, 0);
        assert_true(governor_next(&g, now + 100) < now + 300); /* asked again soon: nothing pauses */
        now += 100;
    }
    assert_in_range(probes, 4, 10);
    assert_int_equal(late, 0);
    assert_true(g.refused_after_ms > 27000);
}

static void test_release(void **state)
{
    struct governor g = fresh(256);

    (void)state;
    governor_release(&g, 5);
    assert_false(g.held);
    launch(&g, 10);
    refuse(&g, 0, 600000, 0, 2000);
    assert_int_equal(governor_next(&g, 2000), 602000);
    governor_release(&g, 3000);
    assert_true(g.held);
    launch(&g, 3000);
    assert_true(governor_next(&g, 3000) > 3000); /* one, not all */
}

static void test_clock_backwards(void **state)
{
    struct governor_options o = plain;
    struct governor g;
    int64_t at;

    (void)state;
    o.max_per_second = 1;
    governor_init(&g, &o);
    launch(&g, 1000000);
    assert_int_equal(governor_next(&g, 1000000), 1001000);
    at = governor_next(&g, 5000); /* must not wait for a million to come again */
    assert_in_range(at, 5001, 6000);
    g = fresh(256);
    refuse(&g, launch(&g, 1000000), 60000, 0, 1000000);
    assert_in_range(governor_next(&g, 5000), 5001, 65000);
}

static void test_reasons(void **state)
{
    struct governor_options o = plain;
    struct governor g = fresh(256);

    (void)state;
    assert_string_equal(governor_reason(&g), "max_concurrency");
    read_limit(&g, launch(&g, 0), 10, 9, 10);
    governor_next(&g, 11);
    assert_string_equal(governor_reason(&g), "paced by the server's rate limit");
    governor_ramp(&g);
    assert_string_equal(governor_reason(&g), "ramping up after a hold");
    o.max_per_second = 0.1;
    governor_init(&g, &o);
    assert_string_equal(governor_reason(&g), "paced by max_per_second");
    o.max_per_second = 1000;
    o.hint_limit = 60;
    o.hint_window_ms = 60000;
    governor_set_options(&g, &o);
    assert_string_equal(governor_reason(&g), "paced by the configured limit");
    g = held();
    assert_string_equal(governor_reason(&g), "rate limited, waiting");
    launch(&g, 2000);
    assert_string_equal(governor_reason(&g), "rate limited, one request probes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_retry_after_that_says_nothing),
        cmocka_unit_test(test_pauses_double),
        cmocka_unit_test(test_cap_bounds_the_pause),
        cmocka_unit_test(test_one_flight_is_one_refusal),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_probe_that_fails_otherwise_was_admitted),
        cmocka_unit_test(test_probe_is_proven_by_time),
        cmocka_unit_test(test_request_sent_since_ends_the_hold),
        cmocka_unit_test(test_withdrawn_probe_frees_its_place),
        cmocka_unit_test(test_withdrawn_probe_behind_older_slots),
        cmocka_unit_test(test_nothing_in_flight_means_no_probe),
        cmocka_unit_test(test_ramp),
        cmocka_unit_test(test_ramp_does_not_wait_for_slow_runs),
        cmocka_unit_test(test_few_probes_find_a_minute),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_clock_backwards),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
