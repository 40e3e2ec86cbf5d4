#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/job.h"
#include "core/outcome.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

#define JOB_SHA     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define REQUEST_SHA "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

/* ---- writing ---- */

/* What every outcome below says unless its case changes it. */
static struct outcome sample(void)
{
    return (struct outcome){
        .job = "story.yaml",
        .job_sha256 = JOB_SHA,
        .request_sha256 = REQUEST_SHA,
        .endpoint = "https://host",
        .workflow = "wf_abc123",
        .http_status = 200,
        .attempts = 2,
        .rate_limited = 1,
        .queued_ms = 1795471200123,
        .started_ms = 1795471201000,
        .finished_ms = 1795471209123,
        .duration_ms = 8123,
        .request_id = "fra1::abc",
    };
}

static void assert_valid(const char *text, size_t len)
{
    assert_non_null(text);
    assert_int_equal(strlen(text), len); /* no NUL inside, one behind */
    assert_int_equal(text[len - 1], '\n');
    assert_null(memchr(text, '\n', len - 1));
    assert_true(json_is_valid(text, len));
}

static char *result_of(const struct outcome *o, const char *reply)
{
    struct json_object object;
    struct outcome copy = *o;
    size_t len;
    assert_true(json_scan_object(reply, strlen(reply), &object));
    copy.reply = &object;
    char *text = outcome_result(&copy, &len);
    assert_valid(text, len);
    return text;
}

static char *error_of(const struct outcome *o)
{
    size_t len;
    char *text = outcome_error(o, &len);
    assert_valid(text, len);
    return text;
}

#define HEAD                                                                                                 \
    "{\"version\":1,\"job\":\"story.yaml\",\"job_sha256\":\"" JOB_SHA "\",\"request_sha256\":\"" REQUEST_SHA \
    "\",\"endpoint\":\"https://host\",\"workflow\":\"wf_abc123\","
#define COUNTS "\"attempts\":2,\"rate_limited\":1,\"ambiguous\":0,"
#define TIMES                                                                                                \
    "\"queued_at\":\"2026-11-23T22:00:00.123Z\",\"started_at\":\"2026-11-23T22:00:01.000Z\","                \
    "\"finished_at\":\"2026-11-23T22:00:09.123Z\",\"duration_ms\":8123,\"request_id\":\"fra1::abc\"}\n"

static void test_result_layout(void **state)
{
    (void)state;
    struct outcome o = sample();
    char *text = result_of(
        &o, "{\"success\": true, \"result\": \"Once upon a time\\u2026\", \"citations\": [ \"https://a\" ]}");
    assert_string_equal(text, HEAD "\"success\":true,\"result\":\"Once upon a time\\u2026\",\"citations\":[ "
                                   "\"https://a\" ],\"http_status\":200," COUNTS TIMES);
    free(text);
}

static void test_error_layout(void **state)
{
    (void)state;
    struct outcome o = sample();
    o.http_status = 404;
    o.code = CODE_WORKFLOW_NOT_FOUND;
    o.message = "the \"service\" knows\nno workflow";
    o.response = "{\"error\":\"Workflow not found\"}";
    o.response_len = strlen(o.response);
    char *text = error_of(&o);
    assert_string_equal(
        text,
        HEAD "\"success\":false,\"error\":{\"code\":\"workflow_not_found\",\"message\":\"the \\\"service\\\" "
             "knows\\nno workflow\",\"http_status\":404,\"retryable\":false,\"response\":\"{\\\"error\\\":"
             "\\\"Workflow not found\\\"}\"}," COUNTS TIMES);
    free(text);
}

static void test_optional_fields(void **state)
{
    (void)state;
    struct outcome o = sample();
    o.document = 3;
    o.sandbox = true;
    char *text = result_of(&o, "{\"success\":true,\"result\":1}");
    assert_string_equal(
        text, "{\"version\":1,\"job\":\"story.yaml\",\"document\":3,\"job_sha256\":\"" JOB_SHA
              "\",\"request_sha256\":\"" REQUEST_SHA "\",\"endpoint\":\"https://host\",\"sandbox\":true,"
              "\"workflow\":\"wf_abc123\",\"success\":true,\"result\":1,\"http_status\":200," COUNTS TIMES);
    free(text);
}

