#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/retry.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- backoff ---- */

/* The ceiling shows in what the smallest and the largest draw below it give: it is found by probing, from
 * outside. Draws are taken modulo the ceiling, so the draw "ceiling" must give 1 again. */
static void test_ceiling(void **state)
{
    (void)state;
    static const struct {
        int64_t base, cap;
        int n;
        int64_t ceiling;
    } cases[] = {
        {1000, 60000, 1, 1000},
        {1000, 60000, 2, 2000},
        {1000, 60000, 3, 4000},
        {1000, 60000, 6, 32000},
        {1000, 60000, 7, 60000},
        {1000, 60000, 8, 60000},
        {1000, 60000, 63, 60000},
        {1000, 60000, 64, 60000},
        {1000, 60000, 65, 60000},
        {1000, 60000, INT_MAX, 60000},
        {1000, 60000, 0, 1000},
        {1000, 60000, -5, 1000},
        {1000, 64000, 7, 64000},
        {1000, 64001, 7, 64000},
        {1000, 64001, 8, 64001},
        {1000, 1000, 5, 1000},
        {60000, 1000, 1, 1000},
        {1, 60000, 1, 1},
        {1, INT64_MAX, 2, 2},
        {1, INT64_MAX, 63, INT64_C(1) << 62},
        {1, INT64_MAX, 64, INT64_MAX},
        {1, INT64_MAX, INT_MAX, INT64_MAX},
        {INT64_MAX, INT64_MAX, 2, INT64_MAX},
        {INT64_MAX / 2, INT64_MAX, 2, INT64_MAX - 1},
        {INT64_MAX / 2 + 1, INT64_MAX, 2, INT64_MAX},
        {0, 60000, 1, 1},
        {0, 60000, 4, 8},
        {-1, 60000, 1, 1},
        {1000, 0, 3, 1},
        {1000, -1, 3, 1},
        {0, 0, 1, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct retry_policy p = {.base_ms = cases[i].base, .cap_ms = cases[i].cap};
        uint64_t ceiling = (uint64_t)cases[i].ceiling;
        assert_true(retry_backoff_ms(&p, cases[i].n, 0) == 1);
        assert_true(retry_backoff_ms(&p, cases[i].n, ceiling - 1) == cases[i].ceiling);
        assert_true(retry_backoff_ms(&p, cases[i].n, ceiling) == 1);
    }
}

/* Full jitter: every wait from 1 to the ceiling is as likely as any other. */
static void test_jitter_is_full(void **state)
{
    (void)state;
    const struct retry_policy p = {.base_ms = 4, .cap_ms = 8};
    uint64_t x = 88172645463325252u; /* xorshift, so that each run sees the same numbers */
    int seen[8] = {0};
    for (int i = 0; i < 80000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        int64_t wait = retry_backoff_ms(&p, 2, x);
        assert_true(wait >= 1 && wait <= 8);
        seen[wait - 1]++;
    }
    for (int i = 0; i < 8; i++)
        assert_in_range(seen[i], 9500, 10500);
    assert_true(retry_backoff_ms(&p, 2, UINT64_MAX) == 8);
}

/* ---- who may try again ---- */

static void test_allowed(void **state)
{
    (void)state;
    static const struct {
        int max, attempts, job_max;
        bool allowed;
    } cases[] = {
        {5, 0, 0, true},  {5, 1, 0, true},   {5, 4, 0, true},        {5, 5, 0, false},
        {5, 6, 0, false}, {1, 1, 0, false},  {5, 5, 8, true},        {5, 7, 8, true},
        {5, 8, 8, false}, {5, 2, 2, false},  {5, 1, 2, true},        {5, 1, 1, false},
        {5, 4, -1, true}, {5, 5, -1, false}, {5, INT_MAX, 0, false}, {INT_MAX, INT_MAX - 1, 0, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct retry_policy p = {.max_attempts = cases[i].max};
        assert_int_equal(retry_allowed(&p, cases[i].attempts, cases[i].job_max), cases[i].allowed);
    }
}

static void test_ambiguous_allowed(void **state)
{
    (void)state;
    static const struct {
        bool retry;
        int max, ambiguous;
        bool allowed;
    } cases[] = {
        {true, 1, 1, true},  {true, 1, 2, false},  {true, 0, 1, false},  {true, 3, 3, true},
        {true, 3, 4, false}, {false, 3, 1, false}, {false, 0, 0, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct retry_policy p = {.ambiguous_retry = cases[i].retry, .max_ambiguous = cases[i].max};
        assert_int_equal(retry_ambiguous_allowed(&p, cases[i].ambiguous), cases[i].allowed);
    }
}

/* ---- Retry-After ---- */

#define HOUR INT64_C(3600000)
/* Mon, 23 Nov 2026 22:00:00 GMT */
#define NOW INT64_C(1795471200000)

static void test_retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t now, wait;
    } cases[] = {
        /* seconds */
        {"0", NOW, 0},
        {"1", NOW, 1000},
        {"120", NOW, 120000},
        {"007", NOW, 7000},
        {" 5\t", NOW, 5000},
        {"5\r\n", NOW, 5000},
        {"3599", NOW, 3599000},
        {"3600", NOW, HOUR},
        {"3601", NOW, HOUR},
        {"86400", NOW, HOUR},
        {"9223372036854775807", NOW, HOUR},
        {"99999999999999999999999999999999999999999999999999999999999999999999999999999999", NOW, HOUR},
        {"00000000000000000000000000000000000000000000000000000000000000000000000000000002", NOW, 2000},
        /* decimals */
        {"1.5", NOW, 2000},
        {"1.0", NOW, 1000},
        {"1.000", NOW, 1000},
        {"0.001", NOW, 1000},
        {"0.0", NOW, 0},
        {"1.99999999999999999999999999999999999999999999999999999999999999999999999999", NOW, 2000},
        {"3599.1", NOW, HOUR},
        {"3600.5", NOW, HOUR},
        /* dates */
        {"Mon, 23 Nov 2026 22:00:30 GMT", NOW, 30000},
        {" Mon, 23 Nov 2026 22:00:30 GMT ", NOW, 30000},
        {"Mon, 23 Nov 2026 22:00:30 GMT", NOW - 1, 30001},
        {"Mon, 23 Nov 2026 22:00:00 GMT", NOW, 0},
        {"Mon, 23 Nov 2026 21:59:59 GMT", NOW, 0},
        {"Thu, 01 Jan 1970 00:00:00 GMT", NOW, 0},
        {"Mon, 23 Nov 2026 22:59:59 GMT", NOW, HOUR - 1000},
        {"Mon, 23 Nov 2026 23:00:00 GMT", NOW, HOUR},
        {"Mon, 23 Nov 2026 23:00:01 GMT", NOW, HOUR},
        {"Fri, 31 Dec 9999 23:59:59 GMT", NOW, HOUR},
        {"Fri, 31 Dec 9999 23:59:59 GMT", INT64_MIN, HOUR},
        {"Mon, 23 Nov 2026 22:00:30 GMT", INT64_MAX, 0},
        /* nonsense */
        {NULL, NOW, -1},
        {"", NOW, -1},
        {"   ", NOW, -1},
        {"-1", NOW, -1},
        {"-0", NOW, -1},
        {"+1", NOW, -1},
        {"1.", NOW, -1},
        {".5", NOW, -1},
        {".", NOW, -1},
        {"1.5.5", NOW, -1},
        {"1.x", NOW, -1},
        {"1,5", NOW, -1},
        {"1e3", NOW, -1},
        {"0x10", NOW, -1},
        {"10s", NOW, -1},
        {"1 0", NOW, -1},
        {"1, 2", NOW, -1},
        {"nan", NOW, -1},
        {"inf", NOW, -1},
        {"soon", NOW, -1},
        {"2026-11-23T22:00:30Z", NOW, -1},
        {"Mon, 23 Nov 2026 22:00:30", NOW, -1},
        {"Mon, 23 Nov 2026 22:00:30 GMT, and a lot more of what nobody wants to read here", NOW, -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t wait = retry_after_ms(cases[i].value, cases[i].now);
        if (wait != cases[i].wait)
            fail_msg("%s: %lld, not %lld", cases[i].value ? cases[i].value : "(null)", (long long)wait,
                     (long long)cases[i].wait);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ceiling),     cmocka_unit_test(test_jitter_is_full),
        cmocka_unit_test(test_allowed),     cmocka_unit_test(test_ambiguous_allowed),
        cmocka_unit_test(test_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
