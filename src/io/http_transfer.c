/* http_transfer - one request: its curl handle, the callbacks curl makes for it, and what they saw. */
#include "io/http_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/scrub.h"

enum {
    BUFFER_SIZE = 16 * 1024,
    KEEPALIVE_IDLE_S = 30,
    KEEPALIVE_INTERVAL_S = 15,
    WORKFLOW_MAX = 128,
    HEAD_KEPT = 8 * 1024
};

/* ---- callbacks: they only note down ---- */

static long request_size(const struct transfer *t)
{
    long size = 0;
    (void)curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &size);
    return size;
}

static bool anything_sent(const struct transfer *t)
{
    return t->ready && request_size(t) > t->sent_before;
}

/* Called when the connection is ready, before the first byte of the request. Curl comes here again when
 * a reused connection died: it would send the POST once more by itself. Harmless only while nothing
 * of it was written. */
static int on_ready(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct transfer *t = arg;
    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    if (anything_sent(t)) {
        t->refused_again = true;
        return CURL_PREREQFUNC_ABORT;
    }
    t->sent_before = request_size(t);
    if (t->socket_count > 0) {
        http_loop_connected(t, local_port);
    }
    if (!t->ready) {
        t->ready = true;
        http_ready(t, local_port);
    }
    return CURL_PREREQFUNC_OK;
}

/* The same guard, earlier: no new connection for a request that was sent. Without it the end would be
 * reported after a connect that can take its whole time-out, and a dead HTTP/2 connection would be followed
 * by one handshake for each of its requests. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    (void)purpose;
    if (anything_sent(t)) {
        t->refused_again = true;
        return CURL_SOCKET_BAD;
    }
    return http_loop_socket(t, address);
}

static int parse_status(const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    int status = 0;
    if (space == NULL) {
        return 0;
    }
    for (size_t i = 1; i <= 3; i++) {
        if (space + i >= line + len || space[i] < '0' || space[i] > '9') {
            return 0;
        }
        status = status * 10 + (space[i] - '0');
    }
    return status;
}

static bool keep_header(struct transfer *t, const char *line, size_t len)
{
    if (t->head_len + len > t->head_capacity) {
        size_t capacity = t->head_capacity == 0 ? 1024 : t->head_capacity;
        while (capacity < t->head_len + len) {
            capacity *= 2; /* at most 128 KiB: the sum was checked */
        }
        char *head = realloc(t->head, capacity);
        if (head == NULL) {
            return false;
        }
        t->head = head;
        t->head_capacity = capacity;
    }
    memcpy(t->head + t->head_len, line, len);
    t->head_len += len;
    return true;
}

/* One whole line a call. A status line begins a block, an empty line ends it; after the final block come
 * trailers only. */
static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * count;
    if (len > HTTP_HEADERS_MAX - t->header_bytes) {
        t->headers_too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    t->header_bytes += len;
    if (t->head_whole) {
        return len;
    }
    if (!t->in_head) {
        t->in_head = true;
        t->head_len = 0;
        t->status = parse_status(line, len);
        t->status = t->status < 200 ? 0 : t->status;
    }
    if (!keep_header(t, line, len)) {
        return CURL_WRITEFUNC_ERROR;
    }
    if (line[0] == '\n' || (len >= 2 && line[0] == '\r' && line[1] == '\n')) {
        t->in_head = false;
        t->head_whole = t->status != 0;
    }
    return len;
}

