/* Which job goes next, and its way onto the wire: window, admission, intent, request. */
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "daemon/engine.h"
#include "io/log.h"

/* Candidates beyond what may be sent at once: enough to keep the wire busy while the store is asked again. */
#define WINDOW_MIN 64
#define WINDOW_MAX 1024
/* New rows make the window stale; while it still holds work it is read again at most this often. */
#define RELOAD_EVERY_MS 20
/* How long the jobs behind a hold that was given up fail without a request. */
#define GIVE_UP_FOR_MS (60 * 1000)
/* Replies that came and are not yet outcomes. A disk that is slower than the service would fill the memory.
 */
#define UNDELIVERED_MAX 256
/* So many whose file is not what it was are looked at in one turn of the loop. */
#define TURNED_AWAY_MAX 32

static size_t window_size(const struct engine *e)
{
    size_t want = (size_t)e->cfg.max_concurrency * 2;
    return want < WINDOW_MIN ? WINDOW_MIN : want > WINDOW_MAX ? WINDOW_MAX : want;
}

static bool workflow_waits(struct engine *e, const char *workflow, int64_t now_ms)
{
    struct workflow_hold *w = workflow_hold_find(&e->workflows, workflow);
    return w != NULL && hold_active(&w->hold) && !hold_may_probe(&w->hold, now_ms);
}

struct skip_context {
    struct engine *engine;
    int64_t now_ms;
};

static bool skip_row(void *arg, int64_t job, const char *workflow, const char *path)
{
    struct skip_context *s = arg;
    if (live_find(&s->engine->live, job) != NULL || deliver_blocked(s->engine, path) ||
        precheck_waits(s->engine, path, s->now_ms))
        return true;
    return workflow_waits(s->engine, workflow, s->now_ms);
}

void dispatch_fill(struct engine *e, int64_t now_ms)
{
    size_t window = window_size(e);
    size_t have = e->live.steps[STEP_CANDIDATE];
    if (e->reload && (have == 0 || now_ms >= e->reload_at_ms)) {
        live_drop_candidates(&e->live);
        e->reload = false;
        e->reload_at_ms = now_ms + RELOAD_EVERY_MS;
        e->more_ready = true;
        have = 0;
    }
    if (!e->more_ready || have > window / 2)
        return;
    struct skip_context skip = {e, now_ms};
    size_t want = window - have;
    size_t count = 0;
    struct job_row *rows = store_load_ready(e->store, want, skip_row, &skip, &count);
    for (size_t i = 0; i < count; i++)
        if (live_add(&e->live, e, &rows[i]) == NULL)
            e->more_ready = true;
    free(rows);
    e->more_ready = count > 0;
}

static void on_void(void *arg, enum store_rc rc)
{
    struct live *l = arg;
    struct engine *e = l->engine;
    (void)rc;
    joborders_back_in_queue(l);
    live_remove(&e->live, l);
    e->reload = true;
    engine_wake(e);
}

void dispatch_probe_inconclusive(struct engine *e, struct live *l)
{
    int64_t now = clock_mono_ms();
    if (l->probe_account)
        hold_probe_inconclusive(&e->account, l->row.id, now);
    if (l->probe_endpoint)
        hold_probe_inconclusive(&e->endpoint_hold, l->row.id, now);
    struct workflow_hold *w = l->probe_workflow ? workflow_hold_find(&e->workflows, l->row.workflow) : NULL;
    if (w != NULL)
        hold_probe_inconclusive(&w->hold, l->row.id, now);
    l->probe_account = l->probe_endpoint = l->probe_workflow = false;
}

/* The intent is durable but the request must not go any more: as if it had never been. */
static void withdraw(struct live *l)
{
    struct engine *e = l->engine;
    rate_withdraw(l);
    dispatch_probe_inconclusive(e, l);
    live_step_to(&e->live, l, STEP_SETTLE);
    store_intent_void(e->store, l->row.id, l->row.sends, on_void, l);
}

/* A hold or an order that came while this intent was on its way to the disk; of holds only probes go. And the
 * intent says who is asked, with a key whose limit allowed it. */
