/* Reads of many jobs: what may run, what is due, what was on its way, and how many there are. */
#include <stdlib.h>

#include "io/store_internal.h"

/* Bodies of one answer of store_load_ready() together, unless one alone is larger. */
#define READY_BYTES_MAX (32u * 1024 * 1024)

struct job_list {
    struct job_row *rows;
    size_t count, bytes;
    bool failed;
};

static bool append(struct job_list *l, sqlite3_stmt *stmt, bool with_body)
{
    struct job_row *grown = rows_grow(l->rows, l->count, sizeof *grown);
    if (grown != NULL)
        l->rows = grown;
    l->failed = grown == NULL || !job_row_read(stmt, with_body, &grown[l->count]);
    if (!l->failed)
        l->bytes += l->rows[l->count++].body_len;
    return !l->failed;
}

static struct job_row *finish(struct store *s, struct query *q, struct job_list *l, size_t *count)
{
    if (l->failed)
        store_out_of_memory(s);
    if (store_end_read(s, q) && !l->failed) {
        *count = l->count;
        return l->rows;
    }
    job_rows_free(l->rows, l->count);
    *count = 0;
    return NULL;
}

static struct job_row *collect(struct store *s, struct query *q, size_t *count)
{
    struct job_list l = {0};
    while (query_row(q) && append(&l, q->stmt, false)) {}
    return finish(s, q, &l, count);
}

struct job_row *store_file_jobs(struct store *s, int64_t file_id, size_t *count)
{
    struct query q = read_on(s, "SELECT " JOB_COLUMNS " FROM jobs j INDEXED BY jobs_file"
                                " WHERE j.file_id = ? ORDER BY j.document, j.id");
    query_int(&q, file_id);
    return collect(s, &q, count);
}

struct job_row *store_load_ready(struct store *s, size_t max,
                                 bool (*skip)(void *arg, int64_t job, const char *workflow, const char *path),
                                 void *arg, size_t *count)
{
    struct query q = read_on(
        s, "SELECT " JOB_COLUMNS ", b.body, f.dev, f.ino, f.size, f.mtime_ns, f.btime_ns"
           " FROM jobs j INDEXED BY jobs_ready CROSS JOIN files f ON f.id = j.file_id"
           " LEFT JOIN bodies b ON b.job_id = j.id WHERE j.state = 0 AND j.due_ms = 0 AND j.blocked = 0"
           " AND (j.after_job = 0 OR NOT EXISTS"
           "  (SELECT 1 FROM jobs before WHERE before.id = j.after_job AND before.state IN (1, 2)))"
           " ORDER BY j.priority DESC, j.seen_ms, j.path, j.document");
    struct job_list l = {0};
    while (l.count < max && l.bytes < READY_BYTES_MAX && query_row(&q)) {
        const char *path = (const char *)sqlite3_column_text(q.stmt, 2);
        const char *workflow = (const char *)sqlite3_column_text(q.stmt, 6);
        if (skip != NULL && skip(arg, sqlite3_column_int64(q.stmt, 0), workflow, path))
            continue;
        if (!append(&l, q.stmt, true))
            break;
        l.rows[l.count - 1].sig = file_sig_read(q.stmt, JOB_BODY_COLUMN + 1);
    }
    return finish(s, &q, &l, count);
}

/* By the index alone, in two ranges of it: all four columns compared at once would be a walk along the whole
 * of it, since one of them descends. */
int64_t store_ready_before(struct store *s, const struct job_row *r)
{
    struct query q =
        read_on(s, "SELECT count(*) + (SELECT count(*) FROM jobs INDEXED BY jobs_ready WHERE " SQL_READY
                   "                    AND priority = ?1 AND (seen_ms, path, document) < (?2, ?3, ?4))"
                   " FROM jobs INDEXED BY jobs_ready WHERE " SQL_READY " AND priority > ?1");
    query_int(&q, r->priority);
    query_int(&q, r->seen_ms);
    query_name(&q, r->path);
    query_int(&q, r->document);
    int64_t before = query_row(&q) ? sqlite3_column_int64(q.stmt, 0) : -1;
    return store_end_read(s, &q) ? before : -1;
}

