/* Every cell of the table of moves, and what an illegal one does to the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above. */
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/job.h"

#define NO (-1)

/* Written by hand, not derived: a second opinion on the table. */
static const struct {
    enum job_state from;
    int to[JOB_NEVENTS]; /* send, unsend, reply, retry, succeed, fail, reopen */
} rows[] = {
    {JOB_WAITING, {JOB_SENT, NO, NO, NO, JOB_DONE, JOB_FAILED, NO}},
    {JOB_SENT, {NO, JOB_WAITING, JOB_REPLIED, JOB_WAITING, NO, JOB_FAILED, NO}},
    {JOB_REPLIED, {NO, JOB_WAITING, NO, JOB_WAITING, JOB_DONE, JOB_FAILED, NO}},
    {JOB_DONE, {NO, NO, NO, NO, NO, NO, JOB_WAITING}},
    {JOB_FAILED, {NO, NO, NO, NO, NO, NO, JOB_WAITING}},
};

static void test_every_move(void **state)
{
    (void)state;
    assert_int_equal(sizeof rows / sizeof rows[0], JOB_NSTATES);
    for (size_t i = 0; i < JOB_NSTATES; i++) {
        for (int ev = 0; ev < JOB_NEVENTS; ev++) {
            int to = job_next(rows[i].from, (enum job_event)ev);

            if (to != rows[i].to[ev])
                fail_msg("%s, event %d: %d", job_state_name(rows[i].from), ev, to);
            if (to != NO)
                assert_int_equal(job_event(7, rows[i].from, (enum job_event)ev), to);
        }
    }
}

static void test_outside_the_table(void **state)
{
    (void)state;
    assert_int_equal(job_next(JOB_NSTATES, JOB_EV_SEND), NO);
    assert_int_equal(job_next((enum job_state) - 1, JOB_EV_SEND), NO);
    assert_int_equal(job_next(JOB_WAITING, JOB_NEVENTS), NO);
    assert_int_equal(job_next(JOB_WAITING, (enum job_event) - 1), NO);
}

static void test_numbers_on_disk(void **state)
{
    (void)state;
    assert_int_equal(JOB_WAITING, 0);
    assert_int_equal(JOB_SENT, 1);
    assert_int_equal(JOB_REPLIED, 2);
    assert_int_equal(JOB_DONE, 3);
    assert_int_equal(JOB_FAILED, 4);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(job_state_name(JOB_WAITING), "waiting");
    assert_string_equal(job_state_name(JOB_SENT), "sent");
    assert_string_equal(job_state_name(JOB_REPLIED), "replied");
    assert_string_equal(job_state_name(JOB_DONE), "done");
    assert_string_equal(job_state_name(JOB_FAILED), "failed");
    assert_string_equal(job_state_name(JOB_NSTATES), "unknown");
    assert_string_equal(job_state_name((enum job_state) - 1), "unknown");
}

/* Makes the move in a child; its last words, and the signal that ended it. */
static int dies(int64_t id, enum job_state from, enum job_event ev, char *words, size_t size)
{
    size_t n = 0;
    ssize_t got;
    int ends[2], status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};

        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL); /* cmocka and sanitizers catch it */
        dup2(ends[1], STDERR_FILENO);
        job_event(id, from, ev);
        _exit(0);
    }
    close(ends[1]);
    while (n < size - 1 && (got = read(ends[0], words + n, size - 1 - n)) > 0)
        n += (size_t)got;
    words[n] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_every_illegal_move_aborts(void **state)
{
    static const char *const events[] = {"send", "unsend", "reply", "retry", "succeed", "fail", "reopen"};
    char words[512], expected[128];

    (void)state;
    for (size_t i = 0; i < JOB_NSTATES; i++) {
        for (int ev = 0; ev < JOB_NEVENTS; ev++) {
            if (rows[i].to[ev] != NO)
                continue;
            assert_int_equal(dies(9007199254740993, rows[i].from, (enum job_event)ev, words, sizeof words),
                             SIGABRT);
            snprintf(expected, sizeof expected, "job 9007199254740993: illegal move: %s in state %s\n",
                     events[ev], job_state_name(rows[i].from));
            assert_non_null(strstr(words, expected));
        }
    }
    assert_int_equal(dies(1, JOB_NSTATES, JOB_NEVENTS, words, sizeof words), SIGABRT);
    assert_non_null(strstr(words, "illegal move: unknown in state unknown"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move),
        cmocka_unit_test(test_outside_the_table),
        cmocka_unit_test(test_numbers_on_disk),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_every_illegal_move_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
