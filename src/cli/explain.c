/* flowspool explain. */
#include <stdlib.h>
#include <string.h>

#include "cli/explanation.h"
#include "cli/inquiry.h"
#include "cli/jobwords.h"
#include "cli/jsonline.h"
#include "cli/overview.h"
#include "cli/paragraph.h"
#include "cli/terminal.h"
#include "cli/unseen.h"

static const char help[] =
    "usage: flowspool explain [--json] JOB...\n"
    "Says why a job is not running now, and what to do about it: it is done, held,\n"
    "waits for its time or for others, its file was not taken yet, nothing is sent.\n"
    "\n"
    "      --json  one JSON object a line: \"job\", \"document\", \"state\", \"reason\" (a\n"
    "              word), \"why\", \"todo\", \"before\" (jobs that go first), \"left_ms\",\n"
    "              \"also\" (what else stands in its way)\n"
    "      JOB     a file in the spool, an outcome file, a glob, or 6 or more digits\n"
    "              of the request's digest\n"
    "\n"
    "Exit: 0, whatever the reason; 2 no job is called JOB.\n"
    "\n"
    "Example: flowspool explain story.yaml\n";

struct explain {
    struct inquiry *inquiry;
    struct overview overview;
    struct explain_state state;
    struct json_line line;
    struct paragraph text;
};

/* ---- what is said ---- */

static void reason_json(struct json_line *j, const struct reason *r)
{
    json_text(j, "reason", r->word);
    json_text(j, "why", r->why);
    json_text(j, "todo", r->todo[0] != '\0' ? r->todo : NULL);
}

static void tell_json(struct explain *x, const char *job, const struct job_row *r, const char *state,
                      const struct explanation *e)
{
    struct json_line *j = &x->line;
    json_open(j, NULL);
    json_text(j, "job", job);
    json_known(j, "document", r != NULL && r->document > 0 ? r->document : -1);
    json_text(j, "state", state);
    reason_json(j, &e->reasons[0]);
    json_known(j, "before", e->before);
    json_known(j, "left_ms", e->left_ms);
    json_open_list(j, "also");
    for (size_t i = 1; i < e->count; i++) {
        json_open(j, NULL);
        reason_json(j, &e->reasons[i]);
        json_close(j);
    }
    json_close_list(j);
    json_close(j);
    json_end_line(j);
}

/* Messages of failures say it themselves. */
static void todo_line(struct explain *x, const struct reason *r)
{
    if (r->todo[0] == '\0' || strstr(r->why, r->todo) != NULL)
        return;
    paragraph_start(&x->text, "");
    paragraph_part(&x->text, "", NULL, "What to do: %s", r->todo);
    paragraph_end(&x->text);
}

/* The first line begins where the job's name does, the others below it. */
static void tell_text(struct explain *x, const char *job, const struct job_row *r,
                      const struct explanation *e)
{
    size_t indent = x->text.indent;
    x->text.indent = 0;
    paragraph_start(&x->text, "");
    x->text.indent = indent;
    if (r != NULL && r->document > 0)
        paragraph_part(&x->text, "", NULL, "%s, document %d: %s.", job, r->document, e->reasons[0].why);
    else
        paragraph_part(&x->text, "", NULL, "%s: %s.", job, e->reasons[0].why);
    paragraph_end(&x->text);
    todo_line(x, &e->reasons[0]);
    for (size_t i = 1; i < e->count; i++) {
        paragraph_start(&x->text, "");
        paragraph_part(&x->text, "", NULL, "Also: %s.", e->reasons[i].why);
        paragraph_end(&x->text);
        todo_line(x, &e->reasons[i]);
    }
}

static void tell(struct explain *x, const char *job, const struct job_row *r, const char *state,
                 const struct explanation *e)
{
    if (e->count > 0 && x->inquiry->json)
        tell_json(x, job, r, state, e);
    else if (e->count > 0)
        tell_text(x, job, r, e);
    x->inquiry->failed = x->inquiry->failed || e->no_memory || x->line.failed;
}

/* ---- what is known of a job ---- */

static int64_t missing_since(struct store *s, const struct job_row *r)
{
    struct file_row f;
    bool known = (r->blocked & JOB_BLOCK_MISSING) != 0 && store_file_by_path(s, r->path, &f);
    int64_t since = known && f.id == r->file_id ? f.missing_ms : 0;
    if (known)
        file_row_free(&f);
    return since;
}

