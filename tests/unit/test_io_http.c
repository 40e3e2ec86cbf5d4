/* io/http on the wire: what is sent, how often, and what was surely not sent. */
#include "http_peer.h"

#include <sys/syscall.h>

/* ---- faults of system calls ---- */

static atomic_int fail_sends;   /* so many send() fail with EPIPE before they write anything */
static atomic_int fail_sockets; /* socket() says EMFILE */

__attribute__((visibility("default"))) ssize_t send(int fd, const void *data, size_t len, int flags)
{
    if (atomic_load(&fail_sends) > 0 && atomic_fetch_sub(&fail_sends, 1) > 0) {
        errno = EPIPE;
        return -1;
    }
    return syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

__attribute__((visibility("default"))) int socket(int domain, int type, int protocol)
{
    if (atomic_load(&fail_sockets) != 0) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}

/* ---- scripts ---- */

static void serve_ok(struct peer *p, int fd, int connection)
{
    (void)connection;
    while (peer_read(p, fd, false)) {
        peer_ok(fd);
        sem_post(&p->mark);
    }
}

/* One good reply, kept alive; then the second request is read whole and the connection dies. */
static void serve_then_die(struct peer *p, int fd, int connection)
{
    if (peer_read(p, fd, false)) {
        peer_ok(fd);
    }
    if (connection > 0) {
        serve_ok(p, fd, connection);
    } else if (p->script_len > 0) {
        (void)peer_read(p, fd, true); /* its headers only */
        peer_reset(fd);
    } else {
        (void)peer_read(p, fd, false);
    }
}

static void serve_once(struct peer *p, int fd, int connection)
{
    (void)connection;
    if (peer_read(p, fd, false)) {
        peer_ok(fd);
    }
}

static void serve_script(struct peer *p, int fd, int connection)
{
    (void)connection;
    if (peer_read(p, fd, false)) {
        peer_write(fd, p->script, p->script_len);
    }
}

/* ---- what is sent ---- */

static void the_request_is_as_documented(void **state)
{
    (void)state;
    static const char expected[] = "POST /base/api/v1/run/wf_abc123 HTTP/1.1\r\n"
                                   "Host: 127.0.0.1:%d\r\n"
                                   "User-Agent: flowspool/test\r\n"
                                   "Authorization: Bearer " KEY "\r\n"
                                   "Content-Type: application/json\r\n"
                                   "Accept: application/json\r\n"
                                   "Content-Length: %zu\r\n\r\n%s";
    static char body[4000], text[5000];
    struct peer *p = peer_start(serve_ok);
    struct client c;
    struct answer a;
    client_open(&c, p->port);
    (void)snprintf(c.endpoint, sizeof c.endpoint, "http://127.0.0.1:%d/base//", p->port);
    client_configure(&c);
    memset(body, 'x', sizeof body - 1);
    client_send(&c, &a, body);
    client_wait(&c);
    (void)snprintf(text, sizeof text, expected, p->port, strlen(body), body);
    assert_string_equal(peer_request(p), text);
    assert_int_equal(a.r.end, ATTEMPT_REPLIED);
    assert_int_equal(a.r.http_status, 200);
    assert_int_equal(a.r.body_len, 2);
    assert_memory_equal(a.r.body, "{}", 2);
    assert_string_equal(a.r.headers, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    assert_true(a.r.duration_ms >= 0 && a.r.duration_ms < 20000);
    assert_string_equal(a.r.error, "");
    http_result_free(&a.r);
    client_close(&c);
    peer_stop(p);
}

static void a_large_body_arrives_whole(void **state)
{
    (void)state;
    static char body[60000];
    struct peer *p = peer_start(serve_ok);
    struct client c;
    struct answer a;
    client_open(&c, p->port);
    for (size_t i = 0; i < sizeof body - 1; i++) {
        body[i] = (char)('a' + i % 26);
    }
    client_send(&c, &a, body);
    client_wait(&c);
    assert_string_equal(strstr(peer_request(p), "\r\n\r\n") + 4, body);
    http_result_free(&a.r);
    client_close(&c);
    peer_stop(p);
}

static void connections_are_kept_alive(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_ok);
    struct client c;
    struct answer a;
    client_open(&c, p->port);
    for (int i = 0; i < 10; i++) {
        client_ask(&c, &a);
        assert_int_equal(a.r.end, ATTEMPT_REPLIED);
        http_result_free(&a.r);
    }
    client_close(&c);
    assert_int_equal(p->connections, 1);
    assert_int_equal(p->bodies, 10);
    peer_stop(p);
}

/* The trap: libcurl would send the second POST again on a fresh connection, and buy twice. */
static void a_post_is_never_sent_again(void **state)
{
    (void)state;
    for (size_t headers_only = 0; headers_only <= 1; headers_only++) {
        struct peer *p = peer_start(serve_then_die);
        struct client c;
        struct answer a;
        p->script_len = headers_only;
        client_open(&c, p->port);
        client_ask(&c, &a);
        assert_int_equal(a.r.end, ATTEMPT_REPLIED);
        http_result_free(&a.r);
        client_ask(&c, &a);
        print_message("%s\n", a.r.error);
        assert_int_equal(a.r.end, ATTEMPT_CUT);
        assert_int_equal(a.r.http_status, 0);
        http_result_free(&a.r);
        assert_int_equal(p->posts, 2);
        client_ask(&c, &a); /* and the next one is as good as any */
        assert_int_equal(a.r.end, ATTEMPT_REPLIED);
        assert_int_equal(p->posts, 3);
        http_result_free(&a.r);
        client_close(&c);
        peer_stop(p);
    }
}

static void a_connection_closed_while_idle_is_not_ambiguous(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_once);
    struct client c;
    struct answer a;
    client_open(&c, p->port);
    for (int i = 1; i <= 5; i++) {
        client_ask(&c, &a);
        assert_int_equal(a.r.end, ATTEMPT_REPLIED);
        http_result_free(&a.r);
        (void)sem_wait(&p->mark); /* the server has closed it */
        assert_int_equal(p->posts, i);
        assert_int_equal(p->connections, i);
    }
    client_close(&c);
    peer_stop(p);
}

