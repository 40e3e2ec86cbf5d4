#include "sandbox/handler.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/delivery.h"
#include "sandbox/exchange.h"

static const char run_prefix[] = "/api/v1/run/";

static enum route find_route(const char *method, const char *url)
{
    bool post = strcmp(method, "POST") == 0;
    if (strcmp(url, "/sandbox/stats") == 0) {
        return strcmp(method, "GET") == 0 ? ROUTE_STATS : ROUTE_NO_METHOD;
    }
    if (strcmp(url, "/sandbox/reset") == 0) {
        return post ? ROUTE_RESET : ROUTE_NO_METHOD;
    }
    if (strncmp(url, run_prefix, strlen(run_prefix)) != 0) {
        return ROUTE_NO_PAGE;
    }
    const char *id = url + strlen(run_prefix);
    if (!*id || strchr(id, '/')) {
        return ROUTE_NO_PAGE;
    }
    return post ? ROUTE_RUN : ROUTE_NO_METHOD;
}

/* The head is read. */
static enum MHD_Result begin(struct exchange *x, const char *method, const char *url)
{
    x->route = find_route(method, url);
    if (x->route != ROUTE_RUN) {
        return MHD_YES;
    }
    const char *id = url + strlen(run_prefix);
    if (workflow_id_is_valid(id)) {
        memcpy(x->workflow_id, id, strlen(id) + 1);
    }
    service_draw_fault(x->server->service, &x->run);
    if (service_resets_unread(x->server->service, &x->run)) {
        delivery_reset(x);
        return MHD_NO;
    }
    return MHD_YES;
}

static enum MHD_Result run(struct exchange *x)
{
    struct service *service = x->server->service;
    x->arrived_us = exchange_now_us();
    x->run.workflow_id = x->workflow_id;
    x->run.body = x->body ? x->body : "";
    x->run.authorization =
        MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    service_admit(service, &x->run, x->arrived_us);
    x->run.authorization = NULL;
    if (x->run.in_flight && x->run.latency_ms > 0) {
        x->phase = PHASE_WAITING;
        return exchange_sleep(x, (uint64_t)x->run.latency_ms) ? MHD_YES : MHD_NO;
    }
    x->phase = PHASE_REPLYING;
    if (x->run.in_flight) {
        service_finish(service, &x->run, x->arrived_us);
    }
    return delivery_send(x);
}

static enum MHD_Result send_stats(struct exchange *x)
{
    const char *requests = MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "requests");
    size_t len = 0;
    char *json = server_stats(x->server, !requests || strcmp(requests, "0") != 0, &len);
    return delivery_send_json(x, json, len);
}

static enum MHD_Result send_reset(struct exchange *x)
{
    static const char done[] = "{\"success\":true}\n";
    service_reset(x->server->service);
    return delivery_send_json(x, strdup(done), sizeof done - 1);
}

/* The request is there. */
static enum MHD_Result act(struct exchange *x)
{
    if (x->route == ROUTE_RUN) {
        return run(x);
    }
    x->phase = PHASE_REPLYING;
    switch (x->route) {
    case ROUTE_STATS:
        return send_stats(x);
    case ROUTE_RESET:
        return send_reset(x);
    case ROUTE_NO_METHOD:
        x->run.answer = ANSWER_NO_METHOD;
        break;
    default:
        x->run.answer = ANSWER_NO_PAGE;
        break;
    }
    return delivery_send(x);
}

enum MHD_Result handler_access(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **context)
{
    (void)version;
    struct exchange *x = *context;
    if (!x) {
        x = exchange_new(cls, connection);
        *context = x;
        return x ? begin(x, method, url) : MHD_NO;
    }
    if (*upload_size > 0) {
        bool taken = exchange_take_body(x, upload, *upload_size);
        *upload_size = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    switch (x->phase) {
    case PHASE_READING:
        return act(x);
    case PHASE_REPLYING:
        return delivery_send(x);
    default:
        return MHD_NO;
    }
}

static void log_run(const struct exchange *x)
{
    fprintf(stderr, "flowspool-sandbox: %s workflow=%s bytes=%zu status=%d ms=%" PRId64 "%s%s%s%s\n",
            x->request_id, x->workflow_id[0] ? x->workflow_id : "-", x->run.body_len, x->status,
            (exchange_now_us() - x->arrived_us) / 1000, x->run.charge ? " charged" : "",
            x->run.cached ? " cached" : "", x->run.fault ? " fault=" : "",
            x->run.fault ? fault_kind_name(x->run.fault->kind) : "");
}

void handler_completed(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode how)
{
    (void)connection;
    (void)how;
    const struct server *s = cls;
    struct exchange *x = *context;
    if (!x) {
        return;
    }
    if (s->service->options->verbose && x->route == ROUTE_RUN) {
        log_run(x);
    }
    service_abandon(s->service, &x->run);
    exchange_free(x);
    *context = NULL;
}

void handler_connection(void *cls, struct MHD_Connection *connection, void **context,
                        enum MHD_ConnectionNotificationCode what)
{
    (void)connection;
    (void)context;
    struct server *s = cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        s->service->stats.connections++;
    }
}
