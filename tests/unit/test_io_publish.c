/* publish: what lies where afterwards, in which order it got there, and what is in the way. */
#include "publish_fixture.h"

/* ---- what lies there ---- */

struct place_case {
    const char *name;
    const char *result, *error, *body; /* before; NULL: none */
    bool success;
    const char *text, *new_body;
    const char *want_result, *want_error, *want_body; /* after */
    int want_kept;
    const char *want_moved; /* content */
};

#define NONE "(none)"
static const struct place_case place_cases[] = {
    {"a first result", NULL, NULL, NULL, true, "R", NULL, "R", NONE, NONE, 0, NULL},
    {"a first error", NULL, NULL, NULL, false, "E", NULL, NONE, "E", NONE, 0, NULL},
    {"an error with a body", NULL, NULL, NULL, false, "E", "B", NONE, "E", "B", 0, NULL},
    {"an empty body", NULL, NULL, NULL, false, "E", "", NONE, "E", "", 0, NULL},
    {"result after error", NULL, "e", NULL, true, "R", NULL, "R", NONE, NONE, 0, NULL},
    {"result after error with body", NULL, "e", "b", true, "R", NULL, "R", NONE, NONE, 1, NULL},
    {"error after error", NULL, "e", NULL, false, "E", NULL, NONE, "E", NONE, 0, NULL},
    {"error and body after both", NULL, "e", "b", false, "E", "B", NONE, "E", "B", 1, NULL},
    {"error with the same body", NULL, "e", "B", false, "E", "B", NONE, "E", "B", 0, NULL},
    {"result after result", "r", NULL, NULL, true, "R", NULL, "R", NONE, NONE, 1, "r"},
    {"error after result", "r", NULL, NULL, false, "E", NULL, NONE, "E", NONE, 1, "r"},
    {"error and body after result", "r", NULL, "b", false, "E", "B", NONE, "E", "B", 2, "r"},
    {"both kinds were there", "r", "e", NULL, true, "R", NULL, "R", NONE, NONE, 1, "r"},
    {"the same result", "R", NULL, NULL, true, "R", NULL, "R", NONE, NONE, 0, NULL},
    {"the same result, the error not yet gone", "R", "e", "b", true, "R", NULL, "R", NONE, NONE, 1, NULL},
    {"the same error", NULL, "E", NULL, false, "E", NULL, NONE, "E", NONE, 0, NULL},
    {"same length, not same", "q", NULL, NULL, true, "R", NULL, "R", NONE, NONE, 1, "q"},
};

static void put_if(const struct tempdir *d, const char *stem, const char *suffix, const char *text)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", stem, suffix);
    if (text)
        put_file(d, name, text);
}

static const char *text_of(const struct tempdir *d, const char *stem, const char *suffix)
{
    char name[300];
    snprintf(name, sizeof name, "%s%s", stem, suffix);
    return file_text(d, name);
}

static void one_outcome_lies_there_and_nothing_paid_is_lost(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->spool, "sub");
    for (size_t i = 0; i < sizeof place_cases / sizeof *place_cases; i++) {
        const struct place_case *c = &place_cases[i];
        char stem[32];
        snprintf(stem, sizeof stem, i % 2 ? "sub/j%zu" : "j%zu", i);
        put_if(&f->spool, stem, ".result.json", c->result);
        put_if(&f->spool, stem, ".error.json", c->error);
        put_if(&f->spool, stem, ".error.body", c->body);
        int before = count_names(f->kept.path, "");
        print_message("%s\n", c->name);
        for (int again = 0; again < 2; again++) { /* recovery repeats: nothing more happens */
            struct publish_task t = task(stem, c->success, c->text, c->new_body);
            assert_int_equal(publish_now(f, &t), PUBLISH_OK);
            assert_string_equal(text_of(&f->spool, stem, ".result.json"), c->want_result);
            assert_string_equal(text_of(&f->spool, stem, ".error.json"), c->want_error);
            assert_string_equal(text_of(&f->spool, stem, ".error.body"), c->want_body);
            assert_int_equal(count_names(f->kept.path, "") - before, c->want_kept);
            if (again || !c->want_moved)
                assert_string_equal(f->last.moved, "");
            else
                assert_string_equal(file_text(kept(f), f->last.moved), c->want_moved);
        }
        assert_int_equal(count_temporaries(f), 0);
    }
}

