/* waiting - jobs until they have ended; for wait and submit --wait.
 *
 * The state tells whether a job has ended: its outcome may have been collected and moved away, and an error
 * lies there for as long as a retry takes. The job file tells which job is meant: it may hold a newer request
 * than the state knows. Outcome files wake us up, and answer alone where there is no state. So it does not
 * matter whether a daemon runs, hangs or is gone.
 */
#ifndef FLOWSPOOL_CLI_WAITING_H
#define FLOWSPOOL_CLI_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/config.h"

struct ended_job {
    const char *name; /* the job file, or NAME.ID of a document; relative to the spool */
    const char *stem; /* of its outcome */
    bool done;
    const char *code, *message; /* of one that failed */
};
typedef void (*ended_fn)(void *arg, const struct ended_job *job);

struct waiting;
/* cfg outlives it. NULL: it was said why. */
struct waiting *waiting_open(const struct config *cfg);
void waiting_close(struct waiting *w);

/* An exit status; what is wrong was said: a glob that matches nothing, a digest that begins several. */
int waiting_add_words(struct waiting *w, char *const *words, size_t count);
/* A job file, relative to the spool. False: no memory. */
bool waiting_add_file(struct waiting *w, const char *path);

/* Calls ended once for each job. CLI_OK when all have ended, CLI_TIMEOUT when timeout_ms passed before
 * (negative: no limit; it was said what is missing), or CLI_USAGE. */
int waiting_run(struct waiting *w, int64_t timeout_ms, ended_fn ended, void *arg);

#endif
