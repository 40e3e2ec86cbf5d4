/* flowspool log. */
#include <stdlib.h>
#include <string.h>

#include "cli/history.h"
#include "cli/inquiry.h"
#include "cli/spill.h"
#include "core/units.h"
#include "core/utf8.h"

static const char help[] =
    "usage: flowspool log [--json] JOB...\n"
    "What happened to jobs, one line an event, in the order of time, as the state has\n"
    "it: seen, queued, each attempt and how it ended, done or failed. Requests that a\n"
    "file held before are included.\n"
    "\n"
    "      --json  one JSON object a line; names of members in flowspool(1)\n"
    "      JOB     a file in the spool, an outcome file, a glob, or 6 or more digits\n"
    "              of the request's digest\n"
    "\n"
    "Exit: 0; 2 no job is called JOB.\n"
    "\n"
    "Examples: flowspool log story.yaml\n"
    "          flowspool log 'night-*' | grep -F 'attempt 2'\n";

/* Lines lie aside until all of them can be put in order. */
struct line_at {
    int64_t at_ms, place;
};

struct log {
    struct inquiry *inquiry;
    struct spill lines;
    struct line_at *order;
    size_t count, room;
    int64_t file; /* whose older requests were told already; those of one file follow one another */
};

/* ---- one event ---- */

static bool make_room(struct log *l)
{
    if (l->count < l->room)
        return true;
    size_t room = l->room == 0 ? 256 : l->room * 2;
    struct line_at *grown = reallocarray(l->order, room, sizeof *grown);
    if (grown == NULL)
        return false;
    l->order = grown;
    l->room = room;
    return true;
}

static void keep_line(struct log *l, int64_t at_ms, const char *text)
{
    int64_t place = make_room(l) ? spill_add(&l->lines, text) : -1;
    if (place < 0)
        l->inquiry->failed = true;
    else
        l->order[l->count++] = (struct line_at){at_ms, place};
}

static void line_text(FILE *out, const struct job_row *r, const struct event *e)
{
    char at[UNITS_INSTANT_SIZE];
    units_format_instant(e->at_ms, at);
    fprintf(out, "%s %s", at, r->path);
    if (r->document > 0)
        fprintf(out, " #%d", r->document);
    fputs(": ", out);
    history_words(r, e, out);
}

static bool line_json(FILE *out, const struct job_row *r, const struct event *e)
{
    struct json_line j = {.out = out};
    json_open(&j, NULL);
    json_instant(&j, "time", e->at_ms);
    json_text(&j, "job", r->path);
    json_known(&j, "document", r->document > 0 ? r->document : -1);
    history_json(r, e, &j);
    json_close(&j);
    return !j.failed;
}

static void tell(struct log *l, const struct job_row *r, const struct event *e)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool ok = out != NULL;
    if (ok && l->inquiry->json)
        ok = line_json(out, r, e);
    else if (ok)
        line_text(out, r, e);
    if (out != NULL && fclose(out) != 0)
        ok = false;
    if (ok)
        keep_line(l, e->at_ms, text);
    l->inquiry->failed = l->inquiry->failed || !ok;
    free(text);
}

static void tell_job(struct log *l, const struct job_row *r)
{
    size_t count = 0;
    struct attempt_row *attempts = store_attempts(l->inquiry->store, r->id, &count);
    struct event *events = calloc(2 * count + 5, sizeof *events);
    size_t n = events != NULL ? history_events(r, attempts, count, events) : 0;
    for (size_t i = 0; i < n; i++)
        tell(l, r, &events[i]);
    l->inquiry->failed = l->inquiry->failed || events == NULL;
    free(events);
    free(attempts);
}

/* ---- each job ---- */

static void tell_older(struct log *l, const struct job_row *r)
{
    size_t count = 0;
    struct job_row *rows = store_file_jobs(l->inquiry->store, r->file_id, &count);
    for (size_t i = 0; i < count; i++)
        if (!job_row_is_current(&rows[i]))
            tell_job(l, &rows[i]);
    job_rows_free(rows, count);
}

static bool on_job(void *arg, const struct job_row *r)
{
    struct log *l = arg;
    if (l->file != r->file_id)
        tell_older(l, r);
    l->file = r->file_id;
    tell_job(l, r);
    return !l->inquiry->failed;
}

static bool on_refused(void *arg, const struct file_row *f)
{
    static char refused[] = "refused";
    const struct job_row r = {.path = f->path,
                              .seen_ms = f->seen_ms,
                              .queued_ms = f->seen_ms,
                              .state = JOB_FAILED,
                              .code = refused,
                              .message = f->fault};
    struct event events[5];
    size_t n = history_events(&r, NULL, 0, events);
    for (size_t i = 0; i < n; i++)
        tell(arg, &r, &events[i]);
    return true;
}

/* ---- in order ---- */

static int by_time(const void *a, const void *b)
{
    const struct line_at *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static void print_all(struct log *l)
{
    if (l->count > 0)
        qsort(l->order, l->count, sizeof *l->order, by_time);
    for (size_t i = 0; i < l->count && !l->inquiry->failed; i++) {
        char *text = spill_get(&l->lines, l->order[i].place);
        char *shown = text != NULL ? malloc(4 * strlen(text) + 1) : NULL;
        l->inquiry->failed = shown == NULL;
        if (shown != NULL) /* JSON is safe already, and must stay what it is */
            fprintf(l->inquiry->out, "%s\n",
                    l->inquiry->json ? text : utf8_escape(text, strlen(text), shown, 4 * strlen(text) + 1));
        free(shown);
        free(text);
    }
}

static int answer(struct inquiry *q)
{
    struct log l = {.inquiry = q};
    const struct chosen_take take = {on_job, on_refused, &l};
    if (!select_check(&q->words))
        return CLI_USAGE;
    if (!spill_open(&l.lines) || !chosen_each(&q->chosen, &take))
        q->failed = true;
    if (!q->failed)
        print_all(&l);
    free(l.order);
    spill_close(&l.lines);
    return CLI_OK;
}

int cli_log(struct cli *c, int argc, char **argv)
{
    static const struct inquiry_words words = {.command = "log ", .help = help, .answer = answer};
    return inquiry_run(c, argc, argv, &words);
}