static void test_unknown_is_null(void **state)
{
    (void)state;
    const struct outcome o = {
        .job = "a.yaml", .duration_ms = -1, .code = CODE_INVALID_JOB, .retryable = true};
    char *text = error_of(&o);
    assert_string_equal(
        text, "{\"version\":1,\"job\":\"a.yaml\",\"job_sha256\":null,\"request_sha256\":null,"
              "\"endpoint\":null,\"workflow\":null,\"success\":false,\"error\":{\"code\":\"invalid_job\","
              "\"message\":null,\"http_status\":null,\"retryable\":true,\"response\":null},"
              "\"attempts\":0,\"rate_limited\":0,\"ambiguous\":0,\"queued_at\":null,"
              "\"started_at\":null,\"finished_at\":null,\"duration_ms\":null,\"request_id\":null}\n");
    free(text);
    struct outcome r = o;
    r.duration_ms = 0;
    text = result_of(&r, "{\"success\":true,\"result\":null}");
    assert_non_null(strstr(text, "\"success\":true,\"result\":null,\"http_status\":null,\"attempts\":0,"));
    assert_non_null(strstr(text, "\"duration_ms\":0,"));
    free(text);
}

static void test_extremes(void **state)
{
    (void)state;
    struct outcome o = sample();
    o.job = "d\xC3\xA9/a\"\\\x01\n b.yaml";
    o.document = 10000;
    o.attempts = o.rate_limited = o.ambiguous = INT_MAX;
    o.queued_ms = INT64_MAX;
    o.started_ms = INT64_MIN;
    o.duration_ms = INT64_MAX;
    o.request_id = "bad \xFF id";
    char *text = result_of(&o, "{\"success\":true,\"result\":1}");
    assert_non_null(strstr(text, "\"job\":\"d\xC3\xA9/a\\\"\\\\\\u0001\\n b.yaml\",\"document\":10000,"));
    assert_non_null(strstr(text, "\"ambiguous\":2147483647,"));
    assert_non_null(strstr(text, "\"duration_ms\":9223372036854775807,"));
    assert_non_null(strstr(text, "\"request_id\":\"bad \xEF\xBF\xBD id\""));
    free(text);
}

/* ---- the server's own values ---- */

