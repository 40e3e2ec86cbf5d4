/* Orders about jobs in the store: the bits that they leave, who finds them again, and what ends them. */
#include "test_io_store.h"

enum { HOLD = JOB_BLOCK_HOLD, CANCEL = JOB_BLOCK_CANCEL, ASKED = JOB_ASKED_AGAIN };

static void mark(struct fixture *f, int64_t id, int set, int clear)
{
    struct answer a = {.f = f};
    store_jobs_mark(f->s, &id, 1, set, clear, on_done, &a);
    wait_for_writes(f);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.rc, STORE_OK);
}

static int bits(struct fixture *f, int64_t id)
{
    struct job_row r = job(f, id);
    int blocked = r.blocked;
    job_row_free(&r);
    return blocked;
}

static size_t ready(struct fixture *f)
{
    size_t count;
    struct job_row *rows = store_load_ready(f->s, 100, NULL, NULL, &count);
    job_rows_free(rows, count);
    return count;
}

static size_t cancelled(struct fixture *f, int64_t after)
{
    size_t count;
    struct job_row *rows = store_load_cancelled(f->s, after, 100, &count);
    job_rows_free(rows, count);
    return count;
}

static size_t asked(struct fixture *f)
{
    size_t count;
    struct job_row *rows = store_load_asked(f->s, 0, 100, &count);
    job_rows_free(rows, count);
    return count;
}

static struct store_take look_at(struct fixture *f, const char *path, struct take_job *jobs, size_t count)
{
    struct store_take t = {.file = file_at(path, 1000), .jobs = jobs, .njobs = count};
    t.file.id = file_of(f, path);
    return t;
}

static void a_held_job_is_not_ready_until_it_is_released(void **state)
{
    struct fixture *f = *state;
    struct store_counts c;
    int64_t a = add_job(f, "a"), b = add_job(f, "b");
    mark(f, a, HOLD, 0);
    assert_int_equal(ready(f), 1);
    assert_true(store_counts(f->s, &c));
    assert_true(c.waiting == 1 && c.held == 1);
    mark(f, a, 0, HOLD);
    assert_int_equal(ready(f), 2);
    const int64_t both[] = {a, 999, b};
    store_jobs_mark(f->s, both, 3, HOLD, 0, NULL, NULL); /* one that is gone is no error */
    wait_for_writes(f);
    assert_int_equal(ready(f), 0);
}

/* What was decided about a job that has ended meanwhile does not reach it. */
static void bits_go_only_where_they_fit(void **state)
{
    struct fixture *f = *state;
    int64_t waiting = add_job(f, "a"), sent = add_job(f, "b"), failed = add_job(f, "c");
    send_job(f, sent, 1);
    settle_job(f, failed, 0, JOB_FAILED, 0);
    mark(f, waiting, HOLD | CANCEL | ASKED, 0);
    mark(f, sent, HOLD | CANCEL | ASKED, 0);
    mark(f, failed, HOLD | CANCEL | ASKED, 0);
    assert_int_equal(bits(f, waiting), HOLD | CANCEL);
    assert_int_equal(bits(f, sent), HOLD | CANCEL);
    assert_int_equal(bits(f, failed), ASKED);
    mark(f, failed, CANCEL, ASKED);
    assert_int_equal(bits(f, failed), 0);
}

static void the_end_of_a_job_ends_its_orders(void **state)
{
    static const enum job_state ends[] = {JOB_DONE, JOB_FAILED};
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        int64_t id = add_job(f, i == 0 ? "a" : "b");
        send_job(f, id, 1);
        reply_job(f, id);
        mark(f, id, HOLD | CANCEL, 0);
        const int64_t file = file_of(f, i == 0 ? "a.yaml" : "b.yaml");
        store_files_missing(f->s, &file, 1, 7000, NULL, NULL);
        settle_job(f, id, 1, ends[i], 0);
        assert_int_equal(bits(f, id), JOB_BLOCK_MISSING); /* which is not an order */
    }
    int64_t id = add_job(f, "c");
    send_job(f, id, 1);
    mark(f, id, HOLD | CANCEL, 0);
    settle_job(f, id, 1, JOB_WAITING, 0);
    assert_int_equal(bits(f, id), HOLD | CANCEL);
}

