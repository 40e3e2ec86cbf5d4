/* governor - pacing by what the headers and the refusals say. */
#include "core/governor.h"

#include <string.h>

#define RETRY_AFTER_MAX_MS (3600 * 1000)
#define LIMIT_MAX          1000000000LL
#define CATCH_UP_MS        50    /* how late a send may be without losing its place in the pace */
#define ROUND_MIN          8     /* replies before a rate is judged */
#define FIRST_RATE         0.001 /* sends per ms: one a second until something is known */
#define JITTER_MS          100   /* of the network: a full window's sends are spread over this much more */
#define AIM                0.9   /* of the limit, for the same reason */

static int64_t later(int64_t now_ms, int64_t wait_ms)
{
    int64_t t;

    return __builtin_add_overflow(now_ms, wait_ms, &t) ? INT64_MAX : t;
}

/* 0 when the clock went backwards, and no overflow either way. */
static int64_t since(int64_t then_ms, int64_t now_ms)
{
    int64_t d;

    if (now_ms <= then_ms)
        return 0;
    return __builtin_sub_overflow(now_ms, then_ms, &d) ? INT64_MAX : d;
}

static double bounded(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* ---- options ---- */

void governor_init(struct governor *g, const struct governor_options *o)
{
    memset(g, 0, sizeof *g);
    g->last_429_ms = -1;
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

/* The part of a limit that is ours. */
static double usable(const struct governor *g, long long limit)
{
    return (double)limit * (100 - g->opt.leave_percent) / 100;
}

/* ---- pace ---- */

/* ms between two sends, 0: no pacing. */
static double interval(const struct governor *g)
{
    double rate = g->rate, most = g->opt.max_per_second / 1000;

    if (g->opt.hint_limit > 0)
        rate = usable(g, g->opt.hint_limit) / ((double)g->opt.hint_window_ms + JITTER_MS);
    if (most > 0 && (rate <= 0 || rate > most))
        rate = most;
    return rate > 0 ? bounded(1 / rate, 0, 86400e3) : 0;
}

/* Starts a round. Never slower than the probes of a hold would go, so that a rate cannot fade to nothing. */
static void set_rate(struct governor *g, double rate)
{
    g->rate = bounded(rate, 1 / (double)g->opt.hold_cap_ms, 1e6);
    g->round_seq = g->next_seq;
    g->round_paced = g->round_replies = g->round_readings = g->round_used = 0;
}

/* The send that is taken now, and when the next one is due. */
static void step_pace(struct governor *g, int64_t now_ms)
{
    double step = interval(g) + g->due_fraction;
    int64_t whole = (int64_t)step;
    bool waited = g->admitted && g->due_ms <= now_ms && since(g->due_ms, now_ms) <= CATCH_UP_MS;

    if (waited)
        g->round_paced++;
    g->due_ms = later(waited ? g->due_ms : now_ms, whole);
    g->due_fraction = step - (double)whole;
}

/* ---- hold ---- */

static bool probe_proven(const struct governor *g, int64_t now_ms)
{
    return g->probing && g->probe_on_wire && since(g->probe_ms, now_ms) >= GOVERNOR_PROOF_MS;
}

static void free_probe(struct governor *g)
{
    g->probing = g->probe_on_wire = false;
    g->probe_ahead = 0;
}

static void ramp_up(struct governor *g)
{
    g->ramp = g->ramp > g->opt.max_concurrency / 2 ? 0 : g->ramp * 2;
}

void governor_ramp(struct governor *g)
{
    g->ramp = 1;
    g->ramp_older = g->in_flight - g->pending;
    g->ramp_seq = g->next_seq;
}

/* The probe was admitted, or another request sent since the hold began was. */
static void end_hold(struct governor *g)
{
    g->held = false;
    g->holds = 0;
    free_probe(g);
    governor_ramp(g);
    g->ramp_seq = g->hold_seq; /* the probe is the first of the new ones */
    g->ramp_older--;
}

/* Full jitter: after many clients were refused together they must not come back together. */
static int64_t backoff(const struct governor *g, uint64_t random)
{
    int64_t most = g->opt.hold_base_ms;

    for (int i = 1; i < g->holds && most < g->opt.hold_cap_ms; i++)
        most = most > g->opt.hold_cap_ms / 2 ? g->opt.hold_cap_ms : most * 2;
    return 1 + (int64_t)(random % (uint64_t)most);
}

static int64_t hold_for(const struct governor *g, const struct governor_reading *r)
{
    int64_t wait = r->retry_after_ms;

    /* A server that always says 0 would otherwise be asked once a round trip for ever. */
    if (wait < 0 || (wait == 0 && g->holds > 1))
        return backoff(g, r->random);
    if (wait > RETRY_AFTER_MAX_MS)
        wait = RETRY_AFTER_MAX_MS;
    return wait + (int64_t)(r->random % (uint64_t)(wait / 10 + 1));
}

static void close_account(struct governor *g, const struct governor_reading *r, int64_t now_ms)
{
    if (g->holds < INT32_MAX)
        g->holds++;
    g->closed_until_ms = later(now_ms, hold_for(g, r));
}

/* The first rate: what was achieved so far, or what is safe for most windows of this limit. */
static double first_rate(const struct governor *g, int64_t now_ms)
{
    double elapsed = (double)since(g->first_admit_ms, now_ms);
    double had = elapsed > 0 ? 0.7 * (double)g->replies_total / elapsed : 0;
    double per_minute = AIM * usable(g, g->has_reading ? g->limit : 0) / 60e3;

    had = had > FIRST_RATE ? had : FIRST_RATE;
    return had > per_minute ? had : per_minute;
}

static void begin_hold(struct governor *g, const struct governor_reading *r, int64_t now_ms)
{
    bool same_flight = r->seq < g->hold_seq; /* as the last hold: it has lowered the rate already */

    g->held = true;
    g->held_since_ms = now_ms;
    g->hold_seq = g->next_seq;
    g->ramp = 0;
    close_account(g, r, now_ms);
    if (same_flight)
        return;
    if (g->rate <= 0) {
        set_rate(g, first_rate(g, now_ms));
    } else {
        set_rate(g, g->rate * 0.8);
        g->cut = true;
    }
}

static void refused(struct governor *g, const struct governor_reading *r, int64_t now_ms)
{
    g->refused_total++;
    g->last_429_ms = now_ms;
    if (!g->held) {
        if (r->seq >= g->hold_seq || r->retry_after_ms > 0)
            begin_hold(g, r, now_ms);
        return;
    }
    if (g->probing && g->probe_on_wire && r->seq == g->probe_seq) {
        free_probe(g);
        close_account(g, r, now_ms);
        return;
    }
    if (r->retry_after_ms > 0) { /* late refusals may ask for more patience, not for less */
        int64_t until = later(now_ms, hold_for(g, r));

        g->closed_until_ms = until > g->closed_until_ms ? until : g->closed_until_ms;
    }
}

void governor_release(struct governor *g, int64_t now_ms)
{
    if (g->held)
        g->closed_until_ms = now_ms;
}

/* ---- what the headers say ---- */

static void judge_round(struct governor *g)
{
    double factor = g->cut ? 1.03 : 1.5;

    if (g->round_readings > 0) {
        double used = g->round_used > 0 ? (double)g->round_used : 1;
        double room = AIM * usable(g, g->paced_limit) / used;

        factor = room > 1.1 ? bounded(room, 1, 4) : 1.02;
    }
    /* Where jobs or slots were short, the rate was not tried. */
    if (g->round_paced * 2 < g->round_replies)
        factor = 1;
    set_rate(g, g->rate * factor);
}

static void count_in_round(struct governor *g, const struct governor_reading *r, bool reading)
{
    if (g->rate <= 0 || r->seq < g->round_seq)
        return;
    g->round_replies++;
    if (reading && r->limit == g->paced_limit) {
        g->round_readings++;
        if (r->limit - r->remaining > g->round_used)
            g->round_used = r->limit - r->remaining;
    }
    /* A window that had not moved on since would show every request of the round as used. */
    if (g->round_replies >= ROUND_MIN && g->round_replies >= 2 * g->round_used)
        judge_round(g);
}

/* 0 of 0 is what a server says whose limiter is broken: unknown, not "stop". */
static bool plausible(long long limit, long long remaining)
{
    return limit > 0 && limit <= LIMIT_MAX && remaining >= 0 && remaining <= limit;
}

static void take_reading(struct governor *g, const struct governor_reading *r, int64_t now_ms)
{
    bool confirmed = g->has_reading && g->limit == r->limit;

    if (g->has_reading && r->seq < g->reading_seq)
        return;
    g->has_reading = true;
    g->reading_seq = r->seq;
    g->limit = r->limit;
    g->remaining = r->remaining;
    if (g->paced_limit == 0) {
        double first = first_rate(g, now_ms);

        set_rate(g, g->rate > first ? g->rate : first);
        g->paced_limit = r->limit;
    } else if (confirmed && r->limit != g->paced_limit) {
        /* Only when two in a row say so: one may be garbage. */
        set_rate(g, g->rate * (double)r->limit / (double)g->paced_limit);
        g->paced_limit = r->limit;
    }
}

/* ---- slots ---- */

int governor_cap(const struct governor *g)
{
    int cap = g->opt.max_concurrency;

    if (g->held)
        return 1;
    if (g->ramp > 0 && g->ramp < cap - g->ramp_older)
        return g->ramp + g->ramp_older;
    return cap;
}

/* When the hold lets the next one through; `now` when there is none. */
static int64_t next_by_hold(const struct governor *g, int64_t now_ms)
{
    if (!g->held || probe_proven(g, now_ms))
        return now_ms;
    if (g->probing && (!g->probe_on_wire || now_ms < g->probe_ms))
        return GOVERNOR_ON_COMPLETION;
    if (g->probing)
        return later(g->probe_ms, GOVERNOR_PROOF_MS);
    if (now_ms < g->held_since_ms) /* the clock went backwards: do not wait for it to come back */
        return now_ms;
    return g->closed_until_ms;
}

/* Whether only the ramp stands in the way. */
static bool ramp_is_full(const struct governor *g)
{
    return !g->held && g->in_flight >= governor_cap(g);
}

int64_t governor_next(const struct governor *g, int64_t now_ms)
{
    int64_t at = next_by_hold(g, now_ms);

    if (g->in_flight >= g->opt.max_concurrency)
        return GOVERNOR_ON_COMPLETION;
    if (!g->admitted || now_ms < g->last_admit_ms) /* as above */
        return at;
    if (ramp_is_full(g) && later(g->last_admit_ms, GOVERNOR_PROOF_MS) > at)
        at = later(g->last_admit_ms, GOVERNOR_PROOF_MS);
    if (interval(g) > 0 && g->due_ms > at)
        at = g->due_ms;
    return at;
}

void governor_admit(struct governor *g, int64_t now_ms)
{
    if (g->held && probe_proven(g, now_ms))
        end_hold(g);
    if (ramp_is_full(g))
        ramp_up(g); /* nothing was refused for long enough */
    step_pace(g, now_ms);
    if (g->held && !g->probing) {
        g->probing = true;
        g->probe_on_wire = false;
        g->probe_ahead = g->pending;
    }
    if (!g->admitted)
        g->first_admit_ms = now_ms;
    g->admitted = true;
    g->last_admit_ms = now_ms;
    g->in_flight++;
    g->pending++;
    g->admitted_total++;
}

static void end_slot(struct governor *g)
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
    if (g->probing && !g->probe_on_wire) {
        if (g->probe_ahead > 0)
            g->probe_ahead--;
        else
            free_probe(g);
    }
    end_slot(g);
}

uint64_t governor_sent(struct governor *g, int64_t now_ms)
{
    uint64_t seq = g->next_seq++;

    if (g->pending > 0)
        g->pending--;
    if (!g->probing || g->probe_on_wire)
        return seq;
    if (g->probe_ahead > 0) {
        g->probe_ahead--;
    } else {
        g->probe_on_wire = true;
        g->probe_seq = seq;
        g->probe_ms = now_ms;
    }
    return seq;
}

void governor_reply(struct governor *g, const struct governor_reading *r, int64_t now_ms)
{
    bool reading = r->has_limit && plausible(r->limit, r->remaining);

    if (r->seq < g->ramp_seq && g->ramp_older > 0)
        g->ramp_older--;
    if (r->rate_limited) {
        refused(g, r, now_ms);
    } else {
        g->replies_total++;
        if (g->held && r->seq >= g->hold_seq)
            end_hold(g);
        if (r->success && g->ramp > 0)
            ramp_up(g);
    }
    if (reading)
        take_reading(g, r, now_ms);
    if (!r->rate_limited)
        count_in_round(g, r, reading);
    end_slot(g);
}

/* ---- for people ---- */

const char *governor_reason(const struct governor *g)
{
    double step = interval(g), most = g->opt.max_per_second / 1000;

    if (g->held)
        return g->probing ? "rate limited, one request probes" : "rate limited, waiting";
    if (g->ramp > 0)
        return "ramping up after a hold";
    if (most > 0 && step <= 1 / most)
        return "paced by max_per_second";
    if (g->opt.hint_limit > 0)
        return "paced by the configured limit";
    return step > 0 ? "paced by the server's rate limit" : "max_concurrency";
}

static bool parse_count(const char *s, long long *out)
{
    long long n = 0;

    if (!s)
        return false;
    s += strspn(s, " \t");
    if (*s < '0' || *s > '9')
        return false;
    for (; *s >= '0' && *s <= '9'; s++) {
        n = n * 10 + (*s - '0');
        if (n > LIMIT_MAX)
            return false;
    }
    if (s[strspn(s, " \t\r\n")] != '\0')
        return false;
    *out = n;
    return true;
}

bool governor_parse_headers(const char *limit, const char *remaining, long long *l, long long *r)
{
    long long a, b;

    if (!parse_count(limit, &a) || !parse_count(remaining, &b) || !plausible(a, b))
        return false;
    *l = a;
    *r = b;
    return true;
}
