/* governor - what is known, slots and the cap. */
#include "core/governor.h"

#include <string.h>

#include "core/governor_internal.h"

#define FAR_MS      (INT64_C(1) << 61)
#define START       0.96 /* of what a short window allows: where the pace begins */
#define FAR_BELOW   0.6  /* of it: the pace climbs again ... */
#define CLIMB_AFTER 20   /* ... when so many were sent since a refusal */
#define ROOM        2    /* times what the rate and the latency need in flight */

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
    bank_set_wall(&g->bank, wall_offset_ms - g->shift_ms);
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
        return bank_shortest_ms(&g->bank) <= BANK_SHORT_MS;
    return bank_longest_ms(&g->bank) <= BANK_SHORT_MS;
}

static void start_pacing(struct governor *g, int64_t now)
{
    double limit = governor_usable(g, (double)g->limit_in_force);

    g->pacer.most = limit / (double)bank_windows_ms[0];
    g->pacer.climbing = true;
    g->pacer.coarse = false;
    g->pace_seq = g->log.next;
    pacer_set(&g->pacer, START * limit / (double)bank_window_ms(g->bank.best), now);
}

/* Far below what the longest plausible window allows, and nothing was refused for a while. */
static bool may_climb(const struct governor *g)
{
    double rate = governor_usable(g, (double)g->limit_in_force) / (double)bank_longest_ms(&g->bank);

    return !g->pacer.climbing && g->pacer.quiet >= CLIMB_AFTER && g->pacer.rate < FAR_BELOW * rate;
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
    if (g->mode == GOVERNOR_PACING && was == GOVERNOR_PACING && may_climb(g))
        g->pacer.climbing = true;
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

    if (g->mode != GOVERNOR_PACING || g->pacer.climbing)
        return best;
    sustained = governor_usable(g, (double)g->limit_in_force) / g->pacer.rate;
    for (int i = 0; bank_window_ms(i) <= BANK_SHORT_MS; i++) {
        double far = sustained / (double)bank_window_ms(i), now = sustained / (double)bank_window_ms(best);

        far = far > 1 ? far : 1 / far;
        now = now > 1 ? now : 1 / now;
        if (far < now || (far <= now && g->bank.error[i] < g->bank.error[best]))
            best = i;
    }
    return best;
}

/* ---- slots ---- */

/* A look whether the window is shorter, and a probe against all hypotheses, come half as often each time. */
static void note_probe(struct governor *g, int64_t now)
{
    if (!g->next_is_idle_probe) {
        g->probe_ms = now;
        return;
    }
    if (now < g->explore_ms) {
        if (g->idle_probes < 20)
            g->idle_probes++;
        return;
    }
    if (g->explore_after_ms < INT64_C(30) * 86400000)
        g->explore_after_ms *= 2;
    g->explore_ms = now + g->explore_after_ms;
}

void governor_admit(struct governor *g, int64_t now_ms)
{
    int64_t now = governor_clock(g, now_ms);
    double step = governor_interval(g);

    if (governor_ramp_is_full(g))
        governor_ramp_up(g); /* nothing was refused for long enough */
    if (step > 0 && pacer_step(&g->pacer, step, now) &&
        (g->mode == GOVERNOR_PACING || g->mode == GOVERNOR_HEADERLESS) && g->pacer.rate > 0)
        pacer_grow(&g->pacer);
    if (g->next_is_trusted)
        g->trust.used++;
    if (g->next_is_probe) {
        g->probe = (struct governor_probe){.out = true, .look = g->next_is_idle_probe, .ahead = g->pending};
        note_probe(g, now);
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
        g->probe = (struct governor_probe){
            .out = false}; /* whatever became of it: nothing is out that could report */
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
            g->probe = (struct governor_probe){.out = false};
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
