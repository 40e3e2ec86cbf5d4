/* governor - slots, and when the next request may go. */
#include "core/governor.h"

#include <string.h>

#include "core/governor_internal.h"

#define FAR_MS         (INT64_C(1) << 61)
#define OPEN_AT_ONCE   3    /* requests of the opening that do not wait */
#define OPEN_EVERY_MS  90   /* then one in so many ms ... */
#define OPEN_STEADY_MS 3000 /* ... until this; without any reply the rate then doubles, again and again */
#define OPEN_DOUBLE_MS 1500
#define OPEN_DOUBLINGS 9
#define NETWORK_MS     100   /* of jitter: a full window's sends are spread over this much more */
#define TOP            0.975 /* of a short window's limit: more is refused for the jitter of arrivals alone */
#define GAP_MS         10
#define PROBE_GAP_MS   1000  /* after one that was refused */
#define LOOK_MS        50    /* how often the bank is asked while it says no */
#define IDLE_PROBE_MS  61000 /* the first probe against all hypotheses; the next wait twice as long */
#define ROOM           2     /* times what the rate and the latency need in flight */

int64_t governor_later(int64_t now_ms, int64_t wait_ms)
{
    int64_t t;

    return __builtin_add_overflow(now_ms, wait_ms, &t) ? INT64_MAX : t;
}

/* A clock that went back, or is far off, moves on from where it was. */
int64_t governor_clock(struct governor *g, int64_t now_ms)
{
    int64_t t = now_ms > FAR_MS ? FAR_MS : now_ms < -FAR_MS ? -FAR_MS : now_ms;

    t += g->shift_ms;
    if (t < g->last_ms) {
        g->shift_ms += g->last_ms - t;
        t = g->last_ms;
    }
    if (t > FAR_MS) {
        g->shift_ms -= t - FAR_MS;
        t = FAR_MS;
    }
    g->last_ms = t;
    return t;
}

static int64_t clock_out(const struct governor *g, int64_t t)
{
    return t == GOVERNOR_ON_COMPLETION ? t : t - g->shift_ms;
}

/* ---- options ---- */

void governor_init(struct governor *g, const struct governor_options *o)
{
    memset(g, 0, sizeof *g);
    g->last_ms = -FAR_MS;
    g->last_429_ms = -1;
    g->refusal_ms = 200;
    g->pause_until_ms = g->probe_ms = g->full_ms = g->pacer.due_ms = g->trust.since_ms = g->scored_ms =
        -FAR_MS;
    g->pacer.cut_ms = -FAR_MS;
    g->trust.size = 1;
    send_log_init(&g->log, 0);
    bank_init(&g->bank);
    governor_set_options(g, o);
}

void governor_set_options(struct governor *g, const struct governor_options *o)
{
    struct governor_options *p = &g->opt;

    *p = *o;
    if (p->max_concurrency < 1)
        p->max_concurrency = 1;
    if (!(p->max_per_second > 0)) /* NaN too */
        p->max_per_second = 0;
    if (p->hint_limit < 1 || p->hint_window_ms < 1)
        p->hint_limit = p->hint_window_ms = 0;
    if (p->leave_percent < 0)
        p->leave_percent = 0;
    if (p->leave_percent > 99)
        p->leave_percent = 99;
    if (p->hold_base_ms < 1)
        p->hold_base_ms = 1;
    if (p->hold_cap_ms < p->hold_base_ms)
        p->hold_cap_ms = p->hold_base_ms;
}

void governor_set_wall(struct governor *g, int64_t wall_offset_ms)
{
    g->bank.wall_ms = wall_offset_ms - g->shift_ms;
}

int64_t governor_elapsed(const struct governor *g, int64_t then, int64_t now_ms)
{
    int64_t now = now_ms > FAR_MS ? FAR_MS : now_ms < -FAR_MS ? -FAR_MS : now_ms;

    now += g->shift_ms;
    return now > then ? now - then : 0;
}

double governor_usable(const struct governor *g, double limit)
{
    double u = limit * (100 - g->opt.leave_percent) / 100;

    return u > 1 ? u : 1;
}

/* ---- what is known ---- */

int64_t governor_proof_ms(const struct governor *g)
{
    double q = 2.5 * g->refusal_ms;

    return q < 350 ? 350 : q > 3000 ? 3000 : (int64_t)q;
}

/* Entered when every plausible window is short, left when none is. */
static bool all_short(struct governor *g)
{
    if (g->bank.readings < 4)
        return false;
    if (g->mode == GOVERNOR_PACING)
        return bank_shortest_ms(&g->bank) <= GOVERNOR_SHORT_MS;
    return bank_longest_ms(&g->bank) <= GOVERNOR_SHORT_MS;
}

static void start_pacing(struct governor *g, int64_t now)
{
    double limit = governor_usable(g, (double)g->limit_in_force);

    g->pacer.most = TOP * limit / (double)bank_windows_ms[0];
    g->pacer.climbing = true;
    g->pacer.coarse = false;
    pacer_set(&g->pacer, 0.96 * limit / (double)bank_longest_ms(&g->bank), now);
}

