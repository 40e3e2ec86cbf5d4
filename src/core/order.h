/* order - what the operator's command and the daemon say to each other: one JSON object a line each way.
 *
 *   {"command":"status"}                        -> {"ok":true,"status":{…}}          (status.h)
 *   {"command":"tune"}                          -> {"ok":true,"tuning":{…}}          (tuning.h)
 *   {"command":"pause"} / {"command":"resume"}  -> {"ok":true}
 *   {"command":"retry","jobs":[1,2],"force":b}, {"command":"cancel"|"hold"|"release","jobs":[1,2]}
 *       -> {"ok":true,"changed":n,"in_flight":n,"refused":[{"job":1,"why":"…","again":b}]}
 *   {"command":"prune","before_ms":t,"dry_run":b} -> {"ok":true,"changed":n,"bytes":n,"more":b}
 *   anything else                               -> {"ok":false,"error":"…"}
 *
 * An answer is given when what it says is durable. What the orders about jobs mean: joborder.h.
 *
 * Pure. Unknown members are skipped, so that fields may be added. What is parsed lives in the caller's arena.
 */
#ifndef FLOWSPOOL_CORE_ORDER_H
#define FLOWSPOOL_CORE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"

enum order_kind {
    ORDER_STATUS,
    ORDER_PAUSE,
    ORDER_RESUME,
    ORDER_RETRY,
    ORDER_CANCEL,
    ORDER_HOLD,
    ORDER_RELEASE,
    ORDER_PRUNE,
    ORDER_TUNE,
};

/* So that an order fits a request line of the socket, whatever the ids. */
#define ORDER_JOBS_MAX 2000

struct order {
    enum order_kind kind;
    const int64_t *jobs; /* retry, cancel, hold, release: row ids, of at most 15 digits */
    size_t njobs;
    bool force;        /* retry: also jobs that have a result */
    int64_t before_ms; /* prune: only what was written before, Unix ms; 0: all */
    bool dry_run;      /* prune: only counts */
};

const char *order_name(enum order_kind kind);
/* It names jobs. */
bool order_is_of_jobs(enum order_kind kind);

/* malloc'd; NULL: no memory, or more jobs than fit. */
char *order_print(const struct order *o);
/* NULL: done; else why not, in words for the answer. */
const char *order_parse(const char *text, struct arena *a, struct order *out);

struct order_refusal {
    int64_t job;
    const char *why;
    bool again; /* just now it cannot; asked again in a moment, it may */
};
struct order_reply {
    bool ok;
    const char *error;  /* !ok: why */
    const char *status; /* the JSON text of a status, or NULL */
    const char *tuning; /* of a tuning, likewise */
    bool has_changed;   /* of jobs, or prune: */
    int64_t changed;    /* how many are now as asked; prune: how many files went */
    int64_t in_flight;  /* of jobs: as many more will be, when the attempt that is on its way has ended */
    int64_t bytes;      /* prune: of these files; -1: not a reply to that */
    bool more;          /* prune: it was enough for one order, and more is left */
    const struct order_refusal *refused;
    size_t nrefused;
};

/* malloc'd; NULL: no memory. status and tuning go in as they are. */
char *order_reply_print(const struct order_reply *r);
/* False: no reply of ours, or no memory. */
bool order_reply_parse(const char *text, struct arena *a, struct order_reply *out);

#endif
