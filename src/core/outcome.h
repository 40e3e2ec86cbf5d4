/* outcome - the bytes of NAME.result.json and NAME.error.json, and reading them back. Pure.
 *
 * The reply's own values (result, citations, unknown fields) are spliced in as the server's bytes,
 * never re-printed. Schema: flowspool-job(5), OUTCOMES.
 */
#ifndef FLOWSPOOL_CORE_OUTCOME_H
#define FLOWSPOOL_CORE_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/jsonspan.h"

struct outcome {
    const char *job;            /* path relative to the spool */
    size_t document;            /* 0: the file holds one document */
    const char *job_sha256;     /* NULL: unknown -> null */
    const char *request_sha256; /* likewise (invalid_job) */
    const char *endpoint, *workflow;
    bool sandbox;
    int http_status; /* 0 -> null */
    int attempts, rate_limited, ambiguous;
    int64_t queued_ms, started_ms, finished_ms; /* Unix ms, 0 -> null */
    int64_t duration_ms;                        /* -1 -> null */
    const char *request_id;                     /* NULL -> null */
    /* success: */
    const struct json_object *reply; /* members of the service's reply; has a `result` */
    /* failure: */
    const char *code, *message;
    bool retryable;
    const char
        *response; /* the body, of which the first 4 KiB are kept; NULL: none; not UTF-8: U+FFFD instead */
    size_t response_len;
};

/* Malloc'd JSON text, one line with a final newline (and a NUL that len does not count); NULL: no memory.
 * The success form is built in memory: one copy of the reply. Members of the reply that flowspool does
 * not know go under "extra" (of duplicates the last); when reply->dropped is true, those that are listed. */
char *outcome_result(const struct outcome *o, size_t *len);
char *outcome_error(const struct outcome *o, size_t *len);

/* What a take needs to know of an outcome that lies beside a job. */
struct outcome_summary {
    bool success;
    bool sandbox;
    char request_sha256[DIGEST_HEX]; /* "" when null */
    char code[32];                   /* "" for a result */
    int ambiguous;                   /* attempts that may have been charged; 0 when the outcome tells none */
    char *endpoint;                  /* malloc'd, may be NULL: null, or no memory */
};
/* False when text is no outcome of version 1; *out is then empty. The caller frees it either way. */
bool outcome_read(const char *text, size_t len, struct outcome_summary *out);
void outcome_summary_free(struct outcome_summary *s);

/* The same outcome with another "job" (and "document", 0: none): for a renamed job. All other bytes stay as
 * they are. malloc'd with a NUL that out_len does not count; NULL: no memory, or text is not ours. */
char *outcome_rename(const char *text, size_t len, const char *job, size_t document, size_t *out_len);

#endif
