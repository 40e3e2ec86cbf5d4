/* The pace of short windows: where it starts, its steps, when it falls back and what it stands. */
#include "governor_fixture.h"

static void test_pacer(void **state)
{
    struct pacer p = {.most = 0.02, .climbing = true};

    (void)state;
    pacer_set(&p, 1, 0);
    assert_true(p.rate == 0.02); /* never more than that */
    pacer_set(&p, 0.01, 0);
    pacer_climb(&p, 1000);
    assert_true(p.rate > 0.0104 && p.rate < 0.0106);
    pacer_climb(&p, 500); /* nothing for a time that is over */
    pacer_climb(&p, 100000);
    assert_true(p.rate < 0.0112); /* nor for idleness */
    assert_true(pacer_cut(&p, 100000, 100100));
    assert_false(p.climbing);
    assert_false(pacer_cut(&p, 100050, 100200)); /* of the same flight */
    for (int i = 0; i < 1000000; i++)
        pacer_cut(&p, 200000 + i, 200000 + i);
    assert_true(p.rate > 0);
    for (int i = 0; i < 10000000 && p.rate < p.most; i++)
        pacer_grow(&p);
    assert_true(p.rate == p.most);
}

/* So many in a row without a refusal: the rate is far below what may be, and the steps grow. */
static void test_pacer_hurries_where_nothing_is_refused(void **state)
{
    struct pacer p = {.most = 1};
    double before;
    int first, later = 0;

    (void)state;
    pacer_set(&p, 0.1, 0);
    for (int i = 1; i <= 6; i++)
        pacer_cut(&p, 1000 * i, 1000 * i);
    before = p.rate;
    for (first = 0; p.rate < 1.01 * before; first++)
        pacer_grow(&p);
    before = p.rate;
    for (; p.rate < 1.01 * before && later < first; later++)
        pacer_grow(&p);
    assert_in_range(first, 200, 500);
    assert_true(later < first / 2);
}

/* Where many are on their way, a flight of refusals is more than one refusal, but not everything. */
static void test_pacer_in_a_flight(void **state)
{
    struct pacer p = {.most = 1};
    double once;

    (void)state;
    pacer_set(&p, 0.1, 0);
    for (int i = 1; i <= 6; i++) /* the large cuts are over */
        pacer_cut(&p, 1000 * i, 1000 * i + 200);
    once = p.rate;
    assert_false(pacer_cut(&p, 6100, 6210));
    assert_true(p.rate < once);
    for (int i = 0; i < 1000; i++)
        pacer_cut(&p, 6100, 6210);
    assert_true(p.rate > 0.98 * once);
}

/* Twenty in the window, as an earlier run found out. */
static struct governor paced(int64_t window)
{
    struct governor_memory m = {1, 20, BANK_SLIDING, window, 0, 0, 8000, 200, 0, 0};
    struct governor g = fresh(256);

    governor_recall(&g, &m, 1);
    governor_next(&g, 1);
    assert_int_equal(g.mode, GOVERNOR_PACING);
    return g;
}

static void test_starts_pacing_at_the_best_guess(void **state)
{
    struct governor g = paced(1000);

    (void)state;
    assert_true(g.pacer.rate > 0.019 && g.pacer.rate < 0.02);
    g = paced(2000);
    assert_true(g.pacer.rate > 0.0095 && g.pacer.rate < 0.01);
}

/* Sends `count` more, of which every second is refused; returns the time. */
static int64_t send_refusing_half(struct governor *g, int count, int64_t now)
{
    for (int i = 0; i < count; i++) {
        now = send_more(g, 1, now);
        if (i % 2 == 0)
            refuse(g, g->log.next - 1, -1, 0, now);
    }
    return now;
}

static void test_falls_back_where_the_window_is_longer(void **state)
{
    struct governor g = paced(1000);
    int64_t now = send_refusing_half(&g, 60, send_more(&g, 40, 10));

    (void)state;
    assert_true(g.pacer.rate < 0.014); /* far below what a second allows */
    assert_true(g.pacer.rate > 0.004);
    assert_true(now < 12000);
}

static void test_limit_that_refusals_told_before(void **state)
{
    struct governor g = paced(1000);
    int64_t now = send_refusing_half(&g, 60, send_more(&g, 40, 10));
    double rate = g.pacer.rate;

    (void)state;
    read_limit(&g, g.log.next - 2, 7, 0, now + 10);
    read_limit(&g, g.log.next - 1, 7, 0, now + 20);
    assert_int_equal(g.limit_in_force, 7);
    assert_true(g.pacer.rate > 0.6 * rate); /* not cut to a third once more */
}

/* While everything is refused there is nothing to learn about the pace. */
static void test_pace_outlives_a_storm(void **state)
{
    struct governor g = paced(1000);
    int64_t now = send_more(&g, 40, 10);
    double rate = g.pacer.rate;

    (void)state;
    for (int i = 0; i < 40 && g.row < 6; i++) {
        now = send_more(&g, 1, now);
        refuse(&g, g.log.next - 1, -1, 0, now);
    }
    assert_int_equal(g.mode, GOVERNOR_PACING);
    assert_true(g.pause_until_ms > now);
    assert_true(g.pacer.rate < 0.95 * rate);
    now = send_more(&g, 1, now);
    succeed(&g, g.log.next - 1, now + 1000);
    assert_true(g.pacer.rate == rate);
}

/* Once the window turns out to be the shorter one, the pace that began with the longer is not kept. */
static void test_climbs_when_far_below_the_limit(void **state)
{
    struct governor g = paced(1000);
    int64_t now = send_more(&g, 40, 10);

    (void)state;
    g.pacer.climbing = false;
    pacer_set(&g.pacer, 0.008, now);
    now = send_more(&g, 20, now);
    assert_true(g.pacer.rate < 0.0082);
    now = send_more(&g, 100, now);
    assert_true(g.pacer.rate > 0.010);
}

/* Replies take long; what was not refused in between was admitted. */
static void test_refusals_apart_are_no_row(void **state)
{
    struct governor g = paced(1000);
    int64_t now = 10;

    (void)state;
    for (int i = 0; i < 20; i++) {
        now = send_more(&g, 12, now);
        refuse(&g, g.log.next - 1, -1, 0, now);
    }
    assert_int_equal(g.row, 1);
    assert_true(g.pause_until_ms <= now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pacer),
        cmocka_unit_test(test_pacer_hurries_where_nothing_is_refused),
        cmocka_unit_test(test_pacer_in_a_flight),
        cmocka_unit_test(test_starts_pacing_at_the_best_guess),
        cmocka_unit_test(test_falls_back_where_the_window_is_longer),
        cmocka_unit_test(test_limit_that_refusals_told_before),
        cmocka_unit_test(test_pace_outlives_a_storm),
        cmocka_unit_test(test_climbs_when_far_below_the_limit),
        cmocka_unit_test(test_refusals_apart_are_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