static bool is_on_its_way(struct store *s, int64_t job)
{
    struct job_row r;
    if (job == 0 || !store_job(s, job, false, &r))
        return false;
    bool open = r.state == JOB_SENT || r.state == JOB_REPLIED;
    job_row_free(&r);
    return open;
}

static bool on_job(void *arg, const struct job_row *r)
{
    struct explain *x = arg;
    struct store *s = x->inquiry->store;
    struct arena a = {0};
    struct explanation e = {.arena = &a};
    size_t attempts = 0;
    struct attempt_row *history = store_attempts(s, r->id, &attempts);
    const struct attempt_row *last = attempts > 0 ? &history[attempts - 1] : NULL;
    const struct explain_job j = {
        .row = r,
        .missing_ms = missing_since(s, r),
        .sent_ms = last != NULL ? last->sent_ms : 0,
        .verdict = last != NULL ? last->verdict : "",
        .waits_for_old = is_on_its_way(s, r->after_job),
        .before = r->state == JOB_WAITING ? store_ready_before(s, r) : -1,
    };
    explain_job(&e, &x->state, &j);
    tell(x, r->path, r, shown_name(shown_state(r)), &e);
    free(history);
    arena_free(&a);
    return !x->inquiry->failed;
}

static bool on_refused(void *arg, const struct file_row *f)
{
    struct explain *x = arg;
    struct arena a = {0};
    struct explanation e = {.arena = &a};
    explain_refused(&e, f);
    tell(x, f->path, NULL, shown_name(SHOWN_REFUSED), &e);
    arena_free(&a);
    return !x->inquiry->failed;
}

/* ---- words that mean no job ---- */

static bool explain_path(struct explain *x, const char *path)
{
    struct arena a = {0};
    struct explanation e = {.arena = &a};
    bool there = explain_unseen(&e, &x->state, x->inquiry->cfg, path);
    tell(x, path, NULL, NULL, &e);
    arena_free(&a);
    return there;
}

static bool explain_word(struct explain *x, const struct select_word *w)
{
    if (w->best != SELECT_NOTHING && !w->ambiguous)
        return true;
    if (w->best == SELECT_NOTHING && w->here != NULL && explain_path(x, w->here))
        return true;
    if (w->best == SELECT_NOTHING && w->text[0] != '/' && explain_path(x, w->text))
        return true;
    if (x->inquiry->store != NULL || w->best != SELECT_NOTHING)
        return select_check_word(w);
    cli_no_state(x->inquiry->cfg);
    return false;
}

/* ---- all together ---- */

static bool learn(struct explain *x, struct arena *a)
{
    struct overview *o = &x->overview;
    *o = (struct overview){.cfg = x->inquiry->cfg, .now_ms = x->inquiry->now_ms};
    overview_ask(o, a);
    if (x->inquiry->store != NULL && !overview_stored(o, x->inquiry->store, a))
        return false;
    x->state = (struct explain_state){
        .now_ms = x->inquiry->now_ms,
        .forget_after_ms = x->inquiry->cfg->forget_after_ms,
        .daemon = o->daemon,
        .daemon_reason = o->reason,
        .status = &o->status,
        .paused = o->paused,
        .lost_state = o->lost_state,
        .account = o->account,
    };
    return true;
}

static int explain_all(struct explain *x)
{
    struct inquiry *q = x->inquiry;
    const struct chosen_take take = {on_job, on_refused, x};
    bool meant = true;
    for (size_t i = 0; i < q->words.count; i++)
        meant = explain_word(x, &q->words.words[i]) && meant;
    if (!meant)
        return CLI_USAGE;
    if (q->store != NULL && !chosen_each(&q->chosen, &take))
        q->failed = true;
    return CLI_OK;
}

static int answer(struct inquiry *q)
{
    struct explain x = {
        .inquiry = q,
        .line = {.out = q->out},
        .text = {.out = q->out, .indent = 4, .width = terminal_width()},
    };
    struct arena a = {0};
    int status = CLI_USAGE;
    if (learn(&x, &a))
        status = explain_all(&x);
    arena_free(&a);
    return status;
}

int cli_explain(struct cli *c, int argc, char **argv)
{
    static const struct inquiry_words words = {
        .command = "explain ", .help = help, .without_state = true, .answer = answer};
    return inquiry_run(c, argc, argv, &words);
}
