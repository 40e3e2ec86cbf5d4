/* What the tests of the store share: a state in a directory of its own, a loop, and jobs to put into it. */
#ifndef FLOWSPOOL_TEST_IO_STORE_H
#define FLOWSPOOL_TEST_IO_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/store_internal.h"

#define UNUSED   __attribute__((unused))
#define ENDPOINT "https://host"

struct fixture {
    char dir[64];
    uv_loop_t loop;
    struct store *s;
    bool created;
    int fatals;
    char fatal[320];
};

/* What a write answered, and as the how-manieth. */
struct answer {
    struct fixture *f;
    int calls, order;
    enum store_rc rc;
};
static int answers;

UNUSED static void on_done(void *arg, enum store_rc rc)
{
    struct answer *a = arg;
    a->calls++;
    a->order = ++answers;
    a->rc = rc;
}

UNUSED static void on_fatal(void *arg, const char *message)
{
    struct fixture *f = arg;
    f->fatals++;
    snprintf(f->fatal, sizeof f->fatal, "%s", message);
}

UNUSED static char *in_dir(const struct fixture *f, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return path;
}

UNUSED static void open_state(struct fixture *f)
{
    char message[256] = "";
    if (store_open(&f->s, &f->loop, f->dir, on_fatal, f, &f->created, message, sizeof message) != STORE_OK)
        fail_msg("%s", message);
}

UNUSED static void close_state(struct fixture *f)
{
    store_close(f->s);
    f->s = NULL;
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

/* Returns when every write was answered: the loop ends by itself then. */
UNUSED static void wait_for_writes(struct fixture *f)
{
    uv_run(&f->loop, UV_RUN_DEFAULT);
    if (f->fatals != 0)
        fail_msg("fatal: %s", f->fatal);
    assert_int_equal(store_queued(f->s), 0);
}

UNUSED static bool has_failed(struct fixture *f)
{
    return f->fatals > 0;
}

UNUSED static void on_tick(uv_timer_t *tick)
{
    (void)tick;
}

/* Runs the loop until fn says yes; the alarm of the test is the bound. The timer also keeps the loop alive:
 * an idle store does not, and what it reports would never be heard. */
UNUSED static void run_until(struct fixture *f, bool (*fn)(struct fixture *f))
{
    uv_timer_t tick;
    assert_int_equal(uv_timer_init(&f->loop, &tick), 0);
    while (!fn(f)) {
        assert_int_equal(uv_timer_start(&tick, on_tick, 1, 0), 0);
        uv_run(&f->loop, UV_RUN_ONCE);
        if (f->fatals != 0 && fn != has_failed)
            fail_msg("fatal: %s", f->fatal);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

UNUSED static void make_dir(struct fixture *f)
{
    snprintf(f->dir, sizeof f->dir, "%s", "/tmp/test_io_store.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(uv_loop_init(&f->loop), 0);
}

UNUSED static void remove_dir(struct fixture *f)
{
    DIR *d = opendir(f->dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d != NULL)
        closedir(d);
    rmdir(f->dir);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
}

UNUSED static int set_up(void **state)
{
    alarm(100); /* a write that is never answered must not hang the run */
    struct fixture *f = calloc(1, sizeof *f);
    make_dir(f);
    open_state(f);
    *state = f;
    return 0;
}

UNUSED static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->s != NULL)
        close_state(f);
    remove_dir(f);
    return 0;
}

UNUSED static struct take_job waiting_job(const char *stem)
{
    return (struct take_job){
        .what = TAKE_INSERT,
        .stem = stem,
        .workflow = "wf_a",
        .request_sha256 = "f0e1",
        .body = "{\"a\":\"b\"}",
        .body_len = 9,
    };
}

UNUSED static struct file_row file_at(const char *path, int64_t seen_ms)
{
    return (struct file_row){
        .path = (char *)(uintptr_t)path,
        .sig = {.dev = 1, .ino = 100, .size = 20, .mtime_ns = 30, .btime_ns = 40},
        .job_sha256 = "abcd",
        .seen_ms = seen_ms,
        .documents = 1,
        .uid = 1000,
        .gid = 1001,
        .mode = 0640,
    };
}

UNUSED static enum store_rc take(struct fixture *f, const struct store_take *t)
{
    struct answer a = {.f = f};
    store_take(f->s, t, on_done, &a);
    assert_int_equal(a.calls, 0);
    wait_for_writes(f);
    assert_int_equal(a.calls, 1);
    return a.rc;
}

/* A file of one waiting job "NAME.yaml" with stem "NAME"; returns the job's id. */
UNUSED static int64_t add_job_as(struct fixture *f, const char *name, int64_t seen_ms, struct take_job j)
{
    char path[64];
    snprintf(path, sizeof path, "%s.yaml", name);
    j.stem = name;
    const struct store_take t = {.file = file_at(path, seen_ms), .jobs = &j, .njobs = 1};
    assert_int_equal(take(f, &t), STORE_OK);
    struct file_row file;
    size_t count;
    assert_true(store_file_by_path(f->s, path, &file));
    struct job_row *rows = store_file_jobs(f->s, file.id, &count);
    assert_int_equal(count, 1);
    int64_t id = rows[0].id;
    job_rows_free(rows, count);
    file_row_free(&file);
    return id;
}

UNUSED static int64_t add_job(struct fixture *f, const char *name)
{
    return add_job_as(f, name, 1000, waiting_job(name));
}

UNUSED static struct job_row job(struct fixture *f, int64_t id)
{
    struct job_row r;
    if (!store_job(f->s, id, true, &r))
        fail_msg("job %lld is not there", (long long)id);
    return r;
}

UNUSED static void assert_state(struct fixture *f, int64_t id, enum job_state state)
{
    struct job_row r = job(f, id);
    assert_string_equal(job_state_name(r.state), job_state_name(state));
    job_row_free(&r);
}

UNUSED static int64_t file_of(struct fixture *f, const char *path)
{
    struct file_row r;
    if (!store_file_by_path(f->s, path, &r))
        return 0;
    int64_t id = r.id;
    file_row_free(&r);
    return id;
}

UNUSED static void send_job(struct fixture *f, int64_t id, int sends)
{
    store_intent(f->s, id, sends, 2000 + sends, ENDPOINT, "beef", "boot", NULL, NULL);
    wait_for_writes(f);
}

UNUSED static void reply_job(struct fixture *f, int64_t id)
{
    const struct store_reply r = {
        .http_status = 200, .headers = "A: b", .headers_len = 4, .body = "{}", .body_len = 2};
    store_reply(f->s, id, &r, NULL, NULL);
    wait_for_writes(f);
}

UNUSED static void settle_job(struct fixture *f, int64_t id, int attempt, enum job_state state,
                              int64_t due_ms)
{
    const struct store_settle e = {
        .job = id,
        .attempt = attempt,
        .state = state,
        .due_ms = due_ms,
        .verdict = "success",
        .ended_ms = 3000,
        .duration_ms = 7,
        .http_status = 200,
        .attempts = 1,
        .endpoint = ENDPOINT,
        .workflow_ok = state == JOB_DONE,
    };
    store_settle(f->s, &e, NULL, NULL);
    wait_for_writes(f);
}

/* A number straight from the database, by a connection of the test's own. */
UNUSED static int64_t number(struct fixture *f, const char *sql)
{
    int64_t value = -1;
    assert_int_equal(connection_number(&f->s->reader, sql, &value), SQLITE_OK);
    return value;
}

#endif
