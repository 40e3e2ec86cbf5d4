/* publish: the outcomes of renamed jobs. */
#include "publish_fixture.h"

#include "core/outcome.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void put_error(const struct tempdir *d, const char *name, const char *job, const char *sha)
{
    const struct outcome o = {
        .job = job,
        .request_sha256 = sha,
        .endpoint = "https://host",
        .workflow = "wf",
        .code = "rejected",
        .message = "a sentence",
        .duration_ms = -1,
    };
    size_t len;
    char *text = outcome_error(&o, &len);
    TEMPDIR_MUST(text);
    put_bytes(d, name, text, len);
    free(text);
}

static void put_result(const struct tempdir *d, const char *name, const char *job, const char *sha)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"version\":1,\"job\":\"%s\",\"job_sha256\":null,\"request_sha256\":\"%s\","
             "\"endpoint\":\"https://host\",\"workflow\":\"wf\",\"success\":true,\"result\":\"R\"}\n",
             job, sha);
    put_file(d, name, text);
}

static enum publish_rc rename_now(struct fixture *f, const char *from, const char *superseded, const char *to,
                                  const char *job)
{
    f->reported = 0;
    assert_int_equal(
        publish_renamed(f->publish, from, superseded, to, job, 0, SHA_A, on_done, next_report(f)), 0);
    assert_int_equal(f->reported, 0);
    wait_for(f, 1);
    return f->last.rc;
}

static void expect_job(const struct tempdir *d, const char *name, const char *job)
{
    char want[64];
    snprintf(want, sizeof want, "\"job\":\"%s\"", job);
    const char *text = file_text(d, name);
    if (!strstr(text, want))
        fail_msg("%s: no %s in %s", name, want, text);
}

static void a_renamed_job_takes_its_result_along(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->spool, "sub");
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_A);
    TEMPDIR_MUST(fchmodat(f->spool.fd, "a.result.json", 0640, 0) == 0);
    assert_int_equal(rename_now(f, "a", NULL, "sub/b", "sub/b.yaml"), PUBLISH_OK);
    assert_string_equal(f->last.detail, "");
    expect_job(&f->spool, "sub/b.result.json", "sub/b.yaml");
    assert_int_equal(stat_of(&f->spool, "sub/b.result.json").st_mode & 07777, 0640);
    assert_false(has_name(&f->spool, "a.result.json"));
    assert_int_equal(count_names(f->kept.path, ""), 0);
    const char *calls = disk_trace(); /* the old name goes after the new one is there for good */
    assert_non_null(strstr(calls, "rename to b.result.json\nsync sub\nunlink a.result.json\nsync spool\n"));
    assert_int_equal(rename_now(f, "a", NULL, "sub/b", "sub/b.yaml"), PUBLISH_OK);
    assert_string_equal(f->last.detail, "absent");
}

static void a_renamed_job_takes_its_error_and_body_along(void **state)
{
    struct fixture *f = *state;
    put_error(&f->spool, "a.error.json", "a.yaml", SHA_A);
    put_file(&f->spool, "a.error.body", "body");
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_B); /* another job's */
    put_result(&f->spool, "b.result.json", "b.yaml", SHA_B); /* was there before */
    assert_int_equal(rename_now(f, "a", NULL, "b", "b.yaml"), PUBLISH_OK);
    expect_job(&f->spool, "b.error.json", "b.yaml");
    assert_string_equal(file_text(&f->spool, "b.error.body"), "body");
    assert_false(has_name(&f->spool, "a.error.json"));
    assert_false(has_name(&f->spool, "a.error.body"));
    assert_true(has_name(&f->spool, "a.result.json"));
    assert_false(has_name(&f->spool, "b.result.json"));
    expect_job(kept(f), f->last.moved, "b.yaml");
    assert_int_equal(count_temporaries(f), 0);
}

static void the_same_outcome_name_is_rewritten_in_place(void **state)
{
    struct fixture *f = *state;
    put_error(&f->spool, "a.error.json", "a.yaml", SHA_A);
    put_file(&f->spool, "a.error.body", "body");
    assert_int_equal(rename_now(f, "a", NULL, "a", "a.yml"), PUBLISH_OK);
    expect_job(&f->spool, "a.error.json", "a.yml");
    assert_string_equal(file_text(&f->spool, "a.error.body"), "body");
    put_result(&f->spool, "c.result.json", "c.yaml", SHA_A);
    assert_int_equal(rename_now(f, "c", NULL, "c", "c.yml"), PUBLISH_OK);
    expect_job(&f->spool, "c.result.json", "c.yml");
    assert_int_equal(count_names(f->kept.path, ""), 0);
}

