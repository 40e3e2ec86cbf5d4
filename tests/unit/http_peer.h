/* http_peer - for the tests of io/http: a server whose every byte is scripted, and a client on a loop.
 *
 * The server runs a function of the test per connection, each on a thread of its own. Faults of system
 * calls are injected by name: the program's definition wins over the C library's, for libcurl too.
 */
#ifndef FLOWSPOOL_TESTS_HTTP_PEER_H
#define FLOWSPOOL_TESTS_HTTP_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/http.h"

#define KEY  "canary-key-0123456789"
#define BODY "{\"story\":\"a dog\"}"

enum { PEER_CONNECTIONS = 256, PEER_REQUEST = 64 * 1024 };

/* libcurl tells that it lets go of a socket after it has closed it; libuv then takes a number out of its
 * epoll set that a thread of the server may have been given meanwhile. It is not in that set, so nothing
 * happens, but ThreadSanitizer takes it for a race. */
#ifdef __SANITIZE_THREAD__
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "race:epoll_ctl\n";
}
#endif

struct peer;
typedef void (*serve_fn)(struct peer *p, int fd, int connection);

struct peer {
    int listener, port;
    serve_fn serve;
    const void *script; /* the test's */
    size_t script_len;
    pthread_t acceptor, threads[PEER_CONNECTIONS];
    int fds[PEER_CONNECTIONS];
    atomic_int connections, posts, bodies; /* bodies: requests that arrived whole */
    pthread_mutex_t lock;                  /* of request */
    sem_t mark;                            /* posted by scripts, awaited by tests */
    char request[PEER_REQUEST];            /* the last one */
};

struct peer_connection {
    struct peer *peer;
    int fd, number;
};

/* The last request; valid until the next call. */
static inline const char *peer_request(struct peer *p)
{
    static char copy[PEER_REQUEST];
    (void)pthread_mutex_lock(&p->lock);
    memcpy(copy, p->request, sizeof copy);
    (void)pthread_mutex_unlock(&p->lock);
    return copy;
}

static inline void peer_keep_request(struct peer *p, const char *text, size_t size)
{
    (void)pthread_mutex_lock(&p->lock);
    memcpy(p->request, text, size);
    (void)pthread_mutex_unlock(&p->lock);
}

/* Reads one request; false at its premature end. Up to the end of the headers with head_only. */
static inline bool peer_read(struct peer *p, int fd, bool head_only)
{
    char *text = calloc(1, PEER_REQUEST);
    size_t len = 0, want = 0;
    while (want == 0 || len < want) {
        ssize_t n = read(fd, text + len, head_only ? 1 : PEER_REQUEST - 1 - len);
        if (n <= 0) {
            free(text);
            return false;
        }
        len += (size_t)n;
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (want != 0 || end == NULL) {
            continue;
        }
        atomic_fetch_add(&p->posts, 1);
        want = (size_t)(end - text) + 4;
        if (!head_only && length != NULL && length < end) {
            want += strtoul(length + strlen("content-length:"), NULL, 10);
        }
    }
    peer_keep_request(p, text, PEER_REQUEST);
    atomic_fetch_add(&p->bodies, head_only ? 0 : 1);
    free(text);
    return true;
}

static inline void peer_write(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return;
        }
        text += n;
        len -= (size_t)n;
    }
}

static inline void peer_say(int fd, const char *text)
{
    peer_write(fd, text, strlen(text));
}

static inline void peer_ok(int fd)
{
    peer_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
}

/* Closes with a reset instead of a farewell. */
static inline void peer_reset(int fd)
{
    struct linger now = {.l_onoff = 1};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static inline void *peer_run_connection(void *arg)
{
    struct peer_connection c = *(struct peer_connection *)arg;
    free(arg);
    c.peer->serve(c.peer, c.fd, c.number);
    close(c.fd);
    sem_post(&c.peer->mark);
    return NULL;
}

static inline void *peer_accept(void *arg)
{
    struct peer *p = arg;
    for (int i = 0; i < PEER_CONNECTIONS; i++) {
        int fd = accept(p->listener, NULL, NULL);
        if (fd < 0) {
            break;
        }
        struct peer_connection *c = malloc(sizeof *c);
        *c = (struct peer_connection){.peer = p, .fd = fd, .number = i};
        atomic_fetch_add(&p->connections, 1); /* before its script can wake a test that counts */
        (void)pthread_create(&p->threads[i], NULL, peer_run_connection, c);
    }
    return NULL;
}

/* Has a port and does not listen yet: connections are refused. */
static inline struct peer *peer_bind(serve_fn serve)
{
    struct peer *p = calloc(1, sizeof *p);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    p->serve = serve;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &size), 0);
    p->port = ntohs(a.sin_port);
    sem_init(&p->mark, 0, 0);
    (void)pthread_mutex_init(&p->lock, NULL);
    return p;
}

