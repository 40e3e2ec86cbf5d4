/* The status for people: five subjects, one line each where they fit. */
#include "cli/overview.h"

#include "cli/ratewords.h"
#include "cli/terminal.h"
#include "cli/timewords.h"
#include "core/holdwords.h"
#include "core/statustext.h"

#define LABEL_WIDTH 10

int64_t overview_left_ms(const struct overview *o)
{
    int64_t left = o->counts.waiting + o->counts.in_flight + o->counts.replied;
    return o->daemon == ASK_ANSWERED && o->has_state ? status_time_for(&o->status, left) : -1;
}

/* ---- the subjects ---- */

static void daemon_line(struct paragraph *l, const struct overview *o)
{
    char up[TIME_WORDS_SIZE];
    paragraph_start(l, "daemon");
    if (o->daemon != ASK_ANSWERED) {
        paragraph_part(l, "", TERMINAL_RED, "%s", o->reason);
        paragraph_end(l);
        return;
    }
    span_words(o->status.uptime_ms, up);
    paragraph_part(l, "", NULL, "%s (pid %lld, %s)", o->status.draining ? "stopping" : "running",
                   (long long)o->status.pid, up);
    paragraph_part(l, ",", NULL, "endpoint %s", o->status.endpoint);
    paragraph_part(l, ",", NULL, "key %s from %s", o->status.key, o->status.key_source);
    paragraph_end(l);
}

static void count(struct paragraph *l, const char *separator, const char *colour, int64_t n, const char *what)
{
    if (n > 0)
        paragraph_part(l, separator, colour, "%lld %s", (long long)n, what);
}

static void later_part(struct paragraph *l, const struct overview *o)
{
    char next[TIME_WORDS_SIZE];
    count(l, ",", NULL, o->counts.deferred, "for later");
    if (o->counts.deferred > 0 && o->next_due_ms > o->now_ms)
        paragraph_part(l, "", NULL, "(the next in %s)", span_words(o->next_due_ms - o->now_ms, next));
}

static void jobs_line(struct paragraph *l, const struct overview *o)
{
    const struct store_counts *c = &o->counts;
    paragraph_start(l, "jobs");
    if (!o->has_state) {
        paragraph_part(
            l, "", NULL,
            "unknown: no flowspoold has run here yet, or its state_dir is elsewhere (give -c FILE)");
        paragraph_end(l);
        return;
    }
    paragraph_part(l, "", NULL, "%lld waiting", (long long)c->waiting);
    later_part(l, o);
    paragraph_part(l, ",", NULL, "%lld in flight", (long long)(c->in_flight + c->replied));
    paragraph_part(l, ",", NULL, "%lld done", (long long)c->done);
    paragraph_part(l, ",", c->failed > 0 ? TERMINAL_RED : NULL, "%lld failed", (long long)c->failed);
    count(l, ",", TERMINAL_YELLOW, c->held, "held");
    count(l, ",", TERMINAL_YELLOW, c->missing,
          c->missing == 1 ? "whose file is gone" : "whose files are gone");
    count(l, ";", TERMINAL_RED, c->refused, c->refused == 1 ? "refused file" : "refused files");
    if (o->daemon == ASK_ANSWERED) {
        int64_t ignored = o->status.ignored;
        count(l, ";", NULL, ignored, ignored == 1 ? "ignored file" : "ignored files");
        if (!o->status.scanned)
            paragraph_part(l, ";", NULL, "the spool is still being read");
    }
    if (c->oldest_waiting_ms > 0) {
        char age[TIME_WORDS_SIZE];
        span_words(o->now_ms - c->oldest_waiting_ms, age);
        paragraph_part(l, ";", NULL, "the oldest waits %s", age);
    }
    paragraph_end(l);
}

/* Without the daemon's word: what the last one stored. */
static void last_known(struct paragraph *l, const struct overview *o)
{
    char age[TIME_WORDS_SIZE];
    paragraph_part(l, "", NULL, "unknown");
    if (o->learned_ms == 0 || o->learned.mode[0] == '\0')
        return;
    span_words(o->now_ms - o->learned_ms, age);
    paragraph_part(l, ";", NULL, "as of %s ago:", age);
    rate_parts(l, "", &o->learned, true);
}

