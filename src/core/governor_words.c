/* governor_words - the governor for people, and headers for the governor. */
#include "core/governor_internal.h"

#include <string.h>

const char *governor_reason(const struct governor *g)
{
    double most = g->opt.max_per_second / 1000;

    if (g->held || g->row >= 3)
        return g->probe.out ? "rate limited, one request probes" : "rate limited, waiting";
    if (g->ramp > 0)
        return "ramping up after a hold";
    if (g->opt.hint_limit > 0)
        return "paced by the configured limit";
    if (most > 0 && (g->pacer.rate <= 0 || g->pacer.rate > most))
        return "paced by max_per_second";
    if (g->mode == GOVERNOR_PACING || g->mode == GOVERNOR_COUNTING || g->pacer.rate > 0)
        return "paced by the server's rate limit";
    return "max_concurrency";
}

static const char *const kinds[BANK_KINDS] = {
    [BANK_FIXED] = "fixed",     [BANK_FIRST] = "from the first request", [BANK_SLIDING] = "sliding",
    [BANK_LOG] = "sliding log", [BANK_TOKEN] = "token bucket",
};

struct governor_hypothesis governor_hypothesis(const struct governor *g, int i)
{
    return (struct governor_hypothesis){
        .kind = kinds[bank_kind(i)],
        .window_ms = bank_window_ms(i),
        .error = g->bank.error[i],
        .other = g->bank.other[i],
        .plausible = g->bank.limit > 0 && g->bank.plausible[i],
        .best = g->bank.limit > 0 && i == governor_model(g),
    };
}

void governor_look(const struct governor *g, int64_t now_ms, struct governor_view *v)
{
    double step = governor_interval(g);

    *v = (struct governor_view){
        .mode = g->mode, .limit = g->limit_in_force, .known_for_ms = -1, .learned_after_ms = -1};
    v->readings = g->readings;
    v->last_429_ago_ms = g->last_429_ms < 0 ? -1 : governor_elapsed(g, g->last_429_ms, now_ms);
    if (step > 0)
        v->per_second = 1000 / step;
    if (g->mode == GOVERNOR_TOLD) {
        v->limit = g->opt.hint_limit;
        v->window_ms = g->opt.hint_window_ms;
        return;
    }
    if (g->limit_in_force == 0)
        return;
    v->known_for_ms = governor_elapsed(g, g->limit_since_ms, now_ms);
    if (!g->remembered)
        v->learned_after_ms = g->limit_since_ms - g->first_ms;
    if (g->bank.readings < 4)
        return;
    v->kind = kinds[bank_kind(governor_model(g))];
    v->window_ms = bank_window_ms(governor_model(g));
    if (v->per_second <= 0)
        v->per_second = 1000 * governor_usable(g, (double)v->limit) / (double)v->window_ms;
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
        if (n > GOVERNOR_LIMIT_MAX)
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

    if (!parse_count(limit, &a) || !parse_count(remaining, &b) || b > a)
        return false;
    *l = a;
    *r = b;
    return true;
}