static void the_body_can_come_from_a_file(void **state)
{
    struct fixture *f = *state;
    char path[300];
    put_file(&f->base, "state/spill", "spilled");
    snprintf(path, sizeof path, "%s/state/spill", f->base.path);
    struct publish_task t = task("a", false, "E", NULL);
    t.body_file = path;
    assert_int_equal(publish_now(f, &t), PUBLISH_OK);
    assert_string_equal(file_text(&f->spool, "a.error.body"), "spilled");
    disk_trace();
    assert_int_equal(publish_now(f, &t), PUBLISH_OK); /* again: nothing is written */
    assert_null(strstr(disk_trace(), "rename"));
    TEMPDIR_MUST(unlink(path) == 0);
    t.stem = "b";
    assert_int_equal(publish_now(f, &t), PUBLISH_TRY_LATER);
    assert_int_equal(f->last.err, ENOENT);
    assert_false(has_name(&f->spool, "b.error.json"));
    assert_int_equal(count_temporaries(f), 0);
}

static void a_superseded_job_s_outcome_goes_aside(void **state)
{
    struct fixture *f = *state;
    put_file(&f->spool, "a.result.json", "current");
    struct publish_task t = task("a", false, "E", "B");
    t.superseded_name = "a.old.error.json";
    assert_int_equal(publish_now(f, &t), PUBLISH_OK);
    assert_string_equal(file_text(kept(f), "a.old.error.json"), "E");
    assert_string_equal(file_text(kept(f), "a.old.error.json.body"), "B");
    assert_string_equal(file_text(&f->spool, "a.result.json"), "current");
    assert_int_equal(count_names(f->spool.path, ""), 1);
    struct stat st;
    TEMPDIR_MUST(fstat(kept(f)->fd, &st) == 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    t.text = "F";
    t.body = NULL;
    assert_int_equal(publish_now(f, &t), PUBLISH_OK); /* another one under that name: both are kept */
    assert_string_equal(file_text(kept(f), "a.old.error.json"), "F");
    assert_string_equal(file_text(kept(f), f->last.moved), "E");
}

static void what_is_kept_has_a_name_that_fits(void **state)
{
    struct fixture *f = *state;
    char stem[260] = "dir/", name[300];
    put_dir(&f->spool, "dir");
    for (size_t i = 0; i < 118; i++)
        strcat(stem, "\xc3\xa9");
    snprintf(name, sizeof name, "%s.result.json", stem);
    put_file(&f->spool, name, "r");
    assert_int_equal(publish_text(f, stem, true, "R"), PUBLISH_OK);
    assert_string_equal(file_text(kept(f), f->last.moved), "r");
    assert_in_range(strlen(f->last.moved), 249, 250); /* with room for .body */
    assert_memory_equal(f->last.moved, "dir%\xc3\xa9", 6);
    char before_time = f->last.moved[strcspn(f->last.moved, ".") - 1];
    assert_int_equal((unsigned char)before_time, 0xa9); /* no half character */
}

/* ---- order ---- */

static void a_result_is_synced_renamed_and_its_name_synced(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_OK);
    assert_string_equal(disk_trace(), "sync TEMP\nrename to a.result.json\nsync spool\n");
}

static void an_old_result_is_kept_for_good_before_it_is_replaced(void **state)
{
    struct fixture *f = *state;
    put_file(&f->spool, "a.result.json", "r");
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_OK);
    assert_string_equal(disk_trace(), "sync TEMP\nsync state\nlink a.result.json\nsync kept\n"
                                      "rename to a.result.json\nsync spool\n");
}

static void the_other_kind_goes_after_the_new_one_is_there_for_good(void **state)
{
    struct fixture *f = *state;
    put_file(&f->spool, "a.error.json", "e");
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_OK);
    assert_string_equal(disk_trace(), "sync TEMP\nrename to a.result.json\nsync spool\n"
                                      "unlink a.error.json\nsync spool\n");
}

static void what_lies_there_already_is_synced_again(void **state)
{
    struct fixture *f = *state;
    put_file(&f->spool, "a.result.json", "R");
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_OK);
    assert_string_equal(disk_trace(), "sync a.result.json\nsync spool\n");
}

static void a_kept_link_from_before_a_crash_is_found_again(void **state)
{
    struct fixture *f = *state;
    put_file(&f->spool, "a.result.json", "r");
    pthread_mutex_lock(&disk.lock);
    disk.rename_errors = 1; /* the old one was kept, then nothing more */
    disk.rename_error = EACCES;
    pthread_mutex_unlock(&disk.lock);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_TRY_LATER);
    assert_int_equal(f->last.err, EACCES);
    assert_string_equal(f->last.moved, "");
    assert_string_equal(file_text(&f->spool, "a.result.json"), "r");
    assert_int_equal(count_temporaries(f), 0);
    assert_int_equal(count_names(f->kept.path, "a."), 1);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_OK);
    assert_int_equal(count_names(f->kept.path, "a."), 1);
    assert_string_equal(file_text(kept(f), f->last.moved), "r");
}

