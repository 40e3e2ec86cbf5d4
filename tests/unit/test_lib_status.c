/* The daemon's status as a program reads it, from one that answers, hangs, hangs up, or is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "flowspool/flowspool.h"
#include "tempdir.h"

/* ---- what answers in the daemon's place: one request, on a thread of its own ---- */

struct fixture {
    struct tempdir spool;
    int listener;
    pthread_t thread;
    bool running;
    const char *reply; /* NULL: hangs up */
    char request[256];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    alarm(60);
    tempdir_open(&f->spool, "/tmp");
    f->listener = -1;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->running)
        pthread_join(f->thread, NULL);
    if (f->listener >= 0)
        close(f->listener);
    tempdir_close(&f->spool);
    free(f);
    return 0;
}

static void listen_in(struct fixture *f, const char *dir)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = openat(f->spool.fd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/control", fd);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(f->listener, 4), 0);
    close(fd);
}

static void *answer(void *arg)
{
    struct fixture *f = arg;
    int fd = accept(f->listener, NULL, NULL);
    size_t used = 0;
    for (ssize_t n = 1; n > 0 && memchr(f->request, '\n', used) == NULL; used += n > 0 ? (size_t)n : 0)
        n = recv(fd, f->request + used, sizeof f->request - 1 - used, 0);
    f->request[used] = '\0';
    if (f->reply) {
        send(fd, f->reply, strlen(f->reply), MSG_NOSIGNAL);
        send(fd, "\n", 1, MSG_NOSIGNAL);
    }
    close(fd);
    return NULL;
}

static void serve(struct fixture *f, const char *reply)
{
    if (f->running)
        pthread_join(f->thread, NULL);
    if (f->listener < 0) {
        put_dir(&f->spool, ".flowspool");
        listen_in(f, ".flowspool");
    }
    f->reply = reply;
    f->running = pthread_create(&f->thread, NULL, answer, f) == 0;
    assert_true(f->running);
}

static struct flowspool_status *status_of(const char *spool, const char *state_dir)
{
    struct flowspool_status *s;
    struct flowspool_error *error = NULL;
    int rc = flowspool_status_read(spool, state_dir, 10000, &s, &error);
    if (error)
        print_message("%s\n", flowspool_error_message(error));
    assert_int_equal(rc, 0);
    assert_non_null(s);
    assert_null(error);
    return s;
}

static void assert_no_status(const char *spool, const char *state_dir, int timeout_ms, int code,
                             const char *says)
{
    struct flowspool_status *s = (struct flowspool_status *)(uintptr_t)1;
    struct flowspool_error *error = NULL;
    assert_int_equal(flowspool_status_read(spool, state_dir, timeout_ms, &s, &error), code);
    assert_null(s);
    assert_int_equal(flowspool_error_code(error), code);
    if (!strstr(flowspool_error_message(error), says))
        fail_msg("%s", flowspool_error_message(error));
    flowspool_error_free(error);
}

#define RATE "\"rate\":{\"per_second\":9.75,\"cap\":80,\"cap_reason\":\"max_concurrency\",\"limit\":null}"

static void everything_it_says(void **state)
{
    struct fixture *f = *state;
    serve(
        f,
        "{\"ok\":true,\"status\":{\"pid\":7,\"endpoint\":\"https://host\",\"uptime_ms\":1234,\"in_flight\":5,"
        "\"draining\":false,\"holds\":["
        "{\"kind\":\"gate\",\"cause\":\"paused\",\"reason\":\"\"},"
        "{\"kind\":\"account\",\"cause\":\"no_credits\",\"reason\":\"402: \\u001b[31mpay\"}]," RATE ","
        "\"counts\":{\"waiting\":1,\"later\":2,\"held\":3,\"missing\":4,\"in_flight\":5,\"done\":6000000000,"
        "\"failed\":7,\"refused\":8,\"oldest_waiting_at_ms\":9,\"more\":1},\"more\":[]}}");
    struct flowspool_status *s = status_of(f->spool.path, NULL);
    assert_string_equal(f->request, "{\"command\":\"status\"}\n");
    assert_int_equal(flowspool_status_pid(s), 7);
    assert_int_equal(flowspool_status_uptime_ms(s), 1234);
    assert_int_equal(flowspool_status_running(s), 1);
    assert_string_equal(flowspool_status_endpoint(s), "https://host");
    assert_int_equal(flowspool_status_in_flight(s), 5);
    assert_int_equal(flowspool_status_cap(s), 80);
    assert_string_equal(flowspool_status_cap_reason(s), "max_concurrency");
    assert_true(flowspool_status_per_second(s) == 9.75);
    static const int64_t counts[] = {1, 2, 3, 4, 5, 6000000000, 7, 8};
    for (int i = 0; i <= FLOWSPOOL_REFUSED; i++)
        assert_int_equal(flowspool_status_count(s, (enum flowspool_count)i), counts[i]);
    assert_int_equal(flowspool_status_count(s, (enum flowspool_count)(FLOWSPOOL_REFUSED + 1)), -1);
    assert_string_equal(flowspool_status_held(s, 0), "paused; to go on: flowspool resume");
    assert_string_equal(flowspool_status_held(s, 1), "the account refuses work (402: \\x1b[31mpay)");
    assert_null(flowspool_status_held(s, 2));
    assert_non_null(strstr(flowspool_status_json(s), "\"more\":[]"));
    flowspool_status_free(s);
    flowspool_status_free(NULL);
}

