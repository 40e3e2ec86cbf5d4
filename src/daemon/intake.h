/* intake - from file names to rows: the scan as the truth, events as hints, completeness, identity.
 *
 * Owns: the watch, the running scan, the candidates that are not yet complete (bounded: past
 * INTAKE_CANDIDATES_MAX the next scan finds them), which paths have a write on its way to the store.
 * Does not own jobs: those in memory are the engine's, and intake asks the host about them.
 * A path is looked at by one look at a time; while its write is not durable, further hints are noted and
 * it is looked at again afterwards.
 *
 * A look: stat; same signature as the row -> nothing (back, if it was missing); else complete? (names.h,
 * spool.h: renamed or linked in at once; else closed, unchanged for `settle` by our clock, or change time
 * further back than `settle` on a local file system; no writer) -> read -> jobfile_parse -> reconcile ->
 * adopt an outcome that lies beside -> one store_take.
 */
#ifndef FLOWSPOOL_DAEMON_INTAKE_H
#define FLOWSPOOL_DAEMON_INTAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/holds.h"
#include "core/job.h"
#include "io/config.h"
#include "io/publish.h"
#include "io/spool.h"
#include "io/store.h"

struct intake;

/* What a job in memory is doing, as far as a look must know. */
enum live_phase {
    LIVE_NO,         /* not in memory: the store's row is the truth */
    LIVE_CANDIDATE,  /* loaded, may still be dropped by drop() */
    LIVE_IN_FLIGHT,  /* intent queued or durable, request out, or reply not yet judged */
    LIVE_PUBLISHING, /* its outcome is being written or moved, or its end being stored: look again later */
};

struct intake_host {
    void *arg;
    enum live_phase (*phase)(void *arg, int64_t job);
    /* Forget a candidate (its row changes or goes); nothing for others. */
    void (*drop)(void *arg, int64_t job);
    /* The running attempt is to be finished and kept as superseded. */
    void (*supersede)(void *arg, int64_t job);
    /* A job in flight has another path, stem, document now. */
    void (*renamed)(void *arg, int64_t job, const char *path, const char *stem, int document);
    /* Rows of runnable jobs were added or changed: load again. */
    void (*changed)(void *arg);
    /* Opens or closes a gate: GATE_PAUSE_FILE, GATE_VANISHED, GATE_SPOOL_GONE. why is for people. */
    void (*gate)(void *arg, enum gate gate, bool closed, const char *why);
    /* A job file was refused (counts for exit 1 with --once). */
    void (*refused)(void *arg);
    /* Same content written again, or an outcome adopted: counted as already done. */
    void (*already_done)(void *arg);
};

struct intake_options {
    const struct config *config; /* the engine's; intake_reconfigured() after a reload */
    const char *endpoint;        /* normalised, as in outcomes */
    uv_loop_t *loop;
    struct spool *spool;
    struct store *store;
    struct publish *publish;
    struct intake_host host;
};

#define INTAKE_CANDIDATES_MAX 65536

int intake_open(struct intake **out, const struct intake_options *o, char *message, size_t size);
/* Watches first, then scans. */
void intake_start(struct intake *in);
void intake_reconfigured(struct intake *in);
/* Scan now (SIGHUP, resume). */
void intake_rescan(struct intake *in);
/* Reads the file again although nothing about it seems changed: for jobs that flowspool retry asked for
 * (JOB_ASKED_AGAIN), and those done by a sandbox at another endpoint. 0; -ENOENT: it is gone (once it is
 * back, jobs that were asked for are thought of); -EAGAIN: as many as may be are waiting to be read; -ENOMEM.
 */
int intake_look_again(struct intake *in, const char *path);
/* What the file says is on its way to the store: what its jobs become is not known yet. */
bool intake_is_reading(const struct intake *in, const char *path);
/* Right before a request: is the job's file still what was taken? */
enum intake_file {
    INTAKE_FILE_SAME,
    INTAKE_FILE_CHANGED, /* or gone, renamed, held */
    INTAKE_FILE_UNKNOWN, /* cannot be told now */
};
enum intake_file intake_check_file(struct intake *in, const char *path, const struct file_sig *sig);
/* Looks at a job's file at once, as if an event had named it. False: nothing came of it, ask again later. */
bool intake_hint(struct intake *in, const char *path);
/* What a look found at this path, or is still waiting to find, is not stored yet: the row may be old. */
bool intake_is_busy(const struct intake *in, const char *path);
/* Changed settings are not yet applied to what waits: nothing should be sent. */
bool intake_rereading(const struct intake *in);
/* The first scan is finished and nothing is read again; no write of ours is out; nothing is waiting to
 * settle, young unparsable files included, but what twice could not be read or had a writer. */
bool intake_idle(const struct intake *in);
/* Something waits, and all of it twice could not be read or had a writer. Says nothing of scans and writes.
 */
bool intake_is_stuck(const struct intake *in);
/* A whole scan has been done since the start. */
bool intake_scanned(const struct intake *in);
/* Job-like names that are ignored, counted in the last whole scan; and the first few for status. */
size_t intake_ignored(const struct intake *in);
/* A take that changes this file's row is on its way to the store: what is read of the row, and of its jobs,
 * is old. */
bool intake_changes(const struct intake *in, int64_t file_id);
/* Accepts that jobs vanished (flowspool resume). */
void intake_accept_vanished(struct intake *in);
/* Stops watching and scanning; outstanding writes still complete. Free it after the store is closed. */
void intake_stop(struct intake *in);
void intake_free(struct intake *in);

#endif
