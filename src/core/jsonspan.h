/* jsonspan - validates a JSON text and says where the members of its top-level object lie.
 *
 * What was paid for is never parsed into a tree and re-printed: outcomes carry the server's bytes.
 * That needs a check of the whole text and the raw place of a few members. cJSON gives neither: it
 * loses digits above 2^53, cuts strings at \u0000, accepts trailing garbage and needs some 40 times
 * the memory.
 *
 * Strict RFC 8259 in UTF-8, no byte order mark, nothing after the value, nesting up to JSON_DEPTH_MAX.
 * An escaped lone surrogate is valid, as the RFC's grammar has it: services written in JavaScript send
 * one when they cut a text inside an emoji. One pass, linear time, no recursion, no allocation.
 */
#ifndef FLOWSPOOL_CORE_JSONSPAN_H
#define FLOWSPOOL_CORE_JSONSPAN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/jsonquote.h"

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_member {
    const char *key; /* raw, between the quotes, escapes not resolved */
    size_t key_len;
    const char *value; /* raw, with quotes or brackets */
    size_t value_len;
    enum json_type type;
};

#define JSON_DEPTH_MAX   512 /* arrays and objects inside each other, the top one included */
#define JSON_MEMBERS_MAX 64

/* Members in written order, at most JSON_MEMBERS_MAX of them. The members with a meaning in the service's
 * protocol (success, result, citations, error, code) are listed however many others there are, each
 * once (the last, in the place of the first), so that a reply cannot lose them by having many fields. */
struct json_object {
    size_t count; /* members listed */
    bool dropped; /* there were more: valid, but not listed */
    struct json_member members[JSON_MEMBERS_MAX];
};

/* True when text[0..len) is exactly one valid JSON object (white space around it is fine). False: *out
 * lists nothing. The members point into text. */
bool json_scan_object(const char *text, size_t len, struct json_object *out);
/* True when text[0..len) is exactly one valid JSON value. */
bool json_is_valid(const char *text, size_t len);
/* The member with this key, however the text escapes it, or NULL. Duplicate keys: the last one counts. */
const struct json_member *json_find(const struct json_object *o, const char *key);
/* Decodes a string member to UTF-8, malloc'd, with a NUL that *len does not count; what it holds may have
 * NULs too. NULL: it is no string, or no memory. A lone surrogate becomes U+FFFD. */
char *json_decode(const struct json_member *m, size_t *len);
/* The same for text without NULs: NULL also when it holds \u0000. */
char *json_string(const struct json_member *m);
/* Integer value when the member is written as an integer (no fraction, no exponent) that fits; else false. */
bool json_whole(const struct json_member *m, long long *out);

#endif
