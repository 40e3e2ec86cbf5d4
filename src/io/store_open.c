/* Life of a store, and the way back to the loop thread: what the writer finished, that the disk is full, that
 * all is over. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/store_internal.h"

#define WRITER_CACHE_KIB 8192
#define READER_CACHE_KIB 4096
/* The writer is the only one who writes. Somebody who holds the database longer than this is no reader. */
#define WRITER_BUSY_MS (30 * 1000)
#define READER_BUSY_MS (5 * 1000)
/* Up to here a whole check takes some 10 ms; beyond, damage is found when it is met. */
#define QUICK_CHECK_PAGES 1024

/* ---- opening ---- */

static enum store_rc cannot(const char *path, const char *what, char *message, size_t size)
{
    snprintf(message, size, "%s cannot be opened: %s", path, what);
    return STORE_BROKEN;
}

static char *database_path(const char *dir)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/state.db", dir) >= (int)sizeof path)
        return NULL;
    return strdup(path);
}

static struct store *store_new(const char *dir, char *message, size_t size)
{
    struct store *s = calloc(1, sizeof *s);
    if (s != NULL)
        s->path = database_path(dir);
    if (s != NULL && s->path != NULL)
        return s;
    free(s);
    snprintf(message, size, "%s: out of memory, or its path is too long", dir);
    return NULL;
}

static void store_delete(struct store *s)
{
    free(s->path);
    free(s);
}

/* Who may read it is decided by the mode of the directory; the files beside it follow this one. */
static bool create_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return errno == EEXIST;
    int rc = fchmod(fd, 0640);
    close(fd);
    return rc == 0;
}

static bool quick_check(struct connection *c)
{
    int64_t pages = 0;
    if (connection_number(c, "PRAGMA page_count", &pages) != SQLITE_OK)
        return false;
    if (pages > QUICK_CHECK_PAGES)
        return true;
    struct query q = query_on(c, "PRAGMA quick_check(1)");
    bool sound = query_row(&q);
    if (sound) {
        const char *verdict = (const char *)sqlite3_column_text(q.stmt, 0);
        sound = verdict != NULL && strcmp(verdict, "ok") == 0;
        if (!sound)
            snprintf(c->message, sizeof c->message, "damaged: %s",
                     verdict != NULL ? verdict : "out of memory");
    }
    query_end(&q);
    return sound;
}

/* The pragma answers with the mode it got, which need not be the one it was asked for. */
static bool write_ahead(struct connection *c)
{
    struct query q = query_on(c, "PRAGMA journal_mode = WAL");
    const char *mode = query_row(&q) ? (const char *)sqlite3_column_text(q.stmt, 0) : NULL;
    bool ok = mode != NULL && strcmp(mode, "wal") == 0;
    if (!ok && q.rc == SQLITE_OK)
        snprintf(c->message, sizeof c->message, "its file system does not allow write-ahead logging");
    query_end(&q);
    return ok;
}

/* Until it is known to be ours and sound, closing must change nothing: connection_leave(). */
static enum store_rc prepare_writer(struct connection *c, const char *dir, bool *created, char *message,
                                    size_t size)
{
    const char *path = sqlite3_db_filename(c->db, "main");
    int64_t version;
    sqlite3_busy_timeout(c->db, WRITER_BUSY_MS);
    enum store_rc rc = schema_version(c, STORE_VERSION, &version, message, size);
    if (rc != STORE_OK)
        return rc;
    *created = version < 0;
    if (!*created && !quick_check(c))
        return cannot(path, c->message, message, size);
    if (connection_exec(c, "PRAGMA auto_vacuum = INCREMENTAL") != SQLITE_OK || !write_ahead(c) ||
        connection_exec(c, "PRAGMA journal_size_limit = 33554432; PRAGMA wal_autocheckpoint = 0") !=
            SQLITE_OK)
        return cannot(path, c->message, message, size);
    return schema_migrate(c, dir, &store_migrations, message, size);
}

static enum store_rc open_writer(struct store *s, struct connection *c, const char *dir, bool *created,
                                 char *message, size_t size)
{
    enum store_rc rc = schema_peek(s->path, STORE_VERSION, message, size);
    if (rc == STORE_ABSENT && !create_file(s->path))
        return cannot(s->path, strerror(errno), message, size);
    if (rc != STORE_OK && rc != STORE_ABSENT)
        return rc;
    if (connection_open(c, s->path, SQLITE_OPEN_READWRITE, WRITER_CACHE_KIB) != SQLITE_OK)
        return cannot(s->path, c->message, message, size);
    rc = prepare_writer(c, dir, created, message, size);
    if (rc != STORE_OK)
        connection_leave(c);
    return rc;
}

