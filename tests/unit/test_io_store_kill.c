/* The store when the program dies. */
#include <signal.h>
#include <sys/wait.h>

#include "test_io_store.h"

struct told { /* by the child, through a pipe: this is durable */
    int64_t job;
    char what; /* 'i' intent, 'r' reply, 'd' done */
};
struct life {
    struct store *s;
    int pipe, n;
    int64_t job;
    char stem[24], path[32];
};

static void live_begin(struct life *l);

static void tell(const struct life *l, char what)
{
    struct told t = {.job = l->job, .what = what};
    if (write(l->pipe, &t, sizeof t) != sizeof t)
        _exit(3);
}

static void live_done(void *arg, enum store_rc rc)
{
    struct life *l = arg;
    (void)rc;
    tell(l, 'd');
    l->n++;
    live_begin(l);
}

static void live_reply(void *arg, enum store_rc rc)
{
    struct life *l = arg;
    (void)rc;
    tell(l, 'r');
    if (l->n % 3 == 2) { /* every third stays there */
        l->n++;
        live_begin(l);
        return;
    }
    const struct store_settle e = {.job = l->job, .attempt = 1, .state = JOB_DONE, .verdict = "success"};
    store_settle(l->s, &e, live_done, l);
}

static void live_intent(void *arg, enum store_rc rc)
{
    struct life *l = arg;
    static const char body[3000] = "paid";
    const struct store_reply r = {.http_status = 200, .body = body, .body_len = sizeof body};
    (void)rc;
    tell(l, 'i');
    store_reply(l->s, l->job, &r, live_reply, l);
}

static void live_taken(void *arg, enum store_rc rc)
{
    struct life *l = arg;
    struct file_row file;
    size_t count = 0;
    if (rc != STORE_OK || !store_file_by_path(l->s, l->path, &file))
        _exit(4);
    struct job_row *rows = store_file_jobs(l->s, file.id, &count);
    l->job = rows[0].id;
    job_rows_free(rows, count);
    file_row_free(&file);
    store_intent(l->s, l->job, 1, 1, ENDPOINT, "beef", "boot", live_intent, l);
}

static void live_begin(struct life *l)
{
    snprintf(l->path, sizeof l->path, "%s-%d.yaml", l->stem, l->n);
    char stem[32];
    snprintf(stem, sizeof stem, "%s-%d", l->stem, l->n);
    struct take_job j = waiting_job(stem);
    const struct store_take t = {.file = file_at(l->path, 1), .jobs = &j, .njobs = 1};
    store_take(l->s, &t, live_taken, l);
}

static void child_works(const struct fixture *f, int round, int out)
{
    enum { LIVES = 20 };
    static struct life lives[LIVES];
    uv_loop_t loop;
    struct store *s;
    bool created;
    char message[256];
    uv_loop_init(&loop);
    if (store_open(&s, &loop, f->dir, on_fatal, NULL, &created, message, sizeof message) != STORE_OK)
        _exit(5);
    for (int i = 0; i < LIVES; i++) {
        lives[i] = (struct life){.s = s, .pipe = out};
        snprintf(lives[i].stem, sizeof lives[i].stem, "r%d-%d", round, i);
        live_begin(&lives[i]);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(6);
}

static void assert_kept(struct fixture *f, const struct told *t)
{
    struct job_row r = job(f, t->job);
    enum job_state least = t->what == 'i' ? JOB_SENT : t->what == 'r' ? JOB_REPLIED : JOB_DONE;
    if (r.state < least)
        fail_msg("job %lld was told to be %s and is %s", (long long)t->job, job_state_name(least),
                 job_state_name(r.state));
    struct reply_row reply;
    bool has_reply = store_load_reply(f->s, t->job, &reply);
    assert_int_equal(has_reply, r.state == JOB_REPLIED);
    if (has_reply) {
        assert_true(reply.body_len == 3000 && memcmp(reply.body, "paid", 4) == 0);
        reply_row_free(&reply);
    }
    job_row_free(&r);
}

static void what_was_told_survives_a_kill(void **state)
{
    struct fixture *f = *state;
    struct told *told = calloc(4000, sizeof *told);
    assert_non_null(told);
    close_state(f);
    for (int round = 0; round < 8; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            child_works(f, round, ends[1]);
        }
        close(ends[1]);
        size_t count = 0, enough = (size_t)(1 + 37 * round * round);
        for (; count < enough && read(ends[0], &told[count], sizeof *told) == sizeof *told; count++) {}
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        for (; count < 4000 && read(ends[0], &told[count], sizeof *told) == sizeof *told; count++) {}
        close(ends[0]);
        assert_true(count >= enough);

        open_state(f);
        for (size_t i = 0; i < count; i++)
            assert_kept(f, &told[i]);
        assert_int_equal(
            number(f, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
        assert_int_equal(number(f, "SELECT count(*) FROM tally t WHERE class < 5 AND n <>"
                                   " (SELECT count(*) FROM jobs WHERE state = t.class)"),
                         0);
        close_state(f);
    }
    free(told);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(what_was_told_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
