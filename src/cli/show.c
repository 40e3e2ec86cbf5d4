/* flowspool show. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/inquiry.h"
#include "cli/jobjson.h"
#include "cli/jobwords.h"
#include "cli/paragraph.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/timewords.h"
#include "core/units.h"
#include "core/utf8.h"

static const char help[] =
    "usage: flowspool show [--json] JOB...\n"
    "Shows all that is known of a job: its state and why, its times, its outcome's\n"
    "file, and a table of its attempts. Attempts that count are those that\n"
    "max_attempts counts; refusals by the rate limit and during holds do not.\n"
    "\n"
    "      --json  one JSON object a line: the members of list --json, and \"history\"\n"
    "      JOB     a file in the spool, an outcome file, a glob, or 6 or more digits\n"
    "              of the request's digest\n"
    "\n"
    "Exit: 0, whatever its state; 2 no job is called JOB.\n"
    "\n"
    "Examples: flowspool show story.yaml\n"
    "          flowspool show --json story.yaml | jq '.history[].verdict'\n";

#define LABEL_WIDTH 11

enum { COLUMN_N, COLUMN_SENT, COLUMN_TOOK, COLUMN_STATUS, COLUMN_VERDICT, COLUMNS };
static const struct table_column columns[COLUMNS] = {
    {"#", 0}, {"SENT", 0}, {"TOOK", 0}, {"STATUS", 0}, {"VERDICT", 12},
};

struct show {
    struct inquiry *inquiry;
    struct json_line line;
    struct paragraph text;
    bool some; /* a job was shown before */
};

struct history {
    struct attempt_row *rows;
    size_t count;
};

/* ---- JSON ---- */

static void history_json(struct json_line *j, const struct history *h)
{
    json_open_list(j, "history");
    for (size_t i = 0; i < h->count; i++) {
        const struct attempt_row *a = &h->rows[i];
        json_open(j, NULL);
        json_number(j, "attempt", a->n);
        json_instant(j, "sent_at", a->sent_ms);
        json_instant(j, "ended_at", a->ended_ms);
        json_known(j, "duration_ms", a->duration_ms);
        json_known(j, "http_status", a->http_status > 0 ? a->http_status : -1);
        json_text(j, "verdict", a->verdict[0] != '\0' ? a->verdict : NULL);
        json_close(j);
    }
    json_close_list(j);
}

static void job_line(struct show *w, const struct job_row *r, const struct history *h)
{
    json_open(&w->line, NULL);
    job_json(&w->line, r);
    history_json(&w->line, h);
    json_close(&w->line);
    json_end_line(&w->line);
}

/* ---- the table of attempts ---- */

static void attempt_row(struct show *w, struct table *t, const struct attempt_row *a)
{
    char n[16], sent[UNITS_INSTANT_SIZE], took[48] = "", status[16] = "", verdict[160];
    const char *words = a->ended_ms != 0 ? verdict_words(a->verdict) : "on its way";
    snprintf(n, sizeof n, "%d", a->n);
    units_format_instant(a->sent_ms, sent);
    if (a->duration_ms >= 0)
        units_format_duration(a->duration_ms, took, sizeof took);
    if (a->http_status > 0)
        snprintf(status, sizeof status, "%d", a->http_status);
    utf8_escape(words, strlen(words), verdict, sizeof verdict);
    const char *const cells[COLUMNS] = {n, sent, took, status, verdict};
    const char *colour = w->text.colours && strcmp(a->verdict, "success") == 0 ? TERMINAL_GREEN : NULL;
    if (!table_row(t, cells, COLUMN_VERDICT, colour))
        w->inquiry->failed = true;
}

static void history_table(struct show *w, const struct history *h)
{
    if (h->count == 0)
        return;
    struct table *t = table_open(w->text.out, columns, COLUMNS, w->text.width);
    if (t == NULL) {
        w->inquiry->failed = true;
        return;
    }
    fputc('\n', w->text.out);
    for (size_t i = 0; i < h->count; i++)
        attempt_row(w, t, &h->rows[i]);
    if (!table_close(t))
        w->inquiry->failed = true;
}

/* ---- the block ---- */

static void line(struct show *w, const char *label, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    paragraph_start(&w->text, label);
    paragraph_part(&w->text, "", NULL, "%s", value);
    paragraph_end(&w->text);
}

static void time_line(struct show *w, const char *label, int64_t unix_ms)
{
    char words[TIME_WORDS_SIZE];
    if (unix_ms != 0)
        line(w, label, time_words(unix_ms, w->inquiry->now_ms, words));
}

static void job_name(struct show *w, const struct job_row *r)
{
    paragraph_start(&w->text, "job");
    paragraph_part(&w->text, "", NULL, "%s", r->path);
    if (r->document > 0)
        paragraph_part(&w->text, ",", NULL, "document %d", r->document);
    if (r->doc_id != NULL)
        paragraph_part(&w->text, ",", NULL, "id %s", r->doc_id);
    paragraph_end(&w->text);
}

