/* io/http over time: many at once, time-outs, stopping, new settings. */
#include "http_peer.h"

#include <netinet/tcp.h>

enum { MANY = 64 };

static void answer_free(struct answer *a, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        http_result_free(&a[i].r);
    }
}

/* ---- many at once ---- */

static atomic_int barrier;

/* No reply before all requests are here: a client that queued one would wait for ever. */
static void serve_when_all_are_here(struct peer *p, int fd, int connection)
{
    (void)connection;
    while (peer_read(p, fd, false)) {
        if (atomic_load(&p->bodies) == atomic_load(&barrier)) {
            for (int i = 0; i < MANY; i++) {
                sem_post(&p->mark);
            }
        }
        (void)sem_wait(&p->mark);
        peer_ok(fd);
    }
}

static void nothing_queues_inside(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_when_all_are_here);
    struct client c;
    struct answer a[MANY];
    atomic_store(&barrier, MANY);
    client_open(&c, p->port);
    c.options.max_concurrency = 8; /* lowered under way: what is in flight must not wait for it */
    client_configure(&c);
    for (size_t i = 0; i < MANY; i++) {
        client_send(&c, &a[i], BODY);
    }
    assert_int_equal(http_in_flight(c.http), MANY);
    client_wait(&c);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(a[i].r.end, ATTEMPT_REPLIED);
    }
    answer_free(a, MANY);
    client_close(&c);
    assert_int_equal(p->connections, MANY);
    assert_int_equal(p->posts, MANY);
    peer_stop(p);
}

static void serve_ok(struct peer *p, int fd, int connection)
{
    (void)connection;
    while (peer_read(p, fd, false)) {
        peer_ok(fd);
    }
}

struct chain {
    struct client *client;
    int left, ended;
};

static void send_next(void *arg, struct http_result *r)
{
    struct chain *chain = arg;
    assert_int_equal(r->end, ATTEMPT_REPLIED);
    http_result_free(r);
    chain->ended++;
    if (chain->left > 0) {
        chain->left--;
        assert_int_equal(http_send(chain->client->http, "wf_a", BODY, strlen(BODY), send_next, chain), 0);
    }
}

static void done_may_send_the_next_one(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_ok);
    struct client c;
    client_open(&c, p->port);
    struct chain chain = {.client = &c, .left = 2000 - 8};
    for (int i = 0; i < 8; i++) {
        assert_int_equal(http_send(c.http, "wf_a", BODY, strlen(BODY), send_next, &chain), 0);
    }
    client_wait(&c);
    assert_int_equal(chain.ended, 2000);
    client_close(&c);
    assert_int_equal(p->bodies, 2000);
    assert_int_equal(p->connections, 8);
    peer_stop(p);
}

static void unsafe_workflows_never_reach_a_url(void **state)
{
    (void)state;
    static const char *const workflows[] = {"",      "../admin", "a/b",       "%2e%2e",
                                            "a?x=1", "a#b",      "a\r\nX: y", "a b"};
    struct client c;
    struct answer a = {.client = &c};
    char longest[130];
    client_open(&c, 1);
    memset(longest, 'a', 129);
    longest[129] = '\0';
    for (size_t i = 0; i < sizeof workflows / sizeof *workflows; i++) {
        assert_int_equal(http_send(c.http, workflows[i], BODY, strlen(BODY), on_answer, &a), -EINVAL);
    }
    assert_int_equal(http_send(c.http, longest, BODY, strlen(BODY), on_answer, &a), -EINVAL);
    assert_int_equal(http_in_flight(c.http), 0);
    (void)uv_run(&c.loop, UV_RUN_NOWAIT);
    assert_int_equal(a.reports, 0);
    client_close(&c);
}

/* ---- time ---- */

/* Says what the script says and then nothing, until the client goes away. */
static void serve_and_hang(struct peer *p, int fd, int connection)
{
    char byte;
    (void)connection;
    if (peer_read(p, fd, false)) {
        peer_write(fd, p->script, p->script_len);
        sem_post(&p->mark);
        while (read(fd, &byte, 1) == 1) {}
    }
}

/* The last transfer ends by a timer, with nothing else to wake the loop. */
static void a_time_out_is_ambiguous(void **state)
{
    (void)state;
    /* What comes must come within the time-out, on a machine that has other things to do; nothing always
     * does. */
    static const struct {
        const char *sent, *error;
        int status;
        size_t body_len;
        int64_t timeout_ms;
    } cases[] = {
        {"", "no reply in time", 0, 0, 150},
        {"HTTP/1.1 200 OK\r\nContent-Le", "the reply was not complete in time", 200, 0, 1500},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "the reply was not complete in time", 200, 1, 1500},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer *p = peer_start(serve_and_hang);
        struct client c;
        struct answer a;
        p->script = cases[i].sent;
        p->script_len = strlen(cases[i].sent);
        client_open(&c, p->port);
        c.options.request_timeout_ms = cases[i].timeout_ms;
        client_configure(&c);
        client_ask(&c, &a);
        print_message("%s\n", a.r.error);
        assert_int_equal(a.r.end, ATTEMPT_CUT);
        assert_int_equal(a.r.http_status, cases[i].status);
        assert_int_equal(a.r.body_len, cases[i].body_len);
        assert_non_null(strstr(a.r.error, cases[i].error));
        assert_true(a.r.duration_ms >= cases[i].timeout_ms && a.r.duration_ms < 10000);
        http_result_free(&a.r);
        client_close(&c);
        peer_stop(p);
    }
}

