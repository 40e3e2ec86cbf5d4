/* options - the command line of flowspool-sandbox. */
#ifndef FLOWSPOOL_SANDBOX_OPTIONS_H
#define FLOWSPOOL_SANDBOX_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/faults.h"
#include "sandbox/latency.h"
#include "sandbox/limiter.h"

/* Where x-ratelimit-limit and x-ratelimit-remaining are sent. */
enum rate_headers {
    HEADERS_SUCCESS, /* with successful runs, as of their arrival: the known server */
    HEADERS_ALL,     /* with every answer that came as far as the limiter, as of the arrival */
    HEADERS_NONE,
    HEADERS_ON_REPLY, /* with successful runs, as of the moment of the reply */
    HEADERS_ZERO,     /* with successful runs, 0 and 0: the known server when its limiter is broken */
};

struct retry_after {
    bool enabled;
    bool exact; /* the limiter's own waiting time instead of seconds */
    bool date;  /* as a date instead of a number */
    int64_t seconds;
};

#define OPTIONS_KEYS_MAX 64

struct options {
    const char *listen;
    uint16_t port;
    const char *port_file;
    const char *workflows;
    bool any_workflow;
    size_t key_count; /* 0: any key will do */
    char *keys[OPTIONS_KEYS_MAX];
    int64_t credits; /* -1: without limit */
    enum limiter_kind limiter;
    int64_t limit, window_ms;
    enum rate_headers headers;
    struct retry_after retry_after;
    bool has_latency; /* --latency was given: it then holds for every workflow */
    struct latency latency;
    uint64_t seed;
    size_t fault_count;
    struct fault_rule faults[FAULT_RULES_MAX];
    bool strict_inputs;
    bool cache;
    bool run_id;
    const char *tls_cert, *tls_key;
    unsigned max_connections;
    bool verbose;
};

enum options_end { OPTIONS_GO, OPTIONS_DONE, OPTIONS_WRONG };

/* GO: *out is filled. DONE: --help or --version was printed. WRONG: a line on stderr says why. In any
 * case free it. The pointers point into argv, but for the keys, which are copies. */
enum options_end options_parse(int argc, char **argv, struct options *out);
void options_free(struct options *o);

#endif
