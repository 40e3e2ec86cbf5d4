/* engine - the daemon's heart: what is due is done, and the time of the next thing to do is known.
 *
 * engine_before_sleep() does all that is due and sets the one alarm; it runs once a turn of the loop, so
 * every completion of that turn is answered together (which is also what makes the store's group commits
 * large). It owns the jobs in memory, the governor, the holds and gates, and the run's totals. The way of a
 * job: dispatch.c (choose, ask precheck.c whether its file is still the same, intent, send) -> attempt.c
 * (end, reply, verdict) -> deliver.c (outcome, end stored). Files come in through intake.c; orders through
 * operator.c.
 */
#ifndef FLOWSPOOL_DAEMON_ENGINE_H
#define FLOWSPOOL_DAEMON_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/decision.h"
#include "core/governor.h"
#include "core/holds.h"
#include "core/order.h"
#include "core/ratememory.h"
#include "core/retry.h"
#include "core/status.h"
#include "core/tuning.h"
#include "core/verdict.h"
#include "daemon/intake.h"
#include "daemon/live.h"
#include "daemon/state_dir.h"
#include "io/alarm.h"
#include "io/clock.h"
#include "io/config.h"
#include "io/confine.h"
#include "io/control.h"
#include "io/http.h"
#include "io/key.h"
#include "io/publish.h"
#include "io/service.h"
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

struct placing; /* one outcome on its way to another name: place.c */

/* An outcome that cannot go where it belongs for now. */
struct stuck_place {
    int64_t job;
    bool met; /* by the round that tries again: it still has to go there */
};
#define STUCK_PLACES_MAX 256

struct places {
    struct placing *under_way;
    size_t count;
    bool look;               /* rows may have changed */
    bool first_over;         /* the first round is: what a crash may have cut was done again */
    bool in_round, retrying; /* the rows are being gone through; the stuck ones too */
    int64_t after;           /* up to here */
    int64_t retry_ms;        /* when the stuck ones are tried again, 0: there are none */
    struct stuck_place stuck[STUCK_PLACES_MAX];
    size_t nstuck;
};

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
    /* by requests of this run; those of the last one that are recovered were its own */
    int64_t bought; /* replies that were charged for certain */
    int64_t maybe;  /* attempts that may have been charged */
    int64_t requests, rate_limited;
};

#define RATE_SLOTS 60

/* STATUS.txt: see statusfile.c. Times are monotonic but for changed_unix_ms. */
struct status_file {
    int64_t looked_ms, written_ms, changed_unix_ms;
    bool stale;  /* something happened since */
    bool moving; /* requests are out */
    bool there;  /* written by this start */
    bool failed; /* the last time */
    char digest[DIGEST_HEX];
};

/* What the governor learned, kept in the state: see rate.c. */
struct rate_keeping {
    char name[RATE_NAME_SIZE]; /* of the value, for the endpoint and key in use */
    unsigned account;          /* counts these pairs */
    int strays;                /* requests out under earlier ones */
    int64_t last_429_unix_ms;  /* of earlier runs; 0: none */
    bool stored;               /* the value is there */
    struct tuning_heard heard;
    uint64_t kept_mark; /* of the governor, when it was written last ... */
    int64_t kept_ms;    /* ... and when that was; 0: not by this start */
    /* in the log with debug: see ratelog.c */
    struct decision_mark told;
    enum decision_wait told_wait;
};

/* http_endpoint_fault() refuses a longer one. */
#define ENDPOINT_SIZE 2048

