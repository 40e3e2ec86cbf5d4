/* Attempts in the store, from the intent to the end; and the small values. */
#include "test_io_store.h"

static void an_attempt_goes_its_way(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    send_job(f, id, 1);
    struct job_row r = job(f, id);
    assert_true(r.state == JOB_SENT && r.sends == 1 && r.started_ms == 2001);
    job_row_free(&r);

    const char *body = "\0\1raw";
    const struct store_reply reply = {.http_status = 201,
                                      .headers = "X: y\r\n",
                                      .headers_len = 6,
                                      .body = body,
                                      .body_len = 5,
                                      .too_large = true,
                                      .received_ms = 2500,
                                      .duration_ms = 499};
    store_reply(f->s, id, &reply, NULL, NULL);
    wait_for_writes(f);
    struct reply_row got;
    assert_true(store_load_reply(f->s, id, &got));
    assert_true(got.http_status == 201 && got.too_large && got.received_ms == 2500 && got.duration_ms == 499);
    assert_true(got.headers_len == 6 && got.body_len == 5 && got.spill == NULL);
    assert_memory_equal(got.headers, "X: y\r\n", 7);
    assert_memory_equal(got.body, body, 5);
    reply_row_free(&got);
    assert_false(store_workflow_succeeded(f->s, "wf_a", ENDPOINT));

    const struct store_settle e = {.job = id,
                                   .attempt = 1,
                                   .state = JOB_DONE,
                                   .verdict = "success",
                                   .ended_ms = 2600,
                                   .duration_ms = 499,
                                   .http_status = 201,
                                   .attempts = 1,
                                   .rate_limited = 2,
                                   .ambiguous = 3,
                                   .request_id = "r1",
                                   .endpoint = ENDPOINT,
                                   .sandbox = true,
                                   .workflow_ok = true};
    store_settle(f->s, &e, NULL, NULL);
    wait_for_writes(f);
    r = job(f, id);
    assert_true(r.state == JOB_DONE && r.finished_ms == 2600 && r.duration_ms == 499 && r.http_status == 201);
    assert_true(r.attempts == 1 && r.rate_limited == 2 && r.ambiguous == 3 && r.sandbox &&
                r.started_ms == 2001);
    assert_string_equal(r.request_id, "r1");
    assert_null(r.body);
    job_row_free(&r);
    assert_false(store_load_reply(f->s, id, &got));
    assert_true(store_workflow_succeeded(f->s, "wf_a", ENDPOINT));
    assert_false(store_workflow_succeeded(f->s, "wf_a", "https://other"));

    size_t count;
    struct attempt_row *rows = store_attempts(f->s, id, &count);
    assert_int_equal(count, 1);
    assert_true(rows[0].n == 1 && rows[0].sent_ms == 2001 && rows[0].ended_ms == 2600 &&
                rows[0].duration_ms == 499);
    assert_string_equal(rows[0].verdict, "success");
    free(rows);
}

static void a_spilled_reply_is_its_name(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    send_job(f, id, 1);
    const struct store_reply reply = {.http_status = 200, .spill = "reply.1"};
    store_reply(f->s, id, &reply, NULL, NULL);
    wait_for_writes(f);
    struct reply_row got;
    assert_true(store_load_reply(f->s, id, &got));
    assert_string_equal(got.spill, "reply.1");
    assert_true(got.body == NULL && got.body_len == 0 && got.headers == NULL);
    reply_row_free(&got);
}

static void a_void_intent_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    send_job(f, id, 1);
    store_intent_void(f->s, id, 1, NULL, NULL);
    wait_for_writes(f);
    struct job_row r = job(f, id);
    assert_true(r.state == JOB_WAITING && r.sends == 0 && r.started_ms == 0);
    job_row_free(&r);
    size_t count;
    assert_null(store_attempts(f->s, id, &count));
    send_job(f, id, 1); /* the number is free again */
    settle_job(f, id, 1, JOB_WAITING, 0);
    send_job(f, id, 2);
    store_intent_void(f->s, id, 2, NULL, NULL);
    wait_for_writes(f);
    r = job(f, id);
    assert_true(r.sends == 1 && r.started_ms == 2001); /* the first attempt's */
    job_row_free(&r);
}

static void a_retry_keeps_body_and_counts(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    send_job(f, id, 1);
    reply_job(f, id);
    settle_job(f, id, 1, JOB_WAITING, 9000);
    struct job_row r = job(f, id);
    assert_true(r.state == JOB_WAITING && r.due_ms == 9000 && r.attempts == 1 && r.finished_ms == 0);
    assert_int_equal(r.body_len, 9);
    job_row_free(&r);
    struct reply_row reply;
    assert_false(store_load_reply(f->s, id, &reply));
    const struct store_settle expired = {.job = id,
                                         .state = JOB_FAILED,
                                         .code = CODE_EXPIRED,
                                         .message = "too late",
                                         .ended_ms = 1,
                                         .duration_ms = -1};
    store_settle(f->s, &expired, NULL, NULL);
    wait_for_writes(f);
    r = job(f, id);
    assert_true(r.state == JOB_FAILED && r.due_ms == 0 && r.body == NULL);
    assert_string_equal(r.code, CODE_EXPIRED);
    job_row_free(&r);
    store_reopen(f->s, id, "again", 5, NULL, NULL);
    wait_for_writes(f);
    r = job(f, id);
    assert_true(r.state == JOB_WAITING && r.attempts == 0 && r.code == NULL && r.message == NULL &&
                r.sends == 1);
    assert_memory_equal(r.body, "again", 6);
    job_row_free(&r);
}

static void values_are_set_and_deleted(void **state)
{
    struct fixture *f = *state;
    store_set(f->s, "k", "one", NULL, NULL);
    store_set(f->s, "k", "two", NULL, NULL);
    wait_for_writes(f);
    char *value = store_get(f->s, "k");
    assert_string_equal(value, "two");
    free(value);
    store_set(f->s, "k", NULL, NULL, NULL);
    wait_for_writes(f);
    assert_null(store_get(f->s, "k"));
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(an_attempt_goes_its_way),       STORE_TEST(a_spilled_reply_is_its_name),
        STORE_TEST(a_void_intent_leaves_no_trace), STORE_TEST(a_retry_keeps_body_and_counts),
        STORE_TEST(values_are_set_and_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
