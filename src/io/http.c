/* http - the module's life, the turn of each request, and the report of its end.
 *
 * When a request may start. Curl opens connections as needed and nothing waits inside it, with two
 * exceptions that this file avoids: a burst on a cold name would start one resolver thread each, and a burst
 * on an endpoint not yet known to speak HTTP/2 (or whose connections are full) would open one
 * connection each. CURLOPT_PIPEWAIT is no answer: against HTTP/1.1 it makes handshakes wait for each
 * other. So one request at a time goes ahead until it is connected; the others wait here, unsent, for no
 * longer than a connect may take: when it fails, it has failed for them all.
 */
#include "io/http_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a connection made says that the name is in curl's cache (60 s) and the endpoint is there. */
enum { WARM_MS = 30 * 1000 };

struct spill_job {
    uv_work_t work;
    uv_sem_t done;
    struct http_spill spill;
    struct transfer *transfer; /* NULL: http_abort_all() did not wait for the loop */
};

/* ---- lists ---- */

void http_list_add(struct transfer_list *l, struct transfer *t)
{
    t->prev = l->tail;
    t->next = NULL;
    if (l->tail != NULL) {
        l->tail->next = t;
    } else {
        l->head = t;
    }
    l->tail = t;
}

void http_list_remove(struct transfer_list *l, struct transfer *t)
{
    if (t->prev != NULL) {
        t->prev->next = t->next;
    } else {
        l->head = t->next;
    }
    if (t->next != NULL) {
        t->next->prev = t->prev;
    } else {
        l->tail = t->prev;
    }
    t->prev = t->next = NULL;
}

/* ---- whose turn it is ---- */

void http_ready(struct transfer *t, long local_port)
{
    struct http *h = t->http;
    t->port = local_port;
    h->connecting--;
    if (t->settings != h->settings) {
        return; /* of the endpoint before: it says nothing about this one */
    }
    h->connected_once = true;
    h->last_ready_ms = uv_now(h->loop);
    if (h->protocol != HTTP_UNKNOWN) {
        return;
    }
    /* Two requests under way at once over one connection: only HTTP/2 does that. */
    for (const struct transfer *o = h->running.head; o != NULL; o = o->next) {
        if (o != t && o->ready && o->settings == t->settings) {
            h->protocol = o->port == local_port ? HTTP_MULTIPLEX : HTTP_SERIAL;
            return;
        }
    }
}

static bool one_at_a_time(const struct http *h)
{
    bool warm = h->connected_once && uv_now(h->loop) - h->last_ready_ms < WARM_MS;
    return h->protocol != HTTP_SERIAL || !warm;
}

static void end_unsent(struct http *h, struct transfer_list *from, struct transfer *t, const char *why)
{
    http_list_remove(from, t);
    http_transfer_never_sent(t, why);
    t->state = TRANSFER_ENDED;
    http_list_add(&h->ended, t);
}

static void start(struct http *h, struct transfer *t)
{
    if (h->http1_only) {
        (void)curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    }
    if (curl_multi_add_handle(h->multi, t->easy) != CURLM_OK) {
        end_unsent(h, &h->waiting, t, "out of memory");
        return;
    }
    http_list_remove(&h->waiting, t);
    t->state = TRANSFER_RUNNING;
    http_list_add(&h->running, t);
    h->connecting++;
}

/* True when something ended meanwhile. */
static bool start_waiting(struct http *h)
{
    while (h->waiting.head != NULL && h->ended.head == NULL) {
        bool alone = one_at_a_time(h);
        if (alone && h->connecting > 0) {
            break;
        }
        start(h, h->waiting.head);
        if (alone) {
            /* At once over a connection that is there: then the next one need not wait for the loop. */
            http_loop_drive(h, CURL_SOCKET_TIMEOUT, 0);
        }
    }
    return h->ended.head != NULL;
}

/* ---- reporting ---- */

static void recycle(struct http *h, struct transfer *t)
{
    if (t->settings != h->settings || h->pooled >= h->max_concurrency || h->closing) {
        http_transfer_free(t);
        return;
    }
    t->state = TRANSFER_IDLE;
    http_list_add(&h->pool, t);
    h->pooled++;
}

