/* server - the HTTP side: one thread, one event loop, thousands of requests in flight.
 *
 * libmicrohttpd is driven by its epoll descriptor inside a libuv loop. A request whose latency passes
 * costs its suspended connection and one timer, no thread.
 *
 *   server.c    starts, drives and stops the library
 *   handler.c   one request: route, read, decide, reply
 *   exchange.c  the request's memory, and its sleep
 *   delivery.c  the reply's bytes, faults included
 */
#ifndef FLOWSPOOL_SANDBOX_SERVER_H
#define FLOWSPOOL_SANDBOX_SERVER_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/fault.h"
#include "sandbox/service.h"

struct exchange;

struct server {
    uv_loop_t *loop;
    struct service *service;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;             /* the library's epoll descriptor */
    uv_idle_t busy;             /* active while the library has work that no descriptor announces */
    uv_timer_t wake;            /* its next time-out */
    struct exchange *suspended; /* every exchange that sleeps */
    bool stopping;              /* nobody may fall asleep any more */
    uint64_t started_ms;
    uint64_t requests; /* numbers the request ids */
};

/* PEM texts, or NULL both for plain HTTP. They and the service outlive the server. */
struct server_tls {
    const char *cert, *key;
};

/* Takes over listen_fd on success. False: *fault says why, and the loop holds no handle of ours. */
bool server_start(struct server *s, uv_loop_t *loop, struct service *service, int listen_fd,
                  struct server_tls tls, struct fault *fault);
/* Has the library look at resumed connections in the loop's next turn: driven from outside it does not
 * announce them by its descriptor. */
void server_kick(struct server *s);
/* Drops every connection; the loop then ends when its closing callbacks have run. */
void server_stop(struct server *s);

/* malloc'd JSON of the statistics; NULL: no memory. */
char *server_stats(const struct server *s, bool with_requests, size_t *len);

#endif
