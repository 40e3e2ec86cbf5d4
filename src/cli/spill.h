/* spill - texts in a temporary file, so that a million of them need no memory. */
#ifndef FLOWSPOOL_CLI_SPILL_H
#define FLOWSPOOL_CLI_SPILL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct spill {
    FILE *file;
    int64_t size;
    bool reading; /* something was read since it was written to */
};

/* False: no temporary file. */
bool spill_open(struct spill *s);
void spill_close(struct spill *s);
/* Where the text is now; -1: it could not be written. */
int64_t spill_add(struct spill *s, const char *text);
/* Two texts as one. */
int64_t spill_add_two(struct spill *s, const char *text, const char *more);
/* The text at that place, malloc'd; NULL: no memory, or it could not be read. */
char *spill_get(struct spill *s, int64_t at);

#endif
