/* store - the state: jobs, attempts, replies and small values in one SQLite database in state_dir.
 *
 * The only module that sees SQLite. WAL, synchronous=FULL. One writer thread executes the queued writes in
 * order, many in one transaction (group commit), and reports each on the loop thread after its commit is
 * durable: done(arg, rc). Contract of every write: it copies what it needs before it returns (but for the
 * body of a reply); done (may be NULL) is called exactly once, never from inside the call, in the order of
 * the calls; rc is STORE_OK or STORE_CONFLICT (store_take only). What is queued is bounded by the caller:
 * store_queued().
 *
 * Disk full is waited out: store_on_full(). Any other I/O error, corruption, and a write that contradicts
 * what is stored (a bug: a move that core/job.h does not allow, an unknown row) is fatal, of a read too:
 * on_fatal is called once, from the loop, nothing more is executed, no further done is called, and the
 * program must stop with status 5. A failed sync is never tried again: closing then leaves the files as they
 * are.
 *
 * Reads run on the caller's thread on a second, read-only connection and see what is committed, at the latest
 * when done is called; those of one turn of the loop may all see the same moment: store_end_turn(). What is
 * in memory is ahead of it: the owner of a job in memory knows better. A store opened for reading only (the
 * operator's command) has no thread and no loop; whether a read failed tells store_error(). A process opens a
 * state once: closing a second handle would drop the locks of the first (POSIX).
 *
 * Memory: 8 MiB of cache for the writer, 4 MiB for the reader, what is queued, and a second copy of the one
 * reply that is being written. Times: Unix ms (they outlive a boot). Paths and stems are bytes, relative to
 * the spool. Strings returned are owned by the row; free rows with the matching function.
 */
#ifndef FLOWSPOOL_IO_STORE_H
#define FLOWSPOOL_IO_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/digest.h"
#include "core/filesig.h"
#include "core/job.h"
#include "core/ledger.h"

struct store;

enum store_rc {
    STORE_OK = 0,
    STORE_CONFLICT, /* an outcome name is taken by another file's job */
    STORE_NEWER,    /* the state was written by a newer program */
    STORE_BROKEN,   /* cannot be opened, corrupt, or an I/O error */
    STORE_ABSENT,   /* reading only: there is no state */
};

/* ---- life ---- */
typedef void (*store_done_fn)(void *arg, enum store_rc rc);
typedef void (*store_fatal_fn)(void *arg, const char *message);

/* Creates or migrates the database DIR/state.db (a migration keeps one backup, state.db.bak). *created: it
 * was not there before. STORE_NEWER and what is not ours: nothing in DIR was touched. The loop is kept alive
 * only while a write is not reported. */
enum store_rc store_open(struct store **out, uv_loop_t *loop, const char *dir, store_fatal_fn on_fatal,
                         void *arg, bool *created, char *message, size_t size);
enum store_rc store_open_readonly(struct store **out, const char *dir, char *message, size_t size);
/* Waits for queued writes to be durable (their done functions are NOT called), stops the thread, closes. With
 * a full disk they get one more try and are dropped. Not from inside done. The memory is freed when the loop
 * runs next. False: a write or a sync has failed, and the state cannot be trusted. */
bool store_close(struct store *s);
/* Why a read failed, or NULL. */
const char *store_error(const struct store *s);
/* To be called whenever the loop is about to sleep, or never: from the first call on, writes wait for the
 * next one and are then committed together, and the reads between two calls see the same moment. While they
 * are not over, the write-ahead log cannot shrink. */
void store_end_turn(struct store *s);
/* The disk is full (true): the writes wait, tried again every second, no done is called; or there is room
 * again (false). */
void store_on_full(struct store *s, void (*fn)(void *arg, bool full), void *arg);
size_t store_queued(const struct store *s); /* writes not yet reported */
/* The database file is still the one that was opened (nobody removed state_dir). */
bool store_still_there(const struct store *s);

