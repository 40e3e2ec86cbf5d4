/* Waiting: no outcome is missed, wherever it comes between the calls, with events and without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <time.h>

#include "flowspool/flowspool.h"
#include "tempdir.h"

#define LONG_MS 20000 /* nothing that is expected takes so long */

/* ---- a kernel without events when a test says so: the archive's calls lead here ---- */

static int no_inotify, no_watches; /* errno; 0: as usual */

int inotify_init1(int flags)
{
    if (no_inotify == 0)
        return (int)syscall(SYS_inotify_init1, flags);
    errno = no_inotify;
    return -1;
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    if (no_watches == 0)
        return (int)syscall(SYS_inotify_add_watch, fd, path, mask);
    errno = no_watches;
    return -1;
}

/* ---- fixture ---- */

struct fixture {
    struct tempdir spool;
    struct flowspool_watch *watch;
};

static void open_watch(struct fixture *f)
{
    struct flowspool_error *error = (struct flowspool_error *)(uintptr_t)1;
    assert_int_equal(flowspool_watch_open(f->spool.path, &f->watch, &error), 0);
    assert_null(error);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    alarm(120);
    no_inotify = no_watches = 0;
    tempdir_open(&f->spool, "/tmp");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    flowspool_watch_close(f->watch);
    tempdir_close(&f->spool);
    free(f);
    return 0;
}

/* As the daemon does it: aside, then renamed. */
static void publish_in(const struct tempdir *spool, const char *dir, const char *stem, bool success)
{
    char aside[128], name[128], text[256];
    snprintf(aside, sizeof aside, "%s.flowspool.AAAAAA", dir);
    snprintf(name, sizeof name, "%s%s.%s.json", dir, stem, success ? "result" : "error");
    snprintf(text, sizeof text, "{\"version\":1,\"job\":\"%s%s.yaml\",\"success\":%s,%s}", dir, stem,
             success ? "true" : "false",
             success ? "\"result\":\"text\"" : "\"error\":{\"code\":\"rejected\",\"message\":\"no\"}");
    put_file(spool, aside, text);
    TEMPDIR_MUST(renameat(spool->fd, aside, spool->fd, name) == 0);
}

static void publish(const struct fixture *f, const char *stem)
{
    publish_in(&f->spool, "", stem, true);
}

static void assert_next(struct fixture *f, const char *job)
{
    struct flowspool_outcome *o;
    const char *whose;
    assert_int_equal(flowspool_watch_next(f->watch, LONG_MS, &o, &whose, NULL), 1);
    assert_string_equal(whose, job);
    flowspool_outcome_free(o);
}

static void assert_nothing(struct fixture *f, int code)
{
    struct flowspool_outcome *o = (struct flowspool_outcome *)(uintptr_t)1;
    const char *whose = "x";
    struct flowspool_error *error = NULL;
    assert_int_equal(flowspool_watch_next(f->watch, 0, &o, &whose, &error), code);
    assert_null(o);
    assert_null(whose);
    assert_int_equal(error != NULL, code < 0);
    flowspool_error_free(error);
}