static inline void peer_listen(struct peer *p)
{
    assert_int_equal(listen(p->listener, 256), 0);
    assert_int_equal(pthread_create(&p->acceptor, NULL, peer_accept, p), 0);
}

static inline struct peer *peer_start(serve_fn serve)
{
    struct peer *p = peer_bind(serve);
    peer_listen(p);
    return p;
}

/* The client must be closed before: scripts end when their connection does. */
static inline void peer_stop(struct peer *p)
{
    (void)shutdown(p->listener, SHUT_RDWR);
    (void)pthread_join(p->acceptor, NULL);
    for (int i = 0; i < p->connections; i++) {
        (void)pthread_join(p->threads[i], NULL);
    }
    close(p->listener);
    sem_destroy(&p->mark);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- the client ---- */

struct client {
    uv_loop_t loop;
    struct http *http;
    struct http_options options;
    char endpoint[128], spill_dir[64];
    int reports;
    bool sending; /* inside http_send() */
};

struct answer {
    struct client *client;
    int reports;
    struct http_result r;
};

static inline void client_open(struct client *c, int port)
{
    char message[256];
    *c = (struct client){.options = {.key = KEY,
                                     .ca_file = "",
                                     .proxy = "",
                                     .request_timeout_ms = 20000,
                                     .connect_timeout_ms = 5000,
                                     .max_concurrency = 64,
                                     .max_response_size = 1024 * 1024,
                                     .max_response_memory = 16 * 1024 * 1024,
                                     .user_agent = "flowspool/test"}};
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(c->endpoint, sizeof c->endpoint, "http://127.0.0.1:%d", port);
    (void)snprintf(c->spill_dir, sizeof c->spill_dir, "/tmp/flowspool-http-XXXXXX");
    assert_non_null(mkdtemp(c->spill_dir));
    c->options.endpoint = c->endpoint;
    c->options.spill_dir = c->spill_dir;
    assert_int_equal(uv_loop_init(&c->loop), 0);
    assert_int_equal(http_open(&c->http, &c->loop, &c->options, message, sizeof message), 0);
}

static inline void client_configure(struct client *c)
{
    char message[256];
    assert_int_equal(http_configure(c->http, &c->options, message, sizeof message), 0);
}

static inline void on_answer(void *arg, struct http_result *r)
{
    struct answer *a = arg;
    assert_false(a->client->sending); /* never from inside http_send() */
    assert_int_equal(a->reports, 0);  /* once */
    a->reports++;
    a->client->reports++;
    a->r = *r;
    uv_stop(&a->client->loop); /* a timer may have brought it: then the turn would sleep for ever */
}

static inline void client_send(struct client *c, struct answer *a, const char *body)
{
    *a = (struct answer){.client = c};
    c->sending = true;
    assert_int_equal(http_send(c->http, "wf_abc123", body, strlen(body), on_answer, a), 0);
    c->sending = false;
}

static inline void client_wait(struct client *c)
{
    while (http_in_flight(c->http) > 0) {
        (void)uv_run(&c->loop, UV_RUN_ONCE);
    }
}

/* One request from beginning to end. */
static inline void client_ask(struct client *c, struct answer *a)
{
    client_send(c, a, BODY);
    client_wait(c);
    assert_int_equal(a->reports, 1);
    assert_null(strstr(a->r.error, KEY));
}

static inline void client_close(struct client *c)
{
    assert_int_equal(http_in_flight(c->http), 0);
    http_close(c->http);
    while (uv_run(&c->loop, UV_RUN_DEFAULT) != 0) {}
    assert_int_equal(uv_loop_close(&c->loop), 0); /* no handle was left behind */
    assert_int_equal(rmdir(c->spill_dir), 0);     /* nor a file */
}

#endif