static bool open_reader(struct store *s, const char *name, int flags)
{
    if (connection_open(&s->reader, name, SQLITE_OPEN_READONLY | flags, READER_CACHE_KIB) != SQLITE_OK)
        return false;
    sqlite3_busy_timeout(s->reader.db, READER_BUSY_MS);
    int64_t objects;
    if (connection_exec(&s->reader, "PRAGMA query_only = ON") == SQLITE_OK &&
        connection_number(&s->reader, "SELECT count(*) FROM sqlite_schema", &objects) == SQLITE_OK)
        return true;
    connection_close(&s->reader);
    return false;
}

static bool remember_inode(struct store *s)
{
    struct stat st;
    if (stat(s->path, &st) != 0)
        return false;
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    return true;
}

static void on_async(uv_async_t *handle);

/* From here on the async handle is open, and only closing it frees the store. */
static int start_writer(struct store *s, uv_loop_t *loop, struct connection *c)
{
    s->writer = calloc(1, sizeof *s->writer);
    if (s->writer == NULL)
        return ENOMEM;
    int rc = -uv_async_init(loop, &s->async, on_async);
    if (rc != 0) {
        free(s->writer);
        s->writer = NULL;
        return rc;
    }
    s->async.data = s;
    uv_unref((uv_handle_t *)&s->async);
    return writer_start(s->writer, &s->async, c);
}

static void on_closed(uv_handle_t *handle)
{
    store_delete(handle->data);
}

/* After a failed start: nothing was written but perhaps the schema. */
static void abandon(struct store *s, struct connection *c)
{
    connection_close(&s->reader);
    connection_close(c);
    if (s->writer == NULL) {
        store_delete(s);
        return;
    }
    free(s->writer);
    uv_close((uv_handle_t *)&s->async, on_closed);
}

enum store_rc store_open(struct store **out, uv_loop_t *loop, const char *dir, store_fatal_fn on_fatal,
                         void *arg, bool *created, char *message, size_t size)
{
    struct store *s = store_new(dir, message, size);
    struct connection c = {0};
    if (s == NULL)
        return STORE_BROKEN;
    s->on_fatal = on_fatal;
    s->fatal_arg = arg;
    enum store_rc rc = open_writer(s, &c, dir, created, message, size);
    if (rc != STORE_OK) {
        store_delete(s);
        return rc;
    }
    int err = 0;
    if (!open_reader(s, s->path, 0) || !remember_inode(s))
        rc = cannot(s->path, s->reader.message, message, size);
    else if ((err = start_writer(s, loop, &c)) != 0)
        rc = cannot(s->path, strerror(err), message, size);
    if (rc != STORE_OK) {
        abandon(s, &c);
        return rc;
    }
    *out = s;
    return STORE_OK;
}

/* A clean end leaves no write-ahead log, and who may not write in the directory cannot make one to read with.
 * Then nobody else has the database open either, and it can be read as it lies there. */
static bool open_immutable(struct store *s)
{
    char log[PATH_MAX], uri[3 * PATH_MAX + 32];
    struct stat st;
    if (snprintf(log, sizeof log, "%s-wal", s->path) >= (int)sizeof log ||
        (stat(log, &st) == 0 && st.st_size > 0))
        return false;
    size_t used = (size_t)snprintf(uri, sizeof uri, "file:");
    for (const char *p = s->path; *p != '\0'; p++) {
        bool plain =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '/';
        used += (size_t)snprintf(uri + used, 4, plain ? "%c" : "%%%02X", (unsigned char)*p);
    }
    snprintf(uri + used, sizeof uri - used, "?immutable=1");
    return open_reader(s, uri, SQLITE_OPEN_URI);
}

static enum store_rc check_version(struct store *s, char *message, size_t size)
{
    int64_t version;
    enum store_rc rc = schema_version(&s->reader, STORE_VERSION, &version, message, size);
    if (rc != STORE_OK)
        return rc;
    if (version < 0) {
        snprintf(message, size, "there is no state (%s is empty)", s->path);
        return STORE_ABSENT;
    }
    if (version == STORE_VERSION)
        return STORE_OK;
    snprintf(message, size, "%s is of an older version; flowspoold migrates it when it starts", s->path);
    return STORE_BROKEN;
}

