/* store_internal - what the files of the store share; nobody else includes it.
 *
 * store_sql.c     a connection, its prepared statements, one error convention
 * store_schema.c  tables, migrations, and whether a database is ours
 * store_open.c    life of a store, and what reaches the loop thread
 * store_writer.c  queue, thread, group commit, checkpoints
 * store_take.c    one look at one file;  store_files.c  what becomes of files
 * store_place.c   where outcomes lie
 * store_attempt.c an attempt's life;     store_queue.c  times of waiting jobs, small values
 * store_rows.c    from columns to rows;  store_read.c, store_load.c  the reads
 */
#ifndef FLOWSPOOL_IO_STORE_INTERNAL_H
#define FLOWSPOOL_IO_STORE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <sys/types.h>

#include "core/ledger.h"
#include "io/store.h"

/* Statements say states and block bits as digits: this is where digits and names are tied together. */
_Static_assert(JOB_WAITING == 0 && JOB_SENT == 1 && JOB_REPLIED == 2 && JOB_DONE == 3 && JOB_FAILED == 4,
               "job states in SQL");
_Static_assert(JOB_BLOCK_MISSING == 1 && JOB_BLOCK_HOLD_FILE == 2 && JOB_BLOCK_HOLD == 4 &&
                   JOB_BLOCK_SUPERSEDED == 8 && JOB_BLOCK_CANCEL == 16 && JOB_ASKED_AGAIN == 32 &&
                   JOB_BLOCK_CONFLICT == 64,
               "block bits in SQL");
_Static_assert(FILE_OK == 0 && FILE_REFUSED == 1 && FILE_CONFLICT == 2, "file states in SQL");

/* The conditions of the partial indexes, in the words the queries must repeat. */
#define SQL_READY     "state = 0 AND due_ms = 0 AND blocked = 0"
#define SQL_DUE       "state = 0 AND due_ms > 0 AND blocked = 0"
#define SQL_BACKOFF   "state = 0 AND due_ms > 0 AND due_ms <> not_before_ms"
#define SQL_EXPIRING  "state = 0 AND expires_ms > 0 AND (blocked & 25) = 0"
#define SQL_CANCELLED "state = 0 AND (blocked & 25) = 16"
#define SQL_ASKED     "(blocked & 40) = 32"
#define SQL_OPEN      "state IN (1, 2)"
#define SQL_CURRENT   "(blocked & 8) = 0"
#define SQL_SANDBOX   "state = 3 AND sandbox = 1 AND (blocked & 8) = 0"
#define SQL_STRAY     "(blocked & 8) <> 0 AND ino <> 0"
#define SQL_UNPLACED  "state IN (3, 4) AND (blocked & 8) = 0 AND (placed IS NOT stem OR outcome IS NOT NULL)"
#define SQL_ASTRAY    "placed IS NOT NULL AND (placed <> stem OR (blocked & 8) <> 0)"

/* With ?2 dev and ?3 btime_ns of a file of the same inode: as core/filesig.h has it, but for what is written.
 */
#define SQL_SAME_FILE(f)                                                                                     \
    "((" f "dev = ?2 AND (?3 = 0 OR " f "btime_ns = 0)) OR (?3 <> 0 AND " f "btime_ns = ?3))"

/* Rows of the table tally, kept by triggers. The first five are job states. */
enum tally {
    TALLY_DEFERRED = 5,
    TALLY_HELD = 6,
    TALLY_MISSING = 7,
    TALLY_SUPERSEDED = 8,
    TALLY_FILES = 9,
    TALLY_FILE_CONFLICTS = 10,
    TALLY_COUNT
};

/* ---- store_sql.c ---- */

#define STATEMENTS_MAX 80

struct connection {
    sqlite3 *db;
    struct cached_statement {
        const char *sql; /* the literal itself is the key */
        sqlite3_stmt *stmt;
    } cached[STATEMENTS_MAX];
    size_t count;
    int system_error;  /* errno behind the last failure */
    char message[200]; /* and its text */
};

