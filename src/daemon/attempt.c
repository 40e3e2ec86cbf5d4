/* The end of an attempt: its reply made durable, its verdict, and what that means for everybody else. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/scrub.h"
#include "core/units.h"
#include "daemon/engine.h"
#include "io/log.h"

/* So many 5xx in a row without a success stop being the fault of a job. */
#define SERVER_ERROR_STREAK 20
/* How long jobs of a workflow that does not exist fail without a request, and how long one that has
 * succeeded before is waited for. */
#define NOT_FOUND_MEMORY_MS   (60 * 1000)
#define NOT_FOUND_PATIENCE_MS (60 * 60 * 1000)

static void on_reply_stored(void *arg, enum store_rc rc)
{
    struct live *l = arg;
    (void)rc;
    l->row.state = job_event(l->row.id, l->row.state, JOB_EV_REPLY);
    attempt_judge(l);
    engine_wake(l->engine);
}

void attempt_ended(void *live, struct http_result *r)
{
    struct live *l = live;
    struct engine *e = l->engine;
    l->reply = *r;
    memset(r, 0, sizeof *r);
    l->ended = true;
    l->end.ended_ms = clock_unix_ms();
    l->attempt = l->row.sends;
    const struct attempt_result end = {l->reply.end, l->reply.http_status};
    enum verdict v = verdict_by_status(&end);
    bool keep = v == VERDICT_NEEDS_BODY || v == VERDICT_TOO_LARGE;
    if (e->abandoned &&
        !keep) /* stopping at once: what has no reply stays in flight on disk and is ambiguous */
        return;
    if (!l->probe_account)
        e->account_probe_refused = false; /* a last probe is one that goes when nothing else is out */
    rate_replied(l, v);
    engine_wake(e);
    if (!keep) {
        attempt_judge(l);
        return;
    }
    const struct store_reply stored = {
        .http_status = l->reply.http_status,
        .headers = l->reply.headers,
        .headers_len = l->reply.headers_len,
        .body = l->reply.body,
        .body_len = l->reply.body_len,
        .spill = l->reply.spill,
        .too_large = v == VERDICT_TOO_LARGE,
        .received_ms = l->end.ended_ms,
        .duration_ms = l->reply.duration_ms,
    };
    live_step_to(&e->live, l, STEP_REPLY);
    store_reply(e->store, l->row.id, &stored, on_reply_stored, l);
}

/* A spilled reply is looked at through a map, so that its size costs no heap. What is written there is
 * private: the file stays as it is. */
static bool map_spill(struct live *l)
{
    if (l->reply.spill == NULL || l->mapped != NULL)
        return true;
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", l->engine->replies_dir, l->reply.spill) >= (int)sizeof path)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    struct stat st;
    void *map = MAP_FAILED;
    if (fstat(fd, &st) == 0 && st.st_size > 0)
        map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return false;
    l->mapped = map;
    l->mapped_len = (size_t)st.st_size;
    return true;
}

static const char *reply_bytes(const struct live *l, size_t *len)
{
    if (l->mapped != NULL) {
        *len = l->mapped_len;
        return l->mapped;
    }
    *len = l->reply.body_len;
    return l->reply.body != NULL ? l->reply.body : "";
}

/* ---- what a verdict says about account, endpoint and workflow ---- */

static void lift(struct engine *e, struct hold *h, const char *what)
{
    if (!hold_active(h))
        return;
    hold_lift(h);
    governor_ramp(&e->governor);
    e->reload = true;
    log_line(LOG_WARN, NULL, "%s answers again: sending goes on", what);
}

static bool passed_account(enum verdict v)
{
    switch (v) {
    case VERDICT_SUCCESS:
    case VERDICT_WORKFLOW_NOT_FOUND:
    case VERDICT_REJECTED:
    case VERDICT_SERVER_ERROR:
    case VERDICT_INVALID_RESPONSE:
    case VERDICT_TOO_LARGE:
        return true;
    default:
        return false;
    }
}

