/* jsonquote - any bytes as a JSON string. Pure.
 *
 * cJSON would stop at a NUL and pass on bytes that are not UTF-8, which makes the whole text unreadable.
 */
#ifndef FLOWSPOOL_CORE_JSONQUOTE_H
#define FLOWSPOOL_CORE_JSONQUOTE_H

#include <stddef.h>

/* Writes s as a JSON string with its quotes and returns how many bytes that takes; out may be NULL to
 * only count. Each byte that is not UTF-8 becomes U+FFFD. No NUL is written. */
size_t json_quote_to(char *out, const char *s, size_t len);
/* The same, malloc'd and NUL-terminated; NULL: no memory. */
char *json_quote(const char *s, size_t len);

#endif
