#include "core/yamlanchors.h"

#include <stdlib.h>
#include <string.h>

/* The place of name, or where it would go. */
static size_t place_of(const struct yaml_anchors *t, const char *name, bool *found)
{
    size_t low = 0, high = t->count;
    *found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(t->at[mid].name, name);
        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct yaml_anchor *yaml_anchors_find(const struct yaml_anchors *t, const char *name)
{
    bool found;
    size_t i = place_of(t, name, &found);
    return found ? &t->at[i] : NULL;
}

static bool make_room(struct yaml_anchors *t)
{
    if (t->count < t->capacity)
        return true;
    size_t capacity = t->capacity ? t->capacity * 2 : 16;
    struct yaml_anchor *at = reallocarray(t->at, capacity, sizeof *at);
    if (!at)
        return false;
    t->at = at;
    t->capacity = capacity;
    return true;
}

bool yaml_anchors_put(struct yaml_anchors *t, const struct yaml_anchor *anchor)
{
    bool found;
    size_t i = place_of(t, anchor->name, &found);
    if (!found) {
        if (!make_room(t))
            return false;
        memmove(t->at + i + 1, t->at + i, (t->count - i) * sizeof *t->at);
        t->count++;
    }
    t->at[i] = *anchor;
    return true;
}

void yaml_anchors_clear(struct yaml_anchors *t)
{
    t->count = 0;
}

void yaml_anchors_free(struct yaml_anchors *t)
{
    free(t->at);
    *t = (struct yaml_anchors){0};
}