static enum governor_mode mode_by_limit(struct governor *g)
{
    if (!bank_fits(&g->bank))
        return GOVERNOR_HEADERLESS;
    return all_short(g) ? GOVERNOR_PACING : GOVERNOR_COUNTING;
}

void governor_choose_mode(struct governor *g, int64_t now)
{
    enum governor_mode was = g->mode;

    if (g->opt.hint_limit > 0)
        g->mode = GOVERNOR_TOLD;
    else if (g->unlimited > 0 && (g->limit_in_force == 0 || g->unlimited >= 20))
        g->mode = GOVERNOR_OPEN;
    else if (g->limit_in_force > 0 && g->silent < 50)
        g->mode = mode_by_limit(g);
    else
        g->mode = g->silent > 0 ? GOVERNOR_HEADERLESS : GOVERNOR_OPENING;
    if (g->mode == was)
        return;
    if (g->mode == GOVERNOR_PACING)
        start_pacing(g, now);
    else if (g->mode == GOVERNOR_HEADERLESS) {
        g->pacer.most = 0;
        g->pacer.climbing = false;
        g->pacer.coarse = true;
        if (was != GOVERNOR_OPENING && was != GOVERNOR_OPEN)
            governor_learn_rate(g, now, now);
    } else if (g->mode != GOVERNOR_TOLD)
        g->pacer.rate = 0;
}

/* Jitter hides which of the short windows it is; the pace that is sustained tells. */
int governor_model(const struct governor *g)
{
    double sustained;
    int best = g->bank.best;

    if (g->mode != GOVERNOR_PACING || g->pacer.rate <= 0 || g->pacer.climbing)
        return best;
    sustained = governor_usable(g, (double)g->limit_in_force) / g->pacer.rate;
    for (int i = 0; i < BANK_MODELS && bank_window_ms(i) <= GOVERNOR_SHORT_MS; i++) {
        double far = sustained / (double)bank_window_ms(i), now = sustained / (double)bank_window_ms(best);

        far = far > 1 ? far : 1 / far;
        now = now > 1 ? now : 1 / now;
        if (far < now || (far <= now && g->bank.error[i] < g->bank.error[best]))
            best = i;
    }
    return best;
}

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

static void free_probe(struct governor *g)
{
    g->probe = (struct governor_probe){.out = false};
}

/* When the probe that is out will have proven itself. */
static int64_t probe_proven_ms(const struct governor *g)
{
    return g->probe.on_wire ? g->probe.sent_ms + governor_proof_ms(g) : GOVERNOR_ON_COMPLETION;
}

static void end_hold(struct governor *g)
{
    g->held = false;
    g->holds = 0;
    if (!g->hold_by_server)
        return;
    governor_ramp(g);
    g->ramp_seq = g->hold_seq; /* the probe is the first of the new ones */
    if (g->ramp_older > 0)
        g->ramp_older--;
}

/* Request `seq` was admitted: it was answered otherwise than by 429, or not refused for long enough. */
void governor_admitted(struct governor *g, uint64_t seq)
{
    if (g->probe.out && g->probe.on_wire && seq == g->probe.seq) {
        free_probe(g);
        g->full_ms = g->last_ms;
        g->probe_failed = false;
        if (g->bank.limit > 0 && send_log_knows(&g->log, seq))
            bank_admitted(&g->bank, &g->log, seq);
    }
    if (seq >= g->row_seq)
        g->row = 0;
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

static int64_t next_headerless(struct governor *g, int64_t now)
{
    if (g->pacer.rate > 0)
        return now; /* the pace decides */
    g->next_is_trusted = true;
    return next_trusted(g, now);
}

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

    if (g->probe_failed && wait < PROBE_GAP_MS)
        wait = PROBE_GAP_MS;
    return g->probe_ms + wait;
}

/* What is confirmed still goes one after the other: that keeps arrivals in order, and no burst is needed. */
static int64_t after_the_last(const struct governor *g)
{
    int64_t even = bank_longest_ms(&g->bank) / g->limit_in_force / 4;

    return g->last_admit_ms + (even < GAP_MS ? even : GAP_MS);
}

