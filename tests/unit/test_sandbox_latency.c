/* Latency distributions: their form, and what they yield over an even grid of uniforms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sandbox/latency.h"
#include "sandbox/random.h"

static const struct {
    const char *text;
    enum latency_shape shape;
    int64_t low_ms, high_ms;
} good[] = {
    {"0", LATENCY_FIXED, 0, 0},
    {"8s", LATENCY_FIXED, 8000, 8000},
    {"fixed:300ms", LATENCY_FIXED, 300, 300},
    {"fixed:0", LATENCY_FIXED, 0, 0},
    {"uniform:1s,3s", LATENCY_UNIFORM, 1000, 3000},
    {"uniform:2s,2s", LATENCY_UNIFORM, 2000, 2000},
    {"lognormal:median=8s", LATENCY_LOGNORMAL, 0, 300000},
    {"lognormal:median=8s,sigma=0.6,max=300s", LATENCY_LOGNORMAL, 0, 300000},
    {"lognormal:min=1s,max=20s,sigma=1,median=5s", LATENCY_LOGNORMAL, 1000, 20000},
};

static const char *const bad[] = {
    "",
    "8",
    "-8s",
    "fixed:",
    "fixed:8s,9s",
    "48h",
    "uniform:1s",
    "uniform:3s,1s",
    "uniform:1s,2s,3s",
    "uniform:,",
    "lognormal:",
    "lognormal:sigma=1",
    "lognormal:median=0",
    "lognormal:median=8s,sigma=-1",
    "lognormal:median=8s,sigma=nan",
    "lognormal:median=8s,sigma=",
    "lognormal:median=8s,min=9s,max=1s",
    "lognormal:median=8s,mean=9s",
    "lognormal:median=8s,,",
    "normal:8s",
    "lognormal:median=00000000000000000000000000000000000000000000000000000000000000000000000008s",
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct latency l;
        struct fault fault;
        if (!latency_parse(good[i].text, &l, &fault)) {
            fail_msg("%s: %s", good[i].text, fault.text);
        }
        assert_int_equal(l.shape, good[i].shape);
        assert_int_equal(l.low_ms, good[i].low_ms);
        assert_int_equal(l.high_ms, good[i].high_ms);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct latency l;
        struct fault fault = {0};
        if (latency_parse(bad[i], &l, &fault)) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_true(fault.text[0] != '\0');
    }
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum { SAMPLES = 40000 };

static int64_t *draw(const char *text, uint64_t seed)
{
    static int64_t samples[SAMPLES];
    struct latency l;
    struct fault fault;
    struct random random = {seed};
    assert_true(latency_parse(text, &l, &fault));
    for (size_t i = 0; i < SAMPLES; i++) {
        double u1 = random_uniform(&random), u2 = random_uniform(&random);
        samples[i] = latency_sample_ms(&l, u1, u2);
    }
    qsort(samples, SAMPLES, sizeof samples[0], ascending);
    return samples;
}

static void near(int64_t value, int64_t wanted, int64_t percent)
{
    if (llabs(value - wanted) * 100 > wanted * percent) {
        fail_msg("%lld is not within %lld %% of %lld", (long long)value, (long long)percent,
                 (long long)wanted);
    }
}

static void test_quantiles(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const int64_t *s = draw("lognormal:median=8s,sigma=0.6,max=300s", seed);
        near(s[SAMPLES / 2], 8000, 2);
        near(s[SAMPLES * 16 / 100], 4405, 3);    /* median * exp(-0.6 * 0.9945) */
        near(s[SAMPLES * 84 / 100], 14528, 3);   /* median * exp(0.6 * 0.9945) */
        near(s[SAMPLES * 975 / 1000], 25932, 5); /* median * exp(0.6 * 1.96) */
        s = draw("uniform:1s,3s", seed);
        near(s[SAMPLES / 4], 1500, 2);
        near(s[SAMPLES / 2], 2000, 2);
        assert_int_equal(s[0], 1000);
        assert_int_equal(s[SAMPLES - 1], 3000);
        s = draw("lognormal:median=8s,sigma=2,min=2s,max=20s", seed);
        assert_int_equal(s[0], 2000);
        assert_int_equal(s[SAMPLES - 1], 20000);
        s = draw("150ms", seed);
        assert_int_equal(s[0], 150);
        assert_int_equal(s[SAMPLES - 1], 150);
    }
}

static void test_edges_of_the_uniforms(void **state)
{
    (void)state;
    static const double edges[] = {0, 0x1p-53, 0.25, 0.5, 0.75, 1 - 0x1p-53};
    struct latency l;
    struct fault fault;
    assert_true(latency_parse("lognormal:median=8s,sigma=5,max=300s", &l, &fault));
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 0; k < 6; k++) {
            int64_t ms = latency_sample_ms(&l, edges[i], edges[k]);
            assert_true(ms >= 0 && ms <= 300000);
        }
    }
    near(latency_sample_ms(&l, 0.5, 0.25), 8000, 1); /* a quarter turn: the normal is 0 */
}

static void test_same_seed_same_samples(void **state)
{
    (void)state;
    struct random a = {42}, b = {42}, c = {43};
    int differences = 0;
    for (int i = 0; i < 100; i++) {
        double u = random_uniform(&a);
        assert_true(u >= 0 && u < 1);
        assert_true(u == random_uniform(&b));
        differences += u != random_uniform(&c) ? 1 : 0;
    }
    assert_true(differences > 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_edges_of_the_uniforms),
        cmocka_unit_test(test_same_seed_same_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
