/* order - what the operator's command and the daemon say to each other: one JSON object a line each way.
 *
 *   {"command":"status"}                        -> {"ok":true,"status":{…}}          (status.h)
 *   {"command":"pause"} / {"command":"resume"}  -> {"ok":true}
 *   {"command":"retry","jobs":[1,2],"force":b}  -> {"ok":true,"queued":n,"refused":[{"job":1,"why":"…"}]}
 *   anything else                               -> {"ok":false,"error":"…"}
 *
 * Pure. Unknown members are skipped, so that fields may be added. What is parsed lives in the caller's arena.
 */
#ifndef FLOWSPOOL_CORE_ORDER_H
#define FLOWSPOOL_CORE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"

enum order_kind { ORDER_STATUS, ORDER_PAUSE, ORDER_RESUME, ORDER_RETRY };

/* So that an order fits a request line of the socket, whatever the ids. */
#define ORDER_JOBS_MAX 2000

struct order {
    enum order_kind kind;
    const int64_t *jobs; /* retry: row ids, of at most 15 digits */
    size_t njobs;
    bool force; /* retry: also jobs that have a result */
};

/* malloc'd; NULL: no memory, or more jobs than fit. */
char *order_print(const struct order *o);
/* NULL: done; else why not, in words for the answer. */
const char *order_parse(const char *text, struct arena *a, struct order *out);

struct order_refusal {
    int64_t job;
    const char *why;
};
struct order_reply {
    bool ok;
    const char *error;  /* !ok: why */
    const char *status; /* the JSON text of a status, or NULL */
    int64_t queued;     /* retry: how many run again; -1: not a reply to that */
    const struct order_refusal *refused;
    size_t nrefused;
};

/* malloc'd; NULL: no memory. status goes in as it is. */
char *order_reply_print(const struct order_reply *r);
/* False: no reply of ours, or no memory. */
bool order_reply_parse(const char *text, struct arena *a, struct order_reply *out);

#endif
