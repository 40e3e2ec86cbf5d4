/* What the store takes in, and what the reads then show. */
#include "test_io_store.h"

static void a_take_is_read_back_whole(void **state)
{
    struct fixture *f = *state;
    struct take_job j = {
        .what = TAKE_INSERT,
        .document = 2,
        .stem = "sub/\xff.x",
        .doc_id = "x",
        .workflow = "wf",
        .request_sha256 = "0123",
        .priority = -7,
        .not_before_ms = 5000,
        .expires_ms = 9000,
        .max_attempts = 3,
        .due_ms = 5000,
        .queued_ms = 1234,
        .body = "a\0b",
        .body_len = 3,
        .after_job = 77,
    };
    struct store_take t = {.file = file_at("sub/\xff.yaml", 1000), .jobs = &j, .njobs = 1};
    t.file.sig.dev = UINT64_MAX;
    t.file.fault = "none";
    assert_int_equal(take(f, &t), STORE_OK);

    struct file_row file;
    assert_true(store_file_by_path(f->s, "sub/\xff.yaml", &file));
    assert_true(file.id > 0);
    assert_true(file.sig.dev == UINT64_MAX && file.sig.ino == 100 && file.sig.size == 20);
    assert_true(file.sig.mtime_ns == 30 && file.sig.btime_ns == 40);
    assert_string_equal(file.job_sha256, "abcd");
    assert_string_equal(file.fault, "none");
    assert_true(file.uid == 1000 && file.gid == 1001 && file.mode == 0640 && !file.held);
    assert_true(file.seen_ms == 1000 && file.missing_ms == 0 && file.documents == 1);

    size_t count;
    struct job_row *rows = store_file_jobs(f->s, file.id, &count);
    assert_int_equal(count, 1);
    assert_null(rows[0].body);
    struct job_row r = job(f, rows[0].id);
    assert_string_equal(r.path, "sub/\xff.yaml");
    assert_string_equal(r.stem, "sub/\xff.x");
    assert_string_equal(r.doc_id, "x");
    assert_string_equal(r.workflow, "wf");
    assert_string_equal(r.request_sha256, "0123");
    assert_string_equal(r.job_sha256, "abcd");
    assert_true(r.file_id == file.id && r.document == 2 && r.priority == -7 && r.max_attempts == 3);
    assert_true(r.seen_ms == 1000 && r.queued_ms == 1234 && r.not_before_ms == 5000 && r.expires_ms == 9000);
    assert_true(r.due_ms == 5000 && r.after_job == 77 && r.state == JOB_WAITING && r.blocked == 0);
    assert_true(r.sends == 0 && r.started_ms == 0 && r.finished_ms == 0 && r.duration_ms == -1);
    assert_true(r.uid == 1000 && r.gid == 1001 && r.mode == 0640 && r.code == NULL && r.outcome == NULL);
    assert_int_equal(r.body_len, 3);
    assert_memory_equal(r.body, "a\0b", 4);
    job_row_free(&r);
    job_rows_free(rows, count);
    file_row_free(&file);
}

static void what_is_not_there_reads_as_nothing(void **state)
{
    struct fixture *f = *state;
    struct file_row file = {.id = 5};
    struct job_row r = {.id = 5};
    struct reply_row reply = {.http_status = 5};
    size_t count = 5;
    assert_false(store_file_by_path(f->s, "none", &file));
    assert_int_equal(file.id, 0);
    assert_false(store_job(f->s, 1, true, &r));
    assert_int_equal(r.id, 0);
    assert_null(store_file_jobs(f->s, 1, &count));
    assert_int_equal(count, 0);
    assert_false(store_load_reply(f->s, 1, &reply));
    assert_null(store_attempts(f->s, 1, &count));
    assert_null(store_get(f->s, "key"));
    assert_null(store_stem_owner(f->s, "a", 0));
    assert_false(store_workflow_succeeded(f->s, "wf", ENDPOINT));
    assert_true(store_next_due(f->s) == 0 && store_next_backoff(f->s) == 0 && store_next_expiry(f->s) == 0);
    assert_null(store_load_ready(f->s, 10, NULL, NULL, &count));
    assert_null(store_error(f->s));
}

