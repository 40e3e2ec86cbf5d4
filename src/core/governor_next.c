/* governor_next - when the next request may go, and what it is for. */
#include "core/governor_internal.h"

#define OPEN_AT_ONCE   3    /* requests of the opening that do not wait */
#define OPEN_EVERY_MS  90   /* then one in so many ms ... */
#define OPEN_STEADY_MS 3000 /* ... until this; without any reply the rate then doubles, again and again */
#define OPEN_DOUBLE_MS 1500
#define OPEN_DOUBLINGS 9
#define NETWORK_MS     100 /* of jitter: a full window's sends are spread over this much more */
#define EXPLORE_MS     240000
#define EXPLORE_AT     55 /* percent of the window */
#define EXPLORED_AT    45 /* a probe that was refused so late was as good */
#define GAP_MS         10
#define BLIND_GAP_MS   18 /* without headers; where runs are quick, so many gaps in one of them: */
#define BLIND_GAPS     60
#define BLIND_HALVES   100   /* half of it after so many that were not refused, a third after twice as many */
#define PROBE_GAP_MS   1000  /* after one that was refused */
#define PAST_SHORT_MS  1500  /* after a refused probe as late as this the next is of five seconds */
#define SHARE_FROM_MS  3000  /* a probe for windows longer than this waits ... */
#define SHARED_PERCENT 45    /* ... so much longer, when it can test the next one, too */
#define LOOK_MS        50    /* how often the bank is asked while it says no */
#define IDLE_PROBE_MS  61000 /* the first probe against all hypotheses; the next wait twice as long */

/* ---- trust ---- */

/* When one more unconfirmed request may go. */
static int64_t next_trusted(struct governor *g, int64_t now)
{
    struct governor_trust *t = &g->trust;
    int64_t q = governor_proof_ms(g);

    if (now - t->since_ms >= q) {
        if (now - t->since_ms > 6 * q)
            t->size = 1;
        else if (t->used >= t->size && t->size < g->opt.max_concurrency)
            t->size *= 2;
        t->used = 0;
        t->since_ms = now;
    }
    return t->used < t->size ? now : t->since_ms + q;
}

/* ---- the probe ---- */

/* When the probe that is out will have proven itself. */
static int64_t probe_proven_ms(const struct governor *g)
{
    return g->probe.on_wire ? g->probe.sent_ms + governor_proof_ms(g) : GOVERNOR_ON_COMPLETION;
}

static void end_hold(struct governor *g)
{
    g->held = false;
    if (!g->hold_by_server)
        return;
    g->hold_by_server = false;
    governor_ramp(g);
    g->ramp_seq = g->hold_seq; /* the probe is the first of the new ones */
    g->ramp_older--;           /* and still on its way */
}

/* Request `seq` was admitted: it was answered otherwise than by 429, or not refused for long enough. */
void governor_admitted(struct governor *g, uint64_t seq)
{
    if (g->probe.out && g->probe.on_wire && seq == g->probe.seq) {
        g->probe = (struct governor_probe){.out = false};
        g->full_ms = g->last_ms;
        g->probe_failed = false;
        if (g->bank.limit > 0 && send_log_knows(&g->log, seq))
            bank_admitted(&g->bank, &g->log, seq);
    }
    if (seq >= g->row_seq) {
        if (g->mode == GOVERNOR_PACING && g->row > GOVERNOR_PACED_ROW) {
            g->pacer.rate = g->pace_before;
            g->pace_seq = g->log.next;
        }
        g->row = 0;
    }
    if (g->mode == GOVERNOR_HEADERLESS && g->pacer.rate <= 0) { /* what is confirmed makes room for more */
        if (g->trust.used > 0)
            g->trust.used--;
        if (g->trust.size < g->opt.max_concurrency)
            g->trust.size += 2;
    }
    if (g->held && seq >= g->hold_seq)
        end_hold(g);
}

/* ---- when the next one may go, by mode ---- */

/* ms between two sends, 0: no pacing. */
double governor_interval(const struct governor *g)
{
    double rate = 0, most = g->opt.max_per_second / 1000;

    if (g->mode == GOVERNOR_TOLD)
        rate = governor_usable(g, (double)g->opt.hint_limit) / ((double)g->opt.hint_window_ms + NETWORK_MS);
    else if (g->mode == GOVERNOR_PACING || g->mode == GOVERNOR_HEADERLESS)
        rate = g->pacer.rate;
    if (most > 0 && (rate <= 0 || rate > most))
        rate = most;
    if (rate <= 0)
        return 0;
    return 1 / rate > 86400e3 ? 86400e3 : 1 / rate;
}

