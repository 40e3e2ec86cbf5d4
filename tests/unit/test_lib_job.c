/* Jobs that a program puts together: what is printed is read back by the daemon as exactly that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "core/jobfile.h"
#include "core/jsonspan.h"
#include "flowspool/flowspool.h"

#define SMILE "\xF0\x9F\x98\x80"

static struct jobfile read_back(struct flowspool_job *job)
{
    struct jobfile file;
    struct fault fault;
    struct flowspool_error *error = NULL;
    size_t len;
    const char *bytes = flowspool_job_print(job, &len, &error);
    if (error)
        print_message("%s\n", flowspool_error_message(error));
    assert_non_null(bytes);
    assert_null(error);
    assert_int_equal(bytes[len], '\0');
    if (!jobfile_parse(bytes, len, INPUTS_TYPED, &file, &fault))
        fail_msg("%zu:%zu: %s in:\n%s", fault.line, fault.column, fault.text, bytes);
    assert_int_equal(file.count, 1);
    return file;
}

/* ---- text comes through ---- */

static const char *const texts[] = {
    "",
    " ",
    "plain words",
    "a \"quoted\" word, a 'single' one, and a \\ backslash",
    "ends in a backslash \\",
    "\\ud83d\\ude00 is no escape",
    "colon: space, # no comment, - no list, [no, list], {no: map}, & * ! | > % @ `",
    "no",
    "yes",
    "null",
    "~",
    "0123",
    "1e3",
    "19.90",
    "true",
    "2026-11-24",
    "<<",
    "---",
    "...",
    "%TAG ! tag:",
    "line\nbreaks\n",
    "\n",
    "\n\n\nleading and trailing\n\n\n",
    "  leading spaces\n    of\n every \n line\n",
    "\ttabs\n\tand\ttabs\t",
    "carriage\r\nreturns\r",
    "trailing space \n and more",
    "--- \nlooks like a document\n...\n",
    "# \n- \n? \n: ",
    "caf\xC3\xA9 " SMILE " \xE2\x82\xAC",
    "next line \xC2\x85 stays",
    "separators \xE2\x80\xA8 \xE2\x80\xA9",
    "\xEF\xBB\xBF marks \xEF\xBB\xBF",
    "controls \x01\x02\x1B[31m\x7F \xC2\x80\xC2\x9F",
    "overrides \xE2\x80\xAE\xE2\x81\xA6",
    "private \xEE\x80\x80 \xEF\xA3\xBF \xEE\xA1\x80 and \xEF\xBF\xBE \xEF\xBF\xBF \xEF\xBF\xBD",
};
#define TEXTS (sizeof texts / sizeof texts[0])

/* Its one input, whose key is what is expected. */
static void check_input(struct flowspool_job *job, const char *key, const char *text)
{
    struct jobfile file = read_back(job);
    struct json_object body;
    size_t len;
    assert_true(json_scan_object(file.jobs[0].body, file.jobs[0].body_len, &body));
    assert_int_equal(body.count, 1);
    const struct json_member as_string = {
        .value = body.members[0].key - 1, .value_len = body.members[0].key_len + 2, .type = JSON_STRING};
    char *there = json_decode(&as_string, &len);
    assert_string_equal(there, key);
    free(there);
    assert_int_equal(body.members[0].type, JSON_STRING);
    there = json_decode(&body.members[0], &len);
    assert_int_equal(len, strlen(text));
    assert_string_equal(there, text);
    free(there);
    jobfile_free(&file);
}

static void any_text_comes_through(void **state)
{
    (void)state;
    for (size_t i = 0; i < TEXTS; i++) {
        struct flowspool_job *job = flowspool_job_new("wf_a");
        assert_int_equal(flowspool_job_input(job, "text", texts[i]), 0);
        check_input(job, "text", texts[i]);
        flowspool_job_free(job);
    }
}

static void any_text_is_a_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < TEXTS; i++) {
        struct flowspool_job *job = flowspool_job_new("wf_a");
        assert_int_equal(flowspool_job_input(job, texts[i], "value"), 0);
        check_input(job, texts[i], "value");
        flowspool_job_free(job);
    }
}

static void any_text_is_a_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < TEXTS; i++) {
        struct flowspool_job *job = flowspool_job_new("wf_a");
        assert_int_equal(flowspool_job_run(job, texts[i]), 0);
        struct jobfile file = read_back(job);
        assert_string_equal(file.jobs[0].run, texts[i]);
        assert_string_equal(file.jobs[0].body, "{}");
        jobfile_free(&file);
        flowspool_job_free(job);
    }
}

