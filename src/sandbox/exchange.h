/* exchange - one request and its reply while they last. */
#ifndef FLOWSPOOL_SANDBOX_EXCHANGE_H
#define FLOWSPOOL_SANDBOX_EXCHANGE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "sandbox/server.h"
#include "sandbox/service.h"

enum route { ROUTE_RUN, ROUTE_STATS, ROUTE_RESET, ROUTE_NO_PAGE, ROUTE_NO_METHOD };

enum phase {
    PHASE_READING, /* the body comes in */
    PHASE_WAITING, /* the latency passes; the connection is suspended */
    PHASE_REPLYING,
    PHASE_ABANDONED, /* the sandbox stops */
};

#define REQUEST_ID_SIZE 64

struct exchange {
    struct server *server;
    struct MHD_Connection *connection;
    struct exchange *next, **link; /* in the server's list of those that sleep */
    enum route route;
    enum phase phase;
    bool has_timer;
    uv_timer_t timer;
    int64_t arrived_us;
    int status; /* what was answered; 0: nothing */
    char request_id[REQUEST_ID_SIZE];
    char workflow_id[WORKFLOW_ID_MAX + 1]; /* "": the path holds no valid id */
    char *body;
    size_t body_room;
    struct run run;
};

/* NULL: no memory. */
struct exchange *exchange_new(struct server *s, struct MHD_Connection *connection);
/* Must not sleep. */
void exchange_free(struct exchange *x);

/* Adds to the body; beyond SERVICE_BODY_MAX it is only counted. False: no memory, or absurdly long. */
bool exchange_take_body(struct exchange *x, const char *bytes, size_t len);

/* Suspends the connection for a while. The timer finishes a run that waited, then resumes. False: no
 * timer, or the server stops. */
bool exchange_sleep(struct exchange *x, uint64_t ms);
/* Wakes every sleeper for good: their runs are abandoned and their connections close. */
void exchange_abandon_all(struct server *s);

/* Unix microseconds */
int64_t exchange_now_us(void);

#endif
