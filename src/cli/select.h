/* select - which jobs an operator means.
 *
 * A word names jobs by the first of these that fits any job (enum select_rank): the path of the job file or
 * of one of its outcome files, relative to the spool or absolute, then as seen from the current directory; a
 * glob over paths relative to the spool, '*' not crossing '/'; the name without its ending, which for a file
 * of several documents names one of them (NAME.ID); six or more digits that begin the request's digest.
 *
 * What fits best is only known when all jobs have been seen: first select_see() for every job, then
 * select_check(), then select_job() for every job.
 */
#ifndef FLOWSPOOL_CLI_SELECT_H
#define FLOWSPOOL_CLI_SELECT_H

#include <stdbool.h>
#include <stddef.h>

#include "io/store.h"

enum select_rank { SELECT_PATH, SELECT_HERE, SELECT_GLOB, SELECT_STEM, SELECT_DIGEST, SELECT_NOTHING };

struct select_word {
    const char *given; /* as typed */
    const char *text;  /* relative to the spool */
    char *here;        /* the same, when taken from the current directory it lies in the spool; or NULL */
    enum select_rank best;
    bool ambiguous; /* as a digest: begins different ones */
    char digest[DIGEST_HEX];
};

struct selection {
    struct select_word *words;
    size_t count;
};

/* words live as long as argv and spool. False: no memory. */
bool select_open(struct selection *s, char *const *argv, size_t count, const char *spool);
void select_close(struct selection *s);
void select_see(struct selection *s, const struct job_row *r);
/* Says which words fit nothing, or begin more than one digest; false when there is one. */
bool select_check(const struct selection *s);
bool select_check_word(const struct select_word *w);
/* Whether the job is meant (no words: every job), and by which word: NULL or the first. */
bool select_job(const struct selection *s, const struct job_row *r, const struct select_word **by);

#endif
