/* governor_reply - what a reply says: readings, refusals, pauses, holds and the ramp after them. */
#include "core/governor_internal.h"

#include <string.h>

#define PAUSE_MAX_MS 15000
#define HELD_FROM_MS 2000 /* a pause of this length is called a hold */
#define RATE_SPAN_MS 120000
#define LATELY_MS    2000
#define JUDGED       24 /* sends; of so many at least, or of those of two windows ... */
#define JUDGED_MOST  400
#define FAR_TOO_MANY 0.2 /* ... this share refused is no jitter */

/* ---- ramp ---- */

void governor_ramp_up(struct governor *g)
{
    g->ramp = g->ramp > g->opt.max_concurrency / 2 ? 0 : g->ramp * 2;
}

void governor_ramp(struct governor *g)
{
    g->ramp = 1;
    g->ramp_older = g->in_flight - g->pending;
    g->ramp_seq = g->log.next;
    g->trust = (struct governor_trust){.size = 1, .since_ms = g->last_ms};
}

/* ---- refusals ---- */

void governor_learn_rate(struct governor *g, int64_t sent_ms, int64_t now)
{
    int64_t span = sent_ms - g->first_ms;
    double admitted;

    span = span < 1000 ? 1000 : span > RATE_SPAN_MS ? RATE_SPAN_MS : span;
    admitted = send_log_between(&g->log, sent_ms - span, sent_ms);
    pacer_set(&g->pacer, (g->pacer.rate > 0 ? 0.97 : 1.03) * (admitted > 1 ? admitted : 1) / (double)span,
              now);
}

/* Of a pause without Retry-After: doubles with each refused flight, a tenth more or less. */
static int64_t pause_for(const struct governor *g, uint64_t random)
{
    double first = (double)g->opt.hold_base_ms / 4, cap = (double)g->opt.hold_cap_ms;
    int row = g->row - (g->mode == GOVERNOR_PACING ? GOVERNOR_PACED_ROW : 1);

    if (g->mode == GOVERNOR_COUNTING) {
        double one = 0.5 * (double)bank_window_ms(g->bank.best) / (double)g->limit_in_force;

        first = one < first ? first : one > 20 * first ? 20 * first : one;
    } else if (g->mode == GOVERNOR_HEADERLESS) { /* which has just got a rate */
        first = 4 / g->pacer.rate > 2 * first ? 4 / g->pacer.rate : 1 / g->pacer.rate;
    }
    for (int i = 0; i < row && first < PAUSE_MAX_MS; i++)
        first *= 2;
    if (cap > PAUSE_MAX_MS)
        cap = PAUSE_MAX_MS;
    first = first < cap ? first : cap;
    return 1 + (int64_t)(first * (0.9 + 0.2 * (double)(random >> 11) / 9007199254740992.0));
}

static void hold(struct governor *g, int64_t until, bool by_server, int64_t now)
{
    if (!g->held) {
        g->held = true;
        g->hold_by_server = false;
        g->held_since_ms = now;
        g->hold_seq = g->log.next;
        g->ramp = 0;
    }
    g->hold_by_server |= by_server;
    if (until > g->closed_until_ms)
        g->closed_until_ms = until;
}

/* Asked for by the server: bounded, and a tenth more at random so that not all come back together. */
static void hold_as_told(struct governor *g, const struct governor_reading *r, int64_t now)
{
    int64_t wait = r->retry_after_ms < RETRY_AFTER_MAX_MS ? r->retry_after_ms : RETRY_AFTER_MAX_MS;

    wait += (int64_t)(r->random % (uint64_t)(wait / 10 + 1));
    hold(g, now + wait, true, now);
}

static void pause_sending(struct governor *g, const struct governor_reading *r, int64_t now)
{
    int64_t wait;

    if (g->mode == GOVERNOR_PACING && g->row < GOVERNOR_PACED_ROW)
        return; /* the slower pace is enough */
    wait = pause_for(g, r->random);
    if (now + wait > g->pause_until_ms)
        g->pause_until_ms = now + wait;
    if (wait >= HELD_FROM_MS || g->held)
        hold(g, now + wait, false, now);
}

static double admitted_per_ms(const struct governor *g, double span, int64_t now)
{
    return (1 + send_log_between(&g->log, now - (int64_t)span, now)) / span;
}

/* Over the time that twenty sends should take, since the start at most; pauses are in it, so not much less
 * than over two minutes. */
static double admitted_lately(const struct governor *g, int64_t now)
{
    double most = (double)(now - g->first_ms), span = 20 / g->pacer.rate, lately, floor_of_it;

    most = most < 1000 ? 1000 : most < RATE_SPAN_MS ? most : RATE_SPAN_MS;
    span = span < 2000 ? 2000 : span;
    span = span < most ? span : most;
    lately = admitted_per_ms(g, span, now);
    floor_of_it = 0.8 * admitted_per_ms(g, most, now);
    return lately > floor_of_it ? lately : floor_of_it;
}