/* The first number of an index, or 0. */
static int64_t first_of(struct store *s, const char *sql)
{
    struct query q = read_on(s, sql);
    int64_t value = query_row(&q) ? sqlite3_column_int64(q.stmt, 0) : 0;
    return store_end_read(s, &q) ? value : 0;
}

int64_t store_next_due(struct store *s)
{
    return first_of(s,
                    "SELECT due_ms FROM jobs INDEXED BY jobs_due WHERE " SQL_DUE " ORDER BY due_ms LIMIT 1");
}

int64_t store_next_backoff(struct store *s)
{
    return first_of(s, "SELECT due_ms FROM jobs INDEXED BY jobs_backoff WHERE " SQL_BACKOFF
                       " AND blocked = 0 ORDER BY due_ms LIMIT 1");
}

int64_t store_next_expiry(struct store *s)
{
    return first_of(s, "SELECT expires_ms FROM jobs INDEXED BY jobs_expiring WHERE " SQL_EXPIRING
                       " ORDER BY expires_ms LIMIT 1");
}

struct job_row *store_load_expired(struct store *s, int64_t now_ms, size_t max, size_t *count)
{
    struct query q = read_on(s, "SELECT " JOB_COLUMNS " FROM jobs j INDEXED BY jobs_expiring"
                                " WHERE " SQL_EXPIRING " AND expires_ms <= ? ORDER BY expires_ms LIMIT ?");
    query_int(&q, now_ms);
    query_limit(&q, max);
    return collect(s, &q, count);
}

static struct job_row *page(struct store *s, const char *sql, int64_t after, size_t max, size_t *count)
{
    struct query q = read_on(s, sql);
    query_int(&q, after);
    query_limit(&q, max);
    return collect(s, &q, count);
}

struct job_row *store_load_cancelled(struct store *s, int64_t after, size_t max, size_t *count)
{
    return page(s,
                "SELECT " JOB_COLUMNS " FROM jobs j INDEXED BY jobs_cancelled WHERE " SQL_CANCELLED
                " AND id > ? ORDER BY id LIMIT ?",
                after, max, count);
}

struct job_row *store_load_asked(struct store *s, int64_t after, size_t max, size_t *count)
{
    return page(s,
                "SELECT " JOB_COLUMNS " FROM jobs j INDEXED BY jobs_asked WHERE " SQL_ASKED
                " AND id > ? ORDER BY id LIMIT ?",
                after, max, count);
}

struct job_row *store_load_open(struct store *s, int64_t after, size_t max, size_t *count)
{
    return page(s,
                "SELECT " JOB_COLUMNS " FROM jobs j INDEXED BY jobs_open WHERE " SQL_OPEN
                " AND id > ? ORDER BY id LIMIT ?",
                after, max, count);
}

struct job_row *store_load_strays(struct store *s, const struct file_sig *sig, size_t max, size_t *count)
{
    struct query q =
        read_on(s, "SELECT " JOB_COLUMNS " FROM jobs j INDEXED BY jobs_strays WHERE " SQL_STRAY
                   " AND ino = ?1 AND " SQL_SAME_FILE("") " ORDER BY dev DESC, id DESC LIMIT ?4");
    query_int(&q, (int64_t)sig->ino);
    query_int(&q, (int64_t)sig->dev);
    query_int(&q, sig->btime_ns);
    query_limit(&q, max);
    return collect(s, &q, count);
}

struct job_row *store_load_unplaced(struct store *s, int64_t after, size_t max, size_t *count)
{
    struct query q = read_on(s, "SELECT " JOB_COLUMNS " FROM jobs j INDEXED BY jobs_unplaced"
                                " WHERE " SQL_UNPLACED " AND id > ? ORDER BY id LIMIT ?");
    query_int(&q, after);
    query_limit(&q, max);
    return collect(s, &q, count);
}

