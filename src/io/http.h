/* http - one POST per call through curl's multi interface on the libuv loop.
 *
 * The only module that sees curl. No helper threads for transfers (curl's resolver thread excepted).
 *
 * A POST is written once: curl would send it again by itself when a reused connection dies. Two guards stop
 * it: a callback before the first byte that refuses a second time, and a body that cannot be read twice.
 *
 * Connections are kept alive; where TLS offers HTTP/2, requests share them. Nothing queues inside curl. While
 * it is not known that a connection can be had and what it can carry, one request goes ahead until it is
 * connected; the others wait here, no longer than a connect may take, and fail as "not sent" with it.
 *
 * Redirects are never followed, compressed replies never asked for nor unpacked, TLS verification is never
 * off, the environment's proxies are never used, protocols are limited to https (http only where the
 * endpoint says so). The program must ignore SIGPIPE: TLS writes raise it.
 *
 * A request's end is reported exactly once by done(), never from inside http_send(); when http_send() returns
 * an error done is never called. done() may call everything here but http_close().
 */
#ifndef FLOWSPOOL_IO_HTTP_H
#define FLOWSPOOL_IO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/verdict.h"

struct http;

struct http_options {
    const char *endpoint;        /* https://host[:port][/base] ; /api/v1/run/{workflow} is appended */
    const char *key;             /* copied; wiped on change and close */
    const char *ca_file, *proxy; /* "" : none */
    int64_t request_timeout_ms, connect_timeout_ms;
    int max_concurrency;
    int64_t max_response_size, max_response_memory;
    const char *spill_dir; /* state_dir/replies: replies beyond max_response_memory go to files here */
    const char *user_agent;
};

struct http_result {
    enum attempt_end end;
    int http_status; /* 0: no status line arrived */
    /* Raw reply. Owned by the receiver after done: free with http_result_free. */
    char *headers; /* final header block, raw lines, at most 64 KiB */
    size_t headers_len;
    char *body; /* NULL when spilled or empty */
    size_t body_len;
    char *spill; /* file name in spill_dir, written and synced, or NULL */
    /* headers of interest, NULL when absent; point into storage owned by the result */
    char *rate_limit, *rate_remaining, *retry_after, *request_id;
    bool sandbox;        /* x-flowspool-sandbox: 1 */
    int64_t duration_ms; /* from http_send to the end */
    char error[192];     /* for people: "connection refused (127.0.0.1:1)", … ; never the key */
};
void http_result_free(struct http_result *r);
/* Copies a stored block of headers and finds those of interest in it; out of memory leaves them NULL. For
 * replies that were stored by an earlier run. */
void http_result_headers(struct http_result *r, const char *head, size_t len);

typedef void (*http_done_fn)(void *arg, struct http_result *r); /* takes ownership of *r's contents */

int http_open(struct http **out, uv_loop_t *loop, const struct http_options *o, char *message, size_t size);
/* New endpoint, key, time-outs: for requests from now on. */
int http_configure(struct http *h, const struct http_options *o, char *message, size_t size);
/* body is not copied and must live until done. 0 or a negative errno (-ENOMEM, -EMFILE). */
int http_send(struct http *h, const char *workflow, const char *body, size_t body_len, http_done_fn done,
              void *arg);
int http_in_flight(const struct http *h);
/* Ends every transfer now; each done is called (from inside) with ATTEMPT_CUT, or ATTEMPT_NOT_SENT where
 * nothing was written. */
void http_abort_all(struct http *h);
/* No transfer may be left. Handles are closed; run the loop once more before freeing it. */
void http_close(struct http *h);
/* Checks an endpoint's form: NULL or the sentence why not (contains /api/v1, not http(s), user info, query,
 * ...). */
const char *http_endpoint_fault(const char *endpoint);

/* The words of ATTEMPT_TOO_LARGE: of a reply that was stored nothing else is known after a restart. */
#define HTTP_TOO_LARGE_WORDS "the reply exceeds max_response_size"

#endif
