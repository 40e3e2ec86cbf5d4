/* From verdict to file: the outcome is built, published, and only then the job's end is stored. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/outcome.h"
#include "core/scrub.h"
#include "daemon/engine.h"
#include "io/log.h"

#define RESPONSE_EXCERPT 4096
#define BLOCKED_RETRY_MS 5000
#define ROOM_RETRY_MS    20

/* Who was asked last, whatever a reload or a restart has changed since. */
static const char *endpoint_of(const struct live *l)
{
    return l->row.endpoint != NULL ? l->row.endpoint : l->engine->endpoint;
}

void deliver_begin_end(struct live *l)
{
    const struct job_row *row = &l->row;
    l->end = (struct store_settle){
        .job = row->id,
        .attempt = l->attempt,
        .ended_ms = l->ended ? l->end.ended_ms : clock_unix_ms(),
        .duration_ms = l->attempt != 0 ? l->reply.duration_ms : row->duration_ms,
        .http_status = l->attempt != 0 ? l->reply.http_status : row->http_status,
        .attempts = row->attempts,
        .rate_limited = row->rate_limited,
        .ambiguous = row->ambiguous,
        .started_ms = row->started_ms != 0 ? row->started_ms : l->sent_unix_ms,
        .request_id = l->reply.request_id,
        .endpoint = endpoint_of(l),
        .sandbox = l->reply.sandbox,
    };
}

int deliver_ambiguous(struct engine *e, const struct job_row *row, int except)
{
    size_t count = 0;
    struct ledger ended = {0};
    struct attempt_row *attempts = store_attempts(e->store, row->id, &count);
    for (size_t i = 0; i < count; i++)
        if (attempts[i].n != except)
            ledger_add_runs(&ended, attempts[i].verdict, 1);
    free(attempts);
    return (int)ended.runs[LEDGER_POSSIBLY];
}

/* Read only where there were more attempts than this round counts. */
static int ambiguous_ever(const struct live *l)
{
    if (l->row.sends <= l->end.attempts + l->end.rate_limited + l->end.ambiguous)
        return l->end.ambiguous;
    int sum = deliver_ambiguous(l->engine, &l->row, l->attempt) + l->end.ambiguous - l->row.ambiguous;
    return sum > l->end.ambiguous ? sum : l->end.ambiguous;
}

static void fill_outcome(const struct live *l, struct outcome *o)
{
    const struct job_row *row = &l->row;
    *o = (struct outcome){
        .job = row->path,
        .document = (size_t)row->document,
        .job_sha256 = row->job_sha256[0] != '\0' ? row->job_sha256 : NULL,
        .request_sha256 = row->request_sha256[0] != '\0' ? row->request_sha256 : NULL,
        .endpoint = endpoint_of(l),
        .workflow = row->workflow,
        .sandbox = l->end.sandbox,
        .http_status = l->end.http_status,
        .attempts = l->end.attempts,
        .rate_limited = l->end.rate_limited,
        .ambiguous = ambiguous_ever(l),
        .queued_ms = row->queued_ms,
        .started_ms = l->end.started_ms,
        .finished_ms = l->end.ended_ms,
        .duration_ms = l->end.started_ms != 0 ? l->end.duration_ms : -1,
        .request_id = l->end.request_id,
    };
}

/* A sandbox's result that came when a reload had already moved to another endpoint: the reload did not see
 * it. */
static void rerun_if_moved(const struct live *l)
{
    struct engine *e = l->engine;
    if (l->end.state == JOB_DONE && l->end.sandbox && !l->superseded &&
        strcmp(l->end.endpoint, e->endpoint) != 0)
        intake_look_again(e->intake, l->row.path);
}

static void on_settled(void *arg, enum store_rc rc)
{
    struct live *l = arg;
    struct engine *e = l->engine;
    (void)rc;
    e->patience_since_ms = 0;
    if (l->reply.spill != NULL) {
        char path[4096];
        if (snprintf(path, sizeof path, "%s/%s", e->replies_dir, l->reply.spill) < (int)sizeof path)
            unlink(path);
    }
    e->schedule_stale = true;
    if (l->end.state == JOB_WAITING) {
        if (l->end.due_ms == 0)
            e->reload = true;
        joborders_back_in_queue(l);
    } else {
        engine_count_end(e);
        if (l->end.state == JOB_DONE)
            e->run.done++;
        else
            e->run.failed++;
        e->reload = e->reload || l->superseded; /* its successor waits for this */
    }
    rerun_if_moved(l);
    if (l->cancelled)
        e->cancelling--;
    live_remove(&e->live, l);
    engine_wake(e);
}

static void settle(struct live *l)
{
    struct engine *e = l->engine;
    live_step_to(&e->live, l, STEP_SETTLE);
    store_settle(e->store, &l->end, on_settled, l);
}

static const char *directory_of(const char *path, char *buf, size_t size)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (len >= size)
        len = size - 1;
    memcpy(buf, path, len);
    buf[len] = '\0';
    return buf;
}