/* ---- things in the way ---- */

static void a_link_is_replaced_and_never_followed(void **state)
{
    struct fixture *f = *state;
    put_file(&f->base, "victim", "R");
    put_file(&f->base, "other", "untouched");
    TEMPDIR_MUST(symlinkat("../victim", f->spool.fd, "a.result.json") ==
                 0); /* the very bytes, but elsewhere */
    TEMPDIR_MUST(symlinkat("../other", f->spool.fd, "a.error.json") == 0);
    TEMPDIR_MUST(symlinkat("../other", f->spool.fd, "a.error.body") == 0);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_OK);
    assert_string_equal(file_text(&f->spool, "a.result.json"), "R"); /* does not read through links */
    assert_false(has_name(&f->spool, "a.error.json"));
    assert_false(has_name(&f->spool, "a.error.body"));
    assert_string_equal(file_text(&f->base, "victim"), "R");
    assert_string_equal(file_text(&f->base, "other"), "untouched");
    assert_int_equal(count_names(f->kept.path, ""), 0);
    TEMPDIR_MUST(mkfifoat(f->spool.fd, "b.result.json", 0644) == 0);
    assert_int_equal(publish_text(f, "b", true, "R"), PUBLISH_OK);
    assert_string_equal(file_text(&f->spool, "b.result.json"), "R");
}

static void a_directory_in_the_way_is_named(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->spool, "a.result.json");
    put_dir(&f->spool, "b.error.body");
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_TRY_LATER);
    assert_int_equal(f->last.err, EISDIR);
    assert_string_equal(f->last.detail, "cannot replace a.result.json: a directory is in the way");
    struct publish_task t = task("b", false, "E", "B");
    assert_int_equal(publish_now(f, &t), PUBLISH_TRY_LATER);
    assert_int_equal(f->last.err, EISDIR);
    assert_false(has_name(&f->spool, "b.error.json"));
    assert_int_equal(count_temporaries(f), 0);
    assert_int_equal(publish_text(f, "a", false, "E"), PUBLISH_OK); /* not an outcome, not in its way */
    assert_int_equal(publish_text(f, "b", false, "E"), PUBLISH_OK);
    assert_true(has_name(&f->spool, "a.result.json"));
}

static void a_directory_must_be_one_below_the_spool(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *stem;
        int err;
    } cases[] = {{"missing/a", ENOENT}, {"file/a", ENOTDIR}, {"link/a", ENOTDIR}, {"x/../a", EINVAL}};
    put_file(&f->spool, "file", "");
    put_dir(&f->spool, "sub");
    TEMPDIR_MUST(symlinkat("sub", f->spool.fd, "link") == 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(publish_text(f, cases[i].stem, true, "R"), PUBLISH_TRY_LATER);
        assert_int_equal(f->last.err, cases[i].err);
        assert_non_null(strstr(f->last.detail, cases[i].stem));
    }
    assert_int_equal(count_names(f->spool.path, "result"), 0);
}

static void names_that_cannot_be_are_not_queued(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"", "/abs", "dir/", ".hidden", "dir/.hidden"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct publish_task t = task(bad[i], true, "R", NULL);
        assert_int_equal(publish_outcome(f->publish, &t, on_done, NULL), -EINVAL);
        assert_int_equal(publish_renamed(f->publish, bad[i], NULL, "a", "a.yaml", 0, "", on_done, NULL),
                         -EINVAL);
    }
    struct publish_task t = task("a", true, "R", NULL);
    t.superseded_name = "../a";
    assert_int_equal(publish_outcome(f->publish, &t, on_done, NULL), -EINVAL);
    assert_int_equal(publish_queued(f->publish), 0);
}

/* ---- many ---- */

