#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/job.h"
#include "core/verdict.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- by status ---- */

static void expect_status(enum attempt_end end, int status, enum verdict want)
{
    const struct attempt_result a = {end, status};
    enum verdict got = verdict_by_status(&a);
    if (got != want)
        fail_msg("end %d, status %d: %s, not %s", (int)end, status, verdict_name(got), verdict_name(want));
}

/* The rows that no body can change, for every way in which a status line can arrive. */
static void test_status_rows(void **state)
{
    (void)state;
    static const struct {
        int from, to;
        enum verdict replied, cut, too_large;
    } rows[] = {
        {-1, 199, VERDICT_AMBIGUOUS, VERDICT_AMBIGUOUS, VERDICT_AMBIGUOUS},
        {200, 299, VERDICT_NEEDS_BODY, VERDICT_AMBIGUOUS, VERDICT_TOO_LARGE},
        {300, 399, VERDICT_ENDPOINT_AWAY, VERDICT_ENDPOINT_AWAY, VERDICT_ENDPOINT_AWAY},
        {400, 400, VERDICT_NEEDS_BODY, VERDICT_REJECTED, VERDICT_REJECTED},
        {401, 402, VERDICT_ACCOUNT_REFUSED, VERDICT_ACCOUNT_REFUSED, VERDICT_ACCOUNT_REFUSED},
        {403, 404, VERDICT_NEEDS_BODY, VERDICT_ENDPOINT_AWAY, VERDICT_ENDPOINT_AWAY},
        {405, 406, VERDICT_NEEDS_BODY, VERDICT_REJECTED, VERDICT_REJECTED},
        {407, 407, VERDICT_ENDPOINT_AWAY, VERDICT_ENDPOINT_AWAY, VERDICT_ENDPOINT_AWAY},
        {408, 428, VERDICT_NEEDS_BODY, VERDICT_REJECTED, VERDICT_REJECTED},
        {429, 429, VERDICT_RATE_LIMITED, VERDICT_RATE_LIMITED, VERDICT_RATE_LIMITED},
        {430, 499, VERDICT_NEEDS_BODY, VERDICT_REJECTED, VERDICT_REJECTED},
        {500, 502, VERDICT_NEEDS_BODY, VERDICT_AMBIGUOUS, VERDICT_AMBIGUOUS},
        {503, 503, VERDICT_ENDPOINT_AWAY, VERDICT_ENDPOINT_AWAY, VERDICT_ENDPOINT_AWAY},
        {504, 599, VERDICT_NEEDS_BODY, VERDICT_AMBIGUOUS, VERDICT_AMBIGUOUS},
        {600, 1000, VERDICT_AMBIGUOUS, VERDICT_AMBIGUOUS, VERDICT_AMBIGUOUS},
    };
    int next = -1;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(rows[i].from, next); /* no status is left out */
        next = rows[i].to + 1;
        for (int status = rows[i].from; status <= rows[i].to; status++) {
            expect_status(ATTEMPT_REPLIED, status, rows[i].replied);
            expect_status(ATTEMPT_CUT, status, rows[i].cut);
            expect_status(ATTEMPT_TOO_LARGE, status, rows[i].too_large);
            expect_status(ATTEMPT_NOT_SENT, status, VERDICT_ENDPOINT_AWAY);
            expect_status(ATTEMPT_CRASHED, status, VERDICT_AMBIGUOUS);
        }
    }
}

/* ---- by body ---- */

