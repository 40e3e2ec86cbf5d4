#include "sandbox/service.h"

#include <string.h>

#include "core/digest.h"
#include "core/jsonspan.h"

bool service_init(struct service *s, struct options *options, const struct workflows *workflows)
{
    *s = (struct service){
        .options = options, .workflows = workflows, .random = {options->seed}, .credits = options->credits};
    stats_init(&s->stats);
    return limiter_init(&s->limiter, options->limiter, options->limit, options->window_ms * 1000);
}

void service_free(struct service *s)
{
    limiter_free(&s->limiter);
    stats_free(&s->stats);
}

void service_reset(struct service *s)
{
    s->generation++;
    s->random.state = s->options->seed;
    s->credits = s->options->credits;
    s->reserved = 0;
    for (size_t i = 0; i < s->options->fault_count; i++) {
        s->options->faults[i].seen = 0;
    }
    if (s->limiter.kind != LIMITER_NONE) {
        limiter_reset(&s->limiter);
    }
    stats_reset(&s->stats);
}

void service_draw_fault(struct service *s, struct run *r)
{
    r->fault = NULL;
    for (size_t i = 0; i < s->options->fault_count && !r->fault; i++) {
        if (fault_rule_fires(&s->options->faults[i], random_uniform(&s->random))) {
            r->fault = &s->options->faults[i];
        }
    }
}

bool service_resets_unread(struct service *s, const struct run *r)
{
    bool resets = r->fault && r->fault->kind == FAULT_RESET_BEFORE;
    s->stats.faults[FAULT_RESET_BEFORE] += resets ? 1 : 0;
    return resets;
}

static bool has_fault(const struct run *r, enum fault_kind kind)
{
    return r->fault && r->fault->kind == kind;
}

/* A fault that decides the answer by itself: counted here, the others when they are carried out. */
static enum answer injected(struct service *s, const struct run *r, enum answer answer)
{
    if (r->generation == s->generation) {
        s->stats.faults[r->fault->kind]++;
    }
    return answer;
}

/* What a proxy in front of the service answers by itself. */
static enum answer check_front(struct service *s, const struct run *r)
{
    if (has_fault(r, FAULT_503)) {
        return injected(s, r, ANSWER_UNAVAILABLE);
    }
    if (has_fault(r, FAULT_REDIRECT)) {
        return injected(s, r, ANSWER_REDIRECT);
    }
    return r->body_len > SERVICE_BODY_MAX ? ANSWER_TOO_LARGE : ANSWER_NONE;
}

