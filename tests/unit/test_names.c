#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/names.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void test_classify(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum name_kind expected;
    } cases[] = {
        {"story.yaml", NAME_JOB},
        {"story.yml", NAME_JOB},
        {"story.YAML", NAME_JOB},
        {"story.Yml", NAME_JOB},
        {"a b\n.yaml", NAME_JOB},
        {"-rf.yaml", NAME_JOB},
        {"x.result.json.yaml", NAME_JOB},
        {"how to resolve_conflict.yaml", NAME_JOB},
        {"a conflicted copy.yaml", NAME_JOB},
        {"(draft) about a conflicted copy.yaml", NAME_JOB},
        {"chapter (conflict of interest).yaml", NAME_JOB},
        {"chapter (conflict 7).yaml", NAME_JOB},
        {"chapter (Conflict).yaml", NAME_JOB},
        {"story_conflict-2.yaml", NAME_JOB},
        {"story_conflict-20261123.yaml", NAME_JOB},
        {"story.sync-conflict-handling.yaml", NAME_JOB},
        {"story (SFConflict).yaml", NAME_JOB},
        {"story (case conflicts).yaml", NAME_JOB},
        {"story (case conflict in court).yaml", NAME_JOB},
        {"story (a conflicted copy).yaml", NAME_JOB},
        {"story (2026-11-23 conflicted copy).yaml", NAME_JOB},
        {"story (about a) conflicted copy 2026-11-23).yaml", NAME_JOB},
        {"story (conflict.yaml", NAME_JOB},
        {"story (.yaml", NAME_JOB},
        {"story.yaml.hold", NAME_HELD_JOB},
        {"story.YML.hold", NAME_HELD_JOB},
        {"story.yaml.HOLD", NAME_OTHER},
        {"story.hold", NAME_OTHER},
        {".flowspool.aB3xYz", NAME_OURS_TEMP},
        {".flowspool.aB3xY", NAME_OTHER},
        {".flowspool.aB3xYzz", NAME_OTHER},
        {".flowspool.aB3x.z", NAME_OTHER},
        {".flowspool.aB3xYz.bak", NAME_OTHER},
        {".flowspool", NAME_OTHER},
        {"story.yaml.txt", NAME_JOB_LIKE},
        {"story.yaml.TXT", NAME_JOB_LIKE},
        {"story.YML.txt", NAME_JOB_LIKE},
        {"story.txt", NAME_OTHER},
        {".story.yaml", NAME_OTHER},
        {"_story.yaml", NAME_OTHER},
        {".yaml", NAME_OTHER},
        {".story.yaml.hold", NAME_OTHER},
        {"_story.yaml.txt", NAME_OTHER},
        {"story.yaml~", NAME_OTHER},
        {"story.yaml.tmp", NAME_OTHER},
        {"story.yaml.part", NAME_OTHER},
        {"story.yaml.swp", NAME_OTHER},
        {"story.yaml.filepart", NAME_OTHER},
        {"story.yaml.crdownload", NAME_OTHER},
        {"story.result.json", NAME_OTHER},
        {"story.error.json", NAME_OTHER},
        {"story.error.body", NAME_OTHER},
        {"story.sync-conflict-20261123-220000-ABCDEFG.yaml", NAME_CONFLICT},
        {"story.sync-conflict-20261123-220000-ABCDEFG.yaml.hold", NAME_CONFLICT},
        {"story (Ann's conflicted copy 2026-11-23).yaml", NAME_CONFLICT},
        {"story (conflicted copy 2026-11-23 220000).yaml", NAME_CONFLICT},
        {"story (conflict 2026-11-23).yaml", NAME_CONFLICT},
        {"story (Case Conflict).yaml", NAME_CONFLICT},
        {"story (SFConflict ann@example.org 2026-11-23).yaml", NAME_CONFLICT},
        {"story_conflict-20261123-220000.yaml", NAME_CONFLICT},
        {"story (Case Conflict 2).yaml", NAME_CONFLICT},
        {"story (Ann's conflicted copy 2026-11-23 (1)).yaml", NAME_CONFLICT},
        {"story_conflict-ann-20261123-220000.yml", NAME_CONFLICT},
        {"story (conflict 2026-11-23).yaml.hold", NAME_CONFLICT},
        {"story (conflict 2026-11-23).txt", NAME_OTHER},
        {".story (conflict 2026-11-23).yaml", NAME_OTHER},
        {"storyyaml", NAME_OTHER},
        {"yaml", NAME_OTHER},
        {"", NAME_OTHER},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (name_classify(cases[i].name) != cases[i].expected)
            fail_msg("'%s' is %d", cases[i].name, (int)name_classify(cases[i].name));
}

