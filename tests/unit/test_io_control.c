#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "io/control.h"
#include "io/control_client.h"
#include "tempdir.h"

#define REPLY_LARGE (3u << 20) /* more than a socket takes at once */

struct fixture {
    struct tempdir dir;
    uv_loop_t loop;
    struct control *control;
    int requests;
    uint64_t tickets[8]; /* of the replies that are kept back */
    size_t ntickets;
};

/* echo: the request in brackets; large: many bytes; none: no reply; kept...: kept back; unkept: not after
 * all. */
static char *on_request(void *arg, const char *request)
{
    struct fixture *f = arg;
    char *reply = NULL;
    f->requests++;
    if (strncmp(request, "kept", 4) == 0)
        f->tickets[f->ntickets++] = control_hold_reply(f->control);
    if (strcmp(request, "unkept") == 0) {
        control_hold_reply(f->control);
        control_unhold_reply(f->control);
    }
    if (strcmp(request, "none") == 0)
        return NULL;
    if (strcmp(request, "large") == 0) {
        reply = malloc(REPLY_LARGE + 1);
        assert_non_null(reply);
        memset(reply, 'x', REPLY_LARGE);
        reply[REPLY_LARGE] = '\0';
        return reply;
    }
    assert_true(asprintf(&reply, "[%s]", request) >= 0);
    return reply;
}

static void listen_in(struct fixture *f, const char *dir)
{
    assert_int_equal(control_open(&f->control, &f->loop, dir, (gid_t)-1, on_request, f), 0);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    alarm(60);
    signal(SIGPIPE, SIG_DFL); /* neither half may rely on it being ignored */
    tempdir_open(&f->dir, "/tmp");
    assert_int_equal(uv_loop_init(&f->loop), 0);
    listen_in(f, f->dir.path);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->control != NULL)
        control_close(f->control);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    tempdir_close(&f->dir);
    free(f);
    return 0;
}

/* ---- the blocking half calls from a thread, while the loop of the other half runs here ---- */

struct call {
    pthread_t thread;
    const char *dir, *request;
    int timeout_ms;
    char *reply;
    int err;
    uv_async_t ended;
    bool over;
};

static void *call_in_thread(void *arg)
{
    struct call *c = arg;
    c->reply = control_call(c->dir, c->request, c->timeout_ms, &c->err);
    uv_async_send(&c->ended);
    return NULL;
}

static void on_ended(uv_async_t *async)
{
    struct call *c = async->data;
    c->over = true;
}

