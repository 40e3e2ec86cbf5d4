/* The sandbox's rate limiters, driven by hand-made clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sandbox/limiter.h"

#define SECOND INT64_C(1000000)
#define EPOCH  (INT64_C(1795000000) * SECOND)

struct step {
    int64_t at_us; /* after EPOCH */
    int count;     /* requests at that moment */
    int admitted;
    int64_t remaining; /* after them */
};

struct script {
    const char *name;
    enum limiter_kind kind;
    int64_t limit, window_us;
    struct step steps[8];
};

static const struct script scripts[] = {
    {"sliding: a full window, then its weight fades",
     LIMITER_SLIDING,
     10,
     SECOND,
     {{0, 12, 10, 0},
      {999999, 1, 0, 0},
      {1000000, 1, 0, 0},     /* floor(1.0 * 10) */
      {1000001, 1, 1, 0},     /* floor(0.999999 * 10) = 9 */
      {1100000, 1, 0, 0},     /* 9 + 1 */
      {1100001, 1, 1, 0},     /* 8 + 1, then one more */
      {1500000, 9, 3, 0},     /* 5 + 2, then three more */
      {3000000, 20, 10, 0}}}, /* the last but one window counts no more */
    {"sliding: floor, not rounding",
     LIMITER_SLIDING,
     3,
     SECOND,
     {{500000, 1, 1, 2}, {1000000, 0, 0, 2}, {1000001, 0, 0, 3}, {1000001, 4, 3, 0}}},
    {"fixed: aligned to the epoch, not to the first request",
     LIMITER_FIXED,
     5,
     SECOND,
     {{900000, 7, 5, 0}, {999999, 1, 0, 0}, {1000000, 7, 5, 0}, {1999999, 1, 0, 0}, {2000000, 1, 1, 4}}},
    {"first: the window starts with the first request",
     LIMITER_FIRST,
     5,
     SECOND,
     {{900000, 7, 5, 0}, {1000000, 1, 0, 0}, {1899999, 1, 0, 0}, {1900000, 1, 1, 4}, {2899999, 9, 4, 0}}},
    {"log: any window",
     LIMITER_LOG,
     3,
     SECOND,
     {{0, 1, 1, 2},
      {500000, 3, 2, 0},
      {999999, 1, 0, 0},
      {1000000, 2, 1, 0},
      {1500000, 3, 2, 0},
      {9000000, 0, 0, 3}}},
    {"token: full at first, then refilled evenly",
     LIMITER_TOKEN,
     4,
     SECOND,
     {{0, 6, 4, 0}, {249999, 1, 0, 0}, {250000, 2, 1, 0}, {1000000, 9, 3, 0}, {60000000, 9, 4, 0}}},
    {"none: everything", LIMITER_NONE, 0, 0, {{0, 1000, 1000, 0}}},
};

static int take_many(struct limiter *l, int64_t now_us, int count)
{
    int admitted = 0;
    for (int i = 0; i < count; i++) {
        admitted += limiter_take(l, now_us) ? 1 : 0;
    }
    return admitted;
}

static void run_script(const struct script *s)
{
    struct limiter l;
    assert_true(limiter_init(&l, s->kind, s->limit, s->window_us));
    for (size_t i = 0; i < sizeof s->steps / sizeof s->steps[0]; i++) {
        const struct step *step = &s->steps[i];
        if (i > 0 && step->at_us == 0) {
            break;
        }
        int admitted = take_many(&l, EPOCH + step->at_us, step->count);
        int64_t remaining = limiter_remaining(&l, EPOCH + step->at_us);
        if (admitted != step->admitted || remaining != step->remaining) {
            fail_msg("%s, step %zu: admitted %d, remaining %lld", s->name, i, admitted, (long long)remaining);
        }
    }
    limiter_free(&l);
}

static void test_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        run_script(&scripts[i]);
    }
}

static const enum limiter_kind kinds[] = {LIMITER_SLIDING, LIMITER_FIXED, LIMITER_FIRST, LIMITER_LOG,
                                          LIMITER_TOKEN};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* The wait is exact: one microsecond earlier is refused, at its end a request is admitted. */
