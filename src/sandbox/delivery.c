#include "sandbox/delivery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BLOCK 4096

static const char huge_head[] = "{\"success\":true,\"result\":\"";
static const char huge_tail[] = "\"}";
#define HUGE_HEAD_LEN (sizeof huge_head - 1)
#define HUGE_TAIL_LEN (sizeof huge_tail - 1)

static const char garbage_body[] = "{\"success\": true, \"result\": \"half a th\x80\xff ]]] <br/> NaN";
static const char not_http[] = "\x16\x03 220 this is no HTTP server\r\n\x80\xff\r\n";

/* A body that is made while it is sent. */
struct stream {
    struct exchange *exchange;
    char *body; /* owned; NULL for huge ones */
    uint64_t len;
    uint64_t allowed; /* what may be sent by now; a cut reply stops there */
    uint64_t step;    /* drip: bytes per interval */
    uint64_t interval_ms;
};

static void free_stream(void *cls)
{
    struct stream *s = cls;
    free(s->body);
    free(s);
}

static size_t least(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

static ssize_t read_cut(void *cls, uint64_t pos, char *buf, size_t max)
{
    const struct stream *s = cls;
    if (pos >= s->allowed) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t n = least(s->allowed - pos, max);
    memcpy(buf, s->body + pos, n);
    return (ssize_t)n;
}

static ssize_t read_drip(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct stream *s = cls;
    if (s->exchange->phase == PHASE_ABANDONED) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (pos >= s->allowed) {
        s->allowed += s->step;
        return exchange_sleep(s->exchange, s->interval_ms) ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t n = least((s->allowed < s->len ? s->allowed : s->len) - pos, max);
    memcpy(buf, s->body + pos, n);
    return (ssize_t)n;
}

static ssize_t read_huge(void *cls, uint64_t pos, char *buf, size_t max)
{
    const struct stream *s = cls;
    uint64_t tail = s->len - HUGE_TAIL_LEN;
    if (pos >= s->len) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (pos < HUGE_HEAD_LEN) {
        size_t n = least(HUGE_HEAD_LEN - pos, max);
        memcpy(buf, huge_head + pos, n);
        return (ssize_t)n;
    }
    if (pos < tail) {
        size_t n = least(tail - pos, max);
        memset(buf, 'x', n);
        return (ssize_t)n;
    }
    size_t n = least(s->len - pos, max);
    memcpy(buf, huge_tail + (pos - tail), n);
    return (ssize_t)n;
}

static struct MHD_Response *stream_response(struct stream plan, uint64_t size, MHD_ContentReaderCallback read)
{
    struct stream *s = malloc(sizeof *s);
    if (!s) {
        free(plan.body);
        return NULL;
    }
    *s = plan;
    struct MHD_Response *response = MHD_create_response_from_callback(size, BLOCK, read, s, free_stream);
    if (!response) {
        free_stream(s);
    }
    return response;
}

static struct MHD_Response *huge_response(int64_t bytes, bool chunked)
{
    uint64_t least_len = HUGE_HEAD_LEN + HUGE_TAIL_LEN;
    struct stream plan = {.len = (uint64_t)bytes > least_len ? (uint64_t)bytes : least_len};
    return stream_response(plan, chunked ? MHD_SIZE_UNKNOWN : plan.len, read_huge);
}

static struct MHD_Response *drip_response(struct exchange *x, struct answer_text *text, int64_t total_ms)
{
    /* As few bytes at a time as steps of 10 ms or more allow. */
    uint64_t total = (uint64_t)total_ms, most_steps = total < 10 ? 1 : total / 10;
    uint64_t step = (text->len + most_steps - 1) / most_steps;
    uint64_t steps = (text->len + step - 1) / step;
    struct stream plan = {
        .exchange = x, .body = text->body, .len = text->len, .step = step, .interval_ms = total / steps};
    text->body = NULL;
    return stream_response(plan, plan.len, read_drip);
}

static struct MHD_Response *cut_response(struct answer_text *text)
{
    struct stream plan = {.body = text->body, .len = text->len, .allowed = text->len / 2};
    text->body = NULL;
    return stream_response(plan, plan.len, read_cut);
}

static struct MHD_Response *static_response(const char *body, size_t len)
{
    return MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Response *whole_response(struct answer_text *text)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text->len, text->body, MHD_RESPMEM_MUST_FREE);
    if (response) {
        text->body = NULL;
    }
    return response;
}

static struct MHD_Response *make_response(struct exchange *x, struct answer_text *text)
{
    const struct fault_rule *fault = x->run.fault;
    switch (fault ? fault->kind : FAULT_NONE) {
    case FAULT_CUT:
        return cut_response(text);
    case FAULT_GARBAGE:
        return static_response(garbage_body, sizeof garbage_body - 1);
    case FAULT_DRIP:
        return drip_response(x, text, fault->argument);
    case FAULT_HUGE:
        return huge_response(fault->argument, false);
    case FAULT_HUGE_CHUNKED:
        return huge_response(fault->argument, true);
    default:
        return whole_response(text);
    }
}

static void add_number(struct MHD_Response *response, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    MHD_add_response_header(response, name, text);
}

static void add_retry_after(struct MHD_Response *response, const struct exchange *x)
{
    if (x->run.retry_after_s < 0) {
        return;
    }
    if (!x->server->service->options->retry_after.date) {
        add_number(response, "Retry-After", x->run.retry_after_s);
        return;
    }
    char text[40];
    struct tm utc;
    time_t when = (time_t)(x->arrived_us / 1000000 + x->run.retry_after_s);
    /* No locale is ever set here, so the names of days and months are the English ones HTTP wants. */
    if (gmtime_r(&when, &utc) && strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)) {
        MHD_add_response_header(response, "Retry-After", text);
    }
}

