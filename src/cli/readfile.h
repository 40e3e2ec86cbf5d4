/* readfile - all of a file or of standard input, for subcommands that take one. */
#ifndef FLOWSPOOL_CLI_READFILE_H
#define FLOWSPOOL_CLI_READFILE_H

#include <stdbool.h>
#include <stddef.h>

/* What no spool takes as a job, whatever its max_job_size. */
#define READ_FILE_MAX ((size_t)64 << 20)

/* name "-": standard input. The malloc'd bytes with a NUL behind them, which *len does not count; NULL: it
 * was said why. */
char *read_file(const char *name, size_t *len);

#endif
