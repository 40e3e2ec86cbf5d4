/* What a look found, against what is known: one transaction in the store, and the outcomes that move along.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "core/reconcile.h"
#include "core/verdict.h"
#include "daemon/intake_internal.h"
#include "io/log.h"

#define INODE_MATCHES 8

/* Everything one take gathers before it is handed over. */
struct take_plan {
    struct job_row *known;
    size_t nknown;
    struct take_job *jobs;
    char **stems;
    size_t njobs;
    int64_t *drop, *supersede;
    size_t ndrop, nsupersede;
    struct file_row renamed_from; /* id 0: not a rename */
    const char *conflict_owner;
    char *owner;       /* malloc'd, behind conflict_owner */
    bool runnable;     /* something was added to the queue */
    bool failed;       /* an outcome could not be sent on its way: look again */
    char message[640]; /* why the file was refused */
};

struct take_done {
    struct intake *in;
    struct path_entry *entry;
    struct store_take conflict; /* written instead when an outcome name is taken */
    char *path;
    char fault[600];
};

static void plan_free(struct take_plan *p)
{
    job_rows_free(p->known, p->nknown);
    for (size_t i = 0; p->stems != NULL && i < p->njobs; i++)
        free(p->stems[i]);
    free(p->stems);
    free(p->jobs);
    free(p->drop);
    free(p->supersede);
    free(p->owner);
    file_row_free(&p->renamed_from);
}

/* ---- the write and its end ---- */

static void finish(struct take_done *d)
{
    struct intake *in = d->in;
    bool again = d->entry->again;
    bool arrived = d->entry->arrived;
    pathmap_remove(&in->writing, d->entry);
    if (again && !in->stopped)
        intake_look(in, d->path, arrived, clock_unix_ms());
    intake_resume_scan(in);
    in->o.host.changed(in->o.host.arg);
    free(d->path);
    free(d);
}

static void on_conflict_written(void *arg, enum store_rc rc)
{
    (void)rc; /* a row without jobs has no outcome name to conflict about */
    finish(arg);
}

static void write_conflict(struct take_done *d)
{
    struct intake *in = d->in;
    d->conflict.file.state = FILE_CONFLICT;
    d->conflict.file.path = d->path;
    d->conflict.file.fault = d->fault;
    d->conflict.jobs = NULL;
    d->conflict.njobs = d->conflict.ndrop = d->conflict.nsupersede = 0;
    if (intake_tell_once(in, d->path)) {
        log_line(LOG_WARN, d->path, "refused: %s", d->fault);
        in->o.host.refused(in->o.host.arg);
    }
    store_take(in->o.store, &d->conflict, on_conflict_written, d);
}

static void on_taken(void *arg, enum store_rc rc)
{
    struct take_done *d = arg;
    if (rc == STORE_CONFLICT) {
        snprintf(d->fault, sizeof d->fault, "another job's outcome has the same name; rename one of them");
        write_conflict(d);
        return;
    }
    finish(d);
}

static struct take_done *begin_write(struct intake *in, const struct look *k, const struct store_take *t)
{
    struct take_done *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->in = in;
    d->path = strdup(k->job_path);
    d->entry = d->path != NULL ? pathmap_add(&in->writing, k->job_path) : NULL;
    if (d->entry == NULL) {
        free(d->path);
        free(d);
        return NULL;
    }
    d->conflict.file = t->file;
    return d;
}

/* ---- the file's own row ---- */

static struct file_row file_row_of(const struct look *k, const struct take_plan *p)
{
    union {
        const char *in;
        char *out;
    } path = {.in = k->job_path}; /* the store only reads it */
    struct file_row f = {
        .id = p->renamed_from.id != 0 ? p->renamed_from.id : k->row->id,
        .path = path.out,
        .sig = {k->st.dev, k->st.ino, k->st.size, k->st.mtime_ns, k->st.btime_ns},
        .seen_ms = p->renamed_from.id != 0 ? p->renamed_from.seen_ms
                   : k->row->id != 0       ? k->row->seen_ms
                                           : k->seen_ms,
        .held = k->held,
        .uid = k->st.uid,
        .gid = k->st.gid,
        .mode = k->st.mode,
        .documents = k->jobs != NULL ? (int)k->jobs->count : 0,
    };
    if (k->jobs != NULL)
        memcpy(f.job_sha256, k->jobs->job_sha256, sizeof f.job_sha256);
    return f;
}

static void note_conflict(struct intake *in, const struct look *k, const struct take_plan *p, const char *why)
{
    const struct store_take t = {.file = file_row_of(k, p)};
    struct take_done *d = begin_write(in, k, &t);
    if (d == NULL)
        return;
    snprintf(d->fault, sizeof d->fault, "%s", why);
    write_conflict(d);
}

