/* The store's writes and what the reads then show. */
#include "test_io_store.h"

/* ---- takes ---- */

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
    assert_int_equal(number(f, "SELECT count(*) FROM meta"), 2);

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
    store_superseded(f->s, old, NULL, NULL, NULL);
    wait_for_writes(f);
    r = job(f, old);
    assert_null(r.outcome);
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

/* ---- files ---- */

static void a_rename_moves_the_file_and_its_jobs(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    struct take_job j = {.what = TAKE_REFRESH, .id = id, .stem = "b"};
    struct store_take t = {.file = file_at("b.yaml", 1), .jobs = &j, .njobs = 1};
    t.file.id = file_of(f, "a.yaml");
    assert_int_equal(take(f, &t), STORE_OK);
    assert_int_equal(file_of(f, "a.yaml"), 0);
    assert_int_equal(file_of(f, "b.yaml"), t.file.id);
    struct job_row r = job(f, id);
    assert_string_equal(r.path, "b.yaml");
    assert_string_equal(r.stem, "b");
    assert_int_equal(r.body_len, 9);
    job_row_free(&r);
}

static void a_file_that_loses_its_path_is_missing_but_known(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job(f, "a"), b = add_job(f, "b");
    int64_t file_a = file_of(f, "a.yaml"), file_b = file_of(f, "b.yaml");
    /* mv a.yaml b.yaml: b's job gives its stem away. */
    struct take_job j = {.what = TAKE_REFRESH, .id = a, .stem = "b"};
    struct store_take t = {
        .file = file_at("b.yaml", 1), .jobs = &j, .njobs = 1, .supersede = &b, .nsupersede = 1};
    t.file.id = file_a;
    assert_int_equal(take(f, &t), STORE_OK);
    assert_int_equal(file_of(f, "b.yaml"), file_a);
    struct job_row r = job(f, b);
    assert_int_equal(r.blocked, JOB_BLOCK_MISSING | JOB_BLOCK_SUPERSEDED);
    assert_string_equal(r.path, "b.yaml");
    job_row_free(&r);

    const struct file_sig sig = {.dev = 1, .ino = 100};
    struct file_row found[4];
    assert_int_equal(store_files_by_inode(f->s, &sig, found, 4), 2);
    assert_int_equal(found[1].id, file_b);
    assert_string_equal(found[1].path, "");
    assert_true(found[1].missing_ms > 0);
    file_row_free(&found[0]);
    file_row_free(&found[1]);
    size_t count;
    struct file_row *page = store_files_page(f->s, NULL, 10, &count);
    assert_int_equal(count, 1); /* it has no place in a list by path */
    file_rows_free(page, count);

    /* It turns up under the other name. */
    struct take_job back = {.what = TAKE_REFRESH, .id = b, .stem = "a"};
    t = (struct store_take){.file = file_at("a.yaml", 1), .jobs = &back, .njobs = 1};
    t.file.id = file_b;
    assert_int_equal(take(f, &t), STORE_OK);
    r = job(f, b);
    assert_true(r.blocked == 0);
    assert_string_equal(r.path, "a.yaml");
    job_row_free(&r);
}

static void inodes_match_by_birth_time_where_it_is_known(void **state)
{
    static const struct {
        int64_t birth, asked;
        bool match;
    } cases[] = {{40, 40, true}, {40, 0, true}, {0, 40, true}, {40, 41, false}};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_take t = {.file = file_at("x", 1)};
        struct file_row out;
        t.file.sig.ino = 7 + i;
        t.file.sig.btime_ns = cases[i].birth;
        char path[16];
        snprintf(path, sizeof path, "x%zu", i);
        t.file.path = path;
        assert_int_equal(take(f, &t), STORE_OK);
        struct file_sig sig = t.file.sig;
        sig.btime_ns = cases[i].asked;
        assert_int_equal(store_files_by_inode(f->s, &sig, &out, 1), cases[i].match);
        if (cases[i].match)
            file_row_free(&out);
        sig.dev++;
        assert_int_equal(store_files_by_inode(f->s, &sig, &out, 1), 0);
    }
}

