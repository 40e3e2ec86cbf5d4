#include "core/yamlbuild.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/utf8.h"
#include "core/yamlanchors.h"

const struct yaml_limits yaml_limits_default = {
    .max_depth = 64,
    .max_anchors = 1000,
    .max_nodes = 10000,
    .max_alias_bytes = 1024 * 1024,
};

struct yaml_tree {
    struct arena arena;
    const struct yaml_node **documents;
    size_t count;
};

/* A collection that is not complete yet. */
struct frame {
    struct yaml_node *node;
    const char *anchor;
    size_t first_child;       /* in the children stack; keys and values alternate in a map */
    struct yaml_extent begin; /* totals when it was opened; height: the tallest child so far */
};

struct nodes {
    const struct yaml_node **at;
    size_t count, capacity;
};

struct yaml_builder {
    struct yaml_limits limits;
    struct arena arena;
    struct nodes documents, children;
    const struct yaml_node *root; /* of the current document */
    struct frame *frames;         /* limits.max_depth of them */
    size_t depth;
    struct yaml_anchors anchors; /* of the current document */
    size_t anchors_seen;         /* in the stream */
    size_t nodes, text;          /* in the stream, aliases expanded */
    size_t alias_bytes;          /* of text: what aliases repeated */
};

struct yaml_builder *yaml_build_new(const struct yaml_limits *limits)
{
    struct yaml_builder *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->limits = *limits;
    b->frames = calloc(limits->max_depth + 1, sizeof *b->frames);
    if (!b->frames) {
        free(b);
        return NULL;
    }
    return b;
}

void yaml_build_free(struct yaml_builder *b)
{
    if (!b)
        return;
    arena_free(&b->arena);
    free(b->documents.at);
    free(b->children.at);
    free(b->frames);
    yaml_anchors_free(&b->anchors);
    free(b);
}

char *yaml_build_text(struct yaml_builder *b, size_t size)
{
    return arena_alloc(&b->arena, size);
}

static bool push(struct nodes *v, const struct yaml_node *node)
{
    if (v->count == v->capacity) {
        size_t capacity = v->capacity ? v->capacity * 2 : 16;
        const struct yaml_node **at = reallocarray(v->at, capacity, sizeof *at);
        if (!at)
            return false;
        v->at = at;
        v->capacity = capacity;
    }
    v->at[v->count++] = node;
    return true;
}

/* ---- bounds ---- */

static bool check_depth(const struct yaml_builder *b, size_t height, size_t line, size_t column,
                        struct fault *fault)
{
    if (b->depth + height <= b->limits.max_depth)
        return true;
    fault_set(fault, line, column, "lists and mappings are nested more than %zu levels deep; flatten them",
              b->limits.max_depth);
    return false;
}

static bool count_nodes(struct yaml_builder *b, size_t nodes, size_t line, size_t column, struct fault *fault)
{
    if (nodes <= b->limits.max_nodes - b->nodes) {
        b->nodes += nodes;
        return true;
    }
    fault_set(fault, line, column,
              "the file has more than %zu keys and values (aliases expanded); split it into several files",
              b->limits.max_nodes);
    return false;
}

/* Returns the tree's copy of the name. */
static const char *add_anchor(struct yaml_builder *b, const struct yaml_head *head, struct yaml_anchor anchor,
                              struct fault *fault)
{
    if (++b->anchors_seen > b->limits.max_anchors) {
        fault_set(fault, head->line, head->column, "the file has more than %zu anchors (&name); remove some",
                  b->limits.max_anchors);
        return NULL;
    }
    const char *name = arena_copy(&b->arena, head->anchor);
    anchor.name = name;
    if (name && yaml_anchors_put(&b->anchors, &anchor))
        return name;
    fault_no_memory(fault);
    return NULL;
}

/* ---- adding ---- */

static struct frame *top(struct yaml_builder *b)
{
    return b->depth > 0 ? &b->frames[b->depth - 1] : NULL;
}

static bool in_key_position(struct yaml_builder *b)
{
    const struct frame *f = top(b);
    return f && f->node->kind == YAML_NODE_MAP && (b->children.count - f->first_child) % 2 == 0;
}

