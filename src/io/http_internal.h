/* http_internal - what the files of http share, and nobody else includes (its own unit test excepted).
 *
 *   http.c           open, configure, send, abort, close; when a waiting request may start; delivery
 *   http_loop.c      curl's sockets and timer on the libuv loop; curl's message queue
 *   http_settings.c  endpoint, headers, trust anchors: fixed for the requests made under one configuration
 *   http_transfer.c  one request: its curl handle, its callbacks, what they saw
 *   http_reply.c     the reply's bytes: in memory within a budget, else in a spill file
 *   http_result.c    facts to verdict-ready result: end, sentence, headers of interest
 */
#ifndef FLOWSPOOL_IO_HTTP_INTERNAL_H
#define FLOWSPOOL_IO_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "io/http.h"

enum {
    HTTP_HEADERS_MAX = 64 * 1024, /* of one reply: interim blocks, final block and trailers together */
    HTTP_SOCKETS = 8,
    HTTP_KEPT_MAX = 4096, /* of the body, where the reply is not whole or too large */
};

/* ---- settings: shared by the requests made under one configuration, freed with the last of them ---- */
struct http_settings {
    size_t refs;
    char *base; /* endpoint without trailing slashes */
    bool tls;
    char *key;
    struct curl_slist *headers; /* one list for all requests: only the URL and the body differ */
    char *user_agent, *proxy, *spill_dir;
    char *ca_path; /* NULL: curl's default bundle */
    int ca_fd;     /* -1, or the memory file ca_path leads to */
    bool has_bundle;
    int64_t request_timeout_ms, connect_timeout_ms, max_response_size;
};
int http_settings_new(struct http_settings **out, const struct http_options *o, unsigned generation,
                      char *message, size_t size);
struct http_settings *http_settings_ref(struct http_settings *s);
void http_settings_unref(struct http_settings *s); /* NULL is fine; wipes the key */

/* ---- the body of a reply ---- */
struct http_budget {
    int64_t used, max;
};
struct http_reply {
    struct http_budget *budget;
    const char *spill_dir; /* must outlive the reply */
    char *data;
    size_t len, capacity; /* of data; what is in a spill file is not in data */
    int fd;               /* -1: not spilled */
    char *spill;          /* its name in spill_dir */
    int64_t total;        /* bytes received */
    bool no_spill;        /* spilling has failed: the budget gives way, a paid reply does not */
};
void http_reply_init(struct http_reply *r, struct http_budget *budget, const char *spill_dir);
/* False: neither memory nor disk takes it. */
bool http_reply_append(struct http_reply *r, const char *data, size_t len);
/* Cuts it to its first bytes, in memory. */
void http_reply_keep_first(struct http_reply *r, size_t len);
/* Hands the bytes in memory over, without slack; *body is NULL when there are none. */
void http_reply_take(struct http_reply *r, char **body, size_t *len);
void http_reply_drop(struct http_reply *r);

/* A spill file on its way to the disk; touched by one thread at a time. */
struct http_spill {
    char *dir, *name;
    int fd;
    int64_t total;
    char *body; /* afterwards: name is synced, or name is NULL and the bytes are here again */
    size_t body_len;
    bool lost; /* neither: the sync failed and there is no memory for the bytes */
};
/* Takes the spill file over from a reply. False: out of memory, r unchanged. */
bool http_reply_take_spill(struct http_reply *r, struct http_spill *s);
void http_spill_sync(struct http_spill *s); /* blocks; closes the file */
void http_spill_drop(struct http_spill *s);

/* ---- one request ---- */
enum transfer_state {
    TRANSFER_IDLE,    /* in the pool */
    TRANSFER_WAITING, /* for its turn to connect */
    TRANSFER_RUNNING, /* with curl */
    TRANSFER_ENDED,   /* done is due */
    TRANSFER_SYNCING, /* its spill file goes to the disk */
};
struct spill_job;
struct socket_watch;

