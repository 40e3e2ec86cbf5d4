#include "daemon/pathmap.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare_paths(const void *a, const void *b)
{
    const struct path_entry *x = a;
    const struct path_entry *y = b;
    return strcmp(x->path, y->path);
}

struct path_entry *pathmap_find(const struct pathmap *m, const char *path)
{
    union {
        const char *in;
        char *out;
    } borrowed = {.in = path}; /* the key is only read */
    struct path_entry key = {.path = borrowed.out};
    void *node = tfind(&key, (void *const *)&m->tree, compare_paths);
    return node == NULL ? NULL : *(struct path_entry **)node;
}

struct path_entry *pathmap_add(struct pathmap *m, const char *path)
{
    struct path_entry *e = pathmap_find(m, path);
    if (e != NULL)
        return e;
    e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->path = strdup(path);
    if (e->path == NULL || tsearch(e, &m->tree, compare_paths) == NULL) {
        free(e->path);
        free(e);
        return NULL;
    }
    e->next = m->first;
    if (m->first != NULL)
        m->first->prev = e;
    m->first = e;
    m->count++;
    return e;
}

void pathmap_remove(struct pathmap *m, struct path_entry *e)
{
    tdelete(e, &m->tree, compare_paths);
    if (e->prev != NULL)
        e->prev->next = e->next;
    else
        m->first = e->next;
    if (e->next != NULL)
        e->next->prev = e->prev;
    m->count--;
    free(e->files);
    free(e->path);
    free(e);
}

void pathmap_clear(struct pathmap *m)
{
    while (m->first != NULL)
        pathmap_remove(m, m->first);
}
