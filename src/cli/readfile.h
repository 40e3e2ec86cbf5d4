/* readfile - all of a file or of standard input, for subcommands that take one. */
#ifndef FLOWSPOOL_CLI_READFILE_H
#define FLOWSPOOL_CLI_READFILE_H

#include <stdbool.h>
#include <stddef.h>

/* name "-": standard input. At most JOB_FILE_MAX: more no spool takes as a job. The malloc'd bytes with a NUL
 * behind them, which *len does not count; NULL: it was said why. */
char *read_file(const char *name, size_t *len);

#endif