/* A listener whose queue is full: the handshake is never answered. */
static void a_connect_time_out_is_not_sent(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fillers[4], listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    for (size_t i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    struct client c;
    struct answer a[MANY];
    client_open(&c, ntohs(address.sin_port));
    c.options.connect_timeout_ms = 150;
    client_configure(&c);
    for (size_t i = 0; i < MANY; i++) {
        client_send(&c, &a[i], BODY);
    }
    client_wait(&c);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(a[i].r.end, ATTEMPT_NOT_SENT);
        assert_true(a[i].r.duration_ms < 5000); /* they wait for one connect, not for one each */
    }
    answer_free(a, MANY);
    client_close(&c);
    for (size_t i = 0; i < 4; i++) {
        close(fillers[i]);
    }
    close(listener);
}

/* ---- the connection ---- */

/* The client's end of its only connection to that port; -1: none. */
static int client_socket(int port)
{
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == port) {
            return fd;
        }
    }
    return -1;
}

static int tcp_option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

/* A reply takes up to five minutes, in which nothing is said: routers on the way must not forget the
 * connection. */
static void a_silent_connection_is_kept_alive(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_and_hang);
    struct client c;
    struct answer a;
    client_open(&c, p->port);
    client_send(&c, &a, BODY);
    while (atomic_load(&p->bodies) < 1) {
        (void)uv_run(&c.loop, UV_RUN_NOWAIT);
    }
    int fd = client_socket(p->port);
    assert_true(fd >= 0);
    assert_int_equal(tcp_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_in_range(tcp_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 1, 60);
    assert_in_range(tcp_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1, 60);
    http_abort_all(c.http);
    http_result_free(&a.r);
    client_close(&c);
    peer_stop(p);
}

/* ---- stopping ---- */

static void stopping_reports_each_one_once(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_and_hang);
    struct client c;
    struct answer a[4];
    client_open(&c, p->port);
    for (size_t i = 0; i < 3; i++) {
        client_send(&c, &a[i], BODY);
    }
    while (atomic_load(&p->bodies) < 3) {
        (void)uv_run(&c.loop, UV_RUN_NOWAIT);
    }
    client_send(&c, &a[3], BODY); /* never got its turn */
    http_abort_all(c.http);
    assert_int_equal(c.reports, 4);
    assert_int_equal(http_in_flight(c.http), 0);
    for (size_t i = 0; i < 4; i++) {
        print_message("%s\n", a[i].r.error);
        assert_int_equal(a[i].r.end, i < 3 ? ATTEMPT_CUT : ATTEMPT_NOT_SENT);
    }
    http_abort_all(c.http); /* nothing left: nothing happens */
    answer_free(a, 4);
    client_close(&c);
    peer_stop(p);
}

static void stop_all(void *arg, struct http_result *r)
{
    struct answer *a = arg;
    on_answer(arg, r);
    http_abort_all(a->client->http);
}

static void done_may_stop_everything(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_ok);
    struct client c;
    struct answer a[6];
    client_open(&c, p->port);
    for (size_t i = 0; i < 6; i++) {
        a[i] = (struct answer){.client = &c};
        assert_int_equal(http_send(c.http, "wf_a", BODY, strlen(BODY), stop_all, &a[i]), 0);
    }
    client_wait(&c);
    assert_int_equal(c.reports, 6);
    answer_free(a, 6);
    client_close(&c);
    peer_stop(p);
}

/* ---- settings ---- */

static void new_settings_are_for_new_requests(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_ok), *q = peer_start(serve_ok);
    struct client c;
    struct answer a[2];
    char message[256];
    client_open(&c, p->port);
    client_send(&c, &a[0], BODY);
    (void)snprintf(c.endpoint, sizeof c.endpoint, "http://127.0.0.1:%d", q->port);
    c.options.key = "second-key";
    client_configure(&c);
    client_send(&c, &a[1], BODY);
    client_wait(&c);
    assert_non_null(strstr(peer_request(p), "Bearer " KEY "\r\n"));
    assert_non_null(strstr(peer_request(q), "Bearer second-key\r\n"));
    answer_free(a, 2);
    c.options.endpoint = "https://host/api/v1";
    assert_int_equal(http_configure(c.http, &c.options, message, sizeof message), -EINVAL);
    client_ask(&c, &a[0]); /* whole or not at all */
    assert_int_equal(a[0].r.end, ATTEMPT_REPLIED);
    assert_int_equal(q->posts, 2);
    http_result_free(&a[0].r);
    client_close(&c);
    peer_stop(p);
    peer_stop(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_queues_inside),
        cmocka_unit_test(done_may_send_the_next_one),
        cmocka_unit_test(unsafe_workflows_never_reach_a_url),
        cmocka_unit_test(a_time_out_is_ambiguous),
        cmocka_unit_test(a_connect_time_out_is_not_sent),
        cmocka_unit_test(a_silent_connection_is_kept_alive),
        cmocka_unit_test(stopping_reports_each_one_once),
        cmocka_unit_test(done_may_stop_everything),
        cmocka_unit_test(new_settings_are_for_new_requests),
    };
    (void)alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests_name("io_http_life", tests, NULL, NULL);
}
