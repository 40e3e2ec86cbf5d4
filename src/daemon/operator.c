/* What the operator's command asks for: through the control socket (core/order.h has the form), and what it
 * left in the state while no daemon ran. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/order.h"
#include "daemon/engine.h"
#include "io/log.h"

static char *answer_ok(void)
{
    return order_reply_print(&(struct order_reply){.ok = true, .queued = -1});
}

static char *answer_error(const char *why)
{
    return order_reply_print(&(struct order_reply){.error = why, .queued = -1});
}

static char *do_status(struct engine *e)
{
    char *status = report_status_json(e);
    if (status == NULL)
        return NULL;
    char *reply = order_reply_print(&(struct order_reply){.ok = true, .queued = -1, .status = status});
    free(status);
    return reply;
}

/* What is answered outlives a crash. */
static void on_switched(void *arg, enum store_rc rc)
{
    struct engine *e = arg;
    (void)rc;
    control_release_reply(e->control);
}

/* The value is when: status shows it. */
static char *do_pause(struct engine *e)
{
    char since[24];
    if ((e->gates & GATE_PAUSED) != 0)
        return answer_ok();
    control_hold_reply(e->control);
    snprintf(since, sizeof since, "%lld", (long long)clock_unix_ms());
    engine_gate(e, GATE_PAUSED, true, "paused by the operator; to go on: flowspool resume");
    store_set(e->store, "gate.paused", since, on_switched, e);
    return answer_ok();
}

static char *do_resume(struct engine *e)
{
    int64_t now = clock_mono_ms();
    control_hold_reply(e->control);
    engine_gate(e, GATE_PAUSED, false, "");
    engine_gate(e, GATE_LOST_STATE, false, "");
    intake_accept_vanished(e->intake);
    store_set(e->store, "gate.paused", NULL, NULL, NULL);
    store_set(e->store, "gate.lost_state", NULL, on_switched, e);
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

static const char *why_not(int err)
{
    switch (err) {
    case -ENOENT:
        return "its job file is gone";
    case -EBUSY:
        return "it is on its way";
    case -EALREADY:
        return "it has a result; --force buys it again";
    case -EAGAIN:
        return "it is waiting already";
    default:
        return strerror(-err);
    }
}

static int retry_one(struct engine *e, int64_t id, bool force)
{
    struct job_row row = {0};
    if (!store_job(e->store, id, false, &row))
        return -ENOENT;
    int rc;
    const struct live *l = live_find(&e->live, id);
    if ((l != NULL && l->step != STEP_CANDIDATE) || row.state == JOB_SENT || row.state == JOB_REPLIED)
        rc = -EBUSY;
    else if (row.state == JOB_DONE && !force)
        rc = -EALREADY;
    else if (row.state == JOB_WAITING)
        rc = -EAGAIN;
    else
        rc = intake_retry(e->intake, row.path, id, true);
    struct workflow_hold *w = row.workflow != NULL ? workflow_hold_find(&e->workflows, row.workflow) : NULL;
    if (w != NULL && rc == 0)
        w->not_found_until_ms = 0; /* the operator says that it may exist now */
    job_row_free(&row);
    return rc;
}

/* How many run again; refused[] has room for every job of the order. */
static int64_t retry_all(struct engine *e, const struct order *o, struct order_refusal *refused,
                         size_t *nrefused)
{
    int64_t queued = 0;
    for (size_t i = 0; i < o->njobs; i++) {
        int rc = retry_one(e, o->jobs[i], o->force);
        if (rc == 0)
            queued++;
        else
            refused[(*nrefused)++] = (struct order_refusal){o->jobs[i], why_not(rc)};
    }
    engine_wake(e);
    return queued;
}

static char *do_retry(struct engine *e, const struct order *o)
{
    struct order_refusal *refused = calloc(o->njobs, sizeof *refused);
    if (refused == NULL)
        return NULL;
    struct order_reply reply = {.ok = true, .refused = refused};
    reply.queued = retry_all(e, o, refused, &reply.nrefused);
    char *text = order_reply_print(&reply);
    free(refused);
    return text;
}

static char *carry_out(struct engine *e, const struct order *o)
{
    switch (o->kind) {
    case ORDER_STATUS:
        return do_status(e);
    case ORDER_PAUSE:
        return do_pause(e);
    case ORDER_RESUME:
        return do_resume(e);
    case ORDER_RETRY:
        return do_retry(e, o);
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

/* ---- what was asked for while no daemon ran ---- */

static void carry_out_late(struct engine *e, const char *line, int64_t *queued, size_t *refused)
{
    struct order o;
    struct arena arena = {0};
    const char *why = order_parse(line, &arena, &o);
    if (why == NULL && o.kind != ORDER_RETRY)
        why = "only retry waits for a start";
    struct order_refusal *list = why == NULL ? calloc(o.njobs, sizeof *list) : NULL;
    size_t count = 0;
    if (list != NULL)
        *queued += retry_all(e, &o, list, &count);
    else
        log_line(LOG_WARN, NULL, "an order that was left in the state is skipped: %s",
                 why != NULL ? why : "out of memory");
    *refused += count;
    free(list);
    arena_free(&arena);
}

/* The orders go before the files are read again: a crash in between loses them, which the operator sees; kept
 * until afterwards they might buy a second time. */
void operator_late_orders(struct engine *e)
{
    char *orders = store_get(e->store, "retry.pending");
    if (orders == NULL)
        return;
    store_set(e->store, "retry.pending", NULL, NULL, NULL);
    int64_t queued = 0;
    size_t refused = 0;
    char *rest = orders;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n"))
        if (line[0] != '\0')
            carry_out_late(e, line, &queued, &refused);
    log_line(LOG_INFO, NULL, "%lld %s again as flowspool retry asked before the start; %zu cannot",
             (long long)queued, queued == 1 ? "job runs" : "jobs run", refused);
    free(orders);
}
