#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/units.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define BAD      INT64_MIN /* in a table: must be refused */

struct number_case {
    const char *text;
    int64_t expected;
};

static void check(bool (*parse)(const char *, int64_t *), const struct number_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t got = BAD;
        bool ok = parse(cases[i].text, &got);
        if (ok != (cases[i].expected != BAD) || got != cases[i].expected)
            fail_msg("'%s': %s %lld", cases[i].text, ok ? "gives" : "is refused,", (long long)got);
    }
}

static void test_durations(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"0", 0},
        {"0s", 0},
        {"300ms", 300},
        {"10s", 10000},
        {"5m", 300000},
        {"8h", 28800000},
        {"9223372036854775807ms", INT64_MAX},
        {"9223372036854775808ms", BAD},
        {"9223372036854775s", INT64_C(9223372036854775000)},
        {"9223372036854776s", BAD},
        {"2562047788016h", BAD},
        {"", BAD},
        {"10", BAD},
        {"s", BAD},
        {"-1s", BAD},
        {"+1s", BAD},
        {" 1s", BAD},
        {"1s ", BAD},
        {"1 s", BAD},
        {"1.5s", BAD},
        {"1S", BAD},
        {"1d", BAD},
        {"1m30s", BAD},
        {"00", BAD},
    };
    check(units_parse_duration_ms, cases, COUNT(cases));
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"0", 0},
        {"1000", 1000},
        {"64KiB", 65536},
        {"8MiB", 8388608},
        {"1GiB", 1073741824},
        {"8589934591GiB", INT64_C(8589934591) << 30},
        {"8589934592GiB", BAD},
        {"1KB", BAD},
        {"1kib", BAD},
        {"1K", BAD},
        {"KiB", BAD},
        {"-1", BAD},
        {"1 MiB", BAD},
        {"0x10", BAD},
    };
    check(units_parse_size, cases, COUNT(cases));
}

static void test_percents(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int expected;
    } cases[] = {{"0%", 0},  {"20%", 20}, {"100%", 100}, {"101%", -1}, {"4294967297%", -1},
                 {"20", -1}, {"%", -1},   {"-1%", -1},   {"2.5%", -1}, {"20%%", -1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int got = -1;
        assert_int_equal(units_parse_percent(cases[i].text, &got), cases[i].expected >= 0);
        assert_int_equal(got, cases[i].expected);
    }
}

/* The numbers are those of Python's datetime. */
static void test_instants(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-24T22:00:00Z", INT64_C(1795557600000)},
        {"2026-11-24t22:00:00z", INT64_C(1795557600000)},
        {"2026-11-24 22:00:00Z", INT64_C(1795557600000)},
        {"2026-11-24T22:00:00+02:00", INT64_C(1795550400000)},
        {"2026-11-24T22:00:00-05:30", INT64_C(1795577400000)},
        {"2026-11-24T22:00:00.1Z", INT64_C(1795557600100)},
        {"2026-11-24T22:00:00.123999999999999999999Z", INT64_C(1795557600123)},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
        {"1969-12-31T23:59:59.999Z", -1},
        {"0001-01-01T00:00:00Z", -INT64_C(62135596800000)},
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
        {"2026-11-24", BAD},
        {"2026-11-24T22:00:00", BAD},
        {"2026-11-24T22:00Z", BAD},
        {"2026-11-24T22:00:00.Z", BAD},
        {"2026-11-24T22:00:00ZZ", BAD},
        {"2026-11-24T22:00:00+0200", BAD},
        {"2026-11-24T22:00:00+02", BAD},
        {"2026-11-24T22:00:00+24:00", BAD},
        {"2026-11-24T22:00:00+02:60", BAD},
        {"2026-11-24T24:00:00Z", BAD},
        {"2026-11-24T22:60:00Z", BAD},
        {"2026-11-24T22:00:61Z", BAD},
        {"2026-13-01T00:00:00Z", BAD},
        {"2026-00-01T00:00:00Z", BAD},
        {"2026-02-29T00:00:00Z", BAD},
        {"1900-02-29T00:00:00Z", BAD},
        {"2026-11-31T00:00:00Z", BAD},
        {"2026-11-00T00:00:00Z", BAD},
        {"26-11-24T22:00:00Z", BAD},
        {"2026-1-24T22:00:00Z", BAD},
        {" 2026-11-24T22:00:00Z", BAD},
        {"2026-11-24  22:00:00Z", BAD},
        {"tomorrow", BAD},
        {"", BAD},
    };
    check(units_parse_instant_ms, cases, COUNT(cases));
}

static void test_http_dates(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", INT64_C(784111777000)},
        {"Tue, 24 Nov 2026 22:00:00 GMT", INT64_C(1795557600000)},
        {"Thu, 29 Feb 2024 00:00:00 GMT", INT64_C(1709164800000)},
        {"Sunday, 06-Nov-94 08:49:37 GMT", BAD},
        {"Sun Nov  6 08:49:37 1994", BAD},
        {"Sun, 6 Nov 1994 08:49:37 GMT", BAD},
        {"Sun, 06 Nov 1994 08:49:37 UTC", BAD},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", BAD},
        {"Sun, 31 Nov 1994 08:49:37 GMT", BAD},
        {"Xxx, 06 Nov 1994 08:49:37 GMT", BAD},
        {"Sun, 06 Foo 1994 08:49:37 GMT", BAD},
        {"Sun", BAD},
        {"120", BAD},
        {"", BAD},
    };
    check(units_parse_http_date_ms, cases, COUNT(cases));
}

static void test_format_instant(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *expected;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(1795557600123), "2026-11-24T22:00:00.123Z"},
        {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
        {INT64_C(1709251199999), "2024-02-29T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char buf[UNITS_INSTANT_SIZE];
        units_format_instant(cases[i].ms, buf);
        assert_string_equal(buf, cases[i].expected);
    }
}

static void test_instants_survive_the_round_trip(void **state)
{
    (void)state;
    /* A bit more than 39 days a step: every month and many leap years from year 0 to 9999. */
    for (int64_t ms = -INT64_C(62167219200000); ms <= INT64_C(253402300799999); ms += INT64_C(3400000007)) {
        char buf[UNITS_INSTANT_SIZE];
        int64_t back = 0;
        units_format_instant(ms, buf);
        assert_true(units_parse_instant_ms(buf, &back));
        assert_true(back == ms);
    }
}

static void test_format_duration(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *expected;
    } cases[] = {
        {0, "0ms"},           {350, "350ms"},     {999, "999ms"},
        {1000, "1s"},         {43999, "43s"},     {60000, "1m"},
        {83000, "1m 23s"},    {3600000, "1h"},    {29520000, "8h 12m"},
        {29559999, "8h 12m"}, {86400000, "1d"},   {97200000, "1d 3h"},
        {-5, "0ms"},          {INT64_MIN, "0ms"}, {INT64_MAX, "106751991167d 7h"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char buf[32];
        units_format_duration(cases[i].ms, buf, sizeof buf);
        assert_string_equal(buf, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_percents),
        cmocka_unit_test(test_instants),
        cmocka_unit_test(test_http_dates),
        cmocka_unit_test(test_format_instant),
        cmocka_unit_test(test_instants_survive_the_round_trip),
        cmocka_unit_test(test_format_duration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
