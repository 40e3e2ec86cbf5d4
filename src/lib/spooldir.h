/* spooldir - a spool's directories and the files in them, opened without ever following a link beneath it. */
#ifndef FLOWSPOOL_LIB_SPOOLDIR_H
#define FLOWSPOOL_LIB_SPOOLDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "flowspool/flowspool.h"

/* The directory itself, which may be reached by links: a descriptor for beneath_open(), or a negative errno.
 */
int spool_root(const char *spool, struct flowspool_error **error);

/* Reads a regular file whole: 0 and the malloc'd bytes with a NUL behind them, which *len does not count, or
 * a negative errno: -EFBIG when it has more than max bytes, -EINVAL when it is no regular file. */
int spool_read(int root, const char *path, size_t max, char **bytes, size_t *len);

#endif