static void test_server_values_unchanged(void **state)
{
    (void)state;
    static const struct {
        const char *name, *reply, *want; /* from "success" up to http_status */
    } cases[] = {
        {"escapes and digits stay", "{\"success\":true,\"result\":\"\\u0000\\/\\ud83d\xF0\x9F\x98\x80\"}",
         "\"result\":\"\\u0000\\/\\ud83d\xF0\x9F\x98\x80\","},
        {"numbers above 2^53 stay", "{\"success\":true,\"result\":[ 9007199254740993 ,1.10E+400]}",
         "\"result\":[ 9007199254740993 ,1.10E+400],"},
        {"an object", "{\"success\":true,\"result\":{\"b\":1,\"a\":{}}}", "\"result\":{\"b\":1,\"a\":{}},"},
        {"false", "{\"success\":true,\"result\":false}", "\"result\":false,"},
        {"citations as objects",
         "{\"success\":true,\"citations\":[{\"title\":\"t\",\"url\":\"u\"}],\"result\":\"\"}",
         "\"result\":\"\",\"citations\":[{\"title\":\"t\",\"url\":\"u\"}],"},
        {"citations empty", "{\"success\":true,\"citations\":[],\"result\":\"\"}",
         "\"result\":\"\",\"citations\":[],"},
        {"citations null is a value", "{\"success\":true,\"citations\":null,\"result\":\"\"}",
         "\"result\":\"\",\"citations\":null,"},
        {"unknown fields",
         "{\"run_id\":\"r1\",\"success\":true,\"result\":1,\"usage\":{\"t\":[1, 2]},\"error\":null}",
         "\"result\":1,\"extra\":{\"run_id\":\"r1\",\"usage\":{\"t\":[1, 2]},\"error\":null},"},
        {"unknown after citations", "{\"x\":1,\"citations\":[],\"result\":2,\"success\":true}",
         "\"result\":2,\"citations\":[],\"extra\":{\"x\":1},"},
        {"our own names are unknown to us there",
         "{\"success\":true,\"result\":1,\"job\":\"x\",\"attempts\":9}",
         "\"result\":1,\"extra\":{\"job\":\"x\",\"attempts\":9},"},
        {"keys keep their escapes", "{\"success\":true,\"result\":1,\"\\u00e9\\\"\":2,\"\":3}",
         "\"result\":1,\"extra\":{\"\\u00e9\\\"\":2,\"\":3},"},
        {"escaped names are known", "{\"s\\u0075ccess\":true,\"\\u0072esult\":\"x\",\"citation\\u0073\":[1]}",
         "\"result\":\"x\",\"citations\":[1],"},
        {"of duplicates the last",
         "{\"success\":false,\"result\":1,\"x\":1,\"citations\":[1],\"result\":2,\"x\":{},\"citations\":[2],"
         "\"success\":true,\"y\":0}",
         "\"result\":2,\"citations\":[2],\"extra\":{\"x\":{},\"y\":0},"},
    };
    struct outcome o = sample();
    for (size_t i = 0; i < COUNT(cases); i++) {
        char want[512];
        char *text = result_of(&o, cases[i].reply);
        snprintf(want, sizeof want, "\"success\":true,%s\"http_status\":200", cases[i].want);
        if (!strstr(text, want))
            fail_msg("%s: %s", cases[i].name, text);
        free(text);
    }
}

static void test_more_members_than_listed(void **state)
{
    (void)state;
    char reply[4096];
    size_t used = (size_t)snprintf(reply, sizeof reply, "{\"a\":0");
    for (int i = 0; i < 100; i++)
        used += (size_t)snprintf(reply + used, sizeof reply - used, ",\"m%d\":%d", i, i);
    snprintf(reply + used, sizeof reply - used, ",\"success\":true,\"citations\":[],\"result\":\"paid\"}");
    struct outcome o = sample();
    char *text = result_of(&o, reply);
    assert_non_null(
        strstr(text, "\"success\":true,\"result\":\"paid\",\"citations\":[],\"extra\":{\"a\":0,\"m0\":0,"));
    assert_non_null(strstr(text, ",\"m59\":59},\"http_status\":200,"));
    free(text);
}

/* ---- the first 4 KiB of the body ---- */

