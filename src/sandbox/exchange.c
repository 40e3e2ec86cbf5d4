#include "sandbox/exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A body beyond this is no mistake that deserves an answer. */
#define SWALLOW_MAX ((size_t)256 << 20)

int64_t exchange_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct exchange *exchange_new(struct server *s, struct MHD_Connection *connection)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (!x) {
        return NULL;
    }
    x->server = s;
    x->connection = connection;
    x->arrived_us = exchange_now_us();
    x->run.retry_after_s = -1;
    snprintf(x->request_id, sizeof x->request_id, "sandbox1::%05" PRIx64 "-%" PRId64 "-%012" PRIx64,
             s->started_ms & 0xfffff, x->arrived_us / 1000, ++s->requests);
    return x;
}

static void release(struct exchange *x)
{
    free(x->body);
    free(x);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void exchange_free(struct exchange *x)
{
    if (x->has_timer) {
        uv_close((uv_handle_t *)&x->timer, on_timer_closed);
    } else {
        release(x);
    }
}

static bool make_room(struct exchange *x, size_t total)
{
    if (total <= x->body_room) {
        return true;
    }
    size_t room = total < 2 * x->body_room ? 2 * x->body_room : total;
    char *grown = realloc(x->body, room);
    if (!grown) {
        return false;
    }
    x->body = grown;
    x->body_room = room;
    return true;
}

bool exchange_take_body(struct exchange *x, const char *bytes, size_t len)
{
    if (len > SWALLOW_MAX - x->run.body_len) {
        return false;
    }
    size_t total = x->run.body_len + len;
    if (x->route == ROUTE_RUN && total <= SERVICE_BODY_MAX) {
        if (!make_room(x, total)) {
            return false;
        }
        memcpy(x->body + x->run.body_len, bytes, len);
    }
    x->run.body_len = total;
    return true;
}

static void put_to_sleep(struct exchange *x)
{
    struct exchange **head = &x->server->suspended;
    x->next = *head;
    x->link = head;
    if (x->next) {
        x->next->link = &x->next;
    }
    *head = x;
    MHD_suspend_connection(x->connection);
}

static void wake(struct exchange *x)
{
    *x->link = x->next;
    if (x->next) {
        x->next->link = x->link;
    }
    MHD_resume_connection(x->connection);
}

static void on_timer(uv_timer_t *timer)
{
    struct exchange *x = timer->data;
    if (x->phase == PHASE_WAITING) {
        x->phase = PHASE_REPLYING;
        service_finish(x->server->service, &x->run, exchange_now_us());
    }
    wake(x);
    server_kick(x->server);
}

bool exchange_sleep(struct exchange *x, uint64_t ms)
{
    if (x->server->stopping) {
        return false;
    }
    if (!x->has_timer) {
        if (uv_timer_init(x->server->loop, &x->timer) != 0) {
            return false;
        }
        x->timer.data = x;
        x->has_timer = true;
    }
    /* The loop's idea of now is as old as its turn, in which thousands of requests may have been read. */
    uv_update_time(x->server->loop);
    if (uv_timer_start(&x->timer, on_timer, ms, 0) != 0) {
        return false;
    }
    put_to_sleep(x);
    return true;
}

void exchange_abandon_all(struct server *s)
{
    while (s->suspended) {
        struct exchange *x = s->suspended;
        service_abandon(s->service, &x->run);
        uv_timer_stop(&x->timer);
        x->phase = PHASE_ABANDONED;
        wake(x);
    }
}
