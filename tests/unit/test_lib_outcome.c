/* Outcomes as a program reads them: every field, which one answers a job, and files that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "core/jobfile.h"
#include "core/outcome.h"
#include "flowspool/flowspool.h"
#include "tempdir.h"

static const char job_a[] = "workflow: wf_a\ninputs: {text: a}\n";
static const char job_b[] = "workflow: wf_a\ninputs: {text: b}\n";

static int set_up(void **state)
{
    struct tempdir *spool = calloc(1, sizeof *spool);
    assert_non_null(spool);
    tempdir_open(spool, "/tmp");
    *state = spool;
    return 0;
}

static int tear_down(void **state)
{
    tempdir_close(*state);
    free(*state);
    return 0;
}

static int outcome_of(const struct tempdir *spool, const char *job, struct flowspool_outcome **outcome)
{
    struct flowspool_error *error = (struct flowspool_error *)(uintptr_t)1;
    int rc = flowspool_outcome_read(spool->path, job, outcome, &error);
    assert_int_equal(*outcome != NULL, rc == 1);
    assert_int_equal(error != NULL, rc < 0);
    if (error) {
        assert_int_equal(flowspool_error_code(error), rc);
        print_message("  %s\n", flowspool_error_message(error));
    }
    flowspool_error_free(error);
    return rc;
}

/* The daemon's own form; the digests are those of the last document of a job file, or of none. */
static void put_outcome(const struct tempdir *spool, const char *stem, const char *job,
                        const char *file_text_now, bool success, const char *result)
{
    struct jobfile file = {0};
    struct fault fault;
    struct json_object reply;
    char text[512], name[128];
    size_t len;
    bool parsed = jobfile_parse(file_text_now, strlen(file_text_now), INPUTS_TEXT, &file, &fault);
    char digest[DIGEST_HEX];
    const struct digest_part whole = {file_text_now, strlen(file_text_now)};
    digest_hex(&whole, 1, digest);
    snprintf(text, sizeof text, "{\"success\":true,\"result\":\"%s\"}", result);
    assert_true(json_scan_object(text, strlen(text), &reply));
    const struct outcome o = {
        .job = job,
        .job_sha256 = digest,
        .request_sha256 = parsed ? file.jobs[file.count - 1].request_sha256 : NULL,
        .document = parsed && file.count > 1 ? file.count : 0,
        .workflow = "wf_a",
        .http_status = 200,
        .attempts = 1,
        .duration_ms = 5,
        .reply = &reply,
        .code = parsed ? "server_error" : "invalid_job",
        .message = result,
        .retryable = true,
    };
    char *bytes = success ? outcome_result(&o, &len) : outcome_error(&o, &len);
    assert_non_null(bytes);
    snprintf(name, sizeof name, "%s.%s.json", stem, success ? "result" : "error");
    put_bytes(spool, name, bytes, len);
    free(bytes);
    jobfile_free(&file);
}

/* ---- fields ---- */

#define DIGEST "2f79b2c9d92bb9c6af6cdb8a5daaac1948571ed0562e38528444792465f54035"
static const char whole_result[] =
    "{\"version\":1,\"job\":\"a.yaml\",\"job_sha256\":\"" DIGEST "\",\"request_sha256\":\"" DIGEST "\","
    "\"endpoint\":\"https://host\",\"sandbox\":true,\"workflow\":\"wf_a\",\"success\":true,"
    "\"result\":\"Once \\u00e9 \\ud83d\\ude00\\u0000.\\n\",\"citations\":[\"https://x\", {\"n\":1.10}],"
    "\"extra\":{\"cost\":3},\"http_status\":200,\"attempts\":2,\"rate_limited\":3,\"ambiguous\":1,"
    "\"queued_at\":\"2026-11-23T22:00:00.123Z\",\"started_at\":null,\"finished_at\":null,\"duration_ms\":"
    "8123,"
    "\"request_id\":\"r-1\"}\n";

