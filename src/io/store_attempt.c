/* Writes of an attempt's life: intent, reply, end; and the queue's times. */
#include <stdlib.h>
#include <string.h>

#include "io/store_internal.h"

/* ---- intent ---- */

struct intent_op {
    struct op op;
    int64_t job, now_ms;
    int sends;
    const char *endpoint, *body_sha256, *boot_id;
};

static int intent_exec(struct writer *w, struct op *base)
{
    const struct intent_op *op = (const struct intent_op *)base;
    struct query q = query_on(&w->c, "UPDATE jobs SET state = 1, sends = ?1, endpoint = ?4,"
                                     " started_ms = iif(started_ms = 0, ?2, started_ms)"
                                     " WHERE id = ?3 AND state = 0 AND sends = ?1 - 1");
    query_int(&q, op->sends);
    query_int(&q, op->now_ms);
    query_int(&q, op->job);
    query_text(&q, op->endpoint);
    int rc = writer_change_job(w, &q, op->job, "waiting for this attempt");
    if (rc != SQLITE_OK)
        return rc;
    q = query_on(&w->c,
                 "INSERT INTO attempts(job_id, n, sent_ms, body_sha256, boot_id) VALUES(?, ?, ?, ?, ?)");
    query_int(&q, op->job);
    query_int(&q, op->sends);
    query_int(&q, op->now_ms);
    query_text(&q, op->body_sha256);
    query_text(&q, op->boot_id);
    return query_run(&q);
}

void store_intent(struct store *s, int64_t job, int sends, int64_t now_ms, const char *endpoint,
                  const char *body_sha256, const char *boot_id, store_done_fn done, void *arg)
{
    size_t strings = packed_size(endpoint) + packed_size(body_sha256) + packed_size(boot_id);
    struct intent_op *op = store_op(s, sizeof *op + strings, intent_exec, done, arg);
    if (op == NULL)
        return;
    char *at = (char *)(op + 1);
    op->job = job;
    op->sends = sends;
    op->now_ms = now_ms;
    op->endpoint = pack_text(&at, endpoint);
    op->body_sha256 = pack_text(&at, body_sha256);
    op->boot_id = pack_text(&at, boot_id);
    store_submit(s, &op->op);
}

static int void_exec(struct writer *w, struct op *base)
{
    const struct intent_op *op = (const struct intent_op *)base;
    struct query q =
        query_on(&w->c, "UPDATE jobs SET state = 0, sends = ?2 - 1, started_ms = iif(started_ms ="
                        " (SELECT sent_ms FROM attempts WHERE job_id = ?1 AND n = ?2), 0, started_ms)"
                        " WHERE id = ?1 AND state = 1 AND sends = ?2");
    query_int(&q, op->job);
    query_int(&q, op->sends);
    int rc = writer_change_job(w, &q, op->job, "sent with this attempt");
    if (rc != SQLITE_OK)
        return rc;
    q = query_on(&w->c, "DELETE FROM attempts WHERE job_id = ? AND n = ?");
    query_int(&q, op->job);
    query_int(&q, op->sends);
    return query_run(&q);
}

void store_intent_void(struct store *s, int64_t job, int sends, store_done_fn done, void *arg)
{
    struct intent_op *op = store_op(s, sizeof *op, void_exec, done, arg);
    if (op == NULL)
        return;
    op->job = job;
    op->sends = sends;
    store_submit(s, &op->op);
}

/* ---- reply ---- */

struct reply_op {
    struct op op;
    int64_t job;
    struct store_reply r;
};