static void test_response_cut(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t before; /* bytes of 'x' before: */
        const char *middle;
        size_t after;        /* and of 'y' behind */
        size_t keeps_middle; /* how many bytes of middle stay */
        size_t keeps_after;
    } cases[] = {
        {"empty", 0, "", 0, 0, 0},
        {"short", 10, "\xC3\xA9", 3, 2, 3},
        {"one below", 4095, "", 0, 0, 0},
        {"exact", 4096, "", 0, 0, 0},
        {"one above", 4096, "", 1, 0, 0},
        {"two bytes fit", 4094, "\xC3\xA9", 9, 2, 0},
        {"two bytes do not", 4095, "\xC3\xA9", 9, 0, 0},
        {"two bytes behind", 4096, "\xC3\xA9", 9, 0, 0},
        {"three bytes fit", 4093, "\xE2\x82\xAC", 9, 3, 0},
        {"three bytes do not, by one", 4094, "\xE2\x82\xAC", 9, 0, 0},
        {"three bytes do not, by two", 4095, "\xE2\x82\xAC", 9, 0, 0},
        {"four bytes fit", 4092, "\xF0\x9F\x98\x80", 9, 4, 0},
        {"four bytes do not, by one", 4093, "\xF0\x9F\x98\x80", 9, 0, 0},
        {"four bytes do not, by two", 4094, "\xF0\x9F\x98\x80", 9, 0, 0},
        {"four bytes do not, by three", 4095, "\xF0\x9F\x98\x80", 9, 0, 0},
        {"cut by the caller inside four", 4093, "\xF0\x9F\x98", 0, 0, 0},
        {"cut by the caller inside two", 4095, "\xC3", 0, 0, 0},
        {"ends exactly with three", 4093, "\xE2\x82\xAC", 0, 3, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t middle = strlen(cases[i].middle), len = cases[i].before + middle + cases[i].after;
        char *body = malloc(len ? len : 1), *want = malloc(len + 16);
        assert_non_null(body);
        assert_non_null(want);
        memset(body, 'x', cases[i].before);
        memcpy(body + cases[i].before, cases[i].middle, middle);
        memset(body + cases[i].before + middle, 'y', cases[i].after);
        size_t kept = cases[i].before > 4096 ? 4096 : cases[i].before;
        kept += cases[i].keeps_middle + cases[i].keeps_after;
        sprintf(want, "\"response\":\"%.*s\"},", (int)kept, body);
        struct outcome o = sample();
        o.code = CODE_REJECTED;
        o.message = "";
        o.response = body;
        o.response_len = len;
        char *text = error_of(&o);
        if (!strstr(text, want))
            fail_msg("%s: %s", cases[i].name, text);
        free(text);
        free(want);
        free(body);
    }
}

/* A body that is not UTF-8 is cut at 4096 bytes however it ends, and the outcome is UTF-8 all the same. */
static void test_response_of_garbage(void **state)
{
    (void)state;
    static const unsigned char fill[] = {0x80, 0xFF, 0x00, 0xC3, 0xE2, 0xF0, '"', '\n'};
    static const size_t sizes[] = {1, 2, 3, 4095, 4096, 4097, 100000};
    for (size_t f = 0; f < COUNT(fill); f++) {
        for (size_t s = 0; s < COUNT(sizes); s++) {
            char *body = malloc(sizes[s]);
            assert_non_null(body);
            memset(body, fill[f], sizes[s]);
            struct outcome o = sample();
            o.code = CODE_INVALID_RESPONSE;
            o.response = body;
            o.response_len = sizes[s];
            char *text = error_of(&o);
            size_t len = strlen(text);
            assert_true(len > (sizes[s] < 4090 ? sizes[s] : 4090));
            assert_true(len < 4096 * 6 + 1000);
            free(text);
            free(body);
        }
    }
}

/* ---- reading back ---- */