struct waiting_reply;

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
    struct service *service; /* NULL: no service manager */
    uv_prepare_t prepare;
    uv_signal_t signals[4];

    struct live_table live;
    struct governor governor;
    struct rate_keeping rate;
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
    struct order_pass {   /* over the rows in which an order left a bit */
        bool due;         /* from the row behind `after` on */
        int64_t after;
        bool later; /* due again once what is barred now may be loaded */
        int64_t later_after;
    } cancelled, asked;
    size_t cancelling; /* cancelled jobs whose outcomes are on their way */
    int64_t late_asked,
        late_gone; /* of those asked for before this start: how many, and whose file is gone */
    bool late;     /* counting these */
    struct waiting_reply *replies;                 /* to orders whose writes are on their way */
    int64_t next_due_unix_ms, next_expiry_unix_ms; /* as last read; 0: none */
    bool schedule_stale;                           /* the two above */
    int64_t disk_checked_ms;
    bool state_gone;          /* state_dir is not where it was */
    bool store_full;          /* the database could not grow; it tries again by itself */
    int64_t wall_offset_ms;   /* wall clock minus monotonic, to notice jumps */
    int64_t give_up_until_ms; /* the endpoint hold outlasted give_up_after: jobs fail until then */
    enum hold_cause give_up_cause;
    int64_t key_checked_ms;
    int64_t
        patience_since_ms; /* --once: outcomes or the disk stop all; 0: not so, or something moved since */

    struct places places;
    struct totals run;
    int64_t started_ms;
    uint32_t rate_slots[RATE_SLOTS]; /* ends per second, for rate and time left */
    int64_t rate_second;

    bool draining, stopped;
    int64_t drain_until_ms;
    int exit_status;     /* valid once stopped */
    bool abandoned;      /* second signal or grace over: what is in flight is ambiguous */
    bool recovering;     /* recovery.c still hands in rows */
    bool looks_at_spool; /* intake has been started */
    int64_t recover_after;
    int64_t progress_ms;
    struct status_file status_file;
    char confined[CONFINE_WORDS]; /* what holds, or "" */
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

/* ---- confinement.c ---- */
/* Gives up what is not needed, with `confine: auto`. */
void engine_confine(struct engine *e);
void engine_tell_confinement(const struct engine *e);

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

/* ---- rate.c ---- */
/* Before the first request: what an earlier run learned. */
void rate_start(struct engine *e);
/* The endpoint or the key may be another. */
void rate_moved(struct engine *e);
void rate_step(struct engine *e, int64_t now_ms);
int64_t rate_next(const struct engine *e); /* when the next step is due for it (monotonic ms) */
void rate_end(struct engine *e);           /* the daemon stops */
/* Requests that are out under another endpoint or key leave room for one more. */
bool rate_has_room(const struct engine *e);
/* When one more may take a slot: governor_next(). */
int64_t rate_ask(struct engine *e, int64_t now_ms);
/* The job takes a slot, after rate_ask() said now; its request goes to the wire; or does not. */
void rate_admit(struct live *l, int64_t now_ms);
void rate_sent(struct live *l, int64_t now_ms);
void rate_withdraw(struct live *l);
/* Its slot was given under another endpoint or key. */
bool rate_is_stray(const struct live *l);
/* What is known about the limit, and why not more is in flight. */
struct learned rate_learned(const struct engine *e, int64_t now_ms);
const char *rate_cap_reason(const struct engine *e);
/* How the governor sees it all, as JSON, malloc'd. */
char *rate_tuning_json(const struct engine *e);
/* Its request ended, with l->reply. */
void rate_replied(struct live *l, enum verdict v);

/* ---- ratelog.c ---- only while debug is logged */
void ratelog_asked(struct engine *e, int64_t at_ms, int64_t now_ms); /* what the governor answered */
void ratelog_admits(struct live *l);                                 /* before it does */
void ratelog_replies(struct engine *e, int64_t now_ms);              /* before it is told of a reply */
void ratelog_replied(struct live *l, const struct governor_reading *r, int64_t now_ms); /* behind that */

/* ---- deliver.c ---- */
void deliver_result(struct live *l, const struct json_object *reply);
/* Fails the job: code and message are copied. keep_body: NAME.error.body is written from the reply. */
void deliver_error(struct live *l, const char *code, const char *message, bool keep_body,
                   const char *verdict);