static const struct {
    int status;
    const char *body;
    enum verdict verdict;
} bodies[] = {
    /* 2xx */
    {200, "{\"success\":true,\"result\":\"x\"}", VERDICT_SUCCESS},
    {200, " {\"result\":\"\",\"success\": true} \n", VERDICT_SUCCESS},
    {200, "{\"success\":true,\"result\":null}", VERDICT_SUCCESS},
    {200, "{\"success\":true,\"result\":{\"a\":[1]},\"run_id\":1}", VERDICT_SUCCESS},
    {200, "{\"success\":false,\"success\":true,\"result\":1}", VERDICT_SUCCESS},
    {200, "{\"s\\u0075ccess\":true,\"result\":1}", VERDICT_SUCCESS},
    {200, "{\"success\":true,\"success\":false,\"result\":1}", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":true}", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":true,\"results\":\"x\"}", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":true,\"output\":{\"result\":\"x\"}}", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":false,\"error\":\"x\"}", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":false,\"result\":\"x\"}", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":\"true\",\"result\":\"x\"}", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":1,\"result\":\"x\"}", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":null,\"result\":\"x\"}", VERDICT_INVALID_RESPONSE},
    {200, "{\"result\":\"x\"}", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":true,\"result\":\"x\"", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":true,\"result\":\"x\"}}", VERDICT_INVALID_RESPONSE},
    {200, "{\"success\":true,\"result\":\"\xFF\"}", VERDICT_INVALID_RESPONSE},
    {200, "[{\"success\":true,\"result\":\"x\"}]", VERDICT_INVALID_RESPONSE},
    {200, "true", VERDICT_INVALID_RESPONSE},
    {200, "<html>200</html>", VERDICT_INVALID_RESPONSE},
    {200, "", VERDICT_INVALID_RESPONSE},
    {201, "{\"success\":true,\"result\":\"x\"}", VERDICT_INVALID_RESPONSE},
    {202, "{\"success\":true,\"result\":\"x\"}", VERDICT_INVALID_RESPONSE},
    {204, "", VERDICT_INVALID_RESPONSE},
    {299, "{\"success\":true,\"result\":\"x\"}", VERDICT_INVALID_RESPONSE},
    /* 4xx */
    {404, "{\"error\":\"Workflow not found\",\"success\":false}", VERDICT_WORKFLOW_NOT_FOUND},
    {404, "{\"success\":false,\"error\":{\"message\":\"no\"}}", VERDICT_WORKFLOW_NOT_FOUND},
    {404, "{\"success\":true,\"result\":\"x\"}", VERDICT_WORKFLOW_NOT_FOUND},
    {404, "{\"error\":\"not found\"}", VERDICT_ENDPOINT_AWAY},
    {404, "Not Found", VERDICT_ENDPOINT_AWAY},
    {404, "", VERDICT_ENDPOINT_AWAY},
    {403, "{\"success\":false}", VERDICT_REJECTED},
    {403, "{\"message\":\"Forbidden\"}", VERDICT_ENDPOINT_AWAY},
    {403, "<html>", VERDICT_ENDPOINT_AWAY},
    {400, "{\"success\":false,\"code\":\"missing_input\"}", VERDICT_REJECTED},
    {400, "{\"success\":true,\"result\":\"x\"}", VERDICT_REJECTED},
    {400, "", VERDICT_REJECTED},
    {405, "x", VERDICT_REJECTED},
    {408, "", VERDICT_REJECTED},
    {409, "{\"success\":false}", VERDICT_REJECTED},
    {413, "Request Entity Too Large", VERDICT_REJECTED},
    {422, "{\"success\":false}", VERDICT_REJECTED},
    {499, "", VERDICT_REJECTED},
    /* 5xx */
    {500, "{\"error\":\"Failed to run workflow\",\"success\":false,\"code\":\"internal_server_error\"}",
     VERDICT_SERVER_ERROR},
    {500, "{\"success\":true,\"result\":\"x\"}", VERDICT_SERVER_ERROR},
    {500, "{\"error\":\"x\"}", VERDICT_AMBIGUOUS},
    {500, "Internal Server Error", VERDICT_AMBIGUOUS},
    {500, "", VERDICT_AMBIGUOUS},
    {501, "{\"success\":false}", VERDICT_SERVER_ERROR},
    {502, "{\"success\":false}", VERDICT_SERVER_ERROR},
    {502, "<html>Bad Gateway</html>", VERDICT_AMBIGUOUS},
    {504, "{\"success\":false}", VERDICT_SERVER_ERROR},
    {504, "An error occurred: FUNCTION_INVOCATION_TIMEOUT", VERDICT_AMBIGUOUS},
    {520, "{}", VERDICT_AMBIGUOUS},
    {599, "{\"success\":null}", VERDICT_SERVER_ERROR},
    /* what needs no body: the body changes nothing */
    {429, "{\"success\":true,\"result\":\"x\"}", VERDICT_RATE_LIMITED},
    {401, "{\"success\":false}", VERDICT_ACCOUNT_REFUSED},
    {402, "", VERDICT_ACCOUNT_REFUSED},
    {302, "{\"success\":true,\"result\":\"x\"}", VERDICT_ENDPOINT_AWAY},
    {407, "{\"success\":false}", VERDICT_ENDPOINT_AWAY},
    {503, "{\"success\":false}", VERDICT_ENDPOINT_AWAY},
    {100, "{\"success\":true,\"result\":\"x\"}", VERDICT_AMBIGUOUS},
    {0, "{\"success\":true,\"result\":\"x\"}", VERDICT_AMBIGUOUS},
    {600, "{\"success\":true,\"result\":\"x\"}", VERDICT_AMBIGUOUS},
};