bool deliver_blocked(const struct engine *e, const char *path)
{
    char dir[4096];
    if (e->nblocked == 0)
        return false;
    directory_of(path, dir, sizeof dir);
    for (size_t i = 0; i < e->nblocked; i++)
        if (strcmp(e->blocked[i].dir, dir) == 0)
            return true;
    return false;
}

static void block_directory(struct engine *e, const char *path, const char *detail)
{
    char dir[4096];
    directory_of(path, dir, sizeof dir);
    if (deliver_blocked(e, path))
        return;
    log_line(LOG_ERROR, path,
             "its outcome cannot be written (%s): kept, tried again every %d s; jobs of %s wait", detail,
             BLOCKED_RETRY_MS / 1000, dir[0] != '\0' ? dir : "the spool");
    char *copy = strdup(dir);
    if (copy == NULL || e->nblocked == BLOCKED_DIRS_MAX) {
        free(copy);
        engine_gate(e, GATE_DISK, true, "outcomes cannot be written");
        return;
    }
    e->blocked[e->nblocked++] = (struct blocked_dir){copy};
    e->reload = true; /* its candidates are passed over; whoever walks the list now must not lose them */
}

static void unblock_directory(struct engine *e, const char *path)
{
    char dir[4096];
    if (e->nblocked == 0)
        return;
    directory_of(path, dir, sizeof dir);
    for (size_t i = 0; i < e->nblocked; i++) {
        if (strcmp(e->blocked[i].dir, dir) != 0)
            continue;
        free(e->blocked[i].dir);
        e->blocked[i] = e->blocked[--e->nblocked];
        e->reload = true;
        joborders_unblocked(e);
        log_line(LOG_WARN, path, "outcomes can be written again: its directory goes on");
        return;
    }
}

static void ask_again_for_room(struct live *l)
{
    struct live_table *t = &l->engine->live;
    live_unpark(t, l);
    l->retry_ms = clock_mono_ms() + ROOM_RETRY_MS;
    live_step_to(t, l, STEP_ROOM);
}

static void park(struct live *l)
{
    live_park(&l->engine->live, l, clock_mono_ms() + BLOCKED_RETRY_MS);
}

static void on_published(void *arg, const struct publish_result *r)
{
    struct live *l = arg;
    struct engine *e = l->engine;
    if (r->rc == PUBLISH_SYNC_FAILED) {
        char message[320];
        snprintf(message, sizeof message, "the outcome of %s could not be synced: %s", l->row.path,
                 r->detail);
        engine_fatal(e, message);
        return;
    }
    engine_wake(e);
    if (r->rc == PUBLISH_TRY_LATER) {
        park(l);
        block_directory(e, l->row.path, r->detail);
        return;
    }
    live_unpark(&e->live, l);
    unblock_directory(e, l->row.path);
    if (r->moved[0] != '\0') {
        memcpy(l->moved, r->moved, sizeof l->moved);
        l->end.moved = l->moved;
        log_line(LOG_INFO, l->row.path, "the result that was there is kept as superseded/%s", r->moved);
    }
    if (!l->superseded)
        l->end.placed = l->row.stem;
    enum job_event ev = l->end.state == JOB_DONE ? JOB_EV_SUCCEED : JOB_EV_FAIL;
    l->row.state = job_event(l->row.id, l->row.state, ev);
    settle(l);
}

static void publish(struct live *l);

static void on_room(void *arg, const struct publish_result *r)
{
    struct live *l = arg;
    if (r->rc == PUBLISH_OK)
        publish(l);
    else
        on_published(l, r);
}

/* True: not now; publish() is called again. */
static bool wait_for_room(struct live *l)
{
    if (l->superseded)
        return false;
    enum place_room room = place_make_room(l->engine, l->row.stem, l->row.id, on_room, l);
    if (room == ROOM_LATER)
        ask_again_for_room(l);
    return room != ROOM_IS_THERE;
}

static void publish(struct live *l)
{
    struct engine *e = l->engine;
    const struct publish_task task = {
        .stem = l->row.stem,
        .success = l->end.state == JOB_DONE,
        .text = l->text,
        .len = l->text_len,
        .body = l->kept_body,
        .body_len = l->kept_len,
        .uid = l->row.uid,
        .gid = l->row.gid,
        .mode = l->row.mode,
        .superseded_name = l->superseded ? l->superseded_name : NULL,
    };
    if (l->step == STEP_ROOM)
        l->retry_ms = 0;
    live_step_to(&e->live, l, STEP_PUBLISH);
    if (wait_for_room(l))
        return;
    int err = publish_outcome(e->publish, &task, on_published, l);
    if (err == 0)
        return;
    park(l);
    block_directory(e, l->row.path, strerror(-err));
}

