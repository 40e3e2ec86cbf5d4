/* holds - why sending stops, who probes, and when it goes on. Pure; one owner (the engine).
 *
 * Three kinds stop sending because of what the far side said, and leave by themselves: the rate hold
 * (inside governor), the account hold (401, 402), the endpoint hold (nothing could be sent, 3xx, 407, 503,
 * ...), plus the workflow hold, which is an endpoint hold for one workflow. Each lets one probe through at a
 * time; the wait between probes starts at `probe` and doubles up to 15 minutes, plus up to 10 % jitter that
 * is added, never subtracted. Others are gates that somebody opens again: see enum gate.
 * Times are monotonic ms.
 */
#ifndef FLOWSPOOL_CORE_HOLDS_H
#define FLOWSPOOL_CORE_HOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gate {
    GATE_PAUSED = 1,      /* flowspool pause */
    GATE_PAUSE_FILE = 2,  /* a file PAUSE in the spool */
    GATE_VANISHED = 4,    /* most job files vanished at once */
    GATE_LOST_STATE = 8,  /* no state beside jobs and outcomes, or the state vanished */
    GATE_DISK = 16,       /* no room for replies */
    GATE_MAX_JOBS = 32,   /* max_jobs reached */
    GATE_SPOOL_GONE = 64, /* the spool cannot be listed */
    GATE_DRAIN = 128,     /* stopping */
};
const char *gate_name(enum gate g); /* "paused", ... */

enum hold_cause {
    HOLD_NONE,
    HOLD_UNAUTHORIZED,  /* account: 401 */
    HOLD_NO_CREDITS,    /* account: 402 */
    HOLD_UNREACHABLE,   /* endpoint: nothing was sent, 3xx, 407, 503, ... */
    HOLD_SERVER_ERRORS, /* endpoint or workflow: 20 failures in a row */
    HOLD_NOT_FOUND,     /* workflow: 404 although it has succeeded before */
};

struct hold {
    enum hold_cause cause; /* HOLD_NONE: not held */
    int64_t since_ms;
    int64_t next_probe_ms;
    int64_t wait_ms; /* before the next probe, doubles */
    bool probing;
    bool probe_again;       /* hold_probe_now() came while a probe was out */
    int64_t probe_job;      /* who probes now, 0: nobody */
    int64_t last_probe_job; /* of this hold, so that the next one can be another */
    int refusals;           /* the one that began it, and every refused probe */
    char reason[160];       /* what the far side said, for people: one line, cut at a whole character */
};

#define HOLD_PROBE_CAP_MS (15 * 60 * 1000)

/* Starts a hold, or (probe refused) waits longer. job: whose reply this was. random: for jitter.
 * A late refusal of a request that was under way when the hold began only updates cause and reason.
 * A changed cause (401, then 402) goes on with the same hold. */
void hold_refused(struct hold *h, enum hold_cause cause, const char *reason, int64_t job, int64_t probe_ms,
                  int64_t now_ms, uint64_t random);
/* INT64_MAX while a probe is out or when not held. A probe must end in hold_refused(), hold_lift() or
 * hold_probe_inconclusive(). */
int64_t hold_next_probe(const struct hold *h);
bool hold_may_probe(const struct hold *h, int64_t now_ms);
void hold_probe_sent(struct hold *h, int64_t job);
/* The probe ended without an answer either way (withdrawn, 429): ask again after the same wait. */
void hold_probe_inconclusive(struct hold *h, int64_t job, int64_t now_ms);
void hold_lift(struct hold *h);
/* SIGHUP, resume, changed key, start: the next probe goes now; when one is out (perhaps with the old key)
 * and is refused, another follows at once. */
void hold_probe_now(struct hold *h, int64_t now_ms);
bool hold_active(const struct hold *h);

/* Workflows under a hold, with a failure streak, or known not to exist. Bounded: at most
 * HOLDS_WORKFLOWS_MAX entries; the oldest without an active hold is forgotten first. */
#define HOLDS_WORKFLOWS_MAX 4096
struct workflow_hold {
    char workflow[129];
    struct hold hold;
    int streak;                 /* 5xx in a row without a success */
    int64_t not_found_until_ms; /* jobs fail without a request until then; 0: no */
    enum hold_cause fail_cause; /* HOLD_NONE: it was not found; else a hold was given up, which fails only the
                                 * jobs that waited then */
    int64_t touched_ms;
    int64_t asked_for_ms; /* the probe time for which its jobs were looked for; the engine's */
};
struct workflow_holds {
    struct workflow_hold *items; /* sorted by name */
    size_t count, capacity;
};
/* Creates when there is none. NULL: no memory, or a name longer than a workflow's. The pointer is good until
 * the next call that creates. */
struct workflow_hold *workflow_hold_get(struct workflow_holds *w, const char *workflow, int64_t now_ms);
struct workflow_hold *workflow_hold_find(const struct workflow_holds *w, const char *workflow);
void workflow_holds_free(struct workflow_holds *w);

#endif
