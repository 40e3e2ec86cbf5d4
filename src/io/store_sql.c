/* A connection with its prepared statements. Each is prepared once, found again by the address of its text.
 */
#include <stdio.h>
#include <string.h>

#include "io/store_internal.h"

/* Longer than somebody may take who reads a log that a crash left. */
#define OPEN_BUSY_MS (5 * 1000)

/* Pages that a connection allocates in one piece. A reader drops its pages whenever the writer has committed:
 * taken from malloc one by one, that was a tenth of all its work. */
#define PAGES_AT_ONCE 256

/* For the whole process, before its first connection; later it changes nothing. No statistics: they cost a
 * lock an allocation. */
static void set_up_memory(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, PAGES_AT_ONCE);
}

/* The system's error behind a failed write. SQLite 3.40 does not note it when it is the write of a COMMIT
 * that fails (sqlite3_system_errno() is then of an older failure, or 0); the file itself does. What SQLite
 * writes outside checkpoints is the log. */
static int write_error(struct connection *c)
{
    sqlite3_file *log = NULL;
    int err = 0;
    if (sqlite3_file_control(c->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || log == NULL ||
        log->pMethods == NULL || log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &err) != SQLITE_OK)
        return sqlite3_system_errno(c->db);
    return err;
}

/* What failed must be read at once: the next call on the connection overwrites it. */
static int note_failure(struct connection *c, int rc)
{
    c->system_error = rc == SQLITE_IOERR_WRITE ? write_error(c) : sqlite3_system_errno(c->db);
    snprintf(c->message, sizeof c->message, "%s", sqlite3_errmsg(c->db));
    return rc;
}

int connection_open(struct connection *c, const char *name, int flags, int cache_kib)
{
    memset(c, 0, sizeof *c);
    set_up_memory();
    /* No mutex: a connection is used by one thread at a time. */
    int rc = sqlite3_open_v2(name, &c->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK) {
        if (c->db != NULL)
            note_failure(c, rc);
        connection_close(c);
        return rc;
    }
    /* Before the first of them reads the file: after a crash, who only looks at it is the first to read the
     * log, and keeps others out meanwhile; so does the last one that closes. */
    sqlite3_busy_timeout(c->db, OPEN_BUSY_MS);
    char pragmas[320];
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA cache_size = -%d; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA "
             "trusted_schema = OFF;"
             "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL;",
             cache_kib);
    rc = connection_exec(c, pragmas);
    if (rc != SQLITE_OK)
        connection_leave(c);
    return rc;
}

int connection_exec(struct connection *c, const char *sql)
{
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? rc : note_failure(c, rc);
}

int connection_number(struct connection *c, const char *sql, int64_t *value)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *value = sqlite3_column_int64(stmt, 0);
        rc = SQLITE_OK;
    } else {
        note_failure(c, rc);
        rc = rc == SQLITE_DONE ? SQLITE_ERROR : rc;
    }
    sqlite3_finalize(stmt);
    return rc;
}

void connection_close(struct connection *c)
{
    for (size_t i = 0; i < c->count; i++)
        sqlite3_finalize(c->cached[i].stmt);
    c->count = 0;
    sqlite3_close(c->db);
    c->db = NULL;
}

void connection_leave(struct connection *c)
{
    if (c->db != NULL)
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    connection_close(c);
}

static sqlite3_stmt *cached(struct connection *c, const char *sql, int *rc)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->cached[i].sql == sql)
            return c->cached[i].stmt;
    if (c->count == STATEMENTS_MAX) {
        snprintf(c->message, sizeof c->message, "more than %d statements", STATEMENTS_MAX);
        *rc = SQLITE_INTERNAL;
        return NULL;
    }
    sqlite3_stmt *stmt = NULL;
    *rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (*rc != SQLITE_OK) {
        note_failure(c, *rc);
        return NULL;
    }
    c->cached[c->count++] = (struct cached_statement){sql, stmt};
    return stmt;
}

struct query query_on(struct connection *c, const char *sql)
{
    struct query q = {.c = c, .rc = SQLITE_OK};
    q.stmt = cached(c, sql, &q.rc);
    return q;
}

static void bound(struct query *q, int rc)
{
    if (rc != SQLITE_OK)
        q->rc = note_failure(q->c, rc);
}

void query_int(struct query *q, int64_t value)
{
    if (q->rc == SQLITE_OK)
        bound(q, sqlite3_bind_int64(q->stmt, ++q->bound, value));
}

void query_limit(struct query *q, size_t max)
{
    query_int(q, max > INT64_MAX ? INT64_MAX : (int64_t)max);
}

void query_text(struct query *q, const char *text)
{
    if (q->rc == SQLITE_OK)
        bound(q, sqlite3_bind_text(q->stmt, ++q->bound, text, -1, SQLITE_STATIC));
}

void query_bytes(struct query *q, const void *bytes, size_t len)
{
    if (q->rc == SQLITE_OK)
        bound(q, sqlite3_bind_blob64(q->stmt, ++q->bound, bytes, len, SQLITE_STATIC));
}

void query_name(struct query *q, const char *name)
{
    query_bytes(q, name, strlen(name));
}

bool query_row(struct query *q)
{
    if (q->rc != SQLITE_OK)
        return false;
    int rc = sqlite3_step(q->stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        q->rc = note_failure(q->c, rc);
    return rc == SQLITE_ROW;
}

int query_end(struct query *q)
{
    if (q->stmt != NULL) {
        sqlite3_reset(q->stmt);
        sqlite3_clear_bindings(q->stmt); /* what was bound is not ours to keep */
    }
    return q->rc;
}

int query_run(struct query *q)
{
    query_row(q);
    return query_end(q);
}

int connection_run(struct connection *c, const char *sql)
{
    struct query q = query_on(c, sql);
    return query_run(&q);
}
