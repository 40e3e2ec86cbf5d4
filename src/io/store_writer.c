/* One thread, one transaction for all that waits: the sync is paid once for many writes.
 *
 * Checkpoints are called for here rather than left to SQLite, because its automatic ones ignore their errors:
 * after a failed sync the next one would "succeed" and the log would be reused. They wait for a quiet moment,
 * up to a bound.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/store_internal.h"

#define BATCH_MAX     1024
#define RETRY_SECONDS 1
/* In pages of the write-ahead log. */
#define CHECKPOINT_IDLE 1000
#define CHECKPOINT_BUSY 8000
/* Readers were in the way of the last one: so soon it is tried again, or the log would grow by as much again.
 */
#define CHECKPOINT_AGAIN 500
/* Free pages are given back in small steps while idle, once they are many; some are kept, they will be
 * needed. */
#define VACUUM_FROM    4096
#define VACUUM_DOWN_TO 1024
#define VACUUM_STEP    "PRAGMA incremental_vacuum(256)"

/* ---- lists ---- */

void op_list_init(struct op_list *l)
{
    *l = (struct op_list){0};
}

void op_list_append(struct op_list *l, struct op *op)
{
    op->next = NULL;
    if (l->first == NULL)
        l->first = op;
    else
        l->last->next = op;
    l->last = op;
}

static void op_list_join(struct op_list *to, struct op_list *from)
{
    if (from->first == NULL)
        return;
    if (to->first == NULL)
        to->first = from->first;
    else
        to->last->next = from->first;
    to->last = from->last;
    op_list_init(from);
}

static void op_list_take(struct op_list *from, struct op_list *batch)
{
    op_list_init(batch);
    for (size_t n = 0; n < BATCH_MAX && from->first != NULL; n++) {
        struct op *op = from->first;
        from->first = op->next;
        op_list_append(batch, op);
    }
}

void op_list_free(struct op_list *l)
{
    struct op *next;
    for (struct op *op = l->first; op != NULL; op = next) {
        next = op->next;
        free(op);
    }
    op_list_init(l);
}

/* ---- failures ---- */

static void signal_loop(struct writer *w)
{
    uv_async_send(w->async);
}

void writer_fail(struct writer *w, const char *message)
{
    pthread_mutex_lock(&w->lock);
    if (!w->failed)
        snprintf(w->failure, sizeof w->failure, "%s", message);
    w->failed = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    signal_loop(w);
}

int writer_bug(struct writer *w, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(w->bug, sizeof w->bug, format, ap);
    va_end(ap);
    return WRITE_BUG;
}

static void fail_with(struct writer *w, int rc)
{
    const char *path = sqlite3_db_filename(w->c.db, "main");
    char message[sizeof w->failure];
    bool by_system = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN;
    if (rc == WRITE_BUG)
        snprintf(message, sizeof message, "bug: %.200s", w->bug);
    else if (by_system && w->c.system_error != 0)
        snprintf(message, sizeof message, "%.100s: %.80s (%d: %.60s)", path, w->c.message, rc,
                 strerror(w->c.system_error));
    else
        snprintf(message, sizeof message, "%.100s: %.120s (%d)", path, w->c.message, rc);
    writer_fail(w, message);
}

/* What passes when somebody makes room. A sync that failed for lack of room is not among them. */
static bool is_full(const struct writer *w, int rc)
{
    if ((rc & 0xff) == SQLITE_FULL)
        return true;
    bool no_room = w->c.system_error == ENOSPC || w->c.system_error == EDQUOT;
    return no_room && (rc == SQLITE_IOERR_WRITE || rc == SQLITE_IOERR_SHMSIZE);
}

static bool is_short_of_memory(int rc)
{
    return (rc & 0xff) == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM;
}

/* ---- statements with one known effect ---- */

int writer_change_job(struct writer *w, struct query *q, int64_t job, const char *expected)
{
    int rc = query_run(q);
    if (rc != SQLITE_OK || sqlite3_changes(w->c.db) == 1)
        return rc;
    return writer_bug(w, "job %lld is not %s", (long long)job, expected);
}