static void test_wait_is_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct limiter l;
        int64_t now = EPOCH + 123456;
        assert_true(limiter_init(&l, kinds[i], 7, 3 * SECOND));
        assert_int_equal(limiter_wait_us(&l, now), 0);
        for (int round = 0; round < 50; round++) {
            while (limiter_take(&l, now)) {}
            int64_t wait = limiter_wait_us(&l, now);
            assert_true(wait > 0 && wait <= 6 * SECOND);
            assert_false(limiter_take(&l, now + wait - 1));
            assert_true(limiter_take(&l, now + wait));
            now += wait + round * 1717;
        }
        limiter_free(&l);
    }
}

static void test_refusals_take_no_quota(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct limiter patient, hasty;
        assert_true(limiter_init(&patient, kinds[i], 5, SECOND));
        assert_true(limiter_init(&hasty, kinds[i], 5, SECOND));
        assert_int_equal(take_many(&patient, EPOCH, 5), 5);
        assert_int_equal(take_many(&hasty, EPOCH, 500), 5);
        for (int64_t t = EPOCH; t < EPOCH + 3 * SECOND; t += 7919) {
            assert_int_equal(limiter_remaining(&patient, t), limiter_remaining(&hasty, t));
        }
        limiter_free(&patient);
        limiter_free(&hasty);
    }
}

/* No kind admits more than twice its limit in any one window, and the log never more than the limit. */
static void test_never_too_many(void **state)
{
    (void)state;
    enum { EVENTS = 4000 };
    static int64_t admitted[EVENTS];
    for (size_t i = 0; i < KINDS; i++) {
        struct limiter l;
        size_t n = 0, oldest = 0;
        size_t most = kinds[i] == LIMITER_LOG ? 9 : 18;
        assert_true(limiter_init(&l, kinds[i], 9, SECOND));
        for (int64_t k = 0; k < EVENTS; k++) {
            int64_t t = EPOCH + k * 31337;
            if (limiter_take(&l, t)) {
                admitted[n++] = t;
                while (admitted[oldest] <= t - SECOND) {
                    oldest++;
                }
                assert_true(n - oldest <= most);
            }
        }
        assert_true(n > 9U * 100);
        limiter_free(&l);
    }
}

static void test_clock_going_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct limiter l;
        assert_true(limiter_init(&l, kinds[i], 2, SECOND));
        assert_int_equal(take_many(&l, EPOCH + 10 * SECOND, 2), 2);
        assert_false(limiter_take(&l, EPOCH));
        assert_int_equal(limiter_remaining(&l, EPOCH), 0);
        assert_true(limiter_wait_us(&l, EPOCH) > 10 * SECOND);
        limiter_free(&l);
    }
}

static void test_reset(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct limiter l;
        assert_true(limiter_init(&l, kinds[i], 4, SECOND));
        assert_int_equal(take_many(&l, EPOCH, 9), 4);
        limiter_reset(&l);
        assert_int_equal(take_many(&l, EPOCH, 9), 4);
        limiter_free(&l);
    }
}

static void test_extremes(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct limiter l;
        assert_true(limiter_init(&l, kinds[i], LIMITER_LIMIT_MAX, LIMITER_WINDOW_MAX_US));
        assert_int_equal(take_many(&l, EPOCH, 1000), 1000);
        assert_int_equal(limiter_remaining(&l, EPOCH), LIMITER_LIMIT_MAX - 1000);
        assert_int_equal(limiter_remaining(&l, EPOCH + 3 * LIMITER_WINDOW_MAX_US), LIMITER_LIMIT_MAX);
        limiter_free(&l);
        assert_false(limiter_init(&l, kinds[i], 0, SECOND));
        assert_false(limiter_init(&l, kinds[i], LIMITER_LIMIT_MAX + 1, SECOND));
        assert_false(limiter_init(&l, kinds[i], 1, 0));
        assert_false(limiter_init(&l, kinds[i], 1, LIMITER_WINDOW_MAX_US + 1));
    }
}

static void test_names(void **state)
{
    (void)state;
    enum limiter_kind kind;
    assert_true(limiter_kind_parse("sliding", &kind) && kind == LIMITER_SLIDING);
    assert_true(limiter_kind_parse("token", &kind) && kind == LIMITER_TOKEN);
    assert_true(limiter_kind_parse("none", &kind) && kind == LIMITER_NONE);
    assert_false(limiter_kind_parse("Sliding", &kind));
    assert_false(limiter_kind_parse("", &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_wait_is_exact),
        cmocka_unit_test(test_refusals_take_no_quota),
        cmocka_unit_test(test_never_too_many),
        cmocka_unit_test(test_clock_going_back),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