static void test_body_rows(void **state)
{
    (void)state;
    struct json_object o;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        memset(&o, 0xAA, sizeof o);
        const char *body = bodies[i].body;
        enum verdict v = verdict_by_body(bodies[i].status, body, strlen(body), &o);
        if (v != bodies[i].verdict)
            fail_msg("%d %s: %s, not %s", bodies[i].status, body, verdict_name(v),
                     verdict_name(bodies[i].verdict));
        assert_true(o.count <= JSON_MEMBERS_MAX); /* filled or empty, never left as it was */
    }
    assert_int_equal(verdict_by_body(500, NULL, 0, &o), VERDICT_AMBIGUOUS);
    assert_int_equal(o.count, 0);
    assert_int_equal(verdict_by_body(200, NULL, 0, &o), VERDICT_INVALID_RESPONSE);
}

/* The two steps agree for every status: a whole reply without the service's JSON is judged as the table says.
 */
static void test_every_status_without_json(void **state)
{
    (void)state;
    struct json_object o;
    for (int status = 0; status <= 700; status++) {
        const struct attempt_result whole = {ATTEMPT_REPLIED, status}, cut = {ATTEMPT_CUT, status};
        enum verdict first = verdict_by_status(&whole), second = verdict_by_body(status, "x", 1, &o);
        assert_int_not_equal(second, VERDICT_NEEDS_BODY);
        assert_int_not_equal(second, VERDICT_SUCCESS);
        if (first != VERDICT_NEEDS_BODY)
            assert_int_equal(first, second);
        if (status < 200 || status > 299) /* a cut body is no JSON either */
            assert_int_equal(verdict_by_status(&cut), second);
    }
}

/* ---- what the server said ---- */

