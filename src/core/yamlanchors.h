/* yamlanchors - the anchors of one YAML document by name, and what an alias to each costs.
 * Part of yamltree: a sorted table, so that aliases are cheap however many anchors there are.
 */
#ifndef FLOWSPOOL_CORE_YAMLANCHORS_H
#define FLOWSPOOL_CORE_YAMLANCHORS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/yamltree.h"

/* What a subtree costs when it is visited through an alias. */
struct yaml_extent {
    size_t nodes, text, height;
};

struct yaml_anchor {
    const char *name; /* borrowed: it has to live as long as the table */
    const struct yaml_node *node;
    struct yaml_extent extent;
    bool open; /* its collection is not complete yet: an alias to it would be a cycle */
};

struct yaml_anchors {
    struct yaml_anchor *at; /* sorted by name; {0} is an empty table */
    size_t count, capacity;
};

/* NULL when the name is not there; valid until the next yaml_anchors_put(). */
struct yaml_anchor *yaml_anchors_find(const struct yaml_anchors *t, const char *name);

/* A name may be used again: from there on it means the later node. False: out of memory. */
bool yaml_anchors_put(struct yaml_anchors *t, const struct yaml_anchor *anchor);

void yaml_anchors_clear(struct yaml_anchors *t);
void yaml_anchors_free(struct yaml_anchors *t);

#endif
