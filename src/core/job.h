/* job - the states of a job and the only moves between them.
 *
 * Pure. The numbers are stored on disk (store.h): never renumber. job_event() is the one place
 * where a state changes; a move that is not in the table is a bug in this program and aborts with
 * the job's id and both names, because going on could buy twice.
 */
#ifndef FLOWSPOOL_CORE_JOB_H
#define FLOWSPOOL_CORE_JOB_H

#include <stdint.h>

enum job_state {
    JOB_WAITING = 0, /* in the queue: ready, or with a due time, or blocked (held, file gone) */
    JOB_SENT = 1,    /* intent durable: a request may be on its way */
    JOB_REPLIED = 2, /* reply durable, outcome not yet published */
    JOB_DONE = 3,    /* result published */
    JOB_FAILED = 4,  /* error published */
    JOB_NSTATES
};
enum job_event {
    JOB_EV_SEND,    /* intent committed */
    JOB_EV_UNSEND,  /* surely nothing was sent, or the reply says "not now": back to the queue */
    JOB_EV_REPLY,   /* raw reply committed */
    JOB_EV_RETRY,   /* the reply (or its absence) asks for another attempt */
    JOB_EV_SUCCEED, /* result published */
    JOB_EV_FAIL,    /* error published */
    JOB_EV_REOPEN,  /* operator, or the job's file was written again */
    JOB_NEVENTS
};
enum job_state job_event(int64_t id, enum job_state from, enum job_event ev);
/* -1 for an illegal move; for tests and for asking first. */
int job_next(enum job_state from, enum job_event ev);
const char *job_state_name(enum job_state s); /* "waiting", "sent", "replied", "done", "failed" */

/* Why a waiting job may not run; bits, stored on disk. */
enum job_block {
    JOB_BLOCK_MISSING = 1,    /* its file is gone */
    JOB_BLOCK_HOLD_FILE = 2,  /* NAME.yaml.hold */
    JOB_BLOCK_HOLD = 4,       /* flowspool hold */
    JOB_BLOCK_SUPERSEDED = 8, /* the file holds another identity now; row kept for history */
    JOB_BLOCK_CANCEL = 16,    /* flowspool cancel: its error follows, unless a result comes first */
    JOB_BLOCK_CONFLICT = 64,  /* its file is refused for now: another job has the name of an outcome in it */
    JOB_ASKED_AGAIN = 32, /* no block, and only on jobs that ended: flowspool retry; the next look runs it */
};

/* Failure codes: the "code" of NAME.error.json. Stored as text. */
#define CODE_INVALID_JOB        "invalid_job"
#define CODE_MISSING_INPUT      "missing_input"
#define CODE_WORKFLOW_NOT_FOUND "workflow_not_found"
#define CODE_REJECTED           "rejected"
#define CODE_SERVER_ERROR       "server_error"
#define CODE_UNREACHABLE        "unreachable"
#define CODE_INVALID_RESPONSE   "invalid_response"
#define CODE_RESPONSE_TOO_LARGE "response_too_large"
#define CODE_EXPIRED            "expired"
#define CODE_CANCELLED          "cancelled"
#define CODE_AMBIGUOUS          "ambiguous"

#endif