struct job_row *store_load_astray(struct store *s, const char *stem, int64_t except_job, size_t *count)
{
    struct query q = read_on(s, "SELECT " JOB_COLUMNS " FROM jobs j INDEXED BY jobs_astray"
                                " WHERE " SQL_ASTRAY " AND placed = ? AND id <> ?");
    query_name(&q, stem);
    query_int(&q, except_job);
    return collect(s, &q, count);
}

struct job_row *store_load_foreign_sandbox(struct store *s, const char *endpoint, size_t max, size_t *count)
{
    struct query q = read_on(s, "SELECT " JOB_COLUMNS " FROM jobs j INDEXED BY jobs_sandbox"
                                " WHERE " SQL_SANDBOX " AND endpoint IS NOT ? ORDER BY id LIMIT ?");
    query_text(&q, endpoint);
    query_limit(&q, max);
    return collect(s, &q, count);
}

/* ---- how many ---- */

bool store_counts(struct store *s, struct store_counts *out)
{
    int64_t n[TALLY_COUNT] = {0};
    struct query q = read_on(s, "SELECT class, n FROM tally");
    *out = (struct store_counts){0};
    while (query_row(&q)) {
        int64_t class = sqlite3_column_int64(q.stmt, 0);
        if (class >= 0 && class < TALLY_COUNT)
            n[class] = sqlite3_column_int64(q.stmt, 1);
    }
    if (!store_end_read(s, &q))
        return false;
    *out = (struct store_counts){
        .waiting = n[JOB_WAITING],
        .deferred = n[TALLY_DEFERRED],
        .held = n[TALLY_HELD],
        .missing = n[TALLY_MISSING],
        .in_flight = n[JOB_SENT],
        .replied = n[JOB_REPLIED],
        .done = n[JOB_DONE],
        .failed = n[JOB_FAILED],
        .refused = n[TALLY_FILE_CONFLICTS],
        .files = n[TALLY_FILES],
        .oldest_waiting_ms = first_of(s, "SELECT queued_ms FROM jobs INDEXED BY jobs_queued WHERE " SQL_READY
                                         " ORDER BY queued_ms LIMIT 1"),
    };
    return !s->read_failed;
}

/* ---- the list ---- */

static bool hand_out(struct store *s, struct query *q, bool (*row)(void *arg, const struct job_row *r),
                     void *arg, bool *more)
{
    bool copied = true;
    while (*more && copied && query_row(q)) {
        struct job_row r;
        copied = job_row_read(q->stmt, false, &r);
        if (!copied)
            break;
        *more = row(arg, &r);
        job_row_free(&r);
    }
    if (!copied)
        store_out_of_memory(s);
    return store_end_read(s, q) && copied;
}

bool store_list(struct store *s, int state, const char *workflow,
                bool (*row)(void *arg, const struct job_row *r), void *arg)
{
    bool more = true;
    struct query q = read_on(s, "SELECT " JOB_COLUMNS " FROM files f CROSS JOIN jobs j INDEXED BY jobs_file"
                                " ON j.file_id = f.id WHERE " SQL_CURRENT
                                " AND (?1 < 0 OR j.state = ?1) AND (?2 IS NULL OR j.workflow = ?2)"
                                " ORDER BY f.path, j.document");
    query_int(&q, state);
    query_text(&q, workflow);
    if (!hand_out(s, &q, row, arg, &more) || !more)
        return !s->read_failed;
    /* Last, those whose file is forgotten but whose request is still on its way. */
    q = read_on(s, "SELECT " JOB_COLUMNS " FROM jobs j INDEXED BY jobs_open WHERE " SQL_OPEN
                   " AND " SQL_CURRENT " AND (?1 < 0 OR j.state = ?1) AND (?2 IS NULL OR j.workflow = ?2)"
                   " AND NOT EXISTS(SELECT 1 FROM files f WHERE f.id = j.file_id) ORDER BY j.path");
    query_int(&q, state);
    query_text(&q, workflow);
    return hand_out(s, &q, row, arg, &more);
}
