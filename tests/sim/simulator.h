/* simulator - one client (a policy) against one limiter, in virtual time.
 *
 * A success takes a log-normal time of 0.2 to 300 s; a 429 comes back in 0.03 to 0.23 s. Headers carry what
 * was true when the request arrived, or (stamp_reply) when the reply was sent. The client's wall clock and
 * the server's differ by `skew`, and an arrival is late by a random part of `net`.
 */
#ifndef FLOWSPOOL_SIM_SIMULATOR_H
#define FLOWSPOOL_SIM_SIMULATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "limiters.h"

enum headers { HEADERS_GOOD, HEADERS_NONE, HEADERS_ZERO };

struct scenario {
    enum server_kind server;
    int limit;
    double window;
    int cap;              /* max_concurrency */
    double seconds;       /* of the run; 0: 1200 */
    int jobs;             /* the run ends when so many are done; 0: never short of jobs */
    double median, sigma; /* of the latency; 0: 8 s, 1.2 */
    bool no_skew;         /* else the clocks differ by 0.3 s, this or that way */
    bool quiet_net;       /* 20 to 40 ms instead of 20 to 150 */
    double foreign;       /* the share of the limit that another client asks for */
    bool foreign_bursts;
    double change_at, change; /* at that time the limit is multiplied */
    double garbage;           /* the share of replies with nonsense in the headers */
    enum headers headers;
    bool stamp_reply;
    bool retry_after;
    double forget_at, forget_every; /* the server restarts */
    double jump_at, jump;           /* the client's wall clock is set */
    double storm_at, storm;         /* for so many seconds everything is refused */
    bool told;                      /* the operator gives limit and window */
    int leave;                      /* rate.leave */
    double max_per_second;
    bool refusals_tell; /* 429s carry headers too */
    bool warm;          /* what a run of five minutes learned is there at the start, a minute later */
};

/* What one run leaves for the next. */
#define CARRY_SIZE 256

struct reply {
    uint64_t seq;
    double sent;
    bool ok;
    bool has_limit;
    long long limit, remaining;
    double retry_after; /* -1: none */
    int job;
};

struct sim;

/* What a client decides. `data` is its own, of `size` bytes, zeroed. */
struct policy {
    const char *name;
    bool holds_slot; /* a worker that was refused sleeps, its slot stays taken */
    bool oracle;     /* its requests arrive at once */
    unsigned long size;
    void (*start)(struct sim *s);
    bool (*may_send)(struct sim *s);
    void (*on_send)(struct sim *s, uint64_t seq);
    void (*on_reply)(struct sim *s, const struct reply *r);
    double (*backoff)(struct sim *s, const struct reply *r, int refusals); /* of the refused job */
    double (*wake)(struct sim *s);   /* when to ask again; INFINITY: on an event */
    void (*finish)(struct sim *s);   /* leaves what it learned in s->carry */
    double (*window)(struct sim *s); /* what it believes the window to be; 0: unknown */
};

struct result {
    long long sent, done, refused, admitted, foreign;
    int worst_job;      /* the most refusals of one job */
    int most_flying;    /* requests in flight */
    double longest_gap; /* between two admissions */
    double found;       /* when the window was known to a tenth; -1: never */
    double finished;    /* when all jobs were done; -1: not */
};

struct sim {
    const struct scenario *c;
    const struct policy *policy;
    void *data;
    double now;
    double wall; /* epoch seconds of the client's clock minus `now` */
    unsigned char carry[CARRY_SIZE];
    uint64_t seed, random, policy_random;
    struct server server;
    int in_flight;
    struct result r;
    /* within */
    struct event *heap;
    int heap_count, heap_size;
    uint64_t event_number, next_seq;
    struct waiting *retry;
    int retry_count, retry_size;
    int *refusals;
    int refusals_size;
    int new_job;
    double next_wake, last_admission;
};

double sim_uniform(uint64_t *state); /* 0 to 1 */
double scenario_seconds(const struct scenario *c);
struct result sim_run(const struct scenario *c, const struct policy *p, uint64_t seed);

extern const struct policy policy_oracle, policy_governor;
/* naive, cookbook-like, AIMD, botocore-like, cap = remaining; ends with a NULL name. */
extern const struct policy reference_policies[];

#endif
