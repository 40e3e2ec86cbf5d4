#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/order.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void test_orders_on_the_wire(void **state)
{
    (void)state;
    static const int64_t jobs[] = {1, 4294967296, INT64_C(999999999999999)};
    static const struct {
        struct order order;
        const char *text;
    } cases[] = {
        {{.kind = ORDER_STATUS}, "{\"command\":\"status\"}"},
        {{.kind = ORDER_PAUSE}, "{\"command\":\"pause\"}"},
        {{.kind = ORDER_RESUME}, "{\"command\":\"resume\"}"},
        {{.kind = ORDER_RETRY, .jobs = jobs, .njobs = 3, .force = true},
         "{\"command\":\"retry\",\"jobs\":[1,4294967296,999999999999999],\"force\":true}"},
        {{.kind = ORDER_RETRY, .jobs = jobs, .njobs = 1},
         "{\"command\":\"retry\",\"jobs\":[1],\"force\":false}"},
        {{.kind = ORDER_CANCEL, .jobs = jobs, .njobs = 1}, "{\"command\":\"cancel\",\"jobs\":[1]}"},
        {{.kind = ORDER_HOLD, .jobs = jobs, .njobs = 2}, "{\"command\":\"hold\",\"jobs\":[1,4294967296]}"},
        {{.kind = ORDER_RELEASE, .jobs = jobs, .njobs = 1}, "{\"command\":\"release\",\"jobs\":[1]}"},
        {{.kind = ORDER_PRUNE, .before_ms = INT64_C(1764057600000), .dry_run = true},
         "{\"command\":\"prune\",\"before_ms\":1764057600000,\"dry_run\":true}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct order *o = &cases[i].order;
        struct arena a = {0};
        struct order got;
        char *text = order_print(o);
        assert_string_equal(text, cases[i].text);
        assert_null(order_parse(text, &a, &got));
        assert_int_equal(got.kind, o->kind);
        assert_int_equal(got.njobs, o->njobs);
        assert_int_equal(got.force, o->force);
        assert_int_equal(got.before_ms, o->before_ms);
        assert_int_equal(got.dry_run, o->dry_run);
        if (o->njobs > 0)
            assert_memory_equal(got.jobs, o->jobs, o->njobs * sizeof *o->jobs);
        arena_free(&a);
        free(text);
    }
}

static void test_orders_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "one JSON object"},
        {"status", "one JSON object"},
        {"[\"status\"]", "one JSON object"},
        {"{\"command\":\"status\"", "one JSON object"},
        {"{\"command\":\"status\"}{}", "one JSON object"},
        {"{}", "no command"},
        {"{\"command\":7}", "no command"},
        {"{\"command\":\"Status\"}", "unknown command"},
        {"{\"command\":\"shutdown\"}", "unknown command"},
        {"{\"command\":\"retry\"}", "list of jobs"},
        {"{\"command\":\"cancel\"}", "list of jobs"},
        {"{\"command\":\"hold\",\"jobs\":\"all\"}", "list of jobs"},
        {"{\"command\":\"release\",\"jobs\":[null]}", "its number"},
        {"{\"command\":\"prune\",\"before_ms\":\"1h\"}", "before_ms"},
        {"{\"command\":\"prune\",\"before_ms\":null}", "before_ms"},
        {"{\"command\":\"prune\",\"before_ms\":-1}", "before_ms"},
        {"{\"command\":\"retry\",\"jobs\":[]}", "list of jobs"},
        {"{\"command\":\"retry\",\"jobs\":{\"1\":1}}", "list of jobs"},
        {"{\"command\":\"retry\",\"jobs\":[1,\"2\"]}", "its number"},
        {"{\"command\":\"retry\",\"jobs\":[0]}", "its number"},
        {"{\"command\":\"retry\",\"jobs\":[-1]}", "its number"},
        {"{\"command\":\"retry\",\"jobs\":[1.5]}", "its number"},
        {"{\"command\":\"retry\",\"jobs\":[1e15]}", "its number"},
        {"{\"command\":\"retry\",\"jobs\":[1e999]}", "its number"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena a = {0};
        struct order o;
        const char *why = order_parse(cases[i].text, &a, &o);
        if (why == NULL || strstr(why, cases[i].why) == NULL)
            fail_msg("%s: %s", cases[i].text, why != NULL ? why : "taken");
        arena_free(&a);
    }
}

