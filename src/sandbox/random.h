/* random - a small repeatable generator (SplitMix64). Nothing secret depends on it. Pure. */
#ifndef FLOWSPOOL_SANDBOX_RANDOM_H
#define FLOWSPOOL_SANDBOX_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state; /* any value is a good seed */
};

/* Uniform in [0, 1). */
double random_uniform(struct random *r);

#endif
