/* service - what the endpoint decides about one request: who may run what, when, and who pays.
 *
 * The checks come in the known server's order: key (401), limit (429), credits (402), workflow (404),
 * then the run. A run has two ends: service_admit() when the request has arrived whole, and
 * service_finish() when its latency has passed, at which it is charged, whether or not the client is
 * still there. No socket and no clock here; the caller owns struct run.
 */
#ifndef FLOWSPOOL_SANDBOX_SERVICE_H
#define FLOWSPOOL_SANDBOX_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/limiter.h"
#include "sandbox/options.h"
#include "sandbox/random.h"
#include "sandbox/stats.h"
#include "sandbox/workflows.h"

/* The largest body that is run; larger ones answer 413. */
#define SERVICE_BODY_MAX 4718592

enum answer {
    ANSWER_NONE, /* not decided yet */
    ANSWER_RESULT,
    ANSWER_UNAUTHORIZED,
    ANSWER_RATE_LIMITED,
    ANSWER_NO_CREDITS,
    ANSWER_WORKFLOW_NOT_FOUND,
    ANSWER_INVALID_BODY,
    ANSWER_MISSING_INPUT,
    ANSWER_RUN_FAILED,
    ANSWER_TOO_LARGE,
    ANSWER_REDIRECT,
    ANSWER_BAD_GATEWAY,
    ANSWER_UNAVAILABLE,
    ANSWER_TIMED_OUT,
    ANSWER_NO_PAGE,
    ANSWER_NO_METHOD,
    ANSWER_COUNT
};

struct service {
    struct options *options; /* the fault rules in it count */
    const struct workflows *workflows;
    struct limiter limiter;
    struct random random;
    struct stats stats;
    int64_t credits;     /* -1: without limit */
    int64_t reserved;    /* by runs in flight that will be charged */
    uint64_t generation; /* resets so far: runs from before one are not counted after it */
};

struct run {
    /* set by the caller before service_admit() */
    const char *workflow_id;   /* as in the path, of any form */
    const char *authorization; /* the header's value or NULL; not needed afterwards */
    const char *body;
    size_t body_len; /* counts on beyond SERVICE_BODY_MAX; then body is not read */
    /* decided */
    const struct fault_rule *fault; /* NULL: none */
    enum answer answer;
    const struct workflow *workflow; /* NULL with ANSWER_RESULT: an id that only --any-workflow knows */
    size_t missing;                  /* ANSWER_MISSING_INPUT: the workflow's variable */
    int64_t latency_ms;
    bool in_flight; /* a run began; service_finish() or service_abandon() ends it */
    bool charge;
    bool cached;
    bool shows_rate;
    int64_t limit, remaining;
    int64_t retry_after_s; /* -1: none */
    struct tally_entry *request, *purchase;
    uint64_t generation;
};

/* The options outlive the service. False: the limiter cannot be made. */
bool service_init(struct service *s, struct options *options, const struct workflows *workflows);
void service_free(struct service *s);
/* As after a start, but for what is in flight. */
void service_reset(struct service *s);

/* Draws the request's fault, once, when its head has been read. */
void service_draw_fault(struct service *s, struct run *r);
/* Whether the connection is to be reset before the body is read; counts it. */
bool service_resets_unread(struct service *s, const struct run *r);
/* Decides; r->in_flight says whether latency_ms has to pass before service_finish(). */
void service_admit(struct service *s, struct run *r, int64_t now_us);
/* Ends a run and charges it. */
void service_finish(struct service *s, struct run *r, int64_t now_us);
/* Counts the status that a request is answered with. */
void service_count_status(struct service *s, const struct run *r, int status);
/* Ends a run that will not be finished, because the sandbox stops. */
void service_abandon(struct service *s, struct run *r);

#endif
