/* chosen - the jobs that words mean (select.h), found in the state.
 *
 * A word that is a path, a name or an outcome file is looked up; for a glob or a digest every job has to be
 * looked at.
 */
#ifndef FLOWSPOOL_CLI_CHOSEN_H
#define FLOWSPOOL_CLI_CHOSEN_H

#include "cli/select.h"
#include "io/store.h"

struct chosen_file;
struct chosen {
    struct store *store;
    struct selection *words;
    struct chosen_file *files; /* what was looked up */
    size_t count;
    bool looked_up; /* every word was; else each job has to be looked at */
    bool no_memory;
};

/* Afterwards words[].best says of each word whether it means any job, and select_check() complains. False: no
 * memory, or store_error(). */
bool chosen_open(struct chosen *c, struct store *s, struct selection *words);
void chosen_close(struct chosen *c);

/* Each job once, in the order of their files; then each file that is refused because its outcome's name is
 * taken or impossible. Returning false ends it. */
struct chosen_take {
    bool (*job)(void *arg, const struct job_row *r);
    bool (*refused)(void *arg, const struct file_row *f);
    void *arg;
};
/* False as above, not when a callback ended it. */
bool chosen_each(struct chosen *c, const struct chosen_take *take);
/* All refused files, page by page. */
bool chosen_refused(struct store *s, bool (*refused)(void *arg, const struct file_row *f), void *arg);

#endif