static int64_t next_opening(const struct governor *g, int64_t now)
{
    int64_t elapsed = g->admitted ? now - g->first_ms : 0, every = OPEN_EVERY_MS;

    if (g->log.next + (uint64_t)g->pending < OPEN_AT_ONCE)
        return now;
    for (int i = 0; i < OPEN_DOUBLINGS && elapsed > OPEN_STEADY_MS + i * OPEN_DOUBLE_MS; i++)
        every = every > 1 ? every / 2 : 1;
    return g->last_admit_ms + every;
}

/* Where runs are slow, so many a second that few are on their way when the first refusal comes back. */
static int64_t next_headerless(struct governor *g, int64_t now)
{
    int64_t gap =
        g->latency_ms > BLIND_GAP_MS * BLIND_GAPS ? BLIND_GAP_MS : (int64_t)g->latency_ms / BLIND_GAPS;
    int64_t trusted, spaced;

    if (g->pacer.rate > 0)
        return now; /* the pace decides */
    g->next_is_trusted = true;
    trusted = next_trusted(g, now);
    spaced = g->last_admit_ms + gap / (int64_t)(1 + g->log.next / BLIND_HALVES);
    return trusted > spaced ? trusted : spaced;
}

/* A wrong guess that is too long explains itself for ever, as nothing is sent that could belie it. So rarely,
 * and more and more so, one goes when half of the window is over; not when one was refused as late already.
 */
static bool may_explore(struct governor *g, int64_t now)
{
    int64_t window = bank_window_ms(g->bank.best);

    if (g->explore_after_ms == 0) {
        g->explore_after_ms = 5 * window > EXPLORE_MS ? 5 * window : EXPLORE_MS;
        g->explore_ms = now + g->explore_after_ms;
    }
    if (now >= g->explore_ms && g->refused_after_ms >= window / 100 * EXPLORED_AT) {
        if (g->explore_after_ms < INT64_C(30) * 86400000)
            g->explore_after_ms *= 4;
        g->explore_ms = now + g->explore_after_ms;
        g->refused_after_ms = 0;
    }
    return now >= g->explore_ms && now - g->full_ms >= window / 100 * EXPLORE_AT;
}

/* Against all hypotheses: whatever they are, there is a next time. */
static int64_t next_idle_probe(const struct governor *g)
{
    int64_t wait = IDLE_PROBE_MS << (g->idle_probes < 10 ? g->idle_probes : 10);
    int64_t window = bank_window_ms(g->bank.best) / 10 * 11 + 2000;

    return g->last_admit_ms + (wait < window ? wait : window);
}

/* When a probe may go. One for each window, when all its kinds say that there is room, tells most; others,
 * for the sake of limits that refill little by little, each after twice the time of the last. */
static int64_t next_probe(const struct governor *g, const struct bank_advice *a)
{
    int64_t past = g->probe_ms > g->full_ms ? g->probe_ms - g->full_ms : 0;
    int64_t wait = a->group_room >= 0 ? past / 3 : past > 10000 ? past / 2 : past;

    if (g->probe_failed && past >= PAST_SHORT_MS && past < SHARE_FROM_MS)
        wait = past + past / 4;
    if (g->probe_failed && wait < PROBE_GAP_MS)
        wait = PROBE_GAP_MS;
    return g->probe_ms + wait;
}

/* Whether the next candidate is so near that one probe can test both. */
static bool better_soon(const struct governor *g, const struct bank_advice *a, int64_t now)
{
    int64_t past = now - g->full_ms, limit = 2 * (g->probe_ms - g->full_ms) + PROBE_GAP_MS;
    double usable = governor_usable(g, (double)g->limit_in_force);

    if (past < SHARE_FROM_MS || past > limit + limit / 10)
        return false;
    return bank_foresee(&g->bank, &g->log, g->pending, usable, now + past * SHARED_PERCENT / 100).groups >
           a->groups;
}

/* What is confirmed still goes one after the other: that keeps arrivals in order, and no burst is needed. */
static int64_t after_the_last(const struct governor *g)
{
    int64_t even = bank_longest_ms(&g->bank) / g->limit_in_force / 4;

    return g->last_admit_ms + (even < GAP_MS ? even : GAP_MS);
}

