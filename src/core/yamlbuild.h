/* yamlbuild - puts the nodes of a YAML tree together and holds every bound. Part of yamltree.
 *
 * The two readers (libyaml's events, JSON) call these functions in document order. Whatever is wrong
 * with the structure (bounds, keys, duplicates, aliases) is found here, while building, so that a
 * bomb costs no more than the bound it hits.
 */
#ifndef FLOWSPOOL_CORE_YAMLBUILD_H
#define FLOWSPOOL_CORE_YAMLBUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/fault.h"
#include "core/yamltree.h"

struct yaml_builder;

/* What every node has. anchor: borrowed, or NULL. */
struct yaml_head {
    enum yaml_tag tag;
    const char *anchor;
    size_t line, column;
};

/* NULL: out of memory. */
struct yaml_builder *yaml_build_new(const struct yaml_limits *limits);
void yaml_build_free(struct yaml_builder *b);

/* Room for the text of a scalar, owned by the tree. */
char *yaml_build_text(struct yaml_builder *b, size_t size);

void yaml_build_document(struct yaml_builder *b);
/* text: from yaml_build_text(), NUL-terminated, without other NULs. */
bool yaml_build_scalar(struct yaml_builder *b, const struct yaml_head *head, bool plain, const char *text,
                       size_t len, struct fault *fault);
bool yaml_build_open(struct yaml_builder *b, const struct yaml_head *head, enum yaml_kind kind,
                     struct fault *fault);
bool yaml_build_close(struct yaml_builder *b, struct fault *fault);
bool yaml_build_alias(struct yaml_builder *b, const char *anchor, size_t line, size_t column,
                      struct fault *fault);
bool yaml_build_document_end(struct yaml_builder *b, struct fault *fault);

/* Hands the tree over and frees the builder. NULL: out of memory. */
struct yaml_tree *yaml_build_finish(struct yaml_builder *b);

#endif
