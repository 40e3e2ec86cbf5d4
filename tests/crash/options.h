/* options - what of it all is to be swept. */
#ifndef FLOWSPOOL_CRASH_OPTIONS_H
#define FLOWSPOOL_CRASH_OPTIONS_H

#include <stdbool.h>

#include "disk.h"
#include "promises.h"

struct options {
    const char *daemon;
    const struct scenario *only; /* NULL: all */
    bool policies[2];
    enum disk_kind kind;
    unsigned long from, to, stride;
    bool pairs; /* the start after it is struck too */
    unsigned long again_from, again_to, again_stride;
    unsigned workers, seconds; /* seconds: for each sweep; 0: until it is through */
    unsigned long seed;
    bool first; /* end at the first breach */
    bool list;
};

/* Returns an exit status, or -1 to go on. */
int options_parse(int argc, char **argv, struct options *o);

#endif
