/* Whether a job has ended: by its file, by the state, and where that knows nothing, by its outcome file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/waiting_internal.h"
#include "core/names.h"
#include "core/verdict.h"
#include "flowspool/flowspool.h"

/* ---- what is told ---- */

static void tell(struct looking *l, struct target *t, struct awaited *job, const struct ended_job *how)
{
    struct ended_job e = *how;
    size_t own = t->path != NULL ? name_stem_len(t->path) : 0;
    e.stem = job->stem;
    e.name = t->path != NULL && strlen(job->stem) == own ? t->path : job->stem;
    job->told = true;
    l->told++;
    l->w->ended(l->w->arg, &e);
}

static bool all_told(const struct target *t)
{
    for (size_t i = 0; i < t->njobs; i++)
        if (!t->jobs[i].told)
            return false;
    return t->njobs > 0;
}

/* ---- by the outcome file ---- */

/* Without a state it is all that there is; beside one, it is what a start would take over as it is. */
static void look_at_outcome(struct looking *l, struct target *t, struct awaited *job, const char *name)
{
    struct flowspool_outcome *o;
    if (flowspool_outcome_read(l->w->cfg->spool, name, &o, NULL) != 1)
        return;
    if (t->path != NULL &&
        strcmp(flowspool_outcome_job(o), t->path) != 0) { /* of another file, see is_refused() */
        flowspool_outcome_free(o);
        return;
    }
    const struct ended_job e = {
        .done = flowspool_outcome_success(o),
        .code = flowspool_outcome_error_code(o),
        .message = flowspool_outcome_error_message(o),
    };
    bool taken_over = e.done ? !flowspool_outcome_sandbox(o) : strcmp(e.code, CODE_AMBIGUOUS) == 0;
    if (l->store == NULL || t->outcome || taken_over)
        tell(l, t, job, &e);
    flowspool_outcome_free(o);
}

/* ---- by the state ---- */

struct known {
    struct file_row file;
    struct job_row *rows;
    size_t nrows;
    bool same; /* the file is as the state knows it */
};

static void find_rows(struct looking *l, struct target *t, struct known *k)
{
    *k = (struct known){0};
    if (l->store == NULL)
        return;
    if (store_file_by_path(l->store, t->path, &k->file))
        t->file_id = k->file.id;
    k->rows = t->file_id != 0 ? store_file_jobs(l->store, t->file_id, &k->nrows) : NULL;
    if (k->rows == NULL)
        k->nrows = 0;
    k->same = k->file.id != 0 && t->file != FILE_ABSENT && k->file.sig.ino == t->st.st_ino &&
              k->file.sig.size == t->st.st_size &&
              k->file.sig.mtime_ns == t->st.st_mtim.tv_sec * INT64_C(1000000000) + t->st.st_mtim.tv_nsec;
}

/* A job that is renamed within the spool stays the same one. */
static bool follow_rename(struct target *t, const struct known *k)
{
    if (k->file.id != 0 || k->nrows == 0 || t->stem != NULL || t->file != FILE_ABSENT ||
        k->rows[0].path[0] == '\0' || strcmp(k->rows[0].path, t->path) == 0)
        return false;
    char *path = strdup(k->rows[0].path);
    if (path == NULL)
        return false;
    free(t->path);
    t->path = path;
    t->watched = false;
    return true;
}

static const struct job_row *row_of(const struct known *k, const char *request)
{
    for (size_t i = 0; i < k->nrows; i++)
        if (job_row_is_current(&k->rows[i]) && strcmp(k->rows[i].request_sha256, request) == 0)
            return &k->rows[i];
    return NULL;
}

/* What retry was asked for has not ended, whatever it ended with before. A failed job whose file was written
 * or touched runs again, but for what may have been charged. */
static bool has_ended(const struct target *t, const struct known *k, const struct job_row *r)
{
    if ((r->blocked & JOB_ASKED_AGAIN) != 0)
        return false;
    if (r->state == JOB_DONE)
        return true;
    if (r->state != JOB_FAILED)
        return false;
    return t->file == FILE_ABSENT || k->same || code_if_charged(r->code, r->ambiguous) != NULL;
}

static void look_at_row(struct looking *l, struct target *t, const struct known *k, struct awaited *job,
                        const struct job_row *r)
{
    if (!has_ended(t, k, r))
        return;
    tell(l, t, job,
         &(struct ended_job){.done = r->state == JOB_DONE,
                             .code = r->code != NULL ? r->code : "?",
                             .message = r->message != NULL ? r->message : ""});
}

/* The whole file: it does not parse, is too large, or its outcome can have no name. */
static bool is_refused(struct looking *l, struct target *t, const struct known *k)
{
    const struct job_row *r = row_of(k, "");
    bool conflict = k->same && k->file.state == FILE_CONFLICT;
    if (!conflict && (r == NULL || !k->same || !has_ended(t, k, r)))
        return false;
    struct awaited job = {.stem = conflict ? t->path : r->stem};
    const struct ended_job e = {
        .code = conflict ? "refused" : r->code,
        .message = conflict ? k->file.fault : r->message,
    };
    tell(l, t, &job, &e);
    t->over = true;
    return true;
}

static void look_at_jobs(struct looking *l, struct target *t, const struct known *k)
{
    for (size_t i = 0; i < t->njobs; i++) {
        struct awaited *job = &t->jobs[i];
        if (job->told)
            continue;
        const struct job_row *r = row_of(k, job->request_sha256);
        if (r != NULL)
            look_at_row(l, t, k, job, r);
        else
            look_at_outcome(l, t, job, job->stem);
    }
    t->over = all_told(t);
}

/* Neither a file nor a row: only an outcome that was named itself. */
static void look_at_name(struct looking *l, struct target *t)
{
    struct awaited job = {.stem = t->stem};
    char *name = NULL;
    if (!t->outcome || t->stem == NULL)
        return;
    if (asprintf(&name, "%s.result.json", t->stem) < 0) {
        l->no_memory = true;
        return;
    }
    look_at_outcome(l, t, &job, name);
    free(name);
    t->over = job.told;
}

/* Only where there is no state: it would know whether the file was looked at since it was written. */
static void look_at_broken(struct looking *l, struct target *t)
{
    struct awaited job = {.stem = t->path};
    if (l->store != NULL)
        return;
    look_at_outcome(l, t, &job, t->path);
    t->over = job.told;
}

void look_at(struct looking *l, struct target *t)
{
    struct known k;
    if (t->path == NULL && !target_find_file(l, t)) {
        look_at_name(l, t);
        return;
    }
    target_read_file(l, t);
    find_rows(l, t, &k);
    if (follow_rename(t, &k))
        target_read_file(l, t);
    if (t->file == FILE_ABSENT)
        l->no_memory = !target_take_rows(t, k.rows, k.nrows) || l->no_memory;
    if (t->file != FILE_ABSENT && is_refused(l, t, &k))
        ;
    else if (t->file == FILE_BROKEN)
        look_at_broken(l, t);
    else if (t->njobs > 0)
        look_at_jobs(l, t, &k);
    else
        look_at_name(l, t);
    file_row_free(&k.file);
    job_rows_free(k.rows, k.nrows);
}
