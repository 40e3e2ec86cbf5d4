/* Outcome files as intake meets them: one that lies beside a new job, one that follows its job to another
 * name, and the error of a file that does not parse. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "core/outcome.h"
#include "core/verdict.h"
#include "daemon/intake_internal.h"
#include "io/log.h"

/* An outcome is at most a reply and some fields. */
#define OUTCOME_SLACK (1LL << 20)

/* ---- an outcome that lies beside a new job ---- */

static bool read_beside(struct intake *in, const char *stem, const char *ending, struct outcome_summary *out)
{
    char path[4096];
    char *text = NULL;
    size_t len = 0;
    if (snprintf(path, sizeof path, "%s%s", stem, ending) >= (int)sizeof path)
        return false;
    int64_t max = in->o.config->max_response_size * 2 + OUTCOME_SLACK;
    if (spool_read_outcome(in->o.spool, path, max, &text, &len) != 0)
        return false;
    bool ok = outcome_read(text, len, out);
    free(text);
    return ok;
}

static bool stops_run(const struct intake *in, const struct outcome_summary *s, const char *request_sha256)
{
    if (strcmp(s->request_sha256, request_sha256) != 0)
        return false;
    return !s->sandbox || (s->endpoint != NULL && strcmp(s->endpoint, in->o.endpoint) == 0);
}

/* A new job whose result, or ambiguous error, lies beside it is not bought again. */
void intake_adopt_beside(struct intake *in, const struct look *k, const char *stem, struct take_job *t)
{
    struct outcome_summary s = {0};
    if (read_beside(in, stem, ".result.json", &s) && s.success && stops_run(in, &s, t->request_sha256)) {
        t->state = JOB_DONE;
        t->sandbox = s.sandbox;
        t->endpoint = s.sandbox ? in->o.endpoint : NULL;
    }
    outcome_summary_free(&s);
    s = (struct outcome_summary){0};
    if (t->state == JOB_WAITING && read_beside(in, stem, ".error.json", &s) && !s.success &&
        code_if_charged(s.code) != NULL && stops_run(in, &s, t->request_sha256)) {
        t->state = JOB_FAILED;
        t->code = code_if_charged(s.code);
        t->message = "its outcome beside the job file says that it may have been charged";
    }
    outcome_summary_free(&s);
    if (t->state == JOB_WAITING)
        return;
    in->o.host.already_done(in->o.host.arg);
    log_line(LOG_INFO, k->job_path, "already done: its outcome lies beside it; not sent");
}

/* ---- outcomes on their way ---- */

struct outcome_move {
    struct intake *in;
    char *path;                /* of the job, for the log; may be NULL */
    char *text;                /* of a refusal, else NULL */
    int64_t file_id, restored; /* the job whose result comes out of superseded/, or 0 */
    char *stem;
};

static void move_free(struct outcome_move *m)
{
    free(m->path);
    free(m->text);
    free(m->stem);
    free(m);
}

/* Of the file's jobs that had this outcome name, the one whose result lay there last: done, not the one that
 * has the name now, not in superseded/ already. */
static int64_t last_holder(struct intake *in, int64_t file_id, const char *stem, int64_t now_there)
{
    size_t count = 0;
    int64_t holder = 0, finished_ms = -1;
    struct job_row *jobs = store_file_jobs(in->o.store, file_id, &count);
    for (size_t i = 0; i < count; i++) {
        const struct job_row *r = &jobs[i];
        if (r->id == now_there || r->state != JOB_DONE || r->outcome != NULL || strcmp(r->stem, stem) != 0 ||
            r->finished_ms <= finished_ms)
            continue;
        holder = r->id;
        finished_ms = r->finished_ms;
    }
    job_rows_free(jobs, count);
    return holder;
}

void intake_kept(struct intake *in, int64_t file_id, const char *stem, int64_t now_there, const char *kept_as)
{
    int64_t holder = last_holder(in, file_id, stem, now_there);
    if (holder != 0)
        store_superseded(in->o.store, holder, kept_as, NULL, NULL);
}

static void on_moved(void *arg, const struct publish_result *r)
{
    struct outcome_move *m = arg;
    if (r->rc == PUBLISH_SYNC_FAILED)
        m->in->o.host.fatal(m->in->o.host.arg, "an outcome could not be synced");
    else if (r->rc != PUBLISH_OK)
        log_line(LOG_WARN, m->path, "its outcome could not be written: %s", r->detail);
    else if (m->restored != 0) {
        store_superseded(m->in->o.store, m->restored, NULL, NULL, NULL);
        if (r->moved[0] != '\0' && m->stem != NULL)
            intake_kept(m->in, m->file_id, m->stem, m->restored, r->moved);
    }
    move_free(m);
}

static struct outcome_move *move_begin(struct intake *in, const struct look *k)
{
    struct outcome_move *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->in = in;
    m->path = strdup(k->job_path);
    return m;
}

bool intake_move_outcome(struct intake *in, const struct look *k, const struct job_row *row,
                         const struct take_job *t)
{
    bool restored = (row->blocked & JOB_BLOCK_SUPERSEDED) != 0 && row->outcome != NULL;
    if (!restored && strcmp(row->stem, t->stem) == 0)
        return true;
    struct outcome_move *m = move_begin(in, k);
    if (m != NULL && restored) {
        m->file_id = row->file_id;
        m->restored = row->id;
        m->stem = strdup(t->stem);
    }
    if (m != NULL && publish_renamed(in->o.publish, row->stem, restored ? row->outcome : NULL, t->stem,
                                     k->job_path, (size_t)t->document, row->request_sha256, on_moved, m) == 0)
        return true;
    if (m != NULL)
        move_free(m);
    return false;
}

bool intake_publish_refusal(struct intake *in, const struct look *k, const char *stem, const char *message)
{
    struct outcome_move *m = move_begin(in, k);
    size_t len = 0;
    char job_sha256[DIGEST_HEX];
    const struct digest_part part = {k->bytes, k->len};
    if (k->bytes != NULL)
        digest_hex(&part, 1, job_sha256);
    const struct outcome o = {
        .job = k->job_path,
        .job_sha256 = k->bytes != NULL ? job_sha256 : NULL,
        .code = CODE_INVALID_JOB,
        .message = message,
        .queued_ms = k->seen_ms,
        .finished_ms = clock_unix_ms(),
        .duration_ms = -1,
    };
    if (m == NULL)
        return false;
    m->text = outcome_error(&o, &len);
    const struct publish_task task = {
        .stem = stem,
        .text = m->text,
        .len = len,
        .uid = k->st.uid,
        .gid = k->st.gid,
        .mode = k->st.mode,
    };
    if (m->text != NULL && publish_outcome(in->o.publish, &task, on_moved, m) == 0)
        return true;
    move_free(m);
    return false;
}