enum store_rc store_open_readonly(struct store **out, const char *dir, char *message, size_t size)
{
    struct store *s = store_new(dir, message, size);
    if (s == NULL)
        return STORE_BROKEN;
    enum store_rc rc = schema_peek(s->path, STORE_VERSION, message, size);
    if (rc == STORE_OK && !open_reader(s, s->path, 0) && !open_immutable(s))
        rc = cannot(s->path, s->reader.message, message, size);
    if (rc == STORE_OK)
        rc = check_version(s, message, size);
    if (rc == STORE_OK && !remember_inode(s))
        rc = cannot(s->path, strerror(errno), message, size);
    if (rc == STORE_OK) {
        *out = s;
        return STORE_OK;
    }
    connection_close(&s->reader);
    store_delete(s);
    return rc;
}

bool store_close(struct store *s)
{
    if (s->writer == NULL) {
        connection_close(&s->reader);
        store_delete(s);
        return true;
    }
    struct writer *w = s->writer;
    store_end_turn(s);
    bool sound = writer_stop(w);
    (sound ? connection_close : connection_leave)(&s->reader);
    (sound ? connection_close : connection_leave)(&w->c);
    free(w);
    uv_close((uv_handle_t *)&s->async, on_closed);
    return sound;
}

bool store_still_there(const struct store *s)
{
    struct stat st;
    return stat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino;
}

size_t store_queued(const struct store *s)
{
    return s->queued;
}

const char *store_error(const struct store *s)
{
    return s->read_failed ? s->read_error : NULL;
}

void store_on_full(struct store *s, void (*fn)(void *arg, bool full), void *arg)
{
    s->on_full = fn;
    s->full_arg = arg;
}

/* ---- from the writer to the loop ---- */

static void report_full(struct store *s, bool full)
{
    if (full == s->full_reported)
        return;
    s->full_reported = full;
    if (s->on_full != NULL)
        s->on_full(s->full_arg, full);
}

static void report_done(struct store *s, struct op_list *finished)
{
    struct op *next;
    for (struct op *op = finished->first; op != NULL; op = next) {
        next = op->next;
        s->queued--;
        if (op->done != NULL)
            op->done(op->arg, op->rc);
        free(op);
    }
}

static void on_async(uv_async_t *handle)
{
    struct store *s = handle->data;
    struct writer *w = s->writer;
    struct op_list finished;
    pthread_mutex_lock(&w->lock);
    bool failed = w->failed, full = w->full;
    finished = w->finished;
    op_list_init(&w->finished);
    pthread_mutex_unlock(&w->lock);
    if (s->fatal_reported) {
        op_list_free(&finished);
        return;
    }
    if (failed) { /* what was committed before the failure is found again at the next start */
        op_list_free(&finished);
        s->fatal_reported = true;
        uv_unref((uv_handle_t *)&s->async);
        s->on_fatal(s->fatal_arg, w->failure);
        return;
    }
    report_full(s, full);
    store_end_reads(s); /* what is reported now is seen by who is told */
    report_done(s, &finished);
    if (s->queued == 0)
        uv_unref((uv_handle_t *)&s->async); /* idle: the loop may end */
}

/* ---- the start of a write ---- */

static void store_fail(struct store *s, const char *message)
{
    if (!s->read_failed)
        snprintf(s->read_error, sizeof s->read_error, "%s: %s", s->path, message);
    s->read_failed = true;
    if (s->writer != NULL)
        writer_fail(s->writer, s->read_error);
}

void store_out_of_memory(struct store *s)
{
    store_fail(s, "out of memory");
}

void store_end_turn(struct store *s)
{
    store_end_reads(s);
    s->has_turns = true;
    if (s->submitted.first != NULL)
        writer_queue(s->writer, &s->submitted);
}

bool store_end_read(struct store *s, struct query *q)
{
    if (query_end(q) == SQLITE_OK)
        return true;
    store_fail(s, s->reader.message);
    return false;
}

void *store_op(struct store *s, size_t size, int (*exec)(struct writer *, struct op *), store_done_fn done,
               void *arg)
{
    struct op *op = calloc(1, size);
    if (op == NULL) {
        store_out_of_memory(s);
        return NULL;
    }
    op->exec = exec;
    op->done = done;
    op->arg = arg;
    return op;
}

void store_submit(struct store *s, struct op *op)
{
    s->queued++;
    uv_ref((uv_handle_t *)&s->async);
    op_list_append(&s->submitted, op);
    if (!s->has_turns)
        writer_queue(s->writer, &s->submitted);
}

size_t packed_size(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

void *pack_bytes(char **at, const void *bytes, size_t len)
{
    if (bytes == NULL)
        return NULL;
    char *copy = *at;
    memcpy(copy, bytes, len);
    *at += len;
    return copy;
}

const char *pack_text(char **at, const char *text)
{
    return pack_bytes(at, text, packed_size(text));
}
