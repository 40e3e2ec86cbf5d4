/* state_dir - the directory that holds state, lock, control socket, spilled replies and superseded results.
 *
 * Mode 0700 (0750 with state_group), with a .gitignore of * when it lies inside the spool. It must be on
 * a local file system, because the lock and the database rely on it. The lock file is never deleted: a
 * deleted lock file would let two daemons hold "the" lock.
 */
#ifndef FLOWSPOOL_DAEMON_STATE_DIR_H
#define FLOWSPOOL_DAEMON_STATE_DIR_H

#include <stddef.h>
#include <sys/types.h>

#include "io/config.h"

struct state_dir {
    char *path, *replies, *superseded;
    int lock_fd; /* flock(2) is held as long as it is open */
    gid_t group; /* (gid_t)-1: none */
};

/* -1: nothing speaks against it as far as can be told without making it. Else as state_dir_open(). */
int state_dir_check(const struct config *c, char *message, size_t size);
/* -1: open and locked. Else the exit status and a message: 2 (not usable), 4 (another daemon holds it). */
int state_dir_open(const struct config *c, struct state_dir *out, char *message, size_t size);
void state_dir_close(struct state_dir *s);

#endif