struct transfer {
    struct http *http;
    struct transfer *prev, *next;
    enum transfer_state state;
    CURL *easy;
    struct http_settings *settings;
    http_done_fn done;
    void *arg;
    uint64_t start_ns;
    /* what the callbacks saw */
    bool ready;                /* connected: the request could be written */
    bool refused_again;        /* curl wanted to send it a second time */
    int sockets[HTTP_SOCKETS]; /* opened for it: several addresses may be tried */
    unsigned socket_count;
    long port;        /* ours, of the connection it went over */
    long sent_before; /* CURLINFO_REQUEST_SIZE when it became ready: a proxy's CONNECT counts there */
    char *head;       /* the block being read: at the end, the final one */
    size_t head_len, head_capacity, header_bytes;
    bool in_head, head_whole;
    int status; /* of the final block, 0 before */
    struct http_reply reply;
    int64_t cap; /* of the body; 0 until its first byte */
    bool too_large, headers_too_large;
    char error[CURL_ERROR_SIZE];
    struct http_result result;
    struct spill_job *spill_job;
};
struct transfer *http_transfer_new(struct http *h, struct http_settings *s);
void http_transfer_free(struct transfer *t);
/* Readies one from the pool for its next request. 0 or a negative errno. */
int http_transfer_begin(struct transfer *t, const char *workflow, const char *body, size_t body_len);
/* Fills t->result; the reply stays in t->reply only where it must be synced first. */
void http_transfer_end(struct transfer *t, CURLcode code);
/* The same for one that never started, because of why. */
void http_transfer_never_sent(struct transfer *t, const char *why);

/* ---- results (pure) ---- */
struct http_facts {
    bool ready, sent; /* sent: at least one byte of the request may be on the wire */
    int status;
    bool head_whole;    /* of the final block: curl takes a reply that ends in its headers for whole */
    bool announced_all; /* all bytes that the final headers announced have arrived */
    bool lengths_differ;
    bool too_large;
};
enum attempt_end http_classify(CURLcode code, const struct http_facts *f);
bool http_lengths_differ(const char *head, size_t len);
struct http_words {
    CURLcode code;
    enum attempt_end end;
    const struct http_facts *facts;
    long os_errno, proxy_status, port;
    const char *ip;   /* NULL or "": no connection came about; then base names the server */
    const char *base; /* NULL behind a proxy */
    const char *detail, *key, *proxy;
    bool refused_again, headers_too_large;
};
void http_result_error(struct http_result *r, const struct http_words *w);

/* ---- the module ---- */
struct transfer_list {
    struct transfer *head, *tail;
};
enum http_protocol {
    HTTP_UNKNOWN,
    HTTP_SERIAL,    /* a connection carries one request at a time: HTTP/1.1 */
    HTTP_MULTIPLEX, /* HTTP/2 */
};
struct http {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer; /* curl's */
    uv_timer_t kick;  /* ours: something waits to be started */
    int open_handles;
    int socket_errno;              /* of the last socket() that failed */
    struct socket_watch **watches; /* by descriptor */
    size_t watch_count;
    struct http_settings *settings;
    unsigned generation;
    int max_concurrency;
    struct http_budget budget;
    struct transfer_list waiting, running, ended, syncing, pool;
    int in_flight, pooled;
    int connecting; /* running, not yet ready */
    enum http_protocol protocol;
    bool http1_only; /* until the next configuration */
    bool connected_once;
    uint64_t last_ready_ms; /* loop time */
    bool settling, closing;
};
void http_list_add(struct transfer_list *l, struct transfer *t);
void http_list_remove(struct transfer_list *l, struct transfer *t);

int http_loop_open(struct http *h);
/* Lets curl work and moves what has ended to h->ended. Never from inside a callback of curl. */
void http_loop_drive(struct http *h, curl_socket_t fd, int events);
void http_loop_detach(struct http *h, struct transfer *t, CURLcode code); /* running -> ended */
void http_loop_close(struct http *h);
/* Curl's sockets are opened and closed here. */
curl_socket_t http_loop_socket(struct transfer *t, const struct curl_sockaddr *address);
int http_loop_close_socket(void *arg, curl_socket_t fd);
void http_loop_connected(const struct transfer *t, long local_port);
/* A transfer got its connection (called by curl's callback: only notes it down). */
void http_ready(struct transfer *t, long local_port);
/* Reports what has ended and starts what may start, until neither is left. */
void http_settle(struct http *h);

#endif
