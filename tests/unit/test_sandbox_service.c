/* What the sandbox decides: the order of checks, who is charged, which answers carry rate headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/digest.h"
#include "sandbox/service.h"

#define NOW (INT64_C(1795000000) * 1000000)

static const char file[] = "workflows:\n"
                           "  wf_story: {template: \"about {{story}}\"}\n"
                           "  wf_slow: {template: x, latency: 5s}\n"
                           "  wf_draft: {template: x, published: false}\n";

struct world {
    struct options options;
    struct workflows workflows;
    struct service service;
};

static void build(struct world *w, struct options options)
{
    struct fault fault;
    w->options = options;
    if (!workflows_parse(file, strlen(file), &w->workflows, &fault)) {
        fail_msg("%s", fault.text);
    }
    assert_true(service_init(&w->service, &w->options, &w->workflows));
}

static void tear_down(struct world *w)
{
    service_free(&w->service);
    workflows_free(&w->workflows);
}

static struct options usual(void)
{
    return (struct options){.credits = -1, .limiter = LIMITER_NONE};
}

static void add_fault(struct options *o, const char *text)
{
    struct fault fault;
    assert_true(fault_rule_parse(text, &o->faults[o->fault_count++], &fault));
}

static void admit(struct world *w, struct run *r, const char *id, const char *authorization, const char *body)
{
    *r = (struct run){
        .workflow_id = id, .authorization = authorization, .body = body, .body_len = strlen(body)};
    service_draw_fault(&w->service, r);
    service_admit(&w->service, r, NOW);
}

/* A whole run, and its answer. */
static enum answer post(struct world *w, struct run *r, const char *id, const char *body)
{
    admit(w, r, id, "Bearer k", body);
    if (r->in_flight) {
        service_finish(&w->service, r, NOW + r->latency_ms * 1000);
    }
    return r->answer;
}