static bool passed_endpoint(const struct engine *e, enum verdict v)
{
    if (e->endpoint_hold.cause == HOLD_SERVER_ERRORS)
        return v == VERDICT_SUCCESS || v == VERDICT_REJECTED || v == VERDICT_WORKFLOW_NOT_FOUND ||
               v == VERDICT_INVALID_RESPONSE || v == VERDICT_TOO_LARGE;
    return v != VERDICT_ENDPOINT_AWAY && v != VERDICT_AMBIGUOUS;
}

static void lift_passed_probes(struct live *l, enum verdict v)
{
    struct engine *e = l->engine;
    if (l->probe_account) {
        if (passed_account(v) || (v == VERDICT_RATE_LIMITED && e->account.cause == HOLD_UNAUTHORIZED)) {
            lift(e, &e->account, "the account");
            e->account_probe_refused = false;
            store_set(e->store, "hold.account", NULL, NULL, NULL);
            l->probe_account = false;
        }
    }
    if (l->probe_endpoint && passed_endpoint(e, v)) {
        lift(e, &e->endpoint_hold, "the endpoint");
        l->probe_endpoint = false;
    }
    struct workflow_hold *w = l->probe_workflow ? workflow_hold_find(&e->workflows, l->row.workflow) : NULL;
    if (w != NULL && passed_account(v) && v != VERDICT_SERVER_ERROR && v != VERDICT_WORKFLOW_NOT_FOUND) {
        lift(e, &w->hold, l->row.workflow);
        l->probe_workflow = false;
    }
}

static void tell_hold(const struct live *l, const struct hold *h, const char *what, const char *why)
{
    char every[32];
    units_format_duration(l->engine->cfg.probe_ms, every, sizeof every);
    if (h == &l->engine->account || h == &l->engine->endpoint_hold)
        log_line(LOG_WARN, l->row.path, "%s: sending is held, one job probes every %s: %s", what, every, why);
    else
        log_line(LOG_WARN, l->row.path, "workflow %s: its jobs are held, one probes every %s: %s", what,
                 every, why);
}

static void begin_hold(struct live *l, struct hold *h, enum hold_cause cause, const char *what,
                       const char *why)
{
    struct engine *e = l->engine;
    bool was = hold_active(h);
    hold_refused(h, cause, why, l->row.id, e->cfg.probe_ms, clock_mono_ms(), clock_random());
    if (was)
        log_line(LOG_DEBUG, l->row.path, "%s still refuses: %s", what, why);
    else
        tell_hold(l, h, what, why);
}

/* Decoded, the words may spell a key that the raw bytes did not show. */
static char *clean_words(const struct live *l, const struct json_object *object)
{
    char *words = verdict_server_message(object);
    if (words != NULL)
        scrub(words, strlen(words), l->engine->key.text);
    return words;
}

static char *server_words(struct live *l)
{
    size_t len;
    struct json_object object;
    if (!map_spill(l))
        return NULL;
    const char *body = reply_bytes(l, &len);
    return json_scan_object(body, len, &object) ? clean_words(l, &object) : NULL;
}

static void hold_account(struct live *l)
{
    struct engine *e = l->engine;
    char why[160];
    char *words = server_words(l);
    snprintf(why, sizeof why, "%d %s", l->reply.http_status,
             words != NULL                 ? words
             : l->reply.http_status == 401 ? "the key is not accepted"
                                           : "the account has no credits");
    free(words);
    enum hold_cause cause = l->reply.http_status == 401 ? HOLD_UNAUTHORIZED : HOLD_NO_CREDITS;
    if (l->probe_account)
        e->account_probe_refused = true;
    begin_hold(l, &e->account, cause, "the account refuses work", why);
    l->probe_account = false;
    store_set(e->store, "hold.account", cause == HOLD_UNAUTHORIZED ? "401" : "402", NULL, NULL);
}

static void hold_endpoint(struct live *l)
{
    struct engine *e = l->engine;
    char why[256];
    if (l->reply.end == ATTEMPT_NOT_SENT)
        snprintf(why, sizeof why, "nothing could be sent: %s", l->reply.error);
    else
        snprintf(why, sizeof why, "it answers %d and not as the service", l->reply.http_status);
    begin_hold(l, &e->endpoint_hold, HOLD_UNREACHABLE, "the endpoint is away", why);
    l->probe_endpoint = false;
}

/* ---- one function a verdict that does not simply fail the job ---- */

