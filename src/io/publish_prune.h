/* publish_prune - removes superseded results, for good.
 *
 * Of DIR only regular files directly in it whose names end as those that publish puts there (.result.json,
 * .error.json and their bodies); links, directories, temporaries and anything else stay. That a job was
 * bought is kept in the state, not here. For the daemon on the publisher's thread, and for the command while
 * it has the lock of a state that no daemon holds.
 */
#ifndef FLOWSPOOL_IO_PUBLISH_PRUNE_H
#define FLOWSPOOL_IO_PUBLISH_PRUNE_H

#include "io/publish.h"

/* Adds to *out what went (dry_run: would go); before_ms: only what was written before, Unix ms, 0: all. At
 * most some thousand files, then out->more is set; a dry run counts all. 0, also without such a directory, or
 * the negative errno of what could not be removed. */
int publish_prune_dir(const char *dir, int64_t before_ms, bool dry_run, struct publish_pruned *out);

#endif
