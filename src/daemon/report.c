/* What people and scripts are told: the start line, progress, status, the last line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/status.h"
#include "core/units.h"
#include "daemon/engine.h"
#include "io/log.h"

#define PROGRESS_EVERY_MS 500

void report_start(const struct engine *e)
{
    log_line(LOG_INFO, NULL, "spool %s, endpoint %s, key %s from %s, at most %d in flight", e->cfg.spool,
             e->endpoint, e->key.short_hash, e->key.source, e->cfg.max_concurrency);
}

/* ---- one line for a terminal ---- */

static const char *hold_words(const struct engine *e, int64_t now_ms)
{
    if (e->gates != 0)
        for (unsigned g = 1; g <= GATE_DRAIN; g <<= 1)
            if ((e->gates & g) != 0)
                return gate_name((enum gate)g);
    if (hold_active(&e->account))
        return "account refuses work";
    if (hold_active(&e->endpoint_hold))
        return "endpoint away";
    if (e->governor.held && e->governor.closed_until_ms > now_ms)
        return "rate limit";
    return NULL;
}

static void progress_text(struct engine *e, int64_t now_ms, char *buf, size_t size)
{
    struct store_counts c = {0};
    store_counts(e->store, &c);
    double rate = engine_rate_per_second(e, now_ms);
    int64_t waiting = c.waiting + c.deferred;
    char left[48] = "?";
    if (waiting == 0)
        snprintf(left, sizeof left, "0s");
    else if (rate > 0)
        units_format_duration((int64_t)((double)waiting / rate * 1000), left, sizeof left);
    const char *held = hold_words(e, now_ms);
    snprintf(buf, size, "%lld done, %lld failed, %zu in flight, %lld waiting, %.1f/s, %s left%s%s%s",
             (long long)e->run.done, (long long)(e->run.failed + e->run.refused), live_in_flight(&e->live),
             (long long)waiting, rate, left, held != NULL ? " [" : "", held != NULL ? held : "",
             held != NULL ? "]" : "");
}

void report_progress(struct engine *e, int64_t now_ms)
{
    if (!e->opt.once || e->opt.quiet_once || now_ms - e->progress_ms < PROGRESS_EVERY_MS)
        return;
    char line[256];
    e->progress_ms = now_ms;
    progress_text(e, now_ms, line, sizeof line);
    log_progress(line);
}

void report_status_line(struct engine *e)
{
    char line[256];
    progress_text(e, clock_mono_ms(), line, sizeof line);
    log_summary("status: %s; cap %d (%s)", line, governor_cap(&e->governor), rate_cap_reason(e));
}

void report_last_line(struct engine *e)
{
    if (!e->opt.once || e->store == NULL)
        return;
    struct store_counts c = {0};
    store_counts(e->store, &c);
    char took[48];
    units_format_duration(clock_mono_ms() - e->started_ms, took, sizeof took);
    log_progress(NULL);
    log_summary("%lld done, %lld failed, %lld already done; left: %lld waiting, %lld for later, %lld held; "
                "%lld bought, %lld possibly; %lld %s in %s",
                (long long)e->run.done, (long long)(e->run.failed + e->run.refused),
                (long long)e->run.already_done, (long long)(c.waiting + c.in_flight + c.replied),
                (long long)c.deferred, (long long)c.held, (long long)e->run.bought, (long long)e->run.maybe,
                (long long)e->run.requests, e->run.requests == 1 ? "request" : "requests", took);
}

/* ---- status for programs ---- */

static void add(struct hold_list *l, const struct status_hold *h)
{
    if (l->count == STATUS_HOLDS_MAX)
        l->omitted++;
    else
        l->items[l->count++] = *h;
}

static void add_hold(struct hold_list *l, const char *kind, const char *workflow, const struct hold *h,
                     int64_t now_ms)
{
    static const char *const causes[] = {
        [HOLD_NONE] = "",
        [HOLD_UNAUTHORIZED] = "unauthorized",
        [HOLD_NO_CREDITS] = "no_credits",
        [HOLD_UNREACHABLE] = "unreachable",
        [HOLD_SERVER_ERRORS] = "server_errors",
        [HOLD_NOT_FOUND] = "workflow_not_found",
    };
    if (!hold_active(h))
        return;
    int64_t probe = hold_next_probe(h);
    add(l, &(struct status_hold){
               .kind = kind,
               .workflow = workflow,
               .cause = causes[h->cause],
               .reason = h->reason,
               .held_for_ms = now_ms - h->since_ms,
               .next_probe_ms = probe == INT64_MAX ? -1
                                : probe > now_ms   ? probe - now_ms
                                                   : 0,
               .probing = h->probing,
               .refusals = h->refusals,
           });
}

