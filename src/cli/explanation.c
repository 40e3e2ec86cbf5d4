#include "cli/explanation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/jobwords.h"
#include "cli/timewords.h"
#include "core/holdwords.h"
#include "core/shellword.h"
#include "core/verdict.h"

/* ---- reasons ---- */

static const char *keep(struct explanation *e, const char *text)
{
    const char *copy = arena_copy(e->arena, text);
    e->no_memory = e->no_memory || copy == NULL;
    return copy != NULL ? copy : "";
}

void explain_add(struct explanation *e, const char *word, const char *todo, const char *format, ...)
{
    char *why = NULL;
    va_list ap;
    if (e->count == REASONS_MAX)
        return;
    va_start(ap, format);
    int n = vasprintf(&why, format, ap);
    va_end(ap);
    if (n < 0) {
        e->no_memory = true;
        return;
    }
    e->reasons[e->count++] = (struct reason){word, keep(e, why), keep(e, todo)};
    free(why);
}

/* "flowspool VERB JOB", as it can be typed. */
static const char *command(struct explanation *e, const char *verb, const struct job_row *r)
{
    char *text = NULL, *operand = shell_operand(r->path);
    if (operand == NULL || asprintf(&text, "flowspool %s %s", verb, operand) < 0)
        text = NULL;
    free(operand);
    e->no_memory = e->no_memory || text == NULL;
    const char *kept = text != NULL ? keep(e, text) : "";
    free(text);
    return kept;
}

/* ---- who sends ---- */

void explain_daemon(struct explanation *e, const struct explain_state *s)
{
    switch (s->daemon) {
    case ASK_ANSWERED:
        return;
    case ASK_NOBODY:
        explain_add(e, "no_daemon", "start flowspoold", "no flowspoold runs on this spool");
        return;
    case ASK_SILENT:
    case ASK_UNSURE:
        explain_add(e, "no_answer", "", "flowspoold runs but does not answer: it is stuck, or very busy");
        return;
    case ASK_REFUSED:
    case ASK_FAILED:
        break;
    }
    explain_add(e, "unknown", "", "flowspoold cannot be asked: %s", s->daemon_reason);
}

/* ---- what is over ---- */

static void explain_done(struct explanation *e, const struct job_row *r)
{
    explain_add(e, "done", "", "it is done%s: its result is in %s.result.json",
                r->sandbox ? " (by a sandbox)" : "", r->stem);
}

static const char *after_failure(struct explanation *e, const struct job_row *r)
{
    const char *code = r->code != NULL ? r->code : "";
    if (code_if_charged(code, r->ambiguous) != NULL)
        return command(e, "retry", r); /* the message says what it may cost */
    if (code_is_retryable(code) || strcmp(code, CODE_WORKFLOW_NOT_FOUND) == 0)
        return command(e, "retry", r);
    if (strcmp(code, CODE_EXPIRED) == 0)
        return "give it a later 'expires': a job file that is written again runs again";
    return "correct the job file: written again, it runs again";
}

static void explain_failed(struct explanation *e, const struct job_row *r)
{
    explain_add(e, "failed", after_failure(e, r), "it has failed (%s): %s", r->code != NULL ? r->code : "?",
                r->message != NULL ? r->message : "no more is known");
}

/* ---- what ended, and runs again ---- */

static void explain_asked(struct explanation *e, const struct explain_state *s)
{
    explain_add(e, "asked_again", "", "it runs again, as flowspool retry was told%s",
                s->daemon == ASK_NOBODY ? ", when flowspoold starts"
                                        : ": flowspoold is about to read its file");
    explain_daemon(e, s);
}

/* ---- what is on its way ---- */

static void explain_replied(struct explanation *e, const struct explain_state *s)
{
    if (s->daemon == ASK_NOBODY)
        explain_add(e, "answered", "start flowspoold",
                    "its reply is kept in the state, and no flowspoold runs that writes its outcome");
    else
        explain_add(e, "answered", "", "it has been answered, and its outcome is being written");
}

/* What was asked for while it was in flight. */
static void explain_after_sent(struct explanation *e, const struct job_row *r)
{
    if ((r->blocked & JOB_BLOCK_CANCEL) != 0)
        explain_add(e, "cancelling", "", "it fails as cancelled, unless it has a result first");
    if ((r->blocked & JOB_BLOCK_HOLD) != 0)
        explain_add(e, "held", command(e, "release", r), "it is held, if it would be tried again");
}

static void explain_sent(struct explanation *e, const struct explain_state *s, const struct explain_job *j)
{
    char since[TIME_WORDS_SIZE];
    if (s->daemon == ASK_NOBODY) {
        explain_add(e, "cut_off", "start flowspoold: retry.on_ambiguous decides whether it is sent again",
                    "flowspoold stopped while its request was in flight, so that it may have been charged");
        explain_after_sent(e, j->row);
        return;
    }
    explain_add(e, "in_flight", "", "its request was sent %s ago and is not answered yet",
                span_words(s->now_ms - j->sent_ms, since));
    explain_daemon(e, s);
    explain_after_sent(e, j->row);
}

