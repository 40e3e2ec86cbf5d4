#include "core/arena.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST ((size_t)4096)
#define CHUNK_MOST  ((size_t)256 * 1024)
#define ALIGNMENT   _Alignof(max_align_t)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used;
    max_align_t bytes[];
};

static struct arena_chunk *add_chunk(struct arena *a, size_t size)
{
    size_t room = a->next_size ? a->next_size : CHUNK_FIRST;
    if (room < size)
        room = size;
    struct arena_chunk *chunk = malloc(sizeof *chunk + room);
    if (!chunk)
        return NULL;
    chunk->size = room;
    chunk->used = 0;
    /* A large object gets a chunk of its own behind the current one, whose rest stays in use. */
    if (room == size && a->chunks) {
        chunk->next = a->chunks->next;
        a->chunks->next = chunk;
        return chunk;
    }
    chunk->next = a->chunks;
    a->chunks = chunk;
    a->next_size = room * 2 < CHUNK_MOST ? room * 2 : CHUNK_MOST;
    return chunk;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    struct arena_chunk *chunk = a->chunks;
    if (!chunk || chunk->size - chunk->used < size)
        chunk = add_chunk(a, size);
    if (!chunk)
        return NULL;
    void *p = (char *)chunk->bytes + chunk->used;
    chunk->used += size;
    return p;
}

char *arena_copy(struct arena *a, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(a, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void arena_free(struct arena *a)
{
    while (a->chunks) {
        struct arena_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
    a->next_size = 0;
}
