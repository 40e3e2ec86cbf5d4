/* What a look found, against what is known: one transaction in the store. Outcomes follow it (place.c). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "core/names.h"
#include "core/reconcile.h"
#include "core/verdict.h"
#include "daemon/intake_internal.h"
#include "io/log.h"

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
    free(p->displace);
    file_row_free(&p->renamed_from);
}

/* ---- the write and its end ---- */

static void finish(struct take_done *d)
{
    struct intake *in = d->in;
    bool again = d->entry->again, force = d->entry->force;
    bool arrived = d->entry->arrived;
    pathmap_remove(&in->writing, d->entry);
    if (force)
        intake_look_again(in, d->path);
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

/* What the file held before is not what it holds now: it waits until the conflict is over. */
static void stop_jobs(struct intake *in, int64_t file_id)
{
    size_t count = 0;
    struct job_row *jobs = file_id != 0 ? store_file_jobs(in->o.store, file_id, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        in->o.host.drop(in->o.host.arg, jobs[i].id);
    job_rows_free(jobs, count);
}

static void write_conflict(struct take_done *d)
{
    struct intake *in = d->in;
    stop_jobs(in, d->conflict.file.id);
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

/* The rows that this take changes; looks at other paths must not decide by what they were. */
static bool note_files(struct path_entry *e, const struct store_take *t, const struct take_plan *p)
{
    e->files = calloc(t->ndisplace + p->nstrays + 1, sizeof *e->files);
    if (e->files == NULL)
        return false;
    for (size_t i = 0; i < t->ndisplace; i++)
        e->files[e->nfiles++] = t->displace[i];
    for (size_t i = p->nknown - p->nstrays; i < p->nknown; i++)
        e->files[e->nfiles++] = p->known[i].file_id;
    if (t->file.id != 0)
        e->files[e->nfiles++] = t->file.id;
    return true;
}

bool intake_changes(const struct intake *in, int64_t file_id)
{
    for (const struct path_entry *e = in->writing.first; e != NULL; e = e->next)
        for (size_t i = 0; i < e->nfiles; i++)
            if (e->files[i] == file_id)
                return true;
    return false;
}

static struct take_done *begin_write(struct intake *in, const struct look *k, const struct take_plan *p,
                                     const struct store_take *t)
{
    struct take_done *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->in = in;
    d->path = strdup(k->job_path);
    d->entry = d->path != NULL ? pathmap_add(&in->writing, k->job_path) : NULL;
    if (d->entry != NULL && note_files(d->entry, t, p)) {
        d->conflict.file = t->file;
        return d;
    }
    if (d->entry != NULL)
        pathmap_remove(&in->writing, d->entry);
    free(d->path);
    free(d);
    return NULL;
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
        .sig = spool_sig(&k->st),
        .seen_ms = p->renamed_from.id != 0 ? p->renamed_from.seen_ms
                   : k->row->id != 0       ? k->row->seen_ms
                                           : k->seen_ms,
        .held = k->held,
        .uid = k->st.uid,
        .gid = k->st.gid,
        .mode = k->st.mode,
        .documents = k->jobs != NULL ? (int)k->jobs->count : 0,
    };
    const struct digest_part whole = {k->bytes, k->len};
    if (k->jobs != NULL)
        memcpy(f.job_sha256, k->jobs->job_sha256, sizeof f.job_sha256);
    else if (k->bytes != NULL)
        digest_hex(&whole, 1, f.job_sha256);
    return f;
}

static void note_conflict(struct intake *in, const struct look *k, const struct take_plan *p, const char *why)
{
    /* The path's own row gives way even so; of the owners of outcome names none has to. */
    bool renamed = p->renamed_from.id != 0 && k->row->id != 0;
    const struct store_take t = {
        .file = file_row_of(k, p), .displace = &k->row->id, .ndisplace = renamed ? 1 : 0};
    struct take_done *d = begin_write(in, k, p, &t);
    if (d == NULL)
        return;
    if (renamed)
        take_give_way(in, k->row->id);
    snprintf(d->fault, sizeof d->fault, "%s", why);
    write_conflict(d);
}

/* ---- what is known ---- */

static bool is_elsewhere(const struct intake *in, const struct job_row *r)
{
    return r->state == JOB_DONE && r->sandbox && r->endpoint != NULL &&
           strcmp(r->endpoint, in->o.endpoint) != 0;
}

/* false: an outcome is being written right now; look again in a moment. */
static bool describe_known(struct intake *in, const struct take_plan *p, struct known_job *known)
{
    for (size_t i = 0; i < p->nknown; i++) {
        const struct job_row *r = &p->known[i];
        enum live_phase phase = in->o.host.phase(in->o.host.arg, r->id);
        if (phase == LIVE_PUBLISHING)
            return false;
        known[i] = (struct known_job){
            .id = r->id,
            .state = phase == LIVE_IN_FLIGHT ? JOB_SENT : r->state,
            .charged_failure = code_if_charged(r->code, r->ambiguous) != NULL,
            .superseded = !job_row_is_current(r),
            .attempted = r->sends > 0,
            .elsewhere = is_elsewhere(in, r),
            .asked = (r->blocked & (JOB_ASKED_AGAIN | JOB_BLOCK_SUPERSEDED)) == JOB_ASKED_AGAIN,
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
    t->moved_in = row != NULL && row >= p->known + p->nknown - p->nstrays;
    switch (m->action) {
    case RECONCILE_NEW:
        t->what = TAKE_INSERT;
        t->after_job = must_end_first(in, p, t->stem);
        intake_adopt_beside(in, k, t->stem, t);
        return;
    case RECONCILE_KEEP:
        t->what = TAKE_REFRESH;
        if (row->sends > 0 || in->o.host.phase(in->o.host.arg, row->id) == LIVE_IN_FLIGHT)
            t->body = NULL;
        in->o.host.drop(in->o.host.arg, row->id);
        in->o.host.renamed(in->o.host.arg, row->id, k->job_path, t->stem, t->document);
        return;
    case RECONCILE_ALREADY:
        t->what = TAKE_RESTORE;
        t->same = k->written;
        already_done(in, k);
        return;
    case RECONCILE_SETTLED:
        t->what = TAKE_RESTORE;
        if (k->written && code_if_charged(row->code, row->ambiguous) != NULL)
            log_line(LOG_WARN, k->job_path, "it may have been charged: only flowspool retry sends it again");
        return;
    case RECONCILE_RERUN:
        t->what = TAKE_RERUN;
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

/* ---- a file that does not parse ---- */

static void refuse(struct intake *in, const struct look *k, struct take_plan *p)
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
        } else if (job_row_is_current(r)) {
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
        .finished_ms = clock_unix_ms(),
    };
    log_refused(k->job_path, k->fault->line, k->fault->column, k->fault->text);
    in->o.host.refused(in->o.host.arg);
}

/* ---- all together ---- */

static bool plan_jobs(struct intake *in, const struct look *k, struct take_plan *p, bool *busy)
{
    struct known_job *known = calloc(p->nknown + 1, sizeof *known);
    struct reconcile_match *matches = calloc(p->njobs, sizeof *matches);
    enum reconcile_leftover *left = calloc(p->nknown + 1, sizeof *left);
    bool ok = known != NULL && matches != NULL && left != NULL;
    *busy = ok && !describe_known(in, p, known);
    if (ok && !*busy && k->jobs != NULL) {
        bool renamed = p->renamed_from.id != 0 || (k->row->id == 0 && p->nstrays > 0);
        bool written = k->written && !renamed;
        ok = reconcile(k->jobs, known, p->nknown, written, matches, left);
        for (size_t i = 0; ok && i < p->njobs; i++)
            fill_job(in, k, p, i, &matches[i]);
        if (ok)
            fill_leftovers(in, p, left);
    }
    free(known);
    free(matches);
    free(left);
    return ok;
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
        .displace = p->displace,
        .ndisplace = p->ndisplace,
    };
    char fault[640];
    if (k->jobs == NULL) {
        fault_describe(k->fault, fault, sizeof fault);
        t.file.state = FILE_REFUSED;
        t.file.fault = fault;
    }
    struct take_done *d = begin_write(in, k, p, &t);
    if (d == NULL)
        return -EAGAIN;
    for (size_t i = 0; i < p->ndisplace; i++)
        take_give_way(in, p->displace[i]);
    store_take(in->o.store, &t, on_taken, d);
    return 0;
}

static int take_named(struct intake *in, const struct look *k, struct take_plan *p)
{
    char why[600];
    bool busy = false;
    if (p->renamed_from.id != 0 && k->row->id != 0)
        take_displace(in, p, k->row->id);
    const char *fault = take_name_fault(in, k, p, why, sizeof why);
    if (p->again)
        return -EAGAIN;
    if (fault != NULL) {
        note_conflict(in, k, p, fault);
        return 0;
    }
    if (!plan_jobs(in, k, p, &busy) || busy)
        return -EAGAIN;
    if (k->jobs == NULL)
        refuse(in, k, p);
    return submit(in, k, p);
}

int intake_take(struct intake *in, struct look *k)
{
    struct take_plan p = {0};
    int rc = -EAGAIN;
    if (k->row->id != 0 && intake_changes(in, k->row->id))
        return rc;
    if (k->jobs == NULL || take_find_rename(in, k, &p)) {
        int64_t file_id = p.renamed_from.id != 0 ? p.renamed_from.id : k->row->id;
        if (file_id != 0)
            p.known = store_file_jobs(in->o.store, file_id, &p.nknown);
        if ((k->jobs == NULL || take_find_strays(in, k, &p)) && take_stems(k, &p))
            rc = take_named(in, k, &p);
    }
    plan_free(&p);
    return rc;
}