static const struct {
    const char *body;
    const char *message; /* NULL: nothing */
    bool missing_input;
} words[] = {
    {"{\"success\":false,\"error\":\"Workflow not found\"}", "Workflow not found", false},
    {"{\"success\":false,\"error\":\"no \\\"story\\\"\",\"code\":\"missing_input\"}", "no \"story\"", true},
    {"{\"success\":false,\"error\":{\"message\":\"no story\",\"code\":\"missing_input\"}}", "no story", true},
    {"{\"error\":{\"code\":\"missing_input\"}}", NULL, true},
    {"{\"code\":\"missing\\u005finput\"}", NULL, true},
    {"{\"code\":\"Missing_input\"}", NULL, false},
    {"{\"code\":\"missing_inputs\"}", NULL, false},
    {"{\"code\":[\"missing_input\"]}", NULL, false},
    {"{\"code\":\"other\",\"error\":{\"code\":\"missing_input\"}}", NULL, false},
    {"{\"code\":null,\"error\":{\"code\":\"missing_input\"}}", NULL, true},
    {"{\"error\":\"missing_input\"}", "missing_input", false},
    {"{\"error\":\"\"}", NULL, false},
    {"{\"error\":{\"message\":\"\"}}", NULL, false},
    {"{\"error\":{\"message\":7}}", NULL, false},
    {"{\"error\":{}}", NULL, false},
    {"{\"error\":[\"x\"]}", NULL, false},
    {"{\"error\":null}", NULL, false},
    {"{\"error\":\"a\\u0000b\"}", NULL, false},
    {"{\"message\":\"x\"}", NULL, false},
    {"{}", NULL, false},
};

static void test_server_words(void **state)
{
    (void)state;
    struct json_object o;
    for (size_t i = 0; i < COUNT(words); i++) {
        assert_true(json_scan_object(words[i].body, strlen(words[i].body), &o));
        char *message = verdict_server_message(&o);
        if (words[i].message)
            assert_string_equal(message, words[i].message);
        else
            assert_null(message);
        free(message);
        const char *want = words[i].missing_input ? CODE_MISSING_INPUT : CODE_REJECTED;
        assert_string_equal(verdict_code(VERDICT_REJECTED, 400, &o), want);
        assert_string_equal(verdict_code(VERDICT_REJECTED, 422, &o), CODE_REJECTED); /* only a 400 says it */
    }
    assert_null(verdict_server_message(NULL));
    o.count = 0;
    assert_null(verdict_server_message(&o));
}

static void test_service_json(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool is;
    } cases[] = {
        {"{\"success\":false}", true},         {"{\"success\":null}", true},
        {"{\"ok\":1,\"success\":{}}", true},   {"{\"Success\":false}", false},
        {"{\"a\":{\"success\":true}}", false}, {"{}", false},
    };
    struct json_object o;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(json_scan_object(cases[i].body, strlen(cases[i].body), &o));
        assert_int_equal(verdict_is_service_json(&o), cases[i].is);
    }
    assert_false(verdict_is_service_json(NULL));
}

/* ---- codes, names, sentences ---- */

static const struct {
    enum verdict v;
    const char *name;
    const char *code; /* NULL: fails no job */
} verdicts[] = {
    {VERDICT_NEEDS_BODY, "needs_body", NULL},
    {VERDICT_SUCCESS, "success", NULL},
    {VERDICT_RATE_LIMITED, "rate_limited", NULL},
    {VERDICT_ACCOUNT_REFUSED, "account_refused", NULL},
    {VERDICT_ENDPOINT_AWAY, "endpoint_away", CODE_UNREACHABLE},
    {VERDICT_WORKFLOW_NOT_FOUND, "workflow_not_found", CODE_WORKFLOW_NOT_FOUND},
    {VERDICT_REJECTED, "rejected", CODE_REJECTED},
    {VERDICT_SERVER_ERROR, "server_error", CODE_SERVER_ERROR},
    {VERDICT_INVALID_RESPONSE, "invalid_response", CODE_INVALID_RESPONSE},
    {VERDICT_TOO_LARGE, "too_large", CODE_RESPONSE_TOO_LARGE},
    {VERDICT_AMBIGUOUS, "ambiguous", CODE_AMBIGUOUS},
};

static void test_codes_and_names(void **state)
{
    (void)state;
    assert_int_equal(COUNT(verdicts), VERDICT_COUNT);
    for (size_t i = 0; i < COUNT(verdicts); i++) {
        assert_int_equal(verdicts[i].v, i);
        assert_string_equal(verdict_name(verdicts[i].v), verdicts[i].name);
        const char *code = verdict_code(verdicts[i].v, 400, NULL);
        if (verdicts[i].code)
            assert_string_equal(code, verdicts[i].code);
        else
            assert_null(code);
    }
    assert_null(verdict_code(VERDICT_COUNT, 400, NULL));
    assert_string_equal(verdict_name(VERDICT_COUNT), "unknown");
    assert_string_equal(verdict_name((enum verdict)1000), "unknown");
}