static char *call_at(struct fixture *f, const char *dir, const char *request, int *err)
{
    struct call c = {.dir = dir, .request = request, .timeout_ms = 20000};
    assert_int_equal(uv_async_init(&f->loop, &c.ended, on_ended), 0);
    c.ended.data = &c;
    assert_int_equal(pthread_create(&c.thread, NULL, call_in_thread, &c), 0);
    while (!c.over)
        uv_run(&f->loop, UV_RUN_ONCE);
    pthread_join(c.thread, NULL);
    uv_close((uv_handle_t *)&c.ended, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    *err = c.err;
    return c.reply;
}

static void assert_reply(struct fixture *f, const char *request, const char *expected)
{
    int err;
    char *reply = call_at(f, f->dir.path, request, &err);
    if (reply == NULL)
        fail_msg("%s: %s", request, strerror(-err));
    assert_string_equal(reply, expected);
    free(reply);
}

static void test_one_request_one_reply(void **state)
{
    struct fixture *f = *state;
    assert_reply(f, "hello", "[hello]");
    assert_reply(f, "", "[]");
    assert_reply(f, "none", "{\"ok\":false,\"error\":\"out of memory\"}");
    assert_int_equal(f->requests, 3);
}

static void test_a_large_reply(void **state)
{
    struct fixture *f = *state;
    int err;
    char *reply = call_at(f, f->dir.path, "large", &err);
    assert_non_null(reply);
    assert_int_equal(strlen(reply), REPLY_LARGE);
    assert_int_equal(strspn(reply, "x"), REPLY_LARGE);
    free(reply);
    assert_reply(f, "again", "[again]");
}

static void test_who_may_connect(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(fstatat(f->dir.fd, "control", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);

    control_close(f->control);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(control_open(&f->control, &f->loop, f->dir.path, getgid(), on_request, f), 0);
    assert_int_equal(fstatat(f->dir.fd, "control", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(st.st_gid, getgid());
}

/* A socket's path holds 107 bytes; a spool may lie deeper. */
static void test_a_long_path(void **state)
{
    struct fixture *f = *state;
    char path[2048];
    size_t used = (size_t)snprintf(path, sizeof path, "%s", f->dir.path);
    for (int i = 0; i < 10; i++) {
        used += (size_t)snprintf(path + used, sizeof path - used, "/%0100d", i);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    control_close(f->control);
    listen_in(f, path);
    int err;
    char *reply = call_at(f, path, "deep", &err);
    assert_non_null(reply);
    assert_string_equal(reply, "[deep]");
    free(reply);
}

static void test_nobody_there(void **state)
{
    struct fixture *f = *state;
    int err = 0;
    assert_null(control_call("/no/such/directory", "x", 1000, &err));
    assert_int_equal(err, -ENOENT);

    control_close(f->control);
    f->control = NULL;
    assert_false(has_name(&f->dir, "control"));
    assert_null(control_call(f->dir.path, "x", 1000, &err));
    assert_int_equal(err, -ENOENT);
}

/* What a killed daemon leaves behind refuses; the next one takes its place. */
static void test_a_stale_socket(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un a;
    int err = 0;
    control_close(f->control);
    f->control = NULL;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(control_address(f->dir.fd, &a), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    close(fd);
    assert_null(control_call(f->dir.path, "x", 1000, &err));
    assert_int_equal(err, -ECONNREFUSED);
    listen_in(f, f->dir.path);
    assert_reply(f, "new", "[new]");
}

static void test_no_answer_in_time(void **state)
{
    struct fixture *f = *state;
    int err = 0;
    assert_null(control_call(f->dir.path, "x", 50, &err)); /* the loop does not run */
    assert_int_equal(err, -ETIMEDOUT);
    assert_reply(f, "later", "[later]");
}

/* ---- clients that behave in other ways ---- */

static int connect_to(struct fixture *f)
{
    struct sockaddr_un a;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(control_address(f->dir.fd, &a), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void write_to(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Runs the loop until so many bytes have come, or the other end closed. */
static const char *read_from(struct fixture *f, int fd, size_t want)
{
    static char text[256];
    size_t used = 0;
    assert_true(want < sizeof text);
    while (used < want) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        ssize_t n = recv(fd, text + used, want - used, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        used += n > 0 ? (size_t)n : 0;
    }
    text[used] = '\0';
    return text;
}

static void test_a_request_in_pieces(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(f);
    write_to(fd, "he");
    for (int i = 0; i < 5; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->requests, 0);
    write_to(fd, "llo\n");
    assert_string_equal(read_from(f, fd, 8), "[hello]\n");
    close(fd);
}

static void test_several_requests_at_once(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(f);
    write_to(fd, "a\nb\nc\nd");
    assert_string_equal(read_from(f, fd, 12), "[a]\n[b]\n[c]\n");
    write_to(fd, "\n");
    assert_string_equal(read_from(f, fd, 4), "[d]\n");
    close(fd);
}

/* The second request waits until the first reply could be written. */
static void test_requests_behind_a_reply_that_waits(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(f);
    write_to(fd, "large\nsmall\n");
    for (int i = 0; i < 5; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->requests, 1);
    char *chunk = malloc(1 << 16);
    size_t left = REPLY_LARGE + 1;
    while (left > 0) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        ssize_t n = recv(fd, chunk, left < 1 << 16 ? left : 1 << 16, MSG_DONTWAIT);
        assert_true(n > 0 || errno == EAGAIN);
        left -= n > 0 ? (size_t)n : 0;
    }
    free(chunk);
    assert_string_equal(read_from(f, fd, 8), "[small]\n");
    close(fd);
}

static void run_a_while(struct fixture *f)
{
    for (int i = 0; i < 5; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void assert_silent(struct fixture *f, int fd)
{
    char byte;
    run_a_while(f);
    assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static void test_replies_that_are_kept_back(void **state)
{
    struct fixture *f = *state;
    int first = connect_to(f), second = connect_to(f), other = connect_to(f);
    write_to(first, "kept1\nbehind\n");
    run_a_while(f);
    write_to(second, "kept2\n");
    assert_silent(f, second);
    write_to(other, "now\n");
    assert_string_equal(read_from(f, other, 6), "[now]\n");
    assert_silent(f, first);
    assert_int_equal(f->requests, 3); /* nobody looks behind a reply that is kept back */
    control_release_reply(f->control, f->tickets[1], "[other words]"); /* in any order, as they are or not */
    assert_string_equal(read_from(f, second, 14), "[other words]\n");
    assert_silent(f, first);
    control_release_reply(f->control, f->tickets[0], NULL);
    assert_string_equal(read_from(f, first, 17), "[kept1]\n[behind]\n");
    control_release_reply(f->control, f->tickets[0], NULL); /* nothing is kept back */
    write_to(first, "unkept\n");
    assert_string_equal(read_from(f, first, 9), "[unkept]\n");
    close(first);
    close(second);
    close(other);
}

static void test_who_waits_for_a_reply_may_leave(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(f);
    write_to(fd, "kept\n");
    run_a_while(f);
    close(fd);
    run_a_while(f);
    control_release_reply(f->control, f->tickets[0], NULL);
    assert_reply(f, "others", "[others]");
    fd = connect_to(f);
    write_to(fd, "kept\n"); /* when everything closes */
    run_a_while(f);
    control_close(f->control);
    f->control = NULL;
    assert_string_equal(read_from(f, fd, 1), "");
    close(fd);
}

static void test_a_client_that_leaves(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"", "half", "large\n", "none\n"};
    for (size_t i = 0; i < 4; i++) {
        int fd = connect_to(f);
        write_to(fd, texts[i]);
        if (i > 1)
            uv_run(&f->loop, UV_RUN_NOWAIT);
        close(fd);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_reply(f, "others", "[others]");
}

static void test_a_request_without_end(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(f);
    char *text = malloc(70000);
    memset(text, 'x', 70000);
    for (size_t sent = 0; sent < 70000;) {
        ssize_t n = send(fd, text + sent, 70000 - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            break;
        sent += n > 0 ? (size_t)n : 0;
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    free(text);
    assert_string_equal(read_from(f, fd, 10), "");
    assert_int_equal(f->requests, 0);
    close(fd);
    assert_reply(f, "others", "[others]");
}

static void test_clients_are_bounded(void **state)
{
    struct fixture *f = *state;
    int fds[16];
    for (size_t i = 0; i < 16; i++) {
        fds[i] = connect_to(f);
        write_to(fds[i], "x\n");
        assert_string_equal(read_from(f, fds[i], 4), "[x]\n");
    }
    int extra = connect_to(f);
    assert_string_equal(read_from(f, extra, 4), "");
    close(extra);
    close(fds[0]);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_reply(f, "room", "[room]");
    for (size_t i = 1; i < 16; i++)
        close(fds[i]);
}

static void test_closing_with_clients(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(f);
    write_to(fd, "x\ny");
    assert_string_equal(read_from(f, fd, 4), "[x]\n");
    control_close(f->control);
    f->control = NULL;
    assert_string_equal(read_from(f, fd, 4), "");
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_request_one_reply),
        TEST(test_a_large_reply),
        TEST(test_who_may_connect),
        TEST(test_a_long_path),
        TEST(test_nobody_there),
        TEST(test_a_stale_socket),
        TEST(test_no_answer_in_time),
        TEST(test_a_request_in_pieces),
        TEST(test_several_requests_at_once),
        TEST(test_requests_behind_a_reply_that_waits),
        TEST(test_replies_that_are_kept_back),
        TEST(test_who_waits_for_a_reply_may_leave),
        TEST(test_a_client_that_leaves),
        TEST(test_a_request_without_end),
        TEST(test_clients_are_bounded),
        TEST(test_closing_with_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
