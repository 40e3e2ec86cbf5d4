/* The governor's hypotheses: each recognises its own limiter, and evidence rules the others out. */
#include "governor_fixture.h"

static struct bank b;
static struct send_log l;

static void open_bank(double limit)
{
    bank_init(&b);
    b.wall_ms = 1700000000000;
    send_log_init(&l, 0);
    bank_set_limit(&b, &l, limit);
}

static uint64_t add(int64_t now)
{
    uint64_t number = send_log_add(&l, now);

    bank_sent(&b, &l);
    return number;
}

static int model(enum bank_kind kind, int64_t window_ms)
{
    for (int i = 0; i < BANK_MODELS; i++)
        if (bank_kind(i) == kind && bank_window_ms(i) == window_ms)
            return i;
    fail_msg("no such window");
    return -1;
}

/* What a perfect limiter of 60 per minute says is used by sends every `step` ms,
 * all of which it admits, from the first of them on. */
static int used_by(enum bank_kind kind, int64_t start, int64_t now, int64_t step)
{
    int64_t window = 60000, wall = 1700000000000, turned = (now + wall) / window * window - wall;
    int sent = 0, previous = 0;
    double level = 0;

    for (int64_t t = start; t <= now; t += step) {
        level = (level > (double)step / 1000 ? level - (double)step / 1000 : 0) + 1;
        if (kind == BANK_LOG     ? t > now - window
            : kind == BANK_FIRST ? (t - start) / window == (now - start) / window
                                 : t >= turned)
            sent++;
        else if (kind == BANK_SLIDING && t >= turned - window)
            previous++;
    }
    if (kind == BANK_TOKEN)
        return (int)level;
    return sent + (int)((double)previous * (double)(turned + window - now) / (double)window);
}

/* Bursts and pauses tell kinds apart; a steady pace alone would not. */
/* (A bucket that refills faster than we send looks like any other such.) */
static void test_each_kind_recognises_itself(void **state)
{
    (void)state;
    for (int kind = 0; kind < BANK_KINDS; kind++) {
        int right = model((enum bank_kind)kind, 60000);

        open_bank(60);
        for (int64_t t = 7000; t < 400000; t += 1200) {
            uint64_t number = add(t);

            bank_reading(&b, &l, number, 60, 60 - used_by((enum bank_kind)kind, 7000, t, 1200), t + 3000);
        }
        assert_true(b.plausible[right]);
        assert_true(b.error[right] < 3);
        assert_true(bank_fits(&b));
        for (int w = 0; w < BANK_WINDOWS; w++)
            if ((bank_windows_ms[w] < 30000 && kind != BANK_TOKEN) || bank_windows_ms[w] > 120000)
                assert_false(b.plausible[w * BANK_KINDS + kind]);
        assert_in_range(bank_longest_ms(&b), 60000, 120000);
        assert_in_range(bank_shortest_ms(&b), kind == BANK_TOKEN ? 1000 : 30000, 60000);
    }
}

static void test_a_refused_probe_rules_out(void **state)
{
    uint64_t number;
    struct bank_advice a;

    (void)state;
    open_bank(10);
    for (int i = 0; i < 10; i++)
        add(100 * i);
    a = bank_ask(&b, &l, 0, 10, 1000);
    assert_true(a.room < 0); /* by the longer ones */
    a = bank_ask(&b, &l, 0, 10, 12000);
    assert_true(a.room < 0);
    assert_true(a.most_room >= 0); /* ten seconds would be over */
    assert_true(a.group_room >= 0);
    number = add(12000);
    bank_uncount(&b, &l, number);
    send_log_refused(&l, number);
    bank_refused(&b, &l, number, BANK_PROBE, 12200);
    assert_false(b.plausible[model(BANK_FIRST, 10000)]);
    assert_false(b.plausible[model(BANK_LOG, 5000)]);
    assert_true(b.banned_until[model(BANK_LOG, 5000)] > 12200);
    assert_true(b.plausible[model(BANK_LOG, 60000)]);
    assert_true(b.plausible[model(BANK_TOKEN, 86400000)]);
    for (int i = 0; i < 10; i++)
        bank_refused(&b, &l, number, BANK_PROBE, 12200);
    assert_int_equal(b.strikes[model(BANK_LOG, 5000)], 3);
}

static void test_an_admitted_probe_rules_out(void **state)
{
    (void)state;
    open_bank(10);
    for (int i = 0; i < 10; i++)
        add(100 * i);
    for (int i = 0; i < 3; i++)
        bank_admitted(&b, &l, add(12000 + 200 * i));
    assert_true(b.plausible[model(BANK_LOG, 10000)]);
    assert_false(b.plausible[model(BANK_LOG, 60000)]);
    assert_false(b.plausible[model(BANK_TOKEN, 86400000)]);
}

/* The server turns its window 300 ms after our clock says so, which its readings tell: the old window is
 * waited for to its end, and a clock that was set is learned anew. */
