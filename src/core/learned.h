/* learned - what is known about the account's rate limit, for people and for programs. Pure.
 *
 *   "learned":{"mode":"pacing","limit":10,"window_kind":"sliding","window_ms":1000,"source":"replies",
 *              "replies":41,"after_ms":6000,"per_second":9.8,"last_429_ago_ms":720000}
 *
 * What is not known is null. after_ms counts from the first request of this start.
 */
#ifndef FLOWSPOOL_CORE_LEARNED_H
#define FLOWSPOOL_CORE_LEARNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/governor.h"

/* Where the limit is from. A reader may meet others. */
#define LEARNED_REPLIES       "replies"
#define LEARNED_EARLIER       "earlier_run"
#define LEARNED_CONFIGURATION "configuration"

struct learned {
    const char *mode;        /* opening, open, headerless, counting, pacing, told; "": nobody said */
    int64_t limit;           /* in force; -1: not known */
    const char *window_kind; /* or NULL */
    int64_t window_ms;       /* -1: not known */
    const char *source;      /* or NULL */
    int64_t replies;         /* that agree with it */
    int64_t after_ms;        /* -1: not known, or not from replies of this start */
    double per_second;       /* sent now, at most; 0: as fast as slots allow */
    int64_t last_429_ago_ms; /* -1: never */
};

struct learned learned_of(const struct governor *g, int64_t now_ms);

#define LEARNED_WORDS_SIZE 256
/* Parts that stand for themselves, "; " between them. past: it is from before, as long ago as it says. */
const char *learned_words(const struct learned *l, bool past, char buf[LEARNED_WORDS_SIZE]);

/* What such a mode means, and what it takes to learn more; NULL: there is no such mode. */
const char *learned_meaning(const char *mode);
const char *learned_lesson(const char *mode);
const char *learned_mode(enum governor_mode mode);

struct cJSON;
/* A member "learned". False: no memory. */
bool learned_put(struct cJSON *object, const struct learned *l);
/* Without one mode is "". Strings live in the arena; false: no memory. */
bool learned_read(const struct cJSON *object, struct arena *a, struct learned *out);

#endif
