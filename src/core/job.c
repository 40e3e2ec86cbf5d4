/* job - the table of moves. */
#include "core/job.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* An illegal move. Not 0: a cell that is forgotten would otherwise read as "back to waiting". */
#define X 0xff

static const uint8_t moves[][JOB_NEVENTS] = {
    [JOB_WAITING] =
        {
            [JOB_EV_SEND] = JOB_SENT,
            [JOB_EV_UNSEND] = X,
            [JOB_EV_REPLY] = X,
            [JOB_EV_RETRY] = X,
            [JOB_EV_SUCCEED] = JOB_DONE, /* adopts a result that lies beside the job */
            [JOB_EV_FAIL] = JOB_FAILED,  /* expired, invalid, workflow known missing, given up */
            [JOB_EV_REOPEN] = X,
        },
    [JOB_SENT] =
        {
            [JOB_EV_SEND] = X,
            [JOB_EV_UNSEND] = JOB_WAITING,
            [JOB_EV_REPLY] = JOB_REPLIED,
            [JOB_EV_RETRY] = JOB_WAITING,
            [JOB_EV_SUCCEED] = X, /* only a reply that is on disk becomes a result */
            [JOB_EV_FAIL] = JOB_FAILED,
            [JOB_EV_REOPEN] = X,
        },
    [JOB_REPLIED] =
        {
            [JOB_EV_SEND] = X,
            [JOB_EV_UNSEND] = JOB_WAITING, /* the stored reply says hold */
            [JOB_EV_REPLY] = X,
            [JOB_EV_RETRY] = JOB_WAITING,
            [JOB_EV_SUCCEED] = JOB_DONE,
            [JOB_EV_FAIL] = JOB_FAILED,
            [JOB_EV_REOPEN] = X,
        },
    [JOB_DONE] =
        {
            [JOB_EV_SEND] = X,
            [JOB_EV_UNSEND] = X,
            [JOB_EV_REPLY] = X,
            [JOB_EV_RETRY] = X,
            [JOB_EV_SUCCEED] = X,
            [JOB_EV_FAIL] = X,
            [JOB_EV_REOPEN] = JOB_WAITING,
        },
    [JOB_FAILED] =
        {
            [JOB_EV_SEND] = X,
            [JOB_EV_UNSEND] = X,
            [JOB_EV_REPLY] = X,
            [JOB_EV_RETRY] = X,
            [JOB_EV_SUCCEED] = X,
            [JOB_EV_FAIL] = X,
            [JOB_EV_REOPEN] = JOB_WAITING,
        },
};
_Static_assert(sizeof moves / sizeof moves[0] == JOB_NSTATES, "a row for every state");

static const char *const state_names[] = {
    [JOB_WAITING] = "waiting", [JOB_SENT] = "sent",     [JOB_REPLIED] = "replied",
    [JOB_DONE] = "done",       [JOB_FAILED] = "failed",
};
_Static_assert(sizeof state_names / sizeof state_names[0] == JOB_NSTATES, "a name for every state");

static const char *const event_names[] = {
    [JOB_EV_SEND] = "send",     [JOB_EV_UNSEND] = "unsend",   [JOB_EV_REPLY] = "reply",
    [JOB_EV_RETRY] = "retry",   [JOB_EV_SUCCEED] = "succeed", [JOB_EV_FAIL] = "fail",
    [JOB_EV_REOPEN] = "reopen",
};
_Static_assert(sizeof event_names / sizeof event_names[0] == JOB_NEVENTS, "a name for every event");

/* States come from disk: a number outside the table must not index it. */
static bool state_known(enum job_state s)
{
    return (unsigned)s < JOB_NSTATES;
}

static bool event_known(enum job_event ev)
{
    return (unsigned)ev < JOB_NEVENTS;
}

int job_next(enum job_state from, enum job_event ev)
{
    if (!state_known(from) || !event_known(ev) || moves[from][ev] == X)
        return -1;
    return moves[from][ev];
}

const char *job_state_name(enum job_state s)
{
    return state_known(s) ? state_names[s] : "unknown";
}

enum job_state job_event(int64_t id, enum job_state from, enum job_event ev)
{
    int to = job_next(from, ev);

    if (to < 0) {
        /* core/ prints nothing anywhere else: here the process ends with the next line, so there is no
         * caller left to report to. */
        fprintf(stderr, "flowspool: bug: job %lld: illegal move: %s in state %s\n", (long long)id,
                event_known(ev) ? event_names[ev] : "unknown", job_state_name(from));
        abort();
    }
    return (enum job_state)to;
}