/* Its `expires` passed while it waited. */
void deliver_expired(struct live *l);
/* Back to the queue; l->end holds the totals. */
void deliver_requeue(struct live *l, int64_t due_unix_ms, const char *verdict);
void deliver_retry_parked(struct engine *e, int64_t now_ms);
/* Attempts of a job that may have been charged, of earlier rounds too, as far as they have ended; without
 * number `except`. */
int deliver_ambiguous(struct engine *e, const struct job_row *row, int except);
bool deliver_blocked(const struct engine *e, const char *path);
/* l->end from the row and the ended attempt. */
void deliver_begin_end(struct live *l);

/* ---- place.c ---- */
/* Outcomes follow their jobs' rows; what is pending is in the store, so a crash only delays it. Returns when
 * to ask again (monotonic ms). */
int64_t place_step(struct engine *e, int64_t now_ms);
/* Rows of jobs that have ended may have changed. */
void place_look(struct engine *e);
/* What a crash may have cut was done again, or cannot be done now: the spool may be looked at. */
bool place_has_started(const struct engine *e);
bool place_is_under_way(const struct engine *e, int64_t job);
/* Something is on its way, or about to be tried. */
bool place_busy(const struct engine *e);
/* Before a new outcome of job goes to stem, the outcome of another job that lies there is kept, and that is
 * made durable: after a crash it is still known whose it is. */
enum place_room {
    ROOM_IS_THERE, /* nothing to be kept */
    ROOM_IS_MADE,  /* done will be called with what the publisher says; ask again then, there may be another
                      one */
    ROOM_LATER,    /* what lies there is just about to leave: ask again in a moment */
};
enum place_room place_make_room(struct engine *e, const char *stem, int64_t job, publish_fn done, void *arg);
void place_free(struct engine *e);

/* ---- recovery.c ---- */
void recovery_begin(struct engine *e);
/* Hands in a bounded number of rows that were on their way. */
void recovery_step(struct engine *e);

/* ---- operator.c ---- */
char *operator_request(void *engine, const char *request); /* control_fn */
/* Keeps the reply to the request that is being answered back, until operator_reply_durable() is called with
 * what this returns as its arg. NULL: no memory. */
struct waiting_reply *operator_hold_reply(struct engine *e);
void operator_reply_durable(void *waiting_reply, enum store_rc rc); /* store_done_fn */
void operator_free_replies(struct engine *e);

/* ---- joborders.c ---- */
/* The order about jobs: the reply, malloc'd. */
char *joborders_take(struct engine *e, const struct order *o);
/* What orders before this start left to do. After intake_start(). */
void joborders_start(struct engine *e);
/* Fails what is being cancelled, has files read that are to run again: a bounded number. */
void joborders_step(struct engine *e);
/* The job, still in memory, waits again: its attempt ended without an outcome, or never began. */
void joborders_back_in_queue(const struct live *l);
/* Outcomes can be written again somewhere. */
void joborders_unblocked(struct engine *e);
/* What was barred may be loaded again. */
void joborders_unbarred(struct engine *e);

/* ---- report.c ---- */
void report_start(const struct engine *e);
void report_progress(struct engine *e, int64_t now_ms);
void report_status_line(struct engine *e);
void report_last_line(struct engine *e);
/* Status as JSON, malloc'd. */
char *report_status_json(struct engine *e);
struct hold_list {
    struct status_hold items[STATUS_HOLDS_MAX];
    size_t count;
    int64_t omitted;
};
/* What it points to is the engine's, and the list's. */
struct status report_status(const struct engine *e, struct hold_list *holds);

/* ---- statusfile.c ---- */
void statusfile_step(struct engine *e, int64_t now_ms);
int64_t statusfile_next(const struct engine *e); /* when the next step is due for it (monotonic ms) */
void statusfile_end(struct engine *e);           /* the daemon stops */

#endif