static void report(struct http *h, struct transfer *t)
{
    http_done_fn done = t->done;
    void *arg = t->arg;
    struct http_result result = t->result;
    t->result = (struct http_result){0};
    h->in_flight--;
    recycle(h, t); /* first: done() often sends the next one */
    done(arg, &result);
}

static void spill_work(uv_work_t *work)
{
    struct spill_job *job = work->data;
    http_spill_sync(&job->spill);
    uv_sem_post(&job->done);
}

static void free_job(struct spill_job *job)
{
    http_spill_drop(&job->spill);
    uv_sem_destroy(&job->done);
    free(job);
}

/* The spill file is safe, or its bytes are back in memory; t has ended. */
static void take_synced(struct transfer *t, struct spill_job *job)
{
    struct http_result *r = &t->result;
    struct http_spill *s = &job->spill;
    r->spill = s->name;
    r->body = s->body;
    r->body_len = s->body_len;
    s->name = s->body = NULL;
    if (s->lost) {
        r->end = ATTEMPT_CUT;
        (void)snprintf(r->error, sizeof r->error, "the reply could not be written to the disk");
    }
    http_list_remove(&t->http->syncing, t);
    t->spill_job = NULL;
    t->state = TRANSFER_ENDED;
    http_list_add(&t->http->ended, t);
}

static void on_spill_synced(uv_work_t *work, int status)
{
    struct spill_job *job = work->data;
    struct transfer *t = job->transfer;
    (void)status;
    if (t != NULL) {
        take_synced(t, job);
        http_settle(t->http);
    }
    free_job(job);
}

/* False: out of memory. */
static bool sync_aside(struct http *h, struct transfer *t)
{
    struct spill_job *job = calloc(1, sizeof *job);
    if (job == NULL || uv_sem_init(&job->done, 0) != 0) {
        free(job);
        return false;
    }
    job->spill.fd = -1;
    job->work.data = job;
    if (!http_reply_take_spill(&t->reply, &job->spill)) {
        free_job(job);
        return false;
    }
    job->transfer = t;
    t->spill_job = job;
    t->state = TRANSFER_SYNCING;
    http_list_add(&h->syncing, t);
    (void)uv_queue_work(h->loop, &job->work, spill_work, on_spill_synced); /* fails without a function only */
    return true;
}

/* Reports one ended transfer, or sends its spill file to the disk first. */
static void finish(struct http *h, struct transfer *t)
{
    http_list_remove(&h->ended, t);
    if (t->reply.fd >= 0 && !sync_aside(h, t)) {
        http_reply_drop(&t->reply);
        t->result.end = ATTEMPT_CUT;
        (void)snprintf(t->result.error, sizeof t->result.error, "out of memory");
    }
    if (t->state == TRANSFER_ENDED) {
        report(h, t);
    }
}

/* One could not connect: neither can those who waited for it. */
static void fail_waiting(struct http *h, const struct transfer *failed)
{
    struct transfer *next;
    for (struct transfer *t = h->waiting.head; t != NULL; t = next) {
        next = t->next;
        if (t->settings == failed->settings) {
            end_unsent(h, &h->waiting, t, failed->result.error);
        }
    }
}

void http_settle(struct http *h)
{
    if (h->settling) {
        return; /* done() called us: the loop below goes on */
    }
    h->settling = true;
    do {
        for (struct transfer *t; (t = h->ended.head) != NULL;) {
            if (t->result.end == ATTEMPT_NOT_SENT) {
                fail_waiting(h, t);
            }
            finish(h, t);
        }
    } while (!h->closing && start_waiting(h));
    h->settling = false;
}

static void on_kick(uv_timer_t *timer)
{
    http_settle(timer->data);
}

/* ---- the interface ---- */

static void drain_pool(struct http *h)
{
    for (struct transfer *t; (t = h->pool.head) != NULL;) {
        http_list_remove(&h->pool, t);
        http_transfer_free(t);
    }
    h->pooled = 0;
}

