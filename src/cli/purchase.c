#include "cli/purchase.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "core/outcome.h"
#include "core/reconcile.h"
#include "core/verdict.h"

#define INODE_MATCHES 8

/* What the state knows of one file. */
struct known {
    struct job_row *rows;
    size_t count;
    bool written; /* the file has changed since */
};

/* ---- the outcome beside a job ---- */

static bool counts(const struct purchases *p, bool sandbox, const char *endpoint)
{
    return !sandbox || (endpoint != NULL && p->endpoint[0] != '\0' && strcmp(endpoint, p->endpoint) == 0);
}

static bool read_beside(const struct purchases *p, const char *stem, const char *ending, const char *request,
                        struct outcome_summary *out)
{
    char path[PATH_MAX];
    char *text = NULL;
    size_t len = 0;
    *out = (struct outcome_summary){0};
    if (snprintf(path, sizeof path, "%s%s", stem, ending) >= (int)sizeof path ||
        spool_read_outcome(p->spool, path, p->outcome_max, &text, &len) != 0)
        return false;
    bool ours = outcome_read(text, len, out) && strcmp(out->request_sha256, request) == 0 &&
                counts(p, out->sandbox, out->endpoint);
    free(text);
    return ours;
}

static enum purchase judge_beside(const struct purchases *p, const char *stem, const char *request)
{
    struct outcome_summary s;
    bool done = read_beside(p, stem, ".result.json", request, &s) && s.success;
    outcome_summary_free(&s);
    if (done)
        return PURCHASE_DONE;
    bool charged = read_beside(p, stem, ".error.json", request, &s) && !s.success &&
                   code_if_charged(s.code, s.ambiguous) != NULL;
    outcome_summary_free(&s);
    return charged ? PURCHASE_SETTLED : PURCHASE_BUY;
}

/* ---- what the state knows ---- */

static bool has_one_of(const struct job_row *rows, size_t count, const struct jobfile *jobs)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < jobs->count; k++)
            if (strcmp(rows[i].request_sha256, jobs->jobs[k].request_sha256) == 0)
                return true;
    return false;
}

/* A second link to the same file is another job. */
static bool is_still_there(const struct purchases *p, const struct file_row *f)
{
    static const char *const endings[] = {"", ".hold"};
    char path[PATH_MAX];
    struct spool_stat st;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (snprintf(path, sizeof path, "%s%s", f->path, endings[i]) < (int)sizeof path &&
            spool_stat(p->spool, path, &st) == 0 && st.ino == f->sig.ino)
            return true;
    return false;
}

static bool take_renamed(const struct purchases *p, const char *path, const struct spool_stat *st,
                         const struct jobfile *jobs, struct known *k)
{
    struct file_row rows[INODE_MATCHES] = {0};
    const struct file_sig sig = spool_sig(st);
    size_t n = store_files_by_inode(p->store, &sig, rows, INODE_MATCHES);
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        if (!found && strcmp(rows[i].path, path) != 0 && !is_still_there(p, &rows[i])) {
            k->rows = store_file_jobs(p->store, rows[i].id, &k->count);
            found = has_one_of(k->rows, k->count, jobs);
            if (!found)
                job_rows_free(k->rows, k->count);
        }
        file_row_free(&rows[i]);
    }
    if (!found)
        *k = (struct known){0};
    return found;
}

static void look_up(const struct purchases *p, const char *path, const struct spool_stat *st,
                    const struct jobfile *jobs, struct known *k)
{
    struct file_row f = {0};
    const struct file_sig sig = spool_sig(st);
    *k = (struct known){.written = true};
    if (p->store == NULL)
        return;
    bool there = store_file_by_path(p->store, path, &f);
    bool renamed = (!there || f.sig.ino != st->ino) && take_renamed(p, path, st, jobs, k);
    k->written = !renamed && (!there || !file_sig_same(&f.sig, &sig));
    if (there && !renamed)
        k->rows = store_file_jobs(p->store, f.id, &k->count);
    file_row_free(&f);
}

static struct known_job known_job(const struct purchases *p, const struct job_row *r)
{
    struct known_job j = {
        .id = r->id,
        .state = r->state,
        .charged_failure = code_if_charged(r->code, r->ambiguous) != NULL,
        .superseded = !job_row_is_current(r),
        .attempted = r->sends > 0,
        .elsewhere = r->state == JOB_DONE && !counts(p, r->sandbox, r->endpoint),
        .asked = (r->blocked & (JOB_ASKED_AGAIN | JOB_BLOCK_SUPERSEDED)) == JOB_ASKED_AGAIN,
    };
    memcpy(j.request_sha256, r->request_sha256, sizeof j.request_sha256);
    return j;
}

static const struct job_row *row_of(const struct known *k, int64_t id)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->rows[i].id == id)
            return &k->rows[i];
    return NULL;
}

/* ---- together ---- */

static enum purchase judge(const struct purchases *p, const char *path, const struct jobfile *jobs, size_t i,
                           const struct reconcile_match *m, const struct known *k, bool *no_memory)
{
    const struct job_spec *job = &jobs->jobs[i];
    const struct job_row *row = row_of(k, m->job);
    enum purchase found = PURCHASE_BUY;
    switch (m->action) {
    case RECONCILE_NEW: {
        char *stem = name_outcome_stem(path, jobs->count > 1, job->id, i + 1);
        *no_memory = *no_memory || stem == NULL;
        if (stem != NULL)
            found = judge_beside(p, stem, job->request_sha256);
        free(stem);
        break;
    }
    case RECONCILE_KEEP:
        found = row == NULL || row->state == JOB_WAITING ? PURCHASE_BUY : PURCHASE_ON_WAY;
        break;
    case RECONCILE_ALREADY:
        found = PURCHASE_DONE;
        break;
    case RECONCILE_SETTLED:
        found = PURCHASE_SETTLED;
        break;
    case RECONCILE_RERUN:
        break;
    }
    bool expired = job->expires_ms != 0 && job->expires_ms <= p->now_ms;
    return found == PURCHASE_BUY && expired ? PURCHASE_EXPIRED : found;
}

bool purchase_judge(const struct purchases *p, const char *path, const struct spool_stat *st,
                    const struct jobfile *jobs, enum purchase *out)
{
    struct known k;
    bool no_memory = false;
    look_up(p, path, st, jobs, &k);
    struct known_job *known = calloc(k.count + 1, sizeof *known);
    struct reconcile_match *matches = calloc(jobs->count, sizeof *matches);
    enum reconcile_leftover *left = calloc(k.count + 1, sizeof *left);
    bool ok = known != NULL && matches != NULL && left != NULL;
    for (size_t i = 0; ok && i < k.count; i++)
        known[i] = known_job(p, &k.rows[i]);
    ok = ok && reconcile(jobs, known, k.count, k.written, matches, left);
    for (size_t i = 0; ok && i < jobs->count; i++)
        out[i] = judge(p, path, jobs, i, &matches[i], &k, &no_memory);
    job_rows_free(k.rows, k.count);
    free(known);
    free(matches);
    free(left);
    return ok && !no_memory;
}
