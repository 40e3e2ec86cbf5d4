/* What was learned about the limit: the words for people, and the way through JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/learned.h"
#include "core/status.h"
#include "core/tuning.h"

static const struct learned nothing = {
    .mode = "opening", .limit = -1, .window_ms = -1, .after_ms = -1, .last_429_ago_ms = -1};
static const struct learned all = {
    .mode = "pacing",
    .limit = 10,
    .window_kind = "sliding",
    .window_ms = 1000,
    .source = LEARNED_REPLIES,
    .replies = 41,
    .after_ms = 6000,
    .per_second = 9.8,
    .last_429_ago_ms = 720000,
};

static void test_words(void **state)
{
    static const struct {
        const char *name;
        struct learned l;
        bool past;
        const char *words;
    } cases[] = {
        {"nothing", {.mode = "opening", .limit = -1, .last_429_ago_ms = -1}, false, "no limit known"},
        {"no limit", {.mode = "open", .limit = -1, .last_429_ago_ms = -1}, false, "the server sets no limit"},
        {"a refusal is all",
         {.mode = "headerless", .limit = -1, .last_429_ago_ms = 5000},
         false,
         "no limit known; last 429 5s ago"},
        {"no window yet",
         {.mode = "counting",
          .limit = 60,
          .window_ms = -1,
          .source = LEARNED_REPLIES,
          .replies = 1,
          .after_ms = 2000,
          .last_429_ago_ms = -1},
         false,
         "limit 60, learned 2s after start from 1 reply"},
        {"another run's",
         {.mode = "counting",
          .limit = 60,
          .window_ms = 60000,
          .source = LEARNED_EARLIER,
          .after_ms = -1,
          .per_second = 0.25,
          .last_429_ago_ms = -1},
         false,
         "limit 60 per 1m, from an earlier run; 0.25 per second now"},
        {"configured",
         {.mode = "told",
          .limit = 60,
          .window_ms = 60000,
          .source = LEARNED_CONFIGURATION,
          .after_ms = -1,
          .per_second = 1,
          .last_429_ago_ms = -1},
         false,
         "limit 60 per 1m, as configured; 1.0 per second now"},
    };
    char buf[LEARNED_WORDS_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(learned_words(&cases[i].l, cases[i].past, buf), cases[i].words) != 0)
            fail_msg("%s: %s", cases[i].name, buf);
    assert_string_equal(
        learned_words(&all, false, buf),
        "limit 10 per 1s, learned 6s after start from 41 replies; 9.8 per second now; last 429 12m ago");
    assert_string_equal(
        learned_words(&all, true, buf),
        "limit 10 per 1s, learned 6s after start from 41 replies; 9.8 per second then; last 429 12m ago");
}

/* Each mode of the governor has its name, its meaning, and what would teach more. */
static void test_modes(void **state)
{
    static const char *const names[] = {"opening", "open", "headerless", "counting", "pacing", "told"};
    (void)state;
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
        assert_string_equal(learned_mode((enum governor_mode)i), names[i]);
        assert_true(strlen(learned_meaning(names[i])) > 20);
        assert_true(strlen(learned_lesson(names[i])) > 20);
    }
    assert_null(learned_meaning(""));
    assert_null(learned_lesson("of a later version"));
}

static void same_text(const char *a, const char *b)
{
    assert_true((a == NULL) == (b == NULL));
    if (a != NULL)
        assert_string_equal(a, b);
}

static void same(const struct learned *a, const struct learned *b)
{
    same_text(a->mode, b->mode);
    assert_int_equal(a->limit, b->limit);
    same_text(a->window_kind, b->window_kind);
    assert_int_equal(a->window_ms, b->window_ms);
    same_text(a->source, b->source);
    assert_int_equal(a->replies, b->replies);
    assert_int_equal(a->after_ms, b->after_ms);
    assert_true(a->per_second == b->per_second);
    assert_int_equal(a->last_429_ago_ms, b->last_429_ago_ms);
}

static void test_through_a_status(void **state)
{
    const struct learned *const cases[] = {&nothing, &all};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct status s = {.endpoint = "e", .key = "k", .key_source = "s", .cap_reason = "c"}, got;
        struct arena a = {0};
        s.learned = *cases[i];
        char *text = status_print(&s);
        assert_non_null(text);
        assert_true(status_parse(text, &a, &got));
        same(&got.learned, cases[i]);
        free(text);
        arena_free(&a);
    }
}

/* What an older daemon says, or one that was written by hand. */
static void test_what_is_not_there(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"learned\":null}",
        "{\"learned\":7}",
        "{\"learned\":{}}",
        "{\"learned\":{\"per_second\":1e300}}",
        "{\"learned\":{\"mode\":7,\"limit\":\"many\",\"per_second\":-1,\"window_kind\":[]}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct arena a = {0};
        struct tuning t;
        assert_true(tuning_parse(texts[i], &a, &t));
        assert_string_equal(t.learned.mode, "");
        assert_null(t.learned.window_kind);
        assert_int_equal(t.learned.limit, -1);
        assert_true(t.learned.per_second == 0);
        assert_int_equal(t.learned.last_429_ago_ms, -1);
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_through_a_status),
        cmocka_unit_test(test_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
