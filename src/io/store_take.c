/* Writes of the intake: what one look at one file changes, and what becomes of files. */
#include <stdlib.h>
#include <string.h>

#include "io/clock.h"
#include "io/store_internal.h"

/* ---- one look at one file ---- */

struct take_op {
    struct op op;
    struct store_take t;
    struct carried *carried; /* beside t.jobs */
};

/* What a job of this take has from the jobs that were there. */
struct carried {
    bool returns; /* superseded until now: it is current again */
    bool held;    /* it is new, or returns, where a hold is */
};

/* The names of this take among other files' jobs: taken. */
#define TAKE_CONFLICT (-2)

/* The file was moved over, or away with nobody telling yet. The row keeps its inode, so that it is found
 * again should the file turn up elsewhere, and loses the path for one that no file can have. Its jobs give up
 * their outcome names; what is in flight is kept as superseded. */
static int displace_file(struct writer *w, int64_t file)
{
    struct query q =
        query_on(&w->c, "UPDATE files SET path = CAST(char(0) || id AS BLOB), missing_ms = ? WHERE id = ?");
    query_int(&q, clock_unix_ms());
    query_int(&q, file);
    int rc = query_run(&q);
    if (rc != SQLITE_OK)
        return rc;
    q = query_on(&w->c, "UPDATE jobs SET blocked = blocked | 9 WHERE file_id = ?");
    query_int(&q, file);
    return query_run(&q);
}

static int displace(struct writer *w, const struct store_take *t)
{
    struct query q = query_on(&w->c, "SELECT id FROM files WHERE path = ? AND id <> ?");
    query_name(&q, t->file.path);
    query_int(&q, t->file.id);
    int64_t other = query_row(&q) ? sqlite3_column_int64(q.stmt, 0) : 0;
    int rc = query_end(&q);
    if (rc == SQLITE_OK && other != 0)
        rc = displace_file(w, other);
    for (size_t i = 0; i < t->ndisplace && rc == SQLITE_OK; i++)
        rc = displace_file(w, t->displace[i]);
    return rc;
}

static void bind_sig(struct query *q, const struct file_sig *sig)
{
    query_int(q, (int64_t)sig->dev);
    query_int(q, (int64_t)sig->ino);
    query_int(q, sig->btime_ns);
    query_int(q, sig->size);
    query_int(q, sig->mtime_ns);
}

static void bind_file(struct query *q, const struct file_row *f)
{
    query_name(q, f->path);
    bind_sig(q, &f->sig);
    query_text(q, f->job_sha256);
    query_int(q, f->seen_ms);
    query_int(q, f->state);
    query_text(q, f->fault);
    query_int(q, f->documents);
    query_int(q, f->held);
    query_int(q, f->uid);
    query_int(q, f->gid);
    query_int(q, f->mode);
}

static int insert_file(struct writer *w, const struct file_row *f, int64_t *id)
{
    struct query q =
        query_on(&w->c, "INSERT INTO files(path, dev, ino, btime_ns, size, mtime_ns, job_sha256, seen_ms,"
                        " state, fault, documents, held, uid, gid, mode, missing_ms)"
                        " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)");
    bind_file(&q, f);
    int rc = query_run(&q);
    *id = sqlite3_last_insert_rowid(w->c.db);
    return rc;
}

static int update_file(struct writer *w, const struct file_row *f)
{
    struct query q =
        query_on(&w->c, "UPDATE files SET path = ?, dev = ?, ino = ?, btime_ns = ?, size = ?,"
                        " mtime_ns = ?, job_sha256 = ?, seen_ms = ?, state = ?, fault = ?, documents = ?,"
                        " held = ?, uid = ?, gid = ?, mode = ?, missing_ms = 0 WHERE id = ?");
    bind_file(&q, f);
    query_int(&q, f->id);
    int rc = query_run(&q);
    if (rc == SQLITE_OK && sqlite3_changes(w->c.db) != 1)
        return writer_bug(w, "file %lld is not known", (long long)f->id);
    return rc;
}

static int blocks_of(const struct file_row *f)
{
    return (f->held ? JOB_BLOCK_HOLD_FILE : 0) | (f->state == FILE_CONFLICT ? JOB_BLOCK_CONFLICT : 0);
}