/* ---- what is known ---- */

/* A file that was renamed: same inode, its old name gone, and a job of the same identity in it. */
static bool is_renamed(struct intake *in, const struct look *k, const struct file_row *candidate)
{
    char path[4096];
    struct spool_stat st;
    if (strcmp(candidate->path, k->job_path) == 0)
        return false;
    if (intake_find_file(in, candidate->path, path, sizeof path, &st) == 0 && st.ino == k->st.ino)
        return false; /* a second link: another job */
    size_t count = 0;
    bool same = false;
    struct job_row *jobs = store_file_jobs(in->o.store, candidate->id, &count);
    for (size_t i = 0; i < count && !same; i++)
        for (size_t j = 0; j < k->jobs->count && !same; j++)
            same = strcmp(jobs[i].request_sha256, k->jobs->jobs[j].request_sha256) == 0;
    job_rows_free(jobs, count);
    return same && pathmap_find(&in->writing, candidate->path) == NULL;
}

static void find_rename(struct intake *in, const struct look *k, struct take_plan *p)
{
    struct file_row rows[INODE_MATCHES] = {0};
    const struct file_sig sig = {k->st.dev, k->st.ino, k->st.size, k->st.mtime_ns, k->st.btime_ns};
    if (k->row->id != 0 && k->row->sig.ino == k->st.ino)
        return;
    size_t n = store_files_by_inode(in->o.store, &sig, rows, INODE_MATCHES);
    for (size_t i = 0; i < n; i++) {
        if (p->renamed_from.id == 0 && is_renamed(in, k, &rows[i]))
            p->renamed_from = rows[i];
        else
            file_row_free(&rows[i]);
    }
}

/* The path's own row gives way to the file that was renamed onto it. */
static void give_way(struct intake *in, const struct file_row *row)
{
    size_t count = 0;
    struct job_row *jobs = store_file_jobs(in->o.store, row->id, &count);
    for (size_t i = 0; i < count; i++) {
        in->o.host.drop(in->o.host.arg, jobs[i].id);
        in->o.host.supersede(in->o.host.arg, jobs[i].id);
    }
    job_rows_free(jobs, count);
    store_files_forget(in->o.store, &row->id, 1, NULL, NULL);
}

static bool is_elsewhere(const struct intake *in, const struct job_row *r)
{
    return r->state == JOB_DONE && r->sandbox && r->endpoint != NULL &&
           strcmp(r->endpoint, in->o.endpoint) != 0;
}

/* false: an outcome is being written right now; look again in a moment. */
static bool describe_known(struct intake *in, const struct look *k, const struct take_plan *p,
                           struct known_job *known)
{
    for (size_t i = 0; i < p->nknown; i++) {
        const struct job_row *r = &p->known[i];
        enum live_phase phase = in->o.host.phase(in->o.host.arg, r->id);
        if (phase == LIVE_PUBLISHING)
            return false;
        known[i] = (struct known_job){
            .id = r->id,
            .state = phase == LIVE_IN_FLIGHT ? JOB_SENT : r->state,
            .charged_failure = code_if_charged(r->code) != NULL,
            .superseded = (r->blocked & JOB_BLOCK_SUPERSEDED) != 0,
            .attempted = r->sends > 0,
            .elsewhere = is_elsewhere(in, r),
            .asked = job_set_has(k->retry, r->id) && (r->state != JOB_DONE || k->force_result),
        };
        memcpy(known[i].request_sha256, r->request_sha256, sizeof known[i].request_sha256);
    }
    return true;
}

/* ---- from matches to rows ---- */

static const struct job_row *row_of(const struct take_plan *p, int64_t id)
{
    for (size_t i = 0; i < p->nknown; i++)
        if (p->known[i].id == id)
            return &p->known[i];
    return NULL;
}

/* A job in flight under the same outcome name must end first. */
static int64_t must_end_first(struct intake *in, const struct take_plan *p, const char *stem)
{
    for (size_t i = 0; i < p->nknown; i++) {
        const struct job_row *r = &p->known[i];
        if (strcmp(r->stem, stem) == 0 && in->o.host.phase(in->o.host.arg, r->id) == LIVE_IN_FLIGHT)
            return r->id;
    }
    return 0;
}

