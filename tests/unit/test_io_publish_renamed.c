/* publish: the outcomes of renamed jobs. */
#include "publish_fixture.h"

#include "core/outcome.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

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

static void move(struct fixture *f, const char *from, const char *to, const char *sha)
{
    char job[16];
    snprintf(job, sizeof job, "%s.yaml", to);
    assert_int_equal(publish_renamed(f->publish, from, NULL, to, job, 0, sha, on_done, next_report(f)), 0);
}

static void expect_moved(struct fixture *f, const char *stem, const char *ending, const char *sha)
{
    char name[32], job[16];
    snprintf(name, sizeof name, "%s%s", stem, ending);
    snprintf(job, sizeof job, "%s.yaml", stem);
    expect_job(&f->spool, name, job);
    assert_non_null(strstr(file_text(&f->spool, name), sha));
}

/* Documents that change places: each one's outcome lies where another one's has to go. */
static void outcomes_may_change_places(void **state)
{
    struct fixture *f = *state;
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_A);
    put_error(&f->spool, "b.error.json", "b.yaml", SHA_B);
    put_file(&f->spool, "b.error.body", "paid");
    move(f, "b", "a", SHA_B);
    move(f, "a", "b", SHA_A);
    wait_for(f, 2);
    expect_moved(f, "a", ".error.json", SHA_B);
    assert_string_equal(file_text(&f->spool, "a.error.body"), "paid");
    expect_moved(f, "b", ".result.json", SHA_A);
    assert_int_equal(count_names(f->spool.path, ""), 3);
    assert_int_equal(count_temporaries(f), 0);
}

/* One that is put before the others moves them all. */
static void each_may_take_the_next_one_s_place(void **state)
{
    struct fixture *f = *state;
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_A);
    put_error(&f->spool, "b.error.json", "b.yaml", SHA_B);
    put_result(&f->spool, "c.result.json", "c.yaml", SHA_C);
    move(f, "a", "b", SHA_A);
    move(f, "b", "c", SHA_B);
    move(f, "c", "d", SHA_C);
    wait_for(f, 3);
    expect_moved(f, "b", ".result.json", SHA_A);
    expect_moved(f, "c", ".error.json", SHA_B);
    expect_moved(f, "d", ".result.json", SHA_C);
    assert_int_equal(count_names(f->spool.path, ""), 3);
}

/* Nothing is left at the old name where nobody takes it: the other one's outcome was collected. */
static void a_place_that_nobody_takes_is_free_afterwards(void **state)
{
    struct fixture *f = *state;
    put_result(&f->spool, "a.result.json", "a.yaml", SHA_A);
    move(f, "b", "a", SHA_B);
    move(f, "a", "b", SHA_A);
    wait_for(f, 2);
    expect_moved(f, "b", ".result.json", SHA_A);
    assert_int_equal(count_names(f->spool.path, ""), 1);
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
        TEST(outcomes_may_change_places),
        TEST(each_may_take_the_next_one_s_place),
        TEST(a_place_that_nobody_takes_is_free_afterwards),
    };
    return cmocka_run_group_tests_name("io_publish_renamed", tests, NULL, NULL);
}
