/* watchlist - the jobs a watch waits for: found by stem, with those apart that are to be looked at. */
#ifndef FLOWSPOOL_LIB_WATCHLIST_H
#define FLOWSPOOL_LIB_WATCHLIST_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/jobname.h"

/* A directory in which outcomes are awaited. */
struct watchdir {
    char *path; /* relative to the spool, "": the spool itself */
    int wd;     /* -1: no events come from it */
    size_t jobs;
};

struct watched {
    char *job;  /* as the caller named it */
    char *stem; /* of its outcome */
    enum jobname_kind kind;
    struct watchdir *dir;
    bool due;
    struct watched *next_due, *next; /* in its bucket */
};

/* {0} is empty. */
struct watchlist {
    struct watched **buckets;
    size_t nbuckets, count;
    struct watched *due, *last_due;
};

struct watched *watchlist_find(const struct watchlist *l, const char *stem, size_t len);
/* Takes the entry, whose stem is not there yet. False: no memory, nothing was taken. */
bool watchlist_add(struct watchlist *l, struct watched *entry);
/* Only the one that watchlist_next_due() gave last, or any that is not due. */
void watchlist_remove(struct watchlist *l, struct watched *entry);
void watchlist_free(struct watchlist *l);

void watchlist_mark(struct watchlist *l, struct watched *entry);
/* dir NULL: all. */
void watchlist_mark_all(struct watchlist *l, const struct watchdir *dir);
/* Is not due any more; NULL: none is. */
struct watched *watchlist_next_due(struct watchlist *l);

void watched_free(struct watched *entry);

#endif