static bool check_key(const struct yaml_node *key, size_t line, size_t column, struct fault *fault)
{
    if (key->kind != YAML_NODE_SCALAR)
        fault_set(fault, line, column,
                  "a %s is used as a key; a key must be text: if this was meant as text that begins with "
                  "'%c' or '?', put it in quotes",
                  key->kind == YAML_NODE_LIST ? "list" : "mapping", key->kind == YAML_NODE_LIST ? '[' : '{');
    else if (key->plain && key->tag == YAML_TAG_NONE && strcmp(key->text, "<<") == 0)
        fault_set(fault, line, column,
                  "a merge key (<<) is not supported; write the keys out, or quote \"<<\" if it is a name");
    else if (key->plain && key->tag == YAML_TAG_NONE && key->len == 0)
        fault_set(fault, line, column, "the key before ':' is missing; write one, or \"\" for an empty key");
    else
        return true;
    return false;
}

static bool add_node(struct yaml_builder *b, const struct yaml_node *node, size_t height, struct fault *fault)
{
    struct frame *f = top(b);
    if (!f) {
        b->root = node;
        return true;
    }
    if (height > f->begin.height)
        f->begin.height = height;
    return push(&b->children, node) || fault_no_memory(fault);
}

static struct yaml_node *new_node(struct yaml_builder *b, const struct yaml_head *head, enum yaml_kind kind,
                                  struct fault *fault)
{
    if (!check_depth(b, 1, head->line, head->column, fault) ||
        !count_nodes(b, 1, head->line, head->column, fault))
        return NULL;
    struct yaml_node *node = arena_alloc(&b->arena, sizeof *node);
    if (!node) {
        fault_no_memory(fault);
        return NULL;
    }
    memset(node, 0, sizeof *node);
    node->kind = kind;
    node->tag = head->tag;
    node->line = head->line;
    node->column = head->column;
    return node;
}

void yaml_build_document(struct yaml_builder *b)
{
    b->root = NULL;
    yaml_anchors_clear(&b->anchors);
}

bool yaml_build_scalar(struct yaml_builder *b, const struct yaml_head *head, bool plain, const char *text,
                       size_t len, struct fault *fault)
{
    struct yaml_node *node = new_node(b, head, YAML_NODE_SCALAR, fault);
    if (!node)
        return false;
    node->plain = plain;
    node->text = text;
    node->len = len;
    if (in_key_position(b) && !check_key(node, head->line, head->column, fault))
        return false;
    b->text += len;
    if (head->anchor) {
        struct yaml_anchor anchor = {.node = node, .extent = {.nodes = 1, .text = len, .height = 1}};
        if (!add_anchor(b, head, anchor, fault))
            return false;
    }
    return add_node(b, node, 1, fault);
}

bool yaml_build_open(struct yaml_builder *b, const struct yaml_head *head, enum yaml_kind kind,
                     struct fault *fault)
{
    struct yaml_node *node = new_node(b, head, kind, fault);
    if (!node || (in_key_position(b) && !check_key(node, head->line, head->column, fault)))
        return false;
    struct frame frame = {.node = node};
    frame.begin = (struct yaml_extent){.nodes = b->nodes - 1, .text = b->text};
    if (head->anchor) {
        frame.anchor = add_anchor(b, head, (struct yaml_anchor){.node = node, .open = true}, fault);
        if (!frame.anchor)
            return false;
    }
    frame.first_child = b->children.count;
    b->frames[b->depth++] = frame;
    return true;
}

static bool refuse_alias(const char *name, const char *why, size_t line, size_t column, struct fault *fault)
{
    char shown[80];
    fault_set(fault, line, column, "the alias *%s %s", utf8_escape(name, strlen(name), shown, sizeof shown),
              why);
    return false;
}

bool yaml_build_alias(struct yaml_builder *b, const char *name, size_t line, size_t column,
                      struct fault *fault)
{
    const struct yaml_anchor *a = yaml_anchors_find(&b->anchors, name);
    if (!a)
        return refuse_alias(name,
                            "names no anchor above it in this document; if it is text, put it in quotes",
                            line, column, fault);
    if (a->open)
        return refuse_alias(name, "lies inside what it names, which would never end; remove it", line, column,
                            fault);
    if (in_key_position(b) && !check_key(a->node, line, column, fault))
        return false;
    if (!check_depth(b, a->extent.height, line, column, fault) ||
        !count_nodes(b, a->extent.nodes, line, column, fault))
        return false;
    if (a->extent.text > b->limits.max_alias_bytes - b->alias_bytes) {
        fault_set(fault, line, column, "aliases repeat more than %zu bytes of text; write fewer of them",
                  b->limits.max_alias_bytes);
        return false;
    }
    b->alias_bytes += a->extent.text;
    b->text += a->extent.text;
    return add_node(b, a->node, a->extent.height, fault);
}

/* ---- completing a collection ---- */

static int compare_keys(const struct yaml_node *a, const struct yaml_node *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return memcmp(a->text, b->text, a->len);
}

