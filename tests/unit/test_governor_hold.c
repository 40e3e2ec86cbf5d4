/* The governor after a 429: backoff, Retry-After, the probe, the ramp. */
#include "governor_fixture.h"

/* Held since 1000 with one older request in flight (seq 1); the next may go at 1001. */
static struct governor held(void)
{
    struct governor g = fresh(256);

    launch(&g, 0);
    launch(&g, 0);
    refuse(&g, 0, -1, 0, 1000);
    assert_true(g.held);
    assert_int_equal(g.closed_until_ms, 1001);
    return g;
}

static void test_backoff_doubles(void **state)
{
    static const int64_t most[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
    struct governor g = fresh(256);
    int64_t now = 0;

    (void)state;
    for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
        struct governor low;
        uint64_t seq = launch(&g, now);

        low = g;
        refuse(&low, seq, -1, 0, now + 200);
        assert_int_equal(low.closed_until_ms, now + 201);
        refuse(&g, seq, -1, (uint64_t)most[i] - 1, now + 200);
        assert_int_equal(g.closed_until_ms, now + 200 + most[i]);
        assert_int_equal(g.holds, i + 1);
        assert_int_equal(g.last_429_ms, now + 200);
        assert_true(governor_next(&g, g.closed_until_ms - 1) > g.closed_until_ms - 1);
        now = governor_next(&g, now + 200);
    }
    assert_int_equal(g.refused_total, sizeof most / sizeof most[0]);
}

