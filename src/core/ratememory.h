/* ratememory - what the governor learned, as one line of text that outlives the daemon. Pure.
 *
 * Whole numbers, one blank apart; the first is the version of the form. Whether they make sense together is
 * for governor_recall() to judge.
 */
#ifndef FLOWSPOOL_CORE_RATEMEMORY_H
#define FLOWSPOOL_CORE_RATEMEMORY_H

#include <stdbool.h>

#include "core/governor.h"

#define RATE_MEMORY_SIZE 320
#define RATE_NAME_SIZE   40

/* What was learned belongs to an endpoint and a key: "rate.<digits>.<digits>". Of the key only its short hash
 * is in it. */
void rate_memory_name(const char *endpoint, const char *key_hash, char name[RATE_NAME_SIZE]);
/* There is something worth keeping. */
bool rate_memory_says(const struct governor_memory *m);
void rate_memory_print(const struct governor_memory *m, char text[RATE_MEMORY_SIZE]);
/* False: not of this form, and *m is empty. */
bool rate_memory_parse(const char *text, struct governor_memory *m);

#endif
