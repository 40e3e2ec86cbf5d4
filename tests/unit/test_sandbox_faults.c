/* Fault rules: how they are written and when they fire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sandbox/faults.h"

static const struct {
    const char *text;
    enum fault_kind kind;
    bool charged;
    int64_t argument;
    double share;
    int64_t times, every;
} good[] = {
    {"500", FAULT_500, false, 0, 1, 0, 0},
    {"500:5%", FAULT_500, false, 0, 0.05, 0, 0},
    {"500:0.5%", FAULT_500, false, 0, 0.005, 0, 0},
    {"500:0%", FAULT_500, false, 0, 0, 0, 0},
    {"504:1/20", FAULT_504, false, 0, 1, 1, 20},
    {"504:charged", FAULT_504, true, 0, 1, 0, 0},
    {"504:charged:1/20", FAULT_504, true, 0, 1, 1, 20},
    {"502:25%:charged", FAULT_502, true, 0, 0.25, 0, 0},
    {"reset-before", FAULT_RESET_BEFORE, false, 0, 1, 0, 0},
    {"reset-after:3/7", FAULT_RESET_AFTER, true, 0, 1, 3, 7},
    {"cut:0/7", FAULT_CUT, true, 0, 1, 0, 7},
    {"drip", FAULT_DRIP, true, 30000, 1, 0, 0},
    {"drip:2s", FAULT_DRIP, true, 2000, 1, 0, 0},
    {"huge:64MiB", FAULT_HUGE, true, 67108864, 1, 0, 0},
    {"huge:64MiB:1%", FAULT_HUGE, true, 67108864, 0.01, 0, 0},
    {"huge-chunked:100", FAULT_HUGE_CHUNKED, true, 100, 1, 0, 0},
    {"redirect", FAULT_REDIRECT, false, 0, 1, 0, 0},
    {"not-http:100%", FAULT_NOT_HTTP, true, 0, 1, 0, 0},
};

static const char *const bad[] = {
    "",
    "none",
    "501",
    "500:",
    "500::5%",
    "500:5",
    "500:5%%",
    "500:101%",
    "500:-1%",
    "500:x%",
    "500:nan%",
    "500:1/0",
    "500:2/1",
    "500:1/",
    "500:/2",
    "500:-1/2",
    "500:1/2/3",
    "500:5%:5%",
    "500:5%:1/2",
    "401:charged",
    "cut:charged",
    "drip:0",
    "drip:x",
    "huge:0",
    "huge:1s",
    "huge:64MiB:64MiB",
    "500:charged:charged",
    "500:5%:charged:1/2",
    "500:1/1000000001",
    ":5%",
    "garbage-and-so-on-and-on-and-on-and-on:5%",
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct fault_rule r;
        struct fault fault;
        if (!fault_rule_parse(good[i].text, &r, &fault)) {
            fail_msg("%s: %s", good[i].text, fault.text);
        }
        bool same = r.kind == good[i].kind && r.charged == good[i].charged &&
                    r.argument == good[i].argument && r.times == good[i].times && r.every == good[i].every &&
                    r.seen == 0;
        if (!same || r.share < good[i].share - 1e-9 || r.share > good[i].share + 1e-9) {
            fail_msg("%s was read as something else", good[i].text);
        }
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fault_rule r;
        struct fault fault = {0};
        if (fault_rule_parse(bad[i], &r, &fault)) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_true(fault.text[0] != '\0');
    }
}

static int count_fires(const char *text, int requests, double step)
{
    struct fault_rule r;
    struct fault fault;
    int fires = 0;
    assert_true(fault_rule_parse(text, &r, &fault));
    double u = 0;
    for (int i = 0; i < requests; i++) {
        fires += fault_rule_fires(&r, u) ? 1 : 0;
        u += step;
        u -= u >= 1 ? 1 : 0;
    }
    assert_int_equal(r.seen, requests);
    return fires;
}

static void test_rates(void **state)
{
    (void)state;
    assert_int_equal(count_fires("500", 100, 0.01), 100);
    assert_int_equal(count_fires("500:100%", 100, 0.01), 100);
    assert_int_equal(count_fires("500:0%", 100, 0.01), 0);
    int fires = count_fires("500:5%", 10000, 0.0001);
    assert_true(fires >= 499 && fires <= 501);
    assert_int_equal(count_fires("500:1/20", 200, 0.37), 10);
    assert_int_equal(count_fires("500:3/7", 700, 0.37), 300);
    assert_int_equal(count_fires("500:0/7", 700, 0.37), 0);
    assert_int_equal(count_fires("500:7/7", 700, 0.37), 700);
}

/* 1/N is the N-th, not the first: a single request is left in peace. */
static void test_beat(void **state)
{
    (void)state;
    struct fault_rule r;
    struct fault fault;
    assert_true(fault_rule_parse("500:1/3", &r, &fault));
    static const bool wanted[] = {false, false, true, false, false, true, false};
    for (size_t i = 0; i < sizeof wanted; i++) {
        assert_int_equal(fault_rule_fires(&r, 0), wanted[i]);
    }
}

static void test_every_kind_has_a_name_that_is_read(void **state)
{
    (void)state;
    for (int kind = FAULT_NONE + 1; kind < FAULT_KIND_COUNT; kind++) {
        struct fault_rule r;
        struct fault fault;
        assert_true(fault_rule_parse(fault_kind_name((enum fault_kind)kind), &r, &fault));
        assert_int_equal(r.kind, kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_beat),
        cmocka_unit_test(test_every_kind_has_a_name_that_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
