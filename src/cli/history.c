#include "cli/history.h"

#include <string.h>

#include "cli/jobwords.h"
#include "core/units.h"

/* ---- which ---- */

struct events {
    struct event *out;
    size_t count;
    int64_t last_ms;
};

static void add(struct events *l, int64_t at_ms, enum event_kind kind, const struct attempt_row *attempt)
{
    if (at_ms == 0)
        return;
    l->out[l->count++] = (struct event){at_ms, kind, attempt};
    l->last_ms = at_ms > l->last_ms ? at_ms : l->last_ms;
}

/* Clocks may step back, and a job that is tried again keeps when it was queued: by time, otherwise as they
 * were added. */
static void sort(struct event *e, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0 && e[k - 1].at_ms > e[k].at_ms; k--) {
            struct event swap = e[k];
            e[k] = e[k - 1];
            e[k - 1] = swap;
        }
}

size_t history_events(const struct job_row *r, const struct attempt_row *attempts, size_t count,
                      struct event *out)
{
    struct events l = {.out = out};
    add(&l, r->seen_ms, EVENT_SEEN, NULL);
    if (r->queued_ms != r->seen_ms)
        add(&l, r->queued_ms, EVENT_QUEUED, NULL);
    for (size_t i = 0; i < count; i++) {
        add(&l, attempts[i].sent_ms, EVENT_SENT, &attempts[i]);
        add(&l, attempts[i].ended_ms, EVENT_ENDED, &attempts[i]);
    }
    if (r->state == JOB_DONE)
        add(&l, r->finished_ms != 0 ? r->finished_ms : l.last_ms, EVENT_DONE, NULL);
    if (r->state == JOB_FAILED)
        add(&l, r->finished_ms != 0 ? r->finished_ms : l.last_ms, EVENT_FAILED, NULL);
    if (r->state == JOB_WAITING && r->due_ms != 0)
        add(&l, l.last_ms, EVENT_DUE, NULL);
    if (!job_row_is_current(r))
        add(&l, l.last_ms, EVENT_SUPERSEDED, NULL);
    sort(out, l.count);
    return l.count;
}

/* ---- for people ---- */

static void ended_words(const struct attempt_row *a, FILE *out)
{
    char took[48];
    fprintf(out, "attempt %d: %s", a->n, verdict_words(a->verdict));
    if (a->http_status > 0)
        fprintf(out, ", status %d", a->http_status);
    if (a->duration_ms >= 0) {
        units_format_duration(a->duration_ms, took, sizeof took);
        fprintf(out, ", after %s", took);
    }
}

static void due_words(const struct job_row *r, FILE *out)
{
    char at[UNITS_INSTANT_SIZE];
    units_format_instant(r->due_ms, at);
    fprintf(out,
            r->due_ms == r->not_before_ms ? "waits for its not_before, %s" : "waits, to be sent again at %s",
            at);
}

static void superseded_words(const struct job_row *r, FILE *out)
{
    fprintf(out, "superseded: its file holds another request now");
    if (r->outcome != NULL)
        fprintf(out, "; the outcome is kept as superseded/%s", r->outcome);
}

void history_words(const struct job_row *r, const struct event *e, FILE *out)
{
    switch (e->kind) {
    case EVENT_SEEN:
        fputs("seen", out);
        return;
    case EVENT_QUEUED:
        fputs("queued", out);
        return;
    case EVENT_SENT:
        fprintf(out, "attempt %d sent", e->attempt->n);
        return;
    case EVENT_ENDED:
        ended_words(e->attempt, out);
        return;
    case EVENT_DUE:
        due_words(r, out);
        return;
    case EVENT_DONE:
        fprintf(out, "done%s: %s.result.json", r->sandbox ? " by a sandbox" : "", r->stem);
        return;
    case EVENT_FAILED:
        fprintf(out, "failed: %s: %s", r->code != NULL ? r->code : "?", r->message != NULL ? r->message : "");
        return;
    case EVENT_SUPERSEDED:
        superseded_words(r, out);
        return;
    }
}

/* ---- for programs ---- */

static const char *const names[] = {
    [EVENT_SEEN] = "seen",     [EVENT_QUEUED] = "queued",
    [EVENT_SENT] = "sent",     [EVENT_ENDED] = "ended",
    [EVENT_DUE] = "due",       [EVENT_DONE] = "done",
    [EVENT_FAILED] = "failed", [EVENT_SUPERSEDED] = "superseded",
};

static void ended_json(const struct attempt_row *a, struct json_line *j)
{
    json_text(j, "verdict", a->verdict[0] != '\0' ? a->verdict : NULL);
    json_known(j, "http_status", a->http_status > 0 ? a->http_status : -1);
    json_known(j, "duration_ms", a->duration_ms);
}

void history_json(const struct job_row *r, const struct event *e, struct json_line *j)
{
    json_text(j, "request_sha256", r->request_sha256[0] != '\0' ? r->request_sha256 : NULL);
    json_text(j, "event", names[e->kind]);
    if (e->attempt != NULL)
        json_number(j, "attempt", e->attempt->n);
    if (e->attempt != NULL && e->kind == EVENT_ENDED)
        ended_json(e->attempt, j);
    if (e->kind == EVENT_DUE)
        json_instant(j, "due_at", r->due_ms);
    if (e->kind == EVENT_FAILED) {
        json_text(j, "code", r->code);
        json_text(j, "message", r->message);
    }
}