/* Path, hold, presence and refusal of a file are those of all its jobs. */
static int update_jobs_of_file(struct writer *w, const struct file_row *f)
{
    struct query q = query_on(&w->c, "UPDATE jobs SET path = ?1, blocked = (blocked & ~67) | ?2"
                                     " WHERE file_id = ?3 AND (path <> ?1 OR (blocked & 67) <> ?2)");
    query_name(&q, f->path);
    query_int(&q, blocks_of(f));
    query_int(&q, f->id);
    return query_run(&q);
}

static int drop_jobs(struct writer *w, const struct store_take *t)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < t->ndrop && rc == SQLITE_OK; i++) {
        struct query q = query_on(&w->c, "SELECT 1 FROM jobs WHERE id = ? AND " SQL_OPEN);
        query_int(&q, t->drop[i]);
        bool open = query_row(&q);
        rc = query_end(&q);
        if (rc == SQLITE_OK && open) /* its row is all that is known about a request that may be charged */
            return writer_bug(w, "job %lld is on its way and cannot be dropped", (long long)t->drop[i]);
        if (rc == SQLITE_OK)
            rc = writer_delete_job(w, t->drop[i]);
    }
    return rc;
}

/* A hold is on the place as much as on what stands there: who holds a job to edit its file does not mean the
 * edited one to be sent at once. A new job is held where the one with its outcome's name was, or where all of
 * the file's that had not ended were. That of a file that did not parse meanwhile keeps the hold's place.
 * Asked here and not by who looked at the file, because a hold may have been written since. */
static int look_for_hold(struct writer *w, int64_t file, const struct take_job *j, struct carried *c)
{
    struct query q = query_on(
        &w->c, "SELECT EXISTS(SELECT 1 FROM jobs WHERE file_id = ?1 AND (blocked & 12) = 4 AND stem = ?2)"
               " OR (EXISTS(SELECT 1 FROM jobs WHERE file_id = ?1 AND (blocked & 12) = 4)"
               "  AND NOT EXISTS(SELECT 1 FROM jobs WHERE file_id = ?1 AND (blocked & 12) = 0"
               "   AND (state < 3 OR request_sha256 = '')))");
    query_int(&q, file);
    query_name(&q, j->stem);
    c->held = query_row(&q) && sqlite3_column_int(q.stmt, 0) != 0;
    return query_end(&q);
}

static int carry_over(struct writer *w, const struct store_take *t, bool holds, size_t i, struct carried *c)
{
    const struct take_job *j = &t->jobs[i];
    if (j->what != TAKE_INSERT) {
        struct query q = query_on(&w->c, "SELECT (blocked & 8) <> 0 FROM jobs WHERE id = ?");
        query_int(&q, j->id);
        c->returns = query_row(&q) && sqlite3_column_int(q.stmt, 0) != 0;
        int rc = query_end(&q);
        if (rc != SQLITE_OK || !c->returns)
            return rc;
    }
    return holds ? look_for_hold(w, t->file.id, j, c) : SQLITE_OK;
}

/* Whether anything of the file is held is asked once: each look for a hold walks all its jobs, of which there
 * may be ten thousand. */
static int carry_all_over(struct writer *w, struct take_op *op)
{
    for (size_t i = 0; i < op->t.njobs; i++)
        op->carried[i] = (struct carried){0};
    if (op->t.file.id == 0)
        return SQLITE_OK;
    struct query q =
        query_on(&w->c, "SELECT EXISTS(SELECT 1 FROM jobs WHERE file_id = ? AND (blocked & 12) = 4)");
    query_int(&q, op->t.file.id);
    bool holds = query_row(&q) && sqlite3_column_int(q.stmt, 0) != 0;
    int rc = query_end(&q);
    for (size_t i = 0; i < op->t.njobs && rc == SQLITE_OK; i++)
        rc = carry_over(w, &op->t, holds, i, &op->carried[i]);
    return rc;
}

static int set_superseded(struct writer *w, int64_t job)
{
    struct query q = query_on(&w->c, "UPDATE jobs SET blocked = blocked | 8 WHERE id = ?");
    query_int(&q, job);
    return writer_change_job(w, &q, job, "known");
}

/* Which file it was in: that may turn up under another name. */
static int note_inode(struct writer *w, int64_t job)
{
    struct query q =
        query_on(&w->c, "UPDATE jobs SET dev = f.dev, ino = f.ino, btime_ns = f.btime_ns FROM files f"
                        " WHERE f.id = jobs.file_id AND jobs.id = ?");
    query_int(&q, job);
    return query_run(&q);
}