static void test_retry_after(void **state)
{
    static const struct {
        const char *name;
        int64_t retry_after;
        uint64_t random;
        int holds; /* refusals before it */
        int64_t wait;
    } cases[] = {
        {"wins over a shorter backoff", 5000, 0, 0, 5000},
        {"wins over a longer one", 50, 0, 6, 50},
        {"jitter is added", 5000, 500, 0, 5500},
        {"and is a tenth at most", 5000, 501, 0, 5000},
        {"at most an hour", 7200000, 0, 0, 3600000},
        {"for ever is an hour", INT64_MAX, 360000, 0, 3960000},
        {"0 is now", 0, 7, 0, 0},
        {"0 again and again is not believed", 0, 7, 1, 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct governor g = fresh(256);
        int64_t now = 0;

        for (int k = 0; k < cases[i].holds; k++) {
            now = governor_next(&g, now);
            now = now < 0 ? 0 : now;
            refuse(&g, launch(&g, now), -1, 0, now);
        }
        now = governor_next(&g, now) > now ? governor_next(&g, now) : now;
        refuse(&g, launch(&g, now), cases[i].retry_after, cases[i].random, now);
        if (g.closed_until_ms != now + cases[i].wait)
            fail_msg("%s: waits %d ms", cases[i].name, (int)(g.closed_until_ms - now));
    }
}

static void test_one_flight_is_one_refusal(void **state)
{
    struct governor g = fresh(256);
    double rate;

    (void)state;
    for (int i = 0; i < 6; i++)
        launch(&g, 0);
    refuse(&g, 0, -1, 499, 200);
    rate = g.rate;
    assert_true(rate > 0);
    refuse(&g, 1, -1, 999, 210);
    assert_int_equal(g.closed_until_ms, 700);
    refuse(&g, 2, 100, 0, 220); /* less patience than we have */
    assert_int_equal(g.closed_until_ms, 700);
    refuse(&g, 3, 3000, 0, 230); /* more */
    assert_int_equal(g.closed_until_ms, 3230);
    assert_int_equal(g.holds, 1);
    assert_int_equal(g.refused_total, 4);
    assert_true(g.rate == rate);
    end(&g, 4, 300); /* sent before the hold: proves nothing about now */
    succeed(&g, 5, 300);
    assert_true(g.held);
    assert_int_equal(governor_next(&g, 300), 3230);
}

static void test_late_refusal_of_an_old_flight(void **state)
{
    struct governor g = held();
    double rate;

    (void)state;
    succeed(&g, launch(&g, 1001), 1100);
    assert_false(g.held);
    rate = g.rate;
    refuse(&g, 1, -1, 0, 1200);
    assert_false(g.held); /* the hold that is over was for it too */
    assert_int_equal(g.refused_total, 2);

    g = held();
    succeed(&g, launch(&g, 1001), 1100);
    refuse(&g, 1, 5000, 0, 1200);
    assert_true(g.held); /* it asks for patience, but lowers nothing */
    assert_int_equal(g.closed_until_ms, 6200);
    assert_true(g.rate == rate);
}

static void test_a_new_flight_lowers_the_rate(void **state)
{
    struct governor g = held();
    double rate = g.rate;

    (void)state;
    succeed(&g, launch(&g, 1001), 1100);
    refuse(&g, launch(&g, 5000), -1, 0, 5100);
    assert_true(g.held);
    assert_true(g.rate < 0.81 * rate && g.rate > 0.79 * rate);
}

static void test_probe(void **state)
{
    struct governor g = held();
    uint64_t probe;

    (void)state;
    assert_int_equal(governor_cap(&g), 1);
    governor_admit(&g, 1001);
    assert_int_equal(governor_next(&g, 99999), GOVERNOR_ON_COMPLETION); /* not even sent yet */
    probe = governor_sent(&g, 1500);
    assert_int_equal(governor_next(&g, 1500), 1500 + GOVERNOR_PROOF_MS);
    refuse(&g, probe, -1, 1999, 1700);
    assert_int_equal(governor_next(&g, 1700), 3700);
    assert_int_equal(g.holds, 2);
    succeed(&g, launch(&g, 3700), 3800);
    assert_false(g.held);
    assert_int_equal(g.holds, 0);
    assert_int_equal(g.ramp, 2);
}

static void test_probe_that_fails_otherwise_was_admitted(void **state)
{
    struct governor g = held();

    (void)state;
    end(&g, launch(&g, 1001), 1100);
    assert_false(g.held);
    assert_int_equal(g.ramp, 1);
}

static void test_probe_is_proven_by_time(void **state)
{
    struct governor g = held();
    uint64_t probe = launch(&g, 1001);

    (void)state;
    assert_true(governor_next(&g, 3000) > 3000);
    launch(&g, 3001);
    assert_false(g.held);
    assert_int_equal(g.ramp, 2);
    assert_int_equal(g.in_flight, 3);
    assert_int_equal(governor_cap(&g), 3);
    succeed(&g, probe, 3002); /* one of the new ones, though it was sent before the hold was over */
    assert_int_equal(g.ramp_older, 1);
    assert_int_equal(governor_cap(&g), 5);

    g = held();
    probe = launch(&g, 1001);
    launch(&g, 3001);
    refuse(&g, probe, -1, 0, 3002); /* proven wrong: a hold like any other */
    assert_true(g.held);
}

static void test_request_sent_since_ends_the_hold(void **state)
{
    struct governor g = fresh(256);
    uint64_t since;

    (void)state;
    launch(&g, 0);
    governor_admit(&g, 0); /* its intent is being committed while the 429 comes */
    refuse(&g, 0, -1, 999, 200);
    since = governor_sent(&g, 210);
    assert_false(g.probing);
    succeed(&g, since, 300);
    assert_false(g.held);
}

static void test_refusal_of_a_straggler_is_the_same_flight(void **state)
{
    struct governor g = fresh(256);
    uint64_t since;

    (void)state;
    launch(&g, 0);
    governor_admit(&g, 0);
    refuse(&g, 0, -1, 99, 200);
    since = governor_sent(&g, 210);
    launch(&g, 1100);
    refuse(&g, since, -1, 0, 1150);
    assert_true(g.probing);
    assert_int_equal(g.holds, 1);
}

static void test_stragglers_are_not_counted_for_ever(void **state)
{
    struct governor g = fresh(256);
    uint64_t since, probe;

    (void)state;
    launch(&g, 0);
    governor_admit(&g, 0);
    refuse(&g, 0, -1, 99, 200);
    since = governor_sent(&g, 210);
    probe = launch(&g, 1100);
    end(&g, probe, 1200);
    end(&g, since, 1300);
    assert_int_equal(g.ramp_older, 0);
    assert_int_equal(governor_cap(&g), 1);
}

static void test_withdrawn_probe_frees_its_place(void **state)
{
    struct governor g = held();

    (void)state;
    governor_admit(&g, 1001);
    assert_true(g.probing);
    governor_withdraw(&g, 1002);
    assert_false(g.probing);
    assert_true(g.held);
    assert_true(governor_next(&g, 2001) <= 2001);
}

static void test_withdrawn_probe_behind_older_slots(void **state)
{
    struct governor g = fresh(256);

    (void)state;
    launch(&g, 0);
    governor_admit(&g, 0);
    governor_admit(&g, 0);
    refuse(&g, 0, -1, 0, 100);
    governor_admit(&g, 1000); /* the probe, third in the queue to the wire */
    governor_sent(&g, 1001);
    assert_false(g.probe_on_wire);
    governor_withdraw(&g, 1002); /* of the other two: which one is not known */
    assert_true(g.probing);
    governor_withdraw(&g, 1003);
    assert_false(g.probing);
    assert_int_equal(g.in_flight, 1);
    assert_true(governor_next(&g, 9999) <= 9999);
}

static void test_nothing_in_flight_means_no_probe(void **state)
{
    struct governor g = held();
    uint64_t probe = launch(&g, 1001);

    (void)state;
    succeed(&g, 1, 1010);
    governor_withdraw(&g, 1020); /* against the rules: it was sent */
    assert_int_equal(g.in_flight, 0);
    assert_true(governor_next(&g, 2001) <= 2001);
    governor_withdraw(&g, 1030); /* and once too often */
    refuse(&g, probe, -1, 0, 1040);
    assert_int_equal(g.in_flight, 0);
    assert_int_equal(g.pending, 0);
}

static void test_ramp(void **state)
{
    struct governor g = fresh(8);
    uint64_t first;

    (void)state;
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
    launch(&g, 8000 - 1);
    launch(&g, 8000);
    launch(&g, 8000);
    assert_int_equal(governor_next(&g, 8000), GOVERNOR_ON_COMPLETION);
}

static void test_ramp_of_one(void **state)
{
    struct governor g = fresh(1);

    (void)state;
    governor_ramp(&g);
    succeed(&g, launch(&g, 0), 10);
    assert_int_equal(g.ramp, 0);
}

static void test_release(void **state)
{
    struct governor g = fresh(256);

    (void)state;
    governor_release(&g, 5);
    assert_false(g.held);
    launch(&g, 0);
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

    (void)state;
    o.max_per_second = 1;
    governor_init(&g, &o);
    launch(&g, 1000000);
    assert_int_equal(governor_next(&g, 1000000), 1001000);
    launch(&g, 5000); /* must not wait for a million to come again */
    assert_int_equal(governor_next(&g, 5000), 6000);

    g = fresh(256);
    launch(&g, 1000000);
    refuse(&g, 0, 60000, 0, 1000000);
    launch(&g, 5000);
    assert_true(g.probing);
    assert_int_equal(governor_next(&g, 4000), GOVERNOR_ON_COMPLETION); /* its age is not known */
}

static void test_reasons(void **state)
{
    struct governor_options o = plain;
    struct governor g = fresh(256);

    (void)state;
    assert_string_equal(governor_reason(&g), "max_concurrency");
    read_limit(&g, launch(&g, 0), 10, 9, 10);
    assert_string_equal(governor_reason(&g), "paced by the server's rate limit");
    o.max_per_second = 0.1;
    governor_set_options(&g, &o);
    assert_string_equal(governor_reason(&g), "paced by max_per_second");
    o.max_per_second = 1000;
    o.hint_limit = 60;
    o.hint_window_ms = 60000;
    governor_set_options(&g, &o);
    assert_string_equal(governor_reason(&g), "paced by the configured limit");
    governor_ramp(&g);
    assert_string_equal(governor_reason(&g), "ramping up after a hold");
    g = held();
    assert_string_equal(governor_reason(&g), "rate limited, waiting");
    launch(&g, 1001);
    assert_string_equal(governor_reason(&g), "rate limited, one request probes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff_doubles),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_one_flight_is_one_refusal),
        cmocka_unit_test(test_late_refusal_of_an_old_flight),
        cmocka_unit_test(test_a_new_flight_lowers_the_rate),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_probe_that_fails_otherwise_was_admitted),
        cmocka_unit_test(test_probe_is_proven_by_time),
        cmocka_unit_test(test_request_sent_since_ends_the_hold),
        cmocka_unit_test(test_refusal_of_a_straggler_is_the_same_flight),
        cmocka_unit_test(test_stragglers_are_not_counted_for_ever),
        cmocka_unit_test(test_withdrawn_probe_frees_its_place),
        cmocka_unit_test(test_withdrawn_probe_behind_older_slots),
        cmocka_unit_test(test_nothing_in_flight_means_no_probe),
        cmocka_unit_test(test_ramp),
        cmocka_unit_test(test_ramp_does_not_wait_for_slow_runs),
        cmocka_unit_test(test_ramp_of_one),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_clock_backwards),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