static int64_t next_counting(struct governor *g, int64_t now)
{
    double limit = (double)g->limit_in_force;
    struct bank_advice a = bank_ask(&g->bank, &g->log, g->pending, governor_usable(g, limit), now);
    int64_t since_reading =
                send_log_knows(&g->log, g->reading_seq)
                    ? (int64_t)(g->log.total - g->log.sum[g->reading_seq % SEND_LOG_EXACT]) + g->pending
                    : INT64_MAX,
            more;

    if (a.room >= 0) {
        g->full_ms = now;
        if (g->has_reading && g->reading_seq >= g->row_seq && g->remaining - since_reading >= 1 &&
            g->opt.leave_percent == 0)
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
        if (more <= now + LOOK_MS)
            return more;
    }
    g->next_is_probe = g->next_is_idle_probe = now >= next_idle_probe(g);
    if (g->next_is_probe) {
        return now;
    }
    return now + (a.most_room < 0 ? LOOK_MS : 2 * LOOK_MS);
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

static bool ramp_is_full(const struct governor *g)
{
    return g->ramp > 0 && g->in_flight >= governor_cap(g);
}

int64_t governor_next(struct governor *g, int64_t now_ms)
{
    int64_t now = governor_clock(g, now_ms), at, more;

    if (g->probe.out && now >= probe_proven_ms(g))
        governor_admitted(g, g->probe.seq);
    if (g->in_flight >= g->opt.max_concurrency || (g->in_flight >= governor_cap(g) && !ramp_is_full(g)))
        return GOVERNOR_ON_COMPLETION;
    governor_choose_mode(g, now);
    g->next_is_probe = g->next_is_idle_probe = g->next_is_trusted = false;
    at = next_by_refusals(g, now);
    if (at <= now && !g->next_is_probe) {
        more = next_by_mode(g, now);
        at = more > at ? more : at;
    }
    if (ramp_is_full(g) && governor_later(g->last_admit_ms, GOVERNOR_PROOF_MS) > at)
        at = governor_later(g->last_admit_ms, GOVERNOR_PROOF_MS);
    if (governor_interval(g) > 0 && g->pacer.due_ms > at &&
        !(g->next_is_probe && g->mode == GOVERNOR_HEADERLESS))
        at = g->pacer.due_ms;
    return at <= now ? now_ms : clock_out(g, at);
}

/* ---- slots ---- */

void governor_admit(struct governor *g, int64_t now_ms)
{
    int64_t now = governor_clock(g, now_ms);
    double step = governor_interval(g);

    if (ramp_is_full(g))
        governor_ramp_up(g); /* nothing was refused for long enough */
    if (step > 0 && pacer_step(&g->pacer, step, now) &&
        (g->mode == GOVERNOR_PACING || g->mode == GOVERNOR_HEADERLESS) && g->pacer.rate > 0)
        pacer_grow(&g->pacer);
    if (g->next_is_trusted)
        g->trust.used++;
    if (g->next_is_probe && !g->probe.out) {
        g->probe = (struct governor_probe){.out = true, .ahead = g->pending};
        if (g->next_is_idle_probe && g->idle_probes < 20)
            g->idle_probes++;
        else
            g->probe_ms = now;
    }
    g->next_is_probe = g->next_is_idle_probe = g->next_is_trusted = false;
    if (!g->admitted)
        g->first_ms = now;
    g->admitted = true;
    g->last_admit_ms = now;
    g->in_flight++;
    g->pending++;
    g->admitted_total++;
}

void governor_end_slot(struct governor *g)
{
    if (g->in_flight > 0)
        g->in_flight--;
    if (g->ramp_older > g->in_flight)
        g->ramp_older = g->in_flight;
    if (g->in_flight == 0)
        free_probe(g); /* whatever became of it: nothing is out that could report */
}

/* Slots have no names before they are sent, so an older one may stand in for the probe. That is harmless:
 * one is out either way, and with none left to be sent the probe's place is free. */
void governor_withdraw(struct governor *g, int64_t now_ms)
{
    (void)now_ms;
    if (g->pending > 0)
        g->pending--;
    if (g->probe.out && !g->probe.on_wire) {
        if (g->probe.ahead > 0)
            g->probe.ahead--;
        else
            free_probe(g);
    }
    governor_end_slot(g);
}

uint64_t governor_sent(struct governor *g, int64_t now_ms)
{
    int64_t now = governor_clock(g, now_ms);
    uint64_t seq = send_log_add(&g->log, now);

    bank_sent(&g->bank, &g->log);
    g->flying_ms += (double)now;
    if (g->pending > 0)
        g->pending--;
    if (!g->probe.out || g->probe.on_wire)
        return seq;
    if (g->probe.ahead > 0) {
        g->probe.ahead--;
    } else {
        g->probe.on_wire = true;
        g->probe.seq = seq;
        g->probe.sent_ms = now;
    }
    return seq;
}

/* ---- cap ---- */

/* What the learned rate can keep busy: by the average latency, or by how long what is out has been out, which
 * is the better guess while only quick ones have come back. */
static double sustained(const struct governor *g)
{
    double rate = g->pacer.rate, flying = g->in_flight - g->pending, age = 0;

    if (g->mode == GOVERNOR_COUNTING && g->readings >= 20)
        rate = (double)g->limit_in_force / (double)bank_shortest_ms(&g->bank);
    else if (g->mode != GOVERNOR_PACING)
        return 0;
    if (flying > 0)
        age = (double)g->last_ms - g->flying_ms / flying;
    if (age < g->latency_ms)
        age = g->latency_ms;
    return ROOM * rate * age + 2 * (double)g->limit_in_force + 8;
}

int governor_cap(const struct governor *g)
{
    int cap = g->opt.max_concurrency;
    double enough = sustained(g);

    if (enough > 0 && enough < cap)
        cap = (int)enough;
    if (g->ramp > 0 && g->ramp < cap - g->ramp_older)
        return g->ramp + g->ramp_older;
    return cap;
}