static void test_read_back(void **state)
{
    (void)state;
    struct outcome o = sample();
    struct outcome_summary s;
    char *text = result_of(&o, "{\"success\":true,\"result\":\"x\",\"code\":\"y\"}");
    assert_true(outcome_read(text, strlen(text), &s));
    assert_true(s.success);
    assert_false(s.sandbox);
    assert_string_equal(s.request_sha256, REQUEST_SHA);
    assert_string_equal(s.code, "");
    assert_string_equal(s.endpoint, "https://host");
    assert_int_equal(s.ambiguous, 0);
    outcome_summary_free(&s);
    assert_null(s.endpoint);
    free(text);

    o.sandbox = true;
    o.ambiguous = 3;
    o.code = CODE_AMBIGUOUS;
    o.endpoint = NULL;
    o.request_sha256 = NULL;
    text = error_of(&o);
    assert_true(outcome_read(text, strlen(text), &s));
    assert_false(s.success);
    assert_true(s.sandbox);
    assert_string_equal(s.request_sha256, "");
    assert_string_equal(s.code, "ambiguous");
    assert_int_equal(s.ambiguous, 3);
    assert_null(s.endpoint);
    outcome_summary_free(&s);
    free(text);
}

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        {"{\"version\":1,\"job\":\"a\",\"success\":true}", true},
        {" { \"success\" : true , \"job\" : \"a\" , \"version\" : 1 , \"new\":{} } \n", true},
        {"{\"version\":1,\"job\":\"a\",\"success\":true,\"request_sha256\":\"" REQUEST_SHA "\"}", true},
        {"{\"version\":1,\"job\":\"a\",\"success\":true,\"sandbox\":false,\"endpoint\":7}", true},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":{\"code\":\"expired\"}}", true},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":{\"code\":\"\"}}", true},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":{\"code\":"
         "\"1234567890123456789012345678901\"}}",
         true},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":{\"code\":"
         "\"12345678901234567890123456789012\"}}",
         false},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":{\"code\":\"a\\u0062\"}}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":{\"code\":1}}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":{}}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":\"expired\"}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"error\":null}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"code\":\"expired\"}", false},
        {"{\"version\":2,\"job\":\"a\",\"success\":true}", false},
        {"{\"version\":0,\"job\":\"a\",\"success\":true}", false},
        {"{\"version\":1.0,\"job\":\"a\",\"success\":true}", false},
        {"{\"version\":\"1\",\"job\":\"a\",\"success\":true}", false},
        {"{\"version\":4294967297,\"job\":\"a\",\"success\":true}", false},
        {"{\"job\":\"a\",\"success\":true}", false},
        {"{\"version\":1,\"success\":true}", false},
        {"{\"version\":1,\"job\":1,\"success\":true}", false},
        {"{\"version\":1,\"job\":null,\"success\":true}", false},
        {"{\"version\":1,\"job\":\"a\"}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":null}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":\"true\"}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":true,\"request_sha256\":\"abc\"}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":true,\"request_sha256\":\"" REQUEST_SHA "0\"}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":true,\"request_sha256\":7}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":true,\"request_sha256\":"
         "\"FEDCBA9876543210fedcba9876543210fedcba9876543210fedcba9876543210\"}",
         false},
        {"{\"version\":1,\"job\":\"a\",\"success\":false,\"request_sha256\":\"" REQUEST_SHA "\"}", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":true", false},
        {"{\"version\":1,\"job\":\"a\",\"success\":true}{}", false},
        {"[]", false},
        {"{}", false},
        {"", false},
        {"somebody else's file", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct outcome_summary s;
        memset(&s, 0xAA, sizeof s);
        if (outcome_read(cases[i].text, strlen(cases[i].text), &s) != cases[i].ok)
            fail_msg("%s", cases[i].text);
        if (!cases[i].ok) {
            const struct outcome_summary empty = {0};
            assert_string_equal(s.request_sha256, "");
            assert_null(s.endpoint);
            assert_int_equal(s.success, empty.success);
        }
        outcome_summary_free(&s);
    }
}

/* A result of any size is read in place. */
static void test_read_large(void **state)
{
    (void)state;
    const size_t size = 8u << 20;
    char *reply = malloc(size + 64);
    assert_non_null(reply);
    char *p = stpcpy(reply, "{\"success\":true,\"result\":\"");
    memset(p, 'x', size);
    stpcpy(p + size, "\"}");
    struct outcome o = sample();
    struct outcome_summary s;
    char *text = result_of(&o, reply);
    assert_true(strlen(text) > size);
    assert_true(outcome_read(text, strlen(text), &s));
    assert_string_equal(s.request_sha256, REQUEST_SHA);
    outcome_summary_free(&s);
    free(text);
    free(reply);
}

/* ---- renaming ---- */

