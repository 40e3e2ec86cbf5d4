/* governor_memory - what outlives a restart. */
#include "core/governor_internal.h"

#include <string.h>

#define OLD_MS (24 * 3600 * INT64_C(1000))

/* A time of the governor's own as Unix time. */
static int64_t unix_time(const struct governor *g, int64_t t)
{
    return t + g->bank.wall_ms;
}

void governor_memorize(const struct governor *g, int64_t now_ms, struct governor_memory *m)
{
    int64_t now = g->last_ms + governor_elapsed(g, g->last_ms, now_ms);

    memset(m, 0, sizeof *m);
    m->unix_ms = unix_time(g, now);
    if (g->last_429_ms >= 0)
        m->last_429_unix_ms = unix_time(g, g->last_429_ms);
    if (g->held)
        m->closed_until_unix_ms = unix_time(g, g->closed_until_ms);
    if (g->limit_in_force == 0 || g->bank.readings < 4)
        return;
    m->limit = g->limit_in_force;
    m->kind = (int)bank_kind(governor_model(g));
    m->window_ms = bank_window_ms(governor_model(g));
    m->used = send_log_between(&g->log, now - m->window_ms, now);
    m->per_second = 1000 * g->pacer.rate;
    m->latency_ms = g->latency_ms;
    m->refusal_ms = g->refusal_ms;
}

static bool makes_sense(const struct governor_memory *m)
{
    if (m->limit < 1 || m->limit > GOVERNOR_LIMIT_MAX || m->kind < 0 || m->kind >= BANK_KINDS)
        return false;
    for (int i = 0; i < BANK_WINDOWS; i++)
        if (bank_windows_ms[i] == m->window_ms)
            return m->used >= 0 && m->per_second >= 0 && m->latency_ms >= 0 && m->refusal_ms > 0;
    return false;
}

/* What is left of what was used: nothing when the window has turned over since. */
static double still_used(const struct governor_memory *m, int64_t unix_ms)
{
    int64_t age = unix_ms - m->unix_ms;
    double used = (double)(m->used < m->limit ? m->used : m->limit);

    if (age >= m->window_ms)
        return 0;
    if (m->kind == BANK_FIXED)
        return unix_ms / m->window_ms == m->unix_ms / m->window_ms ? used : 0;
    return m->kind == BANK_FIRST ? used : used * (double)(m->window_ms - age) / (double)m->window_ms;
}

void governor_recall(struct governor *g, const struct governor_memory *m, int64_t now_ms)
{
    int64_t now = governor_clock(g, now_ms), unix_ms = unix_time(g, now), age, wait;

    if (__builtin_sub_overflow(unix_ms, m->unix_ms, &age) || age < 0 || age > OLD_MS)
        return;
    if (m->closed_until_unix_ms > unix_ms && m->closed_until_unix_ms <= m->unix_ms + GOVERNOR_HOLD_MAX_MS) {
        wait = m->closed_until_unix_ms - unix_ms;
        g->held = g->hold_by_server = true;
        g->held_since_ms = now;
        g->closed_until_ms = now + wait;
        g->row = 1;
    }
    if (!makes_sense(m))
        return;
    g->limit_in_force = m->limit;
    g->limit_since_ms = now;
    g->full_ms = now;
    g->remembered = true;
    g->latency_ms = m->latency_ms < 300e3 ? m->latency_ms : 300e3;
    g->refusal_ms = m->refusal_ms < 2000 ? m->refusal_ms : 2000;
    bank_set_limit(&g->bank, &g->log, (double)m->limit);
    bank_remember(&g->bank, (enum bank_kind)m->kind, m->window_ms, still_used(m, unix_ms));
    governor_choose_mode(g, now);
    if (g->mode == GOVERNOR_PACING && m->per_second > 0) {
        g->pacer.climbing = false;
        pacer_set(&g->pacer, m->per_second / 1000, now);
    }
}
