/* The step: everything that is due, then the time of the next thing to do. And how a run ends. */
#include "daemon/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "io/log.h"

/* No new request unless there is room for the replies of all that are out, and a margin for the database. */
#define DISK_MARGIN_BYTES      (8LL << 20)
#define DISK_PER_REQUEST_BYTES (64LL << 10)
#define DISK_MIN_INODES        64
#define DISK_CHECK_MS          1000
#define EXPIRED_BATCH          64
#define PROGRESS_MS            500
/* What changes a barred job is queued by now; where it meets a conflict, a second write follows it. */
#define BAR_WRITES 2
/* What lies in the spool at the start is put in order before the first request, if that is done by then. */
#define FIRST_LOOK_MS 250

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void engine_gate(struct engine *e, enum gate gate, bool closed, const char *why)
{
    bool was = (e->gates & (unsigned)gate) != 0;
    if (was == closed)
        return;
    if (closed) {
        e->gates |= (unsigned)gate;
        snprintf(e->gate_reason, sizeof e->gate_reason, "%s", why);
        log_line(LOG_WARN, NULL, "sending is held (%s): %s", gate_name(gate), why);
    } else {
        e->gates &= ~(unsigned)gate;
        log_line(LOG_WARN, NULL, "no longer held (%s)", gate_name(gate));
        governor_ramp(&e->governor);
    }
    engine_wake(e);
}

void engine_wake(struct engine *e)
{
    if (!e->stopped && e->alarm != NULL)
        alarm_set(e->alarm, 0);
}

void engine_stop(struct engine *e, int status)
{
    if (e->stopped)
        return;
    e->stopped = true;
    e->exit_status = status;
    uv_stop(e->loop);
}

void engine_fatal(struct engine *e, const char *message)
{
    log_line(LOG_ERROR, NULL, "%s; stopping, because state and outcomes can no longer be trusted", message);
    e->abandoned = true;
    engine_stop(e, EXIT_UNTRUSTED_STATE);
}

void engine_drain(struct engine *e)
{
    if (e->draining) {
        log_line(LOG_WARN, NULL,
                 "stopping at once: %zu in flight may have been charged and count as ambiguous",
                 live_in_flight(&e->live));
        e->abandoned = true;
        engine_stop(e, e->opt.once ? EXIT_GIVEN_UP : EXIT_OK);
        return;
    }
    e->draining = true;
    service_stopping(e->service);
    e->drain_until_ms = clock_mono_ms() + e->cfg.shutdown_grace_ms;
    e->gates |= GATE_DRAIN;
    intake_stop(e->intake);
    live_drop_candidates(&e->live);
    log_line(LOG_INFO, NULL, "draining: nothing new starts, %zu in flight may finish",
             live_in_flight(&e->live));
    engine_wake(e);
}

/* ---- rate, for people ---- */

void engine_count_end(struct engine *e)
{
    int64_t second = clock_mono_ms() / 1000;
    if (second - e->rate_second >= RATE_SLOTS)
        memset(e->rate_slots, 0, sizeof e->rate_slots);
    else
        for (int64_t s = e->rate_second + 1; s <= second; s++)
            e->rate_slots[s % RATE_SLOTS] = 0;
    e->rate_second = second;
    e->rate_slots[second % RATE_SLOTS]++;
}

double engine_rate_per_second(const struct engine *e, int64_t now_ms)
{
    int64_t second = now_ms / 1000;
    int64_t from = e->started_ms / 1000;
    int64_t span = earliest(RATE_SLOTS - 1, second - from);
    if (span < 1)
        span = 1;
    uint64_t ends = 0;
    for (int64_t s = second - span; s <= second; s++)
        if (s > e->rate_second - RATE_SLOTS && s <= e->rate_second && s >= 0)
            ends += e->rate_slots[s % RATE_SLOTS];
    return (double)ends / (double)span;
}

/* ---- what is due ---- */

static bool room_on(const struct engine *e, const char *dir)
{
    struct statvfs v;
    if (statvfs(dir, &v) != 0)
        return true; /* the write itself will tell */
    long long room = (long long)v.f_bavail * (long long)v.f_frsize;
    long long need = DISK_MARGIN_BYTES + DISK_PER_REQUEST_BYTES * (long long)(live_in_flight(&e->live) + 1);
    bool inodes = v.f_files == 0 || v.f_favail >= DISK_MIN_INODES;
    return room >= need && inodes;
}

