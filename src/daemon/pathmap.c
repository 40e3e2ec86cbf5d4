#include "daemon/pathmap.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

bool job_set_add(struct job_set *s, int64_t job)
{
    size_t at = s->count;
    while (at > 0 && s->ids[at - 1] > job) /* they come in order, nearly always */
        at--;
    if (at > 0 && s->ids[at - 1] == job)
        return true;
    if (s->count == s->room) {
        size_t room = s->room == 0 ? 4 : s->room * 2;
        int64_t *grown = reallocarray(s->ids, room, sizeof *grown);
        if (grown == NULL)
            return false;
        s->ids = grown;
        s->room = room;
    }
    memmove(s->ids + at + 1, s->ids + at, (s->count - at) * sizeof *s->ids);
    s->ids[at] = job;
    s->count++;
    return true;
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

bool job_set_has(const struct job_set *s, int64_t job)
{
    return s->count > 0 && bsearch(&job, s->ids, s->count, sizeof *s->ids, compare_ids) != NULL;
}

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
    free(e->retry.ids);
    free(e->path);
    free(e);
}

void pathmap_clear(struct pathmap *m)
{
    while (m->first != NULL)
        pathmap_remove(m, m->first);
}