static void rate_line(struct paragraph *l, const struct overview *o)
{
    const struct status *s = &o->status;
    char text[TIME_WORDS_SIZE];
    paragraph_start(l, "rate");
    if (o->daemon != ASK_ANSWERED) {
        last_known(l, o);
        paragraph_end(l);
        return;
    }
    paragraph_part(l, "", NULL, "%.1f/s", s->per_second);
    paragraph_part(l, ",", NULL, "at most %lld in flight (%s)", (long long)s->cap, s->cap_reason);
    if (s->learned.mode != NULL && s->learned.mode[0] != '\0')
        rate_parts(l, ";", &s->learned, false);
    else if (s->limit > 0) /* an older daemon */
        paragraph_part(l, ",", NULL, "the server's limit is %lld", (long long)s->limit);
    int64_t left = overview_left_ms(o);
    if (left > 0) {
        span_words(left, text);
        paragraph_part(l, ";", NULL, "about %s left", text);
    }
    paragraph_end(l);
}

/* Since the daemon's start. */
static void run_line(struct paragraph *l, const struct overview *o)
{
    const struct status_run *r = &o->status.run;
    if (o->daemon != ASK_ANSWERED)
        return;
    paragraph_start(l, "run");
    paragraph_part(l, "", NULL, "%lld bought", (long long)r->bought);
    count(l, ",", TERMINAL_YELLOW, r->possibly_bought, "possibly bought (no answer came)");
    paragraph_part(l, ";", NULL, "%lld done", (long long)r->done);
    count(l, ",", TERMINAL_RED, r->failed, "failed");
    count(l, ",", TERMINAL_RED, r->refused, r->refused == 1 ? "refused file" : "refused files");
    count(l, ",", NULL, r->already_done, "done already");
    paragraph_part(l, ";", NULL, "%lld %s", (long long)r->requests,
                   r->requests == 1 ? "request" : "requests");
    count(l, ",", NULL, r->rate_limited, "over the rate limit (429)");
    paragraph_end(l);
}

/* ---- why nothing is sent ---- */

static void hold_line(struct paragraph *l, const struct status_hold *h, bool first)
{
    char words[HOLD_WORDS_SIZE], time[TIME_WORDS_SIZE];
    hold_words(h, words);
    paragraph_start(l, first ? "sending" : "");
    if (h->held_for_ms >= 0) {
        span_words(h->held_for_ms, time);
        paragraph_part(l, "", TERMINAL_YELLOW, "held for %s: %s", time, words);
    } else {
        paragraph_part(l, "", TERMINAL_YELLOW, "held: %s", words);
    }
    if (h->probing) {
        paragraph_part(l, ";", NULL, "one request asks now");
    } else if (h->next_probe_ms >= 0) {
        span_words(h->next_probe_ms, time);
        paragraph_part(l, ";", NULL, "asks again in %s", time);
    }
    paragraph_end(l);
}

/* What outlives the daemon. */
static void stored_holds(struct paragraph *l, const struct overview *o)
{
    char time[TIME_WORDS_SIZE];
    if (o->paused && o->paused_ms > 1 && o->paused_ms <= o->now_ms) {
        span_words(o->now_ms - o->paused_ms, time);
        paragraph_part(l, ";", TERMINAL_YELLOW, "for %s: %s", time, gate_words("paused"));
    } else if (o->paused) {
        paragraph_part(l, ";", TERMINAL_YELLOW, "%s", gate_words("paused"));
    }
    if (o->lost_state)
        paragraph_part(l, ";", TERMINAL_YELLOW, "%s", gate_words("lost-state"));
    if (o->account != NULL)
        paragraph_part(l, ";", TERMINAL_YELLOW, "the account refused work last (%s)", o->account);
}

static void sending_lines(struct paragraph *l, const struct overview *o)
{
    const struct status *s = &o->status;
    if (o->daemon == ASK_ANSWERED && s->nholds > 0) {
        for (size_t i = 0; i < s->nholds; i++)
            hold_line(l, &s->holds[i], i == 0);
        if (s->holds_omitted > 0)
            fprintf(l->out, "%*sand %lld more\n", LABEL_WIDTH, "", (long long)s->holds_omitted);
        return;
    }
    paragraph_start(l, "sending");
    if (o->daemon == ASK_ANSWERED) {
        paragraph_part(l, "", TERMINAL_GREEN, "open");
    } else {
        paragraph_part(l, "", NULL, o->daemon == ASK_NOBODY ? "nothing: no daemon" : "unknown");
        stored_holds(l, o);
    }
    paragraph_end(l);
}

void overview_text(const struct overview *o, FILE *out, bool colours, size_t width)
{
    struct paragraph l = {.out = out, .indent = LABEL_WIDTH, .width = width, .colours = colours};
    daemon_line(&l, o);
    jobs_line(&l, o);
    rate_line(&l, o);
    run_line(&l, o);
    sending_lines(&l, o);
}
