/* The governor for people, headers for the governor, and what outlives a restart. */
#include "governor_fixture.h"

#include <string.h>

#include "core/learned.h"

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
        {"0", "0", true, 0, 0},
        {NULL, "9", false, 0, 0},
        {"10", NULL, false, 0, 0},
        {NULL, NULL, false, 0, 0},
        {"", "", false, 0, 0},
        {" ", "1", false, 0, 0},
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

static const char *words(const struct governor *g, int64_t now)
{
    static char text[LEARNED_WORDS_SIZE];
    const struct learned l = learned_of(g, now);

    return learned_words(&l, false, text);
}

/* Sends every 120 ms, each answered at once with what is used of 10 in a second. */
static int64_t learn(struct governor *g, int64_t now, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t seq;

        now += 120;
        governor_next(g, now);
        governor_admit(g, now);
        seq = governor_sent(g, now);
        read_limit(g, seq, 10, i < 8 ? 9 - i : 2, now + 10);
    }
    return now + 10;
}

static void test_describe(void **state)
{
    struct governor_options o = plain;
    struct governor g = fresh(256);
    struct governor_view v;
    int64_t now;

    (void)state;
    assert_string_equal(words(&g, 0), "no limit known");
    read_limit(&g, launch(&g, 0), 0, 0, 10);
    governor_next(&g, 11);
    assert_string_equal(words(&g, 11), "the server sets no limit");
    read_limit(&g, launch(&g, 5990), 10, 9, 6000);
    assert_string_equal(words(&g, 6000), "limit 10, learned 6s after start from 1 reply");
    now = learn(&g, 6000, 40);
    governor_next(&g, now);
    governor_look(&g, now, &v);
    assert_int_equal(v.window_ms, 1000);
    assert_non_null(v.kind);
    assert_int_equal(v.readings, 41);
    assert_int_equal(v.known_for_ms, now - 6000);
    assert_int_equal(v.last_429_ago_ms, -1);
    assert_true(v.per_second > 4 && v.per_second <= 10);
    g.pacer.most = 0.0098; /* has climbed until it was refused */
    g.pacer.rate = 0.0097;
    refuse(&g, launch(&g, now + 200), -1, 0, now + 300);
    now += 300;
    assert_non_null(
        strstr(words(&g, now + 720000), "limit 10 per 1s, learned 6s after start from 41 replies; "));
    assert_non_null(strstr(words(&g, now + 720000), " per second now; last 429 12m ago"));
    o.hint_limit = 60;
    o.hint_window_ms = 60000;
    governor_init(&g, &o);
    governor_next(&g, 0);
    assert_string_equal(words(&g, 0), "limit 60 per 1m, as configured; 1.00 per second now");
}

/* A clock that goes back stands still for the governor; the 429 keeps its distance from now. */
static void test_last_429_when_the_clock_goes_back(void **state)
{
    struct governor g = fresh(256);
    struct governor_memory m;
    struct governor_view v;

    (void)state;
    governor_set_wall(&g, 1000000);
    refuse(&g, launch(&g, 100000), -1, 0, 100200);
    governor_next(&g, 50200);
    governor_set_wall(&g, 1050000);
    governor_next(&g, 60200);
    governor_look(&g, 60200, &v);
    assert_int_equal(v.last_429_ago_ms, 10000);
    governor_memorize(&g, 60200, &m);
    assert_int_equal(m.unix_ms, 1110200);
    assert_int_equal(m.unix_ms - m.last_429_unix_ms, 10000);
}

static void test_hypotheses(void **state)
{
    struct governor g = fresh(256);
    int plausible = 0, best = 0;

    (void)state;
    assert_false(governor_hypothesis(&g, 0).plausible);
    learn(&g, 0, 60);
    for (int i = 0; i < BANK_MODELS; i++) {
        struct governor_hypothesis h = governor_hypothesis(&g, i);

        assert_non_null(h.kind);
        plausible += h.plausible;
        best += h.best;
        if (h.window_ms > 5000)
            assert_false(h.plausible);
    }
    assert_int_equal(best, 1);
    assert_in_range(plausible, 1, 10);
}

