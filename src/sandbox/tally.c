#include "sandbox/tally.h"

#include <stdlib.h>
#include <string.h>

void tally_init(struct tally *t, size_t bound)
{
    *t = (struct tally){.bound = bound};
}

void tally_clear(struct tally *t)
{
    for (size_t i = 0; i < t->room; i++) {
        free(t->slots[i]);
    }
    free(t->slots);
    tally_init(t, t->bound);
}

/* FNV-1a */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static struct tally_entry **slot_of(struct tally_entry **slots, size_t room, uint64_t hash,
                                    const char *workflow, const char *digest)
{
    size_t i = (size_t)hash & (room - 1);
    while (slots[i] && (slots[i]->hash != hash || strcmp(slots[i]->digest, digest) != 0 ||
                        strcmp(slots[i]->workflow, workflow) != 0)) {
        i = (i + 1) & (room - 1);
    }
    return &slots[i];
}

static bool grow(struct tally *t)
{
    size_t room = t->room ? 2 * t->room : 64;
    struct tally_entry **slots = calloc(room, sizeof(struct tally_entry *));
    if (!slots) {
        return false;
    }
    for (size_t i = 0; i < t->room; i++) {
        struct tally_entry *e = t->slots[i];
        if (e) {
            *slot_of(slots, room, e->hash, e->workflow, e->digest) = e;
        }
    }
    free(t->slots);
    t->slots = slots;
    t->room = room;
    return true;
}

static struct tally_entry *make_entry(const char *workflow, const char *digest, uint64_t hash)
{
    size_t size = strlen(workflow) + 1;
    struct tally_entry *e = calloc(1, sizeof *e + size);
    if (!e) {
        return NULL;
    }
    e->hash = hash;
    memcpy(e->workflow, workflow, size);
    memcpy(e->digest, digest, strnlen(digest, DIGEST_HEX - 1));
    return e;
}

struct tally_entry *tally_entry(struct tally *t, const char *workflow, const char *digest)
{
    if (t->room == 0 && !grow(t)) {
        return NULL;
    }
    uint64_t hash = hash_text(hash_text(UINT64_C(0xcbf29ce484222325), workflow), digest);
    hash ^= hash >> 32;
    struct tally_entry **slot = slot_of(t->slots, t->room, hash, workflow, digest);
    if (*slot) {
        return *slot;
    }
    if (t->count >= t->bound || (t->count >= t->room / 2 && !grow(t))) {
        t->dropped++;
        return NULL;
    }
    slot = slot_of(t->slots, t->room, hash, workflow, digest);
    *slot = make_entry(workflow, digest, hash);
    if (!*slot) {
        t->dropped++;
        return NULL;
    }
    t->count++;
    return *slot;
}