int connection_open(struct connection *c, const char *name, int flags, int cache_kib);
/* Statements without parameters or rows of interest. */
int connection_exec(struct connection *c, const char *sql);
/* The one number a statement yields; sets *value only on SQLITE_OK. */
int connection_number(struct connection *c, const char *sql, int64_t *value);
/* Closes without a checkpoint, so without a sync: after a sync has failed none may be tried again. */
void connection_leave(struct connection *c);
void connection_close(struct connection *c);

/* One run of a cached statement: bind in order, then step, then end. Errors stick: the first one is what
 * query_end() returns (an extended SQLite code), and all that follows it does nothing. Bound bytes must live
 * until then. */
struct query {
    struct connection *c;
    sqlite3_stmt *stmt;
    int bound;
    int rc;
};
struct query query_on(struct connection *c, const char *sql);
void query_int(struct query *q, int64_t value);
void query_limit(struct query *q, size_t max);
void query_text(struct query *q, const char *text);               /* NULL: NULL */
void query_name(struct query *q, const char *name);               /* a path or stem: any bytes, so a blob */
void query_bytes(struct query *q, const void *bytes, size_t len); /* NULL: NULL */
bool query_row(struct query *q);
int query_end(struct query *q);
int query_run(struct query *q);                            /* a statement without rows, to its end */
int connection_run(struct connection *c, const char *sql); /* one without parameters either */

/* ---- store_schema.c ---- */

#define STORE_VERSION 2

/* steps[v] takes a database of version v to v + 1; count is the version they lead to. */
#define MIGRATION_PARTS 3
struct migration {
    const char *parts[MIGRATION_PARTS]; /* unused ones NULL */
};
struct migrations {
    const struct migration *steps;
    int count;
};
extern const struct migrations store_migrations;

/* Looks at the bytes of the file's header, so that what is not ours or newer is not touched at all. */
enum store_rc schema_peek(const char *path, int newest, char *message, size_t size);
/* Version of the opened database, -1 for one that is still blank. */
enum store_rc schema_version(struct connection *c, int newest, int64_t *version, char *message, size_t size);
/* Brings it to the newest version, after a backup to dir/state.db.bak unless it was blank. */
enum store_rc schema_migrate(struct connection *c, const char *dir, const struct migrations *m, char *message,
                             size_t size);

/* ---- store_writer.c ---- */

struct writer;

/* A queued write: the head of a larger struct, one allocation with all it needs. exec returns an SQLite code,
 * or WRITE_BUG after writer_bug(). It runs again from the start when a batch is rolled back and retried. */
struct op {
    struct op *next;
    int (*exec)(struct writer *w, struct op *op);
    store_done_fn done;
    void *arg;
    enum store_rc rc;
};
struct op_list {
    struct op *first, *last;
};
#define WRITE_BUG (-1)

struct writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    uv_async_t *async;
    /* under the lock */
    struct op_list queue, finished;
    bool stop, full, failed;
    char failure[320];
    /* the thread's own */
    struct connection c;
    char bug[200];
    int wal_frames, checkpoint_at;
    bool hindered; /* the last checkpoint could not copy all that was in the log */
    bool vacuuming;
    bool tidy; /* looked for something to tidy up since the last batch */
};
/* c is taken over. 0 or an errno. */
int writer_start(struct writer *w, uv_async_t *async, const struct connection *c);
void writer_queue(struct writer *w, struct op_list *ops); /* all of them; empty afterwards */
/* Lets the queue become durable, ends the thread, drops what is left. False: what is on disk may not be
 * synced again. */
