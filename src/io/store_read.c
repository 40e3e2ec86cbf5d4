/* Reads of files, single jobs, replies and values. */
#include <stdlib.h>
#include <string.h>

#include "io/store_internal.h"

/* ---- the reads of a turn ---- */

/* A transaction costs locks, and the first read after another one's commit drops the reader's cache: a loop
 * that looks at a hundred files pays that once. */
struct query read_on(struct store *s, const char *sql)
{
    if (s->writer != NULL && !s->in_turn)
        s->in_turn = connection_run(&s->reader, "BEGIN") == SQLITE_OK;
    return query_on(&s->reader, sql);
}

void store_end_reads(struct store *s)
{
    if (s->in_turn)
        connection_run(&s->reader, "COMMIT"); /* nothing is at stake */
    s->in_turn = false;
}

/* ---- files ---- */

/* At most one row, read by the caller's query, which is ended here. */
static bool one_file(struct store *s, struct query *q, struct file_row *out)
{
    bool found = query_row(q);
    bool copied = !found || file_row_read(q->stmt, out);
    if (!store_end_read(s, q) || !found)
        return false;
    if (!copied)
        store_out_of_memory(s);
    return copied;
}

bool store_file_by_path(struct store *s, const char *path, struct file_row *out)
{
    *out = (struct file_row){0};
    struct query q = read_on(s, "SELECT " FILE_COLUMNS " FROM files f WHERE f.path = ?");
    query_name(&q, path);
    return one_file(s, &q, out);
}

size_t store_files_by_inode(struct store *s, const struct file_sig *sig, struct file_row *out, size_t max)
{
    struct query q =
        read_on(s, "SELECT " FILE_COLUMNS " FROM files f INDEXED BY files_inode"
                   " WHERE f.ino = ?1 AND " SQL_SAME_FILE("f.") " ORDER BY f.dev, f.id LIMIT ?4");
    query_int(&q, (int64_t)sig->ino);
    query_int(&q, (int64_t)sig->dev);
    query_int(&q, sig->btime_ns);
    query_limit(&q, max);
    size_t count = 0;
    bool copied = true;
    while (copied && count < max && query_row(&q))
        if ((copied = file_row_read(q.stmt, &out[count])))
            count++;
    if (!copied)
        store_out_of_memory(s);
    if (store_end_read(s, &q) && copied)
        return count;
    while (count > 0)
        file_row_free(&out[--count]);
    return 0;
}

static struct file_row *collect_files(struct store *s, struct query *q, size_t *count)
{
    struct file_row *rows = NULL;
    bool copied = true;
    *count = 0;
    while (copied && query_row(q)) {
        struct file_row *grown = rows_grow(rows, *count, sizeof *rows);
        rows = grown != NULL ? grown : rows;
        copied = grown != NULL && file_row_read(q->stmt, &rows[*count]);
        if (copied)
            ++*count;
    }
    if (!copied)
        store_out_of_memory(s);
    if (store_end_read(s, q) && copied)
        return rows;
    file_rows_free(rows, *count);
    *count = 0;
    return NULL;
}

struct file_row *store_files_page(struct store *s, const char *after, size_t max, size_t *count)
{
    /* What sorts before x'01' is the stand-in of a path that another file has now. */
    struct query q = read_on(s, "SELECT " FILE_COLUMNS " FROM files f"
                                " WHERE f.path > ? AND f.path >= x'01' ORDER BY f.path LIMIT ?");
    query_name(&q, after != NULL ? after : "");
    query_limit(&q, max);
    return collect_files(s, &q, count);
}

struct file_row *store_files_missing_since(struct store *s, int64_t before_ms, const struct file_row *after,
                                           size_t max, size_t *count)
{
    struct query q =
        read_on(s, "SELECT " FILE_COLUMNS " FROM files f INDEXED BY files_missing"
                   " WHERE f.missing_ms > 0 AND f.missing_ms < ? AND (f.missing_ms, f.id) > (?, ?)"
                   " ORDER BY f.missing_ms, f.id LIMIT ?");
    query_int(&q, before_ms);
    query_int(&q, after != NULL ? after->missing_ms : 0);
    query_int(&q, after != NULL ? after->id : 0);
    query_limit(&q, max);
    return collect_files(s, &q, count);
}

/* ---- one job ---- */

