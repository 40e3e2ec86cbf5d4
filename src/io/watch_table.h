/* watch_table - which directory an inotify watch descriptor stands for. Used by watch alone. */
#ifndef FLOWSPOOL_IO_WATCH_TABLE_H
#define FLOWSPOOL_IO_WATCH_TABLE_H

#include <stddef.h>

struct watch_entry {
    int wd;     /* 0: free (the kernel counts from 1) */
    char *path; /* relative to the spool */
};
/* All zero is an empty table. */
struct watch_table {
    struct watch_entry *entries; /* open addressing; size is a power of two */
    size_t size, count;
};

const char *watch_table_find(const struct watch_table *t, int wd); /* NULL: unknown */
/* The descriptor of this directory; -1: unknown. Looks at every entry. */
int watch_table_find_path(const struct watch_table *t, const char *path);
/* Adds, or gives a known descriptor its directory's new path. 0 or -ENOMEM. */
int watch_table_put(struct watch_table *t, int wd, const char *path);
void watch_table_remove(struct watch_table *t, int wd);
/* Removes one entry whose path lies below dir and returns its descriptor; -1: there is none. *from starts at
 * 0. */
int watch_table_take_below(struct watch_table *t, const char *dir, size_t *from);
void watch_table_free(struct watch_table *t);

#endif