static void five_hundred_share_their_syncs(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 500 };
    static char stems[MANY][32], texts[MANY][32];
    static const char *const dirs[] = {"", "sub1/", "sub2/"};
    put_dir(&f->spool, "sub1");
    put_dir(&f->spool, "sub2");
    for (size_t i = 0; i < MANY; i++) {
        snprintf(stems[i], sizeof stems[i], "%sj%zu", dirs[i % 3], i);
        snprintf(texts[i], sizeof texts[i], "text %zu", i);
        struct publish_task t = task(stems[i], i % 7 != 0, texts[i], i % 7 ? NULL : texts[i]);
        assert_int_equal(publish_outcome(f->publish, &t, on_done, next_report(f)), 0);
        memset(stems[i], '?', sizeof stems[i] - 1); /* it was copied */
    }
    assert_int_equal(publish_queued(f->publish), MANY);
    assert_int_equal(f->reported, 0);
    wait_for(f, MANY);
    for (size_t i = 0; i < MANY; i++) {
        if (i > 0)
            assert_int_equal(f->order[i], (f->order[i - 1] + 1) % (sizeof reports / sizeof *reports));
        char name[64];
        snprintf(name, sizeof name, "%sj%zu.%s.json", dirs[i % 3], i, i % 7 ? "result" : "error");
        assert_string_equal(file_text(&f->spool, name), texts[i]);
    }
    assert_int_equal(count_temporaries(f), 0);
    int dir_syncs = 0;
    for (const char *c = disk_trace(); (c = strstr(c, "sync s")) != NULL; c++)
        dir_syncs++;
    assert_in_range(dir_syncs, 3 * MANY / 64, 3 * MANY / 16);
}

static void tasks_for_one_name_take_turns(void **state)
{
    struct fixture *f = *state;
    char texts[8][8];
    for (size_t i = 0; i < 8; i++) {
        snprintf(texts[i], sizeof texts[i], "%zu", i);
        struct publish_task t = task("a", true, texts[i], NULL);
        assert_int_equal(publish_outcome(f->publish, &t, on_done, next_report(f)), 0);
    }
    wait_for(f, 8);
    assert_string_equal(file_text(&f->spool, "a.result.json"), "7");
    assert_int_equal(count_names(f->kept.path, "a."), 7);
}

static void closing_finishes_what_is_queued_unreported(void **state)
{
    struct fixture *f = *state;
    char stems[100][8];
    for (size_t i = 0; i < 100; i++) {
        snprintf(stems[i], sizeof stems[i], "j%zu", i);
        struct publish_task t = task(stems[i], true, "R", NULL);
        assert_int_equal(publish_outcome(f->publish, &t, on_done, next_report(f)), 0);
    }
    publish_close(f->publish);
    assert_int_equal(count_names(f->spool.path, ".result.json"), 100);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->reported, 0);
    f->publish = NULL;
}

static void close_in_done(void *arg, const struct publish_result *r)
{
    struct fixture *f = arg;
    (void)r;
    f->reported++;
    publish_close(f->publish);
    f->publish = NULL;
}

static void it_can_be_closed_from_a_report(void **state)
{
    struct fixture *f = *state;
    struct publish_task a = task("a", true, "R", NULL), b = task("b", true, "R", NULL);
    assert_int_equal(publish_outcome(f->publish, &a, close_in_done, f), 0);
    assert_int_equal(publish_outcome(f->publish, &b, close_in_done, f), 0);
    while (f->publish && !f->out_of_patience)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->reported, 1);
    assert_true(has_name(&f->spool, "b.result.json"));
}

static void temporaries_of_a_crash_are_swept_aside_too(void **state)
{
    struct fixture *f = *state;
    publish_close(f->publish);
    put_dir(&f->base, "state/kept");
    put_file(&f->base, "state/kept/.flowspool.abcdef", "half");
    put_file(&f->base, "state/kept/a.result.json", "whole");
    assert_int_equal(publish_open(&f->publish, &f->loop, f->spool.fd, f->kept.path), 0);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_OK);
    assert_int_equal(count_names(f->kept.path, ""), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_outcome_lies_there_and_nothing_paid_is_lost),
        TEST(the_body_can_come_from_a_file),
        TEST(a_superseded_job_s_outcome_goes_aside),
        TEST(what_is_kept_has_a_name_that_fits),
        TEST(a_result_is_synced_renamed_and_its_name_synced),
        TEST(an_old_result_is_kept_for_good_before_it_is_replaced),
        TEST(the_other_kind_goes_after_the_new_one_is_there_for_good),
        TEST(what_lies_there_already_is_synced_again),
        TEST(a_kept_link_from_before_a_crash_is_found_again),
        TEST(a_link_is_replaced_and_never_followed),
        TEST(a_directory_in_the_way_is_named),
        TEST(a_directory_must_be_one_below_the_spool),
        TEST(names_that_cannot_be_are_not_queued),
        TEST(five_hundred_share_their_syncs),
        TEST(tasks_for_one_name_take_turns),
        TEST(closing_finishes_what_is_queued_unreported),
        TEST(it_can_be_closed_from_a_report),
        TEST(temporaries_of_a_crash_are_swept_aside_too),
    };
    return cmocka_run_group_tests_name("io_publish", tests, NULL, NULL);
}
