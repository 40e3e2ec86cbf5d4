/* engine - the daemon's heart: what is due is done, and the time of the next thing to do is known.
 *
 * engine_step() does all that is due and sets the one alarm; it runs once a turn of the loop, before the loop
 * sleeps, so every completion of that turn is answered together (which is also what makes the store's group
 * commits large). It owns the jobs in memory, the governor, the holds and gates, and the run's totals.
 * The way of a job: dispatch.c (choose, ask precheck.c whether its file is still the same, intent, send) ->
 * attempt.c (end, reply, verdict) -> deliver.c (outcome, end stored). Files come in through intake.c; orders
 * through operator.c.
 */
#ifndef FLOWSPOOL_DAEMON_ENGINE_H
#define FLOWSPOOL_DAEMON_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/governor.h"
#include "core/holds.h"
#include "core/retry.h"
#include "daemon/intake.h"
#include "daemon/live.h"
#include "daemon/state_dir.h"
#include "io/clock.h"
#include "io/config.h"
#include "io/control.h"
#include "io/http.h"
#include "io/key.h"
#include "io/publish.h"
#include "io/store.h"

enum exit_status {
    EXIT_OK = 0,
    EXIT_JOBS_FAILED = 1,
    EXIT_BAD_USAGE = 2,
    EXIT_ACCOUNT_REFUSED = 3,
    EXIT_SPOOL_TAKEN = 4,
    EXIT_UNTRUSTED_STATE = 5,
    EXIT_GIVEN_UP = 6,
};

struct engine_options {
    const char *config_path; /* NULL: none */
    struct config_overrides overrides;
    const char *api_key_file_option; /* --api-key-file */
    bool once;
    bool quiet_once; /* --once without a terminal: failures and one last line */
};

/* A directory whose outcomes could not be written: its jobs wait, others go on. */
struct blocked_dir {
    char *dir;
};
#define BLOCKED_DIRS_MAX 64

/* A directory whose job files could not be looked at before they were to be sent; see precheck.c. It is
 * forgotten when one of them could. */
struct passed_dir {
    char *dir;
    int64_t until_ms, wait_ms;
    bool asked; /* the time is over and its jobs are loaded again */
};
#define PASSED_DIRS_MAX 64

struct totals { /* of this run */
    int64_t done, failed, refused, already_done;
    int64_t bought; /* replies that were charged for certain */
    int64_t maybe;  /* attempts that may have been charged */
    int64_t requests, rate_limited;
};

#define RATE_SLOTS 60

/* http_endpoint_fault() refuses a longer one. */
#define ENDPOINT_SIZE 2048

struct engine {
    struct engine_options opt;
    uv_loop_t *loop;
    struct config cfg;
    struct api_key key;
    uint64_t key_signature;
    char endpoint[ENDPOINT_SIZE]; /* normalised: as in outcomes; others hold its address, which must outlive a
                                   * reload */
    struct state_dir state;
    const char *state_dir, *replies_dir, *superseded_dir; /* in state */
    char boot_id[40];

    struct spool *spool;
    struct store *store;
    struct http *http;
    struct publish *publish;
    struct intake *intake;
    struct control *control;
    struct alarm_clock *alarm;
    uv_prepare_t prepare;
    uv_signal_t signals[4];

    struct live_table live;
    struct governor governor;
    struct retry_policy retry;
    struct hold account, endpoint_hold;
    struct workflow_holds workflows;
    int endpoint_streak;        /* 5xx in a row over all workflows */
    bool account_probe_refused; /* --once: the one more probe was refused too */
    unsigned gates;             /* enum gate bits */
    char gate_reason[160];
    struct blocked_dir blocked[BLOCKED_DIRS_MAX];
    size_t nblocked;
    struct passed_dir passed[PASSED_DIRS_MAX];
    size_t npassed;
    int64_t passed_all_until_ms;

    bool reload;          /* rows changed: the window is stale */
    int64_t reload_at_ms; /* not before */
    bool more_ready;      /* the store may hold ready jobs that are not in the window */
    bool promoting;       /* a store_promote is under way */
    int bar_writes;       /* how many more writes must be durable before this round of barred jobs ends */
    int64_t next_due_unix_ms, next_expiry_unix_ms; /* as last read; 0: none */
    bool schedule_stale;                           /* the two above */
    int64_t disk_checked_ms;
    bool state_gone;          /* state_dir is not where it was */
    bool store_full;          /* the database could not grow; it tries again by itself */
    int64_t wall_offset_ms;   /* wall clock minus monotonic, to notice jumps */
    int64_t give_up_until_ms; /* the endpoint hold outlasted give_up_after: jobs fail until then */
    enum hold_cause give_up_cause;
    int64_t key_checked_ms;
    int64_t patience_since_ms; /* --once: nothing has moved since; 0: something moves */