static char *long_text(size_t len)
{
    static const char piece[] = "words, \"quotes\"\n and " SMILE " ";
    char *text = malloc(len + sizeof piece);
    assert_non_null(text);
    size_t used = 0;
    while (used < len) {
        memcpy(text + used, piece, sizeof piece);
        used += sizeof piece - 1;
    }
    return text;
}

/* YAML looks only 1,024 characters ahead for a key's colon. */
static void long_texts_and_keys_come_through(void **state)
{
    static const size_t lengths[] = {900, 1000, 1023, 1024, 1100, 70000, 1 << 20};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char *text = long_text(lengths[i]);
        struct flowspool_job *job = flowspool_job_new("wf_a");
        assert_int_equal(flowspool_job_input(job, text, text), 0);
        check_input(job, text, text);
        flowspool_job_free(job);
        free(text);
    }
}

static void lines_stay_lines_for_people(void **state)
{
    (void)state;
    struct flowspool_job *job = flowspool_job_new("wf_story");
    flowspool_job_priority(job, 5);
    flowspool_job_not_before(job, INT64_C(1795471200000));
    flowspool_job_input(job, "story", "a dog\n  named charlie\n");
    flowspool_job_input_json(job, "count", "3");
    assert_string_equal(flowspool_job_print(job, NULL, NULL), "workflow: \"wf_story\"\n"
                                                              "priority: 5\n"
                                                              "not_before: \"2026-11-23T22:00:00.000Z\"\n"
                                                              "inputs_as: typed\n"
                                                              "inputs:\n"
                                                              "  \"story\": \"a dog\\n\\\n"
                                                              "    \\  named charlie\\n\"\n"
                                                              "  \"count\": 3\n");
    flowspool_job_free(job);
}

/* ---- JSON ---- */