static int supersede_jobs(struct writer *w, const struct store_take *t)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < t->nsupersede && rc == SQLITE_OK; i++) {
        /* That it was to run again was said of what its file held then. */
        struct query q = query_on(&w->c, "UPDATE jobs SET blocked = (blocked | 8) & ~32 WHERE id = ?");
        query_int(&q, t->supersede[i]);
        rc = writer_change_job(w, &q, t->supersede[i], "known");
        if (rc == SQLITE_OK)
            rc = note_inode(w, t->supersede[i]);
    }
    /* Documents that trade places trade stems: until each has its new one, none holds any. */
    for (size_t i = 0; i < t->njobs && t->njobs > 1 && rc == SQLITE_OK; i++)
        if (t->jobs[i].what != TAKE_INSERT)
            rc = set_superseded(w, t->jobs[i].id);
    return rc;
}

/* Only a waiting job's body may change: an attempt fixes it, and what has an outcome needs none. */
static int put_body(struct writer *w, int64_t job, const struct take_job *j)
{
    if (j->body == NULL)
        return SQLITE_OK;
    struct query q = query_on(&w->c, "INSERT OR REPLACE INTO bodies(job_id, body)"
                                     " SELECT id, ?2 FROM jobs WHERE id = ?1 AND state = 0");
    query_int(&q, job);
    query_bytes(&q, j->body, j->body_len);
    return query_run(&q);
}

static void bind_file_of_job(struct query *q, const struct file_row *f)
{
    query_text(q, f->job_sha256);
    query_int(q, f->uid);
    query_int(q, f->gid);
    query_int(q, f->mode);
}

static void bind_schedule(struct query *q, const struct take_job *j)
{
    query_int(q, j->document);
    query_name(q, j->stem);
    query_text(q, j->doc_id);
    query_int(q, j->priority);
    query_int(q, j->not_before_ms);
    query_int(q, j->expires_ms);
    query_int(q, j->max_attempts);
}

static int hold_bit(const struct carried *c)
{
    return c->held ? JOB_BLOCK_HOLD : 0;
}

static int insert_job(struct writer *w, const struct file_row *f, const struct take_job *j,
                      const struct carried *c)
{
    if (j->state != JOB_WAITING && j->state != JOB_DONE && j->state != JOB_FAILED)
        return writer_bug(w, "a new job cannot be %s", job_state_name(j->state));
    struct query q = query_on(
        &w->c, "INSERT INTO jobs(document, stem, doc_id, priority, not_before_ms, expires_ms, max_attempts,"
               " job_sha256, uid, gid, mode, file_id, path, seen_ms, blocked, workflow, request_sha256, "
               "state, due_ms,"
               " queued_ms, code, message, endpoint, sandbox, after_job, finished_ms, placed)"
               " VALUES(?,?,?,?,?,?,?, ?,?,?,?, ?,?,?,?, ?,?,?,?, ?,?,?,?,?,?,?,?)");
    bind_schedule(&q, j);
    bind_file_of_job(&q, f);
    query_int(&q, f->id);
    query_name(&q, f->path);
    query_int(&q, f->seen_ms);
    bool keeps_hold = j->state == JOB_WAITING || j->request_sha256 == NULL || j->request_sha256[0] == '\0';
    query_int(&q, (f->held ? JOB_BLOCK_HOLD_FILE : 0) | (keeps_hold ? hold_bit(c) : 0));
    query_text(&q, j->workflow);
    query_text(&q, j->request_sha256 != NULL ? j->request_sha256 : "");
    query_int(&q, j->state);
    query_int(&q, j->state == JOB_WAITING ? j->due_ms : 0);
    query_int(&q, j->queued_ms != 0 ? j->queued_ms : f->seen_ms);
    query_text(&q, j->code);
    query_text(&q, j->message);
    query_text(&q, j->endpoint);
    query_int(&q, j->sandbox);
    query_int(&q, j->after_job);
    query_int(&q, j->finished_ms);
    if (j->beside)
        query_name(&q, j->stem);
    else
        query_text(&q, NULL);
    return query_run(&q);
}