/* ---- what holds this job ---- */

static void explain_missing(struct explanation *e, const struct explain_state *s, const struct explain_job *j)
{
    char since[TIME_WORDS_SIZE], left[TIME_WORDS_SIZE];
    int64_t forget_ms = j->missing_ms + s->forget_after_ms;
    const char *todo = "put the file back, if it is to run";
    if (j->missing_ms == 0)
        explain_add(e, "missing", todo, "its file is gone");
    else if (s->daemon == ASK_ANSWERED && forget_ms > s->now_ms)
        explain_add(e, "missing", todo, "its file has been gone for %s; the job is forgotten in %s",
                    span_words(s->now_ms - j->missing_ms, since), span_words(forget_ms - s->now_ms, left));
    else
        explain_add(e, "missing", todo, "its file has been gone for %s; flowspoold forgets the job soon",
                    span_words(s->now_ms - j->missing_ms, since));
}

static const char *rename_back(struct explanation *e, const struct job_row *r)
{
    char *held = NULL, *text = NULL, *from, *to = shell_operand(r->path);
    if (asprintf(&held, "%s.hold", r->path) < 0)
        held = NULL;
    from = held != NULL ? shell_operand(held) : NULL;
    if (from == NULL || to == NULL || asprintf(&text, "in the spool: mv %s %s", from, to) < 0)
        text = NULL;
    e->no_memory = e->no_memory || text == NULL;
    const char *kept = text != NULL ? keep(e, text) : "";
    free(held);
    free(from);
    free(to);
    free(text);
    return kept;
}

static void explain_blocks(struct explanation *e, const struct explain_state *s, const struct explain_job *j)
{
    const struct job_row *r = j->row;
    if ((r->blocked & JOB_BLOCK_CANCEL) != 0)
        explain_add(e, "cancelling", "", "it is being cancelled, by flowspool cancel");
    if ((r->blocked & JOB_BLOCK_MISSING) != 0)
        explain_missing(e, s, j);
    if ((r->blocked & JOB_BLOCK_HOLD_FILE) != 0)
        explain_add(e, "held_file", rename_back(e, r), "it is held: its file is called %s.hold", r->path);
    if ((r->blocked & JOB_BLOCK_CONFLICT) != 0)
        explain_add(e, "refused", "rename one of the two files",
                    "its file is refused: another job's outcome has the same name");
    if ((r->blocked & JOB_BLOCK_HOLD) != 0)
        explain_add(e, "held", command(e, "release", r), "it is held, by flowspool hold");
    if (j->waits_for_old)
        explain_add(e, "predecessor", "",
                    "its file was changed while the request that it held before was in flight: that one ends "
                    "first");
}

static void explain_due(struct explanation *e, const struct explain_state *s, const struct explain_job *j)
{
    const struct job_row *r = j->row;
    char at[TIME_WORDS_SIZE];
    if (r->due_ms <= s->now_ms)
        return;
    if (r->due_ms == r->not_before_ms)
        explain_add(e, "not_before", "", "it is not to run before %s", time_words(r->due_ms, s->now_ms, at));
    else
        explain_add(e, "backoff", "", "its last attempt ended so: %s; it is tried again at %s",
                    j->verdict[0] != '\0' ? verdict_words(j->verdict) : "without success",
                    time_words(r->due_ms, s->now_ms, at));
}

static void explain_expired(struct explanation *e, const struct explain_state *s, const struct job_row *r)
{
    char at[TIME_WORDS_SIZE];
    if (r->expires_ms != 0 && r->expires_ms <= s->now_ms)
        explain_add(e, "expired", "", "it expired at %s, and fails as soon as flowspoold comes to it",
                    time_words(r->expires_ms, s->now_ms, at));
}

static void explain_expires(struct explanation *e, const struct explain_state *s, const struct job_row *r)
{
    char at[TIME_WORDS_SIZE];
    if (r->expires_ms > s->now_ms)
        explain_add(e, "expires", "", "it fails, unsent, if it is still waiting at %s",
                    time_words(r->expires_ms, s->now_ms, at));
}

/* ---- what holds all of them ---- */

/* What the next daemon finds. */
static void explain_stored(struct explanation *e, const struct explain_state *s)
{
    if (s->daemon == ASK_ANSWERED)
        return;
    if (s->paused)
        explain_add(e, "paused", "", "sending is held: %s", gate_words("paused"));
    if (s->lost_state)
        explain_add(e, "lost-state", "", "sending is held: %s", gate_words("lost-state"));
    if (s->account != NULL)
        explain_add(e, "account", "", "the account refused work last (%s)", s->account);
}

