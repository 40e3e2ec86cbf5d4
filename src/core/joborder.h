/* joborder - what an order about a job (retry, cancel, hold, release) means for a job as it stands. Pure.
 *
 * One answer for the daemon, for the command that picks jobs, and for the command that changes a state which
 * no daemon holds. The order becomes bits of the row (enum job_block), written in one commit; everything else
 * follows from them, so that it survives whatever comes next:
 *
 *   - hold: a waiting job waits until it is released; one on its way does when its attempt puts it back.
 *
 *   - release: ends that, and nothing else: a file NAME.yaml.hold is renamed back.
 *
 *   - cancel: a waiting job fails as `cancelled`; one on its way does when its attempt would put it back, for
 *     it may have been charged: a result is kept.
 *
 *   - retry: a job that ended runs again at the next look at its file; of one that is being cancelled the
 *     cancelling ends: the last order counts.
 */
#ifndef FLOWSPOOL_CORE_JOBORDER_H
#define FLOWSPOOL_CORE_JOBORDER_H

#include <stdbool.h>

#include "core/job.h"
#include "core/order.h"

struct joborder_job {
    enum job_state state;
    int blocked; /* enum job_block bits */
    bool ending; /* its outcome is being written: whatever it becomes, it ends */
};

struct joborder_effect {
    const char *why; /* NULL: accepted; else why not, for people */
    bool again;      /* refused for a moment only */
    bool in_flight;  /* accepted, but the attempt that is on its way is finished first */
};

/* What an accepted order writes (store_jobs_mark): `set` only where it fits the job's state. */
struct joborder_bits {
    int set, clear;
};
struct joborder_bits joborder_bits(enum order_kind order);

struct joborder_effect joborder_judge(enum order_kind order, bool force, const struct joborder_job *job);

#endif
