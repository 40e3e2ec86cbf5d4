/* spool - the job files as the file system shows them: listing, safe opening, completeness.
 *
 * Reads only; the job files are never touched. Paths are relative to the spool; '..' and links are never
 * followed (openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, else component by component).
 */
#ifndef FLOWSPOOL_IO_SPOOL_H
#define FLOWSPOOL_IO_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/filesig.h"

struct spool;

struct spool_stat {
    uint64_t dev, ino;
    int64_t size, mtime_ns, ctime_ns, btime_ns; /* btime 0: unknown */
    uint32_t uid, gid, mode, nlink;
};
/* What of it the state remembers. */
struct file_sig spool_sig(const struct spool_stat *st);

int spool_open(struct spool **out, const char *dir); /* negative errno */
void spool_close(struct spool *s);
int spool_fd(const struct spool *s); /* the directory; for publish */
/* The directory is still reachable under its path (not renamed, not unmounted). */
bool spool_still_there(const struct spool *s);
bool spool_is_network(const struct spool *s, const char **kind);

/* One pass over the spool in bounded steps. Directories are entered only with recursive; a directory that
 * holds a .flowspool of its own is another spool and is skipped. Each listed directory is reported when it
 * was read to its end without an error (only then may its missing files be believed missing). */
struct spool_scan;
enum scan_item {
    SCAN_FILE,    /* a job file or NAME.yaml.hold by name; regular by d_type or fstatat */
    SCAN_IGNORED, /* job-like, but ignored: a symlink, NAME.yaml.txt, a directory without recursive: note says
                     why */
    SCAN_OTHER_SPOOL, /* path: a directory that is another spool; likewise */
    SCAN_DIR_ENTER,   /* path: a directory about to be listed ("" for the spool): watch it now */
    SCAN_DIR_DONE,    /* path: listed completely */
    SCAN_DIR_FAILED,  /* path: could not be listed; err */
    SCAN_TEMP,        /* one of our temporaries (.flowspool.XXXXXX) */
};
typedef void (*spool_scan_fn)(void *arg, enum scan_item item, const char *path, const char *note, int err);
int spool_scan_begin(struct spool *s, bool recursive, struct spool_scan **out);
/* Reports at most about max items; 1: more to come, 0: finished, negative errno: the spool itself cannot be
 * listed. */
int spool_scan_step(struct spool_scan *c, size_t max, spool_scan_fn fn, void *arg);
void spool_scan_end(struct spool_scan *c);

/* lstat beneath the spool; -ENOENT, -ELOOP (a link), -EINVAL (not a regular file), ... */
int spool_stat(struct spool *s, const char *path, struct spool_stat *out);
/* Reads a whole regular file once; bytes malloc'd with a NUL after them. *st is of the opened descriptor,
 * taken after the read; -EAGAIN: it changed while it was read. -EFBIG: larger than max. *writer: a writer has
 * it open (F_SETLEASE) - false where the kernel cannot tell. */
int spool_read(struct spool *s, const char *path, int64_t max, char **bytes, size_t *len,
               struct spool_stat *st, bool *writer);
/* Reads an outcome file that lies beside a job (no cap but max). */
int spool_read_outcome(struct spool *s, const char *path, int64_t max, char **bytes, size_t *len);
/* A quick count, to notice a lost state: job files (at most `enough` are counted) and whether any outcome
 * file lies there. */
void spool_census(struct spool *s, bool recursive, size_t enough, size_t *jobs, bool *outcomes);
/* Removes a temporary of ours. */
int spool_sweep(struct spool *s, const char *path);
/* Something other than a directory has this name: 1, not: 0; a negative errno when that cannot be told. */
int spool_exists(struct spool *s, const char *path);
/* A directory on the way to path is another spool (it has a .flowspool), as for a scan: 1, not: 0, negative
 * errno. */
int spool_in_other(struct spool *s, const char *path);
/* What spool_stat() says of a name that is not there, or that is no regular file; any other error leaves that
 * open. */
bool spool_is_gone(int err);

#endif
