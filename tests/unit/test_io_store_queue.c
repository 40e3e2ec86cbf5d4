/* The store as a queue: order, times, counts, lists; and that each of these is an index, not a scan. */
#include "test_io_store.h"

/* ---- order ---- */

static void assert_stems(struct job_row *rows, size_t count, const char *expected)
{
    char stems[256] = "";
    for (size_t i = 0; i < count; i++) {
        strcat(stems, i == 0 ? "" : " ");
        strcat(stems, rows[i].stem);
    }
    job_rows_free(rows, count);
    assert_string_equal(stems, expected);
}

struct skipper {
    const char *workflow, *path;
    int64_t job;
    int asked;
};

static bool skip_some(void *arg, int64_t id, const char *workflow, const char *path)
{
    struct skipper *s = arg;
    s->asked++;
    return id == s->job || (s->workflow != NULL && strcmp(s->workflow, workflow) == 0) ||
           (s->path != NULL && strcmp(s->path, path) == 0);
}

static void ready_jobs_come_in_order(void **state)
{
    static const struct {
        const char *name;
        int priority;
        int64_t seen, due;
        const char *workflow;
    } jobs[] = {
        {"late", 0, 300, 0, "wf_a"},  {"low", -5, 1, 0, "wf_a"},  {"b", 0, 200, 0, "wf_b"},
        {"a", 0, 200, 0, "wf_a"},     {"top", 9, 900, 0, "wf_a"}, {"due", 9, 1, 5000, "wf_a"},
        {"first", 0, 100, 0, "wf_a"},
    };
    struct fixture *f = *state;
    int64_t ids[7];
    for (size_t i = 0; i < 7; i++) {
        struct take_job j = waiting_job("x");
        j.priority = jobs[i].priority;
        j.workflow = jobs[i].workflow;
        j.due_ms = j.not_before_ms = jobs[i].due;
        ids[i] = add_job_as(f, jobs[i].name, jobs[i].seen, j);
    }
    size_t count;
    struct job_row *rows = store_load_ready(f->s, 10, NULL, NULL, &count);
    const struct file_sig sig = file_at("", 0).sig;
    assert_true(count > 0 && memcmp(&rows[0].sig, &sig, sizeof sig) == 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(rows[i].body_len, 9);
    assert_stems(rows, count, "top first a b late low");
    rows = store_load_ready(f->s, 2, NULL, NULL, &count);
    assert_stems(rows, count, "top first");

    static const int64_t before[] = {4, 5, 3, 2, 0, 0, 1}; /* "due" would be the first, were it ready */
    for (size_t i = 0; i < 7; i++) {
        struct job_row r;
        assert_true(store_job(f->s, ids[i], false, &r));
        assert_int_equal(store_ready_before(f->s, &r), before[i]);
        job_row_free(&r);
    }

    struct skipper s = {.workflow = "wf_b", .path = "first.yaml", .job = ids[4]};
    rows = store_load_ready(f->s, 2, skip_some, &s, &count);
    assert_stems(rows, count, "a late");
    assert_int_equal(s.asked, 5); /* and no further */

    send_job(f, ids[4], 1);
    rows = store_load_ready(f->s, 2, NULL, NULL, &count);
    assert_stems(rows, count, "first a");
}

static void documents_of_a_file_come_in_order(void **state)
{
    struct fixture *f = *state;
    struct take_job three[] = {waiting_job("a.3"), waiting_job("a.1"), waiting_job("a.2")};
    three[0].document = 3;
    three[1].document = 1;
    three[2].document = 2;
    const struct store_take t = {.file = file_at("a.yaml", 1), .jobs = three, .njobs = 3};
    assert_int_equal(take(f, &t), STORE_OK);
    size_t count;
    struct job_row *rows = store_load_ready(f->s, 10, NULL, NULL, &count);
    assert_stems(rows, count, "a.1 a.2 a.3");
}

static void large_bodies_are_handed_out_in_parts(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 20 * 1024 * 1024 };
    char *body = calloc(1, SIZE);
    assert_non_null(body);
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        struct take_job j = waiting_job("x");
        j.body = body;
        j.body_len = SIZE;
        add_job_as(f, names[i], 1, j);
    }
    free(body);
    size_t count;
    struct job_row *rows = store_load_ready(f->s, 10, NULL, NULL, &count);
    assert_stems(rows, count, "a b");
}

/* ---- times ---- */