static void adopted_and_refused_jobs_have_no_body(void **state)
{
    struct fixture *f = *state;
    struct take_job done = waiting_job("done");
    done.state = JOB_DONE;
    done.sandbox = true;
    done.endpoint = ENDPOINT;
    struct take_job refused = {
        .what = TAKE_INSERT, .state = JOB_FAILED, .code = CODE_INVALID_JOB, .message = "line 1", .due_ms = 9};
    struct job_row r = job(f, add_job_as(f, "done", 1, done));
    assert_true(r.state == JOB_DONE && r.sandbox && r.body == NULL);
    assert_string_equal(r.endpoint, ENDPOINT);
    job_row_free(&r);
    r = job(f, add_job_as(f, "refused", 1, refused));
    assert_true(r.state == JOB_FAILED && r.workflow == NULL && r.due_ms == 0);
    assert_string_equal(r.request_sha256, "");
    assert_string_equal(r.code, CODE_INVALID_JOB);
    assert_string_equal(r.message, "line 1");
    job_row_free(&r);
    assert_int_equal(number(f, "SELECT count(*) FROM bodies"), 0);
}

static void a_taken_stem_is_a_conflict_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t first = add_job(f, "a");
    struct take_job two[] = {waiting_job("b"), waiting_job("a")};
    const struct store_take t = {
        .file = file_at("a.yml", 1), .jobs = two, .njobs = 2, .drop = &first, .ndrop = 0};
    struct answer before = {.f = f}, conflict = {.f = f}, after = {.f = f};
    store_set(f->s, "k", "1", on_done, &before); /* the same batch goes on around it */
    store_take(f->s, &t, on_done, &conflict);
    store_set(f->s, "k2", "2", on_done, &after);
    wait_for_writes(f);
    assert_true(before.rc == STORE_OK && conflict.rc == STORE_CONFLICT && after.rc == STORE_OK);
    assert_true(before.order < conflict.order && conflict.order < after.order);
    assert_int_equal(file_of(f, "a.yml"), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM jobs"), 1);
    assert_int_equal(number(f, "SELECT count(*) FROM meta WHERE key <> 'new'"), 2);

    char *owner = store_stem_owner(f->s, "a", 0);
    assert_string_equal(owner, "a.yaml");
    free(owner);
    assert_null(store_stem_owner(f->s, "a", file_of(f, "a.yaml")));
}

static void a_conflict_of_a_known_file_changes_nothing_of_it(void **state)
{
    struct fixture *f = *state;
    add_job(f, "a");
    int64_t b = add_job(f, "b");
    struct take_job rename = {.what = TAKE_REFRESH, .id = b, .stem = "a", .priority = 5};
    struct store_take t = {.file = file_at("moved.yaml", 9), .jobs = &rename, .njobs = 1};
    t.file.id = file_of(f, "b.yaml");
    assert_int_equal(take(f, &t), STORE_CONFLICT);
    assert_int_equal(file_of(f, "b.yaml"), t.file.id);
    struct job_row r = job(f, b);
    assert_string_equal(r.path, "b.yaml");
    assert_string_equal(r.stem, "b");
    assert_int_equal(r.priority, 0);
    job_row_free(&r);
}

