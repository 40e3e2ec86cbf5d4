/* ratewords - what is known about the rate limit, as more than one command shows it, and where that is from.
 */
#ifndef FLOWSPOOL_CLI_RATEWORDS_H
#define FLOWSPOOL_CLI_RATEWORDS_H

#include "cli/jsonline.h"
#include "cli/paragraph.h"
#include "core/tuning.h"
#include "io/store.h"

/* Its parts; separator: before the first of them. past: it is from before, as long ago as was said. */
void rate_parts(struct paragraph *p, const char *separator, const struct learned *l, bool past);
/* A member "learned"; NULL: null. */
void rate_json(struct json_line *j, const struct learned *l);
/* What the last daemon kept, as it was at_ms. False: nothing, nonsense, or of a time to come. */
bool rate_stored(struct store *s, int64_t now_ms, struct arena *a, struct tuning *out);

#endif
