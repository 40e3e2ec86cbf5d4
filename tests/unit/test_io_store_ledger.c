/* What was paid for stays known when jobs are forgotten, and in a state of the version before. */
#include "test_io_store.h"

static struct ledger ledger(struct fixture *f, int64_t since_ms)
{
    struct ledger l;
    assert_true(store_ledger(f->s, since_ms, &l));
    assert_true(ledger_balanced(&l));
    return l;
}

static void end(struct fixture *f, int64_t id, int attempt, enum job_state state, const char *verdict,
                bool recovered)
{
    const struct store_settle e = {
        .job = id,
        .attempt = attempt,
        .state = state,
        .verdict = verdict,
        .ended_ms = 3000,
        .duration_ms = 7,
        .attempts = state == JOB_DONE,
        .endpoint = ENDPOINT,
        .recovered = recovered,
    };
    if (state == JOB_DONE)
        reply_job(f, id);
    store_settle(f->s, &e, NULL, NULL);
    wait_for_writes(f);
}

static void forget(struct fixture *f, const char *path)
{
    int64_t file = file_of(f, path);
    store_files_forget(f->s, &file, 1, NULL, NULL);
    wait_for_writes(f);
}

static void attempts_count_when_their_job_is_forgotten(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job(f, "a"), b = add_job(f, "b");
    send_job(f, a, 1);
    end(f, a, 1, JOB_WAITING, "rate_limited", false);
    send_job(f, a, 2);
    end(f, a, 2, JOB_DONE, "success", true);
    send_job(f, b, 1);
    struct ledger l = ledger(f, 0);
    assert_int_equal(l.runs[LEDGER_BOUGHT], 1);
    assert_int_equal(l.runs[LEDGER_REFUSED], 1);
    assert_int_equal(l.runs[LEDGER_IN_FLIGHT], 1);
    assert_int_equal(l.savings[LEDGER_RECOVERED], 1);
    assert_int_equal(l.outcomes[LEDGER_BOUGHT], 1);

    forget(f, "a.yaml");
    forget(f, "b.yaml"); /* in flight: it counts when it has ended */
    l = ledger(f, 0);
    assert_int_equal(l.runs[LEDGER_BOUGHT], 1);
    assert_int_equal(l.runs[LEDGER_REFUSED], 1);
    assert_int_equal(l.runs[LEDGER_IN_FLIGHT], 1);
    assert_int_equal(l.forgotten, 2);
    assert_int_equal(ledger_outcomes(&l), 0);
    assert_int_equal(ledger_replaced(&l), 1);
    end(f, b, 1, JOB_DONE, "success", false);
    l = ledger(f, 0);
    assert_int_equal(l.runs[LEDGER_BOUGHT], 2);
    assert_int_equal(l.runs[LEDGER_IN_FLIGHT], 0);
    assert_int_equal(l.forgotten, 3);
}

static void what_did_not_become_a_request_is_no_attempt(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job(f, "a");
    send_job(f, a, 1);
    store_intent_void(f->s, a, 1, NULL, NULL);
    wait_for_writes(f);
    struct ledger l = ledger(f, 0);
    for (int k = 0; k < LEDGER_KINDS; k++)
        assert_int_equal(l.runs[k], 0);
}

static void since_when(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job(f, "a");
    send_job(f, a, 1);                        /* at 2001 */
    end(f, a, 1, JOB_DONE, "success", false); /* at 3000 */
    struct ledger l = ledger(f, 2001);
    assert_int_equal(l.runs[LEDGER_BOUGHT], 1);
    l = ledger(f, 2002);
    assert_int_equal(l.runs[LEDGER_BOUGHT], 0);
    assert_int_equal(l.outcomes[LEDGER_BOUGHT], 1);
    l = ledger(f, 3001);
    assert_int_equal(ledger_outcomes(&l), 0);
    forget(f, "a.yaml");
    l = ledger(f, 2002); /* its day is known, no more */
    assert_int_equal(l.runs[LEDGER_BOUGHT], 1);
    l = ledger(f, 24 * 3600 * 1000);
    assert_int_equal(l.runs[LEDGER_BOUGHT], 0);
}

/* As the version before wrote it: without what this one adds. */
static void make_version_1(struct fixture *f)
{
    struct connection c;
    assert_int_equal(connection_open(&c, in_dir(f, "state.db"), SQLITE_OPEN_READWRITE, 100), SQLITE_OK);
    assert_int_equal(connection_exec(&c, "DROP TRIGGER attempts_forgotten"), SQLITE_OK);
    assert_int_equal(connection_exec(&c, "DROP TABLE ledger"), SQLITE_OK);
    assert_int_equal(connection_exec(&c, "PRAGMA user_version = 1"), SQLITE_OK);
    connection_close(&c);
}

static void an_older_state_is_counted_from_its_rows(void **state)
{
    struct fixture *f = *state;
    int64_t a = add_job(f, "a");
    send_job(f, a, 1);
    end(f, a, 1, JOB_DONE, "success", false);
    close_state(f);
    make_version_1(f);
    open_state(f);
    assert_false(f->created);
    struct ledger l = ledger(f, 0);
    assert_int_equal(l.runs[LEDGER_BOUGHT], 1);
    forget(f, "a.yaml");
    l = ledger(f, 0);
    assert_int_equal(l.runs[LEDGER_BOUGHT], 1);
    assert_int_equal(l.forgotten, 1);
    assert_int_equal(access(in_dir(f, "state.db.bak"), F_OK), 0);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(attempts_count_when_their_job_is_forgotten),
        STORE_TEST(what_did_not_become_a_request_is_no_attempt),
        STORE_TEST(since_when),
        STORE_TEST(an_older_state_is_counted_from_its_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