static void add_rate_hold(struct hold_list *l, const struct governor *g, int64_t now_ms)
{
    if (!g->held)
        return;
    int64_t wait = g->closed_until_ms > now_ms ? g->closed_until_ms - now_ms : 0;
    add(l, &(struct status_hold){
               .kind = STATUS_RATE,
               .cause = "429",
               .reason = "the rate limit of the account was met",
               .held_for_ms = now_ms - g->held_since_ms,
               .next_probe_ms = g->probe.out ? -1 : wait,
               .probing = g->probe.out,
               .refusals = g->row > 0 ? g->row : 1,
           });
}

/* How long it has been paused, restarts included; -1: not known. */
static int64_t paused_for(const struct engine *e)
{
    char *since = store_get(e->store, "gate.paused");
    int64_t at = since != NULL ? strtoll(since, NULL, 10) : 0, now = clock_unix_ms();
    free(since);
    return at > 1 && at <= now ? now - at : -1;
}

/* What somebody has to open again comes first: where a list is cut, it must not be what is missing. */
static void add_gates(struct hold_list *l, const struct engine *e)
{
    for (unsigned g = 1; g <= GATE_DRAIN; g <<= 1)
        if ((e->gates & g) != 0)
            add(l, &(struct status_hold){
                       .kind = STATUS_GATE,
                       .cause = gate_name((enum gate)g),
                       .reason = "",
                       .held_for_ms = g == GATE_PAUSED ? paused_for(e) : -1,
                       .next_probe_ms = -1,
                   });
    for (size_t i = 0; i < e->nblocked; i++) {
        const char *dir = e->blocked[i].dir[0] != '\0' ? e->blocked[i].dir : ".";
        add(l, &(struct status_hold){STATUS_DIRECTORY, NULL, "outcomes_cannot_be_written", dir, -1, -1, false,
                                     0});
    }
}

static void list_holds(const struct engine *e, int64_t now_ms, struct hold_list *l)
{
    l->count = 0;
    l->omitted = 0;
    add_gates(l, e);
    add_rate_hold(l, &e->governor, now_ms);
    add_hold(l, STATUS_ACCOUNT, NULL, &e->account, now_ms);
    add_hold(l, STATUS_ENDPOINT, NULL, &e->endpoint_hold, now_ms);
    for (size_t i = 0; i < e->workflows.count; i++)
        add_hold(l, STATUS_WORKFLOW, e->workflows.items[i].workflow, &e->workflows.items[i].hold, now_ms);
}

static struct status_run run_totals(const struct totals *t)
{
    return (struct status_run){
        .done = t->done,
        .failed = t->failed,
        .refused = t->refused,
        .already_done = t->already_done,
        .bought = t->bought,
        .possibly_bought = t->maybe,
        .requests = t->requests,
        .rate_limited = t->rate_limited,
    };
}

static void fill_counts(const struct engine *e, struct status *s)
{
    struct store_counts c = {0};
    s->has_counts = store_counts(e->store, &c);
    s->counts = (struct status_counts){
        .waiting = c.waiting,
        .later = c.deferred,
        .held = c.held,
        .missing = c.missing,
        .in_flight = c.in_flight + c.replied,
        .done = c.done,
        .failed = c.failed,
        .refused = c.refused,
        .oldest_waiting_at_ms = c.oldest_waiting_ms > 0 ? c.oldest_waiting_ms : -1,
    };
}

static void fill_rate(const struct engine *e, int64_t now_ms, struct status *s)
{
    const struct governor *g = &e->governor;
    s->per_second = engine_rate_per_second(e, now_ms);
    s->cap = governor_cap(g);
    s->cap_reason = rate_cap_reason(e);
    s->learned = rate_learned(e, now_ms);
    s->limit = g->has_reading ? g->limit : -1;
    s->remaining = g->has_reading ? g->remaining : -1;
    s->last_429_ago_ms = s->learned.last_429_ago_ms;
}

struct status report_status(const struct engine *e, struct hold_list *holds)
{
    int64_t now = clock_mono_ms();
    list_holds(e, now, holds);
    struct status s = {
        .pid = getpid(),
        .uptime_ms = now - e->started_ms,
        .endpoint = e->endpoint,
        .key = e->key.short_hash,
        .key_source = e->key.source,
        .in_flight = (int64_t)live_in_flight(&e->live),
        .max_concurrency = e->cfg.max_concurrency,
        .scanned = intake_scanned(e->intake),
        .ignored = (int64_t)intake_ignored(e->intake),
        .draining = e->draining,
        .run = run_totals(&e->run),
        .holds = holds->items,
        .nholds = holds->count,
        .holds_omitted = holds->omitted,
    };
    fill_rate(e, now, &s);
    fill_counts(e, &s);
    return s;
}

char *report_status_json(struct engine *e)
{
    struct hold_list holds;
    const struct status s = report_status(e, &holds);
    return status_print(&s);
}