static void every_field_of_a_result(void **state)
{
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    size_t len;
    put_file(spool, "a.result.json", whole_result);
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 1);
    assert_int_equal(flowspool_outcome_success(o), 1);
    assert_memory_equal(flowspool_outcome_result(o, &len), "Once \xC3\xA9 \xF0\x9F\x98\x80\0.\n", 16);
    assert_int_equal(len, 15);
    assert_non_null(flowspool_outcome_result(o, NULL));
    assert_string_equal(flowspool_outcome_citations(o), "[\"https://x\", {\"n\":1.10}]");
    assert_null(flowspool_outcome_error_code(o));
    assert_null(flowspool_outcome_error_message(o));
    assert_int_equal(flowspool_outcome_retryable(o), 0);
    assert_int_equal(flowspool_outcome_http_status(o), 200);
    assert_int_equal(flowspool_outcome_attempts(o), 2);
    assert_int_equal(flowspool_outcome_rate_limited(o), 3);
    assert_int_equal(flowspool_outcome_ambiguous(o), 1);
    assert_int_equal(flowspool_outcome_duration_ms(o), 8123);
    assert_string_equal(flowspool_outcome_job(o), "a.yaml");
    assert_string_equal(flowspool_outcome_workflow(o), "wf_a");
    assert_string_equal(flowspool_outcome_request_sha256(o), DIGEST);
    assert_string_equal(flowspool_outcome_request_id(o), "r-1");
    assert_int_equal(flowspool_outcome_sandbox(o), 1);
    assert_string_equal(flowspool_outcome_json(o, &len), whole_result);
    assert_int_equal(len, strlen(whole_result));
    flowspool_outcome_free(o);
    flowspool_outcome_free(NULL);
}

static void every_field_of_an_error(void **state)
{
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    size_t len = 1;
    put_file(
        spool, "a.error.json",
        "{\"version\":1,\"job\":\"a.yaml\",\"job_sha256\":null,\"request_sha256\":null,\"endpoint\":null,"
        "\"workflow\":null,\"success\":false,\"error\":{\"code\":\"invalid_job\",\"message\":\"line 1: "
        "\\u00e9\","
        "\"http_status\":null,\"retryable\":true,\"response\":null},\"attempts\":0,\"rate_limited\":0,"
        "\"ambiguous\":0,\"queued_at\":null,\"started_at\":null,\"finished_at\":null,\"duration_ms\":null,"
        "\"request_id\":null}\n");
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 1);
    assert_int_equal(flowspool_outcome_success(o), 0);
    assert_null(flowspool_outcome_result(o, &len));
    assert_int_equal(len, 0);
    assert_null(flowspool_outcome_citations(o));
    assert_string_equal(flowspool_outcome_error_code(o), "invalid_job");
    assert_string_equal(flowspool_outcome_error_message(o), "line 1: \xC3\xA9");
    assert_int_equal(flowspool_outcome_retryable(o), 1);
    assert_int_equal(flowspool_outcome_http_status(o), -1);
    assert_int_equal(flowspool_outcome_attempts(o), 0);
    assert_int_equal(flowspool_outcome_duration_ms(o), -1);
    assert_null(flowspool_outcome_workflow(o));
    assert_null(flowspool_outcome_request_sha256(o));
    assert_null(flowspool_outcome_request_id(o));
    assert_int_equal(flowspool_outcome_sandbox(o), 0);
    flowspool_outcome_free(o);
}

static void results_that_are_no_strings_are_their_json(void **state)
{
    static const char *const values[] = {
        "null", "true", "12345678901234567890.10", "[1, 2]", "{\"a\":\"\\u00e9\"}", "\"\"", "[]",
    };
    const struct tempdir *spool = *state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct flowspool_outcome *o;
        char text[256];
        size_t len;
        snprintf(text, sizeof text, "{\"version\":1,\"job\":\"a.yaml\",\"success\":true,\"result\":%s}",
                 values[i]);
        put_file(spool, "a.result.json", text);
        assert_int_equal(outcome_of(spool, "a", &o), 1);
        const char *expected = values[i][0] == '"' ? "" : values[i];
        assert_string_equal(flowspool_outcome_result(o, &len), expected);
        assert_int_equal(len, strlen(expected));
        flowspool_outcome_free(o);
    }
}

/* ---- names ---- */

static void a_job_has_several_names(void **state)
{
    static const char *const names[] = {
        "dir/a.yaml", "dir/a", "dir/a.yaml.hold", "dir/a.result.json", "dir/a.error.json", "dir/a.error.body",
    };
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    put_dir(spool, "dir");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(outcome_of(spool, names[i], &o), 0);
    put_outcome(spool, "dir/a", "dir/a.yaml", job_a, true, "x");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(outcome_of(spool, names[i], &o), 1);
        flowspool_outcome_free(o);
    }
    assert_int_equal(outcome_of(spool, "none/a", &o), 0);
    assert_int_equal(outcome_of(spool, "dir/a.yml", &o), 0); /* another file: its outcome can have no name */
}