static int64_t announced_length(const struct transfer *t)
{
    curl_off_t length = -1;
    (void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    return (int64_t)length;
}

static size_t on_write(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * count;
    if (t->cap == 0) {
        /* What says itself that it will be too large is read no further than what is kept of it. */
        t->cap = announced_length(t) > t->settings->max_response_size ? HTTP_KEPT_MAX
                                                                      : t->settings->max_response_size;
    }
    int64_t room = t->cap - t->reply.total;
    if ((int64_t)len > room) {
        t->too_large = true;
        (void)http_reply_append(&t->reply, data, (size_t)room);
        return CURL_WRITEFUNC_ERROR;
    }
    return http_reply_append(&t->reply, data, len) ? len : CURL_WRITEFUNC_ERROR;
}

/* ---- setting up ---- */

struct option_long {
    CURLoption option;
    long value;
};

static CURLcode set_longs(CURL *easy, const struct option_long *options, size_t count)
{
    CURLcode rc = CURLE_OK;
    for (size_t i = 0; rc == CURLE_OK && i < count; i++) {
        rc = curl_easy_setopt(easy, options[i].option, options[i].value);
    }
    return rc;
}

static CURLcode set_numbers(CURL *easy, const struct http_settings *s)
{
    const struct option_long options[] = {
        {CURLOPT_POST, 1},
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_QUICK_EXIT, 1}, /* else an abandoned name lookup blocks the loop for seconds */
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_UNRESTRICTED_AUTH, 0},
        {CURLOPT_NETRC, CURL_NETRC_IGNORED},
        {CURLOPT_HEADEROPT, CURLHEADER_SEPARATE}, /* a proxy never sees the key */
        {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
        {CURLOPT_HTTPPROXYTUNNEL, 1}, /* a forwarding proxy may repeat a POST; a tunnel cannot */
        {CURLOPT_HTTP_CONTENT_DECODING, 0},
        {CURLOPT_HTTP09_ALLOWED, 0},
        {CURLOPT_PATH_AS_IS, 1},
        {CURLOPT_HTTP_VERSION, s->tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1},
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 2},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {CURLOPT_TIMEOUT_MS, (long)s->request_timeout_ms},
        {CURLOPT_CONNECTTIMEOUT_MS, (long)s->connect_timeout_ms},
        {CURLOPT_BUFFERSIZE, BUFFER_SIZE},
        {CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_SIZE}, /* one a request in flight: 64 KiB by default */
    };
    return set_longs(easy, options, sizeof options / sizeof *options);
}

static CURLcode set_callbacks(struct transfer *t)
{
    const struct {
        CURLoption option;
        void *data;
    } data[] = {
        {CURLOPT_OPENSOCKETDATA, t},     {CURLOPT_CLOSESOCKETDATA, t->http},
        {CURLOPT_PREREQDATA, t},         {CURLOPT_HEADERDATA, t},
        {CURLOPT_WRITEDATA, t},          {CURLOPT_PRIVATE, t},
        {CURLOPT_ERRORBUFFER, t->error},
    };
    CURLcode rc = curl_easy_setopt(t->easy, CURLOPT_PREREQFUNCTION, on_ready);
    rc = rc == CURLE_OK ? curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header) : rc;
    rc = rc == CURLE_OK ? curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_write) : rc;
    rc = rc == CURLE_OK ? curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open) : rc;
    rc = rc == CURLE_OK ? curl_easy_setopt(t->easy, CURLOPT_CLOSESOCKETFUNCTION, http_loop_close_socket) : rc;
    for (size_t i = 0; rc == CURLE_OK && i < sizeof data / sizeof *data; i++) {
        rc = curl_easy_setopt(t->easy, data[i].option, data[i].data);
    }
    return rc;
}

static CURLcode set_strings(CURL *easy, const struct http_settings *s)
{
    const struct {
        CURLoption option;
        const char *value;
        bool set;
    } strings[] = {
        {CURLOPT_PROTOCOLS_STR, s->tls ? "https" : "http", true},
        {CURLOPT_REDIR_PROTOCOLS_STR, "https", true},
        {CURLOPT_USERAGENT, s->user_agent, true},
        {CURLOPT_PROXY, s->proxy, true}, /* "": none, not even the environment's */
        {CURLOPT_NOPROXY, "", true},
        {CURLOPT_CAINFO, s->ca_path, s->ca_path != NULL},
        {CURLOPT_PROXY_CAINFO, s->ca_path, s->ca_path != NULL},
        /* libcurl shares its parsed store among connections only where no directory is searched as well */
        {CURLOPT_CAPATH, NULL, s->has_bundle},
        {CURLOPT_PROXY_CAPATH, NULL, s->has_bundle},
    };
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, s->headers);
    for (size_t i = 0; rc == CURLE_OK && i < sizeof strings / sizeof *strings; i++) {
        if (strings[i].set) {
            rc = curl_easy_setopt(easy, strings[i].option, strings[i].value);
        }
    }
    return rc;
}

struct transfer *http_transfer_new(struct http *h, struct http_settings *s)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->http = h;
    t->settings = http_settings_ref(s);
    http_reply_init(&t->reply, &h->budget, s->spill_dir);
    t->easy = curl_easy_init();
    if (t->easy == NULL || set_numbers(t->easy, s) != CURLE_OK || set_callbacks(t) != CURLE_OK ||
        set_strings(t->easy, s) != CURLE_OK) {
        http_transfer_free(t);
        return NULL;
    }
    return t;
}

void http_transfer_free(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    http_reply_drop(&t->reply);
    http_result_free(&t->result);
    http_settings_unref(t->settings);
    free(t->head);
    free(t);
}