static void adopt(struct http *h, struct http_settings *s, const struct http_options *o)
{
    http_settings_unref(h->settings);
    h->settings = s;
    h->budget.max = o->max_response_memory;
    h->max_concurrency = o->max_concurrency > 0 ? o->max_concurrency : 1;
    h->protocol = s->tls ? HTTP_UNKNOWN : HTTP_SERIAL;
    h->connected_once = h->http1_only = false;
    /* Connections to keep, not connections to have: those are as many as there are requests. */
    (void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)h->max_concurrency);
    drain_pool(h);
}

static void on_closed(uv_handle_t *handle)
{
    struct http *h = handle->data;
    if (--h->open_handles == 0) {
        free(h);
    }
}

static void close_handles(struct http *h)
{
    h->open_handles = 2;
    h->timer.data = h->kick.data = h;
    uv_close((uv_handle_t *)&h->timer, on_closed);
    uv_close((uv_handle_t *)&h->kick, on_closed);
}

int http_open(struct http **out, uv_loop_t *loop, const struct http_options *o, char *message, size_t size)
{
    struct http_settings *s = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)snprintf(message, size, "libcurl cannot be initialised");
        return -ENOMEM;
    }
    int rc = http_settings_new(&s, o, 0, message, size);
    struct http *h = rc == 0 ? calloc(1, sizeof *h) : NULL;
    if (h == NULL || http_loop_open(h) != 0) {
        if (rc == 0) {
            (void)snprintf(message, size, "out of memory");
            rc = -ENOMEM;
        }
        free(h);
        http_settings_unref(s);
        curl_global_cleanup();
        return rc;
    }
    h->loop = loop;
    (void)uv_timer_init(loop, &h->timer); /* cannot fail */
    (void)uv_timer_init(loop, &h->kick);
    h->timer.data = h->kick.data = h;
    adopt(h, s, o);
    *out = h;
    return 0;
}

int http_configure(struct http *h, const struct http_options *o, char *message, size_t size)
{
    struct http_settings *s = NULL;
    int rc = http_settings_new(&s, o, h->generation + 1, message, size);
    if (rc == 0) {
        h->generation++;
        adopt(h, s, o);
    }
    return rc;
}

int http_send(struct http *h, const char *workflow, const char *body, size_t body_len, http_done_fn done,
              void *arg)
{
    struct transfer *t = h->pool.head;
    if (t != NULL) {
        http_list_remove(&h->pool, t);
        h->pooled--;
    } else {
        t = http_transfer_new(h, h->settings);
    }
    if (t == NULL) {
        return -ENOMEM;
    }
    int rc = http_transfer_begin(t, workflow, body, body_len);
    if (rc != 0) {
        recycle(h, t);
        return rc;
    }
    t->done = done;
    t->arg = arg;
    t->state = TRANSFER_WAITING;
    http_list_add(&h->waiting, t);
    h->in_flight++;
    if (!h->settling) {
        (void)uv_timer_start(&h->kick, on_kick, 0, 0);
    }
    return 0;
}

int http_in_flight(const struct http *h)
{
    return h->in_flight;
}

void http_abort_all(struct http *h)
{
    for (struct transfer *t; (t = h->running.head) != NULL;) {
        http_loop_detach(h, t, CURLE_ABORTED_BY_CALLBACK);
    }
    for (struct transfer *t; (t = h->waiting.head) != NULL;) {
        end_unsent(h, &h->waiting, t, "stopped before it was sent");
    }
    do {
        for (struct transfer *t; (t = h->ended.head) != NULL;) {
            finish(h, t);
        }
        /* A whole reply on its way to the disk is waited for: it has been paid. */
        for (struct transfer *t; (t = h->syncing.head) != NULL;) {
            struct spill_job *job = t->spill_job;
            assert(job != NULL);
            uv_sem_wait(&job->done);
            job->transfer = NULL;
            take_synced(t, job);
        }
    } while (h->ended.head != NULL);
}

void http_close(struct http *h)
{
    assert(h->in_flight == 0);
    h->closing = true;
    drain_pool(h);
    http_loop_close(h);
    http_settings_unref(h->settings);
    h->settings = NULL;
    close_handles(h);
    curl_global_cleanup();
}