int writer_delete_job(struct writer *w, int64_t job)
{
    static const char *const deletions[] = {
        "DELETE FROM jobs WHERE id = ?",
        "DELETE FROM bodies WHERE job_id = ?",
        "DELETE FROM attempts WHERE job_id = ?",
        "DELETE FROM replies WHERE job_id = ?",
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof deletions / sizeof deletions[0] && rc == SQLITE_OK; i++) {
        struct query q = query_on(&w->c, deletions[i]);
        query_int(&q, job);
        rc = query_run(&q);
    }
    return rc;
}

/* ---- one batch ---- */

static int try_batch(struct writer *w, const struct op_list *batch)
{
    int rc = connection_run(&w->c, "BEGIN IMMEDIATE");
    for (struct op *op = batch->first; op != NULL && rc == SQLITE_OK; op = op->next) {
        op->rc = STORE_OK;
        rc = op->exec(w, op);
    }
    if (rc == SQLITE_OK)
        rc = connection_run(&w->c, "COMMIT");
    return rc;
}

/* Not through the cached statements: what failed is still to be told. */
static void roll_back(struct writer *w)
{
    if (!sqlite3_get_autocommit(w->c.db))
        sqlite3_exec(w->c.db, "ROLLBACK", NULL, NULL, NULL);
}

static void set_full(struct writer *w, bool full)
{
    pthread_mutex_lock(&w->lock);
    bool changed = w->full != full;
    w->full = full;
    pthread_mutex_unlock(&w->lock);
    if (changed)
        signal_loop(w);
}

static bool stopping(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool stop = w->stop || w->failed;
    pthread_mutex_unlock(&w->lock);
    return stop;
}

static void wait_a_second(struct writer *w)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_SECONDS;
    pthread_mutex_lock(&w->lock);
    int rc = 0;
    while (!w->stop && !w->failed && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&w->wake, &w->lock, &until);
    pthread_mutex_unlock(&w->lock);
}

static bool checkpoint(struct writer *w);

/* True once it is durable. Without room or memory it is tried until it is; when the store closes, once more.
 */
static bool commit_batch(struct writer *w, const struct op_list *batch)
{
    for (;;) {
        bool last_try = stopping(w);
        int rc = try_batch(w, batch);
        if (rc == SQLITE_OK) {
            set_full(w, false);
            return true;
        }
        bool full = is_full(w, rc);
        if (!full && !is_short_of_memory(rc)) {
            fail_with(w, rc);
            roll_back(w);
            return false;
        }
        roll_back(w);
        if (full)
            set_full(w, true);
        if (last_try)
            return false;
        wait_a_second(w);
        if (!checkpoint(w)) /* a log that could be emptied needs no more room */
            return false;
    }
}

/* ---- the log and the free pages ---- */

static int on_commit(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct writer *w = arg;
    (void)db;
    (void)name;
    if (frames < w->wal_frames) /* it was all in the database, and the log began anew */
        w->checkpoint_at = 0;
    w->wal_frames = frames;
    return SQLITE_OK;
}

static int64_t pragma(struct writer *w, const char *sql)
{
    struct query q = query_on(&w->c, sql);
    int64_t value = query_row(&q) ? sqlite3_column_int64(q.stmt, 0) : 0;
    return query_end(&q) == SQLITE_OK ? value : 0;
}

static int64_t free_pages(struct writer *w)
{
    return pragma(w, "PRAGMA freelist_count");
}

static void consider_vacuum(struct writer *w)
{
    w->tidy = true;
    if (!w->vacuuming && free_pages(w) > VACUUM_FROM)
        w->vacuuming = free_pages(w) > pragma(w, "PRAGMA page_count") / 4;
}

