/* From columns to rows. */
#include <stdlib.h>
#include <string.h>

#include "io/store_internal.h"

/* A row is read column by column, in the order of FILE_COLUMNS and JOB_COLUMNS. */
struct cursor {
    sqlite3_stmt *stmt;
    int column;
    bool failed;
};

static int64_t next_int(struct cursor *c)
{
    return sqlite3_column_int64(c->stmt, c->column++);
}

static int next_small(struct cursor *c)
{
    return sqlite3_column_int(c->stmt, c->column++);
}

static uint32_t next_u32(struct cursor *c)
{
    return (uint32_t)sqlite3_column_int64(c->stmt, c->column++);
}

/* Names are blobs, texts are texts: read alike, as bytes with a NUL behind them. */
char *column_text(sqlite3_stmt *stmt, int column, bool *failed)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return NULL;
    const void *bytes = sqlite3_column_blob(stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);
    char *copy = malloc(len + 1);
    if (copy == NULL || (bytes == NULL && len > 0)) {
        free(copy);
        *failed = true;
        return NULL;
    }
    if (len > 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

static char *next_text(struct cursor *c)
{
    return column_text(c->stmt, c->column++, &c->failed);
}

static void next_digest(struct cursor *c, char digest[DIGEST_HEX])
{
    const char *text = (const char *)sqlite3_column_text(c->stmt, c->column++);
    size_t len = text == NULL ? 0 : strnlen(text, DIGEST_HEX - 1);
    if (len > 0)
        memcpy(digest, text, len);
    digest[len] = '\0';
}

static struct file_sig next_sig(struct cursor *c)
{
    struct file_sig sig;
    sig.dev = (uint64_t)next_int(c);
    sig.ino = (uint64_t)next_int(c);
    sig.size = next_int(c);
    sig.mtime_ns = next_int(c);
    sig.btime_ns = next_int(c);
    return sig;
}

struct file_sig file_sig_read(sqlite3_stmt *stmt, int column)
{
    struct cursor c = {.stmt = stmt, .column = column};
    return next_sig(&c);
}

bool file_row_read(sqlite3_stmt *stmt, struct file_row *out)
{
    struct cursor c = {.stmt = stmt};
    *out = (struct file_row){0};
    out->id = next_int(&c);
    out->path = next_text(&c);
    out->sig = next_sig(&c);
    next_digest(&c, out->job_sha256);
    out->seen_ms = next_int(&c);
    out->missing_ms = next_int(&c);
    out->state = (enum file_state)next_small(&c);
    out->fault = next_text(&c);
    out->documents = next_small(&c);
    out->held = next_small(&c) != 0;
    out->uid = next_u32(&c);
    out->gid = next_u32(&c);
    out->mode = next_u32(&c);
    if (c.failed)
        file_row_free(out);
    return !c.failed;
}

static void read_result(struct cursor *c, struct job_row *out)
{
    out->attempts = next_small(c);
    out->rate_limited = next_small(c);
    out->ambiguous = next_small(c);
    out->sends = next_small(c);
    out->started_ms = next_int(c);
    out->finished_ms = next_int(c);
    out->duration_ms = next_int(c);
    out->http_status = next_small(c);
    out->code = next_text(c);
    out->message = next_text(c);
    out->request_id = next_text(c);
    out->endpoint = next_text(c);
    out->sandbox = next_small(c) != 0;
}

static void read_body(struct cursor *c, struct job_row *out)
{
    out->body = column_text(c->stmt, JOB_BODY_COLUMN, &c->failed);
    out->body_len = out->body == NULL ? 0 : (size_t)sqlite3_column_bytes(c->stmt, JOB_BODY_COLUMN);
}

bool job_row_read(sqlite3_stmt *stmt, bool with_body, struct job_row *out)
{
    struct cursor c = {.stmt = stmt};
    *out = (struct job_row){0};
    out->id = next_int(&c);
    out->file_id = next_int(&c);
    out->path = next_text(&c);
    out->document = next_small(&c);
    out->stem = next_text(&c);
    out->doc_id = next_text(&c);
    out->workflow = next_text(&c);
    next_digest(&c, out->request_sha256);
    next_digest(&c, out->job_sha256);
    out->state = (enum job_state)next_small(&c);
    out->blocked = next_small(&c);
    out->priority = next_small(&c);
    out->seen_ms = next_int(&c);
    out->queued_ms = next_int(&c);
    out->not_before_ms = next_int(&c);
    out->expires_ms = next_int(&c);
    out->max_attempts = next_small(&c);
    out->due_ms = next_int(&c);
    read_result(&c, out);
    out->after_job = next_int(&c);
    out->uid = next_u32(&c);
    out->gid = next_u32(&c);
    out->mode = next_u32(&c);
    out->outcome = next_text(&c);
    out->placed = next_text(&c);
    if (with_body)
        read_body(&c, out);
    if (c.failed)
        job_row_free(out);
    return !c.failed;
}

bool job_row_is_current(const struct job_row *r)
{
    return (r->blocked & JOB_BLOCK_SUPERSEDED) == 0;
}

void file_row_free(struct file_row *r)
{
    free(r->path);
    free(r->fault);
    *r = (struct file_row){0};
}

void file_rows_free(struct file_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        file_row_free(&rows[i]);
    free(rows);
}

void job_row_free(struct job_row *r)
{
    char *const owned[] = {r->path,       r->stem,     r->doc_id, r->workflow, r->code,  r->message,
                           r->request_id, r->endpoint, r->body,   r->outcome,  r->placed};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
        free(owned[i]);
    *r = (struct job_row){0};
}

void job_rows_free(struct job_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        job_row_free(&rows[i]);
    free(rows);
}

void reply_row_free(struct reply_row *r)
{
    free(r->headers);
    free(r->body);
    free(r->spill);
    *r = (struct reply_row){0};
}

/* Doubles at powers of two, so that no capacity has to be kept beside the count. */
void *rows_grow(void *rows, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return rows;
    return reallocarray(rows, count == 0 ? 1 : count * 2, size);
}
