#include "sandbox/workflows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/payload.h"
#include "core/yamltree.h"

#define FILE_MAX ((size_t)16 << 20)

bool workflow_id_is_valid(const char *id)
{
    size_t len = strlen(id);
    return len >= 1 && len <= WORKFLOW_ID_MAX &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

static bool complain(struct fault *fault, const struct yaml_node *at, const char *text)
{
    fault_set(fault, at->line, at->column, "%s", text);
    return false;
}

static bool read_template(const struct yaml_node *n, struct workflow *w, struct fault *fault)
{
    if (n->kind != YAML_NODE_SCALAR || n->len == 0) {
        return complain(fault, n, "template is a text, and not an empty one");
    }
    w->template = template_parse(n->text, n->len, fault);
    if (!w->template) {
        fault->line = n->line;
        fault->column = n->column;
    }
    return w->template != NULL;
}

static bool read_published(const struct yaml_node *n, struct workflow *w, struct fault *fault)
{
    if (n->kind != YAML_NODE_SCALAR || (strcmp(n->text, "true") != 0 && strcmp(n->text, "false") != 0)) {
        return complain(fault, n, "published is true or false");
    }
    w->published = n->text[0] == 't';
    return true;
}

static bool read_latency(const struct yaml_node *n, struct workflow *w, struct fault *fault)
{
    if (n->kind != YAML_NODE_SCALAR) {
        return complain(fault, n, "latency is a text such as 8s or lognormal:median=8s,sigma=0.6");
    }
    w->has_latency = latency_parse(n->text, &w->latency, fault);
    if (!w->has_latency) {
        fault->line = n->line;
        fault->column = n->column;
    }
    return w->has_latency;
}

static bool read_citations(const struct yaml_node *n, struct workflow *w, struct fault *fault)
{
    if (n->kind != YAML_NODE_LIST) {
        return complain(fault, n, "citations is a list of addresses, or of mappings with title and url");
    }
    w->citations = payload_body(n, INPUTS_TEXT, fault);
    return w->citations != NULL;
}

static const struct {
    const char *key;
    bool (*read)(const struct yaml_node *n, struct workflow *w, struct fault *fault);
} keys[] = {
    {"template", read_template},
    {"published", read_published},
    {"latency", read_latency},
    {"citations", read_citations},
};

static bool read_key(const struct yaml_pair *pair, struct workflow *w, struct fault *fault)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(pair->key->text, keys[i].key) == 0) {
            return keys[i].read(pair->value, w, fault);
        }
    }
    return complain(fault, pair->key,
                    "a workflow has template, published, latency and citations, no other key");
}

static bool read_workflow(const struct yaml_pair *pair, struct workflow *w, struct fault *fault)
{
    w->published = true;
    if (!workflow_id_is_valid(pair->key->text)) {
        return complain(fault, pair->key, "a workflow id is 1 to 128 letters, digits, _ and -");
    }
    w->id = strdup(pair->key->text);
    if (!w->id) {
        return complain(fault, pair->key, "out of memory");
    }
    if (pair->value->kind != YAML_NODE_MAP) {
        return complain(fault, pair->value, "a workflow is a mapping with at least a template");
    }
    for (size_t i = 0; i < pair->value->count; i++) {
        if (!read_key(&pair->value->pairs[i], w, fault)) {
            return false;
        }
    }
    return w->template ? true : complain(fault, pair->key, "this workflow has no template");
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct workflow *)a)->id, ((const struct workflow *)b)->id);
}

static bool read_all(const struct yaml_node *map, struct workflows *out, struct fault *fault)
{
    out->list = calloc(map->count ? map->count : 1, sizeof *out->list);
    if (!out->list) {
        return complain(fault, map, "out of memory");
    }
    for (size_t i = 0; i < map->count; i++) {
        out->count = i + 1;
        if (!read_workflow(&map->pairs[i], &out->list[i], fault)) {
            return false;
        }
    }
    qsort(out->list, out->count, sizeof *out->list, by_id);
    return true;
}

static bool read_root(const struct yaml_tree *tree, struct workflows *out, struct fault *fault)
{
    size_t documents = yaml_tree_documents(tree);
    if (documents == 0) {
        fault_set(fault, 1, 1, "this file is empty; a workflow file holds a mapping named workflows");
        return false;
    }
    if (documents > 1) {
        return complain(fault, yaml_tree_document(tree, 1),
                        "a second document starts here; a workflow file holds one");
    }
    const struct yaml_node *root = yaml_tree_document(tree, 0);
    const struct yaml_node *map = root->kind == YAML_NODE_MAP ? yaml_map_get(root, "workflows") : NULL;
    if (!map || root->count != 1 || map->kind != YAML_NODE_MAP) {
        return complain(fault, root,
                        "a workflow file has one key, workflows, a mapping from ids to workflows");
    }
    return read_all(map, out, fault);
}

bool workflows_parse(const char *yaml, size_t len, struct workflows *out, struct fault *fault)
{
    struct yaml_tree *tree;
    *out = (struct workflows){0};
    if (!yaml_tree_parse(yaml, len, &yaml_limits_default, &tree, fault)) {
        return false;
    }
    bool ok = read_root(tree, out, fault);
    yaml_tree_free(tree);
    if (!ok) {
        workflows_free(out);
    }
    return ok;
}

static char *read_file(FILE *file, size_t *len, struct fault *fault)
{
    char *text = NULL;
    size_t room = 0;
    *len = 0;
    do {
        room = room ? 2 * room : 4096;
        char *grown = realloc(text, room);
        if (!grown || room > 2 * FILE_MAX) {
            free(grown ? grown : text);
            fault_set(fault, 0, 0, "too large, or out of memory");
            return NULL;
        }
        text = grown;
        *len += fread(text + *len, 1, room - *len, file);
    } while (*len == room);
    if (ferror(file)) {
        fault_set(fault, 0, 0, "cannot read it: %s", strerror(errno));
        free(text);
        return NULL;
    }
    return text;
}

bool workflows_load(const char *path, struct workflows *out, struct fault *fault)
{
    *out = (struct workflows){0};
    FILE *file = fopen(path, "re");
    if (!file) {
        fault_set(fault, 0, 0, "cannot open it: %s", strerror(errno));
        return false;
    }
    size_t len;
    char *text = read_file(file, &len, fault);
    fclose(file);
    bool ok = text && workflows_parse(text, len, out, fault);
    free(text);
    return ok;
}

void workflows_free(struct workflows *w)
{
    for (size_t i = 0; i < w->count; i++) {
        free(w->list[i].id);
        template_free(w->list[i].template);
        free(w->list[i].citations);
    }
    free(w->list);
    *w = (struct workflows){0};
}

const struct workflow *workflows_find(const struct workflows *w, const char *id)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(id, w->list[middle].id);
        if (order == 0) {
            return &w->list[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
