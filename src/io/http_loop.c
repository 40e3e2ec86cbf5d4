/* http_loop - curl's multi handle on the libuv loop: a poll handle a socket, one timer, the message queue.
 *
 * Transfers end in h->ended and are reported by http_settle(), outside of curl: done() may then do
 * anything, start the next request included.
 */
#include "io/http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Between two requests curl lets go of a connection's socket. Its watch stays as it is meanwhile, because
 * stopping and starting it costs seven system calls; it goes when curl closes the socket. That curl tells for
 * sockets that became connections only: all others lose their watch as soon as curl lets go of them, or
 * libuv would watch a number that may soon be somebody else's file. */
struct socket_watch {
    uv_poll_t poll;
    struct http *http;
    curl_socket_t fd;
    int events;     /* being polled for; 0: stopped */
    bool wanted;    /* by curl */
    bool connected; /* carried a request */
};

static struct socket_watch *find_watch(const struct http *h, curl_socket_t fd)
{
    return fd >= 0 && (size_t)fd < h->watch_count ? h->watches[fd] : NULL;
}

static bool remember_watch(struct http *h, curl_socket_t fd, struct socket_watch *w)
{
    size_t count = h->watch_count;
    if ((size_t)fd >= count) {
        size_t more = (size_t)fd + 64;
        struct socket_watch **watches = realloc(h->watches, more * sizeof(struct socket_watch *));
        if (watches == NULL) {
            return false;
        }
        for (; count < more; count++) {
            watches[count] = NULL;
        }
        h->watches = watches;
        h->watch_count = more;
    }
    h->watches[fd] = w;
    return true;
}

static struct socket_watch *new_watch(struct http *h, curl_socket_t fd)
{
    struct socket_watch *w = calloc(1, sizeof *w);
    if (w == NULL || !remember_watch(h, fd, w)) {
        free(w);
        return NULL;
    }
    w->http = h;
    w->fd = fd;
    if (uv_poll_init_socket(h->loop, &w->poll, fd) != 0) {
        h->watches[fd] = NULL;
        free(w);
        return NULL;
    }
    w->poll.data = w;
    return w;
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_watch(struct socket_watch *w)
{
    w->http->watches[w->fd] = NULL;
    uv_close((uv_handle_t *)&w->poll, on_watch_closed); /* stops it */
}

static void on_socket(uv_poll_t *poll, int status, int events);

static void poll_for(struct socket_watch *w, int events)
{
    w->wanted = events != 0;
    if (events == 0 && w->events == UV_READABLE) {
        return; /* between two requests */
    }
    if (events != w->events && uv_poll_start(&w->poll, events, on_socket) == 0) {
        w->events = events;
    }
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *w = poll->data;
    struct http *h = w->http;
    if (!w->wanted) {
        /* An idle connection was closed by the server: curl finds out before it uses it again. */
        (void)uv_poll_stop(poll);
        w->events = 0;
        return;
    }
    if (status < 0) {
        /* A reset, but a whole reply may have come before it. CURL_CSELECT_ERR would end the transfer with
         * the reply unread; reading finds the reply first and the error after it. Libuv has stopped the
         * handle. */
        int wanted = w->events;
        w->events = 0;
        poll_for(w, wanted);
        events = UV_READABLE | UV_WRITABLE;
    }
    int action = (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    action |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    http_loop_drive(h, w->fd, action);
    http_settle(h);
}

/* Always 0: an error here would end every transfer of the multi handle, now and later. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct http *h = arg;
    struct socket_watch *w = find_watch(h, fd);
    (void)easy;
    (void)socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL && w->connected) {
            poll_for(w, 0);
        } else if (w != NULL) {
            close_watch(w);
        }
        return 0;
    }
    if (w == NULL) {
        w = new_watch(h, fd);
    }
    if (w != NULL) { /* else its transfer ends by its time-out */
        int events = (what & CURL_POLL_IN) != 0 ? UV_READABLE : 0;
        events |= (what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0;
        poll_for(w, events);
    }
    return 0;
}

curl_socket_t http_loop_socket(struct transfer *t, const struct curl_sockaddr *address)
{
    struct http *h = t->http;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        h->socket_errno = errno;
        return CURL_SOCKET_BAD;
    }
    /* A number that curl closed without a word and believes to be watched still: it will not ask again. */
    struct socket_watch *stale = find_watch(h, fd);
    int events = stale != NULL ? stale->events : 0;
    if (stale != NULL) {
        close_watch(stale);
    }
    struct socket_watch *w = new_watch(h, fd);
    if (w == NULL) {
        h->socket_errno = ENOMEM;
        close(fd);
        return CURL_SOCKET_BAD;
    }
    if (events != 0) {
        poll_for(w, events);
    }
    t->sockets[t->socket_count++ % HTTP_SOCKETS] = fd;
    return fd;
}

