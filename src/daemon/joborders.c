/* Orders about jobs: retry, cancel, hold, release.
 *
 * What an order means is decided once (core/joborder.h), from what memory and the store say of the job. It
 * then is bits of the row, written behind every write that is queued already, and it is answered when they
 * are durable. Until then the job is barred, or what is on its way knows (live.row.blocked): nothing that
 * reads the store meanwhile may send it.
 *
 * What follows is read from the bits again, whether the order came a moment ago or before a crash: a waiting
 * job that is being cancelled fails, the file of one that was asked for again is read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/joborder.h"
#include "daemon/engine.h"
#include "io/log.h"

#define BATCH 64
/* Outcomes of cancelled jobs in memory at once. */
#define CANCEL_WINDOW 256

#define ORDERED (JOB_BLOCK_HOLD | JOB_BLOCK_CANCEL)

/* ---- how a job stands ---- */

/* A job in memory is ahead of its row. */
static struct joborder_job standing(const struct live *l, const struct job_row *row)
{
    struct joborder_job j = {.state = row->state, .blocked = row->blocked};
    if (l == NULL || l->step == STEP_CANDIDATE || l->step == STEP_BARRED)
        return j;
    j.blocked = (row->blocked & ~ORDERED) | (l->row.blocked & ORDERED);
    if (l->superseded)
        j.blocked |= JOB_BLOCK_SUPERSEDED;
    switch (l->step) {
    case STEP_INTENT: /* can still be withdrawn */
        j.state = JOB_WAITING;
        break;
    case STEP_FLIGHT:
        j.state = JOB_SENT;
        break;
    case STEP_REPLY:
        j.state = JOB_REPLIED;
        break;
    case STEP_SETTLE:
        j.state = JOB_WAITING;
        j.ending = l->end.state != JOB_WAITING;
        break;
    default:
        j.state = JOB_WAITING;
        j.ending = true;
        break;
    }
    return j;
}

static struct joborder_effect judge(struct engine *e, const struct order *o, const struct live *l,
                                    const struct job_row *row)
{
    if (intake_is_reading(e->intake, row->path))
        return (struct joborder_effect){.why = "its file is just being read", .again = true};
    if (e->recovering && l == NULL && (row->state == JOB_SENT || row->state == JOB_REPLIED))
        return (struct joborder_effect){.why = "flowspoold is just finding out what became of it",
                                        .again = true};
    const struct joborder_job j = standing(l, row);
    return joborder_judge(o->kind, o->force, &j);
}

/* ---- one job of an order ---- */

/* What is on its way meets the order when it comes back; everything else is not to be loaded until the order
 * is durable. */
static void keep_from_sending(struct engine *e, int64_t job, struct live *l, enum order_kind kind)
{
    const struct joborder_bits bits = joborder_bits(kind);
    if (l != NULL && l->step == STEP_CANDIDATE) {
        live_remove(&e->live, l);
    } else if (l != NULL && l->step != STEP_BARRED) {
        l->row.blocked = (l->row.blocked & ~bits.clear) | (bits.set & ORDERED);
        if (l->step != STEP_SETTLE)
            return;
    }
    if (!live_bar(&e->live, job))
        engine_fatal(e, "out of memory while an order was carried out");
}

/* The operator says that the workflow may exist now, and the endpoint be back. */
static void forget_failures(struct engine *e, const char *workflow)
{
    e->give_up_until_ms = 0;
    struct workflow_hold *w = workflow != NULL ? workflow_hold_find(&e->workflows, workflow) : NULL;
    if (w != NULL)
        w->not_found_until_ms = 0;
}

static struct joborder_effect take_one(struct engine *e, const struct order *o, int64_t job)
{
    struct job_row row = {0};
    if (!store_job(e->store, job, false, &row))
        return (struct joborder_effect){.why = "its job file is gone"};
    struct live *l = live_find(&e->live, job);
    const struct joborder_effect effect = judge(e, o, l, &row);
    if (effect.why == NULL) {
        keep_from_sending(e, job, l, o->kind);
        if (o->kind == ORDER_RETRY)
            forget_failures(e, row.workflow);
    }
    job_row_free(&row);
    return effect;
}

/* ---- the order ---- */

/* What an order has come to so far. */
struct carried_out {
    int64_t *jobs; /* accepted */
    size_t count;
    struct order_refusal *refused;
    struct order_reply reply;
};

static void take_each(struct engine *e, const struct order *o, struct carried_out *c)
{
    for (size_t i = 0; i < o->njobs; i++) {
        const struct joborder_effect effect = take_one(e, o, o->jobs[i]);
        if (effect.why != NULL) {
            c->refused[c->reply.nrefused++] = (struct order_refusal){o->jobs[i], effect.why, effect.again};
            continue;
        }
        c->jobs[c->count++] = o->jobs[i];
        c->reply.changed += !effect.in_flight;
        c->reply.in_flight += effect.in_flight;
    }
}

static int64_t before_first(const int64_t *jobs, size_t count)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < count; i++)
        first = jobs[i] < first ? jobs[i] : first;
    return first - 1;
}

static void look_from(struct order_pass *pass, int64_t after)
{
    if (!pass->due || after < pass->after)
        pass->after = after;
    pass->due = true;
}

/* Not yet: when what is barred now may be loaded. */
static void look_later(struct order_pass *pass, int64_t after)
{
    if (!pass->later || after < pass->later_after)
        pass->later_after = after;
    pass->later = true;
}