/* ---- rows ---- */
enum file_state {
    FILE_OK = 0,
    FILE_REFUSED = 1,  /* does not parse: one failed job row (invalid_job) carries the error outcome */
    FILE_CONFLICT = 2, /* outcome name taken or impossible: listed, no outcome */
};
struct file_row {
    int64_t id; /* 0: not found */
    char *path; /* relative to the spool, without .hold; "" for one that is missing and whose path another
                   file has */
    struct file_sig sig;
    char job_sha256[DIGEST_HEX];
    int64_t seen_ms;
    int64_t missing_ms; /* 0: present */
    enum file_state state;
    char *fault; /* NULL or why it was refused */
    int documents;
    bool held; /* NAME.yaml.hold */
    uint32_t uid, gid, mode;
};
struct job_row {
    int64_t id, file_id;
    char *path;
    int document;                    /* 0: the file holds one document; else from 1 */
    char *stem;                      /* of the outcome */
    char *doc_id;                    /* or NULL */
    char *workflow;                  /* NULL for a refused file */
    char request_sha256[DIGEST_HEX]; /* "" for a refused file */
    char job_sha256[DIGEST_HEX];
    enum job_state state;
    int blocked; /* enum job_block bits */
    int priority;
    int64_t seen_ms, queued_ms;
    int64_t not_before_ms, expires_ms;            /* 0: none */
    int max_attempts;                             /* 0: the configuration's */
    int64_t due_ms;                               /* 0: ready; else not before (not_before or backoff) */
    int attempts, rate_limited, ambiguous, sends; /* sends: numbers the rows of attempts, from 1 */
    int64_t started_ms, finished_ms, duration_ms; /* 0 / 0 / -1: none */
    int http_status;
    char *code, *message, *request_id, *endpoint; /* or NULL */
    bool sandbox;
    int64_t after_job;       /* the superseded job whose running attempt must end first, or 0 */
    uint32_t uid, gid, mode; /* of the job file when it was taken */
    char *body;              /* JSON to send; only from store_load_* with body, else NULL */
    size_t body_len;
    struct file_sig sig; /* of the job file; only from store_load_ready, else 0 */
    /* Where the outcome lies (core/placement.h), as far as we put it there; somebody may have collected it.
     */
    char *outcome; /* its name in state_dir/superseded/, or NULL */
    char *placed;  /* the stem under which it lies in the spool, or NULL */
};
bool job_row_is_current(const struct job_row *r); /* not a former request of its file */
void file_row_free(struct file_row *r);
void job_row_free(struct job_row *r);
void job_rows_free(struct job_row *rows, size_t count); /* and the array */

/* ---- writes: intake ---- */
struct take_job {
    enum take_what {
        TAKE_INSERT,  /* new job, waiting (or done / failed as adopted, see state); held where the job that it
                       * follows was (JOB_BLOCK_HOLD), and so are those that were superseded until now */
        TAKE_REFRESH, /* same job: priority, times, max_attempts, document, stem; body if given and it waits.
                       * A due time that stood for not_before follows it */
        TAKE_RERUN, /* waiting, done or failed: back to waiting, counters and error reset, superseded and what
                     * was ordered cleared; body replaced if given */
        TAKE_RESTORE, /* superseded or kept job is current again under stem/document; state unchanged */
    } what;
    int64_t id; /* of the row, for all but INSERT */
    int document;
    const char *stem, *doc_id, *workflow, *request_sha256;
    int priority;
    int64_t not_before_ms, expires_ms;
    int max_attempts;
    int64_t due_ms;    /* INSERT, RERUN: 0 or not_before_ms */
    int64_t queued_ms; /* INSERT, RERUN; 0: the file's seen_ms, or as it was */
    const char *body;  /* NULL: leave as it is */
    size_t body_len;
    int64_t after_job;
    enum job_state state; /* INSERT only: JOB_WAITING, or JOB_DONE / JOB_FAILED when an outcome beside it was
                             adopted, or the row of a refused file */
    const char *code, *message; /* INSERT of a failed row */
    bool sandbox;               /* INSERT of a done row */
    const char *endpoint;
    bool moved_in;       /* not INSERT: it was a job of another file until now (store_load_strays) */
    bool beside;         /* INSERT of an adopted row: the outcome lies at stem */
    bool same;           /* RESTORE: written again with a request that has its result (core/ledger.h) */
    int64_t finished_ms; /* INSERT of a row that has ended; 0: unknown */
};
struct store_take {       /* everything one look at one file changes, in one transaction */
    struct file_row file; /* id 0: insert; else update (path too: a rename). Strings are read, not owned;
                           * missing_ms is not read: a file that is looked at is there */
    struct take_job *jobs;
    size_t njobs;
    const int64_t *drop; /* rows to delete; never SENT or REPLIED. One that is gone already is no error */
    size_t ndrop;
    const int64_t *supersede; /* rows to mark JOB_BLOCK_SUPERSEDED; of any file */
    size_t nsupersede;
    const int64_t *displace; /* files that lose their path */
    size_t ndisplace;
};
/* In the order displace, drop, supersede, file, jobs. All jobs of the file follow its path, file.held and its
 * presence. Another file's row with this path is displaced too: it has no path and counts as missing from now
 * on, its jobs are superseded and their stems are free; it may turn up elsewhere by its inode.
 * STORE_CONFLICT: another current job has one of the stems; nothing of this take was written. */