static void an_identity_that_comes_back_gets_its_result_back(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->base, "state/kept");
    put_result(kept(f), "a.old.result.json", "a.yaml", SHA_A);
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_B);
    assert_int_equal(rename_now(f, NULL, "a.old.result.json", "a", "a.yaml"), PUBLISH_OK);
    assert_non_null(strstr(file_text(&f->spool, "a.result.json"), SHA_A));
    assert_false(has_name(kept(f), "a.old.result.json"));
    assert_non_null(strstr(file_text(kept(f), f->last.moved), SHA_B));

    put_error(kept(f), "b.old", "b.yaml", SHA_A);
    put_file(kept(f), "b.old.body", "body");
    assert_int_equal(rename_now(f, NULL, "b.old", "b", "b.yaml"), PUBLISH_OK);
    assert_string_equal(file_text(&f->spool, "b.error.body"), "body");
    assert_false(has_name(kept(f), "b.old"));
    assert_false(has_name(kept(f), "b.old.body"));
}

static void a_rename_cut_by_a_crash_is_finished(void **state)
{
    struct fixture *f = *state;
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_A);
    assert_int_equal(rename_now(f, "a", NULL, "b", "b.yaml"), PUBLISH_OK);
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_A); /* as if its removal had been lost */
    assert_int_equal(rename_now(f, "a", NULL, "b", "b.yaml"), PUBLISH_OK);
    assert_false(has_name(&f->spool, "a.result.json"));
    expect_job(&f->spool, "b.result.json", "b.yaml");
    assert_int_equal(count_names(f->kept.path, ""), 0);
}

static void what_is_not_the_job_s_stays_where_it_is(void **state)
{
    struct fixture *f = *state;
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_B);
    put_file(&f->spool, "c.result.json", "no JSON");
    put_result(&f->base, "elsewhere", "l.yaml", SHA_A);
    TEMPDIR_MUST(symlinkat("../elsewhere", f->spool.fd, "l.result.json") == 0);
    put_dir(&f->spool, "d.result.json");
    TEMPDIR_MUST(mkfifoat(f->spool.fd, "e.error.json", 0644) == 0);
    static const char *const stems[] = {"a", "c", "d", "e", "l", "missing", "no/dir"};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        assert_int_equal(rename_now(f, stems[i], NULL, "z", "z.yaml"), PUBLISH_OK);
        assert_string_equal(f->last.detail, "absent");
    }
    assert_int_equal(rename_now(f, NULL, "z.old", "z", "z.yaml"), PUBLISH_OK); /* no superseded_dir either */
    assert_string_equal(f->last.detail, "absent");
    assert_int_equal(count_names(f->spool.path, "z."), 0);
    assert_int_equal(count_names(f->spool.path, ""), 5);
}

static void a_rename_waits_for_the_outcome_before_it(void **state)
{
    struct fixture *f = *state;
    put_result(&f->base, "text", "a.yaml", SHA_A);
    char text[512];
    snprintf(text, sizeof text, "%s", file_text(&f->base, "text"));
    struct publish_task t = task("a", true, text, NULL);
    assert_int_equal(publish_outcome(f->publish, &t, on_done, next_report(f)), 0);
    assert_int_equal(publish_renamed(f->publish, "a", NULL, "b", "b.yaml", 0, SHA_A, on_done, next_report(f)),
                     0);
    assert_int_equal(publish_renamed(f->publish, "b", NULL, "c", "c.yaml", 0, SHA_A, on_done, next_report(f)),
                     0);
    wait_for(f, 3);
    assert_int_equal(count_names(f->spool.path, ""), 1);
    expect_job(&f->spool, "c.result.json", "c.yaml");
}

static enum publish_rc keep_now(struct fixture *f, const char *stem)
{
    f->reported = 0;
    assert_int_equal(publish_kept(f->publish, stem, SHA_A, on_done, next_report(f)), 0);
    wait_for(f, 1);
    return f->last.rc;
}

static void an_outcome_is_kept_and_moves_on_from_there(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->spool, "sub");
    put_result(&f->spool, "sub/a.result.json", "sub/a.yaml", SHA_A);
    assert_int_equal(keep_now(f, "sub/a"), PUBLISH_OK);
    assert_memory_equal(f->last.moved, "sub%a.", 6);
    assert_non_null(strstr(disk_trace(), "link a.result.json\nsync kept\n"));
    assert_true(has_name(&f->spool, "sub/a.result.json"));
    char name[sizeof f->last.moved];
    snprintf(name, sizeof name, "%s", f->last.moved);
    assert_int_equal(keep_now(f, "sub/a"), PUBLISH_OK); /* as if a crash had lost the record */
    assert_string_equal(f->last.moved, name);
    assert_int_equal(rename_now(f, "sub/a", name, "b", "b.yaml"), PUBLISH_OK);
    expect_job(&f->spool, "b.result.json", "b.yaml");
    assert_false(has_name(&f->spool, "sub/a.result.json"));
    assert_int_equal(count_names(f->kept.path, ""), 0);
    assert_int_equal(rename_now(f, "sub/a", name, "b", "b.yaml"), PUBLISH_OK);
    assert_string_equal(f->last.detail, "absent");
}