/* Of the sockets that t opened, the one with this port became its connection. */
void http_loop_connected(const struct transfer *t, long local_port)
{
    unsigned count = t->socket_count < HTTP_SOCKETS ? t->socket_count : HTTP_SOCKETS;
    for (unsigned i = 0; i < count; i++) {
        struct socket_watch *w = find_watch(t->http, t->sockets[i]);
        struct sockaddr_storage a;
        socklen_t size = sizeof a;
        memset(&a, 0, sizeof a);
        if (w == NULL || getsockname(w->fd, (struct sockaddr *)&a, &size) != 0) {
            continue;
        }
        in_port_t port = a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                                 : ((struct sockaddr_in *)&a)->sin_port;
        w->connected = w->connected || ntohs(port) == local_port;
    }
}

int http_loop_close_socket(void *arg, curl_socket_t fd)
{
    struct socket_watch *w = find_watch(arg, fd);
    if (w != NULL) {
        close_watch(w);
    }
    return close(fd);
}

static void on_timer(uv_timer_t *timer)
{
    struct http *h = timer->data;
    http_loop_drive(h, CURL_SOCKET_TIMEOUT, 0);
    http_settle(h);
}

/* 0 means at once, but not from in here: the next turn of the loop. */
static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct http *h = arg;
    (void)multi;
    if (timeout_ms < 0) {
        (void)uv_timer_stop(&h->timer);
    } else {
        (void)uv_timer_start(&h->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

/* A request's connection broke under it, or curl wanted another one for it. (A stream that the server ended
 * is the end of one request: CURLE_HTTP2_STREAM.) */
static bool lost_connection(const struct transfer *t, CURLcode code)
{
    switch (code) {
    case CURLE_HTTP2:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        return t->ready;
    default:
        return t->refused_again;
    }
}

/* What an end tells about the endpoint's protocol. When an HTTP/2 connection dies, up to a hundred requests
 * are ambiguous at once, so that happens once: from then on HTTP/1.1, where each request has a connection of
 * its own. (Libcurl 7.88 resets streams that have ended, and servers that count resets end the connection.
 * It also loses replies that arrived together with a reset: it answers window updates before it hands over
 * what it has read.) */
static void learn_protocol(struct http *h, const struct transfer *t, CURLcode code)
{
    long version = 0;
    if (t->settings != h->settings || !h->settings->tls || h->http1_only) {
        return;
    }
    if (h->protocol == HTTP_MULTIPLEX && lost_connection(t, code)) {
        h->http1_only = true;
        h->protocol = HTTP_SERIAL;
        return;
    }
    if (t->status == 0) {
        return;
    }
    (void)curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
    if (version != CURL_HTTP_VERSION_NONE) {
        h->protocol = version >= CURL_HTTP_VERSION_2_0 ? HTTP_MULTIPLEX : HTTP_SERIAL;
    }
}

void http_loop_detach(struct http *h, struct transfer *t, CURLcode code)
{
    if (!t->ready) {
        h->connecting--;
    }
    learn_protocol(h, t, code);
    http_transfer_end(t, code);
    (void)curl_multi_remove_handle(h->multi, t->easy);
    http_list_remove(&h->running, t);
    t->state = TRANSFER_ENDED;
    http_list_add(&h->ended, t);
}

/* After every drive, the timer's included: the last transfer may have ended by a timer. */
static void harvest(struct http *h)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(h->multi, &left)) != NULL) {
        char *private = NULL;
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode code = message->data.result; /* the message dies with the removal */
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        http_loop_detach(h, (struct transfer *)(void *)private, code);
    }
}

void http_loop_drive(struct http *h, curl_socket_t fd, int events)
{
    int running;
    (void)curl_multi_socket_action(h->multi, fd, events, &running);
    harvest(h);
}

int http_loop_open(struct http *h)
{
    h->multi = curl_multi_init();
    if (h->multi == NULL) {
        return -ENOMEM;
    }
    (void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    (void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    (void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    (void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    (void)curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    return 0;
}

void http_loop_close(struct http *h)
{
    (void)curl_multi_cleanup(h->multi);
    h->multi = NULL;
    free(h->watches); /* closed by curl one by one */
    h->watches = NULL;
    h->watch_count = 0;
}