static void names_that_no_job_has_are_errors(void **state)
{
    static const char *const names[] = {"", ".", "..", "/a", "../a", "a/../b", "a//b", "a/", ".git/a", "./a"};
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(outcome_of(spool, names[i], &o), -EINVAL);
    assert_int_equal(flowspool_outcome_read("/no/such/spool", "a", &o, NULL), -ENOENT);
    assert_int_equal(flowspool_outcome_read(spool->path, NULL, &o, NULL), -EINVAL);
}

/* ---- whose outcome it is ---- */

static void an_outcome_of_another_request_is_not_there_yet(void **state)
{
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    put_outcome(spool, "a", "a.yaml", job_a, true, "of a");
    put_file(spool, "a.yaml", job_b);
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 0);
    assert_int_equal(outcome_of(spool, "a", &o), 0);
    assert_int_equal(outcome_of(spool, "a.result.json", &o), 1); /* as it is */
    flowspool_outcome_free(o);
    put_outcome(spool, "a", "a.yaml", job_b, false, "of b"); /* the result is moved away a little later */
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 1);
    assert_string_equal(flowspool_outcome_error_message(o), "of b");
    flowspool_outcome_free(o);
    put_file(spool, "a.yaml",
             "# a comment changes nothing\nworkflow: wf_a\ninputs: {text: a}\npriority: 3\n");
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 1);
    assert_string_equal(flowspool_outcome_result(o, NULL), "of a");
    flowspool_outcome_free(o);
}

static void the_error_of_a_file_that_was_corrected_is_not_there_yet(void **state)
{
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    put_file(spool, "a.yaml", "wrong");
    put_outcome(spool, "a", "a.yaml", "wrong", false, "no mapping");
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 1);
    assert_string_equal(flowspool_outcome_error_code(o), "invalid_job");
    flowspool_outcome_free(o);
    put_file(spool, "a.yaml", job_a);
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 0);
    put_file(spool, "a.yaml", "wrong again");
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 0);
    unlinkat(spool->fd, "a.error.json", 0);
    put_outcome(spool, "a", "a.yaml", job_a, true, "x");
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 0); /* a result, and the file does not parse now */
}

static void a_held_job_file_counts_and_one_that_is_gone_does_not(void **state)
{
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    put_outcome(spool, "a", "a.yaml", job_a, true, "of a");
    put_file(spool, "a.yaml.hold", job_b);
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 0);
    unlinkat(spool->fd, "a.yaml.hold", 0);
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 1);
    flowspool_outcome_free(o);
    assert_int_equal(symlinkat("elsewhere", spool->fd, "a.yaml"), 0);
    assert_int_equal(outcome_of(spool, "a.yaml", &o), 1);
    flowspool_outcome_free(o);
}

static void documents_are_told_apart(void **state)
{
    static const char file[] =
        "id: k\nworkflow: wf_a\ninputs: {n: 1}\n---\nid: l.m\nworkflow: wf_a\ninputs: {n: 2}\n";
    static const char other[] =
        "id: k\nworkflow: wf_a\ninputs: {n: 1}\n---\nid: l.m\nworkflow: wf_a\ninputs: {n: 3}\n";
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    put_file(spool, "a.yaml", file);
    put_outcome(spool, "a.l.m", "a.yaml", file, true, "two");
    assert_int_equal(outcome_of(spool, "a.l.m", &o), 1);
    flowspool_outcome_free(o);
    assert_int_equal(outcome_of(spool, "a.k", &o), 0);
    assert_int_equal(outcome_of(spool, "a", &o), 0);
    put_file(spool, "a.yaml", other);
    assert_int_equal(outcome_of(spool, "a.l.m", &o), 0);
}

