/* config - the configuration file, and the command line's and the environment's overrides.
 *
 * One alphabetical table of keys (config_keys.c) drives parsing, range checks, messages and --help. Unknown
 * keys, wrong types and values out of range are faults with file:line:column. config_load() is all or
 * nothing, so that SIGHUP re-reads whole or not at all. Durations are ms, sizes bytes.
 */
#ifndef FLOWSPOOL_IO_CONFIG_H
#define FLOWSPOOL_IO_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fault.h"
#include "core/payload.h"

struct config {
    char *spool, *endpoint, *api_key_file, *state_dir, *state_group, *ca_file, *proxy,
        *log_file; /* never NULL; "" = unset */
    bool confine;  /* auto; false: off */
    int max_concurrency;
    int64_t request_timeout_ms, connect_timeout_ms, settle_ms, rescan_ms;
    bool settle_given; /* else network file systems get at least 10 s */
    bool recursive, status_file;
    int64_t max_job_size, max_response_size, max_response_memory;
    int64_t max_jobs;
    enum inputs_as inputs_as;
    int64_t shutdown_grace_ms, once_patience_ms, forget_after_ms, probe_ms;
    double rate_max_per_second;
    int64_t rate_limit, rate_window_ms;
    int rate_leave_percent;
    int retry_max_attempts, retry_max_ambiguous;
    int64_t retry_base_ms, retry_cap_ms, retry_give_up_after_ms;
    bool retry_on_ambiguous; /* true: retry, false: hold */
};

/* What the command line said; NULL or 0: nothing. $FLOWSPOOL_ENDPOINT is read here. */
struct config_overrides {
    const char *spool, *endpoint, *api_key_file;
    int max_concurrency;
    int64_t max_jobs; /* -1: not given */
    /* Says why an endpoint is none, or NULL. Without it no endpoint is asked for: the operator's command only
     * wants to know where the state is. */
    const char *(*endpoint_fault)(const char *endpoint);
};

/* path NULL: no file, defaults and overrides only. False: *fault (line 0: the command line, the environment
 * or nothing in particular) and *c untouched. spool and state_dir come back absolute. */
bool config_load(const char *path, const struct config_overrides *o, struct config *c, struct fault *fault);
void config_free(struct config *c);
/* The largest outcome file that is read back: a reply, with its text escaped, and some fields. */
int64_t config_outcome_max(const struct config *c);
/* Prints every key with default, range and meaning (flowspoold --help points to it); used by tests. */
void config_describe(void (*line)(void *arg, const char *text), void *arg);

#endif