static bool stopped_meanwhile(const struct live *l)
{
    const struct engine *e = l->engine;
    if (e->gates != 0 || l->superseded || rate_is_stray(l) ||
        (l->row.blocked & (JOB_BLOCK_HOLD | JOB_BLOCK_CANCEL)) != 0 ||
        (l->row.endpoint != NULL && strcmp(l->row.endpoint, e->endpoint) != 0))
        return true;
    if (hold_active(&e->account) && !l->probe_account)
        return true;
    if (hold_active(&e->endpoint_hold) && !l->probe_endpoint)
        return true;
    const struct workflow_hold *w = workflow_hold_find(&e->workflows, l->row.workflow);
    return w != NULL && hold_active(&w->hold) && !l->probe_workflow;
}

static bool has_expired(const struct live *l)
{
    return l->row.expires_ms != 0 && l->row.expires_ms <= clock_unix_ms();
}

static void on_intent(void *arg, enum store_rc rc)
{
    struct live *l = arg;
    struct engine *e = l->engine;
    (void)rc;
    l->row.state = job_event(l->row.id, l->row.state, JOB_EV_SEND);
    if (stopped_meanwhile(l) || has_expired(l)) {
        e->schedule_stale = true;
        withdraw(l);
        return;
    }
    int64_t now = clock_mono_ms();
    int err = http_send(e->http, l->row.workflow, l->row.body, l->row.body_len, attempt_ended, l);
    if (err != 0) {
        log_line(LOG_WARN, l->row.path, "the request could not be started (%s); it stays queued",
                 strerror(-err));
        withdraw(l);
        return;
    }
    rate_sent(l, now);
    l->sent_unix_ms = clock_unix_ms();
    e->run.requests++;
    live_step_to(&e->live, l, STEP_FLIGHT);
    log_line(LOG_DEBUG, l->row.path, "attempt %d sent (workflow %s)", l->row.sends, l->row.workflow);
}

static void mark_probe(struct engine *e, struct live *l)
{
    if (hold_active(&e->account)) {
        hold_probe_sent(&e->account, l->row.id);
        l->probe_account = true;
    }
    if (hold_active(&e->endpoint_hold)) {
        hold_probe_sent(&e->endpoint_hold, l->row.id);
        l->probe_endpoint = true;
    }
    struct workflow_hold *w = workflow_hold_find(&e->workflows, l->row.workflow);
    if (w != NULL && hold_active(&w->hold)) {
        hold_probe_sent(&w->hold, l->row.id);
        l->probe_workflow = true;
    }
}

static void admit(struct engine *e, struct live *l, int64_t now_ms)
{
    char body_sha256[DIGEST_HEX];
    const struct digest_part part = {l->row.body, l->row.body_len};
    digest_hex(&part, 1, body_sha256);
    rate_admit(l, now_ms);
    mark_probe(e, l);
    int64_t unix_ms = clock_unix_ms();
    if (l->row.started_ms == 0) /* as the store does, so that a recovered outcome says the same */
        l->row.started_ms = unix_ms;
    free(l->row.endpoint);
    l->row.endpoint = strdup(e->endpoint); /* no memory: the engine's is the best guess */
    l->row.sends++;
    e->patience_since_ms = 0;
    live_step_to(&e->live, l, STEP_INTENT);
    store_intent(e->store, l->row.id, l->row.sends, unix_ms, e->endpoint, body_sha256, e->boot_id, on_intent,
                 l);
}

/* How many requests max_jobs still allows, those on their way not yet counted. */
static int64_t jobs_allowed(const struct engine *e)
{
    return e->cfg.max_jobs == 0 ? INT64_MAX : e->cfg.max_jobs - e->run.bought - e->run.maybe;
}

/* Each of them may still turn out to be bought. */
static int64_t on_their_way(const struct engine *e)
{
    const size_t *steps = e->live.steps;
    return (int64_t)(live_busy(&e->live) - steps[STEP_PUBLISH] - steps[STEP_ROOM] - steps[STEP_PARKED] -
                     steps[STEP_SETTLE]);
}