static void test_the_difference_of_the_clocks_is_learned(void **state)
{
    static const int64_t after[] = {350, 900, 1500, 2000, 2600};
    int right = model(BANK_FIXED, 10000);

    (void)state;
    open_bank(5);
    bank_remember(&b, BANK_FIXED, 10000, 0);
    bank_reading(&b, &l, add(200), 5, 4, 1000);
    for (int i = 0; i < 5; i++)
        bank_reading(&b, &l, add(after[i]), 5, 4 - i, 3000);
    assert_int_equal(b.best, right);
    assert_true(b.error[right] < 0.1);
    assert_true(bank_ask(&b, &l, 0, 5, 10280).room < 0);
    assert_true(bank_ask(&b, &l, 0, 5, 10620).room >= 0);
    assert_true(b.band_error[3][0][BANK_BANDS - 1] > b.error[right] + 1);
    bank_set_wall(&b, b.wall_ms + 3);
    assert_true(b.band_error[3][0][BANK_BANDS - 1] > b.error[right] + 1);
    bank_set_wall(&b, b.wall_ms + 5000);
    assert_true(b.band_error[3][0][BANK_BANDS - 1] <= b.error[right]);
}

static void test_others_use_some(void **state)
{
    int right = model(BANK_LOG, 60000), fixed = model(BANK_FIXED, 60000);
    double room;

    (void)state;
    open_bank(60);
    for (int64_t t = 0; t < 120000; t += 1500)
        bank_reading(&b, &l, add(t), 60, 60 - (t < 60000 ? (double)(t / 1500) : 40) - 12, t);
    assert_true(b.other[right] > 8 && b.other[right] < 14);
    room = bank_ask(&b, &l, 0, 60, 120000).room;
    assert_true(room >= 0 && room < 20);
    assert_true(bank_ask(&b, &l, 3, 60, 120000).room < room); /* those on their way count */
    assert_true(bank_ask(&b, &l, 0, 30, 120000).room < 0);    /* our share is less */
    bank_ask(&b, &l, 0, 60, 300000);                          /* nothing seen for long: let go */
    bank_ask(&b, &l, 0, 60, 400000);
    assert_true(b.other[right] < 1);
    assert_true(b.other[fixed] < 1);
}

static void test_refusals_widen_the_margin(void **state)
{
    uint64_t number;
    double error;

    (void)state;
    open_bank(60);
    for (int i = 0; i < 5; i++)
        number = add(1000 * i);
    bank_refused(&b, &l, number, BANK_UNEXPECTED, 5000);
    assert_true(b.margin > 0);
    error = b.error[b.best];
    bank_refused(&b, &l, number, BANK_AGAIN, 5000); /* of the same flight: nothing new */
    assert_true(b.error[b.best] == error);
    for (int i = 0; i < 1000; i++)
        bank_refused(&b, &l, number, BANK_UNEXPECTED, 5000);
    assert_true(b.margin <= 12);
    for (int i = 0; i < 1000; i++)
        add(6000);
    assert_true(b.margin == 0);
    bank_doubt(&b);
    assert_true(b.error[b.best] < 0.3 * 3000);
}

static void test_what_no_limiter_does_fits_none(void **state)
{
    (void)state;
    open_bank(60);
    for (int64_t t = 0; t < 400000; t += 1000)
        bank_reading(&b, &l, add(t), 60, t / 1000 % 2 ? 60 : 0, t);
    assert_false(bank_fits(&b));
}

static void test_buckets_follow_the_limit(void **state)
{
    (void)state;
    open_bank(60);
    for (int i = 0; i < 100; i++)
        add(1000 * i);
    assert_true(b.level[7] < 2); /* one a second is what it refills */
    bank_set_limit(&b, &l, 6);
    assert_true(b.level[7] > 85);
    bank_uncount(&b, &l, 99);
    assert_true(b.level[7] < 90.2);
}

static void test_remembered(void **state)
{
    (void)state;
    open_bank(60);
    bank_remember(&b, BANK_SLIDING, 60000, 20);
    assert_int_equal(b.best, model(BANK_SLIDING, 60000));
    assert_int_equal(bank_longest_ms(&b), 60000);
    assert_in_range(bank_ask(&b, &l, 0, 60, 0).room, 30, 40);
    bank_remember(&b, BANK_SLIDING, 1000, 0);
    assert_true(b.plausible[model(BANK_LOG, 1000)]); /* of short ones the kind is not believed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_recognises_itself),
        cmocka_unit_test(test_a_refused_probe_rules_out),
        cmocka_unit_test(test_an_admitted_probe_rules_out),
        cmocka_unit_test(test_the_difference_of_the_clocks_is_learned),
        cmocka_unit_test(test_others_use_some),
        cmocka_unit_test(test_refusals_widen_the_margin),
        cmocka_unit_test(test_what_no_limiter_does_fits_none),
        cmocka_unit_test(test_buckets_follow_the_limit),
        cmocka_unit_test(test_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
