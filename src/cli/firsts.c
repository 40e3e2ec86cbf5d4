#include "cli/firsts.h"

#include <stdlib.h>
#include <string.h>

/* A power of two; three quarters of the largest hold FIRSTS_MAX. */
#define ROOM_FIRST 1024
#define ROOM_MOST  ((size_t)4 << 20)
_Static_assert(FIRSTS_MAX <= ROOM_MOST / 4 * 3, "a table with empty slots");

struct firsts_slot {
    uint64_t key;  /* the digest's beginning; the whole of it stands before the name */
    int64_t place; /* of that in the file, from 1; 0: empty */
};

static uint64_t key_of(const char digest[DIGEST_HEX])
{
    char begin[17];
    memcpy(begin, digest, 16);
    begin[16] = '\0';
    return strtoull(begin, NULL, 16);
}

static void put(struct firsts_slot *slots, size_t room, struct firsts_slot slot)
{
    size_t at = (size_t)slot.key & (room - 1);
    while (slots[at].place != 0)
        at = (at + 1) & (room - 1);
    slots[at] = slot;
}

static bool resize(struct firsts *f, size_t room)
{
    struct firsts_slot *slots = calloc(room, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < f->room; i++)
        if (f->slots[i].place != 0)
            put(slots, room, f->slots[i]);
    free(f->slots);
    f->slots = slots;
    f->room = room;
    return true;
}

bool firsts_open(struct firsts *f)
{
    *f = (struct firsts){0};
    return spill_open(&f->names) && resize(f, ROOM_FIRST);
}

void firsts_close(struct firsts *f)
{
    spill_close(&f->names);
    free(f->slots);
    *f = (struct firsts){0};
}

/* The name behind this digest, malloc'd, or NULL; false: it could not be read. */
static bool find(struct firsts *f, const char digest[DIGEST_HEX], char **first)
{
    const uint64_t key = key_of(digest);
    *first = NULL;
    for (size_t at = (size_t)key & (f->room - 1); f->slots[at].place != 0; at = (at + 1) & (f->room - 1)) {
        if (f->slots[at].key != key)
            continue;
        char *record = spill_get(&f->names, f->slots[at].place - 1);
        if (record == NULL)
            return false;
        bool same = strncmp(record, digest, DIGEST_HEX - 1) == 0;
        if (same)
            *first = strdup(record + DIGEST_HEX - 1);
        free(record);
        if (same)
            return *first != NULL;
    }
    return true;
}

static bool remember(struct firsts *f, const char digest[DIGEST_HEX], const char *name)
{
    if (f->count == FIRSTS_MAX) {
        f->full = true;
        return true;
    }
    if (f->count >= f->room / 4 * 3 && !resize(f, f->room * 2))
        return false;
    int64_t place = spill_add_two(&f->names, digest, name);
    if (place < 0)
        return false;
    put(f->slots, f->room, (struct firsts_slot){key_of(digest), place + 1});
    f->count++;
    return true;
}

bool firsts_see(struct firsts *f, const char digest[DIGEST_HEX], const char *name, char **first)
{
    if (!find(f, digest, first))
        return false;
    return *first != NULL || remember(f, digest, name);
}