/* Fails a job without a request: its workflow is known not to exist, or a hold outlasted give_up_after. */
static void fail_unsent(struct live *l, enum hold_cause cause)
{
    char *message = NULL;
    deliver_begin_end(l);
    if (cause == HOLD_UNREACHABLE)
        deliver_error(l, CODE_UNREACHABLE,
                      "the endpoint stayed out of reach for retry.give_up_after; nothing was sent; "
                      "when it is back, run: flowspool retry --failed --code " CODE_UNREACHABLE,
                      false, "given_up");
    else if (cause == HOLD_SERVER_ERRORS)
        deliver_error(l, CODE_SERVER_ERROR,
                      "the service failed every run for retry.give_up_after; when it works again, run: "
                      "flowspool retry --failed --code " CODE_SERVER_ERROR,
                      false, "given_up");
    else {
        message = verdict_message(VERDICT_WORKFLOW_NOT_FOUND, 404, l->row.workflow, NULL, l->row.path);
        deliver_error(l, CODE_WORKFLOW_NOT_FOUND, message != NULL ? message : "workflow not found", false,
                      "not_sent_workflow_not_found");
    }
    free(message);
}

static bool outlasted(const struct engine *e, const struct hold *h, int64_t now_ms)
{
    int64_t give_up = e->cfg.retry_give_up_after_ms;
    return give_up > 0 && hold_active(h) && !h->probing && now_ms - h->since_ms >= give_up;
}

/* When the first of the holds has outlasted give_up_after; one whose probe is out is asked again when that
 * has ended. */
static int64_t next_give_up(const struct engine *e)
{
    int64_t patience = e->cfg.retry_give_up_after_ms, at = INT64_MAX;
    if (patience == 0)
        return at;
    if (hold_active(&e->endpoint_hold) && !e->endpoint_hold.probing)
        at = e->endpoint_hold.since_ms + patience;
    for (size_t i = 0; i < e->workflows.count; i++) {
        const struct hold *h = &e->workflows.items[i].hold;
        if (hold_active(h) && !h->probing && h->since_ms + patience < at)
            at = h->since_ms + patience;
    }
    return at;
}

/* What waits behind a hold that outlasted give_up_after fails; after that, the next job tries again. */
static void give_up(struct engine *e, int64_t now_ms)
{
    if (outlasted(e, &e->endpoint_hold, now_ms)) {
        e->give_up_cause = e->endpoint_hold.cause;
        e->give_up_until_ms = now_ms + GIVE_UP_FOR_MS;
        log_line(LOG_ERROR, NULL, "the endpoint hold outlasted retry.give_up_after: its jobs fail");
        hold_lift(&e->endpoint_hold);
        governor_ramp(&e->governor);
        e->reload = true;
    }
    for (size_t i = 0; i < e->workflows.count; i++) {
        struct workflow_hold *w = &e->workflows.items[i];
        if (!outlasted(e, &w->hold, now_ms))
            continue;
        w->fail_cause = w->hold.cause == HOLD_NOT_FOUND ? HOLD_NONE : w->hold.cause;
        w->not_found_until_ms = now_ms + GIVE_UP_FOR_MS;
        log_line(LOG_ERROR, NULL, "the hold of workflow %s outlasted retry.give_up_after: its jobs fail",
                 w->workflow);
        hold_lift(&w->hold);
        governor_ramp(&e->governor);
        e->reload = true;
    }
}

/* Whether the job waited when what held it was given up. One that came later is tried. */
static bool was_given_up(const struct live *l, int64_t until_ms, int64_t now_ms)
{
    int64_t ago_ms = now_ms - (until_ms - GIVE_UP_FOR_MS);
    return until_ms > now_ms && l->row.queued_ms <= clock_unix_ms() - ago_ms;
}

enum choice { CHOICE_SEND, CHOICE_SKIP, CHOICE_FORGET, CHOICE_FAIL, CHOICE_EXPIRED };

static enum choice consider(struct engine *e, const struct live *l, int64_t now_ms, enum hold_cause *cause)
{
    if (deliver_blocked(e, l->row.path) || precheck_waits(e, l->row.path, now_ms))
        return CHOICE_FORGET;
    if (has_expired(l))
        return CHOICE_EXPIRED;
    *cause = e->give_up_cause;
    if (was_given_up(l, e->give_up_until_ms, now_ms))
        return CHOICE_FAIL;
    const struct workflow_hold *w = workflow_hold_find(&e->workflows, l->row.workflow);
    if (w == NULL)
        return CHOICE_SEND;
    *cause = w->fail_cause;
    if (w->fail_cause == HOLD_NONE ? w->not_found_until_ms > now_ms
                                   : was_given_up(l, w->not_found_until_ms, now_ms))
        return CHOICE_FAIL;
    if (!hold_active(&w->hold))
        return CHOICE_SEND;
    if (!hold_may_probe(&w->hold, now_ms))
        return CHOICE_FORGET;
    return w->hold.last_probe_job == l->row.id ? CHOICE_SKIP : CHOICE_SEND;
}