static int blocked(struct fixture *f, int64_t id)
{
    struct job_row r = job(f, id);
    int bits = r.blocked;
    job_row_free(&r);
    return bits;
}

static void missing_files_block_their_jobs_until_they_are_back(void **state)
{
    struct fixture *f = *state;
    int64_t waiting = add_job(f, "a"), sent = add_job(f, "b");
    send_job(f, sent, 1);
    const int64_t files[] = {file_of(f, "a.yaml"), file_of(f, "b.yaml"), 999};
    store_files_missing(f->s, files, 3, 7000, NULL, NULL);
    wait_for_writes(f);
    size_t count;
    assert_null(store_load_ready(f->s, 10, NULL, NULL, &count));
    struct file_row *gone = store_files_missing_since(f->s, 7000, 10, &count);
    assert_int_equal(count, 0);
    gone = store_files_missing_since(f->s, 7001, 10, &count);
    assert_int_equal(count, 2);
    assert_int_equal(gone[0].missing_ms, 7000);
    file_rows_free(gone, count);
    settle_job(f, sent, 1, JOB_WAITING, 0); /* comes back and must not run */
    assert_null(store_load_ready(f->s, 10, NULL, NULL, &count));
    store_files_missing(f->s, files, 1, 0, NULL, NULL);
    wait_for_writes(f);
    assert_true(blocked(f, waiting) == 0 && blocked(f, sent) == JOB_BLOCK_MISSING);

    struct take_job j = {.what = TAKE_REFRESH, .id = sent, .stem = "b"};
    struct store_take t = {.file = file_at("b.yaml", 1), .jobs = &j, .njobs = 1};
    t.file.id = files[1];
    assert_int_equal(take(f, &t), STORE_OK); /* a look at it says that it is there */
    assert_int_equal(blocked(f, sent), 0);
    assert_null(store_files_missing_since(f->s, INT64_MAX, 10, &count));
}