static void test_retryable(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        bool retryable;
    } codes[] = {
        {CODE_INVALID_JOB, false},        {CODE_MISSING_INPUT, false},
        {CODE_WORKFLOW_NOT_FOUND, false}, {CODE_REJECTED, false},
        {CODE_SERVER_ERROR, true},        {CODE_UNREACHABLE, true},
        {CODE_INVALID_RESPONSE, true},    {CODE_EXPIRED, false},
        {CODE_CANCELLED, true},           {CODE_RESPONSE_TOO_LARGE, true},
        {CODE_AMBIGUOUS, true},           {"", false},
        {"a code of a newer one", false}, {NULL, false},
    };
    for (size_t i = 0; i < COUNT(codes); i++)
        assert_int_equal(code_is_retryable(codes[i].code), codes[i].retryable);
}

static void test_what_may_be_charged(void **state)
{
    static const char *const charged[] = {CODE_AMBIGUOUS, CODE_INVALID_RESPONSE, CODE_RESPONSE_TOO_LARGE};
    static const char *const free_of_charge[] = {CODE_SERVER_ERROR, CODE_REJECTED,    CODE_UNREACHABLE,
                                                 CODE_EXPIRED,      CODE_INVALID_JOB, "of a newer version"};
    (void)state;
    for (size_t i = 0; i < sizeof charged / sizeof charged[0]; i++)
        assert_string_equal(code_if_charged(charged[i], 0), charged[i]);
    for (size_t i = 0; i < sizeof free_of_charge / sizeof free_of_charge[0]; i++)
        assert_null(code_if_charged(free_of_charge[i], 1));
    assert_null(code_if_charged(NULL, 1));
    assert_null(code_if_charged(CODE_CANCELLED, 0));
    assert_string_equal(code_if_charged(CODE_CANCELLED, 1), CODE_CANCELLED);
}

static void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("no \"%s\" in \"%s\"", part, text ? text : "(null)");
}

