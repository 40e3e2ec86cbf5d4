/* yamltree - YAML bytes to a bounded, read-only tree, by libyaml's event parser.
 *
 * The only module that sees libyaml. Job files, the configuration and the sandbox's workflow file
 * are all read through it, so that bounds and messages are the same everywhere:
 *  - UTF-8 with or without BOM; UTF-16 is refused by that name; NUL is refused;
 *  - nesting, anchors and nodes after alias expansion are bounded while parsing, so a bomb costs
 *    no more than the bound (an alias shares the node it names: the tree is a DAG, each visit counts);
 *  - duplicate keys, keys that are not scalars, merge keys (<<), unknown tags, recursive aliases
 *    and aliases to unknown anchors are faults with line and column;
 *  - what JSON allows inside quoted scalars and libyaml 0.2.5 refuses or folds (\ud83d\ude00 pairs,
 *    U+007F, C1 controls, U+0085, U+2028, U+2029, U+FEFF) comes through unchanged (yamlsource.h);
 *  - a stream that is one JSON text is read as JSON (yamljson.h), so that every JSON object is a
 *    document here, also where YAML has rules of its own (tabs, keys over 1,024 characters).
 * Pure: no file, no clock. Memory comes from one arena, freed in one call.
 */
#ifndef FLOWSPOOL_CORE_YAMLTREE_H
#define FLOWSPOOL_CORE_YAMLTREE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/fault.h"

enum yaml_kind { YAML_NODE_SCALAR, YAML_NODE_LIST, YAML_NODE_MAP };

/* The tag as written: none, or one of YAML's own. The non-specific "!" makes a scalar a string (STR) and
 * says nothing about a list or mapping; !!map and !!seq are COLLECTION. */
enum yaml_tag {
    YAML_TAG_NONE,
    YAML_TAG_STR,
    YAML_TAG_INT,
    YAML_TAG_FLOAT,
    YAML_TAG_BOOL,
    YAML_TAG_NULL,
    YAML_TAG_COLLECTION
};

struct yaml_node;
struct yaml_pair {
    const struct yaml_node *key; /* always a scalar */
    const struct yaml_node *value;
};
struct yaml_node {
    enum yaml_kind kind;
    enum yaml_tag tag;
    size_t line, column;
    /* scalar: */
    bool plain;       /* written without quotes and not as a block */
    const char *text; /* UTF-8, NUL-terminated, contains no NUL */
    size_t len;
    /* list and map: */
    size_t count;
    const struct yaml_node **items; /* list */
    const struct yaml_pair *pairs;  /* map, in written order */
};

struct yaml_limits {
    size_t max_depth;       /* 64: a scalar at the top has depth 1 */
    size_t max_anchors;     /* 1,000, per stream */
    size_t max_nodes;       /* 10,000, after alias expansion, per stream; keys and empty documents count */
    size_t max_alias_bytes; /* 1 MiB: text that aliases repeat, per stream */
};
extern const struct yaml_limits yaml_limits_default;

struct yaml_tree; /* owns every node */

/* Parses a whole stream. True: *out holds the tree (free it). False: *fault says why, *out is NULL.
 * Documents without content (empty, comments only, or a lone null) are not counted. */
bool yaml_tree_parse(const char *bytes, size_t len, const struct yaml_limits *limits, struct yaml_tree **out,
                     struct fault *fault);
size_t yaml_tree_documents(const struct yaml_tree *t);
const struct yaml_node *yaml_tree_document(const struct yaml_tree *t, size_t index);
void yaml_tree_free(struct yaml_tree *t);

/* The value of a key of a map, or NULL. */
const struct yaml_node *yaml_map_get(const struct yaml_node *map, const char *key);

#endif