/* Each row has everything wrong that the rows before it have, except the first thing. */
static void test_order_of_checks(void **state)
{
    (void)state;
    static const struct {
        const char *authorization, *id, *body;
        bool limited, broke;
        enum answer wanted;
    } rows[] = {
        {NULL, "wf_none", "x", true, true, ANSWER_UNAUTHORIZED},
        {"", "wf_none", "x", true, true, ANSWER_UNAUTHORIZED},
        {"Bearer", "wf_none", "x", true, true, ANSWER_UNAUTHORIZED},
        {"Bearer ", "wf_none", "x", true, true, ANSWER_UNAUTHORIZED},
        {"Bearer k2", "wf_none", "x", true, true, ANSWER_UNAUTHORIZED},
        {"Basic k", "wf_none", "x", true, true, ANSWER_UNAUTHORIZED},
        {"Bearer k", "wf_none", "x", true, true, ANSWER_RATE_LIMITED},
        {"Bearer k", "wf_none", "x", false, true, ANSWER_NO_CREDITS},
        {"Bearer k", "wf_none", "x", false, false, ANSWER_WORKFLOW_NOT_FOUND},
        {"Bearer k", "wf_draft", "x", false, false, ANSWER_WORKFLOW_NOT_FOUND},
        {"Bearer k", "", "x", false, false, ANSWER_WORKFLOW_NOT_FOUND},
        {"Bearer k", "wf_story", "x", false, false, ANSWER_INVALID_BODY},
        {"Bearer k", "wf_story", "", false, false, ANSWER_INVALID_BODY},
        {"Bearer k", "wf_story", "[1]", false, false, ANSWER_INVALID_BODY},
        {"Bearer k", "wf_story", "{}x", false, false, ANSWER_INVALID_BODY},
        {"Bearer k", "wf_story", "{}", false, false, ANSWER_MISSING_INPUT},
        {"Bearer k", "wf_story", "{\"story\":\"s\"}", false, false, ANSWER_RESULT},
        {"bearer k", "wf_story", "{\"story\":\"s\"}", false, false, ANSWER_RESULT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        struct run r;
        struct options o = usual();
        char key[] = "k";
        o.keys[0] = key;
        o.key_count = 1;
        o.strict_inputs = true;
        o.limiter = LIMITER_FIXED;
        o.limit = 1;
        o.window_ms = 1000;
        o.credits = rows[i].broke ? 0 : -1;
        build(&w, o);
        if (rows[i].limited) {
            assert_true(limiter_take(&w.service.limiter, NOW));
        }
        admit(&w, &r, rows[i].id, rows[i].authorization, rows[i].body);
        if (r.answer != rows[i].wanted) {
            fail_msg("row %zu: answer %d", i, (int)r.answer);
        }
        assert_int_equal(r.in_flight, rows[i].wanted == ANSWER_RESULT);
        service_abandon(&w.service, &r);
        tear_down(&w);
    }
}

/* A 402 or 404 uses quota, a 401 does not. */
static void test_what_uses_quota(void **state)
{
    (void)state;
    struct world w;
    struct run r;
    struct options o = usual();
    o.limiter = LIMITER_FIXED;
    o.limit = 3;
    o.window_ms = 1000;
    build(&w, o);
    admit(&w, &r, "wf_story", NULL, "{}");
    assert_int_equal(limiter_remaining(&w.service.limiter, NOW), 3);
    assert_int_equal(post(&w, &r, "wf_none", "{}"), ANSWER_WORKFLOW_NOT_FOUND);
    assert_int_equal(limiter_remaining(&w.service.limiter, NOW), 2);
    w.service.credits = 0;
    assert_int_equal(post(&w, &r, "wf_story", "{}"), ANSWER_NO_CREDITS);
    assert_int_equal(limiter_remaining(&w.service.limiter, NOW), 1);
    tear_down(&w);
}

static void test_faults_and_charges(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        enum answer wanted;
        bool charged;
    } rows[] = {
        {"503", ANSWER_UNAVAILABLE, false},
        {"redirect", ANSWER_REDIRECT, false},
        {"401", ANSWER_UNAUTHORIZED, false},
        {"429", ANSWER_RATE_LIMITED, false},
        {"402", ANSWER_NO_CREDITS, false},
        {"404", ANSWER_WORKFLOW_NOT_FOUND, false},
        {"500", ANSWER_RUN_FAILED, false},
        {"502", ANSWER_BAD_GATEWAY, false},
        {"504", ANSWER_TIMED_OUT, false},
        {"500:charged", ANSWER_RUN_FAILED, true},
        {"504:charged", ANSWER_TIMED_OUT, true},
        {"reset-after", ANSWER_RESULT, true},
        {"cut", ANSWER_RESULT, true},
        {"garbage", ANSWER_RESULT, true},
        {"not-http", ANSWER_RESULT, true},
        {"drip", ANSWER_RESULT, true},
        {"huge", ANSWER_RESULT, true},
        {"500:0%", ANSWER_RESULT, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        struct run r;
        struct options o = usual();
        o.credits = 5;
        add_fault(&o, rows[i].fault);
        build(&w, o);
        enum answer answer = post(&w, &r, "wf_story", "{\"story\":\"s\"}");
        uint64_t charged = w.service.stats.runs;
        if (answer != rows[i].wanted || charged != (rows[i].charged ? 1 : 0)) {
            fail_msg("%s: answer %d, charged %d", rows[i].fault, (int)answer, (int)charged);
        }
        assert_int_equal(w.service.credits, rows[i].charged ? 4 : 5);
        assert_int_equal(w.service.reserved, 0);
        assert_int_equal(w.service.stats.in_flight, 0);
        assert_int_equal(r.request->charged, charged);
        enum fault_kind kind = w.options.faults[0].kind;
        assert_int_equal(w.service.stats.faults[kind], w.options.faults[0].share > 0);
        tear_down(&w);
    }
}

/* Runs in flight have their credit reserved: five credits buy five results, not fifty. */
static void test_credits_are_reserved(void **state)
{
    (void)state;
    struct world w;
    struct run runs[8];
    struct options o = usual();
    o.credits = 5;
    build(&w, o);
    int admitted = 0;
    for (size_t i = 0; i < 8; i++) {
        admit(&w, &runs[i], "wf_slow", "Bearer k", "{}");
        admitted += runs[i].in_flight ? 1 : 0;
    }
    assert_int_equal(admitted, 5);
    assert_int_equal(w.service.stats.peak_in_flight, 5);
    for (size_t i = 0; i < 5; i++) {
        service_finish(&w.service, &runs[i], NOW);
    }
    assert_int_equal(w.service.credits, 0);
    assert_int_equal(w.service.stats.runs, 5);
    tear_down(&w);
}

static void test_rate_headers(void **state)
{
    (void)state;
    static const struct {
        enum rate_headers headers;
        bool on_success, on_not_found, on_refusal;
        int64_t limit, remaining; /* on success; one second passes between arrival and reply */
    } rows[] = {
        {HEADERS_SUCCESS, true, false, false, 2, 0}, {HEADERS_ALL, true, true, true, 2, 0},
        {HEADERS_NONE, false, false, false, 0, 0},   {HEADERS_ON_REPLY, true, false, false, 2, 2},
        {HEADERS_ZERO, true, false, false, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        struct run missing, success, refused;
        struct options o = usual();
        o.headers = rows[i].headers;
        o.limiter = LIMITER_LOG;
        o.limit = 2;
        o.window_ms = 1000;
        o.retry_after = (struct retry_after){.enabled = true, .exact = true};
        build(&w, o);
        post(&w, &missing, "wf_none", "{}");
        admit(&w, &success, "wf_story", "Bearer k", "{}");
        post(&w, &refused, "wf_story", "{}");
        service_finish(&w.service, &success, NOW + 1000000);
        assert_int_equal(missing.shows_rate, rows[i].on_not_found);
        assert_int_equal(refused.shows_rate, rows[i].on_refusal);
        assert_int_equal(success.shows_rate, rows[i].on_success);
        if (rows[i].on_success &&
            (success.limit != rows[i].limit || success.remaining != rows[i].remaining)) {
            fail_msg("row %zu: %d/%d", i, (int)success.limit, (int)success.remaining);
        }
        assert_int_equal(refused.answer, ANSWER_RATE_LIMITED);
        assert_int_equal(refused.retry_after_s, 1);
        assert_int_equal(success.retry_after_s, -1);
        tear_down(&w);
    }
}

static void test_cache(void **state)
{
    (void)state;
    struct world w;
    struct run r;
    struct options o = usual();
    o.cache = true;
    o.limiter = LIMITER_FIXED;
    o.limit = 2;
    o.window_ms = 1000;
    add_fault(&o, "500:charged:1/2");
    build(&w, o);
    assert_int_equal(post(&w, &r, "wf_story", "{\"story\":\"s\"}"), ANSWER_RESULT);
    assert_true(r.shows_rate && !r.cached);
    assert_int_equal(post(&w, &r, "wf_story", "{\"story\":\"t\"}"), ANSWER_RUN_FAILED);
    /* The quota is used up now. */
    assert_int_equal(post(&w, &r, "wf_story", "{\"story\":\"s\"}"), ANSWER_RESULT);
    assert_true(r.cached && !r.shows_rate && !r.charge);
    assert_int_equal(post(&w, &r, "wf_story", "{\"story\":\"t\"}"), ANSWER_RATE_LIMITED);
    assert_int_equal(post(&w, &r, "wf_story", "{\"story\": \"s\"}"), ANSWER_RATE_LIMITED);
    assert_int_equal(w.service.stats.runs, 2);
    assert_int_equal(w.service.stats.cached, 1);
    tear_down(&w);
}

/* A run from before a reset ends without a trace after it. */
static void test_reset(void **state)
{
    (void)state;
    struct world w;
    struct run before, after;
    struct options o = usual();
    o.credits = 3;
    build(&w, o);
    assert_int_equal(post(&w, &after, "wf_story", "{}"), ANSWER_RESULT);
    admit(&w, &before, "wf_slow", "Bearer k", "{}");
    service_reset(&w.service);
    assert_int_equal(w.service.credits, 3);
    assert_int_equal(w.service.stats.posts, 0);
    assert_int_equal(w.service.stats.in_flight, 1);
    service_finish(&w.service, &before, NOW);
    service_count_status(&w.service, &before, 200);
    assert_int_equal(w.service.credits, 3);
    assert_int_equal(w.service.reserved, 0);
    assert_int_equal(w.service.stats.runs, 0);
    assert_int_equal(w.service.stats.by_status[200], 0);
    assert_int_equal(w.service.stats.in_flight, 0);
    tear_down(&w);
}

static void test_same_seed_same_night(void **state)
{
    (void)state;
    struct world w;
    struct run r;
    enum answer first[200];
    int64_t latencies[200];
    struct options o = usual();
    o.seed = 7;
    struct fault fault;
    o.has_latency = latency_parse("uniform:1s,3s", &o.latency, &fault);
    add_fault(&o, "500:30%");
    build(&w, o);
    int failures = 0;
    for (size_t i = 0; i < 200; i++) {
        first[i] = post(&w, &r, "wf_slow", "{}");
        assert_true(r.latency_ms >= 1000 && r.latency_ms <= 3000); /* --latency wins over the file's 5s */
        latencies[i] = r.latency_ms;
        failures += first[i] == ANSWER_RUN_FAILED ? 1 : 0;
    }
    assert_true(failures > 30 && failures < 90);
    service_reset(&w.service);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(post(&w, &r, "wf_slow", "{}"), first[i]);
        assert_int_equal(r.latency_ms, latencies[i]);
    }
    tear_down(&w);
}

static void test_any_workflow(void **state)
{
    (void)state;
    struct world w;
    struct run r;
    struct options o = usual();
    o.any_workflow = true;
    build(&w, o);
    assert_int_equal(post(&w, &r, "wf_none", "{}"), ANSWER_RESULT);
    assert_null(r.workflow);
    assert_int_equal(post(&w, &r, "", "{}"), ANSWER_WORKFLOW_NOT_FOUND);
    assert_int_equal(post(&w, &r, "wf_draft", "{}"), ANSWER_WORKFLOW_NOT_FOUND);
    tear_down(&w);
}

static void test_tally_is_bounded(void **state)
{
    (void)state;
    struct tally t;
    char name[16];
    tally_init(&t, 1000);
    for (int i = 0; i < 1500; i++) {
        snprintf(name, sizeof name, "wf_%d", i);
        struct tally_entry *e = tally_entry(&t, name, "");
        assert_int_equal(e != NULL, i < 1000);
        if (e) {
            e->posts++;
        }
    }
    assert_int_equal(t.count, 1000);
    assert_int_equal(t.dropped, 500);
    struct tally_entry *again = tally_entry(&t, "wf_7", "");
    assert_int_equal(again->posts, 1);
    assert_ptr_not_equal(tally_entry(&t, "wf_8", ""), again);
    tally_clear(&t);
    assert_int_equal(t.count, 0);
}

/* A look-up costs the same however many pairs there are: hardly any entry is far from its own slot. */
static void test_tally_look_ups_are_short(void **state)
{
    (void)state;
    struct tally t;
    char body[16], digest[DIGEST_HEX];
    size_t steps = 0;
    tally_init(&t, 20000);
    for (int i = 0; i < 20000; i++) {
        int len = snprintf(body, sizeof body, "%d", i);
        struct digest_part part = {body, (size_t)len};
        digest_hex(&part, 1, digest);
        assert_non_null(tally_entry(&t, "wf_story", digest));
    }
    for (size_t i = 0; i < t.room; i++) {
        steps += t.slots[i] ? (i - (size_t)t.slots[i]->hash) & (t.room - 1) : 0;
    }
    assert_true(steps < 2 * t.count);
    assert_true(t.room <= 4 * t.count);
    tally_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_checks),
        cmocka_unit_test(test_what_uses_quota),
        cmocka_unit_test(test_faults_and_charges),
        cmocka_unit_test(test_credits_are_reserved),
        cmocka_unit_test(test_rate_headers),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_same_seed_same_night),
        cmocka_unit_test(test_any_workflow),
        cmocka_unit_test(test_tally_is_bounded),
        cmocka_unit_test(test_tally_look_ups_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
