/* The status for people: four subjects, one line each where they fit. */
#include "cli/overview.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/terminal.h"
#include "core/holdwords.h"
#include "core/units.h"
#include "core/utf8.h"

#define LABEL_WIDTH 10

/* Whether nothing at all is sent for a while that nobody knows. */
static bool is_stopped(const struct status *s)
{
    for (size_t i = 0; i < s->nholds; i++)
        if (strcmp(s->holds[i].kind, STATUS_GATE) == 0 || strcmp(s->holds[i].kind, STATUS_ACCOUNT) == 0 ||
            strcmp(s->holds[i].kind, STATUS_ENDPOINT) == 0)
            return true;
    return false;
}

int64_t overview_left_ms(const struct overview *o)
{
    int64_t left = o->counts.waiting + o->counts.in_flight + o->counts.replied;
    if (o->daemon != ASK_ANSWERED || !o->has_state)
        return -1;
    if (left == 0)
        return 0;
    if (is_stopped(&o->status))
        return -1;
    return o->status.per_second > 0 ? (int64_t)((double)left / o->status.per_second * 1000) : -1;
}

/* ---- a line of parts, broken between them where it gets too long ---- */

struct line {
    FILE *out;
    size_t width, used;
    bool colours;
};

static void start(struct line *l, const char *label)
{
    fprintf(l->out, "%-*s", LABEL_WIDTH, label);
    l->used = 0;
}

static void end(struct line *l)
{
    fputc('\n', l->out);
}