bool writer_stop(struct writer *w);
/* The first failure is the one that is reported. Any thread. */
void writer_fail(struct writer *w, const char *message);
int writer_bug(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Runs a statement that must change exactly the row of this job; else it is a bug: "job N is not EXPECTED".
 */
int writer_change_job(struct writer *w, struct query *q, int64_t job, const char *expected);
int writer_delete_job(struct writer *w, int64_t job);
/* A purchase that was saved: enum ledger_saving. */
int writer_saved(struct writer *w, enum ledger_saving how);
/* The job's outcome took this name: whoever's lay there is gone from there (store_placed()). */
int writer_vacate(struct writer *w, int64_t job, const char *stem, const char *moved);
void op_list_init(struct op_list *l);
void op_list_append(struct op_list *l, struct op *op);
void op_list_free(struct op_list *l);

/* ---- store_open.c ---- */

struct store {
    struct connection reader;
    struct writer *writer; /* NULL: opened for reading only */
    uv_async_t async;
    char *path;
    dev_t dev;
    ino_t ino;
    size_t queued;
    store_fatal_fn on_fatal;
    void *fatal_arg;
    void (*on_full)(void *arg, bool full);
    void *full_arg;
    bool fatal_reported, full_reported;
    bool in_turn;             /* the reads of this turn of the loop are in one transaction */
    bool has_turns;           /* the loop tells of their ends: */
    struct op_list submitted; /* the writes of this one go to the thread together */
    bool read_failed;
    char read_error[320];
};
/* The start of every write: size bytes, zeroed, of which the first are the op. NULL: no memory, and the store
 * has failed. */
void *store_op(struct store *s, size_t size, int (*exec)(struct writer *, struct op *), store_done_fn done,
               void *arg);
void store_submit(struct store *s, struct op *op);
/* The start of every read: query_on() the reader. */
struct query read_on(struct store *s, const char *sql);
/* The reads of this turn are over: the next one sees what is committed by then. */
void store_end_reads(struct store *s);
/* Ends a read; false: it failed, and so has the store. */
bool store_end_read(struct store *s, struct query *q);
void store_out_of_memory(struct store *s);

/* Copies of strings behind an op: room is summed up first, then they are laid down one after the other. */
size_t packed_size(const char *text);
const char *pack_text(char **at, const char *text);
void *pack_bytes(char **at, const void *bytes, size_t len);

/* ---- store_rows.c ---- */

#define FILE_COLUMNS                                                                                         \
    "f.id, f.path, f.dev, f.ino, f.size, f.mtime_ns, f.btime_ns, f.job_sha256, f.seen_ms, f.missing_ms, "    \
    "f.state, "                                                                                              \
    "f.fault, f.documents, f.held, f.uid, f.gid, f.mode"
#define JOB_COLUMNS                                                                                          \
    "j.id, j.file_id, j.path, j.document, j.stem, j.doc_id, j.workflow, j.request_sha256, j.job_sha256, "    \
    "j.state, "                                                                                              \
    "j.blocked, j.priority, j.seen_ms, j.queued_ms, j.not_before_ms, j.expires_ms, j.max_attempts, "         \
    "j.due_ms, "                                                                                             \
    "j.attempts, j.rate_limited, j.ambiguous, j.sends, j.started_ms, j.finished_ms, j.duration_ms, "         \
    "j.http_status, "                                                                                        \
    "j.code, j.message, j.request_id, j.endpoint, j.sandbox, j.after_job, j.uid, j.gid, j.mode, j.outcome, " \
    "j.placed"
#define JOB_BODY_COLUMN 37 /* where a query that wants it puts the body: behind JOB_COLUMNS */

/* False: no memory (nothing to free). */
bool file_row_read(sqlite3_stmt *stmt, struct file_row *out);
bool job_row_read(sqlite3_stmt *stmt, bool with_body, struct job_row *out);
/* dev, ino, size, mtime_ns, btime_ns from this column on. */
struct file_sig file_sig_read(sqlite3_stmt *stmt, int column);
char *column_text(sqlite3_stmt *stmt, int column, bool *failed);
/* Room for one more in a growing array; NULL: no memory (rows stays as it is). */
void *rows_grow(void *rows, size_t count, size_t size);

#endif