static void test_messages(void **state)
{
    (void)state;
    static const struct {
        enum verdict v;
        int status;
        const char *said, *job;
        const char *parts[4];
    } cases[] = {
        {VERDICT_RATE_LIMITED, 429, "Rate limit exceeded", "a.yaml", {"(429: Rate limit exceeded)", "queue"}},
        {VERDICT_ACCOUNT_REFUSED,
         401,
         "Unauthorized",
         "a.yaml",
         {"(401: Unauthorized)", "key", "flowspool resume"}},
        {VERDICT_ACCOUNT_REFUSED, 402, NULL, "a.yaml", {"(HTTP 402)", "credits", "flowspool resume"}},
        {VERDICT_AMBIGUOUS,
         0,
         "connection reset",
         "a.yaml",
         {"(connection reset)", "flowspool retry a.yaml"}},
        {VERDICT_ENDPOINT_AWAY, 0, NULL, "a.yaml", {"(no answer)", "network", "flowspool retry a.yaml"}},
        {VERDICT_ENDPOINT_AWAY, 503, NULL, "a.yaml", {"(HTTP 503)"}},
        {VERDICT_REJECTED, 400, "no story", "a.yaml", {"refused", "(400: no story)", "correct", "written"}},
        {VERDICT_REJECTED, 413, NULL, "a.yaml", {"too large", "(HTTP 413)", "smaller", "written"}},
        {VERDICT_SERVER_ERROR,
         500,
         "Failed",
         "d/a.yaml",
         {"\"wf_x\"", "(500: Failed)", "flowspool retry d/a.yaml"}},
        {VERDICT_INVALID_RESPONSE,
         200,
         "",
         "a.yaml",
         {"(HTTP 200)", "charged", ".error.body", "flowspool retry a"}},
        {VERDICT_TOO_LARGE,
         200,
         NULL,
         "a.yaml",
         {"max_response_size", ".error.body", "flowspool retry a.yaml"}},
        {VERDICT_AMBIGUOUS, 0, NULL, "a.yaml", {"(no answer)", "charged", "flowspool retry a.yaml"}},
        {VERDICT_AMBIGUOUS, 502, NULL, NULL, {"(HTTP 502)", "flowspool retry NAME"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = verdict_message(cases[i].v, cases[i].status, "wf_x", cases[i].said, cases[i].job);
        for (size_t k = 0; k < COUNT(cases[i].parts) && cases[i].parts[k]; k++)
            assert_contains(text, cases[i].parts[k]);
        free(text);
    }
    char *text = verdict_message(VERDICT_WORKFLOW_NOT_FOUND, 404, "wf_x", "Workflow not found", "story.yaml");
    assert_string_equal(
        text, "the service knows no published workflow \"wf_x\" (404: Workflow not found); check the id "
              "in the job file or publish the workflow, then run: flowspool retry story.yaml");
    free(text);
    assert_null(verdict_message(VERDICT_SUCCESS, 200, "wf_x", NULL, "a.yaml"));
    assert_null(verdict_message(VERDICT_NEEDS_BODY, 200, "wf_x", NULL, "a.yaml"));
    assert_null(verdict_message(VERDICT_COUNT, 200, "wf_x", NULL, "a.yaml"));
}

/* Whatever the server says and whatever a job is called: one line, of bounded length, safe to paste. */
static void test_hostile_messages(void **state)
{
    (void)state;
    char *said = malloc(100001);
    assert_non_null(said);
    memset(said, 'x', 100000);
    memcpy(said, "a\n\x1B[2J\xFF\xE2\x80\xAE", 9);
    said[100000] = '\0';
    char *text = verdict_message(VERDICT_REJECTED, 400, NULL, said, "a.yaml");
    assert_non_null(text);
    assert_true(strlen(text) < 600);
    for (const char *c = text; *c; c++)
        assert_true((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7F);
    free(text);
    free(said);

    static const struct {
        const char *job, *command;
    } names[] = {
        {"a.yaml", "flowspool retry a.yaml"},
        {"my story.yaml", "flowspool retry 'my story.yaml'"},
        {"$(reboot).yaml", "flowspool retry '$(reboot).yaml'"},
        {"it's;a`b`.yaml", "flowspool retry 'it'\\''s;a`b`.yaml'"},
        {"-x.yaml", "flowspool retry -- -x.yaml"},
        {"- x.yaml", "flowspool retry -- '- x.yaml'"},
        {"a\nb.yaml", "flowspool retry 'a\\x0ab.yaml'"},
        {"\xC3\xA9t\xC3\xA9.yaml", "flowspool retry '\xC3\xA9t\xC3\xA9.yaml'"},
        {"''''", "flowspool retry ''\\'''\\'''\\'''\\'''"},
        {"", "flowspool retry "},
        {NULL, "flowspool retry NAME"},
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        text = verdict_message(VERDICT_ENDPOINT_AWAY, 0, "wf_x", NULL, names[i].job);
        assert_non_null(text);
        const char *command = strstr(text, "flowspool retry");
        assert_non_null(command);
        assert_string_equal(command, names[i].command);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_rows),
        cmocka_unit_test(test_body_rows),
        cmocka_unit_test(test_every_status_without_json),
        cmocka_unit_test(test_server_words),
        cmocka_unit_test(test_service_json),
        cmocka_unit_test(test_codes_and_names),
        cmocka_unit_test(test_retryable),
        cmocka_unit_test(test_what_may_be_charged),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_hostile_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
