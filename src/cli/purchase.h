/* purchase - which jobs of a file flowspoold would buy, if it looked at it now. */
#ifndef FLOWSPOOL_CLI_PURCHASE_H
#define FLOWSPOOL_CLI_PURCHASE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/jobfile.h"
#include "io/spool.h"
#include "io/store.h"

enum purchase {
    PURCHASE_BUY,
    PURCHASE_DONE,    /* it has a result */
    PURCHASE_ON_WAY,  /* sent */
    PURCHASE_SETTLED, /* failed, and flowspool retry only runs it again */
    PURCHASE_EXPIRED, /* would fail unsent */
    PURCHASE_COUNT
};

struct purchases {
    struct spool *spool;
    struct store *store;  /* NULL: what lies beside the jobs is all that is known */
    const char *endpoint; /* "": not known. What a sandbox did elsewhere does not count */
    int64_t outcome_max;  /* bytes of an outcome file */
    int64_t now_ms;       /* Unix */
};

/* path: of the job, without .hold, relative to the spool. One answer a job. False: no memory. */
bool purchase_judge(const struct purchases *p, const char *path, const struct spool_stat *st,
                    const struct jobfile *jobs, enum purchase *out);

#endif
