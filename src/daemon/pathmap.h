/* pathmap - a bounded set of records by path: a tsearch(3) tree with a list through it. */
#ifndef FLOWSPOOL_DAEMON_PATHMAP_H
#define FLOWSPOOL_DAEMON_PATHMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/spool.h"

/* A path that is not yet complete, or whose look is still on its way to the store. */
struct path_entry {
    char *path;
    struct spool_stat seen; /* as of since_ms */
    int64_t since_ms;       /* unchanged since then, by our clock */
    int64_t due_ms;         /* look again */
    int64_t delay_ms;       /* of the last look that met an outcome being written */
    unsigned in_vain;       /* looks that could not read it, or met a writer */
    bool arrived;           /* renamed or linked in: complete by itself */
    bool again;             /* a hint came while its look was on its way */
    bool force;             /* look even when nothing seems changed */
    int64_t *files;         /* owned: known files that its write on the way to the store changes */
    size_t nfiles;
    uint64_t met; /* in intake's map of what was told: the pass that met it last */
    struct path_entry *prev, *next;
};

struct pathmap {
    void *tree;
    struct path_entry *first;
    size_t count;
};

struct path_entry *pathmap_find(const struct pathmap *m, const char *path);
/* Finds or adds; NULL: no memory. */
struct path_entry *pathmap_add(struct pathmap *m, const char *path);
void pathmap_remove(struct pathmap *m, struct path_entry *e);
void pathmap_clear(struct pathmap *m);

#endif