/* By text, then in written order (an alias as a key has its anchor's place, which is good enough). */
static int compare_pairs(const void *a, const void *b)
{
    const struct yaml_pair *const *x = a, *const *y = b;
    int order = compare_keys((*x)->key, (*y)->key);
    if (order != 0)
        return order;
    return *x < *y ? -1 : *x > *y;
}

static bool check_duplicates(const struct yaml_node *map, struct fault *fault)
{
    if (map->count < 2)
        return true;
    const struct yaml_pair **sorted = reallocarray(NULL, map->count, sizeof *sorted);
    if (!sorted)
        return fault_no_memory(fault);
    for (size_t i = 0; i < map->count; i++)
        sorted[i] = &map->pairs[i];
    qsort(sorted, map->count, sizeof *sorted, compare_pairs);
    const struct yaml_pair *first = NULL, *second = NULL;
    for (size_t i = 1; i < map->count; i++) {
        if (compare_keys(sorted[i - 1]->key, sorted[i]->key) != 0 || (second && sorted[i] > second))
            continue;
        first = sorted[i - 1];
        second = sorted[i];
    }
    free(sorted);
    if (!second)
        return true;
    char shown[80];
    fault_set(fault, second->key->line, second->key->column,
              "the key '%s' is already there, in line %zu; remove one of the two",
              utf8_escape(second->key->text, second->key->len, shown, sizeof shown), first->key->line);
    return false;
}

static bool take_children(struct yaml_builder *b, const struct frame *f, struct fault *fault)
{
    struct yaml_node *node = f->node;
    size_t count = b->children.count - f->first_child;
    if (count == 0)
        return true;
    const struct yaml_node **children = b->children.at + f->first_child;
    b->children.count = f->first_child;
    if (node->kind == YAML_NODE_LIST) {
        node->items = arena_alloc(&b->arena, count * sizeof *node->items);
        if (!node->items)
            return fault_no_memory(fault);
        memcpy(node->items, children, count * sizeof *node->items);
        node->count = count;
        return true;
    }
    struct yaml_pair *pairs = arena_alloc(&b->arena, count / 2 * sizeof *pairs);
    if (!pairs)
        return fault_no_memory(fault);
    for (size_t i = 0; i < count / 2; i++)
        pairs[i] = (struct yaml_pair){.key = children[2 * i], .value = children[2 * i + 1]};
    node->pairs = pairs;
    node->count = count / 2;
    return check_duplicates(node, fault);
}

bool yaml_build_close(struct yaml_builder *b, struct fault *fault)
{
    struct frame f = b->frames[--b->depth];
    if (!take_children(b, &f, fault))
        return false;
    size_t height = f.begin.height + 1;
    struct yaml_anchor *anchor = f.anchor ? yaml_anchors_find(&b->anchors, f.anchor) : NULL;
    if (anchor && anchor->node == f.node) { /* else a node inside took the name over */
        anchor->extent = (struct yaml_extent){
            .nodes = b->nodes - f.begin.nodes, .text = b->text - f.begin.text, .height = height};
        anchor->open = false;
    }
    return add_node(b, f.node, height, fault);
}

/* ---- documents ---- */

static bool is_empty(const struct yaml_node *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (!node)
        return true;
    if (node->kind != YAML_NODE_SCALAR || !node->plain)
        return false;
    if (node->tag != YAML_TAG_NONE && node->tag != YAML_TAG_NULL)
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        if (strcmp(node->text, nulls[i]) == 0)
            return true;
    return false;
}

bool yaml_build_document_end(struct yaml_builder *b, struct fault *fault)
{
    return is_empty(b->root) || push(&b->documents, b->root) || fault_no_memory(fault);
}

struct yaml_tree *yaml_build_finish(struct yaml_builder *b)
{
    struct yaml_tree *t = calloc(1, sizeof *t);
    if (t) {
        t->arena = b->arena;
        t->documents = b->documents.at;
        t->count = b->documents.count;
        b->arena = (struct arena){0};
        b->documents = (struct nodes){0};
    }
    yaml_build_free(b);
    return t;
}

size_t yaml_tree_documents(const struct yaml_tree *t)
{
    return t->count;
}

const struct yaml_node *yaml_tree_document(const struct yaml_tree *t, size_t index)
{
    return index < t->count ? t->documents[index] : NULL;
}

void yaml_tree_free(struct yaml_tree *t)
{
    if (!t)
        return;
    arena_free(&t->arena);
    free(t->documents);
    free(t);
}

const struct yaml_node *yaml_map_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->pairs[i].key->text, key) == 0)
            return map->pairs[i].value;
    return NULL;
}