static void test_rename(void **state)
{
    (void)state;
#define REST "\"x\":{\"job\":\"no\",\"document\":9},\"success\":true,\"result\":\"\\u0000 job\"}\n"
    static const struct {
        const char *text, *job;
        size_t document;
        const char *want; /* NULL: not ours */
    } cases[] = {
        {"{\"version\":1,\"job\":\"a.yaml\"," REST, "b.yaml", 0, "{\"version\":1,\"job\":\"b.yaml\"," REST},
        {"{\"version\":1,\"job\":\"a.yaml\"," REST, "d/b.yaml", 2,
         "{\"version\":1,\"job\":\"d/b.yaml\",\"document\":2," REST},
        {"{\"version\":1,\"job\":\"a.yaml\",\"document\":7," REST, "b.yaml", 0,
         "{\"version\":1,\"job\":\"b.yaml\"," REST},
        {"{\"version\":1,\"job\":\"a.yaml\",\"document\":7," REST, "b.yaml", 12,
         "{\"version\":1,\"job\":\"b.yaml\",\"document\":12," REST},
        {"{\"version\":1,\"job\":\"a.yaml\",\"success\":true,\"document\":7}", "b", 1,
         "{\"version\":1,\"job\":\"b\",\"document\":1,\"success\":true}"},
        {"{\"version\":1,\"job\":\"a.yaml\",\"success\":true,\"document\":7}", "b", 0,
         "{\"version\":1,\"job\":\"b\",\"success\":true}"},
        {" { \"version\" : 1 ,\n\"job\" : \"a\" ,\n \"document\" : 1 ,\n\"success\" : true } ", "q\"\n", 0,
         " { \"version\" : 1 ,\n\"job\" : \"q\\\"\\n\"  ,\n\"success\" : true } "},
        {"{\"version\":1,\"success\":true,\"job\":\"a\"}", "b", 3,
         "{\"version\":1,\"success\":true,\"job\":\"b\",\"document\":3}"},
        {"{\"version\":1,\"document\":1,\"job\":\"a\",\"success\":true}", "b", 3, NULL},
        {"{\"version\":2,\"job\":\"a\",\"success\":true}", "b", 0, NULL},
        {"{\"version\":1,\"job\":1,\"success\":true}", "b", 0, NULL},
        {"{\"version\":1,\"job\":\"a\"}", "b", 0, NULL},
        {"not ours", "b", 0, NULL},
        {"", "b", 0, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = 4711;
        char *text =
            outcome_rename(cases[i].text, strlen(cases[i].text), cases[i].job, cases[i].document, &len);
        if (!cases[i].want) {
            assert_null(text);
            continue;
        }
        assert_string_equal(text, cases[i].want);
        assert_int_equal(len, strlen(text));
        assert_true(json_is_valid(text, len));
        free(text);
    }
}

/* A renamed outcome is what would have been written under the new name in the first place. */
static void test_rename_round_trip(void **state)
{
    (void)state;
    static const size_t documents[] = {0, 1, 2, 10, 10000};
    for (size_t from = 0; from < COUNT(documents); from++) {
        for (size_t to = 0; to < COUNT(documents); to++) {
            struct outcome o = sample();
            size_t len;
            o.document = documents[from];
            char *before = result_of(&o, "{\"success\":true,\"result\":\"x\",\"job\":\"y\"}");
            o.job = "elsewhere/st\xC3\xB6ry \"2\".yml";
            o.document = documents[to];
            char *want = result_of(&o, "{\"success\":true,\"result\":\"x\",\"job\":\"y\"}");
            char *renamed = outcome_rename(before, strlen(before), o.job, o.document, &len);
            assert_string_equal(renamed, want);
            assert_int_equal(len, strlen(want));
            free(renamed);
            free(want);
            free(before);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_layout),
        cmocka_unit_test(test_error_layout),
        cmocka_unit_test(test_optional_fields),
        cmocka_unit_test(test_unknown_is_null),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_server_values_unchanged),
        cmocka_unit_test(test_more_members_than_listed),
        cmocka_unit_test(test_response_cut),
        cmocka_unit_test(test_response_of_garbage),
        cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_large),
        cmocka_unit_test(test_rename),
        cmocka_unit_test(test_rename_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
