#include "core/learned.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/statusjson.h"
#include "core/units.h"

#define FASTEST 1e9 /* a second: what is more was said by nobody who counts */

static const char *const modes[] = {
    [GOVERNOR_OPENING] = "opening",   [GOVERNOR_OPEN] = "open",     [GOVERNOR_HEADERLESS] = "headerless",
    [GOVERNOR_COUNTING] = "counting", [GOVERNOR_PACING] = "pacing", [GOVERNOR_TOLD] = "told",
};

static const char *source_of(const struct governor_view *v)
{
    if (v->limit <= 0)
        return NULL;
    if (v->mode == GOVERNOR_TOLD)
        return LEARNED_CONFIGURATION;
    return v->learned_after_ms < 0 ? LEARNED_EARLIER : LEARNED_REPLIES;
}

struct learned learned_of(const struct governor *g, int64_t now_ms)
{
    struct governor_view v;
    governor_look(g, now_ms, &v);
    return (struct learned){
        .mode = modes[v.mode],
        .limit = v.limit > 0 ? v.limit : -1,
        .window_kind = v.kind,
        .window_ms = v.window_ms > 0 ? v.window_ms : -1,
        .source = source_of(&v),
        .replies = v.readings,
        .after_ms = v.learned_after_ms,
        .per_second = v.per_second,
        .last_429_ago_ms = v.last_429_ago_ms,
    };
}

/* ---- words ---- */

static void say(char buf[LEARNED_WORDS_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(char buf[LEARNED_WORDS_SIZE], const char *format, ...)
{
    size_t used = strlen(buf);
    va_list ap;
    va_start(ap, format);
    vsnprintf(buf + used, LEARNED_WORDS_SIZE - used, format, ap);
    va_end(ap);
}

static void say_source(char buf[LEARNED_WORDS_SIZE], const struct learned *l)
{
    char span[48];
    if (l->source == NULL)
        return;
    if (strcmp(l->source, LEARNED_CONFIGURATION) == 0)
        say(buf, ", as configured");
    else if (l->after_ms < 0)
        say(buf, ", from an earlier run");
    else {
        units_format_duration(l->after_ms, span, sizeof span);
        say(buf, ", learned %s after start from %lld %s", span, (long long)l->replies,
            l->replies == 1 ? "reply" : "replies");
    }
}

static void say_limit(char buf[LEARNED_WORDS_SIZE], const struct learned *l)
{
    char span[48];
    if (l->limit <= 0) {
        say(buf, strcmp(l->mode, modes[GOVERNOR_OPEN]) == 0 ? "the server sets no limit" : "no limit known");
        return;
    }
    say(buf, "limit %lld", (long long)l->limit);
    if (l->window_ms > 0) {
        units_format_duration(l->window_ms, span, sizeof span);
        say(buf, " per %s", span);
    }
    say_source(buf, l);
}

const char *learned_words(const struct learned *l, bool past, char buf[LEARNED_WORDS_SIZE])
{
    char span[48];
    buf[0] = '\0';
    say_limit(buf, l);
    if (l->per_second > 0)
        say(buf, "; %.*f per second %s", l->per_second < 1 ? 2 : 1, l->per_second, past ? "then" : "now");
    if (l->last_429_ago_ms >= 0) {
        units_format_duration(l->last_429_ago_ms, span, sizeof span);
        say(buf, "; last 429 %s ago", span);
    }
    return buf;
}

/* ---- modes ---- */

static const struct {
    const char *meaning, *lesson;
} lessons[] = {
    [GOVERNOR_OPENING] = {"a few at once, then a dozen a second, until a reply says more",
                          "the first replies teach it: by the headers x-ratelimit-limit and "
                          "x-ratelimit-remaining, or by a 429"},
    [GOVERNOR_OPEN] = {"nothing is held back: the server says that it sets no limit",
                       "the first reply that names a limit teaches it, or the first 429"},
    [GOVERNOR_HEADERLESS] = {"faster and faster until a 429, then evenly at the rate that was admitted",
                             "replies do not name the limit; a 429 teaches the rate, and nothing the window"},
    [GOVERNOR_COUNTING] = {"a request goes when all plausible windows have room for it",
                           "a few more replies teach it"},
    [GOVERNOR_PACING] = {"evenly, a little faster until a 429: the window is too short to count in",
                         "a few more replies teach it"},
    [GOVERNOR_TOLD] = {"evenly, by the limit and the window that are configured",
                       "nothing is to be learned: rate.limit and rate.window say it"},
};

static int mode_of(const char *name)
{
    for (int i = 0; i < (int)(sizeof modes / sizeof modes[0]); i++)
        if (strcmp(modes[i], name) == 0)
            return i;
    return -1;
}

const char *learned_meaning(const char *mode)
{
    int i = mode_of(mode);
    return i < 0 ? NULL : lessons[i].meaning;
}

const char *learned_lesson(const char *mode)
{
    int i = mode_of(mode);
    return i < 0 ? NULL : lessons[i].lesson;
}

const char *learned_mode(enum governor_mode mode)
{
    return modes[mode];
}

/* ---- JSON ---- */

bool learned_put(cJSON *object, const struct learned *l)
{
    cJSON *o = cJSON_AddObjectToObject(object, "learned");
    return o != NULL && statusjson_put_text(o, "mode", l->mode) &&
           statusjson_put_known(o, "limit", l->limit) &&
           statusjson_put_text(o, "window_kind", l->window_kind) &&
           statusjson_put_known(o, "window_ms", l->window_ms) &&
           statusjson_put_text(o, "source", l->source) && statusjson_put_int(o, "replies", l->replies) &&
           statusjson_put_known(o, "after_ms", l->after_ms) &&
           statusjson_put_real(o, "per_second", l->per_second) &&
           statusjson_put_known(o, "last_429_ago_ms", l->last_429_ago_ms);
}

bool learned_read(const cJSON *object, struct arena *a, struct learned *out)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(object, "learned");
    double per_second = statusjson_real(o, "per_second");
    *out = (struct learned){
        .limit = statusjson_int(o, "limit", -1),
        .window_ms = statusjson_int(o, "window_ms", -1),
        .replies = statusjson_int(o, "replies", 0),
        .after_ms = statusjson_int(o, "after_ms", -1),
        .per_second = per_second > 0 && per_second < FASTEST ? per_second : 0,
        .last_429_ago_ms = statusjson_int(o, "last_429_ago_ms", -1),
    };
    return statusjson_text(o, "mode", a, "", &out->mode) &&
           statusjson_text(o, "window_kind", a, NULL, &out->window_kind) &&
           statusjson_text(o, "source", a, NULL, &out->source);
}
