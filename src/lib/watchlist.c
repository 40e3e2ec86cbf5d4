#include "lib/watchlist.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a */
static size_t bucket_of(const struct watchlist *l, const char *stem, size_t len)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)stem[i]) * UINT64_C(1099511628211);
    return (size_t)(hash % l->nbuckets);
}

struct watched *watchlist_find(const struct watchlist *l, const char *stem, size_t len)
{
    if (l->nbuckets == 0)
        return NULL;
    struct watched *w = l->buckets[bucket_of(l, stem, len)];
    while (w && (strncmp(w->stem, stem, len) != 0 || w->stem[len] != '\0'))
        w = w->next;
    return w;
}

static void insert(struct watchlist *l, struct watched *entry)
{
    struct watched **bucket = &l->buckets[bucket_of(l, entry->stem, strlen(entry->stem))];
    entry->next = *bucket;
    *bucket = entry;
}

static bool grow(struct watchlist *l)
{
    struct watchlist grown = {.nbuckets = l->nbuckets == 0 ? 64 : l->nbuckets * 2};
    grown.buckets = calloc(grown.nbuckets, sizeof(struct watched *));
    if (!grown.buckets)
        return false;
    for (size_t i = 0; i < l->nbuckets; i++)
        for (struct watched *w = l->buckets[i], *next; w; w = next) {
            next = w->next;
            insert(&grown, w);
        }
    free(l->buckets);
    l->buckets = grown.buckets;
    l->nbuckets = grown.nbuckets;
    return true;
}

bool watchlist_add(struct watchlist *l, struct watched *entry)
{
    if (l->count >= l->nbuckets && !grow(l))
        return false;
    insert(l, entry);
    l->count++;
    entry->dir->jobs++;
    return true;
}

void watchlist_remove(struct watchlist *l, struct watched *entry)
{
    struct watched **at = &l->buckets[bucket_of(l, entry->stem, strlen(entry->stem))];
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    l->count--;
    entry->dir->jobs--;
}

void watchlist_free(struct watchlist *l)
{
    for (size_t i = 0; i < l->nbuckets; i++)
        for (struct watched *w = l->buckets[i], *next; w; w = next) {
            next = w->next;
            watched_free(w);
        }
    free(l->buckets);
    *l = (struct watchlist){0};
}

void watchlist_mark(struct watchlist *l, struct watched *entry)
{
    if (entry->due)
        return;
    entry->due = true;
    entry->next_due = NULL;
    if (l->due)
        l->last_due->next_due = entry;
    else
        l->due = entry;
    l->last_due = entry;
}

void watchlist_mark_all(struct watchlist *l, const struct watchdir *dir)
{
    for (size_t i = 0; i < l->nbuckets; i++)
        for (struct watched *w = l->buckets[i]; w; w = w->next)
            if (!dir || w->dir == dir)
                watchlist_mark(l, w);
}

struct watched *watchlist_next_due(struct watchlist *l)
{
    struct watched *entry = l->due;
    if (!entry)
        return NULL;
    l->due = entry->next_due;
    entry->due = false;
    return entry;
}

void watched_free(struct watched *entry)
{
    free(entry->job);
    free(entry->stem);
    free(entry);
}