static bool lies_in(const char *path, const char *dir)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash != NULL ? (size_t)(slash - path) : 0;
    if (slash == NULL)
        return strcmp(dir, ".") == 0;
    return strlen(dir) == len && strncmp(path, dir, len) == 0;
}

static bool concerns(const struct status_hold *h, const struct job_row *r)
{
    if (r->state == JOB_REPLIED && strcmp(h->kind, STATUS_DIRECTORY) != 0)
        return false;
    if (strcmp(h->kind, STATUS_WORKFLOW) == 0)
        return h->workflow != NULL && r->workflow != NULL && strcmp(h->workflow, r->workflow) == 0;
    if (strcmp(h->kind, STATUS_DIRECTORY) == 0)
        return lies_in(r->path, h->reason);
    return true;
}

static const char *after_hold(const struct status_hold *h)
{
    if (strcmp(h->kind, STATUS_DIRECTORY) == 0)
        return "give flowspoold's user room and permission to write there";
    if (strcmp(h->kind, STATUS_ACCOUNT) != 0)
        return "";
    return strcmp(h->cause, "unauthorized") == 0 ? "correct the key; a changed key file is noticed"
                                                 : "see to the account's credits";
}

static void explain_hold(struct explanation *e, const struct status_hold *h)
{
    char words[HOLD_WORDS_SIZE], when[TIME_WORDS_SIZE + 32] = "", span[TIME_WORDS_SIZE];
    hold_words(h, words);
    if (h->probing)
        snprintf(when, sizeof when, "; one request asks now");
    else if (h->next_probe_ms >= 0)
        snprintf(when, sizeof when, "; asked again in %s", span_words(h->next_probe_ms, span));
    explain_add(e, strcmp(h->kind, STATUS_GATE) == 0 ? h->cause : h->kind, after_hold(h),
                "sending is held%s: %s%s", strcmp(h->kind, STATUS_WORKFLOW) == 0 ? " for its workflow" : "",
                words, when);
}

static void explain_holds(struct explanation *e, const struct explain_state *s, const struct job_row *r)
{
    if (s->daemon != ASK_ANSWERED)
        return;
    for (size_t i = 0; i < s->status->nholds; i++)
        if (concerns(&s->status->holds[i], r))
            explain_hold(e, &s->status->holds[i]);
}

/* ---- its turn ---- */

static void explain_turn(struct explanation *e, const struct explain_state *s, const struct explain_job *j)
{
    const struct status *d = s->status;
    char left[TIME_WORDS_SIZE];
    e->before = j->before;
    if (j->before >= 0 && d->per_second > 0)
        e->left_ms = (int64_t)((double)(j->before + 1) / d->per_second * 1000);
    const char *jobs = j->before == 1 ? "job goes" : "jobs go";
    if (j->before > 0 && e->left_ms >= 0)
        explain_add(e, "turn", "", "%lld %s first; at %.1f/s its turn comes in about %s",
                    (long long)j->before, jobs, d->per_second, span_words(e->left_ms, left));
    else if (j->before > 0)
        explain_add(e, "turn", "", "%lld %s first; no job has ended in the last minute, so nobody knows when",
                    (long long)j->before, jobs);
    else if (d->in_flight >= d->cap)
        explain_add(e, "next", "", "it is next, when one of the %lld requests in flight ends (%s)",
                    (long long)d->in_flight, d->cap_reason);
    else
        explain_add(e, "next", "", "it is next: it is sent as soon as the rate allows");
}

static void explain_waiting(struct explanation *e, const struct explain_state *s, const struct explain_job *j)
{
    explain_blocks(e, s, j);
    explain_expired(e, s, j->row);
    explain_due(e, s, j);
    explain_daemon(e, s);
    explain_stored(e, s);
    explain_holds(e, s, j->row);
    if (e->count == 0)
        explain_turn(e, s, j);
    explain_expires(e, s, j->row);
}

/* ---- all of it ---- */

void explain_job(struct explanation *e, const struct explain_state *s, const struct explain_job *j)
{
    e->before = e->left_ms = -1;
    bool ended = j->row->state == JOB_DONE || j->row->state == JOB_FAILED;
    if (ended && (j->row->blocked & JOB_ASKED_AGAIN) != 0) {
        explain_asked(e, s);
        return;
    }
    switch (j->row->state) {
    case JOB_DONE:
        explain_done(e, j->row);
        return;
    case JOB_FAILED:
        explain_failed(e, j->row);
        return;
    case JOB_REPLIED:
        explain_replied(e, s);
        explain_holds(e, s, j->row);
        return;
    case JOB_SENT:
        explain_sent(e, s, j);
        return;
    case JOB_WAITING:
    case JOB_NSTATES:
        break;
    }
    explain_waiting(e, s, j);
}

void explain_refused(struct explanation *e, const struct file_row *f)
{
    e->before = e->left_ms = -1;
    explain_add(e, "refused", "rename the file", "it is refused: %s", f->fault != NULL ? f->fault : "");
}