/* A due time that stands for the old not_before follows the new one; a longer backoff stays. */
static int refresh_job(struct writer *w, const struct file_row *f, const struct take_job *j,
                       const struct carried *c)
{
    struct query q =
        query_on(&w->c, "UPDATE jobs SET document = ?1, stem = ?2, doc_id = ?3, priority = ?4,"
                        " due_ms = CASE WHEN state <> 0 OR not_before_ms = ?5 THEN due_ms"
                        "  WHEN due_ms = 0 OR due_ms = not_before_ms THEN ?5 ELSE max(due_ms, ?5) END,"
                        " not_before_ms = ?5, expires_ms = ?6, max_attempts = ?7,"
                        " blocked = iif(?13, (blocked & ~28) | ?14, blocked & ~8),"
                        " job_sha256 = iif(state < 3, ?8, job_sha256), uid = iif(state < 3, ?9, uid),"
                        " gid = iif(state < 3, ?10, gid), mode = iif(state < 3, ?11, mode)"
                        " WHERE id = ?12 AND file_id = ?15");
    bind_schedule(&q, j);
    bind_file_of_job(&q, f);
    query_int(&q, j->id);
    query_int(&q, c->returns);
    query_int(&q, hold_bit(c));
    query_int(&q, f->id);
    return writer_change_job(w, &q, j->id, "a job of this file");
}

static int rerun_job(struct writer *w, const struct file_row *f, const struct take_job *j,
                     const struct carried *c)
{
    struct query q = query_on(
        &w->c,
        "UPDATE jobs SET document = ?1, stem = ?2, doc_id = ?3, priority = ?4, not_before_ms = ?5,"
        " expires_ms = ?6, max_attempts = ?7, job_sha256 = ?8, uid = ?9, gid = ?10, mode = ?11,"
        " workflow = coalesce(?14, workflow), request_sha256 = coalesce(?15, request_sha256),"
        " state = 0, due_ms = ?16, queued_ms = iif(?17 <> 0, ?17, queued_ms), after_job = ?18,"
        " blocked = (blocked & ~60) | ?19, attempts = 0, rate_limited = 0, ambiguous = 0, started_ms = 0,"
        " finished_ms = 0, duration_ms = -1, http_status = 0, code = NULL, message = NULL,"
        " request_id = NULL, endpoint = NULL, sandbox = 0, outcome = NULL"
        " WHERE id = ?12 AND file_id = ?13 AND state IN (0, 3, 4)");
    bind_schedule(&q, j);
    bind_file_of_job(&q, f);
    query_int(&q, j->id);
    query_int(&q, f->id);
    query_text(&q, j->workflow);
    query_text(&q, j->request_sha256);
    query_int(&q, j->due_ms);
    query_int(&q, j->queued_ms);
    query_int(&q, j->after_job);
    query_int(&q, hold_bit(c));
    return writer_change_job(w, &q, j->id, "a job of this file that can run again");
}

static int restore_job(struct writer *w, const struct file_row *f, const struct take_job *j)
{
    struct query q =
        query_on(&w->c, "UPDATE jobs SET document = ?, stem = ?, doc_id = ?, blocked = blocked & ~8"
                        " WHERE id = ? AND file_id = ?");
    query_int(&q, j->document);
    query_name(&q, j->stem);
    query_text(&q, j->doc_id);
    query_int(&q, j->id);
    query_int(&q, f->id);
    return writer_change_job(w, &q, j->id, "a job of this file");
}

static int move_in(struct writer *w, const struct file_row *f, int64_t job)
{
    struct query q =
        query_on(&w->c, "UPDATE jobs SET file_id = ?, path = ?, blocked = (blocked & ~67) | ? WHERE id = ?");
    query_int(&q, f->id);
    query_name(&q, f->path);
    query_int(&q, blocks_of(f));
    query_int(&q, job);
    return writer_change_job(w, &q, job, "known");
}

static int take_one_job(struct writer *w, const struct file_row *f, const struct take_job *j,
                        const struct carried *c)
{
    int rc = WRITE_BUG;
    int64_t id = j->id;
    if (j->moved_in && (rc = move_in(w, f, id)) != SQLITE_OK)
        return rc;
    switch (j->what) {
    case TAKE_INSERT:
        rc = insert_job(w, f, j, c);
        id = sqlite3_last_insert_rowid(w->c.db);
        break;
    case TAKE_REFRESH:
        rc = refresh_job(w, f, j, c);
        break;
    case TAKE_RERUN:
        rc = rerun_job(w, f, j, c);
        break;
    case TAKE_RESTORE:
        rc = restore_job(w, f, j);
        break;
    }
    if (rc == SQLITE_OK && (j->beside || j->same))
        rc = writer_saved(w, j->beside ? LEDGER_ADOPTED : LEDGER_SAME);
    if (rc == SQLITE_CONSTRAINT_UNIQUE) /* jobs_stem: the only such index a job's row is in */
        return TAKE_CONFLICT;
    return rc == SQLITE_OK ? put_body(w, id, j) : rc;
}