static void check_disk(struct engine *e, int64_t now_ms)
{
    bool wants_to_send = e->live.steps[STEP_CANDIDATE] > 0 || (e->gates & GATE_DISK) != 0;
    if (!wants_to_send || now_ms - e->disk_checked_ms < DISK_CHECK_MS)
        return;
    e->disk_checked_ms = now_ms;
    bool room = room_on(e, e->state_dir) && room_on(e, e->cfg.spool) && e->nblocked < BLOCKED_DIRS_MAX;
    engine_gate(e, GATE_DISK, !room || e->store_full, "no room on the disk for replies");
}

/* Whatever is sent now could not be known after a restart. Asked in every step that might send: a look at one
 * name costs nothing beside a request. */
static void check_state(struct engine *e)
{
    bool gone = e->live.steps[STEP_CANDIDATE] > 0 && !store_still_there(e->store);
    if (gone == e->state_gone || (!gone && e->live.steps[STEP_CANDIDATE] == 0))
        return;
    e->state_gone = gone;
    engine_gate(
        e, GATE_LOST_STATE, gone,
        "the state in state_dir vanished; put it back, or accept its loss: stop the daemon, start it again "
        "and run: flowspool resume");
}

/* Wall-clock jumps must not move a backoff: due times are stored as wall-clock because they outlive a boot.
 */
static void follow_wall_clock(struct engine *e, int64_t now_ms, int64_t unix_ms)
{
    int64_t offset = unix_ms - now_ms;
    int64_t jump = offset - e->wall_offset_ms;
    if (jump > -2000 && jump < 2000)
        return;
    e->wall_offset_ms = offset;
    governor_set_wall(&e->governor, offset);
    log_line(LOG_WARN, NULL, "the clock jumped by %lld s: waiting retries keep their distance",
             (long long)(jump / 1000));
    store_shift_backoff(e->store, jump, unix_ms + e->cfg.retry_cap_ms, NULL, NULL);
    e->schedule_stale = true;
}

static void on_promoted(void *arg, enum store_rc rc)
{
    struct engine *e = arg;
    (void)rc;
    e->promoting = false;
    e->reload = e->schedule_stale = true;
    engine_wake(e);
}

static void on_bar_write(void *arg, enum store_rc rc)
{
    struct engine *e = arg;
    (void)rc;
    if (--e->bar_writes > 0) {
        store_set(e->store, "bar", NULL, on_bar_write, e);
        return;
    }
    live_unbar(&e->live);
    joborders_unbarred(e);
    e->reload = e->schedule_stale = true;
    engine_wake(e);
}

/* The store's writes are in order: when one that is queued now is durable, so is all that was before it. */
static void end_bars(struct engine *e)
{
    if (!live_bar_round(&e->live))
        return;
    e->bar_writes = BAR_WRITES;
    store_set(e->store, "bar", NULL, on_bar_write, e);
}

static void refresh_schedule(struct engine *e, int64_t unix_ms)
{
    if (e->schedule_stale) {
        e->schedule_stale = false;
        e->next_due_unix_ms = store_next_due(e->store);
        e->next_expiry_unix_ms = store_next_expiry(e->store);
    }
    if (e->next_due_unix_ms == 0 || e->next_due_unix_ms > unix_ms || e->promoting)
        return;
    e->promoting = true;
    store_promote(e->store, unix_ms, on_promoted, e);
}

static void fail_expired(struct engine *e, int64_t unix_ms)
{
    if (e->next_expiry_unix_ms == 0 || e->next_expiry_unix_ms > unix_ms || e->draining)
        return;
    e->next_expiry_unix_ms = 0; /* read again when one of these has ended */
    size_t count = 0;
    struct job_row *rows = store_load_expired(e->store, unix_ms, EXPIRED_BATCH, &count);
    for (size_t i = 0; i < count; i++) {
        struct live *l = live_find(&e->live, rows[i].id);
        if (l != NULL && l->step != STEP_CANDIDATE) {
            job_row_free(&rows[i]);
            continue;
        }
        if (l != NULL)
            live_remove(&e->live, l);
        l = live_add(&e->live, e, &rows[i]);
        if (l == NULL)
            continue;
        deliver_expired(l);
    }
    free(rows);
}

