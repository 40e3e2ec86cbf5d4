#include "io/watch_table.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The kernel hands descriptors out in sequence: multiplying spreads them. */
static size_t home_of(const struct watch_table *t, int wd)
{
    return ((uint32_t)wd * UINT32_C(2654435769)) & (t->size - 1);
}

/* The entry of wd, or the free one where it would go. The table is never full. */
static struct watch_entry *slot_of(const struct watch_table *t, int wd)
{
    size_t i = home_of(t, wd);
    while (t->entries[i].wd != 0 && t->entries[i].wd != wd)
        i = (i + 1) & (t->size - 1);
    return &t->entries[i];
}

const char *watch_table_find(const struct watch_table *t, int wd)
{
    return t->size && wd > 0 ? slot_of(t, wd)->path : NULL;
}

int watch_table_find_path(const struct watch_table *t, const char *path)
{
    for (size_t i = 0; i < t->size; i++)
        if (t->entries[i].wd != 0 && strcmp(t->entries[i].path, path) == 0)
            return t->entries[i].wd;
    return -1;
}

static int grow(struct watch_table *t)
{
    struct watch_table bigger = {.size = t->size ? t->size * 2 : 16, .count = t->count};
    bigger.entries = calloc(bigger.size, sizeof *bigger.entries);
    if (!bigger.entries)
        return -ENOMEM;
    for (size_t i = 0; i < t->size; i++)
        if (t->entries[i].wd != 0)
            *slot_of(&bigger, t->entries[i].wd) = t->entries[i];
    free(t->entries);
    *t = bigger;
    return 0;
}

int watch_table_put(struct watch_table *t, int wd, const char *path)
{
    if ((t->count + 1) * 2 > t->size && grow(t) != 0)
        return -ENOMEM;
    struct watch_entry *e = slot_of(t, wd);
    if (e->path && strcmp(e->path, path) == 0)
        return 0;
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    t->count += e->wd == 0;
    free(e->path);
    *e = (struct watch_entry){.wd = wd, .path = copy};
    return 0;
}

/* Leaves no hole between an entry and its home: later ones move up. */
static void remove_slot(struct watch_table *t, size_t hole)
{
    size_t mask = t->size - 1;
    free(t->entries[hole].path);
    t->count--;
    for (size_t i = (hole + 1) & mask; t->entries[i].wd != 0; i = (i + 1) & mask) {
        size_t home = home_of(t, t->entries[i].wd);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        t->entries[hole] = t->entries[i];
        hole = i;
    }
    t->entries[hole] = (struct watch_entry){0};
}

void watch_table_remove(struct watch_table *t, int wd)
{
    if (watch_table_find(t, wd))
        remove_slot(t, (size_t)(slot_of(t, wd) - t->entries));
}

int watch_table_take_below(struct watch_table *t, const char *dir, size_t *from)
{
    size_t len = strlen(dir);
    for (; *from < t->size; ++*from) {
        const struct watch_entry *e = &t->entries[*from];
        if (e->wd == 0 || strncmp(e->path, dir, len) != 0 || e->path[len] != '/')
            continue;
        int wd = e->wd;
        remove_slot(t, *from); /* another may have moved here: *from stays */
        return wd;
    }
    return -1;
}

void watch_table_free(struct watch_table *t)
{
    for (size_t i = 0; i < t->size; i++)
        free(t->entries[i].path);
    free(t->entries);
    *t = (struct watch_table){0};
}
