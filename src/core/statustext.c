#include "core/statustext.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/holdwords.h"
#include "core/units.h"
#include "core/utf8.h"

/* Holds that are told one by one. */
#define HOLDS_SHOWN 8

struct text {
    char *buf;
    size_t len;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *format, ...)
{
    size_t room = STATUS_TEXT_SIZE - t->len;
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(t->buf + t->len, room, format, ap);
    va_end(ap);
    if (n > 0)
        t->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* To the second: nobody reads on. */
static const char *instant(int64_t unix_ms, char buf[UNITS_INSTANT_SIZE])
{
    units_format_instant(unix_ms, buf);
    char *point = strchr(buf, '.');
    if (point != NULL)
        memcpy(point, "Z", 2);
    return buf;
}

/* Whether nothing at all is sent for a while that nobody knows. */
static bool is_stopped(const struct status *s)
{
    for (size_t i = 0; i < s->nholds; i++)
        if (strcmp(s->holds[i].kind, STATUS_GATE) == 0 || strcmp(s->holds[i].kind, STATUS_ACCOUNT) == 0 ||
            strcmp(s->holds[i].kind, STATUS_ENDPOINT) == 0)
            return true;
    return false;
}

static int64_t left(const struct status *s)
{
    return s->counts.waiting + s->counts.in_flight;
}

int64_t status_time_for(const struct status *s, int64_t jobs)
{
    if (jobs == 0)
        return 0;
    if (is_stopped(s) || s->per_second <= 0)
        return -1;
    return (int64_t)((double)jobs / s->per_second * 1000);
}

int64_t status_left_ms(const struct status *s)
{
    return s->has_counts ? status_time_for(s, left(s)) : -1;
}

static void put_head(struct text *t, const struct status *s, const struct status_text_about *about)
{
    char written[UNITS_INSTANT_SIZE], changed[UNITS_INSTANT_SIZE];
    if (about->ended != NULL)
        put(t, "flowspoold %s; nothing is sent.\n", about->ended);
    else
        put(t, "flowspoold %s.\n", s->draining ? "is stopping" : "is running");
    if (about->written_ms != 0)
        put(t, "Last change %s, written %s (UTC).\n", instant(about->changed_ms, changed),
            instant(about->written_ms, written));
    put(t, "\n");
}

static void put_count(struct text *t, const char *what, int64_t n, const char *words)
{
    if (n > 0)
        put(t, "%-11s%lld%s\n", what, (long long)n, words);
}

static void put_counts(struct text *t, const struct status *s)
{
    const struct status_counts *c = &s->counts;
    char since[UNITS_INSTANT_SIZE], words[96] = "";
    if (!s->has_counts)
        return;
    if (c->oldest_waiting_at_ms > 0)
        snprintf(words, sizeof words, " (the oldest since %s)", instant(c->oldest_waiting_at_ms, since));
    put(t, "%-11s%lld%s\n", "waiting", (long long)c->waiting, words);
    put_count(t, "later", c->later, " (for their time, or to be tried again)");
    put_count(t, "held", c->held, "");
    put_count(t, "missing", c->missing, " (the job file is gone)");
    put(t, "%-11s%lld\n", "in flight", (long long)c->in_flight);
    put(t, "%-11s%lld\n", "done", (long long)c->done);
    put(t, "%-11s%lld%s\n", "failed", (long long)c->failed,
        c->failed > 0 ? " (why: NAME.error.json beside the job file)" : "");
    put_count(t, "refused", c->refused, " (files whose outcome's name is taken or impossible)");
}

static void put_rate(struct text *t, const struct status *s)
{
    char wait[48];
    if (!s->has_counts || left(s) == 0 || is_stopped(s))
        return;
    put(t, "%-11s%.1f a second", "rate", s->per_second);
    int64_t left_ms = status_left_ms(s);
    if (left_ms > 0) {
        units_format_duration(left_ms < 1000 ? 1000 : left_ms, wait, sizeof wait);
        put(t, ", about %s left", wait);
    }
    put(t, "\n");
}

static void put_holds(struct text *t, const struct status *s)
{
    if (s->nholds == 0)
        put(t, "%-11sopen\n", "sending");
    for (size_t i = 0; i < s->nholds && i < HOLDS_SHOWN; i++) {
        const struct status_hold *h = &s->holds[i];
        char words[HOLD_WORDS_SIZE], line[2 * HOLD_WORDS_SIZE];
        hold_words(h, words);
        put(t, "%-11sheld: %s%s\n", i == 0 ? "sending" : "",
            utf8_escape(words, strlen(words), line, sizeof line),
            h->probing || h->next_probe_ms >= 0 ? "; asks again by itself" : "");
    }
    int64_t more = (int64_t)s->nholds - HOLDS_SHOWN + s->holds_omitted;
    if (more > 0)
        put(t, "%-11sand %lld more\n", "", (long long)more);
}

static void put_learned(struct text *t, const struct status *s)
{
    char words[LEARNED_WORDS_SIZE];
    if (s->learned.mode != NULL && s->learned.mode[0] != '\0')
        put(t, "%-11s%s\n", "learned", learned_words(&s->learned, false, words));
}

size_t status_text(const struct status *s, const struct status_text_about *about, char buf[STATUS_TEXT_SIZE])
{
    struct text t = {.buf = buf};
    buf[0] = '\0';
    put_head(&t, s, about);
    put_counts(&t, s);
    if (about->written_ms != 0 && about->ended == NULL)
        put_rate(&t, s);
    if (about->written_ms != 0)
        put_learned(&t, s);
    if (about->ended == NULL)
        put_holds(&t, s);
    return t.len;
}