/* Nothing of the request was written: then once more is right, and nothing else. */
static void an_unwritten_request_is_tried_on_a_fresh_connection(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_ok);
    struct client c;
    struct answer a;
    client_open(&c, p->port);
    client_ask(&c, &a);
    http_result_free(&a.r);
    (void)sem_wait(&p->mark); /* the server's own send is over */
    atomic_store(&fail_sends, 1);
    client_ask(&c, &a);
    atomic_store(&fail_sends, 0);
    assert_int_equal(a.r.end, ATTEMPT_REPLIED);
    assert_int_equal(p->posts, 2);
    assert_int_equal(p->connections, 2);
    http_result_free(&a.r);
    client_close(&c);
    peer_stop(p);
}

static void a_first_write_that_fails_is_not_sent(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_ok);
    struct client c;
    struct answer a;
    client_open(&c, p->port);
    atomic_store(&fail_sends, 100);
    client_ask(&c, &a);
    atomic_store(&fail_sends, 0);
    print_message("%s\n", a.r.error);
    assert_int_equal(a.r.end, ATTEMPT_NOT_SENT);
    assert_int_equal(p->posts, 0);
    http_result_free(&a.r);
    client_close(&c);
    peer_stop(p);
}

/* ---- nothing was sent ---- */

static int unused_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void a_refused_connection_fails_all_who_wait_for_it(void **state)
{
    (void)state;
    struct client c;
    struct answer a[50];
    char expected[64];
    int port = unused_port();
    client_open(&c, port);
    for (size_t i = 0; i < 50; i++) {
        client_send(&c, &a[i], BODY);
    }
    client_wait(&c);
    (void)snprintf(expected, sizeof expected, "connection refused (127.0.0.1:%d)", port);
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(a[i].r.end, ATTEMPT_NOT_SENT);
        assert_int_equal(a[i].r.http_status, 0);
        assert_memory_equal(a[i].r.error, expected, strlen(expected));
        http_result_free(&a[i].r);
    }
    client_close(&c);
}

static void no_name_no_descriptor_no_tls_is_not_sent(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_script);
    struct client c;
    struct answer a;
    client_open(&c, p->port);
    atomic_store(&fail_sockets, 1);
    client_ask(&c, &a);
    atomic_store(&fail_sockets, 0);
    assert_memory_equal(a.r.error, "out of file descriptors", strlen("out of file descriptors"));
    assert_int_equal(a.r.end, ATTEMPT_NOT_SENT);
    http_result_free(&a.r);
    /* A label of 64 characters has no address anywhere, and no resolver needs to ask for it. */
    (void)snprintf(c.endpoint, sizeof c.endpoint, "http://%064d.invalid", 0);
    client_configure(&c);
    client_ask(&c, &a);
    print_message("%s\n", a.r.error);
    assert_int_equal(a.r.end, ATTEMPT_NOT_SENT);
    assert_non_null(strstr(a.r.error, "name lookup failed"));
    http_result_free(&a.r);
    (void)snprintf(c.endpoint, sizeof c.endpoint, "https://127.0.0.1:%d", p->port);
    client_configure(&c);
    client_send(&c, &a, BODY);
    while (atomic_load(&p->connections) == 0) {
        (void)uv_run(&c.loop, UV_RUN_ONCE);
    }
    (void)shutdown(p->listener, SHUT_RDWR);
    http_abort_all(c.http); /* the script waits for a POST in the handshake's bytes */
    assert_int_equal(a.r.end, ATTEMPT_NOT_SENT);
    print_message("%s\n", a.r.error);
    http_result_free(&a.r);
    client_close(&c);
    peer_stop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_is_as_documented),
        cmocka_unit_test(a_large_body_arrives_whole),
        cmocka_unit_test(connections_are_kept_alive),
        cmocka_unit_test(a_post_is_never_sent_again),
        cmocka_unit_test(a_connection_closed_while_idle_is_not_ambiguous),
        cmocka_unit_test(an_unwritten_request_is_tried_on_a_fresh_connection),
        cmocka_unit_test(a_first_write_that_fails_is_not_sent),
        cmocka_unit_test(a_refused_connection_fails_all_who_wait_for_it),
        cmocka_unit_test(no_name_no_descriptor_no_tls_is_not_sent),
    };
    (void)alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests_name("io_http", tests, NULL, NULL);
}