static bool workflow_is_safe(const char *workflow)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t len = strlen(workflow);
    return len > 0 && len <= WORKFLOW_MAX && strspn(workflow, allowed) == len;
}

static int set_url(struct transfer *t, const char *workflow)
{
    char url[2400];
    int n = snprintf(url, sizeof url, "%s/api/v1/run/%s", t->settings->base, workflow);
    if (n < 0 || (size_t)n >= sizeof url) {
        return -EINVAL;
    }
    return curl_easy_setopt(t->easy, CURLOPT_URL, url) == CURLE_OK ? 0 : -ENOMEM;
}

/* In memory rather than by a callback: then a short one leaves in one piece with the head. Curl could read it
 * once more as well; that it does not send twice is on_ready()'s doing. */
static int set_body(struct transfer *t, const char *body, size_t len)
{
    bool set = curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len) == CURLE_OK &&
               curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, len > 0 ? body : "") == CURLE_OK;
    return set ? 0 : -ENOMEM;
}

int http_transfer_begin(struct transfer *t, const char *workflow, const char *body, size_t body_len)
{
    if (!workflow_is_safe(workflow)) {
        return -EINVAL; /* it would become part of a URL */
    }
    int rc = set_url(t, workflow);
    if (rc == 0) {
        rc = set_body(t, body, body_len);
    }
    t->start_ns = uv_hrtime();
    t->ready = t->refused_again = t->in_head = t->head_whole = t->too_large = t->headers_too_large = false;
    t->port = t->sent_before = 0;
    t->socket_count = 0;
    t->head_len = t->header_bytes = 0;
    if (t->head_capacity > HEAD_KEPT) {
        free(t->head);
        t->head = NULL;
        t->head_capacity = 0;
    }
    t->status = 0;
    t->cap = 0;
    t->error[0] = '\0';
    t->result = (struct http_result){0};
    http_reply_init(&t->reply, &t->http->budget, t->settings->spill_dir);
    return rc;
}

/* ---- ending ---- */

static int64_t elapsed_ms(const struct transfer *t)
{
    return (int64_t)((uv_hrtime() - t->start_ns) / 1000000);
}

static struct http_facts gather(const struct transfer *t)
{
    struct http_facts f = {.ready = t->ready,
                           .sent = anything_sent(t),
                           .status = t->status,
                           .head_whole = t->head_whole,
                           .too_large = t->too_large};
    f.lengths_differ = t->head_len > 0 && http_lengths_differ(t->head, t->head_len);
    f.announced_all = t->head_whole && announced_length(t) == t->reply.total;
    return f;
}

static void describe(struct transfer *t, CURLcode code, const struct http_facts *f)
{
    char *ip = NULL;
    struct http_words w = {.code = code, .end = t->result.end, .facts = f, .detail = t->error};
    w.key = t->settings->key;
    w.proxy = t->settings->proxy;
    w.base = t->settings->proxy[0] == '\0' ? t->settings->base : NULL;
    w.refused_again = t->refused_again;
    w.headers_too_large = t->headers_too_large;
    (void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &w.os_errno);
    (void)curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &w.proxy_status);
    (void)curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_PORT, &w.port);
    (void)curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip);
    w.ip = ip;
    if (code == CURLE_COULDNT_CONNECT && w.os_errno == 0) {
        w.os_errno = t->http->socket_errno;
        t->http->socket_errno = 0;
    }
    http_result_error(&t->result, &w);
}

void http_transfer_end(struct transfer *t, CURLcode code)
{
    struct http_result *r = &t->result;
    struct http_facts facts = gather(t);
    r->end = http_classify(code, &facts);
    r->http_status = t->status;
    r->duration_ms = elapsed_ms(t);
    scrub(t->head, t->head_len, t->settings->key); /* what a server quotes must not end in an outcome */
    http_result_headers(r, t->head, t->head_len);
    if (r->end != ATTEMPT_REPLIED) {
        describe(t, code, &facts);
        http_reply_keep_first(&t->reply, HTTP_KEPT_MAX);
    }
    if (t->reply.fd < 0) {
        http_reply_take(&t->reply, &r->body, &r->body_len);
    }
    if (t->status < 200 || t->status > 299) { /* of what was paid no byte is changed */
        scrub(r->body, r->body_len, t->settings->key);
    }
}

void http_transfer_never_sent(struct transfer *t, const char *why)
{
    t->result.end = ATTEMPT_NOT_SENT;
    t->result.duration_ms = elapsed_ms(t);
    (void)snprintf(t->result.error, sizeof t->result.error, "%s", why);
}
