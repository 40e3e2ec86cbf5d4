#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/jsonspan.h"
#include "core/status.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const struct status_hold holds[] = {
    {STATUS_ACCOUNT, NULL, "no_credits", "402 \"Invalid\" billing\n", 1000, 42000, false, 3},
    {STATUS_WORKFLOW, "wf_a", "server_errors", "", 5, -1, true, 1},
    {STATUS_GATE, NULL, "paused", "", -1, -1, false, 0},
};

static struct status example(void)
{
    return (struct status){
        .pid = 123,
        .uptime_ms = 252000,
        .endpoint = "https://host",
        .key = "3fe3aa00bb11",
        .key_source = "file /etc/flowspool/key",
        .in_flight = 8,
        .max_concurrency = 256,
        .scanned = true,
        .ignored = 2,
        .draining = true,
        .per_second = 9.8333333,
        .cap = 80,
        .cap_reason = "paced by the server's rate limit",
        .limit = 10,
        .remaining = -1,
        .last_429_ago_ms = -1,
        .run = {1, 2, 3, 4, 5, 6, 7, 5000000000},
        .has_counts = true,
        .counts = {1000000, 2, 3, 4, 5, 6, 7, 8, INT64_C(1764057600000)},
        .holds = holds,
        .nholds = COUNT(holds),
    };
}

static void assert_hold(const struct status_hold *got, const struct status_hold *expected)
{
    assert_string_equal(got->kind, expected->kind);
    assert_string_equal(got->cause, expected->cause);
    assert_string_equal(got->reason, expected->reason);
    if (expected->workflow == NULL)
        assert_null(got->workflow);
    else
        assert_string_equal(got->workflow, expected->workflow);
    assert_int_equal(got->held_for_ms, expected->held_for_ms);
    assert_int_equal(got->next_probe_ms, expected->next_probe_ms);
    assert_int_equal(got->probing, expected->probing);
    assert_int_equal(got->refusals, expected->refusals);
}

static void test_comes_back_as_it_was(void **state)
{
    (void)state;
    const struct status in = example();
    struct arena a = {0};
    struct status out;
    char *text = status_print(&in);
    assert_non_null(text);
    assert_null(strchr(text, '\n'));
    assert_true(status_parse(text, &a, &out));
    assert_int_equal(out.pid, 123);
    assert_int_equal(out.uptime_ms, 252000);
    assert_string_equal(out.endpoint, in.endpoint);
    assert_string_equal(out.key, in.key);
    assert_string_equal(out.key_source, in.key_source);
    assert_int_equal(out.in_flight, 8);
    assert_int_equal(out.max_concurrency, 256);
    assert_true(out.scanned);
    assert_true(out.draining);
    assert_int_equal(out.ignored, 2);
    assert_true(out.per_second > 9.8329 && out.per_second < 9.8331);
    assert_int_equal(out.cap, 80);
    assert_string_equal(out.cap_reason, in.cap_reason);
    assert_int_equal(out.limit, 10);
    assert_int_equal(out.remaining, -1);
    assert_int_equal(out.last_429_ago_ms, -1);
    assert_memory_equal(&out.run, &in.run, sizeof in.run);
    assert_true(out.has_counts);
    assert_memory_equal(&out.counts, &in.counts, sizeof in.counts);
    assert_int_equal(out.nholds, COUNT(holds));
    assert_int_equal(out.holds_omitted, 0);
    for (size_t i = 0; i < COUNT(holds); i++)
        assert_hold(&out.holds[i], &holds[i]);
    arena_free(&a);
    free(text);
}

/* Programs outside read these names: they stay. */
static void test_wire_form(void **state)
{
    (void)state;
    struct status in = example();
    in.nholds = 1;
    char *text = status_print(&in);
    assert_string_equal(
        text,
        "{\"pid\":123,\"endpoint\":\"https://host\",\"key\":\"3fe3aa00bb11\",\"key_source\":\"file "
        "/etc/flowspool/key\",\"uptime_ms\":252000,\"in_flight\":8,\"max_concurrency\":256,\"scanned\":true,"
        "\"ignored\":2,\"draining\":true,\"holds\":[{\"kind\":\"account\",\"workflow\":null,"
        "\"cause\":\"no_credits\",\"reason\":\"402 \\\"Invalid\\\" billing\\n\",\"held_for_ms\":1000,"
        "\"next_probe_ms\":42000,\"probing\":false,\"refusals\":3}],\"holds_omitted\":0,"
        "\"rate\":{\"per_second\":9.833,\"cap\":80,\"cap_reason\":\"paced by the server's rate limit\","
        "\"limit\":10,\"remaining\":null,\"last_429_ago_ms\":null,\"learned\":{\"mode\":null,\"limit\":0,"
        "\"window_kind\":null,\"window_ms\":0,\"source\":null,"
        "\"replies\":0,\"after_ms\":0,\"per_second\":0,\"last_429_ago_ms\":0}},\"run\":{\"done\":1,"
        "\"failed\":2,"
        "\"refused\":3,\"already_done\":4,\"bought\":5,\"possibly_bought\":6,\"requests\":7,"
        "\"rate_limited\":5000000000},\"counts\":{\"waiting\":1000000,\"later\":2,\"held\":3,\"missing\":4,"
        "\"in_flight\":5,\"done\":6,\"failed\":7,\"refused\":8,\"oldest_waiting_at_ms\":1764057600000}}");
    free(text);
}

