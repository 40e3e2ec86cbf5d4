/* yamlquote - text and JSON values as YAML that is read back as exactly that, and that people can read.
 *
 * Every string is in double quotes, so that none is taken for a number, a word or a comment by any reader. In
 * them lines are broken where the text has its lines; what cannot be seen, or makes readers differ (control
 * characters, separators, byte order marks, bidirectional marks), is written as \uXXXX.
 */
#ifndef FLOWSPOOL_LIB_YAMLQUOTE_H
#define FLOWSPOOL_LIB_YAMLQUOTE_H

#include "lib/text.h"

/* s is UTF-8 without NUL. indent: columns before continued lines. */
void yaml_put_text(struct text *t, const char *s, size_t len, int indent);
/* A key of a mapping with its colon. */
void yaml_put_key(struct text *t, const char *key, size_t len);
/* json is valid (json_is_valid). NULL, or why it cannot be written. */
const char *yaml_put_json(struct text *t, const char *json, size_t len);

#endif
