/* The store when a caller has a bug. */
#include "test_io_store.h"

static void bug_intent_twice(struct store *s, int64_t id)
{
    store_intent(s, id, 1, 1, ENDPOINT, "beef", "boot", NULL, NULL);
    store_intent(s, id, 2, 1, ENDPOINT, "beef", "boot", NULL, NULL);
}

static void bug_intent_number(struct store *s, int64_t id)
{
    store_intent(s, id, 2, 1, ENDPOINT, "beef", "boot", NULL, NULL);
}

static void bug_void_unsent(struct store *s, int64_t id)
{
    store_intent_void(s, id, 0, NULL, NULL);
}

static void bug_reply_unsent(struct store *s, int64_t id)
{
    const struct store_reply r = {.http_status = 200};
    store_reply(s, id, &r, NULL, NULL);
}

static void bug_settle_unsent(struct store *s, int64_t id)
{
    const struct store_settle e = {.job = id, .attempt = 1, .state = JOB_DONE};
    store_settle(s, &e, NULL, NULL);
}

static void bug_done_without_reply(struct store *s, int64_t id)
{
    const struct store_settle e = {.job = id, .attempt = 1, .state = JOB_DONE};
    store_intent(s, id, 1, 1, ENDPOINT, "beef", "boot", NULL, NULL);
    store_settle(s, &e, NULL, NULL);
}

static void bug_settle_to_sent(struct store *s, int64_t id)
{
    const struct store_settle e = {.job = id, .state = JOB_SENT};
    store_settle(s, &e, NULL, NULL);
}

static void bug_settle_unknown(struct store *s, int64_t id)
{
    const struct store_settle e = {.job = id + 1, .attempt = 1, .state = JOB_FAILED};
    store_settle(s, &e, NULL, NULL);
}

static void bug_reopen_sent(struct store *s, int64_t id)
{
    store_intent(s, id, 1, 1, ENDPOINT, "beef", "boot", NULL, NULL);
    store_reopen(s, id, "{}", 2, NULL, NULL);
}

static void bug_drop_sent(struct store *s, int64_t id)
{
    const struct store_take t = {.file = file_at("b.yaml", 1), .drop = &id, .ndrop = 1};
    store_intent(s, id, 1, 1, ENDPOINT, "beef", "boot", NULL, NULL);
    store_take(s, &t, NULL, NULL);
}

static void bug_rerun_sent(struct store *s, int64_t id)
{
    struct take_job j = {.what = TAKE_RERUN, .id = id, .stem = "a"};
    struct store_take t = {.file = file_at("a.yaml", 1), .jobs = &j, .njobs = 1};
    t.file.id = 1;
    store_intent(s, id, 1, 1, ENDPOINT, "beef", "boot", NULL, NULL);
    store_take(s, &t, NULL, NULL);
}

static void bug_insert_sent(struct store *s, int64_t id)
{
    struct take_job j = {.what = TAKE_INSERT, .stem = "z", .state = JOB_SENT};
    const struct store_take t = {.file = file_at("z.yaml", 1), .jobs = &j, .njobs = 1};
    (void)id;
    store_take(s, &t, NULL, NULL);
}

static void bug_unknown_file(struct store *s, int64_t id)
{
    struct store_take t = {.file = file_at("z.yaml", 1)};
    t.file.id = id + 1000;
    store_take(s, &t, NULL, NULL);
}

static void bug_supersede_unknown(struct store *s, int64_t id)
{
    const int64_t unknown = id + 1000;
    const struct store_take t = {.file = file_at("z.yaml", 1), .supersede = &unknown, .nsupersede = 1};
    store_take(s, &t, NULL, NULL);
}

/* Going on could buy twice: the batch is rolled back, and that is the end. */
static void a_bug_ends_it(void **state)
{
    static const struct {
        const char *name;
        void (*fn)(struct store *s, int64_t id);
    } cases[] = {
        {"intent of a job in flight", bug_intent_twice},
        {"an attempt's number is skipped", bug_intent_number},
        {"void of what was not sent", bug_void_unsent},
        {"reply to nothing", bug_reply_unsent},
        {"end of an attempt that never was", bug_settle_unsent},
        {"result without a stored reply", bug_done_without_reply},
        {"end in flight", bug_settle_to_sent},
        {"end of an unknown job", bug_settle_unknown},
        {"reopened in flight", bug_reopen_sent},
        {"dropped in flight", bug_drop_sent},
        {"run again in flight", bug_rerun_sent},
        {"new and in flight", bug_insert_sent},
        {"unknown file", bug_unknown_file},
        {"unknown job superseded", bug_supersede_unknown},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *fresh = NULL;
        set_up(&fresh);
        struct fixture *f = fresh;
        int64_t id = add_job(f, "a");
        cases[i].fn(f->s, id);
        run_until(f, has_failed);
        if (strncmp(f->fatal, "bug: ", 5) != 0)
            fail_msg("%s: %s", cases[i].name, f->fatal);
        close_state(f);
        f->fatals = 0;
        open_state(f);
        struct job_row r = job(f, id);
        if (r.state != JOB_WAITING && r.state != JOB_SENT)
            fail_msg("%s: %s", cases[i].name, job_state_name(r.state));
        job_row_free(&r);
        tear_down(&fresh);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bug_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