/* Of the newest sends since the pace was set, `n` at most, the share that is known to be refused. */
static double refused_share(const struct governor *g, uint64_t n)
{
    uint64_t newest = g->log.next, oldest = newest > n ? newest - n : 0, refused = 0;

    if (oldest < g->pace_seq)
        oldest = g->pace_seq;
    for (uint64_t i = oldest; i < newest; i++)
        refused += g->log.refused[i % SEND_LOG_EXACT];
    return newest - oldest < n / 2 ? 0 : (double)refused / (double)(newest - oldest);
}

/* The window is longer than it seemed, or others take a part: small steps would take too long. What fills one
 * short window by a burst is not enough to say so. */
static void fall_back(struct governor *g, int64_t now)
{
    double usable = governor_usable(g, (double)g->limit_in_force);
    double judged = 2 * usable < JUDGED ? JUDGED : 2 * usable > JUDGED_MOST ? JUDGED_MOST : 2 * usable;
    double share = refused_share(g, (uint64_t)judged);
    double least = usable / (double)BANK_SHORT_MS / 2;

    if (share < FAR_TOO_MANY || g->pacer.rate <= least)
        return;
    g->pacer.climbing = true;
    pacer_set(&g->pacer, g->pacer.rate * (1 - share) > least ? g->pacer.rate * (1 - share) : least, now);
    g->pace_seq = g->log.next;
}

static void slow_down(struct governor *g, int64_t sent, int64_t now)
{
    if (g->mode == GOVERNOR_HEADERLESS && (g->pacer.rate <= 0 || g->row >= 3))
        governor_learn_rate(g, sent, now);
    else if (g->mode == GOVERNOR_HEADERLESS && admitted_lately(g, now) < 0.7 * g->pacer.rate)
        pacer_set(&g->pacer, admitted_lately(g, now), now); /* far too fast: no small steps */
    else if (g->mode == GOVERNOR_HEADERLESS || g->mode == GOVERNOR_PACING)
        pacer_cut(&g->pacer, sent, now);
    if (g->mode == GOVERNOR_PACING)
        fall_back(g, now);
}

static void learn_refusal(struct governor *g, uint64_t seq, enum bank_refusal what, int64_t now)
{
    int64_t round_trip = now - send_log_time(&g->log, seq);

    g->refusal_ms += 0.3 * ((double)(round_trip < 2000 ? round_trip : 2000) - g->refusal_ms);
    bank_uncount(&g->bank, &g->log, seq);
    send_log_refused(&g->log, seq);
    if (g->bank.limit > 0)
        bank_refused(&g->bank, &g->log, seq, what, now);
}

/* Whether a request that was sent since the row of refusals began was admitted, as it was not refused for so
 * long: its reply may take minutes. */
static bool admitted_since(const struct governor *g, int64_t now)
{
    for (uint64_t seq = g->row_first; seq < g->log.next; seq++) {
        if (!send_log_knows(&g->log, seq))
            continue;
        if (now - send_log_time(&g->log, seq) < governor_proof_ms(g))
            return false;
        if (!g->log.refused[seq % SEND_LOG_EXACT])
            return true;
    }
    return false;
}

static void refused(struct governor *g, const struct governor_reading *r, int64_t now)
{
    bool probe = g->probe.out && g->probe.on_wire && r->seq == g->probe.seq;
    bool known = send_log_knows(&g->log, r->seq);
    int64_t sent = known ? send_log_time(&g->log, r->seq) : now;

    g->refused_total++;
    g->last_429_ms = now;
    g->trust = (struct governor_trust){.size = 1, .since_ms = now};
    if (probe) {
        if (g->mode == GOVERNOR_COUNTING && !g->probe.look && sent - g->full_ms > g->refused_after_ms)
            g->refused_after_ms = sent - g->full_ms;
        g->probe = (struct governor_probe){.out = false};
        g->probe_failed = true;
    }
    if (known && !g->log.refused[r->seq % SEND_LOG_EXACT])
        learn_refusal(g, r->seq,
                      probe                  ? BANK_PROBE
                      : r->seq >= g->row_seq ? BANK_UNEXPECTED
                                             : BANK_AGAIN,
                      now);
    if (r->seq >= g->row_seq) { /* else of a flight that was refused before */
        if (g->mode == GOVERNOR_PACING && admitted_since(g, now))
            g->row = 0;
        if (g->row == 0) {
            g->pace_before = g->pacer.rate;
            g->row_first = g->log.next;
        }
        if (g->row < 1000 && (g->mode != GOVERNOR_COUNTING || !probe)) /* a probe may well be refused */
            g->row++;
        g->row_seq = g->log.next;
        slow_down(g, sent, now);
        if (g->mode != GOVERNOR_COUNTING || !probe) /* probes are spaced by themselves */
            pause_sending(g, r, now);
    } else if (g->mode == GOVERNOR_PACING) {
        slow_down(g, sent, now);
    }
    if (r->retry_after_ms > 0)
        hold_as_told(g, r, now);
}