static int64_t backoff_due(const struct live *l, int n)
{
    return clock_unix_ms() + retry_backoff_ms(&l->engine->retry, n, clock_random());
}

static void fail(struct live *l, enum verdict v, const struct json_object *object, bool keep_body)
{
    char *words = object != NULL ? clean_words(l, object) : NULL;
    const char *reason = words != NULL ? words : l->reply.error;
    char *message = verdict_message(v, l->reply.http_status, l->row.workflow, reason, l->row.path);
    deliver_error(l, verdict_code(v, l->reply.http_status, object),
                  message != NULL ? message : "out of memory while saying why", keep_body, verdict_name(v));
    free(message);
    free(words);
}

static void rate_limited(struct live *l)
{
    struct engine *e = l->engine;
    l->end.rate_limited++;
    e->run.rate_limited++;
    log_line(LOG_DEBUG, l->row.path, "429: the rate limit; back to the queue");
    deliver_requeue(l, backoff_due(l, l->end.rate_limited), verdict_name(VERDICT_RATE_LIMITED));
}

static void workflow_not_found(struct live *l, const struct json_object *object)
{
    struct engine *e = l->engine;
    int64_t now = clock_mono_ms();
    struct workflow_hold *w = workflow_hold_get(&e->workflows, l->row.workflow, now);
    bool known = w != NULL && store_workflow_succeeded(e->store, l->row.workflow, e->endpoint);
    bool patient = known && (!hold_active(&w->hold) || w->hold.cause != HOLD_NOT_FOUND ||
                             now - w->hold.since_ms < NOT_FOUND_PATIENCE_MS);
    if (patient && w->not_found_until_ms <= now) {
        begin_hold(l, &w->hold, HOLD_NOT_FOUND, l->row.workflow, "404, although it has succeeded before");
        l->probe_workflow = false;
        deliver_requeue(l, 0, "workflow_held");
        return;
    }
    if (w != NULL) {
        hold_lift(&w->hold);
        w->not_found_until_ms = now + NOT_FOUND_MEMORY_MS;
        w->fail_cause = HOLD_NONE;
    }
    l->probe_workflow = false;
    l->end.attempts++;
    fail(l, VERDICT_WORKFLOW_NOT_FOUND, object, false);
}

/* Counts a 5xx of the service; true when it made or met a hold, so that no attempt counts. */
static bool server_error_holds(struct live *l, const char *why)
{
    struct engine *e = l->engine;
    struct workflow_hold *w = workflow_hold_get(&e->workflows, l->row.workflow, clock_mono_ms());
    e->endpoint_streak++;
    if (w == NULL)
        return false;
    w->streak++;
    bool all = e->endpoint_streak >= SERVER_ERROR_STREAK && e->endpoint_streak > w->streak;
    if (all || l->probe_endpoint) {
        begin_hold(l, &e->endpoint_hold, HOLD_SERVER_ERRORS, "the service fails every run", why);
        l->probe_endpoint = false;
        return true;
    }
    if (w->streak >= SERVER_ERROR_STREAK || hold_active(&w->hold)) {
        begin_hold(l, &w->hold, HOLD_SERVER_ERRORS, l->row.workflow, why);
        l->probe_workflow = false;
        return true;
    }
    return hold_active(&e->endpoint_hold);
}

static void server_error(struct live *l, const struct json_object *object)
{
    struct engine *e = l->engine;
    char why[64];
    snprintf(why, sizeof why, "%d in a row", l->reply.http_status);
    if (server_error_holds(l, why)) {
        deliver_requeue(l, 0, "server_error_held");
        return;
    }
    l->end.attempts++;
    if (!retry_allowed(&e->retry, l->end.attempts, l->row.max_attempts)) {
        fail(l, VERDICT_SERVER_ERROR, object, false);
        return;
    }
    log_line(LOG_INFO, l->row.path, "%d from the service (attempt %d): tried again later",
             l->reply.http_status, l->end.attempts);
    deliver_requeue(l, backoff_due(l, l->end.attempts), verdict_name(VERDICT_SERVER_ERROR));
}

