/* limiters - the servers' limiters of the simulation, each told the exact time of an arrival.
 *
 * Times are seconds of the simulation as doubles: a run lasts hours and decides on tenths of a
 * millisecond, far within their precision. A refused request takes no quota.
 *
 *   fixed    windows aligned to the server's clock (`phase` is where one begins)
 *   first    a window starts with the first request after the last one ended
 *   sliding  two buckets: used = current + floor((1 - fraction) * previous); the known server's
 *   log      at most limit requests in any window
 *   token    a bucket of limit tokens that refills by limit a window
 *   slots    at most limit requests at the same time
 */
#ifndef FLOWSPOOL_SIM_LIMITERS_H
#define FLOWSPOOL_SIM_LIMITERS_H

#include <stdbool.h>

enum server_kind {
    SERVER_NONE,
    SERVER_FIXED,
    SERVER_FIRST,
    SERVER_SLIDING,
    SERVER_LOG,
    SERVER_TOKEN,
    SERVER_SLOTS
};

struct server {
    enum server_kind kind;
    int limit;
    double window, phase;
    double number; /* of the present window (fixed, sliding) */
    double start;  /* of the present window (first) */
    int current, previous;
    double *log; /* ring of log_size times */
    int log_size, log_first, log_count;
    double tokens, filled; /* token: what is left, as of when */
};

void server_open(struct server *s, enum server_kind kind, int limit, double window, double phase);
void server_close(struct server *s);
/* Forgets all requests, as a restart of the server does. */
void server_forget(struct server *s);
void server_set_limit(struct server *s, int limit);
/* Whether a request would be admitted at this time. */
bool server_peek(struct server *s, double now);
/* Takes one request's quota; false: refused. */
bool server_take(struct server *s, double now);
/* A run ended (slots). */
void server_leave(struct server *s);
/* What is left at this time. */
int server_remaining(struct server *s, double now);
/* When a request would be admitted if no other came; for sliding a small step on, to be asked again. */
double server_next(struct server *s, double now);

#endif
