/* stats - what the sandbox has seen since it started or was reset, and its JSON. */
#ifndef FLOWSPOOL_SANDBOX_STATS_H
#define FLOWSPOOL_SANDBOX_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/faults.h"
#include "sandbox/tally.h"

#define STATS_STATUS_MAX    600
#define STATS_REQUESTS_MAX  200000
#define STATS_WORKFLOWS_MAX 10000

struct stats {
    uint64_t posts;  /* posts to run a workflow, received whole */
    uint64_t runs;   /* charged */
    uint64_t cached; /* answered from the cache, free */
    uint64_t by_status[STATS_STATUS_MAX];
    uint64_t faults[FAULT_KIND_COUNT];
    uint64_t in_flight, peak_in_flight;
    uint64_t connections;   /* accepted */
    struct tally requests;  /* by workflow and body */
    struct tally workflows; /* by workflow, digest "" */
};

/* What the statistics show that is counted elsewhere. */
struct stats_context {
    int64_t uptime_ms;
    int64_t credits; /* -1: without limit */
    unsigned open_connections;
};

void stats_init(struct stats *s);
/* Forgets all but what is in flight. */
void stats_reset(struct stats *s);
void stats_free(struct stats *s);

/* malloc'd JSON with a final newline; NULL: no memory. */
char *stats_json(const struct stats *s, const struct stats_context *context, bool with_requests, size_t *len);

#endif