void governor_release(struct governor *g, int64_t now_ms)
{
    int64_t now = governor_clock(g, now_ms);

    if (g->held)
        g->closed_until_ms = now;
    g->pause_until_ms = now;
}

/* ---- readings ---- */

/* Refusals may have told of a lower limit before: then what is admitted is slow enough. */
static void scale_pace(struct governor *g, double factor, int64_t now)
{
    double lately = send_log_between(&g->log, now - LATELY_MS, now) / (double)LATELY_MS;
    double least = lately < g->pacer.rate ? lately : g->pacer.rate;

    g->pacer.most *= factor;
    g->pacer.rate *= factor;
    if (factor < 1 && g->pacer.rate < least)
        g->pacer.rate = least;
    g->pacer.climbing = true;
    g->pace_seq = g->log.next;
}

static void set_limit(struct governor *g, long long limit, int64_t now)
{
    if (g->limit_in_force > 0 && g->pacer.rate > 0)
        scale_pace(g, (double)limit / (double)g->limit_in_force, now);
    if (g->limit_in_force > 0)
        bank_doubt(&g->bank);
    g->limit_in_force = limit;
    g->limit_since_ms = now;
    g->remembered = false;
    g->readings = g->idle_probes = 0;
    g->full_ms = now;
    g->explore_after_ms = g->refused_after_ms = 0;
    bank_set_limit(&g->bank, &g->log, (double)limit);
}

/* The newest-sent one counts. A change must be said twice in a row: once may be garbage. */
static void take_reading(struct governor *g, const struct governor_reading *r, int64_t now)
{
    bool confirmed = g->has_reading && g->limit == r->limit;

    if (g->has_reading && r->seq < g->reading_seq)
        return;
    g->has_reading = true;
    g->reading_seq = r->seq;
    g->limit = r->limit;
    g->remaining = r->remaining;
    if (g->limit_in_force == 0 || ((confirmed || g->remembered) && r->limit != g->limit_in_force))
        set_limit(g, r->limit, now);
}

static void score_reading(struct governor *g, const struct governor_reading *r, int64_t now)
{
    int64_t sent, apart, window = bank_window_ms(g->bank.best) / 20;

    if (r->limit != g->limit_in_force || !send_log_knows(&g->log, r->seq))
        return;
    if (g->readings < 1000000)
        g->readings++;
    sent = send_log_time(&g->log, r->seq);
    apart = sent > g->scored_ms ? sent - g->scored_ms : g->scored_ms - sent;
    if (g->readings >= 30 && apart < (window < 100 ? window : 100))
        return;
    g->scored_ms = sent;
    bank_reading(&g->bank, &g->log, r->seq, (double)r->limit, (double)r->remaining, now);
}

static void read_headers(struct governor *g, const struct governor_reading *r, int64_t now)
{
    if (r->has_limit && r->limit == 0 && r->remaining == 0) {
        if (g->unlimited < 1000)
            g->unlimited++;
        return;
    }
    if (!r->has_limit || r->limit < 1 || r->limit > GOVERNOR_LIMIT_MAX || r->remaining < 0 ||
        r->remaining > r->limit) {
        if (r->success && g->silent < 1000)
            g->silent++;
        return;
    }
    g->silent = g->unlimited = 0;
    take_reading(g, r, now);
    if (!r->rate_limited)
        score_reading(g, r, now);
}

/* ---- replies ---- */

static void land(struct governor *g, const struct governor_reading *r, int64_t now)
{
    int flying = g->in_flight - g->pending;

    if (flying <= 1) {
        g->flying_ms = 0;
        return;
    }
    if (!send_log_knows(&g->log, r->seq)) {
        g->flying_ms -= g->flying_ms / flying;
        return;
    }
    g->flying_ms -= (double)send_log_time(&g->log, r->seq);
    if (r->success) {
        double took = (double)(now - send_log_time(&g->log, r->seq));

        g->latency_ms +=
            (took - g->latency_ms) * (g->replies_total < 50 ? 1 / (double)(g->replies_total + 1) : 0.02);
    }
}

void governor_reply(struct governor *g, const struct governor_reading *r, int64_t now_ms)
{
    int64_t now = governor_clock(g, now_ms);

    if (r->seq >= g->log.next) { /* never sent */
        governor_end_slot(g);
        return;
    }
    land(g, r, now);
    if (r->seq < g->ramp_seq && g->ramp_older > 0)
        g->ramp_older--;
    if (r->rate_limited) {
        refused(g, r, now);
        read_headers(g, r, now);
    } else {
        g->replies_total++;
        read_headers(g, r, now);
        governor_admitted(g, r->seq);
        if (r->success && g->ramp > 0)
            governor_ramp_up(g);
    }
    governor_end_slot(g);
}
