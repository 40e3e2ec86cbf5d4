#include "core/decision.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/learned.h"
#include "core/units.h"

#define SPACED_MS 10 /* the most that one waits for no other reason than the last one */

static void say(char buf[DECISION_WORDS_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(char buf[DECISION_WORDS_SIZE], const char *format, ...)
{
    size_t used = strlen(buf);
    va_list ap;
    va_start(ap, format);
    vsnprintf(buf + used, DECISION_WORDS_SIZE - used, format, ap);
    va_end(ap);
}

static void say_span(char buf[DECISION_WORDS_SIZE], const char *before, int64_t ms)
{
    char span[48];
    units_format_duration(ms, span, sizeof span);
    say(buf, "%s%s", before, span);
}

/* Of a time on the governor's clock. */
static int64_t away_ms(const struct governor *g, int64_t at, int64_t now_ms)
{
    int64_t now = now_ms + g->shift_ms;
    return at > now ? at - now : 0;
}

static void say_rate(char buf[DECISION_WORDS_SIZE], double per_second)
{
    say(buf, "%.*f per second", per_second < 1 ? 3 : 2, per_second);
}

/* ---- one goes ---- */

static void say_probe(char buf[DECISION_WORDS_SIZE], const struct governor *g)
{
    if (g->held)
        say(buf, "as a probe, after the hold");
    else if (g->next_is_idle_probe)
        say(buf, "as a probe, against what all plausible windows say");
    else if (g->mode == GOVERNOR_COUNTING && g->row == 0)
        say(buf, "as a probe: the plausible windows disagree");
    else
        say(buf, "as a probe, after a refusal");
}

static void say_paced(char buf[DECISION_WORDS_SIZE], const struct governor *g, int64_t now_ms)
{
    struct governor_view v;
    governor_look(g, now_ms, &v);
    if (v.per_second > 0) {
        say(buf, "at the pace, ");
        say_rate(buf, v.per_second);
    } else {
        say(buf, "at once: nothing holds it back");
    }
}

const char *decision_admit_words(const struct governor *g, char buf[DECISION_WORDS_SIZE])
{
    buf[0] = '\0';
    say(buf, "goes ");
    if (g->next_is_probe)
        say_probe(buf, g);
    else if (g->next_is_trusted)
        say(buf, "on trust, %d of %d unconfirmed", g->trust.used + 1, g->trust.size);
    else if (g->mode == GOVERNOR_COUNTING)
        say(buf, "into room that the last reply confirms");
    else if (g->mode == GOVERNOR_OPENING)
        say(buf, "to learn: no reply has said anything yet");
    else
        say_paced(buf, g, g->last_ms - g->shift_ms);
    say(buf, "; mode %s, %d in flight before it, at most %d", learned_mode(g->mode), g->in_flight,
        governor_cap(g));
    if (g->ramp > 0)
        say(buf, ", ramping up");
    return buf;
}

/* ---- one waits ---- */

bool decision_is_rhythm(enum decision_wait why)
{
    return why >= DECISION_SLOTS && why <= DECISION_SPACING;
}

static enum decision_wait wait_for_reply(const struct governor *g)
{
    if (g->in_flight >= g->opt.max_concurrency)
        return DECISION_SLOTS;
    return g->in_flight >= governor_cap(g) ? DECISION_CAP : DECISION_PROBE;
}

static enum decision_wait wait_by_mode(const struct governor *g, int64_t at)
{
    if (g->next_is_trusted)
        return g->trust.used >= g->trust.size ? DECISION_TRUST : DECISION_SPACING;
    if (g->next_is_probe)
        return DECISION_NEXT_PROBE;
    if (g->probe.out && g->probe.on_wire && at > g->last_admit_ms + SPACED_MS)
        return DECISION_PROBE;
    if (g->mode == GOVERNOR_OPENING)
        return DECISION_OPENING;
    if (g->mode == GOVERNOR_COUNTING && at > g->last_admit_ms + SPACED_MS)
        return DECISION_ROOM;
    return DECISION_SPACING;
}

enum decision_wait decision_wait(const struct governor *g, int64_t at_ms, int64_t now_ms)
{
    int64_t now = now_ms + g->shift_ms;
    if (at_ms <= now_ms)
        return DECISION_NO_WAIT;
    if (at_ms == GOVERNOR_ON_COMPLETION)
        return wait_for_reply(g);
    int64_t at = at_ms + g->shift_ms;
    if (g->held && now < g->closed_until_ms)
        return DECISION_HOLD;
    if (!g->held && now < g->pause_until_ms)
        return DECISION_PAUSE;
    if (at == g->pacer.due_ms)
        return DECISION_PACE;
    if (g->ramp > 0 && g->in_flight >= governor_cap(g))
        return DECISION_RAMP;
    return wait_by_mode(g, at);
}

/* Around the time; the others speak of numbers. */
static const struct {
    const char *before, *after;
} waits[] = {
    [DECISION_PACE] = {"waits for the pace, ", ""},
    [DECISION_OPENING] = {"waits for a first reply, at most ", ""},
    [DECISION_SPACING] = {"waits ", ": one goes after the other"},
    [DECISION_HOLD] = {"waits ", ": held after a 429, then one request asks"},
    [DECISION_PAUSE] = {"waits ", " after a 429"},
    [DECISION_RAMP] = {"waits for a reply, at most ", ": ramping up after a hold"},
    [DECISION_PROBE] = {"waits for what comes of the probe that is out, at most ", ""},
    [DECISION_NEXT_PROBE] = {"waits ", " for the next probe"},
    [DECISION_TRUST] = {"waits for what comes of those on trust, at most ", ""},
    [DECISION_ROOM] = {NULL, NULL},
};

const char *decision_wait_words(const struct governor *g, enum decision_wait why, int64_t at_ms,
                                int64_t now_ms, char buf[DECISION_WORDS_SIZE])
{
    buf[0] = '\0';
    if (why == DECISION_SLOTS) {
        say(buf, "waits for a reply: %d in flight, as many as max_concurrency allows", g->in_flight);
    } else if (why == DECISION_CAP) {
        say(buf, "waits for a reply: %d in flight, at most %d (%s)", g->in_flight, governor_cap(g),
            g->ramp > 0 ? "ramping up after a hold" : "what the learned limit keeps busy, with room");
    } else if (why == DECISION_ROOM) {
        say(buf, "waits until all plausible windows have room: limit %lld, %d in flight", g->limit_in_force,
            g->in_flight);
    } else if (at_ms == GOVERNOR_ON_COMPLETION) {
        say(buf, "waits for the probe to be sent");
    } else if (why != DECISION_NO_WAIT) {
        say_span(buf, waits[why].before, at_ms - now_ms);
        say(buf, "%s", waits[why].after);
    }
    return buf;
}

/* ---- something changed ---- */

struct decision_mark decision_mark(const struct governor *g, int64_t now_ms)
{
    struct governor_view v;
    governor_look(g, now_ms, &v);
    return (struct decision_mark){
        .taken = true,
        .mode = v.mode,
        .limit = v.limit,
        .kind = v.kind,
        .window_ms = v.window_ms,
        .per_second = v.per_second,
        .held = g->held,
        .closed_until_ms = g->closed_until_ms,
        .pause_until_ms = g->pause_until_ms,
        .ramp = g->ramp,
    };
}

/* A part of its own; they are kept apart. */
static void next_part(char buf[DECISION_WORDS_SIZE])
{
    if (buf[0] != '\0')
        say(buf, "; ");
}

static void say_limit_change(char buf[DECISION_WORDS_SIZE], long long before, long long after)
{
    next_part(buf);
    if (after <= 0)
        say(buf, "limit %lld is not believed any more", before);
    else if (before <= 0)
        say(buf, "limit %lld", after);
    else
        say(buf, "limit %lld -> %lld", before, after);
}

static void say_window(char buf[DECISION_WORDS_SIZE], const struct decision_mark *m)
{
    say(buf, "%s", m->window_ms > 0 ? "" : "unknown");
    if (m->window_ms > 0 && m->kind != NULL)
        say(buf, "%s, ", m->kind);
    if (m->window_ms > 0)
        say_span(buf, "", m->window_ms);
}

static bool same_window(const struct decision_mark *a, const struct decision_mark *b)
{
    return a->window_ms == b->window_ms && (a->kind == NULL) == (b->kind == NULL) &&
           (a->kind == NULL || strcmp(a->kind, b->kind) == 0);
}

static void say_refusals_change(char buf[DECISION_WORDS_SIZE], const struct governor *g,
                                const struct decision_mark *a, const struct decision_mark *b, int64_t now_ms)
{
    int64_t pause = away_ms(g, b->pause_until_ms, now_ms);
    if (b->held && a->held && b->closed_until_ms < a->closed_until_ms) {
        next_part(buf);
        say(buf, "the hold is cut short: a probe may go");
    } else if (b->held && (!a->held || b->closed_until_ms != a->closed_until_ms)) {
        next_part(buf);
        say_span(buf, "held for ", away_ms(g, b->closed_until_ms, now_ms));
        say(buf, "%s", a->held ? " longer" : "");
    } else if (!b->held && a->held) {
        next_part(buf);
        say(buf, "the hold is over");
    } else if (!b->held && pause > 0 && b->pause_until_ms != a->pause_until_ms) {
        next_part(buf);
        say_span(buf, "a pause of ", pause);
    }
    if (a->ramp != b->ramp) {
        next_part(buf);
        say(buf, b->ramp == 0 ? "the ramp is over" : "ramp %d", b->ramp);
    }
}

/* It creeps up with every request; only steps are told. */
static void say_pace_change(char buf[DECISION_WORDS_SIZE], const struct decision_mark *a,
                            const struct decision_mark *b)
{
    bool paced = b->mode == GOVERNOR_PACING || b->mode == GOVERNOR_HEADERLESS;
    if (!paced || b->per_second <= 0 || (a->per_second > 0 && b->per_second >= a->per_second))
        return;
    next_part(buf);
    say(buf, "pace ");
    if (a->per_second > 0)
        say(buf, "%.2f -> ", a->per_second);
    say_rate(buf, b->per_second);
}

static void say_changes(char buf[DECISION_WORDS_SIZE], const struct governor *g,
                        const struct decision_mark *a, int64_t now_ms)
{
    const struct decision_mark b = decision_mark(g, now_ms);
    if (!a->taken)
        return;
    if (a->limit != b.limit)
        say_limit_change(buf, a->limit, b.limit);
    if (a->mode != b.mode) {
        next_part(buf);
        say(buf, "mode %s -> %s", learned_mode(a->mode), learned_mode(b.mode));
    }
    if (!same_window(a, &b)) {
        next_part(buf);
        say(buf, "window ");
        say_window(buf, a);
        say(buf, " -> ");
        say_window(buf, &b);
    }
    say_refusals_change(buf, g, a, &b, now_ms);
    say_pace_change(buf, a, &b);
}

const char *decision_change_words(const struct governor *g, const struct decision_mark *before,
                                  int64_t now_ms, char buf[DECISION_WORDS_SIZE])
{
    buf[0] = '\0';
    say_changes(buf, g, before, now_ms);
    return buf;
}

const char *decision_reply_words(const struct governor *g, const struct decision_mark *before,
                                 const struct governor_reading *r, int64_t now_ms,
                                 char buf[DECISION_WORDS_SIZE])
{
    buf[0] = '\0';
    say(buf, "reply: ");
    if (r->rate_limited)
        say(buf, "refused (429)");
    else if (r->has_limit && r->limit > 0)
        say(buf, "%lld of %lld used", r->limit - r->remaining, r->limit);
    else if (r->has_limit)
        say(buf, "the server sets no limit");
    else
        say(buf, r->success ? "success, without a word of the limit" : "nothing about the limit");
    if (r->rate_limited && r->retry_after_ms >= 0)
        say_span(buf, ", Retry-After ", r->retry_after_ms);
    say_changes(buf, g, before, now_ms);
    return buf;
}
