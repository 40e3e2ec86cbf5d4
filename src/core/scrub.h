/* scrub - overwrites a secret in bytes that end in logs, outcomes or the state. Pure.
 *
 * Servers and proxies know the key and some quote it back. Every occurrence becomes as many '*', so that
 * lengths and offsets stay. A secret shorter than SCRUB_MIN is left alone: it would be found in ordinary
 * words.
 */
#ifndef FLOWSPOOL_CORE_SCRUB_H
#define FLOWSPOOL_CORE_SCRUB_H

#include <stddef.h>

#define SCRUB_MIN 4

/* secret: NULL and "" hide nothing. */
void scrub(char *bytes, size_t len, const char *secret);
/* The same where the bytes were cut: an end that is a beginning of the secret goes too. */
void scrub_cut(char *bytes, size_t len, const char *secret);

#endif