static int take_file(struct writer *w, struct take_op *op)
{
    const struct store_take *t = &op->t;
    struct file_row f = t->file;
    int rc = displace(w, t);
    if (rc == SQLITE_OK)
        rc = carry_all_over(w, op);
    if (rc == SQLITE_OK)
        rc = drop_jobs(w, t);
    if (rc == SQLITE_OK)
        rc = supersede_jobs(w, t);
    if (rc == SQLITE_OK && f.id == 0)
        rc = insert_file(w, &f, &f.id);
    else if (rc == SQLITE_OK && (rc = update_file(w, &f)) == SQLITE_OK)
        rc = update_jobs_of_file(w, &f);
    for (size_t i = 0; i < t->njobs && rc == SQLITE_OK; i++)
        rc = take_one_job(w, &f, &t->jobs[i], &op->carried[i]);
    return rc;
}

static int take_exec(struct writer *w, struct op *base)
{
    struct take_op *op = (struct take_op *)base;
    int rc = connection_run(&w->c, "SAVEPOINT take");
    if (rc == SQLITE_OK)
        rc = take_file(w, op);
    if (rc == TAKE_CONFLICT) {
        base->rc = STORE_CONFLICT;
        rc = connection_run(&w->c, "ROLLBACK TO take");
    }
    return rc == SQLITE_OK ? connection_run(&w->c, "RELEASE take") : rc;
}

/* ---- the copy that is queued ---- */

static size_t take_size(const struct store_take *t)
{
    size_t size = sizeof(struct take_op) + t->njobs * (sizeof *t->jobs + sizeof(struct carried)) +
                  (t->ndrop + t->nsupersede + t->ndisplace) * sizeof *t->drop;
    size += packed_size(t->file.path) + packed_size(t->file.fault);
    for (size_t i = 0; i < t->njobs; i++) {
        const struct take_job *j = &t->jobs[i];
        size += packed_size(j->stem) + packed_size(j->doc_id) + packed_size(j->workflow);
        size += packed_size(j->request_sha256) + packed_size(j->code) + packed_size(j->message);
        size += packed_size(j->endpoint) + (j->body == NULL ? 0 : j->body_len);
    }
    return size;
}

static void pack_job(char **at, struct take_job *j)
{
    j->stem = pack_text(at, j->stem);
    j->doc_id = pack_text(at, j->doc_id);
    j->workflow = pack_text(at, j->workflow);
    j->request_sha256 = pack_text(at, j->request_sha256);
    j->code = pack_text(at, j->code);
    j->message = pack_text(at, j->message);
    j->endpoint = pack_text(at, j->endpoint);
    j->body = pack_bytes(at, j->body, j->body_len);
}

void store_take(struct store *s, const struct store_take *t, store_done_fn done, void *arg)
{
    struct take_op *op = store_op(s, take_size(t), take_exec, done, arg);
    if (op == NULL)
        return;
    char *at = (char *)(op + 1); /* what must be aligned comes first */
    op->t = *t;
    op->t.jobs = pack_bytes(&at, t->jobs, t->njobs * sizeof *t->jobs);
    op->t.drop = pack_bytes(&at, t->drop, t->ndrop * sizeof *t->drop);
    op->t.supersede = pack_bytes(&at, t->supersede, t->nsupersede * sizeof *t->supersede);
    op->t.displace = pack_bytes(&at, t->displace, t->ndisplace * sizeof *t->displace);
    op->carried = (struct carried *)(void *)at; /* filled by the writer */
    at += t->njobs * sizeof *op->carried;
    op->t.file.path = (char *)(uintptr_t)pack_text(&at, t->file.path);
    op->t.file.fault = (char *)(uintptr_t)pack_text(&at, t->file.fault);
    for (size_t i = 0; i < t->njobs; i++)
        pack_job(&at, &op->t.jobs[i]);
    store_submit(s, &op->op);
}