static void fill_from_spec(struct take_job *t, const struct look *k, const struct job_spec *s, char *stem)
{
    *t = (struct take_job){
        .document = k->jobs->count > 1 ? (int)s->document : 0,
        .stem = stem,
        .doc_id = s->id[0] != '\0' ? s->id : NULL,
        .workflow = s->workflow,
        .request_sha256 = s->request_sha256,
        .priority = s->priority,
        .not_before_ms = s->not_before_ms,
        .expires_ms = s->expires_ms,
        .max_attempts = s->max_attempts,
        .due_ms = s->not_before_ms,
        .body = s->body,
        .body_len = s->body_len,
    };
}

static void already_done(struct intake *in, const struct look *k)
{
    if (!k->written)
        return;
    in->o.host.already_done(in->o.host.arg);
    log_line(LOG_INFO, k->job_path, "already done: same request, not sent again");
}

static void fill_job(struct intake *in, const struct look *k, struct take_plan *p, size_t i,
                     const struct reconcile_match *m)
{
    struct take_job *t = &p->jobs[i];
    const struct job_row *row = row_of(p, m->job);
    fill_from_spec(t, k, &k->jobs->jobs[i], p->stems[i]);
    t->id = m->job;
    switch (m->action) {
    case RECONCILE_NEW:
        t->what = TAKE_INSERT;
        t->after_job = must_end_first(in, p, t->stem);
        intake_adopt_beside(in, k, t->stem, t);
        p->runnable = p->runnable || t->state == JOB_WAITING;
        return;
    case RECONCILE_KEEP:
        t->what = TAKE_REFRESH;
        if (row->sends > 0 || in->o.host.phase(in->o.host.arg, row->id) == LIVE_IN_FLIGHT)
            t->body = NULL;
        in->o.host.drop(in->o.host.arg, row->id);
        in->o.host.renamed(in->o.host.arg, row->id, k->job_path, t->stem, t->document);
        p->runnable = true;
        return;
    case RECONCILE_ALREADY:
        t->what = TAKE_RESTORE;
        p->failed = !intake_move_outcome(in, k, row, t) || p->failed;
        already_done(in, k);
        return;
    case RECONCILE_SETTLED:
        t->what = TAKE_RESTORE;
        p->failed = !intake_move_outcome(in, k, row, t) || p->failed;
        if (k->written && code_if_charged(row->code) != NULL)
            log_line(LOG_WARN, k->job_path, "it may have been charged: only flowspool retry sends it again");
        return;
    case RECONCILE_RERUN:
        t->what = TAKE_RERUN;
        p->runnable = true;
        return;
    }
}

static void fill_leftovers(struct intake *in, struct take_plan *p, const enum reconcile_leftover *left)
{
    for (size_t i = 0; i < p->nknown; i++) {
        int64_t id = p->known[i].id;
        if (left[i] == LEFTOVER_NONE)
            continue;
        in->o.host.drop(in->o.host.arg, id);
        if (left[i] == LEFTOVER_DROP) {
            p->drop[p->ndrop++] = id;
            continue;
        }
        in->o.host.supersede(in->o.host.arg, id);
        p->supersede[p->nsupersede++] = id;
    }
}

/* ---- outcome names ---- */

static const char *name_fault(struct intake *in, const struct look *k, struct take_plan *p, char *buf,
                              size_t size)
{
    int64_t own = p->renamed_from.id != 0 ? p->renamed_from.id : k->row->id;
    for (size_t i = 0; i < p->njobs; i++) {
        bool several = k->jobs != NULL && k->jobs->count > 1;
        const char *id = several && k->jobs->jobs[i].id[0] != '\0' ? k->jobs->jobs[i].id : NULL;
        const char *why = name_refusal(k->job_path, several, id, i + 1);
        if (why != NULL)
            return why;
        p->owner = store_stem_owner(in->o.store, p->stems[i], own);
        if (p->owner != NULL && intake_let_go(in, p->owner)) {
            p->failed = true;
            return "the file that had the name of its outcome is gone";
        }
        if (p->owner != NULL && (k->row->id == 0 || strcmp(p->owner, k->job_path) != 0)) {
            snprintf(buf, size, "its outcome would have the same name as that of %s; rename one of them",
                     p->owner);
            return buf;
        }
        free(p->owner);
        p->owner = NULL;
    }
    return NULL;
}

static bool make_stems(const struct look *k, struct take_plan *p)
{
    p->njobs = k->jobs != NULL ? k->jobs->count : 1;
    p->stems = calloc(p->njobs, sizeof *p->stems);
    p->jobs = calloc(p->njobs, sizeof *p->jobs);
    p->drop = calloc(p->nknown + 1, sizeof *p->drop);
    p->supersede = calloc(p->nknown + 1, sizeof *p->supersede);
    if (p->stems == NULL || p->jobs == NULL || p->drop == NULL || p->supersede == NULL)
        return false;
    for (size_t i = 0; i < p->njobs; i++) {
        bool several = k->jobs != NULL && k->jobs->count > 1;
        const char *id = several && k->jobs->jobs[i].id[0] != '\0' ? k->jobs->jobs[i].id : NULL;
        p->stems[i] = name_outcome_stem(k->job_path, several, id, i + 1);
        if (p->stems[i] == NULL)
            return false;
    }
    return true;
}