/* The next candidate in order. While a hold lasts, a job other than the last probe is preferred, so that
 * one bad job cannot keep everything shut. */
static struct live *choose(struct engine *e, int64_t now_ms)
{
    struct live *second_choice = NULL;
    bool account = hold_active(&e->account);
    bool endpoint = hold_active(&e->endpoint_hold);
    for (struct live *l = e->live.candidates.first, *next; l != NULL; l = next) {
        next = l->next;
        enum hold_cause cause = HOLD_NONE;
        switch (consider(e, l, now_ms, &cause)) {
        case CHOICE_FORGET:
            live_remove(&e->live, l);
            continue;
        case CHOICE_FAIL:
            fail_unsent(l, cause);
            continue;
        case CHOICE_EXPIRED:
            deliver_expired(l);
            continue;
        case CHOICE_SKIP:
            if (second_choice == NULL)
                second_choice = l;
            continue;
        case CHOICE_SEND:
            break;
        }
        bool probed_last = (account && e->account.last_probe_job == l->row.id) ||
                           (endpoint && e->endpoint_hold.last_probe_job == l->row.id);
        if (!probed_last)
            return l;
        if (second_choice == NULL)
            second_choice = l;
    }
    return second_choice;
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When the holds let the next request through: now or earlier means go. */
static int64_t holds_next(const struct engine *e, int64_t now_ms)
{
    int64_t at = now_ms;
    if (hold_active(&e->account))
        at = hold_next_probe(&e->account);
    if (hold_active(&e->endpoint_hold)) {
        int64_t endpoint_at = hold_next_probe(&e->endpoint_hold);
        at = at > endpoint_at ? at : endpoint_at;
    }
    return at;
}

/* The next time that a workflow may be probed. The window passed over the jobs of a held workflow: once its
 * time has come, the store is asked for them again, once a probe. */
static int64_t workflows_next_probe(struct engine *e, int64_t now_ms)
{
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < e->workflows.count; i++) {
        struct workflow_hold *w = &e->workflows.items[i];
        int64_t probe = hold_next_probe(&w->hold);
        if (probe > now_ms) {
            at = earliest(at, probe);
        } else if (w->asked_for_ms != probe) {
            w->asked_for_ms = probe;
            e->reload = true;
        }
    }
    return at;
}

static bool delivery_is_behind(const struct engine *e)
{
    const size_t *steps = e->live.steps;
    return steps[STEP_REPLY] + steps[STEP_PUBLISH] + steps[STEP_SETTLE] >= UNDELIVERED_MAX;
}

int64_t dispatch_admit(struct engine *e, int64_t now_ms)
{
    give_up(e, now_ms);
    int64_t probes = earliest(workflows_next_probe(e, now_ms), next_give_up(e));
    probes = earliest(probes, precheck_next(e, now_ms));
    int turned_away = 0;
    if (intake_rereading(e->intake) || e->passed_all_until_ms > now_ms)
        return probes;
    while ((e->gates & ~(unsigned)GATE_MAX_JOBS) == 0) {
        engine_gate(e, GATE_MAX_JOBS, jobs_allowed(e) <= 0, "as many runs as max_jobs allows were bought");
        if (e->gates != 0 || on_their_way(e) >= jobs_allowed(e) || !rate_has_room(e) || delivery_is_behind(e))
            break; /* until one ends */
        int64_t holds = holds_next(e, now_ms);
        if (holds > now_ms)
            return earliest(probes, holds);
        int64_t governed = rate_ask(e, now_ms);
        if (governed > now_ms)
            return earliest(probes, governed);
        dispatch_fill(e, now_ms);
        struct live *l = choose(e, now_ms);
        if (l == NULL)
            break;
        if (precheck_file(e, l, now_ms))
            admit(e, l, now_ms);
        else if (++turned_away == TURNED_AWAY_MAX)
            return now_ms;
    }
    return probes;
}