static bool key_is_known(const struct options *o, const char *authorization)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0) {
        return false;
    }
    const char *key = authorization + 7;
    key += strspn(key, " ");
    if (o->key_count == 0) {
        return *key != '\0';
    }
    for (size_t i = 0; i < o->key_count; i++) {
        if (strcmp(key, o->keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

static enum answer check_key(struct service *s, const struct run *r)
{
    if (has_fault(r, FAULT_401)) {
        return injected(s, r, ANSWER_UNAUTHORIZED);
    }
    return key_is_known(s->options, r->authorization) ? ANSWER_NONE : ANSWER_UNAUTHORIZED;
}

static enum answer check_cache(struct service *s, struct run *r)
{
    r->cached = s->options->cache && r->request && r->request->has_result;
    return r->cached ? ANSWER_RESULT : ANSWER_NONE;
}

static int64_t retry_after_seconds(const struct service *s, int64_t now_us)
{
    const struct retry_after *ra = &s->options->retry_after;
    if (!ra->enabled) {
        return -1;
    }
    return ra->exact ? (limiter_wait_us(&s->limiter, now_us) + 999999) / 1000000 : ra->seconds;
}

static void note_rate(const struct service *s, struct run *r, int64_t now_us)
{
    r->shows_rate = s->options->headers == HEADERS_ZERO || s->limiter.kind != LIMITER_NONE;
    if (s->options->headers != HEADERS_ZERO) {
        r->limit = s->limiter.limit;
        r->remaining = limiter_remaining(&s->limiter, now_us);
    }
}

static enum answer check_limit(struct service *s, struct run *r, int64_t now_us)
{
    bool fault = has_fault(r, FAULT_429);
    bool taken = !fault && limiter_take(&s->limiter, now_us);
    note_rate(s, r, now_us);
    if (taken) {
        return ANSWER_NONE;
    }
    r->retry_after_s = retry_after_seconds(s, now_us);
    return fault ? injected(s, r, ANSWER_RATE_LIMITED) : ANSWER_RATE_LIMITED;
}

static enum answer check_credits(struct service *s, const struct run *r)
{
    if (has_fault(r, FAULT_402)) {
        return injected(s, r, ANSWER_NO_CREDITS);
    }
    return s->credits >= 0 && s->credits <= s->reserved ? ANSWER_NO_CREDITS : ANSWER_NONE;
}

static enum answer check_workflow(struct service *s, const struct run *r)
{
    if (has_fault(r, FAULT_404)) {
        return injected(s, r, ANSWER_WORKFLOW_NOT_FOUND);
    }
    if (r->workflow) {
        return r->workflow->published ? ANSWER_NONE : ANSWER_WORKFLOW_NOT_FOUND;
    }
    bool valid = s->options->any_workflow && workflow_id_is_valid(r->workflow_id);
    return valid ? ANSWER_NONE : ANSWER_WORKFLOW_NOT_FOUND;
}

static enum answer check_inputs(struct service *s, struct run *r)
{
    struct json_object object;
    struct template_value values[TEMPLATE_VARIABLES_MAX];
    if (!json_scan_object(r->body, r->body_len, &object)) {
        return ANSWER_INVALID_BODY;
    }
    if (!s->options->strict_inputs || !r->workflow) {
        return ANSWER_NONE;
    }
    template_bind(r->workflow->template, r->body, r->body_len, values);
    for (size_t i = 0; i < template_variable_count(r->workflow->template); i++) {
        if (!values[i].raw) {
            r->missing = i;
            return ANSWER_MISSING_INPUT;
        }
    }
    return ANSWER_NONE;
}

static enum answer check(struct service *s, struct run *r, int64_t now_us)
{
    enum answer answer = check_front(s, r);
    if (answer == ANSWER_NONE) {
        answer = check_key(s, r);
    }
    if (answer == ANSWER_NONE) {
        answer = check_cache(s, r);
    }
    if (answer == ANSWER_NONE) {
        answer = check_limit(s, r, now_us);
    }
    if (answer == ANSWER_NONE) {
        answer = check_credits(s, r);
    }
    if (answer == ANSWER_NONE) {
        answer = check_workflow(s, r);
    }
    return answer == ANSWER_NONE ? check_inputs(s, r) : answer;
}

/* Finds the request's place in the statistics and counts it as received. */
static void note_post(struct service *s, struct run *r)
{
    s->stats.posts++;
    r->generation = s->generation;
    if (r->body_len > SERVICE_BODY_MAX || !workflow_id_is_valid(r->workflow_id)) {
        return;
    }
    char digest[DIGEST_HEX];
    struct digest_part part = {r->body, r->body_len};
    digest_hex(&part, 1, digest);
    r->request = tally_entry(&s->stats.requests, r->workflow_id, digest);
    r->purchase = tally_entry(&s->stats.workflows, r->workflow_id, "");
    if (r->request) {
        r->request->posts++;
    }
}

static void start_run(struct service *s, struct run *r)
{
    const struct latency *latency = &s->options->latency;
    if (!s->options->has_latency && r->workflow && r->workflow->has_latency) {
        latency = &r->workflow->latency;
    }
    double u1 = random_uniform(&s->random), u2 = random_uniform(&s->random);
    r->latency_ms = latency_sample_ms(latency, u1, u2);
    r->answer = ANSWER_RESULT;
    r->charge = !r->fault || r->fault->charged;
    r->in_flight = true;
    s->reserved += r->charge ? 1 : 0;
    s->stats.in_flight++;
    if (s->stats.in_flight > s->stats.peak_in_flight) {
        s->stats.peak_in_flight = s->stats.in_flight;
    }
}

void service_admit(struct service *s, struct run *r, int64_t now_us)
{
    r->retry_after_s = -1;
    r->workflow = workflows_find(s->workflows, r->workflow_id);
    note_post(s, r);
    r->answer = check(s, r, now_us);
    if (r->answer == ANSWER_NONE) {
        start_run(s, r);
        return;
    }
    r->shows_rate = r->shows_rate && s->options->headers == HEADERS_ALL;
    s->stats.cached += r->cached ? 1 : 0;
    r->fault = NULL; /* it had its say, or there is no run for it to spoil */
}

/* The fault that shows in how a run ends. */
static enum answer end_of_run(struct service *s, const struct run *r)
{
    if (!r->fault) {
        return ANSWER_RESULT;
    }
    switch (r->fault->kind) {
    case FAULT_500:
        return injected(s, r, ANSWER_RUN_FAILED);
    case FAULT_502:
        return injected(s, r, ANSWER_BAD_GATEWAY);
    case FAULT_504:
        return injected(s, r, ANSWER_TIMED_OUT);
    default:
        return injected(s, r, ANSWER_RESULT);
    }
}

static void charge(struct service *s, const struct run *r)
{
    s->reserved--;
    s->stats.runs++;
    if (s->credits > 0) {
        s->credits--;
    }
    if (r->request) {
        r->request->charged++;
        r->request->has_result = r->answer == ANSWER_RESULT;
    }
    if (r->purchase) {
        r->purchase->charged++;
    }
}

static bool rate_is_shown(const struct service *s, const struct run *r)
{
    switch (s->options->headers) {
    case HEADERS_ALL:
        return r->shows_rate;
    case HEADERS_NONE:
        return false;
    default:
        return r->shows_rate && r->answer == ANSWER_RESULT;
    }
}

void service_finish(struct service *s, struct run *r, int64_t now_us)
{
    r->in_flight = false;
    s->stats.in_flight--;
    r->answer = end_of_run(s, r);
    if (r->charge && r->generation == s->generation) {
        charge(s, r);
    }
    if (s->options->headers == HEADERS_ON_REPLY) {
        note_rate(s, r, now_us);
    }
    r->shows_rate = rate_is_shown(s, r);
}

void service_count_status(struct service *s, const struct run *r, int status)
{
    if (r->generation == s->generation && status >= 0 && status < STATS_STATUS_MAX) {
        s->stats.by_status[status]++;
    }
}

void service_abandon(struct service *s, struct run *r)
{
    if (!r->in_flight) {
        return;
    }
    r->in_flight = false;
    s->stats.in_flight--;
    if (r->charge && r->generation == s->generation) {
        s->reserved--;
    }
}
