/* faults - what may go wrong on purpose, and how often. Pure.
 *
 * A rule is written KIND[:ARGUMENT][:RATE]. RATE is a share drawn for each request ("5%", "0.5%") or a
 * steady beat ("1/20": every twentieth that comes to this rule); without one the rule always fires.
 * Rules are asked in the order given and the first that fires is the request's fault.
 */
#ifndef FLOWSPOOL_SANDBOX_FAULTS_H
#define FLOWSPOOL_SANDBOX_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fault.h"

enum fault_kind {
    FAULT_NONE,
    FAULT_RESET_BEFORE, /* reset once the head is read: nothing runs */
    FAULT_503,          /* a proxy's page, before the key is looked at */
    FAULT_REDIRECT,     /* likewise: 307 to another host */
    FAULT_401,
    FAULT_429,
    FAULT_402,
    FAULT_404,
    FAULT_500, /* the run fails; from here on the latency passes first */
    FAULT_502,
    FAULT_504,
    FAULT_RESET_AFTER, /* the run is charged, then the connection is reset: this and all below */
    FAULT_CUT,         /* half of the reply, then the end */
    FAULT_GARBAGE,     /* 200 and a body that is not JSON */
    FAULT_NOT_HTTP,    /* bytes that are not HTTP */
    FAULT_DRIP,        /* the reply a few bytes at a time, over ARGUMENT */
    FAULT_HUGE,        /* a valid reply of ARGUMENT bytes */
    FAULT_HUGE_CHUNKED,
    FAULT_KIND_COUNT
};

struct fault_rule {
    enum fault_kind kind;
    bool charged;         /* the run is charged although it fails (500, 502, 504) */
    int64_t argument;     /* drip: ms; huge: bytes */
    double share;         /* 0..1, when every is 0 */
    int64_t times, every; /* times in every */
    int64_t seen;         /* requests that came to this rule */
};

#define FAULT_RULES_MAX 16

bool fault_rule_parse(const char *text, struct fault_rule *out, struct fault *fault);

/* Whether the next request that comes to this rule gets it; u is uniform in [0, 1). */
bool fault_rule_fires(struct fault_rule *r, double u);

const char *fault_kind_name(enum fault_kind kind);

#endif
