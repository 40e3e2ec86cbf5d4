/* yamlsource - the bytes of a YAML stream, checked, and made fit for libyaml. Part of yamltree.
 *
 * Every character is checked here, before any parser: UTF-8, no NUL, no control characters that
 * neither YAML nor JSON allows, UTF-16 refused by that name.
 *
 * JSON allows characters in strings that libyaml 0.2.5 refuses (U+007F, U+0080-9F, U+FEFF, U+FFFE,
 * U+FFFF, \ud83d\ude00 pairs) or takes for line breaks (U+0085, U+2028, U+2029). They are shielded:
 * each becomes one character of a private-use block that the input does not use, an escaped pair
 * becomes two escapes of such characters. That keeps every line and column, and the scalars that
 * come out of libyaml can be restored exactly. Patching or replacing libyaml was the alternative.
 */
#ifndef FLOWSPOOL_CORE_YAMLSOURCE_H
#define FLOWSPOOL_CORE_YAMLSOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/fault.h"

struct yaml_source {
    const char *bytes; /* the caller's, after a byte order mark */
    size_t len;
    size_t growth;  /* bytes that shielding adds */
    bool special;   /* something has to be shielded */
    unsigned used;  /* bit per private-use block that the input mentions */
    char *shielded; /* what libyaml reads, or NULL: bytes as they are */
    size_t shielded_len;
    uint32_t base;                    /* of the chosen block, 0: nothing shielded */
    size_t cursor_byte, cursor_index; /* how far yaml_source_restore() has read along */
};

enum yaml_style { YAML_STYLE_PLAIN, YAML_STYLE_SINGLE, YAML_STYLE_DOUBLE, YAML_STYLE_BLOCK };

/* Where a scalar came from: line and column from 1, index in characters from 0. */
struct yaml_origin {
    enum yaml_style style;
    size_t line, column, index;
};

/* Checks the whole input; *src borrows bytes. */
bool yaml_source_check(const char *bytes, size_t len, struct yaml_source *src, struct fault *fault);

/* Makes the shielded copy if one is needed. Free with yaml_source_free(). */
bool yaml_source_shield(struct yaml_source *src, struct fault *fault);

/* Restores one scalar in place (it never grows). Scalars must come in the order of the input.
 * False: it holds what its style does not allow. */
bool yaml_source_restore(struct yaml_source *src, const struct yaml_origin *origin, char *text, size_t *len,
                         struct fault *fault);

/* The byte offset of the character with this index (at most the end). */
size_t yaml_source_offset(const struct yaml_source *src, size_t index);

void yaml_source_free(struct yaml_source *src);

#endif
