/* utf8 - one strict reading of UTF-8 for everything in this program that looks at characters.
 *
 * Overlong forms, surrogates and values above U+10FFFF are not UTF-8. Pure, no locale.
 */
#ifndef FLOWSPOOL_CORE_UTF8_H
#define FLOWSPOOL_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes (1..4) of the character that starts at s, and *cp; 0 when they are not UTF-8 or len is 0. */
size_t utf8_decode(const char *s, size_t len, uint32_t *cp);

/* Writes cp (at most U+10FFFF) and returns its length, 1..4. */
size_t utf8_encode(uint32_t cp, char out[4]);

bool utf8_is_valid(const char *s, size_t len);

/* Copies text for a log, a message or a terminal: control characters (C0, DEL, C1), line and paragraph
 * separators, bidirectional overrides and bad UTF-8 become \xNN a byte; what does not fit is cut
 * between characters and ends in "...". Always NUL-terminated when size > 0. Returns buf. */
char *utf8_escape(const char *s, size_t len, char *buf, size_t size);

#endif