/* "dir/NAME" of a superseded job: dir%NAME.<id>.result.json in state_dir/superseded. */
static void name_superseded(struct live *l)
{
    if (!l->superseded)
        return;
    size_t used = 0;
    for (const char *s = l->row.stem; *s != '\0' && used < 180; s++)
        l->superseded_name[used++] = *s == '/' ? '%' : *s;
    snprintf(l->superseded_name + used, sizeof l->superseded_name - used, ".%lld.%s.json",
             (long long)l->row.id, l->end.state == JOB_DONE ? "result" : "error");
    l->end.superseded_name = l->superseded_name;
}

static void start_publishing(struct live *l)
{
    if (l->text == NULL) { /* a paid reply is safe in the store: the next start delivers it */
        engine_fatal(l->engine, "out of memory while writing an outcome");
        return;
    }
    name_superseded(l);
    publish(l);
}

void deliver_result(struct live *l, const struct json_object *reply)
{
    struct outcome o;
    l->end.state = JOB_DONE;
    l->end.verdict = verdict_name(VERDICT_SUCCESS);
    fill_outcome(l, &o);
    o.reply = reply;
    l->text = outcome_result(&o, &l->text_len);
    log_line(LOG_DEBUG, l->row.path, "done in %lld ms (attempt %d)", (long long)l->end.duration_ms,
             l->end.attempts);
    start_publishing(l);
}

/* An error quotes the reply, and a server may quote the key. A result's bytes stay as they were paid for. */
static void hide_key(struct live *l)
{
    const char *key = l->engine->key.text;
    scrub(l->mapped != NULL ? l->mapped : l->reply.body,
          l->mapped != NULL ? l->mapped_len : l->reply.body_len, key);
}

static const char *excerpt(const struct live *l, size_t *len)
{
    const char *bytes = l->mapped != NULL ? l->mapped : l->reply.body;
    *len = l->mapped != NULL ? l->mapped_len : l->reply.body_len;
    if (*len > RESPONSE_EXCERPT)
        *len = RESPONSE_EXCERPT;
    return l->reply.http_status != 0 ? (bytes != NULL ? bytes : "") : NULL;
}

/* NAME.error.body: the reply as it came but for the key; of one that was too large its first part. False: no
 * memory. */
static bool keep_reply(struct live *l, bool first_part_only)
{
    const char *bytes = l->mapped != NULL ? l->mapped : l->reply.body;
    size_t len = l->mapped != NULL ? l->mapped_len : l->reply.body_len;
    if (first_part_only && len > RESPONSE_EXCERPT)
        len = RESPONSE_EXCERPT;
    if (bytes == NULL || len == 0)
        return true;
    l->kept_body = malloc(len);
    if (l->kept_body == NULL)
        return false;
    memcpy(l->kept_body, bytes, len);
    l->kept_len = len;
    return true;
}

void deliver_error(struct live *l, const char *code, const char *message, bool keep_body, const char *verdict)
{
    struct outcome o;
    l->end.state = JOB_FAILED;
    l->end.verdict = verdict;
    l->owned_code = strdup(code);
    l->owned_message = strdup(message);
    l->end.code = l->owned_code;
    l->end.message = l->owned_message;
    hide_key(l);
    bool kept = !keep_body || keep_reply(l, strcmp(code, CODE_RESPONSE_TOO_LARGE) == 0);
    fill_outcome(l, &o);
    o.code = code;
    o.message = message;
    o.retryable = code_is_retryable(code);
    o.response = excerpt(l, &o.response_len);
    bool whole = kept && l->owned_code != NULL && l->owned_message != NULL;
    l->text = whole ? outcome_error(&o, &l->text_len) : NULL;
    log_line(LOG_WARN, l->row.path, "failed: %s: %s", code, message);
    start_publishing(l);
}

void deliver_expired(struct live *l)
{
    deliver_begin_end(l);
    if (l->row.ambiguous > 0) /* so that no touch of its file buys it again */
        deliver_error(
            l, CODE_AMBIGUOUS,
            "its `expires` passed before it could be sent again, and an earlier attempt may have been "
            "charged; look there whether it was, then change or remove `expires` and run: flowspool "
            "retry",
            false, "expired");
    else
        deliver_error(l, CODE_EXPIRED,
                      "its `expires` passed before it could be sent; nothing was charged for it; "
                      "change or remove `expires` in the job file to run it",
                      false, "expired");
}

void deliver_requeue(struct live *l, int64_t due_unix_ms, const char *verdict)
{
    l->end.state = JOB_WAITING;
    l->end.due_ms = due_unix_ms;
    l->end.verdict = verdict;
    bool unsent = due_unix_ms == 0;
    l->row.state = job_event(l->row.id, l->row.state, unsent ? JOB_EV_UNSEND : JOB_EV_RETRY);
    settle(l);
}

void deliver_retry_parked(struct engine *e, int64_t now_ms)
{
    if (e->live.steps[STEP_ROOM] + e->live.steps[STEP_PARKED] == 0)
        return;
    for (struct live *l = e->live.busy.first, *next; l != NULL; l = next) {
        next = l->next;
        if ((l->step == STEP_ROOM || l->step == STEP_PARKED) && l->retry_ms <= now_ms)
            publish(l);
    }
}
