/* governor_words - the governor for people, and headers for the governor. */
#include "core/governor_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/units.h"

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
    v->last_429_ago_ms = g->last_429_ms < 0 ? -1 : now_ms > g->last_429_ms ? now_ms - g->last_429_ms : 0;
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

/* Appends while there is room. */
static void say(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    if (used + 1 < size)
        vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static void say_limit(const struct governor_view *v, char *text, size_t size)
{
    char span[32];

    if (v->limit == 0) {
        say(text, size, v->mode == GOVERNOR_OPEN ? "the server sets no limit" : "no limit known");
        return;
    }
    say(text, size, "limit %lld", v->limit);
    if (v->window_ms > 0) {
        units_format_duration(v->window_ms, span, sizeof span);
        say(text, size, " per %s", span);
    }
    if (v->mode == GOVERNOR_TOLD)
        say(text, size, ", as configured");
    else if (v->learned_after_ms < 0)
        say(text, size, ", from an earlier run");
    else {
        units_format_duration(v->learned_after_ms, span, sizeof span);
        say(text, size, ", learned %s after the start from %d %s", span, v->readings,
            v->readings == 1 ? "reply" : "replies");
    }
}

void governor_describe(const struct governor *g, int64_t now_ms, char *text, size_t size)
{
    struct governor_view v;
    char span[32];

    if (size == 0)
        return;
    text[0] = '\0';
    governor_look(g, now_ms, &v);
    say_limit(&v, text, size);
    if (v.per_second > 0)
        say(text, size, "; %.*f per second now", v.per_second < 9.95 ? 2 : 1, v.per_second);
    if (v.last_429_ago_ms < 0)
        return;
    units_format_duration(v.last_429_ago_ms, span, sizeof span);
    say(text, size, "; last 429 %s ago", span);
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
