/* reconcile - what a job file's content means for the jobs already known from it. Pure.
 *
 * "What is the same job" (flowspool-job(5)): identity is the file and request_sha256. Documents are
 * matched to known jobs by identity, whatever their order.
 */
#ifndef FLOWSPOOL_CORE_RECONCILE_H
#define FLOWSPOOL_CORE_RECONCILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/job.h"
#include "core/jobfile.h"

struct known_job {
    int64_t id;
    char request_sha256[DIGEST_HEX]; /* "" for the row of a refused file */
    enum job_state state;
    bool charged_failure; /* FAILED with a code that may have been charged for */
    bool superseded;      /* JOB_BLOCK_SUPERSEDED: kept for its result */
    bool attempted;       /* the body is fixed */
    bool elsewhere;       /* done by a sandbox at another endpoint: does not stop a run */
    bool asked;           /* the operator wants it to run again, whatever it ended in */
};

enum reconcile_action {
    RECONCILE_NEW,     /* insert */
    RECONCILE_KEEP,    /* same job; refresh priority, times, max_attempts (and body unless attempted) */
    RECONCILE_ALREADY, /* has a result: count as already done; restore if it was superseded */
    RECONCILE_RERUN,   /* failed, and its file was written or touched, or asked for: queue again, counters
                        * reset */
    RECONCILE_SETTLED, /* failed with ambiguous, or failed and not touched: leave */
};
struct reconcile_match {
    enum reconcile_action action;
    int64_t job; /* 0 for RECONCILE_NEW */
};

enum reconcile_leftover {
    LEFTOVER_DROP,      /* waiting, never to run: delete the row */
    LEFTOVER_SUPERSEDE, /* in flight, replied, or with an outcome: keep, marked superseded */
    LEFTOVER_NONE,      /* matched, or superseded already */
};

/* matches[i] for f->jobs[i]; leftovers[k] for known[k]. written: size, mtime or inode changed.
 * known may hold several rows of one identity (history); each is matched at most once, one with a result
 * first. False: no memory; then every answer is "leave it" (SETTLED with job 0, NONE): ask again later. */
bool reconcile(const struct jobfile *f, const struct known_job *known, size_t nknown, bool written,
               struct reconcile_match *matches, enum reconcile_leftover *leftovers);

#endif