static bool is_readable(const struct fixture *f, int timeout_ms)
{
    struct pollfd p = {.fd = flowspool_watch_fd(f->watch), .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

/* ---- before, while, after ---- */

static void one_that_is_there_already(void **state)
{
    struct fixture *f = *state;
    open_watch(f);
    publish(f, "a");
    assert_int_equal(flowspool_watch_add(f->watch, "a.yaml", NULL), 1);
    assert_true(is_readable(f, LONG_MS));
    assert_next(f, "a.yaml");
    assert_nothing(f, -ENOENT); /* nothing is waited for any more */
}

static void one_that_comes_later(void **state)
{
    struct fixture *f = *state;
    open_watch(f);
    assert_int_equal(flowspool_watch_add(f->watch, "a", NULL), 1);
    assert_nothing(f, 0);
    assert_false(is_readable(f, 0));
    publish_in(&f->spool, "", "b", true); /* somebody else's */
    assert_nothing(f, 0);
    publish_in(&f->spool, "", "a", false);
    assert_true(is_readable(f, LONG_MS));
    assert_next(f, "a");
}

static void one_that_comes_before_the_first_look(void **state)
{
    struct fixture *f = *state;
    open_watch(f);
    assert_int_equal(flowspool_watch_add(f->watch, "a", NULL), 1);
    publish(f, "a");
    assert_next(f, "a");
}

static void adding_twice_is_adding_once(void **state)
{
    struct fixture *f = *state;
    open_watch(f);
    assert_int_equal(flowspool_watch_add(f->watch, "a", NULL), 1);
    assert_int_equal(flowspool_watch_add(f->watch, "a.yaml", NULL), 0);
    publish(f, "a");
    assert_next(f, "a");
    assert_int_equal(flowspool_watch_add(f->watch, "a", NULL), 1); /* and again: it is still there */
    assert_next(f, "a");
}

static void bad_names_add_nothing(void **state)
{
    struct fixture *f = *state;
    struct flowspool_error *error = NULL;
    open_watch(f);
    assert_int_equal(flowspool_watch_add(f->watch, "../a", &error), -EINVAL);
    assert_int_equal(flowspool_error_code(error), -EINVAL);
    flowspool_error_free(error);
    assert_int_equal(flowspool_watch_add(f->watch, "", NULL), -EINVAL);
    assert_nothing(f, -ENOENT);
}

static void each_document_is_waited_for(void **state)
{
    struct fixture *f = *state;
    open_watch(f);
    put_file(&f->spool, "a.yaml", "id: k\nworkflow: w\ninputs: {n: 1}\n---\nworkflow: w\ninputs: {n: 2}\n");
    assert_int_equal(flowspool_watch_add(f->watch, "a.yaml", NULL), 2);
    assert_int_equal(flowspool_watch_add(f->watch, "a", NULL), 0);
    assert_nothing(f, 0);
    put_file(&f->spool, "a.yaml.hold", "x");
    unlinkat(f->spool.fd, "a.yaml", 0);
    unlinkat(f->spool.fd, "a.yaml.hold", 0);
    publish(f, "a.2");
    assert_next(f, "a.2");
    publish(f, "a.k");
    assert_next(f, "a.k");
    assert_nothing(f, -ENOENT);
}

static void one_that_cannot_be_read_is_told_and_the_others_come(void **state)
{
    struct fixture *f = *state;
    struct flowspool_outcome *o;
    struct flowspool_error *error = NULL;
    const char *whose;
    open_watch(f);
    flowspool_watch_add(f->watch, "bad.yaml", NULL);
    flowspool_watch_add(f->watch, "good.yaml", NULL);
    put_file(&f->spool, "bad.result.json", "{\"version\":1,\"jo");
    assert_int_equal(flowspool_watch_next(f->watch, LONG_MS, &o, &whose, &error), -EBADMSG);
    assert_null(o);
    assert_string_equal(whose, "bad.yaml");
    assert_non_null(strstr(flowspool_error_message(error), "bad.result.json is no outcome"));
    flowspool_error_free(error);
    publish(f, "good");
    assert_next(f, "good.yaml");
}

/* ---- many ---- */

#define MANY 5000

static void *publish_many(void *arg)
{
    for (int i = 0; i < MANY; i++) {
        char stem[32];
        snprintf(stem, sizeof stem, "j%d", i);
        publish_in(arg, i % 3 == 0 ? "" : i % 3 == 1 ? "one/" : "two/", stem, i % 2 == 0);
    }
    return NULL;
}

static void many_in_several_directories_are_each_told_once(void **state)
{
    struct fixture *f = *state;
    static bool seen[MANY];
    pthread_t thread;
    open_watch(f);
    put_dir(&f->spool, "one");
    put_dir(&f->spool, "two");
    memset(seen, 0, sizeof seen);
    assert_int_equal(pthread_create(&thread, NULL, publish_many, &f->spool), 0);
    for (int i = 0; i < MANY; i++) { /* some are there, some come meanwhile, some later */
        char job[32];
        snprintf(job, sizeof job, "%sj%d.yaml", i % 3 == 0 ? "" : i % 3 == 1 ? "one/" : "two/", i);
        assert_int_equal(flowspool_watch_add(f->watch, job, NULL), 1);
    }
    for (int i = 0; i < MANY; i++) {
        struct flowspool_outcome *o;
        const char *whose;
        int number;
        assert_int_equal(flowspool_watch_next(f->watch, LONG_MS, &o, &whose, NULL), 1);
        assert_int_equal(sscanf(strchr(whose, '/') ? strchr(whose, '/') + 1 : whose, "j%d", &number), 1);
        assert_string_equal(flowspool_outcome_job(o), whose);
        assert_int_equal(flowspool_outcome_success(o), number % 2 == 0);
        assert_false(seen[number]);
        seen[number] = true;
        flowspool_outcome_free(o);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_nothing(f, -ENOENT);
}

static int queue_limit(void)
{
    int limit = 0;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    if (file) {
        if (fscanf(file, "%d", &limit) != 1)
            limit = 0;
        fclose(file);
    }
    return limit;
}

static void events_that_were_lost_lose_no_outcome(void **state)
{
    struct fixture *f = *state;
    int limit = queue_limit();
    if (limit == 0 || limit > 100000)
        skip();
    open_watch(f);
    flowspool_watch_add(f->watch, "a", NULL);
    assert_nothing(f, 0);
    for (int i = 0; i <= limit / 2; i++) { /* two events each, not merged */
        int fd = openat(f->spool.fd, i % 2 ? "x" : "y", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        close(fd);
        unlinkat(f->spool.fd, i % 2 ? "x" : "y", 0);
    }
    publish(f, "a");
    assert_next(f, "a");
}

/* ---- without events ---- */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void check_without_events(struct fixture *f)
{
    open_watch(f);
    flowspool_watch_add(f->watch, "a", NULL);
    assert_nothing(f, 0);
    publish(f, "a");
    assert_true(is_readable(f, LONG_MS)); /* a loop of one's own is woken, too */
    assert_next(f, "a");
}

static void without_inotify_it_looks_again(void **state)
{
    no_inotify = EMFILE;
    check_without_events(*state);
}

static void without_watches_it_looks_again(void **state)
{
    no_watches = ENOSPC;
    check_without_events(*state);
}

static void a_directory_may_come_later_and_go(void **state)
{
    struct fixture *f = *state;
    open_watch(f);
    flowspool_watch_add(f->watch, "dir/a", NULL);
    flowspool_watch_add(f->watch, "dir/b", NULL);
    assert_nothing(f, 0);
    put_dir(&f->spool, "dir");
    publish_in(&f->spool, "dir/", "a", true);
    assert_next(f, "dir/a");
    assert_int_equal(unlinkat(f->spool.fd, "dir/a.result.json", 0), 0);
    assert_int_equal(unlinkat(f->spool.fd, "dir", AT_REMOVEDIR), 0);
    assert_nothing(f, 0);
    put_dir(&f->spool, "dir");
    publish_in(&f->spool, "dir/", "b", true);
    assert_next(f, "dir/b");
}

static void a_directory_may_be_another_one(void **state)
{
    struct fixture *f = *state;
    open_watch(f);
    put_dir(&f->spool, "dir");
    flowspool_watch_add(f->watch, "dir/a", NULL);
    assert_nothing(f, 0);
    assert_int_equal(renameat(f->spool.fd, "dir", f->spool.fd, "old"), 0);
    publish_in(&f->spool, "old/", "a", true); /* not where it is waited for */
    assert_nothing(f, 0);
    put_dir(&f->spool, "dir");
    publish_in(&f->spool, "dir/", "a", false);
    struct flowspool_outcome *o;
    assert_int_equal(flowspool_watch_next(f->watch, LONG_MS, &o, NULL, NULL), 1);
    assert_int_equal(flowspool_outcome_success(o), 0);
    flowspool_outcome_free(o);
}

static void a_spool_that_is_removed_ends_it(void **state)
{
    struct fixture *f = *state;
    struct flowspool_outcome *o;
    struct flowspool_error *error = NULL;
    char path[128];
    put_dir(&f->spool, "inner");
    snprintf(path, sizeof path, "%s/inner", f->spool.path);
    assert_int_equal(flowspool_watch_open(path, &f->watch, NULL), 0);
    flowspool_watch_add(f->watch, "a", NULL);
    assert_int_equal(unlinkat(f->spool.fd, "inner", AT_REMOVEDIR), 0);
    assert_int_equal(flowspool_watch_next(f->watch, LONG_MS, &o, NULL, &error), -ENOENT);
    assert_string_equal(flowspool_error_message(error), "the spool was removed");
    flowspool_error_free(error);
    struct flowspool_watch *none = (struct flowspool_watch *)(uintptr_t)1;
    assert_int_equal(flowspool_watch_open(path, &none, NULL), -ENOENT);
    assert_null(none);
}

/* ---- the short way ---- */

static void *publish_soon(void *arg)
{
    usleep(50000); /* while it waits, as a rule; either way it must be told */
    publish_in(arg, "", "a", true);
    return NULL;
}

static void waiting_for_one(void **state)
{
    struct fixture *f = *state;
    struct flowspool_outcome *o = (struct flowspool_outcome *)(uintptr_t)1;
    struct flowspool_error *error = NULL;
    pthread_t thread;
    int64_t begun = now_ms();
    assert_int_equal(flowspool_wait(f->spool.path, "a.yaml", 100, &o, &error), 0);
    assert_true(now_ms() - begun >= 100);
    assert_null(o);
    assert_null(error);
    assert_int_equal(pthread_create(&thread, NULL, publish_soon, &f->spool), 0);
    assert_int_equal(flowspool_wait(f->spool.path, "a.yaml", -1, &o, &error), 1);
    assert_string_equal(flowspool_outcome_result(o, NULL), "text");
    flowspool_outcome_free(o);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(flowspool_wait("/no/such/spool", "a", 0, &o, NULL), -ENOENT);
    assert_int_equal(flowspool_wait(f->spool.path, "/a", 0, &o, NULL), -EINVAL);
    put_file(&f->spool, "s.yaml", "workflow: w\ninputs: {n: 1}\n---\nworkflow: w\ninputs: {n: 2}\n");
    assert_int_equal(flowspool_wait(f->spool.path, "s.yaml", 0, &o, &error), -EINVAL);
    assert_string_equal(flowspool_error_message(error),
                        "s.yaml holds 2 jobs: wait for each, or with a watch");
    flowspool_error_free(error);
}

/* ---- side by side ---- */

static void *wait_for_a(void *arg)
{
    struct flowspool_outcome *o;
    for (int i = 0; i < 20; i++) {
        if (flowspool_wait(arg, "a", LONG_MS, &o, NULL) != 1)
            return "no outcome";
        if (strcmp(flowspool_outcome_result(o, NULL), "text") != 0)
            return "another outcome";
        flowspool_outcome_free(o);
    }
    return NULL;
}

static void threads_wait_side_by_side(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_a, f->spool.path), 0);
    publish(f, "a");
    for (size_t i = 0; i < 8; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_there_already),
        TEST(one_that_comes_later),
        TEST(one_that_comes_before_the_first_look),
        TEST(adding_twice_is_adding_once),
        TEST(bad_names_add_nothing),
        TEST(each_document_is_waited_for),
        TEST(one_that_cannot_be_read_is_told_and_the_others_come),
        TEST(many_in_several_directories_are_each_told_once),
        TEST(events_that_were_lost_lose_no_outcome),
        TEST(without_inotify_it_looks_again),
        TEST(without_watches_it_looks_again),
        TEST(a_directory_may_come_later_and_go),
        TEST(a_directory_may_be_another_one),
        TEST(a_spool_that_is_removed_ends_it),
        TEST(waiting_for_one),
        TEST(threads_wait_side_by_side),
    };
    return cmocka_run_group_tests_name("lib watch", tests, NULL, NULL);
}
