#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/select.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define SPOOL    "/spool"

static char story[] = "story.yaml", story_stem[] = "story", deep[] = "sub/story.yaml",
            deep_stem[] = "sub/story";
static char several[] = "several.yaml", several_one[] = "several.one", several_2[] = "several.2";
static char hex[] = "abcdef12.yaml", hex_stem[] = "abcdef12";

/* In the order of the numbers that the table below names. */
static const struct job_row rows[] = {
    {.path = story, .stem = story_stem, .state = JOB_FAILED, .request_sha256 = "abcdef12345678"},
    {.path = deep, .stem = deep_stem, .state = JOB_DONE, .request_sha256 = "abcdef99999999"},
    {.path = several,
     .document = 1,
     .stem = several_one,
     .state = JOB_WAITING,
     .request_sha256 = "111111aaaa"},
    {.path = several, .document = 2, .stem = several_2, .state = JOB_DONE, .request_sha256 = "222222aaaa"},
    {.path = hex, .stem = hex_stem, .state = JOB_FAILED, .request_sha256 = ""}, /* a refused file */
};

static unsigned chosen(char *word, bool *named)
{
    struct selection s;
    unsigned found = 0;
    assert_true(select_open(&s, &word, 1, SPOOL));
    for (size_t i = 0; i < COUNT(rows); i++)
        select_see(&s, &rows[i]);
    *named = select_check(&s);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct select_word *by;
        if (!select_job(&s, &rows[i], &by))
            continue;
        assert_ptr_equal(by, &s.words[0]);
        found |= 1u << i;
    }
    select_close(&s);
    return found;
}

static void test_words(void **state)
{
    static const struct {
        const char *word;
        unsigned rows; /* bits */
    } table[] = {
        {"story.yaml", 1},
        {"./story.yaml", 1},
        {"././story.yaml", 1},
        {SPOOL "/story.yaml", 1},
        {SPOOL "/sub/story.yaml", 2},
        {"story.yaml.hold", 1},
        {"story.error.json", 1},
        {"story.result.json", 1},
        {"story.error.body", 1},
        {"story", 1},
        {"sub/story", 2},
        {"sub/story.result.json", 2},
        {"several.yaml", 4 + 8},
        {"several.one", 4},
        {"several.2.result.json", 8},
        {"*.yaml", 1 + 4 + 8 + 16},
        {"*", 1 + 4 + 8 + 16},
        {"*/*", 2},
        {"*.error.json", 1 + 16},
        {"s[et]*.result.json", 8},
        {"abcdef1234", 1},
        {"ABCDEF1234", 1},
        {"abcdef12345678", 1},
        {"abcdef12", 16}, /* a name goes before a digest */
    };
    static const char *const nothing[] = {
        "",        "stor",      "story.yam",       "story.yamlx",
        "several", "story.txt", "/story.yaml",     SPOOL "2/story.yaml",
        "x*",      "abcde",     "abcdef123456789", "several.yaml.holder",
        "sub",     "*.body",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char word[64];
        bool named;
        snprintf(word, sizeof word, "%s", table[i].word);
        unsigned found = chosen(word, &named);
        if (found != table[i].rows || !named)
            fail_msg("%s: rows %x, not %x", word, found, table[i].rows);
    }
    for (size_t i = 0; i < COUNT(nothing); i++) {
        char word[64];
        bool named;
        snprintf(word, sizeof word, "%s", nothing[i]);
        unsigned found = chosen(word, &named);
        if (found != 0 || named)
            fail_msg("%s: rows %x", word, found);
    }
}

static void test_a_digest_of_two_requests(void **state)
{
    char word[] = "abcdef";
    bool named;
    (void)state;
    chosen(word, &named);
    assert_false(named);
}

/* Documents of two files may ask for the same: both are meant, and nothing is unclear. */
static void test_a_digest_of_two_jobs(void **state)
{
    struct job_row a = rows[0], b = rows[1];
    char word[] = "abcdef", *argv[] = {word};
    struct selection s;
    const struct select_word *by;
    (void)state;
    memcpy(b.request_sha256, a.request_sha256, sizeof b.request_sha256);
    assert_true(select_open(&s, argv, 1, SPOOL));
    select_see(&s, &a);
    select_see(&s, &b);
    assert_true(select_check(&s));
    assert_true(select_job(&s, &a, &by));
    assert_true(select_job(&s, &b, &by));
    select_close(&s);
}

static void test_no_words_mean_all(void **state)
{
    struct selection s;
    const struct select_word *by;
    (void)state;
    assert_true(select_open(&s, NULL, 0, SPOOL));
    select_see(&s, &rows[0]);
    assert_true(select_check(&s));
    assert_true(select_job(&s, &rows[0], &by));
    assert_null(by);
    select_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_a_digest_of_two_requests),
        cmocka_unit_test(test_a_digest_of_two_jobs),
        cmocka_unit_test(test_no_words_mean_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
