/* store_edit - small values and orders about jobs, written by the operator's command while no daemon runs.
 *
 * Takes the daemon's lock (state_dir/lock) meanwhile, so that a daemon that starts just then says so and
 * ends, and never makes a state: where no daemon has run there is nothing to change. Not for a process that
 * has the state open already (see store.h).
 */
#ifndef FLOWSPOOL_IO_STORE_EDIT_H
#define FLOWSPOOL_IO_STORE_EDIT_H

#include "io/store.h"

enum store_edit_rc {
    STORE_EDIT_OK,     /* durable */
    STORE_EDIT_LOCKED, /* a daemon has the state */
    STORE_EDIT_ABSENT, /* there is no state */
    STORE_EDIT_FAILED, /* unusable, newer, no permission, disk full; nothing is known to be changed */
};

/* edit() reads, and calls store_set() and store_jobs_mark() only; false: change nothing (it has set the
 * message). What it queued is durable when this returns. The message is for all but OK. */
typedef bool (*store_edit_fn)(void *arg, struct store *s, char *message, size_t size);
enum store_edit_rc store_edit(const char *dir, store_edit_fn edit, void *arg, char *message, size_t size);

#endif