static void json_comes_through(void **state)
{
    static const struct {
        const char *json, *sent; /* sent NULL: the same */
    } cases[] = {
        {"null", NULL},
        {"true", NULL},
        {"-0", NULL},
        {"12345678901234567890.12345678901234567890e+400", NULL},
        {"1.10", NULL},
        {"\"no\"", NULL},
        {"\"12\"", NULL},
        {"[]", NULL},
        {"{}", NULL},
        {"[[],{},[{}]]", NULL},
        {" [ 1 ,\n\t2 ] ", "[1,2]"},
        {"{\"a\":1,\"b\":[true,null,\"x\"],\"c\":{\"d\":-1.5e3}}", NULL},
        {"{\"a:b\":\"c, d\",\"\":\"#\"}", NULL},
        {"\"\\ud83d\\ude00 \\u00e9 \\/ \\u2028\"", "\"" SMILE " \xC3\xA9 / \xE2\x80\xA8\""},
        {"[\"null\",\"1\",\"- x\",\"? y\"]", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[256];
        struct flowspool_job *job = flowspool_job_new("wf_a");
        assert_int_equal(flowspool_job_input(job, "text", "0123"), 0);
        assert_int_equal(flowspool_job_input_json(job, "value", cases[i].json), 0);
        struct jobfile file = read_back(job);
        snprintf(expected, sizeof expected, "{\"text\":\"0123\",\"value\":%s}",
                 cases[i].sent ? cases[i].sent : cases[i].json);
        assert_string_equal(file.jobs[0].body, expected);
        jobfile_free(&file);
        flowspool_job_free(job);
    }
}

static void a_long_key_in_json_comes_through(void **state)
{
    char key[2001], json[2100], expected[2200];
    (void)state;
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    snprintf(json, sizeof json, "{\"%s\":1,\"b\":2}", key);
    snprintf(expected, sizeof expected, "{\"v\":%s}", json);
    struct flowspool_job *job = flowspool_job_new("wf_a");
    assert_int_equal(flowspool_job_input_json(job, "v", json), 0);
    struct jobfile file = read_back(job);
    assert_string_equal(file.jobs[0].body, expected);
    jobfile_free(&file);
    flowspool_job_free(job);
}

/* ---- the other keys ---- */

static void everything_else_is_set(void **state)
{
    (void)state;
    struct flowspool_job *job = flowspool_job_new("wf_a-1");
    assert_int_equal(flowspool_job_priority(job, -100), 0);
    assert_int_equal(flowspool_job_not_before(job, 1000), 0);
    assert_int_equal(flowspool_job_expires(job, INT64_C(253402300799999)), 0);
    assert_int_equal(flowspool_job_max_attempts(job, 1000), 0);
    assert_int_equal(flowspool_job_run(job, "first"), 0);
    assert_int_equal(flowspool_job_run(job, "second"), 0);
    struct jobfile file = read_back(job);
    const struct job_spec *spec = &file.jobs[0];
    assert_string_equal(spec->workflow, "wf_a-1");
    assert_int_equal(spec->priority, -100);
    assert_int_equal(spec->not_before_ms, 1000);
    assert_int_equal(spec->expires_ms, INT64_C(253402300799999));
    assert_int_equal(spec->max_attempts, 1000);
    assert_string_equal(spec->run, "second");
    assert_int_equal(spec->inputs_as, INPUTS_TYPED); /* the daemon's default here */
    jobfile_free(&file);
    flowspool_job_free(job);
}

static void a_printed_job_can_be_changed(void **state)
{
    (void)state;
    struct flowspool_job *job = flowspool_job_new("wf_a");
    assert_non_null(strstr(flowspool_job_print(job, NULL, NULL), "inputs: {}\n"));
    flowspool_job_input(job, "a", "b");
    assert_non_null(strstr(flowspool_job_print(job, NULL, NULL), "\"a\": \"b\"\n"));
    flowspool_job_priority(job, 7);
    assert_non_null(strstr(flowspool_job_print(job, NULL, NULL), "priority: 7\n"));
    flowspool_job_free(job);
    flowspool_job_free(NULL);
}

/* ---- refusals ---- */

enum setter { INPUT, JSON, PRIORITY, NOT_BEFORE, EXPIRES, ATTEMPTS, RUN };

static int set(struct flowspool_job *job, enum setter which, const char *key, const char *text,
               int64_t number)
{
    switch (which) {
    case INPUT:
        return flowspool_job_input(job, key, text);
    case JSON:
        return flowspool_job_input_json(job, key, text);
    case PRIORITY:
        return flowspool_job_priority(job, (int)number);
    case NOT_BEFORE:
        return flowspool_job_not_before(job, number);
    case EXPIRES:
        return flowspool_job_expires(job, number);
    case ATTEMPTS:
        return flowspool_job_max_attempts(job, (int)number);
    case RUN:
        return flowspool_job_run(job, text);
    }
    return -1;
}

static void what_cannot_be_is_refused_and_sticks(void **state)
{
    static const struct {
        const char *name;
        enum setter which;
        const char *key, *text;
        int64_t number;
        int code;
        const char *says;
    } cases[] = {
        {"bytes that are not UTF-8", INPUT, "a", "\xFF", 0, -EINVAL, "a has a value that is not UTF-8"},
        {"a cut character", INPUT, "a", "x\xF0\x9F", 0, -EINVAL, "not UTF-8"},
        {"a surrogate in UTF-8", INPUT, "a", "\xED\xA0\x80", 0, -EINVAL, "not UTF-8"},
        {"a key that is not UTF-8", INPUT, "\xC3", "a", 0, -EINVAL, "the name of an input is not UTF-8"},
        {"no text", INPUT, "a", NULL, 0, -EINVAL, "not UTF-8"},
        {"no key", INPUT, NULL, "a", 0, -EINVAL, "not UTF-8"},
        {"the same key", INPUT, "there", "b", 0, -EEXIST, "there is an input already"},
        {"the same key as JSON", JSON, "there", "1", 0, -EEXIST, "there is an input already"},
        {"no JSON", JSON, "a", "{", 0, -EINVAL, "a has a value that is not JSON"},
        {"JSON and more", JSON, "a", "1 2", 0, -EINVAL, "not JSON"},
        {"empty JSON", JSON, "a", "", 0, -EINVAL, "not JSON"},
        {"no JSON at all", JSON, "a", NULL, 0, -EINVAL, "not JSON"},
        {"NUL in JSON", JSON, "a", "\"x\\u0000\"", 0, -EINVAL, "a has a string that holds a NUL"},
        {"half a pair", JSON, "a", "[\"\\ud83d\"]", 0, -EINVAL, "half of a surrogate pair"},
        {"the other half", JSON, "a", "\"\\ude00\\ud83d\"", 0, -EINVAL, "half of a surrogate pair"},
        {"two first halves", JSON, "a", "\"\\ud83d\\ud83d\"", 0, -EINVAL, "half of a surrogate pair"},
        {"too high", PRIORITY, NULL, NULL, 101, -EINVAL, "the priority must be from -100 to 100"},
        {"too low", PRIORITY, NULL, NULL, -101, -EINVAL, "the priority"},
        {"never", NOT_BEFORE, NULL, NULL, 0, -EINVAL, "not_before must be a time"},
        {"after all", EXPIRES, NULL, NULL, INT64_MAX, -EINVAL, "expires must be a time"},
        {"no attempt", ATTEMPTS, NULL, NULL, 0, -EINVAL, "max_attempts must be from 1 to 1000"},
        {"too many", ATTEMPTS, NULL, NULL, 1001, -EINVAL, "max_attempts"},
        {"a run that is not UTF-8", RUN, NULL, "\xFF", 0, -EINVAL, "run is not UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct flowspool_error *error = NULL;
        struct flowspool_job *job = flowspool_job_new("wf_a");
        size_t len = 1;
        print_message("%s\n", cases[i].name);
        assert_int_equal(flowspool_job_input(job, "there", "x"), 0);
        assert_int_equal(set(job, cases[i].which, cases[i].key, cases[i].text, cases[i].number),
                         cases[i].code);
        assert_int_equal(flowspool_job_input(job, "later", "x"), 0);
        assert_null(flowspool_job_print(job, &len, &error));
        assert_int_equal(len, 0);
        assert_int_equal(flowspool_error_code(error), cases[i].code);
        assert_non_null(strstr(flowspool_error_message(error), cases[i].says));
        flowspool_error_free(error);
        assert_null(flowspool_job_print(job, NULL, NULL));
        flowspool_job_free(job);
    }
}

static void assert_refused(struct flowspool_job *job, const char *says)
{
    struct flowspool_error *error = NULL;
    assert_null(flowspool_job_print(job, NULL, &error));
    assert_int_equal(flowspool_error_code(error), -EINVAL);
    assert_int_equal(flowspool_error_line(error), 0);
    if (!strstr(flowspool_error_message(error), says))
        fail_msg("%s", flowspool_error_message(error));
    flowspool_error_free(error);
    flowspool_job_free(job);
}

static void what_the_daemon_would_refuse_is_not_printed(void **state)
{
    (void)state;
    assert_refused(flowspool_job_new("wf bad"), "workflow must be");
    assert_refused(flowspool_job_new(""), "workflow must be");
    assert_refused(flowspool_job_new(NULL), "workflow must be");
    struct flowspool_job *job = flowspool_job_new("wf_a");
    flowspool_job_not_before(job, 2000);
    flowspool_job_expires(job, 1000);
    assert_refused(job, "expires before it may begin");
    job = flowspool_job_new("wf_a");
    assert_int_equal(flowspool_job_input_json(job, "a", "{\"k\":1,\"k\":2}"), 0);
    assert_refused(job, "'k' is already there");
    char deep[201];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    deep[200] = '\0';
    job = flowspool_job_new("wf_a");
    assert_int_equal(flowspool_job_input_json(job, "a", deep), 0);
    assert_refused(job, "64");
    job = flowspool_job_new("wf_a");
    for (int i = 0; i < 6000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(flowspool_job_input(job, key, "v"), 0);
    }
    assert_refused(job, "10000");
}

static void a_refused_job_is_not_submitted(void **state)
{
    (void)state;
    struct flowspool_error *error = NULL;
    char *path = (char *)(uintptr_t)1;
    struct flowspool_job *job = flowspool_job_new("wf_a");
    flowspool_job_priority(job, 1000);
    assert_int_equal(flowspool_submit("/nowhere", job, NULL, &path, &error), -EINVAL);
    assert_null(path);
    assert_string_equal(flowspool_error_message(error), "the priority must be from -100 to 100");
    flowspool_error_free(error);
    assert_int_equal(flowspool_submit("/nowhere", job, NULL, NULL, NULL), -EINVAL);
    flowspool_job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_text_comes_through),
        cmocka_unit_test(any_text_is_a_key),
        cmocka_unit_test(any_text_is_a_run),
        cmocka_unit_test(long_texts_and_keys_come_through),
        cmocka_unit_test(lines_stay_lines_for_people),
        cmocka_unit_test(json_comes_through),
        cmocka_unit_test(a_long_key_in_json_comes_through),
        cmocka_unit_test(everything_else_is_set),
        cmocka_unit_test(a_printed_job_can_be_changed),
        cmocka_unit_test(what_cannot_be_is_refused_and_sticks),
        cmocka_unit_test(what_the_daemon_would_refuse_is_not_printed),
        cmocka_unit_test(a_refused_job_is_not_submitted),
    };
    return cmocka_run_group_tests_name("lib job", tests, NULL, NULL);
}
