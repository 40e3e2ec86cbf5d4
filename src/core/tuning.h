/* tuning - how the governor sees the account's limiter: what `flowspool tune` explains. Pure.
 *
 *   {"at_ms":t,"endpoint":"https://host","key":"3fe3…","in_flight":n,"cap":80,"cap_reason":"…","learned":{…},
 *    "hypotheses":[{"kind":"sliding","window_ms":1000,"error":0.4,"others":0,"plausible":b,"best":b}],
 *    "readings":[{"ago_ms":n,"limit":10,"used":7,"predicted":8,"refused":b}]}
 *
 * Hypotheses are the best ones, best first; the smaller the error the better the fit. Readings are the
 * newest, in the order of their sending: what of the limit was used when the request arrived, itself
 * included, as the server said (null with a 429, which does not say) and as the best hypothesis counts our
 * own requests (null: not known any more). at_ms is Unix time, of which the others are so long ago.
 */
#ifndef FLOWSPOOL_CORE_TUNING_H
#define FLOWSPOOL_CORE_TUNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/learned.h"

/* Its name in the state: the last view, as tuning_print() has it. */
#define TUNING_STORED "rate.view"

#define TUNING_HYPOTHESES 8
#define TUNING_READINGS   40

struct tuning_hypothesis {
    const char *kind;
    int64_t window_ms;
    double error;
    double others; /* used by others, as it seems */
    bool plausible, best;
};
struct tuning_reading {
    int64_t ago_ms;
    int64_t limit;     /* -1: not known */
    int64_t used;      /* -1: it was refused */
    int64_t predicted; /* -1: not known */
    bool refused;
};
struct tuning {
    int64_t at_ms;
    const char *endpoint, *key;
    int64_t in_flight, cap;
    const char *cap_reason;
    struct learned learned;
    struct tuning_hypothesis hypotheses[TUNING_HYPOTHESES];
    size_t nhypotheses;
    struct tuning_reading readings[TUNING_READINGS];
    size_t nreadings;
};

/* What was heard of the newest requests, as a ring. */
struct tuning_heard {
    struct tuning_note {
        uint64_t seq; /* the governor's */
        int64_t limit, used;
        bool refused;
    } notes[TUNING_READINGS];
    uint64_t count; /* so far */
};

void tuning_hear(struct tuning_heard *h, const struct governor_reading *r);
/* Fills learned, hypotheses and readings. */
void tuning_look(const struct governor *g, const struct tuning_heard *h, int64_t now_ms, struct tuning *out);

/* malloc'd, one line; NULL: no memory. */
char *tuning_print(const struct tuning *t);
/* False: not an object, or no memory. Strings live in the arena. What is too much is left out. */
bool tuning_parse(const char *text, struct arena *a, struct tuning *out);

#endif
