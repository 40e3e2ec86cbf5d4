/* status - what the daemon says about itself, and its JSON form on the control socket.
 *
 * Pure. Fields are only ever added, and a reader takes what it knows: an older command reads a newer daemon
 * and the other way round. Intervals are ms; -1 stands for "not known" and is null in JSON.
 *
 *   {"pid":7,"endpoint":"https://host","key":"3fe3…","key_source":"file /etc/…","uptime_ms":n,"in_flight":n,
 *    "max_concurrency":n,"scanned":b,"ignored":n,"draining":b,
 *    "holds":[{"kind":"account","workflow":null,"cause":"no_credits","reason":"…","held_for_ms":n,
 *              "next_probe_ms":n,"probing":b,"refusals":n}],"holds_omitted":n,
 *    "rate":{"per_second":9.8,"cap":80,"cap_reason":"…","limit":10,"remaining":2,"last_429_ago_ms":n,
 *            "learned":{…}},                        (learned.h)
 *    "run":{"done":n,"failed":n,"refused":n,"already_done":n,"bought":n,"possibly_bought":n,"requests":n,
 *           "rate_limited":n},
 *    "counts":{"waiting":n,"later":n,"held":n,"missing":n,"in_flight":n,"done":n,"failed":n,"refused":n,
 *              "oldest_waiting_at_ms":t}}          (null where they cannot be read)
 */
#ifndef FLOWSPOOL_CORE_STATUS_H
#define FLOWSPOOL_CORE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/learned.h"

/* Kinds of holds. A reader may meet others. */
#define STATUS_RATE      "rate"      /* 429: the account is closed until it is asked again */
#define STATUS_ACCOUNT   "account"   /* 401, 402 */
#define STATUS_ENDPOINT  "endpoint"  /* nothing gets through */
#define STATUS_WORKFLOW  "workflow"  /* an endpoint hold for one workflow */
#define STATUS_GATE      "gate"      /* cause is the gate's name (holds.h); somebody opens it */
#define STATUS_DIRECTORY "directory" /* reason is the directory that takes no outcomes */

struct status_hold {
    const char *kind;
    const char *workflow; /* or NULL */
    const char *cause;
    const char *reason;    /* one line for people, may come from the far side; or "" */
    int64_t held_for_ms;   /* -1: not known */
    int64_t next_probe_ms; /* -1: none is planned: one is out, or somebody must act */
    bool probing;
    int64_t refusals;
};

/* A status lists at most so many holds; the others are counted. */
#define STATUS_HOLDS_MAX 128

struct status {
    int64_t pid, uptime_ms;
    const char *endpoint;
    const char *key, *key_source; /* a short hash of the key, and where it came from */
    int64_t in_flight, max_concurrency;
    bool scanned;    /* the spool has been listed whole since the start */
    int64_t ignored; /* job-like files that are none */
    bool draining;
    double per_second; /* jobs that ended, over the last minute */
    int64_t cap;       /* most requests in flight now, and why */
    const char *cap_reason;
    int64_t limit, remaining; /* as the server last said, or -1 */
    int64_t last_429_ago_ms;  /* -1: never */
    struct learned learned;
    struct status_run { /* since the start */
        int64_t done, failed, refused, already_done, bought, possibly_bought, requests, rate_limited;
    } run;
    bool has_counts;
    struct status_counts { /* of the jobs in the state; as read, -1: not known */
        int64_t waiting, later,
            held;             /* may be sent; for their time or another try; held, or being cancelled */
        int64_t missing;      /* waiting, their file is gone */
        int64_t in_flight;    /* sent, or the outcome not yet there */
        int64_t done, failed; /* those that files name now */
        int64_t refused;      /* files */
        int64_t oldest_waiting_at_ms; /* Unix ms; -1: none waits */
    } counts;
    const struct status_hold *holds;
    size_t nholds;
    int64_t holds_omitted;
};

/* JSON in one line, malloc'd; NULL: no memory. Strings may hold any bytes. More than STATUS_HOLDS_MAX holds
 * are cut and counted. */
char *status_print(const struct status *s);
/* False: not a JSON object, or no memory. Strings and holds live in the arena; none is NULL but a hold's
 * workflow. */
bool status_parse(const char *text, struct arena *a, struct status *out);

#endif