static void an_error_is_kept_with_its_body(void **state)
{
    struct fixture *f = *state;
    char name[sizeof f->last.moved], body[sizeof f->last.moved + 8];
    put_error(&f->spool, "a.error.json", "a.yaml", SHA_A);
    put_file(&f->spool, "a.error.body", "body");
    assert_int_equal(keep_now(f, "a"), PUBLISH_OK);
    snprintf(name, sizeof name, "%s", f->last.moved);
    snprintf(body, sizeof body, "%s.body", name);
    assert_string_equal(file_text(kept(f), body), "body");
    assert_int_equal(rename_now(f, "a", name, "b", "b.yaml"), PUBLISH_OK);
    assert_string_equal(file_text(&f->spool, "b.error.body"), "body");
    expect_job(&f->spool, "b.error.json", "b.yaml");
    assert_int_equal(count_names(f->spool.path, ""), 2);
    assert_int_equal(count_names(f->kept.path, ""), 0);
}

/* The name that it is kept under. */
static void keep_result(struct fixture *f, char name[sizeof f->last.moved])
{
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_A);
    assert_int_equal(keep_now(f, "a"), PUBLISH_OK);
    memcpy(name, f->last.moved, sizeof f->last.moved);
}

static void what_took_the_name_of_a_kept_outcome_stays(void **state)
{
    struct fixture *f = *state;
    char name[sizeof f->last.moved];
    keep_result(f, name);
    struct publish_task t = task("a", true, "other", NULL);
    f->reported = 0;
    assert_int_equal(publish_outcome(f->publish, &t, on_done, next_report(f)), 0);
    wait_for(f, 1);
    assert_string_equal(f->last.moved, name); /* the same name: nothing is kept twice */
    assert_int_equal(rename_now(f, "a", name, "b", "b.yaml"), PUBLISH_OK);
    assert_string_equal(file_text(&f->spool, "a.result.json"), "other");
    expect_job(&f->spool, "b.result.json", "b.yaml");
    assert_int_equal(count_names(f->kept.path, ""), 0);
}

static void the_body_of_a_kept_error_is_not_kept_again(void **state)
{
    struct fixture *f = *state;
    char name[sizeof f->last.moved];
    put_error(&f->spool, "a.error.json", "a.yaml", SHA_A);
    put_file(&f->spool, "a.error.body", "body");
    assert_int_equal(keep_now(f, "a"), PUBLISH_OK);
    memcpy(name, f->last.moved, sizeof name);
    disk_trace();
    struct publish_task t = task("a", false, "other", NULL);
    f->reported = 0;
    assert_int_equal(publish_outcome(f->publish, &t, on_done, next_report(f)), 0);
    wait_for(f, 1);
    assert_int_equal(f->last.rc, PUBLISH_OK);
    assert_non_null(strstr(disk_trace(), "sync kept\n")); /* it must last before the old name goes */
    assert_false(has_name(&f->spool, "a.error.body"));
    assert_int_equal(count_names(f->kept.path, ""), 2);
    assert_int_equal(rename_now(f, "a", name, "b", "b.yaml"), PUBLISH_OK);
    assert_string_equal(file_text(&f->spool, "b.error.body"), "body");
    assert_int_equal(count_names(f->kept.path, ""), 0);
}

static void a_kept_outcome_goes_back_to_where_it_still_is(void **state)
{
    struct fixture *f = *state;
    char name[sizeof f->last.moved];
    keep_result(f, name);
    assert_int_equal(rename_now(f, "a", name, "a", "a.yaml"), PUBLISH_OK);
    expect_job(&f->spool, "a.result.json", "a.yaml");
    assert_int_equal(count_names(f->kept.path, ""), 0);
}

static void only_the_job_s_own_outcome_is_kept(void **state)
{
    struct fixture *f = *state;
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_B);
    assert_int_equal(keep_now(f, "a"), PUBLISH_OK);
    assert_string_equal(f->last.detail, "absent");
    assert_string_equal(f->last.moved, "");
    assert_int_equal(keep_now(f, "no/dir"), PUBLISH_OK);
    assert_int_equal(count_names(f->kept.path, ""), 0);
    assert_int_equal(publish_kept(f->publish, "/a", SHA_A, on_done, NULL), -EINVAL);
}

static void a_keep_that_is_not_synced_fails(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->base, "state/kept");
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_A);
    disk_fails_syncs(0, 0, 1, EIO);
    assert_int_equal(keep_now(f, "a"), PUBLISH_SYNC_FAILED);
    assert_true(has_name(&f->spool, "a.result.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_renamed_job_takes_its_result_along),
        TEST(a_renamed_job_takes_its_error_and_body_along),
        TEST(the_same_outcome_name_is_rewritten_in_place),
        TEST(an_identity_that_comes_back_gets_its_result_back),
        TEST(a_rename_cut_by_a_crash_is_finished),
        TEST(what_is_not_the_job_s_stays_where_it_is),
        TEST(a_rename_waits_for_the_outcome_before_it),
        TEST(an_outcome_is_kept_and_moves_on_from_there),
        TEST(an_error_is_kept_with_its_body),
        TEST(what_took_the_name_of_a_kept_outcome_stays),
        TEST(the_body_of_a_kept_error_is_not_kept_again),
        TEST(a_kept_outcome_goes_back_to_where_it_still_is),
        TEST(only_the_job_s_own_outcome_is_kept),
        TEST(a_keep_that_is_not_synced_fails),
    };
    return cmocka_run_group_tests_name("io_publish_renamed", tests, NULL, NULL);
}