    struct totals run;
    int64_t started_ms;
    uint32_t rate_slots[RATE_SLOTS]; /* ends per second, for rate and time left */
    int64_t rate_second;

    bool draining, stopped;
    int64_t drain_until_ms;
    int exit_status; /* valid once stopped */
    bool abandoned;  /* second signal or grace over: what is in flight is ambiguous */
    bool recovering; /* recovery.c still hands in rows */
    int64_t recover_after;
    int64_t progress_ms;
};

/* ---- engine.c ---- */
/* Returns an exit status >= 0 when it cannot start (said on the log), -1 when it runs. */
int engine_open(struct engine *e, uv_loop_t *loop, const struct engine_options *o);
/* --check-config: 0 or 2, with the reason on the log. Opens nothing. */
int engine_check_config(struct engine *e, const struct engine_options *o);
/* After the loop ended, or when engine_open() could not: closes everything. Returns the exit status. */
int engine_close(struct engine *e);
/* Something happened outside a step that a step should see. Cheap. */
void engine_wake(struct engine *e);
void engine_gate(struct engine *e, enum gate gate, bool closed, const char *why);
void engine_fatal(struct engine *e, const char *message);
void engine_drain(struct engine *e);
void engine_stop(struct engine *e, int status);
void engine_count_end(struct engine *e);
/* The step, as the loop's prepare callback. */
void engine_before_sleep(uv_prepare_t *handle);
double engine_rate_per_second(const struct engine *e, int64_t now_ms);

/* ---- setup.c ---- */
void engine_log_fault(const char *file, const struct fault *f);
/* "https://host/" and "https://host" are the same endpoint. */
void engine_normalise_endpoint(const char *text, char out[ENDPOINT_SIZE]);
/* ---- host.c ---- */
struct intake_host engine_intake_host(struct engine *e);

/* ---- reload.c ---- */
/* Results of a sandbox elsewhere do not stop a run against this endpoint. */
void engine_reopen_foreign_sandbox_jobs(struct engine *e);
int engine_reload(struct engine *e); /* SIGHUP: whole or not at all; negative: kept the old one */
void engine_apply_config(struct engine *e);
void engine_fill_http_options(const struct engine *e, struct http_options *o);
void engine_check_key(struct engine *e, int64_t now_ms);

/* ---- dispatch.c ---- */
void dispatch_fill(struct engine *e, int64_t now_ms);
/* Admits what may start now; returns when to ask again (monotonic ms). */
int64_t dispatch_admit(struct engine *e, int64_t now_ms);
/* Gives back the probe marks of a job that could not probe. */
void dispatch_probe_inconclusive(struct engine *e, struct live *l);

/* ---- precheck.c ---- */
/* The job's file is as it was taken: true. Else intake looks at it, and the job is no longer in memory. */
bool precheck_file(struct engine *e, struct live *l, int64_t now_ms);
/* Jobs of this path are not to be loaded: something about the file is not stored yet, or it could not be
 * told. */
bool precheck_waits(struct engine *e, const char *path, int64_t now_ms);
/* When jobs that were passed over may be looked at again (monotonic ms). */
int64_t precheck_next(struct engine *e, int64_t now_ms);
void precheck_free(struct engine *e);

/* ---- attempt.c ---- */
void attempt_ended(void *live, struct http_result *r); /* http_done_fn */
/* The verdict for a job whose reply is in l->reply and durable where that matters. */
void attempt_judge(struct live *l);
void attempt_crashed(struct live *l); /* recovery: SENT without a reply */

/* ---- deliver.c ---- */
void deliver_result(struct live *l, const struct json_object *reply);
/* Fails the job: code and message are copied. keep_body: NAME.error.body is written from the reply. */
void deliver_error(struct live *l, const char *code, const char *message, bool keep_body,
                   const char *verdict);
/* Back to the queue; l->end holds the totals. */
void deliver_requeue(struct live *l, int64_t due_unix_ms, const char *verdict);
void deliver_retry_parked(struct engine *e, int64_t now_ms);
bool deliver_blocked(const struct engine *e, const char *path);
/* l->end from the row and the ended attempt. */
void deliver_begin_end(struct live *l);

/* ---- recovery.c ---- */
void recovery_begin(struct engine *e);
/* Hands in a bounded number of rows that were on their way. */
void recovery_step(struct engine *e);

/* ---- operator.c ---- */
char *operator_request(void *engine, const char *request); /* control_fn */
/* What flowspool retry left in the state while no daemon ran. After intake_start(). */
void operator_late_orders(struct engine *e);

/* ---- report.c ---- */
void report_start(const struct engine *e);
void report_progress(struct engine *e, int64_t now_ms);
void report_status_line(struct engine *e);
void report_last_line(struct engine *e);
/* Status as JSON, malloc'd. */
char *report_status_json(struct engine *e);

#endif