static void test_directories(void **state)
{
    (void)state;
    static const char *const entered[] = {"a", "2026", "a.b", "ümlaut", "-"};
    static const char *const skipped[] = {".", "..", ".git", "_old", "@eaDir", "#recycle", "~x", ""};
    for (size_t i = 0; i < COUNT(entered); i++)
        assert_true(name_is_scanned_dir(entered[i]));
    for (size_t i = 0; i < COUNT(skipped); i++)
        assert_false(name_is_scanned_dir(skipped[i]));
}

static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t stem, job;
    } cases[] = {
        {"a.yaml", 1, 6},
        {"a.YML", 1, 5},
        {"d/a.yaml.hold", 3, 8},
        {"a.hold", 6, 6},
        {"a.yaml.hold.hold", 16, 16},
        {"a.yaml.yml", 6, 10},
        {"a", 1, 1},
        {"", 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(name_stem_len(cases[i].path), cases[i].stem);
        assert_int_equal(name_job_len(cases[i].path), cases[i].job);
    }
}

static void test_outcome_stem(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool several;
        const char *id;
        size_t document;
        const char *expected;
    } cases[] = {
        {"story.yaml", false, NULL, 1, "story"},
        {"story.yaml", false, "charlie", 1, "story"},
        {"d/e/story.YML.hold", false, NULL, 1, "d/e/story"},
        {"story.yaml", true, "charlie", 2, "story.charlie"},
        {"story.yaml", true, NULL, 2, "story.2"},
        {"story.yaml", true, "", 4294967295, "story.4294967295"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *stem = name_outcome_stem(cases[i].path, cases[i].several, cases[i].id, cases[i].document);
        assert_non_null(stem);
        assert_string_equal(stem, cases[i].expected);
        free(stem);
    }
}

static void test_stem_of_an_outcome_file(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t stem;
    } cases[] = {
        {"story.result.json", 5},
        {"story.error.json", 5},
        {"d/story.2.error.body", 9},
        {"a.result.json.error.json", 13},
        {"story.json", 0},
        {"story.Result.json", 0},
        {"story.result.json.hold", 0},
        {".result.json", 0},
        {"story.yaml", 0},
        {"", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(name_outcome_stem_len(cases[i].path), cases[i].stem);
}

/* The longest stem that is accepted makes a file name of exactly 255 bytes. */
static void test_refusal_is_exact(void **state)
{
    (void)state;
    static const struct {
        bool several;
        const char *id;
        size_t document;
    } cases[] = {
        {false, "not-used", 7},
        {true, "charlie", 1},
        {true, NULL, 9},
        {true, NULL, 10},
        {true, NULL, 4294967295},
        {true, "0123456789012345678901234567890123456789012345678901234567890123", 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t len = 100; len < 260; len++) {
            char path[300] = "dir/";
            memset(path + 4, 'x', len);
            strcpy(path + 4 + len, ".yaml.hold");
            char *stem = name_outcome_stem(path, cases[i].several, cases[i].id, cases[i].document);
            assert_non_null(stem);
            bool fits = strlen(stem) - 4 + strlen(".result.json") <= 255;
            free(stem);
            const char *refusal = name_refusal(path, cases[i].several, cases[i].id, cases[i].document);
            assert_true(fits == (refusal == NULL));
        }
    }
    assert_non_null(name_refusal("a\xff.yaml", false, NULL, 1));
    assert_non_null(name_refusal("d\xed\xa0\x80/a.yaml", false, NULL, 1));
    assert_null(name_refusal("a\n\x1b.yaml", false, NULL, 1));
}

static void test_escape(void **state)
{
    (void)state;
    char buf[64];
    assert_ptr_equal(name_escape("a\n\x1b\xff\xc3\xa9.yaml", buf, sizeof buf), buf);
    assert_string_equal(buf, "a\\x0a\\x1b\\xff\xc3\xa9.yaml");
    assert_true(name_is_utf8("\xc3\xa9", 2));
    assert_false(name_is_utf8("\xc3", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_outcome_stem),
        cmocka_unit_test(test_refusal_is_exact),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_stem_of_an_outcome_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