static void a_superseded_job_gives_its_stem_away(void **state)
{
    struct fixture *f = *state;
    int64_t old = add_job(f, "a");
    send_job(f, old, 1);
    struct take_job j = waiting_job("a");
    j.after_job = old;
    struct store_take t = {
        .file = file_at("a.yaml", 1), .jobs = &j, .njobs = 1, .supersede = &old, .nsupersede = 1};
    t.file.id = file_of(f, "a.yaml");
    assert_int_equal(take(f, &t), STORE_OK);
    struct job_row r = job(f, old);
    assert_true(r.blocked == JOB_BLOCK_SUPERSEDED && r.state == JOB_SENT);
    job_row_free(&r);

    /* Its successor waits until its attempt has ended. */
    size_t count;
    assert_null(store_load_ready(f->s, 10, NULL, NULL, &count));
    reply_job(f, old);
    assert_null(store_load_ready(f->s, 10, NULL, NULL, &count));
    const struct store_settle e = {
        .job = old, .attempt = 1, .state = JOB_DONE, .superseded_name = "a.1.result.json"};
    store_settle(f->s, &e, NULL, NULL);
    wait_for_writes(f);
    struct job_row *rows = store_load_ready(f->s, 10, NULL, NULL, &count);
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].after_job, old);
    int64_t successor = rows[0].id;
    job_rows_free(rows, count);
    r = job(f, old);
    assert_string_equal(r.outcome, "a.1.result.json");
    job_row_free(&r);

    /* The old text again: its result is current again, the other one goes. */
    struct take_job back = {.what = TAKE_RESTORE, .id = old, .stem = "a"};
    t = (struct store_take){.file = t.file, .jobs = &back, .njobs = 1, .drop = &successor, .ndrop = 1};
    assert_int_equal(take(f, &t), STORE_OK);
    r = job(f, old);
    assert_true(r.blocked == 0 && r.state == JOB_DONE);
    job_row_free(&r);
    assert_false(store_job(f->s, successor, false, &r));
    assert_int_equal(number(f, "SELECT count(*) FROM bodies"), 0);
    store_placed(f->s, old, "a", NULL, NULL, NULL);
    wait_for_writes(f);
    r = job(f, old);
    assert_null(r.outcome);
    assert_string_equal(r.placed, "a");
    job_row_free(&r);
}

static void documents_can_trade_places(void **state)
{
    struct fixture *f = *state;
    struct take_job two[] = {waiting_job("a.1"), waiting_job("a.2")};
    two[0].document = 1;
    two[1].document = 2;
    struct store_take t = {.file = file_at("a.yaml", 1), .jobs = two, .njobs = 2};
    assert_int_equal(take(f, &t), STORE_OK);
    t.file.id = file_of(f, "a.yaml");
    size_t count;
    struct job_row *rows = store_file_jobs(f->s, t.file.id, &count);
    assert_int_equal(count, 2);
    struct take_job traded[] = {{.what = TAKE_REFRESH, .id = rows[0].id, .document = 2, .stem = "a.2"},
                                {.what = TAKE_REFRESH, .id = rows[1].id, .document = 1, .stem = "a.1"}};
    t.jobs = traded;
    assert_int_equal(take(f, &t), STORE_OK);
    struct job_row *now = store_file_jobs(f->s, t.file.id, &count);
    assert_true(now[0].id == rows[1].id && now[1].id == rows[0].id);
    assert_string_equal(now[0].stem, "a.1");
    assert_int_equal(now[0].blocked, 0);
    job_rows_free(rows, 2);
    job_rows_free(now, count);
}