static int reply_exec(struct writer *w, struct op *base)
{
    const struct reply_op *op = (const struct reply_op *)base;
    const struct store_reply *r = &op->r;
    struct query q = query_on(&w->c, "UPDATE jobs SET state = 2 WHERE id = ? AND state = 1");
    query_int(&q, op->job);
    int rc = writer_change_job(w, &q, op->job, "sent");
    if (rc != SQLITE_OK)
        return rc;
    q = query_on(
        &w->c, "INSERT INTO replies(job_id, http_status, too_large, received_ms, duration_ms, spill, headers,"
               " body) VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
    query_int(&q, op->job);
    query_int(&q, r->http_status);
    query_int(&q, r->too_large);
    query_int(&q, r->received_ms);
    query_int(&q, r->duration_ms);
    query_text(&q, r->spill);
    query_bytes(&q, r->headers, r->headers_len);
    query_bytes(&q, r->body, r->body_len);
    return query_run(&q);
}

void store_reply(struct store *s, int64_t job, const struct store_reply *r, store_done_fn done, void *arg)
{
    size_t headers_len = r->headers == NULL ? 0 : r->headers_len;
    struct reply_op *op =
        store_op(s, sizeof *op + headers_len + packed_size(r->spill), reply_exec, done, arg);
    if (op == NULL)
        return;
    char *at = (char *)(op + 1);
    op->job = job;
    op->r = *r;
    op->r.headers = pack_bytes(&at, r->headers, headers_len);
    op->r.spill = pack_text(&at, r->spill);
    store_submit(s, &op->op);
}

/* ---- the end of an attempt ---- */

struct settle_op {
    struct op op;
    struct store_settle e;
};

/* Where the job stands, and whether its file is still known. found: its row is there. */
struct standing {
    bool found, orphan;
    enum job_state state;
};

static int look_up(struct writer *w, int64_t job, struct standing *s)
{
    *s = (struct standing){0};
    struct query q =
        query_on(&w->c, "SELECT state, NOT EXISTS(SELECT 1 FROM files WHERE files.id = jobs.file_id)"
                        " FROM jobs WHERE id = ?");
    query_int(&q, job);
    if (query_row(&q)) {
        s->found = true;
        s->state = (enum job_state)sqlite3_column_int(q.stmt, 0);
        s->orphan = sqlite3_column_int(q.stmt, 1) != 0;
    }
    return query_end(&q);
}

static enum job_event event_of(const struct store_settle *e)
{
    switch (e->state) {
    case JOB_DONE:
        return JOB_EV_SUCCEED;
    case JOB_FAILED:
        return JOB_EV_FAIL;
    default:
        return JOB_EV_RETRY;
    }
}

static int check_move(struct writer *w, const struct store_settle *e, enum job_state from)
{
    if (from == JOB_WAITING && e->attempt != 0)
        return writer_bug(w, "job %lld ends attempt %d but none is open", (long long)e->job, e->attempt);
    if (job_next(from, event_of(e)) != (int)e->state)
        return writer_bug(w, "job %lld cannot go from %s to %s", (long long)e->job, job_state_name(from),
                          job_state_name(e->state));
    return SQLITE_OK;
}

static int settle_job(struct writer *w, const struct store_settle *e)
{
    struct query q = query_on(
        &w->c,
        "UPDATE jobs SET state = ?1, due_ms = ?2, attempts = ?3, rate_limited = ?4, ambiguous = ?5,"
        " started_ms = iif(?6 <> 0, ?6, started_ms), finished_ms = ?7, duration_ms = ?8, http_status = ?9,"
        " code = ?10, message = ?11, request_id = ?12, endpoint = ?13, sandbox = ?14,"
        " outcome = iif(?17 IS NULL, coalesce(?15, outcome), NULL), placed = coalesce(?17, placed),"
        " blocked = iif(?1 > 2, blocked & ~20, blocked) WHERE id = ?16");
    query_int(&q, e->state);
    query_int(&q, e->state == JOB_WAITING ? e->due_ms : 0);
    query_int(&q, e->attempts);
    query_int(&q, e->rate_limited);
    query_int(&q, e->ambiguous);
    query_int(&q, e->started_ms);
    query_int(&q, e->state == JOB_WAITING ? 0 : e->ended_ms);
    query_int(&q, e->duration_ms);
    query_int(&q, e->http_status);
    query_text(&q, e->code);
    query_text(&q, e->message);
    query_text(&q, e->request_id);
    query_text(&q, e->endpoint);
    query_int(&q, e->sandbox);
    query_text(&q, e->superseded_name);
    query_int(&q, e->job);
    if (e->placed != NULL)
        query_name(&q, e->placed);
    else
        query_text(&q, NULL);
    return writer_change_job(w, &q, e->job, "known");
}

static int end_attempt(struct writer *w, const struct store_settle *e)
{
    struct query q =
        query_on(&w->c, "UPDATE attempts SET ended_ms = ?, duration_ms = ?, verdict = ?, http_status = ?,"
                        " boot_id = NULL WHERE job_id = ? AND n = ?");
    query_int(&q, e->ended_ms);
    query_int(&q, e->duration_ms);
    query_text(&q, e->verdict);
    query_int(&q, e->http_status);
    query_int(&q, e->job);
    query_int(&q, e->attempt);
    return writer_change_job(w, &q, e->job, "known by this attempt");
}

static int remember_workflow(struct writer *w, const struct store_settle *e)
{
    struct query q = query_on(&w->c, "INSERT INTO workflows(endpoint, workflow, succeeded_ms)"
                                     " SELECT ?1, workflow, ?2 FROM jobs"
                                     " WHERE id = ?3 AND workflow IS NOT NULL AND ?1 IS NOT NULL"
                                     " ON CONFLICT DO NOTHING");
    query_text(&q, e->endpoint);
    query_int(&q, e->ended_ms);
    query_int(&q, e->job);
    return query_run(&q);
}

static int drop(struct writer *w, const char *sql, int64_t job)
{
    struct query q = query_on(&w->c, sql);
    query_int(&q, job);
    return query_run(&q);
}

static int settle_exec(struct writer *w, struct op *base)
{
    const struct store_settle *e = &((struct settle_op *)base)->e;
    struct standing now;
    int rc = look_up(w, e->job, &now);
    if (rc != SQLITE_OK)
        return rc;
    if (!now.found && e->attempt == 0) /* waited, and was forgotten with its file */
        return SQLITE_OK;
    if (!now.found)
        return writer_bug(w, "job %lld ends attempt %d but is not known", (long long)e->job, e->attempt);
    rc = check_move(w, e, now.state);
    if (rc == SQLITE_OK && e->workflow_ok)
        rc = remember_workflow(w, e);
    if (rc == SQLITE_OK && e->attempt != 0)
        rc = end_attempt(w, e);
    if (rc == SQLITE_OK && e->recovered)
        rc = writer_saved(w, LEDGER_RECOVERED);
    if (rc == SQLITE_OK && now.orphan)
        return writer_delete_job(w, e->job);
    if (rc == SQLITE_OK)
        rc = settle_job(w, e);
    if (rc == SQLITE_OK && e->placed != NULL)
        rc = writer_vacate(w, e->job, e->placed, e->moved);
    if (rc == SQLITE_OK && now.state == JOB_REPLIED)
        rc = drop(w, "DELETE FROM replies WHERE job_id = ?", e->job);
    if (rc == SQLITE_OK && e->state != JOB_WAITING)
        rc = drop(w, "DELETE FROM bodies WHERE job_id = ?", e->job);
    return rc;
}

void store_settle(struct store *s, const struct store_settle *e, store_done_fn done, void *arg)
{
    size_t strings = packed_size(e->verdict) + packed_size(e->code) + packed_size(e->message) +
                     packed_size(e->request_id) + packed_size(e->endpoint) + packed_size(e->superseded_name) +
                     packed_size(e->placed) + packed_size(e->moved);
    struct settle_op *op = store_op(s, sizeof *op + strings, settle_exec, done, arg);
    if (op == NULL)
        return;
    char *at = (char *)(op + 1);
    op->e = *e;
    op->e.verdict = pack_text(&at, e->verdict);
    op->e.code = pack_text(&at, e->code);
    op->e.message = pack_text(&at, e->message);
    op->e.request_id = pack_text(&at, e->request_id);
    op->e.endpoint = pack_text(&at, e->endpoint);
    op->e.superseded_name = pack_text(&at, e->superseded_name);
    op->e.placed = pack_text(&at, e->placed);
    op->e.moved = pack_text(&at, e->moved);
    store_submit(s, &op->op);
}

/* ---- between attempts ---- */

struct reopen_op {
    struct op op;
    int64_t job;
    const char *body;
    size_t len;
};

static int reopen_exec(struct writer *w, struct op *base)
{
    const struct reopen_op *op = (const struct reopen_op *)base;
    struct query q = query_on(&w->c, "UPDATE jobs SET state = 0, due_ms = 0, attempts = 0, rate_limited = 0,"
                                     " ambiguous = 0, started_ms = 0, finished_ms = 0, duration_ms = -1,"
                                     " http_status = 0, code = NULL, message = NULL, request_id = NULL,"
                                     " endpoint = NULL, sandbox = 0 WHERE id = ? AND state IN (0, 3, 4)");
    query_int(&q, op->job);
    int rc = writer_change_job(w, &q, op->job, "one that can be opened again");
    if (rc != SQLITE_OK || op->body == NULL)
        return rc;
    q = query_on(&w->c, "INSERT OR REPLACE INTO bodies(job_id, body) VALUES(?, ?)");
    query_int(&q, op->job);
    query_bytes(&q, op->body, op->len);
    return query_run(&q);
}

void store_reopen(struct store *s, int64_t job, const char *body, size_t body_len, store_done_fn done,
                  void *arg)
{
    struct reopen_op *op = store_op(s, sizeof *op + (body == NULL ? 0 : body_len), reopen_exec, done, arg);
    if (op == NULL)
        return;
    char *at = (char *)(op + 1);
    op->job = job;
    op->body = pack_bytes(&at, body, body_len);
    op->len = body_len;
    store_submit(s, &op->op);
}
