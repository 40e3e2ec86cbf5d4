/* latency - how long a run takes: a distribution as people write it, and one sample of it. Pure.
 *
 *   0, 8s                                     always the same; fixed:8s says it too
 *   uniform:1s,3s                             evenly between the two
 *   lognormal:median=8s,sigma=0.6,max=300s    what runs really look like; min= and max= clamp
 */
#ifndef FLOWSPOOL_SANDBOX_LATENCY_H
#define FLOWSPOOL_SANDBOX_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fault.h"

enum latency_shape { LATENCY_FIXED, LATENCY_UNIFORM, LATENCY_LOGNORMAL };

#define LATENCY_MAX_MS (INT64_C(24) * 3600 * 1000)

struct latency {
    enum latency_shape shape;
    int64_t low_ms, high_ms; /* fixed: both the same; lognormal: the clamps */
    double median_ms, sigma; /* lognormal */
};

bool latency_parse(const char *text, struct latency *out, struct fault *fault);

/* u1 and u2 are independent and uniform in [0, 1). */
int64_t latency_sample_ms(const struct latency *l, double u1, double u2);

#endif