void store_take(struct store *s, const struct store_take *t, store_done_fn done, void *arg);
/* Marks files missing (missing_ms != 0) or back (0). Their jobs are blocked or freed, whatever their state:
 * one in flight that comes back to the queue finds itself blocked. Ids that are unknown are no error, here
 * and in the next three. */
void store_files_missing(struct store *s, const int64_t *file_ids, size_t count, int64_t missing_ms,
                         store_done_fn done, void *arg);
/* Holds or frees a file's jobs (NAME.yaml.hold). */
void store_file_held(struct store *s, int64_t file_id, bool held, const struct file_sig *sig,
                     store_done_fn done, void *arg);
/* Same content, other signature: remember it. */
void store_file_sig(struct store *s, int64_t file_id, const struct file_sig *sig, store_done_fn done,
                    void *arg);
/* Deletes files and their jobs, attempts, bodies. Jobs SENT or REPLIED keep their rows (and stems) until
 * store_settle() ends their attempt, whatever it ends in; then they are deleted too. */
void store_files_forget(struct store *s, const int64_t *file_ids, size_t count, store_done_fn done,
                        void *arg);

/* ---- writes: the life of an attempt ---- */
/* WAITING -> SENT, attempt row opened; sends = number of this attempt, one more than the row's; endpoint: who
 * will be asked. started_ms is set by the first. Must be durable before the request. */
void store_intent(struct store *s, int64_t job, int sends, int64_t now_ms, const char *endpoint,
                  const char *body_sha256, const char *boot_id, store_done_fn done, void *arg);
/* The intent did not become a request: SENT -> WAITING, attempt row removed, sends as before. */
void store_intent_void(struct store *s, int64_t job, int sends, store_done_fn done, void *arg);
struct store_reply {
    int http_status;
    const char *headers; /* raw, at most 64 KiB */
    size_t headers_len;
    const char
        *body; /* in memory, or NULL with spill. From some MiB on a file costs less than the database */
    size_t body_len;
    const char *spill; /* name of a file in state_dir/replies/ that is already synced, or NULL */
    bool too_large;
    int64_t received_ms, duration_ms;
};
/* SENT -> REPLIED with the raw reply. Durable before anyone parses it. The body buffer is NOT copied: it must
 * live until done. */
void store_reply(struct store *s, int64_t job, const struct store_reply *r, store_done_fn done, void *arg);
/* Ends an attempt and moves the job; strings may be NULL. Raw reply and (for DONE, FAILED) the body are
 * dropped. From SENT or REPLIED, or with attempt 0 from WAITING (no error if that row was forgotten
 * meanwhile). The row of a job whose file is forgotten is deleted, for WAITING too. */
struct store_settle {
    int64_t job;
    int attempt;         /* sends of the attempt that ended; 0: none (expired, given up, cancelled) */
    const char *verdict; /* for the attempts table */
    int64_t ended_ms, duration_ms;
    int http_status;
    enum job_state state;                  /* WAITING, DONE or FAILED */
    int64_t due_ms;                        /* WAITING: 0 or when */
    int attempts, rate_limited, ambiguous; /* new totals */
    int64_t started_ms;                    /* 0: as it is */
    const char *code, *message, *request_id, *endpoint;
    bool sandbox;
    bool recovered;              /* charged, and its reply was stored before a crash (core/ledger.h) */
    bool workflow_ok;            /* remember that this workflow has succeeded at this endpoint */
    const char *superseded_name; /* the outcome went to state_dir/superseded/ under this name */
    const char *placed;          /* or lies at this stem: see store_placed() */
    const char *moved;
};
void store_settle(struct store *s, const struct store_settle *e, store_done_fn done, void *arg);
/* ---- writes: where outcomes lie. Jobs that are not known any more are no error. ---- */
/* The job's outcome lies at stem and nowhere else. What was recorded to lie there is gone from there: a
 * result among it that was not recorded as kept is now, as moved (NULL: nothing had to be moved). */