static char *answer(struct engine *e, const struct order *o, struct carried_out *c)
{
    const struct joborder_bits bits = joborder_bits(o->kind);
    c->reply.refused = c->refused;
    if (c->count == 0)
        return order_reply_print(&c->reply);
    struct waiting_reply *w = operator_hold_reply(e);
    store_jobs_mark(e->store, c->jobs, c->count, bits.set, bits.clear,
                    w != NULL ? operator_reply_durable : NULL, w);
    struct order_pass *pass = o->kind == ORDER_CANCEL ? &e->cancelled : &e->asked;
    bool follows = o->kind == ORDER_CANCEL || o->kind == ORDER_RETRY;
    if (follows &&
        e->live.barred_new != NULL) /* else all of them are on their way, and come back by themselves */
        look_later(pass, before_first(c->jobs, c->count));
    engine_wake(e);
    return w != NULL ? order_reply_print(&c->reply) : NULL;
}

char *joborders_take(struct engine *e, const struct order *o)
{
    struct carried_out c = {
        .jobs = calloc(o->njobs, sizeof *c.jobs),
        .refused = calloc(o->njobs, sizeof *c.refused),
        .reply = {.ok = true, .has_changed = true, .bytes = -1},
    };
    char *text = NULL;
    if (c.jobs != NULL && c.refused != NULL) {
        take_each(e, o, &c);
        text = answer(e, o, &c);
    }
    free(c.jobs);
    free(c.refused);
    return text;
}

/* ---- what follows ---- */

static void cancelled_message(const struct job_row *row, char *buf, size_t size)
{
    char charged[96] = "nothing was charged for it";
    if (row->ambiguous > 0)
        snprintf(charged, sizeof charged, "%d of its attempts may have been charged", row->ambiguous);
    snprintf(buf, size, "cancelled by the operator%s; %s; to run it after all: flowspool retry %.400s",
             row->sends == 0 ? " before it was sent" : "", charged,
             row->document > 0 ? row->stem : row->path);
}

static void fail_as_cancelled(struct live *l)
{
    char message[600];
    cancelled_message(&l->row, message, sizeof message);
    l->cancelled = true;
    l->engine->cancelling++;
    deliver_begin_end(l);
    deliver_error(l, CODE_CANCELLED, message, false, "cancelled");
}

/* False: no memory. */
static bool cancel_row(struct engine *e, struct job_row *row)
{
    struct live *l = live_find(&e->live, row->id);
    bool barred = l != NULL && l->step == STEP_BARRED;
    if (barred)
        look_later(&e->cancelled, row->id - 1);
    /* One whose end is on its way is looked at again by that, and so is a directory that takes no outcomes.
     */
    if (barred || (l != NULL && l->step != STEP_CANDIDATE) || deliver_blocked(e, row->path)) {
        job_row_free(row);
        return true;
    }
    if (l != NULL)
        live_remove(&e->live, l);
    l = live_add(&e->live, e, row);
    if (l != NULL)
        fail_as_cancelled(l);
    return l != NULL;
}

static void fail_cancelled(struct engine *e)
{
    size_t room = CANCEL_WINDOW - e->cancelling, count = 0;
    if (!e->cancelled.due || e->draining || room == 0)
        return; /* the end of one that is being written wakes the step */
    size_t max = room < BATCH ? room : BATCH;
    struct job_row *rows = store_load_cancelled(e->store, e->cancelled.after, max, &count);
    e->cancelled.due = count == max;
    for (size_t i = 0; i < count; i++) {
        e->cancelled.after = rows[i].id;
        if (!cancel_row(e, &rows[i]))
            engine_fatal(e, "out of memory while jobs were cancelled");
    }
    free(rows);
    if (e->cancelled.due)
        engine_wake(e);
}

static void tell_late(struct engine *e)
{
    if (!e->late)
        return;
    e->late = false;
    if (e->late_asked + e->late_gone > 0)
        log_line(LOG_INFO, NULL, "%lld %s again as flowspool retry asked before the start; %lld cannot",
                 (long long)e->late_asked, e->late_asked == 1 ? "job runs" : "jobs run",
                 (long long)e->late_gone);
}

/* Where a file is gone, its job is read when it is back. */
static void look_at_asked(struct engine *e)
{
    size_t count = 0;
    if (!e->asked.due || e->draining)
        return;
    struct job_row *rows = store_load_asked(e->store, e->asked.after, BATCH, &count);
    bool no_room = false;
    for (size_t i = 0; i < count && !no_room; i++) {
        int rc = intake_look_again(e->intake, rows[i].path);
        no_room = rc == -EAGAIN || rc == -ENOMEM;
        if (!no_room)
            e->asked.after = rows[i].id;
        e->late_asked += rc == 0;
        e->late_gone += rc == -ENOENT;
    }
    job_rows_free(rows, count);
    if (no_room)
        return; /* what is taken in meanwhile wakes the step */
    e->asked.due = count == BATCH;
    if (e->asked.due)
        engine_wake(e);
    else
        tell_late(e);
}

void joborders_step(struct engine *e)
{
    fail_cancelled(e);
    look_at_asked(e);
}

void joborders_start(struct engine *e)
{
    look_from(&e->cancelled, 0);
    look_from(&e->asked, 0);
    e->late = true;
}

void joborders_back_in_queue(const struct live *l)
{
    if ((l->row.blocked & JOB_BLOCK_CANCEL) != 0)
        look_from(&l->engine->cancelled, l->row.id - 1);
}

void joborders_unblocked(struct engine *e)
{
    look_from(&e->cancelled, 0);
}

static void end_later(struct order_pass *pass, bool more_barred)
{
    if (!pass->later)
        return;
    look_from(pass, pass->later_after);
    pass->later = more_barred; /* of these the writes need not be durable yet */
}

void joborders_unbarred(struct engine *e)
{
    bool more = e->live.barred_new != NULL;
    end_later(&e->cancelled, more);
    end_later(&e->asked, more);
}
