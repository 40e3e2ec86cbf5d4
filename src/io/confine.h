/* confine - gives up, for good, what this process will not need: Landlock for files, seccomp for system
 * calls.
 *
 * Called once, before there is any other thread. What the kernel lacks is left out: this hardens against what
 * nobody knows of yet, and is no condition for running.
 *
 * Files: everything may be read that lies beneath one of the readable paths, or where a libc, its resolver,
 * and TLS look (/etc, /usr, /run/systemd, ...); only beneath the writable ones can files be made or changed.
 * Nothing can be executed. Paths that are not there are passed over. What is open already stays usable.
 * Kernels before 5.19 are taken as having no Landlock: theirs forbids every rename between directories.
 *
 * Calls: a list of what is refused with EPERM, not of what is allowed. A libc, curl or SQLite that is updated
 * may use other calls tomorrow, and a daemon must not die of that at night with paid replies in memory; what
 * an intruder wants (programs, other processes, namespaces, mounts, modules, keys, clocks, other users, raw
 * sockets) changes slowly. Calls of another architecture end the process.
 */
#ifndef FLOWSPOOL_IO_CONFINE_H
#define FLOWSPOOL_IO_CONFINE_H

#include <stddef.h>

struct confine {
    const char *const *writable; /* directories; NULL entries are passed over, in both */
    size_t nwritable;
    const char *const *readable; /* files or directories */
    size_t nreadable;
};

#define CONFINE_WORDS 160
/* words: what holds now, for people. */
void confine_self(const struct confine *c, char words[CONFINE_WORDS]);

#endif
