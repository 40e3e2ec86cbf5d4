/* timewords - instants and spans as people are told them. */
#ifndef FLOWSPOOL_CLI_TIMEWORDS_H
#define FLOWSPOOL_CLI_TIMEWORDS_H

#include <stdint.h>

#define TIME_WORDS_SIZE 96

/* "2026-11-23T22:00:00.123Z, 3m 4s ago" or "…, in 3m 4s". Returns buf. */
const char *time_words(int64_t unix_ms, int64_t now_ms, char buf[TIME_WORDS_SIZE]);
/* At least a second: what is shorter is none to people. Returns buf. */
const char *span_words(int64_t ms, char buf[TIME_WORDS_SIZE]);

#endif