static void state_lines(struct show *w, const struct job_row *r, const struct history *h)
{
    const enum shown_state s = shown_state(r);
    const int64_t now = w->inquiry->now_ms;
    char buf[128], span[TIME_WORDS_SIZE];
    const char *why = s == SHOWN_FAILED ? r->code : shown_why(r, now, buf, sizeof buf);
    paragraph_start(&w->text, "state");
    paragraph_part(&w->text, "", shown_colour(s), "%s", shown_name(s));
    if (r->state == JOB_REPLIED)
        paragraph_part(&w->text, ":", NULL, "answered, its outcome is being written");
    else if (s == SHOWN_IN_FLIGHT && h->count > 0)
        paragraph_part(&w->text, ":", NULL, "sent %s ago",
                       span_words(now - h->rows[h->count - 1].sent_ms, span));
    if (why != NULL && why[0] != '\0')
        paragraph_part(&w->text, s == SHOWN_IN_FLIGHT ? ";" : ":", NULL, "%s", why);
    if (s == SHOWN_FAILED && (r->blocked & JOB_ASKED_AGAIN) != 0)
        paragraph_part(&w->text, ";", NULL, "runs again");
    paragraph_end(&w->text);
    line(w, "", r->message);
}

static void tries_line(struct show *w, const struct job_row *r)
{
    struct paragraph *p = &w->text;
    paragraph_start(p, "attempts");
    if (r->max_attempts > 0)
        paragraph_part(p, "", NULL, "%d of at most %d", r->attempts, r->max_attempts);
    else if (r->sends == 0)
        paragraph_part(p, "", NULL, "none");
    else
        paragraph_part(p, "", NULL, "%d", r->attempts);
    if (r->rate_limited > 0)
        paragraph_part(p, ";", NULL, "%d refused by the rate limit", r->rate_limited);
    if (r->ambiguous > 0)
        paragraph_part(p, ";", TERMINAL_YELLOW, "%d that may have been charged without an answer",
                       r->ambiguous);
    paragraph_end(p);
}

static void outcome_line(struct show *w, const struct job_row *r)
{
    const char *ending = shown_ending(r);
    if (ending == NULL)
        return;
    paragraph_start(&w->text, "outcome");
    paragraph_part(&w->text, "", NULL, "%s%s", r->stem, ending);
    paragraph_end(&w->text);
}

static void block(struct show *w, const struct job_row *r, const struct history *h)
{
    char priority[32] = "";
    job_name(w, r);
    state_lines(w, r, h);
    outcome_line(w, r);
    line(w, "workflow", r->workflow);
    tries_line(w, r);
    if (r->priority != 0)
        snprintf(priority, sizeof priority, "%d", r->priority);
    line(w, "priority", priority);
    time_line(w, "seen", r->seen_ms);
    if (r->queued_ms != r->seen_ms)
        time_line(w, "queued", r->queued_ms);
    time_line(w, "not before", r->not_before_ms);
    if (r->state == JOB_WAITING && r->due_ms != r->not_before_ms)
        time_line(w, "due", r->due_ms);
    time_line(w, "expires", r->expires_ms);
    time_line(w, "started", r->started_ms);
    time_line(w, "finished", r->finished_ms);
    line(w, "request", r->request_sha256);
    line(w, "request id", r->request_id);
    line(w, "endpoint", r->endpoint);
    history_table(w, h);
}

/* ---- each in turn ---- */

static void between(struct show *w)
{
    if (w->some)
        fputc('\n', w->text.out);
    w->some = true;
}

static bool on_job(void *arg, const struct job_row *r)
{
    struct show *w = arg;
    struct history h = {0};
    h.rows = store_attempts(w->inquiry->store, r->id, &h.count);
    if (w->inquiry->json) {
        job_line(w, r, &h);
    } else {
        between(w);
        block(w, r, &h);
    }
    free(h.rows);
    w->inquiry->failed = w->inquiry->failed || w->line.failed;
    return !w->inquiry->failed && !ferror(w->text.out);
}

static bool on_refused(void *arg, const struct file_row *f)
{
    struct show *w = arg;
    if (w->inquiry->json) {
        json_open(&w->line, NULL);
        job_json_refused(&w->line, f);
        history_json(&w->line, &(struct history){0});
        json_close(&w->line);
        json_end_line(&w->line);
        return !w->line.failed;
    }
    between(w);
    line(w, "job", f->path);
    paragraph_start(&w->text, "state");
    paragraph_part(&w->text, "", shown_colour(SHOWN_REFUSED), "%s", shown_name(SHOWN_REFUSED));
    paragraph_end(&w->text);
    line(w, "", f->fault);
    time_line(w, "seen", f->seen_ms);
    return true;
}

static int answer(struct inquiry *q)
{
    struct show w = {
        .inquiry = q,
        .line = {.out = q->out},
        .text = {.out = q->out,
                 .indent = LABEL_WIDTH + 1,
                 .width = terminal_width(),
                 .colours = terminal_colours()},
    };
    const struct chosen_take take = {on_job, on_refused, &w};
    if (!select_check(&q->words))
        return CLI_USAGE;
    if (!chosen_each(&q->chosen, &take))
        q->failed = true;
    return CLI_OK;
}

int cli_show(struct cli *c, int argc, char **argv)
{
    static const struct inquiry_words words = {.command = "show ", .help = help, .answer = answer};
    return inquiry_run(c, argc, argv, &words);
}