static void ambiguous(struct live *l, const char *verdict)
{
    struct engine *e = l->engine;
    l->end.ambiguous++;
    if (l->sent_unix_ms != 0)
        e->run.maybe++;
    const char *why = l->reply.error[0] != '\0' ? l->reply.error : "no usable answer";
    bool cancelled = (l->row.blocked & JOB_BLOCK_CANCEL) != 0;
    if (!cancelled && retry_ambiguous_allowed(&e->retry, l->end.ambiguous)) {
        log_line(LOG_WARN, l->row.path,
                 "sent, but no answer reached us (%s): it may have been charged; sent again later", why);
        deliver_requeue(l, backoff_due(l, l->end.ambiguous), verdict);
        return;
    }
    fail(l, VERDICT_AMBIGUOUS, NULL, false);
}

static void succeeded(struct live *l, const struct json_object *object)
{
    struct engine *e = l->engine;
    struct workflow_hold *w = workflow_hold_find(&e->workflows, l->row.workflow);
    if (w != NULL) {
        w->streak = 0;
        w->not_found_until_ms = 0;
    }
    e->endpoint_streak = 0;
    e->give_up_until_ms = 0;
    l->end.attempts++;
    l->end.workflow_ok = true;
    deliver_result(l, object);
}

static void bought_but_unusable(struct live *l, enum verdict v)
{
    l->end.attempts++;
    fail(l, v, NULL, true);
}

static enum verdict decide(struct live *l, struct json_object *object)
{
    const struct attempt_result end = {l->reply.end, l->reply.http_status};
    enum verdict v = verdict_by_status(&end);
    if (v != VERDICT_NEEDS_BODY)
        return v;
    size_t len;
    const char *body = reply_bytes(l, &len);
    return verdict_by_body(l->reply.http_status, body, len, object);
}

static void apply(struct live *l, enum verdict v, const struct json_object *object)
{
    switch (v) {
    case VERDICT_SUCCESS:
        succeeded(l, object);
        return;
    case VERDICT_RATE_LIMITED:
        rate_limited(l);
        return;
    case VERDICT_ACCOUNT_REFUSED:
        hold_account(l);
        deliver_requeue(l, 0, verdict_name(v));
        return;
    case VERDICT_ENDPOINT_AWAY:
        hold_endpoint(l);
        deliver_requeue(l, 0, verdict_name(v));
        return;
    case VERDICT_WORKFLOW_NOT_FOUND:
        workflow_not_found(l, object);
        return;
    case VERDICT_REJECTED:
        l->end.attempts++;
        fail(l, v, object, false);
        return;
    case VERDICT_SERVER_ERROR:
        server_error(l, object);
        return;
    case VERDICT_INVALID_RESPONSE:
    case VERDICT_TOO_LARGE:
        bought_but_unusable(l, v);
        return;
    case VERDICT_AMBIGUOUS:
        ambiguous(l, verdict_name(v));
        return;
    case VERDICT_NEEDS_BODY:
    case VERDICT_COUNT:
        break;
    }
    abort(); /* decide() never returns these */
}

void attempt_judge(struct live *l)
{
    struct engine *e = l->engine;
    struct json_object object = {0};
    if (!map_spill(l)) {
        char message[256];
        snprintf(message, sizeof message, "the stored reply %s cannot be read: %s", l->reply.spill,
                 strerror(errno));
        engine_fatal(e, message);
        return;
    }
    deliver_begin_end(l);
    enum verdict v = decide(l, &object);
    bool charged = v == VERDICT_SUCCESS || v == VERDICT_INVALID_RESPONSE || v == VERDICT_TOO_LARGE;
    if (charged && l->sent_unix_ms != 0)
        e->run.bought++;
    l->end.recovered = charged && l->recovered;
    lift_passed_probes(l, v);
    apply(l, v, &object);
    dispatch_probe_inconclusive(e, l);
}

void attempt_crashed(struct live *l)
{
    l->attempt = l->row.sends;
    l->reply.end = ATTEMPT_CRASHED;
    l->reply.duration_ms = -1; /* nobody saw its end */
    snprintf(l->reply.error, sizeof l->reply.error, "the daemon stopped while it was in flight");
    deliver_begin_end(l);
    ambiguous(l, "crashed");
}