/* The path in an outcome is anybody's. */
static void a_path_that_does_not_fit_leads_nowhere(void **state)
{
    static const char *const paths[] = {"../../etc/passwd", "/etc/passwd", "b.yaml", "sub/a.yaml", "",
                                        "a.yaml\\u0000x"};
    const struct tempdir *spool = *state;
    put_file(spool, "b.yaml", job_b);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct flowspool_outcome *o;
        char text[256];
        snprintf(text, sizeof text,
                 "{\"version\":1,\"job\":\"%s\",\"request_sha256\":\"" DIGEST
                 "\",\"success\":true,\"result\":1}",
                 paths[i]);
        put_file(spool, "a.result.json", text);
        assert_int_equal(outcome_of(spool, "a", &o), 1);
        flowspool_outcome_free(o);
    }
}

/* ---- files that are none ---- */

static void a_file_that_is_no_outcome_is_an_error(void **state)
{
    static const char *const texts[] = {
        "",
        "x",
        "[]",
        "null",
        "{}",
        "{\"version\":1}",
        "{\"version\":2,\"job\":\"a\",\"success\":true,\"result\":1}",
        "{\"version\":1.0,\"job\":\"a\",\"success\":true,\"result\":1}",
        "{\"version\":\"1\",\"job\":\"a\",\"success\":true,\"result\":1}",
        "{\"version\":1,\"job\":7,\"success\":true,\"result\":1}",
        "{\"version\":1,\"success\":true,\"result\":1}",
        "{\"version\":1,\"job\":\"a\",\"success\":\"true\",\"result\":1}",
        "{\"version\":1,\"job\":\"a\",\"success\":true}",
        "{\"version\":1,\"job\":\"a\",\"success\":false}",
        "{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":{}}",
        "{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":\"x\"}",
        "{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":{\"code\":7}}",
        "{\"version\":1,\"job\":\"a\",\"success\":true,\"result\":\"\xFF\"}",
        "{\"version\":1,\"job\":\"a\",\"success\":true,\"result\":1} x",
        "\xEF\xBB\xBF{\"version\":1,\"job\":\"a\",\"success\":true,\"result\":1}",
    };
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put_file(spool, "a.result.json", texts[i]);
        assert_int_equal(outcome_of(spool, "a", &o), -EBADMSG);
    }
}

static void a_cut_file_is_an_error_wherever_it_is_cut(void **state)
{
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    for (size_t len = 0; len < strlen(whole_result) - 1; len++) {
        put_bytes(spool, "a.result.json", whole_result, len);
        assert_int_equal(flowspool_outcome_read(spool->path, "a", &o, NULL), -EBADMSG);
    }
    put_bytes(spool, "a.result.json", whole_result, strlen(whole_result) - 1); /* only the newline */
    assert_int_equal(flowspool_outcome_read(spool->path, "a", &o, NULL), 1);
    flowspool_outcome_free(o);
}

static void what_is_no_regular_file_is_an_error(void **state)
{
    const struct tempdir *spool = *state;
    struct flowspool_outcome *o;
    put_file(spool, "real.result.json", whole_result);
    assert_int_equal(symlinkat("real.result.json", spool->fd, "a.result.json"), 0);
    assert_int_equal(outcome_of(spool, "a", &o), -EBADMSG);
    assert_int_equal(mkfifoat(spool->fd, "b.result.json", 0666), 0);
    assert_int_equal(outcome_of(spool, "b", &o), -EBADMSG);
    put_dir(spool, "c.result.json");
    assert_int_equal(outcome_of(spool, "c", &o), -EBADMSG);
    put_file(spool, "d.result.json", "");
    int fd = openat(spool->fd, "d.result.json", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, ((off_t)1 << 30) + 1), 0);
    close(fd);
    assert_int_equal(outcome_of(spool, "d", &o), -EFBIG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_field_of_a_result),
        TEST(every_field_of_an_error),
        TEST(results_that_are_no_strings_are_their_json),
        TEST(a_job_has_several_names),
        TEST(names_that_no_job_has_are_errors),
        TEST(an_outcome_of_another_request_is_not_there_yet),
        TEST(the_error_of_a_file_that_was_corrected_is_not_there_yet),
        TEST(a_held_job_file_counts_and_one_that_is_gone_does_not),
        TEST(documents_are_told_apart),
        TEST(a_path_that_does_not_fit_leads_nowhere),
        TEST(a_file_that_is_no_outcome_is_an_error),
        TEST(a_cut_file_is_an_error_wherever_it_is_cut),
        TEST(what_is_no_regular_file_is_an_error),
    };
    return cmocka_run_group_tests_name("lib outcome", tests, NULL, NULL);
}
