/* What was learned, to text and back; whatever else lies there is not believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/ratememory.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const struct governor_memory whole = {
    .unix_ms = INT64_C(1764057600123),
    .limit = 10,
    .kind = BANK_SLIDING,
    .window_ms = 1000,
    .used = 7,
    .per_second = 9.75,
    .latency_ms = 8012.5,
    .refusal_ms = 200,
    .last_429_unix_ms = INT64_C(1764057000000),
    .closed_until_unix_ms = INT64_C(1764057700000),
};

static void test_there_and_back(void **state)
{
    (void)state;
    char text[RATE_MEMORY_SIZE], again[RATE_MEMORY_SIZE];
    struct governor_memory m;
    rate_memory_print(&whole, text);
    assert_string_equal(text, "1 1764057600123 10 2 1000 7 9750 8012500 200000 1764057000000 1764057700000");
    assert_true(rate_memory_parse(text, &m));
    rate_memory_print(&m, again);
    assert_string_equal(again, text);
    assert_true(m.per_second > 9.74 && m.per_second < 9.76 && m.latency_ms > 8012 && m.refusal_ms > 199);
}

static void test_numbers_that_are_none(void **state)
{
    (void)state;
    static const double bad[] = {-1, 1e300, -1e300, 0.0 / 0.0, 1 / 0.0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char text[RATE_MEMORY_SIZE];
        struct governor_memory m = whole;
        m.per_second = m.latency_ms = m.refusal_ms = bad[i];
        rate_memory_print(&m, text);
        assert_true(rate_memory_parse(text, &m));
        assert_true(m.per_second <= 0 && m.latency_ms <= 0 && m.refusal_ms <= 0);
    }
}

static void test_what_is_not_believed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "1",
        "limit 10",
        "2 1 10 2 1000 7 9750 8012500 200000 0 0",       /* another form */
        "1 1 10 2 1000 7 9750 8012500 200000 0",         /* too few */
        "1 1 10 2 1000 7 9750 8012500 200000 0 0 0",     /* too many */
        "1 1 10 2 1000 7 9750 8012500 200000 0 0 ",      /* something behind */
        "1 1 10 5 1000 7 9750 8012500 200000 0 0",       /* no such kind */
        "1 1 10 4294967296 1000 7 9750 8012500 1 0 0",   /* nor this */
        "1 1 -10 2 1000 7 9750 8012500 200000 0 0",      /* negative */
        "1 1 1e3 2 1000 7 9750 8012500 200000 0 0",      /* not whole */
        "1 1 10\t2 1000 7 9750 8012500 200000 0 0",      /* another blank */
        "1 99999999999999999999 10 2 1000 7 1 1 1 0 0",  /* too large */
        "1 9223372036854775807 10 2 1000 7 1 1 1 0 0",   /* and what could overflow */
        "1 1 10 2 1000 7 9750 8012500 200000 0 0\n1 1 1" /* lines */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct governor_memory m = whole;
        assert_false(rate_memory_parse(cases[i], &m));
        assert_true(m.limit == 0 && m.unix_ms == 0);
    }
}

static void test_names(void **state)
{
    (void)state;
    char a[RATE_NAME_SIZE], b[RATE_NAME_SIZE], c[RATE_NAME_SIZE], d[RATE_NAME_SIZE];
    rate_memory_name("https://host", "3fe3aa00bb11", a);
    rate_memory_name("https://host", "3fe3aa00bb11", b);
    rate_memory_name("https://host2", "3fe3aa00bb11", c);
    rate_memory_name("https://host", "3fe3aa00bb12", d);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    assert_string_not_equal(a, d);
    assert_int_equal(strncmp(a, "rate.", 5), 0);
    assert_non_null(strstr(a, ".3fe3aa00bb11"));
}

static void test_what_is_worth_keeping(void **state)
{
    (void)state;
    assert_false(rate_memory_says(&(struct governor_memory){.unix_ms = 1, .refusal_ms = 200}));
    assert_true(rate_memory_says(&(struct governor_memory){.limit = 10}));
    assert_true(rate_memory_says(&(struct governor_memory){.last_429_unix_ms = 1}));
    assert_true(rate_memory_says(&(struct governor_memory){.closed_until_unix_ms = 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),        cmocka_unit_test(test_numbers_that_are_none),
        cmocka_unit_test(test_what_is_not_believed),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_is_worth_keeping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