/* As far as readers allow; they are not waited for. False: fatal. */
static bool checkpoint(struct writer *w)
{
    int frames = 0, copied = 0;
    int rc = sqlite3_wal_checkpoint_v2(w->c.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    w->checkpoint_at = w->wal_frames;
    w->hindered = rc == SQLITE_OK && copied < frames;
    if (rc != SQLITE_OK) {
        w->c.system_error = sqlite3_system_errno(w->c.db);
        snprintf(w->c.message, sizeof w->c.message, "%s", sqlite3_errmsg(w->c.db));
        if ((rc & 0xff) != SQLITE_BUSY && !is_full(w, rc) && !is_short_of_memory(rc)) {
            fail_with(w, rc);
            return false;
        }
    }
    return true;
}

static bool checkpoint_due(const struct writer *w, int after)
{
    return w->wal_frames - w->checkpoint_at >= after;
}

static bool vacuum_step(struct writer *w)
{
    int rc = connection_exec(&w->c, VACUUM_STEP);
    w->vacuuming = rc == SQLITE_OK && free_pages(w) > VACUUM_DOWN_TO;
    if (rc == SQLITE_OK)
        return true;
    bool fatal = !is_full(w, rc) && !is_short_of_memory(rc) && (rc & 0xff) != SQLITE_BUSY;
    if (fatal)
        fail_with(w, rc);
    roll_back(w);
    return !fatal;
}

static bool has_to_tend(const struct writer *w)
{
    return !w->tidy || w->vacuuming || checkpoint_due(w, CHECKPOINT_IDLE);
}

/* A piece of what can be done while nobody waits; false: fatal. */
static bool tend(struct writer *w)
{
    if (checkpoint_due(w, CHECKPOINT_IDLE))
        return checkpoint(w);
    if (w->vacuuming)
        return vacuum_step(w);
    consider_vacuum(w);
    return true;
}

/* ---- the thread ---- */

enum next { NEXT_BATCH, NEXT_TEND, NEXT_END };

static enum next next_task(struct writer *w, struct op_list *batch)
{
    pthread_mutex_lock(&w->lock);
    enum next next = NEXT_END;
    while (!w->failed) {
        if (w->queue.first != NULL) {
            op_list_take(&w->queue, batch);
            next = NEXT_BATCH;
            break;
        }
        if (w->stop)
            break;
        if (has_to_tend(w)) {
            next = NEXT_TEND;
            break;
        }
        pthread_cond_wait(&w->wake, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return next;
}

static bool do_batch(struct writer *w, struct op_list *batch)
{
    w->tidy = false;
    if (!commit_batch(w, batch)) {
        op_list_free(batch);
        return false;
    }
    pthread_mutex_lock(&w->lock);
    op_list_join(&w->finished, batch);
    pthread_mutex_unlock(&w->lock);
    signal_loop(w);
    return !checkpoint_due(w, w->hindered ? CHECKPOINT_AGAIN : CHECKPOINT_BUSY) || checkpoint(w);
}

static void *writer_main(void *arg)
{
    struct writer *w = arg;
    struct op_list batch;
    for (bool going = true; going;) {
        switch (next_task(w, &batch)) {
        case NEXT_BATCH:
            going = do_batch(w, &batch);
            break;
        case NEXT_TEND:
            going = tend(w);
            break;
        case NEXT_END:
            going = false;
            break;
        }
    }
    return NULL;
}

/* ---- from other threads ---- */

static int create_thread(struct writer *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the loop's thread */
    int rc = pthread_create(&w->thread, NULL, writer_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_setname_np(w->thread, "store");
    return rc;
}

int writer_start(struct writer *w, uv_async_t *async, const struct connection *c)
{
    pthread_condattr_t attributes;
    w->async = async;
    w->c = *c;
    sqlite3_wal_hook(w->c.db, on_commit, w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    return create_thread(w);
}

void writer_queue(struct writer *w, struct op_list *ops)
{
    pthread_mutex_lock(&w->lock);
    op_list_join(&w->queue, ops);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

bool writer_stop(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    op_list_free(&w->queue);
    op_list_free(&w->finished);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    return !w->failed;
}