bool store_job(struct store *s, int64_t id, bool with_body, struct job_row *out)
{
    *out = (struct job_row){0};
    struct query q = with_body ? read_on(s, "SELECT " JOB_COLUMNS ", b.body FROM jobs j"
                                            " LEFT JOIN bodies b ON b.job_id = j.id WHERE j.id = ?")
                               : read_on(s, "SELECT " JOB_COLUMNS " FROM jobs j WHERE j.id = ?");
    query_int(&q, id);
    bool found = query_row(&q);
    bool copied = !found || job_row_read(q.stmt, with_body, out);
    if (!store_end_read(s, &q) || !found)
        return false;
    if (!copied)
        store_out_of_memory(s);
    return copied;
}

/* One text or nothing. */
static char *one_text(struct store *s, struct query *q)
{
    bool failed = false;
    char *text = query_row(q) ? column_text(q->stmt, 0, &failed) : NULL;
    store_end_read(s, q);
    if (failed)
        store_out_of_memory(s);
    return text;
}

char *store_stem_owner(struct store *s, const char *stem, int64_t except_file)
{
    struct query q = read_on(s, "SELECT path FROM jobs INDEXED BY jobs_stem WHERE stem = ? AND " SQL_CURRENT
                                " AND file_id <> ?");
    query_name(&q, stem);
    query_int(&q, except_file);
    return one_text(s, &q);
}

struct attempt_row *store_attempts(struct store *s, int64_t job, size_t *count)
{
    struct query q = read_on(s, "SELECT n, sent_ms, ended_ms, duration_ms, http_status, verdict"
                                " FROM attempts WHERE job_id = ? ORDER BY n");
    struct attempt_row *rows = NULL;
    bool room = true;
    *count = 0;
    query_int(&q, job);
    while (room && query_row(&q)) {
        struct attempt_row *grown = rows_grow(rows, *count, sizeof *rows);
        room = grown != NULL;
        if (!room)
            break;
        rows = grown;
        struct attempt_row *r = &rows[(*count)++];
        *r = (struct attempt_row){
            .n = sqlite3_column_int(q.stmt, 0),
            .sent_ms = sqlite3_column_int64(q.stmt, 1),
            .ended_ms = sqlite3_column_int64(q.stmt, 2),
            .duration_ms = sqlite3_column_int64(q.stmt, 3),
            .http_status = sqlite3_column_int(q.stmt, 4),
        };
        const char *verdict = (const char *)sqlite3_column_text(q.stmt, 5);
        strncpy(r->verdict, verdict != NULL ? verdict : "", sizeof r->verdict - 1);
    }
    if (!room)
        store_out_of_memory(s);
    if (store_end_read(s, &q) && room)
        return rows;
    free(rows);
    *count = 0;
    return NULL;
}

bool store_load_reply(struct store *s, int64_t job, struct reply_row *out)
{
    struct query q =
        read_on(s, "SELECT http_status, too_large, received_ms, duration_ms, spill, headers, body"
                   " FROM replies WHERE job_id = ?");
    bool failed = false;
    *out = (struct reply_row){0};
    query_int(&q, job);
    bool found = query_row(&q);
    if (found) {
        out->http_status = sqlite3_column_int(q.stmt, 0);
        out->too_large = sqlite3_column_int(q.stmt, 1) != 0;
        out->received_ms = sqlite3_column_int64(q.stmt, 2);
        out->duration_ms = sqlite3_column_int64(q.stmt, 3);
        out->spill = column_text(q.stmt, 4, &failed);
        out->headers = column_text(q.stmt, 5, &failed);
        out->headers_len = (size_t)sqlite3_column_bytes(q.stmt, 5);
        out->body = column_text(q.stmt, 6, &failed);
        out->body_len = (size_t)sqlite3_column_bytes(q.stmt, 6);
    }
    if (failed)
        store_out_of_memory(s);
    if (store_end_read(s, &q) && found && !failed)
        return true;
    reply_row_free(out);
    return false;
}

/* ---- values ---- */

char *store_get(struct store *s, const char *key)
{
    struct query q = read_on(s, "SELECT value FROM meta WHERE key = ?");
    query_text(&q, key);
    return one_text(s, &q);
}

bool store_workflow_succeeded(struct store *s, const char *workflow, const char *endpoint)
{
    struct query q = read_on(s, "SELECT 1 FROM workflows WHERE endpoint = ? AND workflow = ?");
    query_text(&q, endpoint);
    query_text(&q, workflow);
    bool found = query_row(&q);
    return store_end_read(s, &q) && found;
}

bool store_names_spill(struct store *s, const char *spill)
{
    struct query q = read_on(s, "SELECT 1 FROM replies WHERE spill = ?");
    query_text(&q, spill);
    bool found = query_row(&q);
    /* When the question could not be asked, the file stays. */
    return !store_end_read(s, &q) || found;
}