/* Whether the newest reading, less what was sent since, leaves room by itself. One from before the last
 * refusal is not believed any more. */
static bool confirmed(const struct governor *g)
{
    int64_t since;

    if (!g->has_reading || g->reading_seq < g->row_seq || g->opt.leave_percent > 0 ||
        !send_log_knows(&g->log, g->reading_seq))
        return false;
    since = (int64_t)(g->log.total - g->log.sum[g->reading_seq % SEND_LOG_EXACT]) + g->pending;
    return g->remaining - since >= 1;
}

static int64_t next_counting(struct governor *g, int64_t now)
{
    double limit = (double)g->limit_in_force;
    struct bank_advice a = bank_ask(&g->bank, &g->log, g->pending, governor_usable(g, limit), now);
    int64_t more;

    if (a.room >= 0) {
        g->full_ms = now;
        if (confirmed(g))
            return after_the_last(g);
        g->next_is_trusted = true;
        more = next_trusted(g, now);
        return more > after_the_last(g) ? more : after_the_last(g);
    }
    if (g->probe.out)
        return probe_proven_ms(g);
    if (a.most_room >= 0) {
        g->next_is_probe = true;
        more = next_probe(g, &a);
        if (more <= now + LOOK_MS && !better_soon(g, &a, now))
            return more;
        g->next_is_probe = false;
    }
    g->next_is_probe = g->next_is_idle_probe = now >= next_idle_probe(g) || may_explore(g, now);
    return g->next_is_probe ? now : now + LOOK_MS;
}

static int64_t next_by_mode(struct governor *g, int64_t now)
{
    switch (g->mode) {
    case GOVERNOR_OPENING:
        return next_opening(g, now);
    case GOVERNOR_HEADERLESS:
        return next_headerless(g, now);
    case GOVERNOR_COUNTING:
        return next_counting(g, now);
    case GOVERNOR_PACING:
        pacer_climb(&g->pacer, now);
        break;
    case GOVERNOR_OPEN:
    case GOVERNOR_TOLD:
        break;
    }
    return now;
}

/* When the hold or the pause lets the next one through; `now` when there is none. After either, one goes
 * first, and the others wait until it has proven itself. */
static int64_t next_by_refusals(struct governor *g, int64_t now)
{
    if (g->held ? now < g->closed_until_ms : now < g->pause_until_ms)
        return g->held ? g->closed_until_ms : g->pause_until_ms;
    if (!g->held && g->row == 0)
        return now;
    if (!g->hold_by_server && (g->mode == GOVERNOR_PACING || g->mode == GOVERNOR_COUNTING))
        return now; /* the slower pace or the counts are enough */
    if (g->probe.out)
        return probe_proven_ms(g);
    g->next_is_probe = true;
    return now;
}

bool governor_ramp_is_full(const struct governor *g)
{
    return g->ramp > 0 && g->in_flight >= governor_cap(g);
}

/* A time of the governor's own for a caller. */
static int64_t clock_out(const struct governor *g, int64_t t)
{
    return t == GOVERNOR_ON_COMPLETION ? t : t - g->shift_ms;
}

int64_t governor_next(struct governor *g, int64_t now_ms)
{
    int64_t now = governor_clock(g, now_ms), at, more;

    if (g->probe.out && now >= probe_proven_ms(g))
        governor_admitted(g, g->probe.seq);
    if (g->in_flight >= g->opt.max_concurrency ||
        (g->in_flight >= governor_cap(g) && !governor_ramp_is_full(g)))
        return GOVERNOR_ON_COMPLETION;
    governor_choose_mode(g, now);
    g->next_is_probe = g->next_is_idle_probe = g->next_is_trusted = false;
    at = next_by_refusals(g, now);
    if (at <= now && !g->next_is_probe) {
        more = next_by_mode(g, now);
        at = more > at ? more : at;
    }
    if (governor_ramp_is_full(g) && g->last_admit_ms + GOVERNOR_PROOF_MS > at)
        at = g->last_admit_ms + GOVERNOR_PROOF_MS;
    if (governor_interval(g) > 0 && g->pacer.due_ms > at &&
        !(g->next_is_probe && g->mode == GOVERNOR_HEADERLESS))
        at = g->pacer.due_ms;
    return at <= now ? now_ms : clock_out(g, at);
}