/* ---- the end of a run ---- */

/* Outcomes that cannot be written are tried again for ever; that is no progress to wait for, but that a name
 * becomes free is. */
static bool writing(const struct engine *e)
{
    size_t stuck = live_stuck(&e->live);
    return live_busy(&e->live) > stuck || store_queued(e->store) > 0 ||
           publish_queued(e->publish) > stuck - e->live.steps[STEP_PARKED] + e->places.count;
}

static int finished_status(const struct engine *e)
{
    return e->run.failed + e->run.refused > 0 ? EXIT_JOBS_FAILED : EXIT_OK;
}

/* How a drain of --once ended: that jobs are left goes before that some failed. A file that was not yet
 * looked at may be a job. */
static int drained_status(const struct engine *e)
{
    struct store_counts c = {0};
    bool left = !intake_idle(e->intake) || intake_is_stuck(e->intake) || e->places.nstuck > 0 ||
                !store_counts(e->store, &c) || c.waiting + c.deferred + c.replied + c.in_flight > 0;
    return left ? EXIT_GIVEN_UP : finished_status(e);
}

static void finish_drain(struct engine *e, int64_t now_ms)
{
    if (!writing(e)) {
        engine_stop(e, e->opt.once ? drained_status(e) : EXIT_OK);
        return;
    }
    if (now_ms < e->drain_until_ms)
        return;
    log_line(LOG_WARN, NULL,
             "shutdown_grace is over: %zu in flight may have been charged and count as ambiguous",
             live_in_flight(&e->live));
    e->abandoned = true;
    engine_stop(e, e->opt.once ? EXIT_GIVEN_UP : EXIT_OK);
}

static int64_t oldest_hold_ms(const struct engine *e)
{
    int64_t since = hold_active(&e->endpoint_hold) ? e->endpoint_hold.since_ms : INT64_MAX;
    for (size_t i = 0; i < e->workflows.count; i++)
        if (hold_active(&e->workflows.items[i].hold))
            since = earliest(since, e->workflows.items[i].hold.since_ms);
    return since;
}

/* Since when nothing has moved that this run could still wait for; INT64_MAX: it moves, or will by itself. */
static int64_t stuck_since(struct engine *e, bool parked, int64_t now_ms)
{
    int64_t since = oldest_hold_ms(e);
    if (since != INT64_MAX || (!parked && (e->gates & GATE_DISK) == 0)) {
        e->patience_since_ms = 0;
        return since;
    }
    if (e->patience_since_ms == 0)
        e->patience_since_ms = now_ms;
    return e->patience_since_ms;
}

/* With --once and nothing on its way: is there anything left that this run should wait for? */
static void finish_once(struct engine *e, int64_t now_ms)
{
    bool ordered = e->cancelled.due || e->cancelled.later || e->asked.due || e->asked.later;
    if (e->recovering || e->promoting || ordered || writing(e) || !intake_idle(e->intake)) {
        e->patience_since_ms = 0;
        return;
    }
    if (place_busy(e))
        return;
    struct store_counts c = {0};
    if (!store_counts(e->store, &c))
        return;
    bool retries = store_next_backoff(e->store) != 0;
    bool refused = hold_active(&e->account) && c.waiting > 0;
    bool parked = live_stuck(&e->live) > 0 || e->places.nstuck > 0 || intake_is_stuck(e->intake);
    if (c.waiting == 0 && !retries && !parked) {
        engine_stop(e, finished_status(e));
        return;
    }
    if (refused && e->account_probe_refused) {
        engine_stop(e, EXIT_ACCOUNT_REFUSED);
        return;
    }
    unsigned for_others =
        GATE_PAUSED | GATE_PAUSE_FILE | GATE_VANISHED | GATE_LOST_STATE | GATE_MAX_JOBS | GATE_SPOOL_GONE;
    if ((e->gates & for_others) != 0) {
        engine_stop(e, EXIT_GIVEN_UP);
        return;
    }
    bool passed_over = e->npassed > 0 || e->passed_all_until_ms > now_ms;
    int64_t since = stuck_since(e, parked || passed_over, now_ms);
    if (since != INT64_MAX && now_ms - since >= e->cfg.once_patience_ms) {
        log_line(LOG_ERROR, NULL, "given up after once_patience; the jobs stay queued");
        engine_stop(e, EXIT_GIVEN_UP);
    } else if (refused && hold_next_probe(&e->account) > now_ms) {
        hold_probe_now(&e->account, now_ms);
    }
}