static void test_counts_that_are_not_known(void **state)
{
    (void)state;
    struct status in = example(), out;
    struct arena a = {0};
    in.has_counts = false;
    char *text = status_print(&in);
    assert_non_null(strstr(text, ",\"counts\":null}"));
    assert_true(status_parse(text, &a, &out));
    assert_false(out.has_counts);
    free(text);
    in = example();
    in.counts.oldest_waiting_at_ms = -1;
    text = status_print(&in);
    assert_non_null(strstr(text, "\"oldest_waiting_at_ms\":null"));
    assert_true(status_parse(text, &a, &out));
    assert_int_equal(out.counts.oldest_waiting_at_ms, -1);
    assert_true(status_parse("{}", &a, &out)); /* an older daemon */
    assert_false(out.has_counts);
    free(text);
    arena_free(&a);
}

static void test_strings_of_any_bytes_stay_json(void **state)
{
    (void)state;
    struct status in = example();
    struct arena a = {0};
    struct status out;
    in.key_source = "file /etc/\xff\x01\"key\\";
    char *text = status_print(&in);
    assert_true(json_is_valid(text, strlen(text)));
    assert_true(status_parse(text, &a, &out));
    assert_string_equal(out.key_source, "file /etc/\xef\xbf\xbd\x01\"key\\");
    arena_free(&a);
    free(text);
}

static void test_a_rate_that_is_no_number(void **state)
{
    (void)state;
    static const double rates[] = {(double)INFINITY, (double)NAN};
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct status in = example();
        in.per_second = rates[i];
        char *text = status_print(&in);
        assert_true(json_is_valid(text, strlen(text)));
        assert_non_null(strstr(text, "\"per_second\":0,"));
        free(text);
    }
}

static void test_holds_are_bounded(void **state)
{
    (void)state;
    enum { MANY = STATUS_HOLDS_MAX + 7 };
    struct status_hold many[MANY];
    struct status in = example(), out;
    struct arena a = {0};
    for (size_t i = 0; i < MANY; i++)
        many[i] = holds[1];
    in.holds = many;
    in.nholds = MANY;
    in.holds_omitted = 2;
    char *text = status_print(&in);
    assert_true(status_parse(text, &a, &out));
    assert_int_equal(out.nholds, STATUS_HOLDS_MAX);
    assert_int_equal(out.holds_omitted, 9);
    arena_free(&a);
    free(text);
}

static void test_what_others_may_send(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        bool ok;
    } cases[] = {
        {"an older daemon says less", "{}", true},
        {"a newer one says more", "{\"pid\":1,\"moon\":{\"phase\":[1]},\"holds\":[{\"kind\":\"moon\"}]}",
         true},
        {"wrong types are not known", "{\"pid\":\"x\",\"endpoint\":4,\"holds\":{},\"rate\":[],\"run\":null}",
         true},
        {"numbers out of range", "{\"pid\":1e400,\"uptime_ms\":-1e300,\"in_flight\":1.5}", true},
        {"a list", "[]", false},
        {"a text", "\"{}\"", false},
        {"nothing", "", false},
        {"cut", "{\"pid\":1", false},
        {"more behind it", "{} {}", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena a = {0};
        struct status s;
        if (status_parse(cases[i].text, &a, &s) != cases[i].ok)
            fail_msg("%s", cases[i].name);
        if (cases[i].ok) {
            assert_non_null(s.endpoint);
            assert_non_null(s.key);
            assert_non_null(s.cap_reason);
            assert_int_equal(s.limit, -1);
            assert_true(s.pid == 0 || s.pid == 1);
            assert_int_equal(s.uptime_ms, 0);
            assert_int_equal(s.in_flight, 0);
            for (size_t k = 0; k < s.nholds; k++)
                assert_non_null(s.holds[k].reason);
        }
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back_as_it_was),
        cmocka_unit_test(test_wire_form),
        cmocka_unit_test(test_counts_that_are_not_known),
        cmocka_unit_test(test_strings_of_any_bytes_stay_json),
        cmocka_unit_test(test_a_rate_that_is_no_number),
        cmocka_unit_test(test_holds_are_bounded),
        cmocka_unit_test(test_what_others_may_send),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
