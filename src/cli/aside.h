/* aside - output that is written to a file of its own first, and to stdout when all has been read: while rows
 * are read, the state's log cannot shrink, and a pager may stand still for a night. */
#ifndef FLOWSPOOL_CLI_ASIDE_H
#define FLOWSPOOL_CLI_ASIDE_H

#include <stdbool.h>
#include <stdio.h>

/* NULL: it was said why. */
FILE *aside_open(void);
/* To stdout, unless it is not wanted; closes. False: not all of it could be written or read again. */
bool aside_close(FILE *aside, bool wanted);

#endif
