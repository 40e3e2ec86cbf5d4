/* Waiting for one outcome: a watch of a single job. */
#include <errno.h>

#include "lib/error.h"

int flowspool_wait(const char *spool, const char *job, int timeout_ms, struct flowspool_outcome **outcome,
                   struct flowspool_error **error)
{
    struct flowspool_watch *w;
    *outcome = NULL;
    int rc = flowspool_watch_open(spool, &w, error);
    if (rc != 0)
        return rc;
    rc = flowspool_watch_add(w, job, error);
    if (rc > 1)
        rc = error_set(error, -EINVAL, "%s holds %d jobs: wait for each, or with a watch", job, rc);
    else if (rc >= 0)
        rc = flowspool_watch_next(w, timeout_ms, outcome, NULL, error);
    flowspool_watch_close(w);
    return rc;
}