static void add_headers(struct MHD_Response *response, const struct exchange *x,
                        const struct answer_text *text)
{
    MHD_add_response_header(response, "Content-Type", text->content_type);
    MHD_add_response_header(response, "x-flowspool-sandbox", "1");
    MHD_add_response_header(response, "x-vercel-id", x->request_id);
    if (text->platform_error) {
        MHD_add_response_header(response, "x-vercel-error", text->platform_error);
    }
    if (text->location) {
        MHD_add_response_header(response, "Location", text->location);
    }
    if (x->run.shows_rate) {
        add_number(response, "x-ratelimit-limit", x->run.limit);
        add_number(response, "x-ratelimit-remaining", x->run.remaining);
    }
    add_retry_after(response, x);
}

static enum MHD_Result send_text(struct exchange *x, struct answer_text *text)
{
    struct MHD_Response *response = make_response(x, text);
    enum MHD_Result result = MHD_NO;
    if (response) {
        add_headers(response, x, text);
        result = MHD_queue_response(x->connection, (unsigned)text->status, response);
        MHD_destroy_response(response);
    }
    free(text->body);
    return result;
}

static int connection_fd(const struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

void delivery_reset(struct exchange *x)
{
    /* The descriptor is the HTTP library's to close, and it would send an orderly end first. Connecting
     * to nowhere makes the kernel drop the connection now; without anything lingering that is a reset. */
    const struct linger none = {.l_onoff = 1};
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    int fd = connection_fd(x);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    if (connect(fd, &nowhere, sizeof nowhere) != 0) {
        shutdown(fd, SHUT_RDWR);
    }
}

static enum MHD_Result send_not_http(struct exchange *x)
{
    if (send(connection_fd(x), not_http, sizeof not_http - 1, MSG_NOSIGNAL) < 0) {
        delivery_reset(x);
    }
    return MHD_NO;
}

enum MHD_Result delivery_send(struct exchange *x)
{
    struct answer_text text;
    enum fault_kind fault = x->run.fault ? x->run.fault->kind : FAULT_NONE;
    if (fault == FAULT_RESET_AFTER) {
        delivery_reset(x);
        return MHD_NO;
    }
    if (fault == FAULT_NOT_HTTP) {
        return send_not_http(x);
    }
    if (!answer_text(&x->run, x->request_id, x->server->service->options->run_id, &text)) {
        return MHD_NO;
    }
    x->status = text.status;
    if (x->route == ROUTE_RUN) {
        service_count_status(x->server->service, &x->run, text.status);
    }
    return send_text(x, &text);
}

enum MHD_Result delivery_send_json(struct exchange *x, char *json, size_t len)
{
    struct answer_text text = {.status = 200, .content_type = "application/json", .body = json, .len = len};
    return json ? send_text(x, &text) : MHD_NO;
}
