/* select - which jobs an operator means.
 *
 * A word names jobs by the first of these that it can be: the path of the job file or of one of its outcome
 * files, relative to the spool (or absolute, in it); a glob over such paths, '*' not crossing '/'; the name
 * without its ending, which for a file of several documents names one of them (NAME.ID); six or more digits
 * that begin the request's digest.
 */
#ifndef FLOWSPOOL_CLI_SELECT_H
#define FLOWSPOOL_CLI_SELECT_H

#include <stdbool.h>
#include <stddef.h>

#include "io/store.h"

struct select_word {
    const char *given; /* as typed */
    const char *text;  /* relative to the spool */
    size_t matched;    /* jobs so far */
    bool is_glob;
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
/* Whether the job is meant (no words: every job), and by which word: NULL or the first. */
bool select_job(struct selection *s, const struct job_row *r, const struct select_word **by);
/* Says which words matched nothing, or more than one digest; false when there is one. */
bool select_check(const struct selection *s);

#endif