/* ---- the step ---- */

static int64_t unix_to_mono(int64_t unix_at, int64_t unix_ms, int64_t now_ms)
{
    return unix_at == 0 ? INT64_MAX : now_ms + (unix_at > unix_ms ? unix_at - unix_ms : 0);
}

static int64_t next_parked(const struct engine *e)
{
    int64_t at = INT64_MAX;
    if (e->live.steps[STEP_ROOM] + e->live.steps[STEP_PARKED] > 0)
        for (const struct live *l = e->live.busy.first; l != NULL; l = l->next)
            if (l->step == STEP_ROOM || l->step == STEP_PARKED)
                at = earliest(at, l->retry_ms);
    return at;
}

static void start_intake(struct engine *e)
{
    if (e->looks_at_spool || e->draining || !place_has_started(e))
        return;
    e->looks_at_spool = true;
    engine_reopen_foreign_sandbox_jobs(e);
    intake_start(e->intake);
    joborders_start(e);
}

/* The start's first look at the spool is not over, or not yet stored. */
static bool first_look(const struct engine *e, int64_t now_ms)
{
    if (!e->looks_at_spool)
        return true;
    return now_ms - e->started_ms < FIRST_LOOK_MS &&
           (!intake_scanned(e->intake) || store_queued(e->store) > 0);
}

static int64_t next_wake(struct engine *e, int64_t admit_ms, int64_t now_ms, int64_t unix_ms)
{
    int64_t at = earliest(admit_ms, next_parked(e));
    if (!e->promoting)
        at = earliest(at, unix_to_mono(e->next_due_unix_ms, unix_ms, now_ms));
    at = earliest(at, unix_to_mono(e->next_expiry_unix_ms, unix_ms, now_ms));
    if (e->reload && e->live.steps[STEP_CANDIDATE] > 0)
        at = earliest(at, e->reload_at_ms > now_ms ? e->reload_at_ms : now_ms + 1);
    if ((e->gates & GATE_DISK) != 0 || hold_active(&e->account))
        at = earliest(at, now_ms + DISK_CHECK_MS);
    if (e->draining)
        at = earliest(at, e->drain_until_ms);
    at = earliest(at, statusfile_next(e));
    at = earliest(at, rate_next(e));
    if (e->opt.once) {
        int64_t since =
            earliest(oldest_hold_ms(e), e->patience_since_ms != 0 ? e->patience_since_ms : INT64_MAX);
        if (since != INT64_MAX)
            at = earliest(at, since + e->cfg.once_patience_ms);
        at = earliest(at, now_ms + PROGRESS_MS);
    }
    return at > now_ms ? at : now_ms + 1;
}

static void step(struct engine *e)
{
    int64_t now = clock_mono_ms();
    int64_t unix_ms = clock_unix_ms();
    follow_wall_clock(e, now, unix_ms);
    end_bars(e);
    recovery_step(e);
    engine_check_key(e, now);
    refresh_schedule(e, unix_ms);
    fail_expired(e, unix_ms);
    joborders_step(e);
    deliver_retry_parked(e, now);
    int64_t place_ms = place_step(e, now);
    start_intake(e);
    int64_t admit_ms = INT64_MAX;
    if (first_look(e, now)) {
        admit_ms = e->looks_at_spool ? e->started_ms + FIRST_LOOK_MS : INT64_MAX;
    } else if (!e->recovering && !e->draining) {
        dispatch_fill(e, now);
        check_disk(e, now);
        check_state(e);
        admit_ms = dispatch_admit(e, now);
    }
    if (e->draining)
        finish_drain(e, now);
    else if (e->opt.once)
        finish_once(e, now);
    report_progress(e, now);
    statusfile_step(e, now);
    rate_step(e, now);
    if (!e->stopped)
        alarm_set(e->alarm, next_wake(e, earliest(admit_ms, place_ms), now, unix_ms));
}

void engine_before_sleep(uv_prepare_t *handle)
{
    struct engine *e = handle->data;
    if (!e->stopped)
        step(e);
    store_end_turn(e->store);
}