static void an_older_or_stopping_daemon(void **state)
{
    struct fixture *f = *state;
    serve(f, "{\"ok\":true,\"status\":{\"pid\":7,\"draining\":true," RATE "}}");
    struct flowspool_status *s = status_of(f->spool.path, NULL);
    assert_int_equal(flowspool_status_running(s), 0);
    assert_int_equal(flowspool_status_count(s, FLOWSPOOL_DONE), -1);
    assert_null(flowspool_status_held(s, 0));
    assert_string_equal(flowspool_status_endpoint(s), "");
    flowspool_status_free(s);
    serve(f, "{\"ok\":true,\"status\":{\"pid\":7," RATE
             ",\"counts\":{\"done\":3,\"held\":-4,\"later\":\"x\"}}}");
    s = status_of(f->spool.path, NULL);
    assert_int_equal(flowspool_status_count(s, FLOWSPOOL_DONE), 3);
    assert_int_equal(flowspool_status_count(s, FLOWSPOOL_HELD), -1);
    assert_int_equal(flowspool_status_count(s, FLOWSPOOL_LATER), -1);
    assert_int_equal(flowspool_status_count(s, FLOWSPOOL_WAITING), -1);
    flowspool_status_free(s);
}

static void answers_that_make_no_sense(void **state)
{
    static const char *const replies[] = {"", "x", "{}", "[]", "{\"ok\":true}", "{\"ok\":true,\"status\":7}"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        serve(f, replies[i]);
        assert_no_status(f->spool.path, NULL, 10000, -EBADMSG, "");
    }
    serve(f, "{\"ok\":false,\"error\":\"not today\"}");
    assert_no_status(f->spool.path, NULL, 10000, -EBADMSG, "flowspoold: not today");
    serve(f, NULL);
    assert_no_status(f->spool.path, NULL, 10000, -ECONNRESET, "hung up");
}

static void no_daemon(void **state)
{
    struct fixture *f = *state;
    assert_no_status(f->spool.path, NULL, 1000, -ENOENT, "no flowspoold runs on");
    put_dir(&f->spool, ".flowspool");
    assert_no_status(f->spool.path, NULL, 1000, -ENOENT, "no flowspoold runs on");
    listen_in(f, ".flowspool");
    close(f->listener);
    f->listener = -1;
    assert_no_status(f->spool.path, NULL, 1000, -ECONNREFUSED, "no flowspoold runs on");
    assert_no_status("/no/such/spool", NULL, 1000, -ENOENT, "cannot find the spool /no/such/spool");
    put_file(&f->spool, "file", "");
    char path[128];
    snprintf(path, sizeof path, "%s/file", f->spool.path);
    assert_no_status(f->spool.path, path, 1000, -ENOTDIR, "cannot ask flowspoold in");
}

static void one_that_hangs(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->spool, ".flowspool");
    listen_in(f, ".flowspool"); /* it takes the connection, and nobody reads */
    assert_no_status(f->spool.path, NULL, 50, -ETIMEDOUT, "does not answer: it is stuck or very busy");
    assert_no_status(f->spool.path, NULL, 0, -ETIMEDOUT, "does not answer");
}

/* A socket's path holds 107 bytes. */
static void a_long_path_elsewhere(void **state)
{
    struct fixture *f = *state;
    char name[201], path[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    put_dir(&f->spool, name);
    listen_in(f, name);
    serve(f, "{\"ok\":true,\"status\":{\"pid\":8," RATE "}}");
    snprintf(path, sizeof path, "%s/%s", f->spool.path, name);
    struct flowspool_status *s = status_of("/anywhere", path);
    assert_int_equal(flowspool_status_pid(s), 8);
    flowspool_status_free(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(everything_it_says),
        TEST(an_older_or_stopping_daemon),
        TEST(answers_that_make_no_sense),
        TEST(no_daemon),
        TEST(one_that_hangs),
        TEST(a_long_path_elsewhere),
    };
    return cmocka_run_group_tests_name("lib status", tests, NULL, NULL);
}