static void what_is_cancelled_is_found(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job(f, "a"), b = add_job(f, "b"), sent = add_job(f, "c"), gone = add_job(f, "d");
    send_job(f, sent, 1);
    const int64_t all[] = {a, b, sent, gone};
    store_jobs_mark(f->s, all, 4, CANCEL, 0, NULL, NULL);
    const int64_t file = file_of(f, "d.yaml");
    store_files_missing(f->s, &file, 1, 7000, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(cancelled(f, 0), 2);
    assert_int_equal(cancelled(f, a), 1);
    assert_int_equal(cancelled(f, b), 0); /* the others are not to be failed now */
    settle_job(f, sent, 1, JOB_WAITING, 5000);
    store_files_missing(f->s, &file, 1, 0, NULL, NULL);
    wait_for_writes(f);
    assert_int_equal(cancelled(f, 0), 4);
    settle_job(f, a, 0, JOB_FAILED, 0);
    assert_int_equal(cancelled(f, 0), 3);
}

static void a_cancelled_job_does_not_expire(void **state)
{
    struct fixture *f = *state;
    size_t count;
    struct take_job j = waiting_job("a");
    j.expires_ms = 5000;
    int64_t id = add_job_as(f, "a", 1000, j);
    mark(f, id, HOLD, 0);
    assert_int_equal(store_next_expiry(f->s), 5000);
    mark(f, id, CANCEL, 0);
    assert_int_equal(store_next_expiry(f->s), 0);
    assert_null(store_load_expired(f->s, 6000, 10, &count));
    mark(f, id, 0, CANCEL);
    assert_int_equal(store_next_expiry(f->s), 5000);
}

static void a_run_that_was_asked_for_is_found_until_it_begins(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    settle_job(f, id, 0, JOB_FAILED, 0);
    mark(f, id, ASKED, HOLD | CANCEL);
    assert_int_equal(asked(f), 1);
    struct take_job j = waiting_job("a");
    j.what = TAKE_REFRESH;
    j.id = id;
    struct store_take t = look_at(f, "a.yaml", &j, 1);
    assert_int_equal(take(f, &t), STORE_OK);
    assert_int_equal(asked(f), 1);
    j.what = TAKE_RERUN;
    assert_int_equal(take(f, &t), STORE_OK);
    assert_int_equal(asked(f), 0);
    assert_int_equal(bits(f, id), 0);
    assert_int_equal(ready(f), 1);
    settle_job(f, id, 0, JOB_FAILED, 0);
    assert_int_equal(asked(f), 0);
}

/* Documents that trade places are superseded for a moment; their orders outlive it. */
static void orders_outlive_a_look(void **state)
{
    struct fixture *f = *state;
    struct take_job two[] = {waiting_job("a.1"), waiting_job("a.2")};
    two[0].document = 1;
    two[1].document = 2;
    two[1].request_sha256 = "beef";
    struct store_take t = look_at(f, "a.yaml", two, 2);
    assert_int_equal(take(f, &t), STORE_OK);
    size_t count;
    struct job_row *rows = store_file_jobs(f->s, file_of(f, "a.yaml"), &count);
    assert_int_equal(count, 2);
    int64_t first = rows[0].id, second = rows[1].id;
    job_rows_free(rows, count);
    mark(f, first, HOLD, 0);
    settle_job(f, second, 0, JOB_FAILED, 0);
    mark(f, second, ASKED, 0);
    two[0] = (struct take_job){.what = TAKE_REFRESH, .id = first, .document = 2, .stem = "a.2"};
    two[1] = (struct take_job){.what = TAKE_RESTORE, .id = second, .document = 1, .stem = "a.1"};
    t = look_at(f, "a.yaml", two, 2);
    assert_int_equal(take(f, &t), STORE_OK);
    assert_int_equal(bits(f, first), HOLD);
    assert_int_equal(bits(f, second), ASKED);
}

static int64_t edit(struct fixture *f, const char *path, const char *stem, const char *request, int64_t drop,
                    int64_t supersede)
{
    struct take_job j = waiting_job(stem);
    j.request_sha256 = request;
    struct store_take t = look_at(f, path, &j, 1);
    t.drop = &drop;
    t.ndrop = drop != 0;
    t.supersede = &supersede;
    t.nsupersede = supersede != 0;
    assert_int_equal(take(f, &t), STORE_OK);
    return number(f, "SELECT max(id) FROM jobs");
}

static void a_hold_stays_where_it_is_when_the_file_is_edited(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job(f, "a");
    mark(f, a, HOLD | CANCEL, 0);
    int64_t b = edit(f, "a.yaml", "a", "b", a, 0);
    assert_int_equal(bits(f, b), HOLD); /* a cancelled job is another job's business */
    send_job(f, b, 1);                  /* as if it had been released, and held again on its way */
    int64_t c = edit(f, "a.yaml", "a", "c", 0, b);
    assert_int_equal(bits(f, c), HOLD);
    settle_job(f, b, 1, JOB_WAITING, 0);
    mark(f, c, 0, HOLD);
    int64_t d = edit(f, "a.yaml", "a", "d", c, 0);
    assert_int_equal(bits(f, d), 0); /* released, although the history is held */

    /* Back to what is history: held as what stands there is. */
    struct take_job back = waiting_job("a");
    back.what = TAKE_REFRESH;
    back.id = b;
    struct store_take t = look_at(f, "a.yaml", &back, 1);
    t.drop = &d;
    t.ndrop = 1;
    assert_int_equal(take(f, &t), STORE_OK);
    assert_int_equal(bits(f, b), 0);
    mark(f, b, HOLD, 0);
    t.ndrop = 0;
    assert_int_equal(take(f, &t), STORE_OK);
    assert_int_equal(bits(f, b), HOLD);
}

static void a_hold_survives_a_file_that_does_not_parse(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job(f, "a");
    mark(f, a, HOLD, 0);
    struct take_job refused = {.what = TAKE_INSERT,
                               .stem = "a",
                               .request_sha256 = "",
                               .state = JOB_FAILED,
                               .code = CODE_INVALID_JOB,
                               .message = "line 1"};
    struct store_take t = look_at(f, "a.yaml", &refused, 1);
    t.drop = &a;
    t.ndrop = 1;
    assert_int_equal(take(f, &t), STORE_OK);
    int64_t r = number(f, "SELECT max(id) FROM jobs");
    assert_int_equal(bits(f, r), HOLD);
    assert_int_equal(bits(f, edit(f, "a.yaml", "a", "b", r, 0)), HOLD);
}

static void documents_that_are_added_are_held_where_all_are(void **state)
{
    struct fixture *f = *state;
    for (int held = 1; held <= 2; held++) {
        const char *path = held == 1 ? "one.yaml" : "all.yaml";
        char stems[3][16];
        for (int i = 0; i < 3; i++)
            snprintf(stems[i], sizeof stems[i], "%s.%d", held == 1 ? "one" : "all", i + 1);
        struct take_job jobs[] = {waiting_job(stems[0]), waiting_job(stems[1]), waiting_job(stems[2])};
        for (int i = 0; i < 3; i++)
            jobs[i].document = i + 1;
        struct store_take t = look_at(f, path, jobs, 2);
        assert_int_equal(take(f, &t), STORE_OK);
        size_t count;
        struct job_row *rows = store_file_jobs(f->s, file_of(f, path), &count);
        for (int i = 0; i < held; i++)
            mark(f, rows[i].id, HOLD, 0);
        for (int i = 0; i < 2; i++) {
            jobs[i].what = TAKE_REFRESH;
            jobs[i].id = rows[i].id;
        }
        job_rows_free(rows, count);
        t = look_at(f, path, jobs, 3);
        assert_int_equal(take(f, &t), STORE_OK);
        assert_int_equal(bits(f, number(f, "SELECT max(id) FROM jobs")), held == 2 ? HOLD : 0);
    }
}

int main(void)
{
#define WITH_STATE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_STATE(a_held_job_is_not_ready_until_it_is_released),
        WITH_STATE(bits_go_only_where_they_fit),
        WITH_STATE(the_end_of_a_job_ends_its_orders),
        WITH_STATE(what_is_cancelled_is_found),
        WITH_STATE(a_cancelled_job_does_not_expire),
        WITH_STATE(a_run_that_was_asked_for_is_found_until_it_begins),
        WITH_STATE(orders_outlive_a_look),
        WITH_STATE(a_hold_stays_where_it_is_when_the_file_is_edited),
        WITH_STATE(a_hold_survives_a_file_that_does_not_parse),
        WITH_STATE(documents_that_are_added_are_held_where_all_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