static void test_jobs_are_bounded(void **state)
{
    (void)state;
    static int64_t jobs[ORDER_JOBS_MAX + 1];
    for (size_t i = 0; i < COUNT(jobs); i++)
        jobs[i] = INT64_C(999999999999999);
    struct order o = {.kind = ORDER_RETRY, .jobs = jobs, .njobs = ORDER_JOBS_MAX}, got;
    struct arena a = {0};
    char *text = order_print(&o);
    assert_true(strlen(text) < 60000); /* a request line holds 64 KiB */
    assert_null(order_parse(text, &a, &got));
    assert_int_equal(got.njobs, ORDER_JOBS_MAX);

    o.njobs++;
    assert_null(order_print(&o));
    char *more = NULL;
    assert_true(asprintf(&more, "%.*s,1],\"force\":true}", (int)(strstr(text, "]") - text), text) > 0);
    assert_non_null(order_parse(more, &a, &got));
    free(more);
    free(text);
    arena_free(&a);
}

static void test_replies_on_the_wire(void **state)
{
    (void)state;
    static const struct order_refusal refused[] = {{7, "it is on its way", false}, {9, "say \"why\"", true}};
    static const struct {
        struct order_reply reply;
        const char *text;
    } cases[] = {
        {{.ok = true}, "{\"ok\":true}"},
        {{.error = "unknown command"}, "{\"ok\":false,\"error\":\"unknown command\"}"},
        {{.ok = true, .status = "{\"pid\":1}"}, "{\"ok\":true,\"status\":{\"pid\":1}}"},
        {{.ok = true, .has_changed = true, .bytes = -1},
         "{\"ok\":true,\"changed\":0,\"in_flight\":0,\"refused\":[]}"},
        {{.ok = true,
          .has_changed = true,
          .changed = 3,
          .in_flight = 1,
          .bytes = -1,
          .refused = refused,
          .nrefused = 2},
         "{\"ok\":true,\"changed\":3,\"in_flight\":1,\"refused\":[{\"job\":7,\"why\":\"it is on its way\","
         "\"again\":false},{\"job\":9,\"why\":\"say \\\"why\\\"\",\"again\":true}]}"},
        {{.ok = true, .has_changed = true, .changed = 20000, .bytes = INT64_C(5000000000), .more = true},
         "{\"ok\":true,\"changed\":20000,\"bytes\":5000000000,\"more\":true}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct order_reply *r = &cases[i].reply;
        struct arena a = {0};
        struct order_reply got;
        char *text = order_reply_print(r);
        assert_string_equal(text, cases[i].text);
        assert_true(order_reply_parse(text, &a, &got));
        assert_int_equal(got.ok, r->ok);
        assert_int_equal(got.has_changed, r->has_changed);
        assert_int_equal(got.changed, r->changed);
        assert_int_equal(got.in_flight, r->in_flight);
        assert_int_equal(got.bytes, r->has_changed ? r->bytes : -1);
        assert_int_equal(got.more, r->more);
        assert_string_equal(got.error != NULL ? got.error : "-", r->error != NULL ? r->error : "-");
        assert_string_equal(got.status != NULL ? got.status : "-", r->status != NULL ? r->status : "-");
        assert_int_equal(got.nrefused, r->nrefused);
        for (size_t k = 0; k < got.nrefused; k++) {
            assert_int_equal(got.refused[k].job, refused[k].job);
            assert_string_equal(got.refused[k].why, refused[k].why);
            assert_int_equal(got.refused[k].again, refused[k].again);
        }
        arena_free(&a);
        free(text);
    }
}

static void test_replies_that_are_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{}", "{\"ok\":1}", "[true]", "{\"ok\":true", "HTTP/1.1 200 OK"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct arena a = {0};
        struct order_reply r;
        if (order_reply_parse(texts[i], &a, &r))
            fail_msg("%s: taken for a reply", texts[i]);
        arena_free(&a);
    }
}

static void test_a_refusal_says_why(void **state)
{
    (void)state;
    struct arena a = {0};
    struct order_reply r;
    assert_true(order_reply_parse("{\"ok\":false}", &a, &r));
    assert_non_null(r.error);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders_on_the_wire),    cmocka_unit_test(test_orders_that_are_refused),
        cmocka_unit_test(test_jobs_are_bounded),      cmocka_unit_test(test_replies_on_the_wire),
        cmocka_unit_test(test_replies_that_are_none), cmocka_unit_test(test_a_refusal_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