static void part(struct line *l, const char *separator, const char *colour, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void new_line(struct line *l)
{
    fprintf(l->out, "\n%*s", LABEL_WIDTH, "");
    l->used = 0;
}

/* Word by word; one that is longer than a line stays whole, so that it can be copied. */
static void put_words(struct line *l, char *text)
{
    bool first = true;
    for (char *word = strsep(&text, " "); word != NULL; word = strsep(&text, " ")) {
        size_t columns = text_width(word);
        if (!first && LABEL_WIDTH + l->used + 1 + columns > l->width)
            new_line(l);
        else if (!first)
            l->used++, fputc(' ', l->out);
        fputs(word, l->out);
        l->used += columns;
        first = false;
    }
}

/* Whatever comes from outside is escaped here. A part that does not fit begins a line of its own. */
static void part(struct line *l, const char *separator, const char *colour, const char *format, ...)
{
    char raw[1024], text[1536];
    va_list ap;
    va_start(ap, format);
    vsnprintf(raw, sizeof raw, format, ap);
    va_end(ap);
    utf8_escape(raw, strlen(raw), text, sizeof text);
    if (l->used > 0) {
        /* one column for the blank, one for the separator that may follow */
        size_t after = l->used + strlen(separator) + 1;
        fputs(separator, l->out);
        if (LABEL_WIDTH + after + text_width(text) + 1 > l->width) {
            new_line(l);
        } else {
            fputc(' ', l->out);
            l->used = after;
        }
    }
    bool coloured = colour != NULL && l->colours;
    fputs(coloured ? colour : "", l->out);
    put_words(l, text);
    fputs(coloured ? TERMINAL_PLAIN : "", l->out);
}

static void duration(int64_t ms, char buf[48])
{
    units_format_duration(ms < 1000 ? 1000 : ms, buf, 48);
}

/* ---- the subjects ---- */

static void daemon_line(struct line *l, const struct overview *o)
{
    char up[48];
    start(l, "daemon");
    if (o->daemon != ASK_ANSWERED) {
        part(l, "", TERMINAL_RED, "%s", o->reason);
        end(l);
        return;
    }
    duration(o->status.uptime_ms, up);
    part(l, "", NULL, "%s (pid %lld, %s)", o->status.draining ? "stopping" : "running",
         (long long)o->status.pid, up);
    part(l, ",", NULL, "endpoint %s", o->status.endpoint);
    part(l, ",", NULL, "key %s from %s", o->status.key, o->status.key_source);
    end(l);
}

static void count(struct line *l, const char *separator, const char *colour, int64_t n, const char *what)
{
    if (n > 0)
        part(l, separator, colour, "%lld %s", (long long)n, what);
}

static void jobs_line(struct line *l, const struct overview *o)
{
    const struct store_counts *c = &o->counts;
    start(l, "jobs");
    if (!o->has_state) {
        part(l, "", NULL,
             "unknown: no flowspoold has run here yet, or its state_dir is elsewhere (give -c FILE)");
        end(l);
        return;
    }
    part(l, "", NULL, "%lld waiting", (long long)c->waiting);
    count(l, ",", NULL, c->deferred, "for later");
    part(l, ",", NULL, "%lld in flight", (long long)(c->in_flight + c->replied));
    part(l, ",", NULL, "%lld done", (long long)c->done);
    part(l, ",", c->failed > 0 ? TERMINAL_RED : NULL, "%lld failed", (long long)c->failed);
    count(l, ",", TERMINAL_YELLOW, c->held, "held");
    count(l, ",", TERMINAL_YELLOW, c->missing,
          c->missing == 1 ? "whose file is gone" : "whose files are gone");
    count(l, ";", TERMINAL_RED, c->refused, c->refused == 1 ? "refused file" : "refused files");
    if (o->daemon == ASK_ANSWERED) {
        int64_t ignored = o->status.ignored;
        count(l, ";", NULL, ignored, ignored == 1 ? "ignored file" : "ignored files");
        if (!o->status.scanned)
            part(l, ";", NULL, "the spool is still being read");
    }
    if (c->oldest_waiting_ms > 0) {
        char age[48];
        duration(o->now_ms - c->oldest_waiting_ms, age);
        part(l, ";", NULL, "the oldest waits %s", age);
    }
    end(l);
}

static void rate_line(struct line *l, const struct overview *o)
{
    const struct status *s = &o->status;
    char text[48];
    start(l, "rate");
    if (o->daemon != ASK_ANSWERED) {
        part(l, "", NULL, "unknown");
        end(l);
        return;
    }
    part(l, "", NULL, "%.1f/s", s->per_second);
    part(l, ",", NULL, "at most %lld in flight (%s)", (long long)s->cap, s->cap_reason);
    if (s->limit > 0)
        part(l, ",", NULL, "the server's limit is %lld", (long long)s->limit);
    if (s->last_429_ago_ms >= 0) {
        duration(s->last_429_ago_ms, text);
        part(l, ",", NULL, "last 429 %s ago", text);
    }
    int64_t left = overview_left_ms(o);
    if (left > 0) {
        duration(left, text);
        part(l, ";", NULL, "about %s left", text);
    }
    end(l);
}

/* ---- why nothing is sent ---- */

static void hold_line(struct line *l, const struct status_hold *h, bool first)
{
    char words[HOLD_WORDS_SIZE], time[48];
    hold_words(h, words);
    start(l, first ? "sending" : "");
    if (h->held_for_ms >= 0) {
        duration(h->held_for_ms, time);
        part(l, "", TERMINAL_YELLOW, "held for %s: %s", time, words);
    } else {
        part(l, "", TERMINAL_YELLOW, "held: %s", words);
    }
    if (h->probing) {
        part(l, ";", NULL, "one request asks now");
    } else if (h->next_probe_ms >= 0) {
        duration(h->next_probe_ms, time);
        part(l, ";", NULL, "asks again in %s", time);
    }
    end(l);
}

/* What outlives the daemon. */
static void stored_holds(struct line *l, const struct overview *o)
{
    char time[48];
    if (o->paused && o->paused_ms > 1 && o->paused_ms <= o->now_ms) {
        duration(o->now_ms - o->paused_ms, time);
        part(l, ";", TERMINAL_YELLOW, "for %s: %s", time, gate_words("paused"));
    } else if (o->paused) {
        part(l, ";", TERMINAL_YELLOW, "%s", gate_words("paused"));
    }
    if (o->lost_state)
        part(l, ";", TERMINAL_YELLOW, "%s", gate_words("lost-state"));
    if (o->account != NULL)
        part(l, ";", TERMINAL_YELLOW, "the account refused work last (%s)", o->account);
}

static void sending_lines(struct line *l, const struct overview *o)
{
    const struct status *s = &o->status;
    if (o->daemon == ASK_ANSWERED && s->nholds > 0) {
        for (size_t i = 0; i < s->nholds; i++)
            hold_line(l, &s->holds[i], i == 0);
        if (s->holds_omitted > 0)
            fprintf(l->out, "%*sand %lld more\n", LABEL_WIDTH, "", (long long)s->holds_omitted);
        return;
    }
    start(l, "sending");
    if (o->daemon == ASK_ANSWERED) {
        part(l, "", TERMINAL_GREEN, "open");
    } else {
        part(l, "", NULL, o->daemon == ASK_NOBODY ? "nothing: no daemon" : "unknown");
        stored_holds(l, o);
    }
    end(l);
}

void overview_text(const struct overview *o, FILE *out, bool colours, size_t width)
{
    struct line l = {.out = out, .width = width, .colours = colours};
    daemon_line(&l, o);
    jobs_line(&l, o);
    rate_line(&l, o);
    sending_lines(&l, o);
}