static void test_memory(void **state)
{
    struct governor g = fresh(256), h = fresh(256);
    struct governor_memory m, nothing = {0};
    int64_t now;

    (void)state;
    governor_set_wall(&g, 1700000000000);
    governor_set_wall(&h, 1700000000000 + 500000);
    governor_memorize(&g, 0, &m);
    assert_int_equal(m.limit, 0);
    governor_recall(&h, &m, 0);
    assert_int_equal(h.limit_in_force, 0);
    now = learn(&g, 0, 60);
    governor_next(&g, now);
    g.pacer.climbing = false;
    g.pacer.rate = 0.0097;
    governor_memorize(&g, now, &m);
    assert_int_equal(m.limit, 10);
    assert_int_equal(m.window_ms, 1000);
    assert_int_equal(m.unix_ms, 1700000000000 + now);
    governor_recall(&h, &m, 0);
    assert_int_equal(h.limit_in_force, 10);
    assert_int_equal(h.mode, GOVERNOR_PACING);
    assert_true(h.pacer.rate > 0.005);
    assert_non_null(strstr(words(&h, 0), "limit 10 per 1s, from an earlier run; "));
    read_limit(&h, launch(&h, 10), 50, 49, 100); /* another limit: believed at once */
    assert_int_equal(h.limit_in_force, 50);
    governor_recall(&h, &nothing, 0); /* not of today */
    assert_int_equal(h.limit_in_force, 50);
}

static void test_memory_that_makes_no_sense(void **state)
{
    static const struct governor_memory good = {1700000000000, 60, BANK_FIXED, 60000, 30, 0, 8000, 200, 0, 0};
    struct governor_memory m;
    struct governor g;

    (void)state;
    for (int i = 0; i < 9; i++) {
        m = good;
        m.limit = i == 0 ? 0 : i == 1 ? INT64_MAX : m.limit;
        m.kind = i == 2 ? -1 : i == 3 ? BANK_KINDS : m.kind;
        m.window_ms = i == 4 ? 61000 : m.window_ms;
        m.used = i == 5 ? -1 : m.used;
        m.per_second = i == 6 ? -1.0 : m.per_second;
        m.unix_ms += i == 7 ? 1000000 : i == 8 ? -2 * 86400000LL : 0;
        g = fresh(8);
        governor_set_wall(&g, good.unix_ms + 1000);
        governor_recall(&g, &m, 0);
        assert_int_equal(g.limit_in_force, 0);
    }
    m = good;
    m.unix_ms = INT64_MIN;
    governor_recall(&g, &m, 0);
    assert_int_equal(g.limit_in_force, 0);
}

static void test_memory_of_a_window_in_use(void **state)
{
    static const struct {
        int kind;
        int64_t age;
        double least, most;
    } cases[] = {
        {BANK_FIXED, 1000, 30, 30},  {BANK_FIXED, 40000, 0, 0}, /* turned over at 20 s past the minute */
        {BANK_LOG, 30000, 14, 16},   {BANK_SLIDING, 61000, 0, 0},
        {BANK_FIRST, 59000, 30, 30}, {BANK_TOKEN, 15000, 22, 23},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct governor_memory m = {1700000000000, 60, cases[i].kind, 60000, 30, 0, 8000, 200, 0, 0};
        struct governor g = fresh(256);

        governor_set_wall(&g, m.unix_ms + cases[i].age);
        governor_recall(&g, &m, 0);
        assert_int_equal(g.limit_in_force, 60);
        if (g.bank.other[g.bank.best] < cases[i].least || g.bank.other[g.bank.best] > cases[i].most)
            fail_msg("case %d: %f", (int)i, g.bank.other[g.bank.best]);
    }
}

static void test_memory_of_a_hold(void **state)
{
    struct governor g = fresh(256), h = fresh(256);
    struct governor_memory m;

    (void)state;
    governor_set_wall(&g, 1700000000000);
    governor_set_wall(&h, 1700000000000);
    refuse(&g, launch(&g, 0), 600000, 0, 1000);
    governor_memorize(&g, 2000, &m);
    assert_int_equal(m.closed_until_unix_ms, 1700000000000 + 601000);
    assert_int_equal(m.last_429_unix_ms, 1700000000000 + 1000);
    governor_recall(&h, &m, 100000);
    assert_true(h.held);
    assert_int_equal(governor_next(&h, 100000), 601000);
    h = fresh(256);
    governor_set_wall(&h, 1700000000000);
    m.closed_until_unix_ms += 100 * 86400000LL; /* longer than any hold lasts */
    governor_recall(&h, &m, 100000);
    assert_false(h.held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_headers),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_last_429_when_the_clock_goes_back),
        cmocka_unit_test(test_hypotheses),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_that_makes_no_sense),
        cmocka_unit_test(test_memory_of_a_window_in_use),
        cmocka_unit_test(test_memory_of_a_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