void store_placed(struct store *s, int64_t job, const char *stem, const char *moved, store_done_fn done,
                  void *arg);
/* It lies in state_dir/superseded/ as well, under this name. */
void store_kept(struct store *s, int64_t job, const char *name, store_done_fn done, void *arg);
/* Somebody took it away from where it was placed: there is nothing to be moved any more. */
void store_collected(struct store *s, int64_t job, store_done_fn done, void *arg);
/* due_ms <= now: ready. Some thousand rows a call, so that replies need not wait behind it: store_next_due()
 * tells whether more are due. Blocked ones keep their due time until they are free. */
void store_promote(struct store *s, int64_t now_ms, store_done_fn done, void *arg);
/* The wall clock jumped: due times that are backoffs (not not_before) move by that much, to latest_ms at
 * most. */
void store_shift_backoff(struct store *s, int64_t jump_ms, int64_t latest_ms, store_done_fn done, void *arg);
/* DONE, FAILED or WAITING back to WAITING, ready, counters and error reset, attempts kept as history. The
 * body must be given again when it was dropped (DONE, FAILED); NULL leaves it as it is. */
void store_reopen(struct store *s, int64_t job, const char *body, size_t body_len, store_done_fn done,
                  void *arg);
/* Orders about jobs (core/joborder.h): clears bits, then sets JOB_BLOCK_HOLD and JOB_BLOCK_CANCEL on jobs
 * that have not ended, JOB_ASKED_AGAIN on those that have. Ids that are unknown, and bits that do not fit the
 * state the job is in by then, are no error. DONE and FAILED end a hold and a cancelling. */
void store_jobs_mark(struct store *s, const int64_t *jobs, size_t count, int set, int clear,
                     store_done_fn done, void *arg);
/* ---- small values: pause, learned rates, ... ---- */
/* Set in a state that was just created, in the same transaction; whoever has seen to what that means deletes
 * it.
 */
#define STORE_NEW "new"
void store_set(struct store *s, const char *key, const char *value, store_done_fn done,
               void *arg);                         /* NULL: delete */
char *store_get(struct store *s, const char *key); /* malloc'd or NULL */

/* ---- reads: rows to be filled are empty where there is nothing ---- */
bool store_file_by_path(struct store *s, const char *path, struct file_row *out);
/* Files with this inode (and birth time where both are known, else device); at most max rows. */
size_t store_files_by_inode(struct store *s, const struct file_sig *sig, struct file_row *out, size_t max);
/* All job rows of a file, superseded ones too; NULL with *count 0 when none. */
struct job_row *store_file_jobs(struct store *s, int64_t file_id, size_t *count);
bool store_job(struct store *s, int64_t id, bool with_body, struct job_row *out);
/* Who has this stem among current jobs: its path, malloc'd, or NULL. */
char *store_stem_owner(struct store *s, const char *stem, int64_t except_file);
/* Ready jobs in order (priority high first, seen, path, document), with bodies, skipping those for which
 * skip() is true and those whose after_job is SENT or REPLIED. At most max rows, and no more once their
 * bodies exceed 32 MiB together: only count 0 says that there is nothing. Costs what is skipped, too: some 3
 * us a row. */
struct job_row *store_load_ready(struct store *s, size_t max,
                                 bool (*skip)(void *arg, int64_t job, const char *workflow, const char *path),
                                 void *arg, size_t *count);
/* How many ready jobs stand before this one in that order, whether or not it is ready itself; -1: the read
 * failed. */
int64_t store_ready_before(struct store *s, const struct job_row *r);
int64_t store_next_due(struct store *s);     /* smallest due_ms of unblocked waiting jobs, 0: none */
int64_t store_next_backoff(struct store *s); /* the same without those that wait for their not_before */
/* Smallest expires_ms of waiting jobs, held ones too, not those whose file is gone, that are superseded or
 * being cancelled; 0: none. */
