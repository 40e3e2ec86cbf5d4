/* outcome - the outcome that lies beside a job, if it answers what the job asks now. */
#ifndef FLOWSPOOL_LIB_OUTCOME_H
#define FLOWSPOOL_LIB_OUTCOME_H

#include "lib/jobname.h"

/* root: spool_root(). job: the caller's name, from which jobname_read() made stem and kind. JOBNAME_RESULT
 * and JOBNAME_ERROR take what lies there, that kind first; the others only what answers the job file, and
 * JOBNAME_FILE only that of this very file. 1, 0: none yet, or a negative errno. */
int outcome_look(int root, const char *job, const char *stem, enum jobname_kind kind,
                 struct flowspool_outcome **out, struct flowspool_error **error);

#endif
