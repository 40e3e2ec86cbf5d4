/* The governor as it is explained: its best hypotheses, and the newest readings beside what they predict. */
#include "governor_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tuning.h"

struct run {
    struct governor g;
    struct tuning_heard heard;
    int64_t now;
};

static void hear(struct run *r, const struct governor_reading *reading)
{
    tuning_hear(&r->heard, reading);
    governor_reply(&r->g, reading, r->now);
}

/* Sends every 120 ms, each answered at once with what is used of 10 in any one second. */
static void learn(struct run *r, int count)
{
    for (int i = 0; i < count; i++) {
        r->now += 120;
        governor_next(&r->g, r->now);
        governor_admit(&r->g, r->now);
        uint64_t seq = governor_sent(&r->g, r->now);
        hear(r, &(struct governor_reading){.seq = seq,
                                           .success = true,
                                           .has_limit = true,
                                           .limit = 10,
                                           .remaining = i < 8 ? 9 - i : 1,
                                           .retry_after_ms = -1});
    }
}

static void nothing_is_known_at_first(void **state)
{
    struct run r = {.g = fresh(256)};
    struct tuning t = {0};
    (void)state;
    tuning_look(&r.g, &r.heard, 0, &t);
    assert_int_equal(t.nhypotheses, 0);
    assert_int_equal(t.nreadings, 0);
    assert_string_equal(t.learned.mode, "opening");
}

static void the_best_comes_first(void **state)
{
    struct run r = {.g = fresh(256)};
    struct tuning t = {0};
    (void)state;
    learn(&r, 60);
    tuning_look(&r.g, &r.heard, r.now, &t);
    assert_int_equal(t.nhypotheses, TUNING_HYPOTHESES);
    assert_true(t.hypotheses[0].best && t.hypotheses[0].plausible);
    for (size_t i = 1; i < t.nhypotheses; i++) {
        assert_false(t.hypotheses[i].best);
        assert_true(i < 2 || t.hypotheses[i - 1].error <= t.hypotheses[i].error);
    }
    assert_int_equal(t.learned.limit, 10);
}

static void the_newest_readings_in_the_order_of_sending(void **state)
{
    struct run r = {.g = fresh(256)};
    struct tuning t = {0};
    (void)state;
    learn(&r, 60);
    tuning_look(&r.g, &r.heard, r.now + 5, &t);
    assert_int_equal(t.nreadings, TUNING_READINGS);
    for (size_t i = 0; i < t.nreadings; i++) {
        assert_int_equal(t.readings[i].ago_ms, 5 + 120 * (int64_t)(TUNING_READINGS - 1 - i));
        assert_int_equal(t.readings[i].limit, 10);
        assert_int_equal(t.readings[i].used, 9);
        assert_false(t.readings[i].refused);
        assert_in_range(t.readings[i].predicted, 1, 10);
    }
}

static void what_says_nothing_is_no_reading(void **state)
{
    struct run r = {.g = fresh(256)};
    struct tuning t = {0};
    (void)state;
    uint64_t seq = launch(&r.g, 0);
    hear(&r, &(struct governor_reading){.seq = seq, .success = true, .retry_after_ms = -1});
    seq = launch(&r.g, 10);
    hear(&r,
         &(struct governor_reading){.seq = seq, .success = true, .has_limit = true, .retry_after_ms = -1});
    assert_int_equal(r.heard.count, 0);
    r.now = 100;
    seq = launch(&r.g, 100);
    hear(&r, &(struct governor_reading){.seq = seq, .rate_limited = true, .retry_after_ms = -1});
    tuning_look(&r.g, &r.heard, 150, &t);
    assert_int_equal(t.nreadings, 1);
    assert_true(t.readings[0].refused);
    assert_int_equal(t.readings[0].ago_ms, 50);
    assert_int_equal(t.readings[0].limit, -1);
    assert_int_equal(t.readings[0].used, -1);
}

static void it_survives_its_json(void **state)
{
    struct run r = {.g = fresh(256)};
    struct tuning t = {.at_ms = 1764057600000,
                       .endpoint = "https://host",
                       .key = "3fe3aa00bb11",
                       .in_flight = 7,
                       .cap = 80,
                       .cap_reason = "because \"so\""},
                  got;
    struct arena a = {0};
    (void)state;
    learn(&r, 60);
    tuning_look(&r.g, &r.heard, r.now, &t);
    t.readings[3] =
        (struct tuning_reading){.ago_ms = 9, .limit = -1, .used = -1, .predicted = -1, .refused = true};
    char *text = tuning_print(&t);
    assert_non_null(text);
    assert_null(strchr(text, '\n'));
    assert_true(tuning_parse(text, &a, &got));
    assert_int_equal(got.at_ms, t.at_ms);
    assert_string_equal(got.endpoint, t.endpoint);
    assert_string_equal(got.key, t.key);
    assert_string_equal(got.cap_reason, t.cap_reason);
    assert_true(got.in_flight == 7 && got.cap == 80);
    assert_true(got.nhypotheses == t.nhypotheses && got.nreadings == t.nreadings);
    for (size_t i = 0; i < t.nhypotheses; i++) {
        const struct tuning_hypothesis *x = &t.hypotheses[i], *y = &got.hypotheses[i];
        assert_string_equal(x->kind, y->kind);
        assert_true(x->window_ms == y->window_ms && x->plausible == y->plausible && x->best == y->best);
    }
    for (size_t i = 0; i < t.nreadings; i++) {
        const struct tuning_reading *x = &t.readings[i], *y = &got.readings[i];
        assert_true(x->ago_ms == y->ago_ms && x->limit == y->limit && x->used == y->used);
        assert_true(x->predicted == y->predicted && x->refused == y->refused);
    }
    free(text);
    arena_free(&a);
}

static void what_is_no_tuning_is_refused_or_empty(void **state)
{
    static const char *const refused[] = {"", "[]", "7", "{", "{} {}"};
    struct tuning t;
    struct arena a = {0};
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_false(tuning_parse(refused[i], &a, &t));
    assert_true(tuning_parse("{\"hypotheses\":{},\"readings\":[7,null]}", &a, &t));
    assert_int_equal(t.nhypotheses, 0);
    assert_int_equal(t.nreadings, 2);
    assert_int_equal(t.readings[0].used, -1);
    arena_free(&a);
}

static void what_is_too_much_is_left_out(void **state)
{
    static char text[20000];
    struct tuning t;
    struct arena a = {0};
    size_t used = (size_t)sprintf(text, "{\"hypotheses\":[");
    (void)state;
    for (int i = 0; i < 100; i++)
        used += (size_t)sprintf(text + used, "%s{\"kind\":\"k%d\"}", i > 0 ? "," : "", i);
    used += (size_t)sprintf(text + used, "],\"readings\":[");
    for (int i = 0; i < 100; i++)
        used += (size_t)sprintf(text + used, "%s{\"used\":%d}", i > 0 ? "," : "", i);
    sprintf(text + used, "]}");
    assert_true(tuning_parse(text, &a, &t));
    assert_int_equal(t.nhypotheses, TUNING_HYPOTHESES);
    assert_int_equal(t.nreadings, TUNING_READINGS);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(the_best_comes_first),
        cmocka_unit_test(the_newest_readings_in_the_order_of_sending),
        cmocka_unit_test(what_says_nothing_is_no_reading),
        cmocka_unit_test(it_survives_its_json),
        cmocka_unit_test(what_is_no_tuning_is_refused_or_empty),
        cmocka_unit_test(what_is_too_much_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
