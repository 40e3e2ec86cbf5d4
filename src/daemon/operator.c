/* What the operator's command asks for through the control socket; core/order.h has the form. Orders about
 * jobs are in joborders.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/order.h"
#include "daemon/engine.h"
#include "io/log.h"

static char *answer_ok(void)
{
    return order_reply_print(&(struct order_reply){.ok = true});
}

static char *answer_error(const char *why)
{
    return order_reply_print(&(struct order_reply){.error = why});
}

/* ---- answers that wait until they are true ---- */

struct waiting_reply {
    struct engine *engine;
    uint64_t ticket;
    struct waiting_reply *prev, *next;
};

struct waiting_reply *operator_hold_reply(struct engine *e)
{
    struct waiting_reply *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    w->engine = e;
    w->ticket = control_hold_reply(e->control);
    w->next = e->replies;
    if (e->replies != NULL)
        e->replies->prev = w;
    e->replies = w;
    return w;
}

static void unlink_reply(struct waiting_reply *w)
{
    struct engine *e = w->engine;
    if (w->prev != NULL)
        w->prev->next = w->next;
    else
        e->replies = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
}

static void let_go(struct waiting_reply *w, const char *text)
{
    unlink_reply(w);
    control_release_reply(w->engine->control, w->ticket, text);
    free(w);
}

void operator_reply_durable(void *waiting_reply, enum store_rc rc)
{
    (void)rc;
    let_go(waiting_reply, NULL);
}

void operator_free_replies(struct engine *e)
{
    for (struct waiting_reply *w = e->replies, *next; w != NULL; w = next) {
        next = w->next;
        free(w);
    }
    e->replies = NULL;
}

/* ---- the orders ---- */

static char *do_status(struct engine *e)
{
    char *status = report_status_json(e);
    if (status == NULL)
        return NULL;
    char *reply = order_reply_print(&(struct order_reply){.ok = true, .status = status});
    free(status);
    return reply;
}

static char *do_tune(struct engine *e)
{
    char *tuning = rate_tuning_json(e);
    if (tuning == NULL)
        return NULL;
    char *reply = order_reply_print(&(struct order_reply){.ok = true, .bytes = -1, .tuning = tuning});
    free(tuning);
    return reply;
}

/* The value is when: status shows it. */
static char *do_pause(struct engine *e)
{
    char since[24];
    struct waiting_reply *w = operator_hold_reply(e);
    if (w == NULL)
        return NULL;
    if ((e->gates & GATE_PAUSED) != 0) { /* perhaps only just: behind the write that says so */
        store_set(e->store, "bar", NULL, operator_reply_durable, w);
        return answer_ok();
    }
    snprintf(since, sizeof since, "%lld", (long long)clock_unix_ms());
    engine_gate(e, GATE_PAUSED, true, "paused by the operator; to go on: flowspool resume");
    store_set(e->store, "gate.paused", since, operator_reply_durable, w);
    return answer_ok();
}

static char *do_resume(struct engine *e)
{
    int64_t now = clock_mono_ms();
    struct waiting_reply *w = operator_hold_reply(e);
    if (w == NULL)
        return NULL;
    engine_gate(e, GATE_PAUSED, false, "");
    engine_gate(e, GATE_LOST_STATE, false, "");
    intake_accept_vanished(e->intake);
    store_set(e->store, "gate.paused", NULL, NULL, NULL);
    store_set(e->store, "gate.lost_state", NULL, operator_reply_durable, w);
    governor_release(&e->governor, now);
    hold_probe_now(&e->account, now);
    hold_probe_now(&e->endpoint_hold, now);
    for (size_t i = 0; i < e->workflows.count; i++) {
        hold_probe_now(&e->workflows.items[i].hold, now);
        e->workflows.items[i].not_found_until_ms = 0;
    }
    e->account_probe_refused = false;
    e->give_up_until_ms = 0;
    e->reload = true;
    intake_rescan(e->intake);
    engine_wake(e);
    return answer_ok();
}

static void on_pruned(void *arg, const struct publish_result *r)
{
    struct waiting_reply *w = arg;
    struct order_reply reply = {
        .ok = r->rc == PUBLISH_OK,
        .error = r->detail,
        .has_changed = true,
        .changed = r->pruned.files,
        .bytes = r->pruned.bytes,
        .more = r->pruned.more,
    };
    char *text = order_reply_print(&reply);
    let_go(w, text);
    free(text);
}

static char *do_prune(struct engine *e, const struct order *o)
{
    struct waiting_reply *w = operator_hold_reply(e);
    if (w == NULL)
        return NULL;
    char *instead = answer_error("out of memory");
    if (instead != NULL && publish_prune(e->publish, o->before_ms, o->dry_run, on_pruned, w) == 0)
        return instead; /* on_pruned() says it in other words */
    free(instead);
    control_unhold_reply(e->control);
    unlink_reply(w);
    free(w);
    return NULL;
}

static char *carry_out(struct engine *e, const struct order *o)
{
    switch (o->kind) {
    case ORDER_STATUS:
        return do_status(e);
    case ORDER_TUNE:
        return do_tune(e);
    case ORDER_PAUSE:
        return do_pause(e);
    case ORDER_RESUME:
        return do_resume(e);
    case ORDER_RETRY:
    case ORDER_CANCEL:
    case ORDER_HOLD:
    case ORDER_RELEASE:
        return joborders_take(e, o);
    case ORDER_PRUNE:
        return do_prune(e, o);
    }
    return NULL;
}

char *operator_request(void *engine, const char *request)
{
    struct order order;
    struct arena arena = {0};
    const char *why = order_parse(request, &arena, &order);
    char *reply = why == NULL ? carry_out(engine, &order) : answer_error(why);
    arena_free(&arena);
    return reply;
}
