/* statusjson - members of a JSON object, written and read with every failure noticed. Pure; for those
 * that share the form of what goes through the control socket (status, order, learned, tuning).
 */
#ifndef FLOWSPOOL_CORE_STATUSJSON_H
#define FLOWSPOOL_CORE_STATUSJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"

struct cJSON;

/* Whole numbers up to here come through cJSON's doubles and their 15 digits unchanged. */
#define STATUSJSON_INT_MAX INT64_C(999999999999999)

/* False: no memory. Any bytes may be in a text (see jsonquote.h); NULL becomes null. */
bool statusjson_put_text(struct cJSON *object, const char *name, const char *text);
bool statusjson_put_int(struct cJSON *object, const char *name, int64_t value);
/* Negative: null. */
bool statusjson_put_known(struct cJSON *object, const char *name, int64_t value);
bool statusjson_put_bool(struct cJSON *object, const char *name, bool value);
/* Three digits behind the point say all that a rate can; what is no number becomes 0. */
bool statusjson_put_real(struct cJSON *object, const char *name, double value);
/* The object as text in one line, malloc'd, when ok; NULL else. Frees the object either way. */
char *statusjson_finish(struct cJSON *object, bool ok);

/* The whole text as one object; NULL: it is none, or no memory. */
struct cJSON *statusjson_parse(const char *text);
/* What is missing, of another type or not a whole number in range reads as the fallback. */
int64_t statusjson_int(const struct cJSON *object, const char *name, int64_t fallback);
bool statusjson_bool(const struct cJSON *object, const char *name);
/* 0 when it is missing or no number. */
double statusjson_real(const struct cJSON *object, const char *name);
/* A copy in the arena; false: no memory. */
bool statusjson_text(const struct cJSON *object, const char *name, struct arena *a, const char *fallback,
                     const char **out);
/* The value of a number, if it is whole and within +-STATUSJSON_INT_MAX. */
bool statusjson_whole(const struct cJSON *number, int64_t *out);

#endif