static void due_jobs_are_promoted(void **state)
{
    struct fixture *f = *state;
    struct take_job j = waiting_job("x");
    j.not_before_ms = j.due_ms = 6000;
    add_job_as(f, "night", 1, j);
    j.due_ms = 5000;
    int64_t backoff = add_job_as(f, "backoff", 1, j);
    j.due_ms = 4000;
    int64_t held = add_job_as(f, "held", 1, j);
    const struct file_sig sig = {.dev = 1};
    store_file_held(f->s, file_of(f, "held.yaml"), true, &sig, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(store_next_due(f->s), 5000);
    assert_int_equal(store_next_backoff(f->s), 5000);
    store_promote(f->s, 4999, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(store_next_due(f->s), 5000);
    store_promote(f->s, 5000, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(store_next_due(f->s), 6000);
    assert_int_equal(store_next_backoff(f->s), 0);
    size_t count;
    struct job_row *rows = store_load_ready(f->s, 10, NULL, NULL, &count);
    assert_stems(rows, count, "backoff");
    struct job_row r = job(f, backoff);
    assert_true(r.due_ms == 0 && r.not_before_ms == 6000);
    job_row_free(&r);
    store_file_held(f->s, file_of(f, "held.yaml"), false, &sig, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(store_next_due(f->s), 4000); /* what came due while it was held */
    assert_state(f, held, JOB_WAITING);
}

static void promoting_goes_in_pieces(void **state)
{
    struct fixture *f = *state;
    enum { JOBS = 5000 };
    for (int i = 0; i < JOBS; i++) {
        char stem[16], path[24];
        snprintf(stem, sizeof stem, "j%d", i);
        snprintf(path, sizeof path, "j%d.yaml", i);
        struct take_job j = waiting_job(stem);
        j.due_ms = 100;
        const struct store_take t = {.file = file_at(path, 1), .jobs = &j, .njobs = 1};
        store_take(f->s, &t, NULL, NULL);
    }
    store_promote(f->s, 100, NULL, NULL);
    wait_for_writes(f);
    struct store_counts c;
    assert_true(store_counts(f->s, &c));
    assert_true(c.waiting > 0 && c.deferred > 0 && c.waiting + c.deferred == JOBS);
    assert_int_equal(store_next_due(f->s), 100);
    store_promote(f->s, 100, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(store_next_due(f->s), 0);
}

static void a_clock_jump_moves_backoffs_only(void **state)
{
    static const struct {
        const char *name;
        int64_t not_before, due, moved;
    } cases[] = {{"date", 5000, 5000, 5000},
                 {"backoff", 0, 5000, 4000},
                 {"both", 7000, 7500, 6500},
                 {"soon", 0, 10, 1},
                 {"ready", 0, 0, 0}};
    struct fixture *f = *state;
    int64_t ids[5];
    for (size_t i = 0; i < 5; i++) {
        struct take_job j = waiting_job("x");
        j.not_before_ms = cases[i].not_before;
        j.due_ms = cases[i].due;
        ids[i] = add_job_as(f, cases[i].name, 1, j);
    }
    store_shift_backoff(f->s, -1000, 100000, NULL, NULL);
    wait_for_writes(f);
    for (size_t i = 0; i < 5; i++) {
        struct job_row r = job(f, ids[i]);
        if (r.due_ms != cases[i].moved)
            fail_msg("%s: %lld", cases[i].name, (long long)r.due_ms);
        job_row_free(&r);
    }
    store_shift_backoff(f->s, 10000000, 9000, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(store_next_backoff(f->s), 9000); /* never beyond the longest backoff */
}

static void expired_jobs_are_found(void **state)
{
    struct fixture *f = *state;
    struct take_job j = waiting_job("x");
    j.expires_ms = 3000;
    int64_t gone = add_job_as(f, "gone", 1, j);
    j.expires_ms = 4000;
    j.due_ms = 9000;
    add_job_as(f, "deferred", 1, j);
    j.expires_ms = 5000;
    j.due_ms = 0;
    int64_t sent = add_job_as(f, "sent", 1, j);
    send_job(f, sent, 1);
    const int64_t file = file_of(f, "gone.yaml");
    store_files_missing(f->s, &file, 1, 1, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(store_next_expiry(f->s), 4000);
    size_t count;
    assert_null(store_load_expired(f->s, 3999, 10, &count));
    struct job_row *rows = store_load_expired(f->s, 9999, 10, &count);
    assert_stems(rows, count, "deferred");
    assert_state(f, gone, JOB_WAITING);
}

/* ---- counts and lists ---- */

static void counts_are_those_of_the_rows(void **state)
{
    struct fixture *f = *state;
    struct take_job j = waiting_job("x");
    j.queued_ms = 500;
    int64_t ready = add_job_as(f, "ready", 400, j);
    add_job(f, "other");
    j.due_ms = 9000;
    add_job_as(f, "deferred", 1, j);
    int64_t held = add_job(f, "held"), missing = add_job(f, "missing"), sent = add_job(f, "sent");
    int64_t replied = add_job(f, "replied"), done = add_job(f, "done"), failed = add_job(f, "failed");
    int64_t superseded = add_job(f, "superseded");
    send_job(f, sent, 1);
    send_job(f, replied, 1);
    reply_job(f, replied);
    send_job(f, done, 1);
    reply_job(f, done);
    settle_job(f, done, 1, JOB_DONE, 0);
    settle_job(f, failed, 0, JOB_FAILED, 0);
    settle_job(f, superseded, 0, JOB_FAILED, 0);
    struct store_take conflict = {
        .file = file_at("conflict.yaml", 1), .supersede = &superseded, .nsupersede = 1};
    conflict.file.state = FILE_CONFLICT;
    assert_int_equal(take(f, &conflict), STORE_OK);
    const struct file_sig sig = {.dev = 1};
    store_file_held(f->s, file_of(f, "held.yaml"), true, &sig, NULL, NULL);
    const int64_t gone = file_of(f, "missing.yaml");
    store_files_missing(f->s, &gone, 1, 1, NULL, NULL);
    wait_for_writes(f);
    (void)held, (void)missing, (void)ready;

    struct store_counts c;
    assert_true(store_counts(f->s, &c));
    assert_true(c.waiting == 2 && c.deferred == 1 && c.held == 1 && c.missing == 1 && c.in_flight == 1);
    assert_true(c.replied == 1 && c.done == 1 && c.failed == 1 && c.refused == 1 && c.files == 11);
    assert_int_equal(c.oldest_waiting_ms, 500);
    assert_int_equal(number(f, "SELECT n FROM tally WHERE class = 8"), 1);

    conflict.file.id = file_of(f, "conflict.yaml");
    conflict.file.state = FILE_OK;
    conflict.nsupersede = 0;
    assert_int_equal(take(f, &conflict), STORE_OK);
    int64_t files[11];
    size_t count;
    struct file_row *page = store_files_page(f->s, NULL, 20, &count);
    assert_int_equal(count, 11);
    for (size_t i = 0; i < count; i++)
        files[i] = page[i].id;
    file_rows_free(page, count);
    settle_job(f, sent, 1, JOB_FAILED, 0);
    settle_job(f, replied, 1, JOB_WAITING, 0);
    store_files_forget(f->s, files, count, NULL, NULL);
    wait_for_writes(f);
    assert_true(store_counts(f->s, &c));
    const struct store_counts nothing = {0};
    assert_memory_equal(&c, &nothing, sizeof c);
    assert_int_equal(number(f, "SELECT sum(abs(n)) FROM tally"), 0);
}

struct listing {
    char stems[256];
    int left;
};

static bool list_row(void *arg, const struct job_row *r)
{
    struct listing *l = arg;
    strcat(l->stems, r->stem);
    strcat(l->stems, " ");
    return --l->left > 0;
}

static void the_list_is_in_path_order(void **state)
{
    struct fixture *f = *state;
    struct take_job j = waiting_job("x");
    j.workflow = "wf_b";
    add_job_as(f, "z", 1, j);
    int64_t sent = add_job(f, "m"), orphan = add_job(f, "a");
    add_job(f, "b");
    send_job(f, sent, 1);
    send_job(f, orphan, 1);
    const int64_t file = file_of(f, "a.yaml");
    store_files_forget(f->s, &file, 1, NULL, NULL);
    wait_for_writes(f);
    static const struct {
        int state;
        const char *workflow;
        int max;
        const char *stems;
    } cases[] = {{-1, NULL, 9, "b m z a "}, {JOB_SENT, NULL, 9, "m a "},    {-1, "wf_b", 9, "z "},
                 {JOB_DONE, NULL, 9, ""},   {JOB_WAITING, "wf_a", 9, "b "}, {-1, NULL, 2, "b m "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct listing l = {.left = cases[i].max};
        assert_true(store_list(f->s, cases[i].state, cases[i].workflow, list_row, &l));
        assert_string_equal(l.stems, cases[i].stems);
    }
}

static void open_jobs_are_paged_by_id(void **state)
{
    struct fixture *f = *state;
    int64_t ids[3] = {add_job(f, "c"), add_job(f, "b"), add_job(f, "a")};
    add_job(f, "waiting");
    for (size_t i = 0; i < 3; i++)
        send_job(f, ids[i], 1);
    reply_job(f, ids[1]);
    size_t count;
    struct job_row *rows = store_load_open(f->s, 0, 2, &count);
    assert_true(rows[0].state == JOB_SENT && rows[1].state == JOB_REPLIED);
    assert_stems(rows, count, "c b");
    rows = store_load_open(f->s, ids[1], 2, &count);
    assert_stems(rows, count, "a");
    assert_null(store_load_open(f->s, ids[2], 2, &count));
}

static void sandbox_results_of_elsewhere_are_found(void **state)
{
    static const struct {
        const char *name, *endpoint;
        bool sandbox;
    } jobs[] = {{"here", ENDPOINT, true},
                {"there", "http://127.0.0.1:1", true},
                {"real", "https://other", false},
                {"unknown", NULL, true}};
    struct fixture *f = *state;
    for (size_t i = 0; i < 4; i++) {
        struct take_job j = waiting_job("x");
        j.state = JOB_DONE;
        j.sandbox = jobs[i].sandbox;
        j.endpoint = jobs[i].endpoint;
        add_job_as(f, jobs[i].name, 1, j);
    }
    size_t count;
    struct job_row *rows = store_load_foreign_sandbox(f->s, ENDPOINT, SIZE_MAX, &count);
    assert_stems(rows, count, "there unknown");
    rows = store_load_foreign_sandbox(f->s, ENDPOINT, 1, &count);
    assert_stems(rows, count, "there");
}

/* ---- plans ---- */

/* Every statement the reads have prepared until here, asked how it would be run. */
static void no_read_sorts_or_scans_jobs(void **state)
{
    struct fixture *f = *state;
    size_t count;
    struct file_row file;
    struct file_sig sig = {0};
    struct store_counts c;
    struct listing l = {.left = 9};
    store_load_ready(f->s, 1, NULL, NULL, &count);
    store_ready_before(f->s, &(struct job_row){.path = "a"});
    store_next_due(f->s);
    store_next_backoff(f->s);
    store_next_expiry(f->s);
    store_load_expired(f->s, 1, 1, &count);
    store_load_open(f->s, 0, 1, &count);
    store_file_jobs(f->s, 1, &count);
    store_counts(f->s, &c);
    store_file_by_path(f->s, "a", &file);
    store_files_by_inode(f->s, &sig, &file, 1);
    store_files_page(f->s, NULL, 1, &count);
    store_files_missing_since(f->s, 1, NULL, 1, &count);
    free(store_stem_owner(f->s, "a", 0));
    store_list(f->s, -1, NULL, list_row, &l);
    assert_true(f->s->reader.count > 14);
    for (size_t i = 0; i < f->s->reader.count; i++) {
        const char *sql = f->s->reader.cached[i].sql;
        if (strstr(sql, "NOT EXISTS(SELECT 1 FROM files") != NULL)
            continue; /* the few whose file is forgotten are sorted */
        char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
        sqlite3_stmt *stmt = NULL;
        assert_int_equal(sqlite3_prepare_v2(f->s->reader.db, explain, -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *step = (const char *)sqlite3_column_text(stmt, 3);
            bool scans = strncmp(step, "SCAN ", 5) == 0 && strstr(step, "INDEX") == NULL &&
                         strstr(step, "tally") == NULL;
            if (scans || strstr(step, "TEMP B-TREE") != NULL)
                fail_msg("%s: %s", step, sql);
        }
        sqlite3_finalize(stmt);
        sqlite3_free(explain);
    }
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(ready_jobs_come_in_order),
        STORE_TEST(documents_of_a_file_come_in_order),
        STORE_TEST(large_bodies_are_handed_out_in_parts),
        STORE_TEST(due_jobs_are_promoted),
        STORE_TEST(promoting_goes_in_pieces),
        STORE_TEST(a_clock_jump_moves_backoffs_only),
        STORE_TEST(expired_jobs_are_found),
        STORE_TEST(counts_are_those_of_the_rows),
        STORE_TEST(the_list_is_in_path_order),
        STORE_TEST(open_jobs_are_paged_by_id),
        STORE_TEST(sandbox_results_of_elsewhere_are_found),
        STORE_TEST(no_read_sorts_or_scans_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