int64_t store_next_expiry(struct store *s);
struct job_row *store_load_expired(struct store *s, int64_t now_ms, size_t max, size_t *count);
/* Waiting jobs that are to fail as cancelled, and jobs that are to run again: in id order after `after`, at
 * most max. Not those whose file is gone (of the first) or that are superseded. */
struct job_row *store_load_cancelled(struct store *s, int64_t after, size_t max, size_t *count);
struct job_row *store_load_asked(struct store *s, int64_t after, size_t max, size_t *count);
/* Recovery: jobs SENT (no reply) and REPLIED, in id order after `after`, at most max. */
struct job_row *store_load_open(struct store *s, int64_t after, size_t max, size_t *count);
/* The stored reply of a REPLIED job. body malloc'd (or mmap'd spill: body NULL and spill set). */
struct reply_row {
    int http_status;
    char *headers;
    size_t headers_len;
    char *body;
    size_t body_len;
    char *spill;
    bool too_large;
    int64_t received_ms, duration_ms;
};
bool store_load_reply(struct store *s, int64_t job, struct reply_row *out);
void reply_row_free(struct reply_row *r);
/* Whether a stored reply lies in this spill file. */
bool store_names_spill(struct store *s, const char *spill);
bool store_workflow_succeeded(struct store *s, const char *workflow, const char *endpoint);
/* Pages through file rows by path order after `after` (NULL: from the start), for missing-file checks and
 * lists. */
struct file_row *store_files_page(struct store *s, const char *after, size_t max, size_t *count);
void file_rows_free(struct file_row *rows, size_t count);
/* Files missing since before ms, longest first, that come after `after` (NULL: from the first). */
struct file_row *store_files_missing_since(struct store *s, int64_t before_ms, const struct file_row *after,
                                           size_t max, size_t *count);
/* What was paid for, in one view. Attempts that were sent, and jobs that ended, at since_ms or later; what is
 * kept by UTC day counts from the day on in which since_ms is. Reads every row: about a second for a million.
 */
bool store_ledger(struct store *s, int64_t since_ms, struct ledger *out);
struct store_counts {
    int64_t waiting;   /* ready */
    int64_t deferred;  /* waiting with a due time in the future */
    int64_t held;      /* waiting, blocked by a hold */
    int64_t missing;   /* waiting, its file is gone */
    int64_t in_flight; /* sent */
    int64_t replied;
    int64_t done, failed; /* current, superseded not counted */
    int64_t refused;      /* files in conflict */
    int64_t files;
    int64_t oldest_waiting_ms; /* queued_ms of the oldest ready job, 0: none */
};
bool store_counts(struct store *s, struct store_counts *out);
/* For `flowspool list`: jobs (current ones) in path order, at the end those in flight whose file is
 * forgotten; state -1: all; workflow NULL: all. Calls row until it returns false; until then the write-ahead
 * log cannot shrink. Conflict and refused files come through store_files_page. */
bool store_list(struct store *s, int state, const char *workflow,
                bool (*row)(void *arg, const struct job_row *r), void *arg);
/* Superseded jobs whose file had this inode (and birth time, or device, as above) when they were superseded,
 * at most max: it may have been renamed before another one took its name. */
struct job_row *store_load_strays(struct store *s, const struct file_sig *sig, size_t max, size_t *count);
/* Jobs that ended and whose outcome does not lie where it belongs, in id order after `after`, at most max. */
struct job_row *store_load_unplaced(struct store *s, int64_t after, size_t max, size_t *count);
/* Jobs whose outcome lies at this stem although it does not belong there (any more), without this one. */
struct job_row *store_load_astray(struct store *s, const char *stem, int64_t except_job, size_t *count);
/* Done jobs from a sandbox at another endpoint than this. */
struct job_row *store_load_foreign_sandbox(struct store *s, const char *endpoint, size_t max, size_t *count);
struct attempt_row {
    int n;
    int64_t sent_ms, ended_ms, duration_ms;
    char verdict[32];
    int http_status;
};
struct attempt_row *store_attempts(struct store *s, int64_t job, size_t *count); /* malloc'd */

#endif
