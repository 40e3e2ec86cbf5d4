/* ledger - what was paid for: every attempt by its verdict, every outcome by what it cost. Pure.
 *
 * Each attempt is of one kind, by how it ended; each job that has ended is of one kind, by its outcome. Both
 * are counted twice on different ways, so that a ledger that is wrong says so: see ledger_balanced().
 */
#ifndef FLOWSPOOL_CORE_LEDGER_H
#define FLOWSPOOL_CORE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/job.h"

enum ledger_kind {
    LEDGER_BOUGHT,    /* the reply is one that the service charges for: a result, or a 2xx without one */
    LEDGER_POSSIBLY,  /* sent, and no answer reached us */
    LEDGER_REFUSED,   /* surely not charged */
    LEDGER_SAVED,     /* not bought, because it was bought before */
    LEDGER_IN_FLIGHT, /* attempts only */
    LEDGER_KINDS
};

/* How a purchase was saved. Stored as text: ledger_saving_name(). */
enum ledger_saving {
    LEDGER_RECOVERED, /* the reply was in the state when a daemon died, and was delivered by the next */
    LEDGER_SAME,      /* a file was written again with a request that has its result */
    LEDGER_ADOPTED,   /* the outcome lay beside a job that the state did not know */
    LEDGER_SAVINGS
};

#define LEDGER_VERDICTS 13

struct ledger {
    int64_t runs[LEDGER_KINDS], outcomes[LEDGER_KINDS];
    int64_t verdicts[LEDGER_VERDICTS]; /* ledger_verdict_name() */
    int64_t other;                     /* with a verdict of a newer daemon: in LEDGER_POSSIBLY */
    int64_t savings[LEDGER_SAVINGS];
    int64_t forgotten; /* of the attempts: their jobs are forgotten, and only their number is kept, by day */
    /* Whatever `since`: attempts with a row, what their jobs say; jobs that ended, what the tally says. */
    int64_t recorded, sent, ended, tallied;
};

/* Attempts that ended so; verdict NULL or "": they have not ended. */
void ledger_add_runs(struct ledger *l, const char *verdict, int64_t n);
void ledger_add_saved(struct ledger *l, const char *saving, int64_t n);
/* Jobs that ended. code: of a failed one; attempts, ambiguous: as in the outcome. */
struct ledger_outcome {
    enum job_state state; /* DONE or FAILED */
    const char *code;
    int64_t attempts, ambiguous;
};
void ledger_add_outcomes(struct ledger *l, const struct ledger_outcome *o, int64_t n);

int64_t ledger_outcomes(const struct ledger *l); /* the sum over all kinds */
/* Runs bought beyond the outcomes that are there for them: superseded, replaced by flowspool retry, or
 * forgotten with their files. */
int64_t ledger_replaced(const struct ledger *l);
bool ledger_balanced(const struct ledger *l);

const char *ledger_verdict_name(size_t verdict);
enum ledger_kind ledger_verdict_kind(size_t verdict);
const char *ledger_saving_name(enum ledger_saving s);

#endif
