/* firsts - which of a million names had this digest first.
 *
 * Names lie in a temporary file, so that one takes some 20 bytes of memory; beyond FIRSTS_MAX of them nothing
 * new is remembered.
 */
#ifndef FLOWSPOOL_CLI_FIRSTS_H
#define FLOWSPOOL_CLI_FIRSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/spill.h"
#include "core/digest.h"

#define FIRSTS_MAX 3000000

struct firsts {
    struct spill names;
    struct firsts_slot *slots;
    size_t count, room;
    bool full; /* some were not remembered */
};

bool firsts_open(struct firsts *f);
void firsts_close(struct firsts *f);
/* *first: whose digest it was before, malloc'd, or NULL: this one is remembered. False: no memory, or no room
 * for the temporary file. */
bool firsts_see(struct firsts *f, const char digest[DIGEST_HEX], const char *name, char **first);

#endif