/* ---- a file that does not parse ---- */

static bool refuse(struct intake *in, const struct look *k, struct take_plan *p)
{
    char *message = p->message;
    fault_describe(k->fault, message, sizeof p->message);
    for (size_t i = 0; i < p->nknown; i++) {
        const struct job_row *r = &p->known[i];
        enum live_phase phase = in->o.host.phase(in->o.host.arg, r->id);
        in->o.host.drop(in->o.host.arg, r->id);
        bool waiting = r->state == JOB_WAITING && phase != LIVE_IN_FLIGHT;
        if (waiting || r->request_sha256[0] == '\0') {
            p->drop[p->ndrop++] = r->id;
        } else if ((r->blocked & JOB_BLOCK_SUPERSEDED) == 0) {
            in->o.host.supersede(in->o.host.arg, r->id);
            p->supersede[p->nsupersede++] = r->id;
        }
    }
    p->jobs[0] = (struct take_job){
        .what = TAKE_INSERT,
        .stem = p->stems[0],
        .request_sha256 = "",
        .state = JOB_FAILED,
        .code = CODE_INVALID_JOB,
        .message = message,
    };
    log_refused(k->job_path, k->fault->line, k->fault->column, k->fault->text);
    in->o.host.refused(in->o.host.arg);
    return intake_publish_refusal(in, k, p->stems[0], message);
}

/* ---- all together ---- */

static bool plan_jobs(struct intake *in, const struct look *k, struct take_plan *p, bool *busy)
{
    struct known_job *known = calloc(p->nknown + 1, sizeof *known);
    struct reconcile_match *matches = calloc(p->njobs, sizeof *matches);
    enum reconcile_leftover *left = calloc(p->nknown + 1, sizeof *left);
    bool ok = known != NULL && matches != NULL && left != NULL;
    *busy = ok && !describe_known(in, k, p, known);
    if (ok && !*busy && k->jobs != NULL) {
        bool written = k->written && p->renamed_from.id == 0;
        ok = reconcile(k->jobs, known, p->nknown, written, matches, left);
        for (size_t i = 0; ok && i < p->njobs; i++)
            fill_job(in, k, p, i, &matches[i]);
        if (ok)
            fill_leftovers(in, p, left);
    }
    free(known);
    free(matches);
    free(left);
    return ok && !p->failed;
}

static int submit(struct intake *in, const struct look *k, struct take_plan *p)
{
    struct store_take t = {
        .file = file_row_of(k, p),
        .jobs = p->jobs,
        .njobs = p->njobs,
        .drop = p->drop,
        .ndrop = p->ndrop,
        .supersede = p->supersede,
        .nsupersede = p->nsupersede,
    };
    char fault[640];
    if (k->jobs == NULL) {
        fault_describe(k->fault, fault, sizeof fault);
        t.file.state = FILE_REFUSED;
        t.file.fault = fault;
    }
    struct take_done *d = begin_write(in, k, &t);
    if (d == NULL)
        return -EAGAIN;
    store_take(in->o.store, &t, on_taken, d);
    return 0;
}

int intake_take(struct intake *in, struct look *k)
{
    struct take_plan p = {0};
    char why[600];
    int rc = -EAGAIN;
    bool busy = false;
    if (k->jobs != NULL)
        find_rename(in, k, &p);
    int64_t file_id = p.renamed_from.id != 0 ? p.renamed_from.id : k->row->id;
    if (file_id != 0)
        p.known = store_file_jobs(in->o.store, file_id, &p.nknown);
    if (make_stems(k, &p)) {
        const char *fault = name_fault(in, k, &p, why, sizeof why);
        if (fault != NULL && !p.failed) {
            note_conflict(in, k, &p, fault);
            rc = 0;
        } else if (fault == NULL) {
            if (p.renamed_from.id != 0 && k->row->id != 0)
                give_way(in, k->row);
            bool ok = plan_jobs(in, k, &p, &busy);
            if (ok && !busy && k->jobs == NULL)
                ok = refuse(in, k, &p);
            if (ok && !busy)
                rc = submit(in, k, &p);
        }
    }
    plan_free(&p);
    return rc;
}
