/* verdict - what one attempt's end means for its job, its workflow, the endpoint and the account.
 *
 * The table "Which verdict does what" of flowspoold(8), first row that fits. Pure. Two steps, because
 * a reply must be durable before anyone parses it: verdict_by_status() decides what needs no body;
 * VERDICT_NEEDS_BODY asks the caller to store the reply and then call verdict_by_body().
 *
 * Since the first row counts, a reply that was cut or too large after its status line still counts by
 * that status wherever a row asks for nothing else: 429, 401, 402, 3xx, 407, 503, and 4xx "whatever
 * its body" (a server that answers 413 and hangs up in the middle of our request is common). 403 and 404
 * without a whole body are without the service's JSON. Only then does "cut" mean ambiguous.
 */
#ifndef FLOWSPOOL_CORE_VERDICT_H
#define FLOWSPOOL_CORE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/jsonspan.h"

enum attempt_end {
    ATTEMPT_REPLIED,   /* a whole reply arrived */
    ATTEMPT_NOT_SENT,  /* name lookup, connect or TLS failed, or no request byte was written */
    ATTEMPT_CUT,       /* time-out, reset or short reply after bytes were sent; garbage that is not HTTP */
    ATTEMPT_TOO_LARGE, /* reply over max_response_size; what was read until then is kept */
    ATTEMPT_CRASHED,   /* found in flight after a restart or a second stop signal */
};

enum verdict {
    VERDICT_NEEDS_BODY,
    VERDICT_SUCCESS,
    VERDICT_RATE_LIMITED,       /* back to the queue, account slows down */
    VERDICT_ACCOUNT_REFUSED,    /* 401, 402: account hold */
    VERDICT_ENDPOINT_AWAY,      /* endpoint hold, no attempt counts */
    VERDICT_WORKFLOW_NOT_FOUND, /* 404 with the service's JSON */
    VERDICT_REJECTED,           /* other 4xx: job fails (code rejected or missing_input) */
    VERDICT_SERVER_ERROR,       /* 5xx with the service's JSON: retry with backoff */
    VERDICT_INVALID_RESPONSE,   /* 2xx whole but unusable: job fails, body kept */
    VERDICT_TOO_LARGE,          /* job fails, first 4 KiB kept */
    VERDICT_AMBIGUOUS,          /* may have been charged */
    VERDICT_COUNT
};

struct attempt_result {
    enum attempt_end end;
    int http_status; /* 0 when none arrived */
};

enum verdict verdict_by_status(const struct attempt_result *a);
/* body: the stored bytes, NULL when len is 0. *object is filled when the body is an object (for outcome.h),
 * else it lists nothing. A status that needs no body gives what verdict_by_status() gives. */
enum verdict verdict_by_body(int http_status, const char *body, size_t len, struct json_object *object);

/* The failure code (job.h) of a job that fails by this verdict; NULL for VERDICT_SUCCESS, _NEEDS_BODY,
 * _RATE_LIMITED and _ACCOUNT_REFUSED, which fail no job. object may be NULL. */
const char *verdict_code(enum verdict v, int http_status, const struct json_object *object);
/* What happened and what to do, in one sentence. workflow, server_message and job may be NULL;
 * control characters of the server's words are escaped and long ones cut. malloc'd; NULL: no memory, or
 * VERDICT_SUCCESS or VERDICT_NEEDS_BODY, about which there is nothing to say. */
char *verdict_message(enum verdict v, int http_status, const char *workflow, const char *server_message,
                      const char *job);
const char *verdict_name(enum verdict v); /* for logs and the attempts table */
/* The server's own words: "error" as string, or error.message; malloc'd, NULL when it said nothing. */
char *verdict_server_message(const struct json_object *object);
bool verdict_is_service_json(const struct json_object *object); /* an object with `success` */

/* Whether `flowspool retry` can help a job that failed with this code, all else being as it is.
 * Yes: server_error, unreachable and ambiguous (time may heal them), cancelled (a person may think again),
 * invalid_response and response_too_large (a run that is bought again writes another text).
 * No: invalid_job, missing_input, rejected, expired (the job file has to change, and a changed file runs by
 * itself) and workflow_not_found (the id is wrong or nobody published it: only a person can change that
 * first). Codes of a newer version: no. */
bool code_is_retryable(const char *code);
/* The code (as a constant of job.h) when a job that failed with it, after so many ambiguous attempts, may
 * have been charged for, else NULL: one that was cancelled may have been by an attempt before. Such a job
 * runs again only by `flowspool retry`, not because its file was touched or dropped again. */
const char *code_if_charged(const char *code, int ambiguous);

#endif