static void a_held_file_holds_its_jobs(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    const struct file_sig sig = {.dev = 9, .ino = 8, .size = 7, .mtime_ns = 6, .btime_ns = 5};
    struct file_row file;
    store_file_held(f->s, file_of(f, "a.yaml"), true, &sig, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(blocked(f, id), JOB_BLOCK_HOLD_FILE);
    assert_true(store_file_by_path(f->s, "a.yaml", &file));
    assert_true(file.held && memcmp(&file.sig, &sig, sizeof sig) == 0);
    file_row_free(&file);
    const struct file_sig other = {.dev = 9, .ino = 8, .size = 7, .mtime_ns = 60, .btime_ns = 5};
    store_file_sig(f->s, file_of(f, "a.yaml"), &other, NULL, NULL);
    wait_for_writes(f);
    assert_true(store_file_by_path(f->s, "a.yaml", &file));
    assert_true(file.held && file.sig.mtime_ns == 60);
    assert_int_equal(blocked(f, id), JOB_BLOCK_HOLD_FILE);
    int64_t file_id = file.id;
    file_row_free(&file);

    /* A new job of a held file is held; the next look finds it free. */
    struct take_job j = waiting_job("a.2");
    struct store_take t = {.file = file_at("a.yaml", 1), .jobs = &j, .njobs = 1};
    t.file.id = file_id;
    t.file.held = true;
    assert_int_equal(take(f, &t), STORE_OK);
    struct store_counts c;
    assert_true(store_counts(f->s, &c));
    assert_true(c.held == 2 && c.waiting == 0);
    t.njobs = 0;
    t.file.held = false;
    assert_int_equal(take(f, &t), STORE_OK);
    assert_true(store_counts(f->s, &c));
    assert_true(c.held == 0 && c.waiting == 2);
}

static void forgetting_spares_what_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    int64_t waiting = add_job(f, "a"), done = add_job(f, "b"), sent = add_job(f, "c"), back = add_job(f, "d");
    send_job(f, done, 1);
    reply_job(f, done);
    settle_job(f, done, 1, JOB_DONE, 0);
    send_job(f, sent, 1);
    send_job(f, back, 1);
    const int64_t files[] = {file_of(f, "a.yaml"), file_of(f, "b.yaml"), file_of(f, "c.yaml"),
                             file_of(f, "d.yaml")};
    store_files_forget(f->s, files, 4, NULL, NULL);
    wait_for_writes(f);
    struct job_row r;
    assert_false(store_job(f->s, waiting, false, &r));
    assert_false(store_job(f->s, done, false, &r));
    assert_int_equal(number(f, "SELECT count(*) FROM files"), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM attempts"), 2);
    assert_state(f, sent, JOB_SENT);

    /* A new file of that name gets another id, and its outcome's name only when the old attempt has ended. */
    struct take_job j = waiting_job("c");
    struct store_take t = {.file = file_at("c.yaml", 1), .jobs = &j, .njobs = 1};
    assert_int_equal(take(f, &t), STORE_CONFLICT);
    reply_job(f, sent);
    settle_job(f, sent, 1, JOB_DONE, 0);
    settle_job(f, back, 1, JOB_WAITING, 0);
    assert_false(store_job(f->s, sent, false, &r));
    assert_false(store_job(f->s, back, false, &r));
    assert_true(store_workflow_succeeded(f->s, "wf_a", ENDPOINT));
    static const char *const tables[] = {"jobs", "bodies", "attempts", "replies"};
    for (size_t i = 0; i < 4; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
        assert_int_equal(number(f, sql), 0);
    }
    assert_int_equal(take(f, &t), STORE_OK);
    assert_true(file_of(f, "c.yaml") > files[3]);
    const struct store_settle late = {.job = waiting, .state = JOB_FAILED, .code = CODE_EXPIRED};
    store_settle(f->s, &late, NULL, NULL); /* expired and forgotten in the same moment */
    wait_for_writes(f);
}

static void files_are_paged_in_the_order_of_their_bytes(void **state)
{
    static const char *const sorted[] = {"\x01", "A", "a", "a/b", "b", "\xff"};
    struct fixture *f = *state;
    for (size_t i = 0; i < 6; i++) {
        struct store_take t = {.file = file_at(sorted[(i * 5) % 6], 1)};
        t.file.state = i == 0 ? FILE_CONFLICT : FILE_OK;
        assert_int_equal(take(f, &t), STORE_OK);
    }
    char *after = NULL;
    for (size_t seen = 0, count = 1; seen < 6; seen += count) {
        struct file_row *page = store_files_page(f->s, after, 4, &count);
        assert_int_equal(count, seen == 0 ? 4 : 2);
        for (size_t i = 0; i < count; i++)
            assert_string_equal(page[i].path, sorted[seen + i]);
        free(after);
        after = strdup(page[count - 1].path);
        file_rows_free(page, count);
    }
    size_t count;
    assert_null(store_files_page(f->s, after, 4, &count));
    free(after);
}

/* ---- attempts ---- */

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
        STORE_TEST(a_rename_moves_the_file_and_its_jobs),
        STORE_TEST(a_file_that_loses_its_path_is_missing_but_known),
        STORE_TEST(inodes_match_by_birth_time_where_it_is_known),
        STORE_TEST(missing_files_block_their_jobs_until_they_are_back),
        STORE_TEST(a_held_file_holds_its_jobs),
        STORE_TEST(forgetting_spares_what_is_on_its_way),
        STORE_TEST(files_are_paged_in_the_order_of_their_bytes),
        STORE_TEST(an_attempt_goes_its_way),
        STORE_TEST(a_spilled_reply_is_its_name),
        STORE_TEST(a_void_intent_leaves_no_trace),
        STORE_TEST(a_retry_keeps_body_and_counts),
        STORE_TEST(values_are_set_and_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
