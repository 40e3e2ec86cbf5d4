/* holdwords - why nothing is sent, in words that say what to do about it. Pure. */
#ifndef FLOWSPOOL_CORE_HOLDWORDS_H
#define FLOWSPOOL_CORE_HOLDWORDS_H

#include "core/status.h"

#define HOLD_WORDS_SIZE 768

/* What a gate is closed for; the name itself where it is a newer daemon's. */
const char *gate_words(const char *cause);
/* Not escaped: it may hold what the far side said. */
void hold_words(const struct status_hold *h, char buf[HOLD_WORDS_SIZE]);

#endif
