/* arena - memory that is freed in one call. Pure; not for growing things. */
#ifndef FLOWSPOOL_CORE_ARENA_H
#define FLOWSPOOL_CORE_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks; /* newest first; {0} is an empty arena */
    size_t next_size;
};

/* Aligned for any object; NULL when out of memory. */
void *arena_alloc(struct arena *a, size_t size);
/* A copy of a string; likewise. */
char *arena_copy(struct arena *a, const char *text);
void arena_free(struct arena *a);

#endif
