/* tally - posts and charges by (workflow, digest), for as many pairs as the bound allows.
 *
 * Bounded because a sandbox may serve a night of benchmarks; what came after the bound is only counted.
 */
#ifndef FLOWSPOOL_SANDBOX_TALLY_H
#define FLOWSPOOL_SANDBOX_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/digest.h"

struct tally_entry {
    uint64_t posts;   /* received whole, whatever the answer */
    uint64_t charged; /* bought */
    bool has_result;  /* one of them ended in a result, so a cache would have it */
    uint64_t hash;
    char digest[DIGEST_HEX];
    char workflow[];
};

struct tally {
    size_t bound;
    size_t count;
    size_t room; /* 0 or a power of two */
    struct tally_entry **slots;
    uint64_t dropped; /* look-ups of new pairs beyond the bound */
};

void tally_init(struct tally *t, size_t bound);
void tally_clear(struct tally *t);

/* The entry of a pair, made when new; digest may be "". NULL: beyond the bound, or no memory. The
 * entry stays where it is until tally_clear(). */
struct tally_entry *tally_entry(struct tally *t, const char *workflow, const char *digest);

#endif
