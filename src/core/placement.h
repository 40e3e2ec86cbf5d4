/* placement - how outcomes get to the names where they belong, though files are renamed and documents trade
 * places, at any time and across crashes. Pure.
 *
 * A job that has ended knows where its outcome belongs (stem), under which name in the spool it lies
 * (placed), and whether it lies in the directory of superseded results (kept), also or alone. The rules:
 *
 *   - What an outcome's name is needed for first lets the one that lies there be kept, and recorded as kept.
 *     So no order of renames matters, and no cycle: whoever is in the way steps aside, and moves on.
 *   - An outcome that is kept moves on from there and from nowhere else: what lies under its old name may be
 *     another job's by now, even one with the same request.
 *   - What is recorded follows what was done. A step that a crash repeats finds its source gone and its work
 *     done; an outcome that somebody collected looks the same, and is not missed.
 */
#ifndef FLOWSPOOL_CORE_PLACEMENT_H
#define FLOWSPOOL_CORE_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>

/* A job that is done or has failed. */
struct placement {
    const char *stem;   /* where its outcome belongs, while the job is current */
    const char *placed; /* where it lies, or NULL */
    const char *kept;   /* its name among the superseded, or NULL */
    bool current;       /* not superseded: it is to have an outcome */
    bool result;        /* done */
    bool lasting;       /* failed, but it may be wanted again: it may have been charged, or is only lost */
};

enum placement_step {
    PLACEMENT_NONE,   /* it is where it belongs */
    PLACEMENT_RECORD, /* there is nothing to be moved: only to be noted */
    PLACEMENT_WRITE,  /* an error that was never written, or was given up: from what is known of the job */
    PLACEMENT_MOVE,   /* from `kept`, else from `placed` */
    PLACEMENT_KEEP,   /* first the outcome of *in_way has to be kept */
};

/* there: other jobs whose outcome lies at p's stem. */
enum placement_step placement_next(const struct placement *p, const struct placement *there, size_t nthere,
                                   size_t *in_way);
/* Which of the jobs whose outcome lies at a name must be kept before that is used for another; nthere: none.
 * A failure that cost nothing and is no longer wanted is not. */
size_t placement_in_way(const struct placement *there, size_t nthere);

#endif