/* Refreshing: what becomes of the due time. */
static void a_due_time_follows_not_before(void **state)
{
    static const struct {
        const char *name;
        int64_t not_before, due, new_not_before, new_due;
    } cases[] = {
        {"untouched", 5000, 5000, 5000, 5000},      {"later", 5000, 5000, 6000, 6000},
        {"taken away", 5000, 5000, 0, 0},           {"new", 0, 0, 6000, 6000},
        {"over, untouched", 5000, 0, 5000, 0},      {"over, later", 5000, 0, 6000, 6000},
        {"backoff, none", 0, 7000, 0, 7000},        {"backoff, taken away", 5000, 7000, 0, 7000},
        {"backoff, later", 5000, 7000, 8000, 8000}, {"backoff, not so late", 5000, 7000, 6000, 7000},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct take_job j = waiting_job("x");
        char stem[16];
        snprintf(stem, sizeof stem, "j%zu", i);
        j.not_before_ms = cases[i].not_before;
        j.due_ms = cases[i].due;
        int64_t id = add_job_as(f, stem, 1, j);
        struct job_row r = job(f, id);
        struct take_job again = {
            .what = TAKE_REFRESH, .id = id, .stem = stem, .not_before_ms = cases[i].new_not_before};
        struct store_take t = {.file = file_at(r.path, 1), .jobs = &again, .njobs = 1};
        t.file.id = r.file_id;
        assert_int_equal(take(f, &t), STORE_OK);
        job_row_free(&r);
        r = job(f, id);
        if (r.due_ms != cases[i].new_due)
            fail_msg("%s: due %lld", cases[i].name, (long long)r.due_ms);
        job_row_free(&r);
    }
}

static void a_refresh_changes_a_body_only_while_it_waits(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    struct take_job j = {.what = TAKE_REFRESH,
                         .id = id,
                         .stem = "a",
                         .body = "new",
                         .body_len = 3,
                         .priority = 4,
                         .expires_ms = 8,
                         .max_attempts = 2};
    struct store_take t = {.file = file_at("a.yaml", 1), .jobs = &j, .njobs = 1};
    t.file.id = file_of(f, "a.yaml");
    strcpy(t.file.job_sha256, "9999");
    assert_int_equal(take(f, &t), STORE_OK);
    struct job_row r = job(f, id);
    assert_memory_equal(r.body, "new", 4);
    assert_string_equal(r.job_sha256, "9999");
    assert_true(r.priority == 4 && r.expires_ms == 8 && r.max_attempts == 2);
    job_row_free(&r);
    send_job(f, id, 1);
    j.body = "not";
    assert_int_equal(take(f, &t), STORE_OK);
    r = job(f, id);
    assert_memory_equal(r.body, "new", 4);
    job_row_free(&r);
}

static void a_failed_job_runs_again_as_new(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    send_job(f, id, 1);
    reply_job(f, id);
    settle_job(f, id, 1, JOB_FAILED, 0);
    struct take_job j = waiting_job("a");
    j.what = TAKE_RERUN;
    j.id = id;
    j.queued_ms = 4444;
    struct store_take t = {.file = file_at("a.yaml", 1), .jobs = &j, .njobs = 1};
    t.file.id = file_of(f, "a.yaml");
    assert_int_equal(take(f, &t), STORE_OK);
    struct job_row r = job(f, id);
    assert_true(r.state == JOB_WAITING && r.attempts == 0 && r.sends == 1 && r.started_ms == 0 &&
                r.duration_ms == -1);
    assert_true(r.http_status == 0 && r.code == NULL && r.endpoint == NULL && r.queued_ms == 4444 &&
                r.seen_ms == 1000);
    assert_int_equal(r.body_len, 9);
    job_row_free(&r);
    send_job(f, id, 2); /* numbers go on: the history stays */
    size_t count;
    free(store_attempts(f->s, id, &count));
    assert_int_equal(count, 2);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_take_is_read_back_whole),
        STORE_TEST(what_is_not_there_reads_as_nothing),
        STORE_TEST(adopted_and_refused_jobs_have_no_body),
        STORE_TEST(a_taken_stem_is_a_conflict_and_leaves_nothing),
        STORE_TEST(a_conflict_of_a_known_file_changes_nothing_of_it),
        STORE_TEST(a_superseded_job_gives_its_stem_away),
        STORE_TEST(documents_can_trade_places),
        STORE_TEST(a_due_time_follows_not_before),
        STORE_TEST(a_refresh_changes_a_body_only_while_it_waits),
        STORE_TEST(a_failed_job_runs_again_as_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
