#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/jobfile.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define JOB      "workflow: wf_1\ninputs: {}\n"

static void parse(const char *text, enum inputs_as as, struct jobfile *file)
{
    struct fault f;
    if (!jobfile_parse(text, strlen(text), as, file, &f))
        fail_msg("%s\n%zu:%zu: %s", text, f.line, f.column, f.text);
}

static void test_every_key(void **state)
{
    (void)state;
    struct jobfile file;
    parse("workflow: wf_abc-123\n"
          "inputs:\n"
          "  story: a story about a dog named charlie\n"
          "  price: 19.90\n"
          "id: charlie.1\n"
          "run: 2026-11-23\n"
          "inputs_as: typed\n"
          "priority: -100\n"
          "not_before: 2026-11-24T22:00:00Z\n"
          "expires: '2026-11-25T06:00:00+01:00'\n"
          "max_attempts: \"8\"\n",
          INPUTS_TEXT, &file);
    const struct job_spec *job = file.jobs;
    assert_int_equal(file.count, 1);
    assert_int_equal(job->document, 1);
    assert_string_equal(job->workflow, "wf_abc-123");
    assert_string_equal(job->id, "charlie.1");
    assert_string_equal(job->run, "2026-11-23");
    assert_int_equal(job->inputs_as, INPUTS_TYPED);
    assert_int_equal(job->priority, -100);
    assert_true(job->not_before_ms == INT64_C(1795557600000));
    assert_true(job->expires_ms == INT64_C(1795582800000));
    assert_int_equal(job->max_attempts, 8);
    assert_string_equal(job->body, "{\"story\":\"a story about a dog named charlie\",\"price\":19.90}");
    assert_int_equal(job->body_len, strlen(job->body));
    jobfile_free(&file);
    jobfile_free(&file); /* an empty one may be freed */
}

static void test_defaults(void **state)
{
    (void)state;
    static const struct {
        enum inputs_as configured;
        const char *line;
        enum inputs_as in_effect;
        const char *body;
    } cases[] = {
        {INPUTS_DEFAULT, "", INPUTS_TEXT, "{\"n\":\"1\"}"},
        {INPUTS_TEXT, "", INPUTS_TEXT, "{\"n\":\"1\"}"},
        {INPUTS_TYPED, "", INPUTS_TYPED, "{\"n\":1}"},
        {INPUTS_TYPED, "inputs_as: text\n", INPUTS_TEXT, "{\"n\":\"1\"}"},
        {INPUTS_TEXT, "inputs_as: 'typed'\n", INPUTS_TYPED, "{\"n\":1}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct jobfile file;
        char text[128];
        sprintf(text, "workflow_id: w\ninputs: {n: 1}\n%s", cases[i].line);
        parse(text, cases[i].configured, &file);
        assert_int_equal(file.jobs[0].inputs_as, cases[i].in_effect);
        assert_string_equal(file.jobs[0].body, cases[i].body);
        assert_string_equal(file.jobs[0].run, "");
        assert_string_equal(file.jobs[0].id, "");
        assert_int_equal(file.jobs[0].priority, 0);
        assert_int_equal(file.jobs[0].max_attempts, 0);
        assert_true(file.jobs[0].not_before_ms == 0 && file.jobs[0].expires_ms == 0);
        jobfile_free(&file);
    }
}

/* The digests are by Python's hashlib over what json.dumps(..., ensure_ascii=False) prints. */
static void test_request_digest(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sha256;
    } cases[] = {
        {"workflow: wf_abc123\ninputs:\n  story: a story about a dog named charlie\n",
         "ed7925e2e6402524301cf50c86e11e4e27178c6c27baece90457e2642d88b5b0"},
        {"# c\ninputs: {story: a story about a dog named charlie}\r\nmax_attempts: 3\nid: x\npriority: 9\n"
         "inputs_as: typed\nexpires: 2026-11-25T06:00:00Z\nworkflow_id: 'wf_abc123'\n",
         "ed7925e2e6402524301cf50c86e11e4e27178c6c27baece90457e2642d88b5b0"},
        {"workflow: wf_abc123\ninputs:\n  story: a story about a dog named charlie\nrun: 2026-11-23\n",
         "4c6a11e94075f9abdcf87807b7c2954549a3d3d2b6137bb5467eba02d1bc9102"},
        {"workflow: w\ninputs: {}\nrun: ''\n",
         "287957dc518714dd59af2615eadf3a919201e449a70e8bc077210ef759d3a4fe"},
        {"{\"workflow\":\"w\",\"inputs\":{\"a\":"
         "\"\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r"
         "\\u000e\\u000f\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b"
         "\\u001c"
         "\\u001d\\u001e\\u001f\\u007f\\\"\\\\/\\u2028\\ud83d\\ude00\\u00e9\\u0085\"}}",
         "3084014bbcaf7933bca4c13046ccf8a25be799c40f6affa8571edd7d25e989f9"},
        {"workflow: w\ninputs:\n  a:\n  - 1\n  -\n  - |\n    x\n  - !!str 5\n  - !!int '7'\n  '': {k: ''}\n",
         "53a740ee79f0d4d7b570094a4ce710bfca361b34f4b9dec359579191cb5f97c2"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct jobfile file;
        parse(cases[i].text, INPUTS_TEXT, &file);
        assert_string_equal(file.jobs[0].request_sha256, cases[i].sha256);
        jobfile_free(&file);
    }
}

static void test_identity_tells_apart(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "workflow: w\ninputs: {}\n",
        "workflow: v\ninputs: {}\n",
        "workflow: w\nrun: 1\ninputs: {}\n",
        "workflow: w\nrun: 2\ninputs: {}\n",
        "workflow: w\ninputs: {a: 1}\n",
        "workflow: w\ninputs: {a: '1'}\n",
        "workflow: w\ninputs: {a: 1.0}\n",
        "workflow: w\ninputs: {a: 1, b: 2}\n",
        "workflow: w\ninputs: {b: 2, a: 1}\n",
        "workflow: w\ninputs: {a: [1, plain]}\n",
        "workflow: w\ninputs: {a: [[1, plain]]}\n",
    };
    struct jobfile files[COUNT(texts)];
    for (size_t i = 0; i < COUNT(texts); i++)
        parse(texts[i], INPUTS_TEXT, &files[i]);
    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(files[i].jobs[0].request_sha256, files[j].jobs[0].request_sha256);
    for (size_t i = 0; i < COUNT(texts); i++)
        jobfile_free(&files[i]);
}

static void test_file_digest_is_of_the_bytes(void **state)
{
    (void)state;
    struct jobfile file;
    parse("\xef\xbb\xbf" JOB "# c\n", INPUTS_TEXT, &file);
    assert_string_equal(file.job_sha256, "16f03eb10127a402799c897d5152ca311eae9ff14b62e7bc7065087ce4a65189");
    jobfile_free(&file);
}

static void test_several_documents(void **state)
{
    (void)state;
    struct jobfile file;
    parse("---\n# empty\n---\n" JOB
          "---\nnull\n---\nworkflow: wf_2\ninputs: {}\nid: b\n...\n---\nworkflow: wf_3\ninputs: {}\nid: B\n"
          "---\nworkflow: wf_1\ninputs: {}\nrun: 2\nid: '4'\n",
          INPUTS_TEXT, &file);
    assert_int_equal(file.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(file.jobs[i].document, i + 1);
    assert_string_equal(file.jobs[1].id, "b");
    assert_string_equal(file.jobs[2].workflow, "wf_3");
    assert_string_equal(file.jobs[3].id, "4");
    jobfile_free(&file);
}

static void test_accepted_values(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "priority: 100",
        "priority: 0",
        "priority: -1",
        "max_attempts: 1",
        "max_attempts: 1000",
        "run: ''",
        "run: null",
        "run: |\n  x\n",
        "id: a",
        "id: ..",
        "id: '1'",
        "not_before: 1969-01-01T00:00:00Z",
        "not_before: 2026-01-01T00:00:00Z\nexpires: 2026-01-01T00:00:00.001Z",
        "'priority': !!int 5",
        "expires: 1970-01-01T00:00:00Z",
        "id: 0123456789012345678901234567890123456789012345678901234567890123",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct jobfile file;
        char text[256];
        sprintf(text, JOB "%s\n", lines[i]);
        parse(text, INPUTS_TEXT, &file);
        jobfile_free(&file);
    }
}

/* 0 means "absent": an instant must never become that. */
static void test_instants_before_1970_are_not_absent(void **state)
{
    (void)state;
    struct jobfile file;
    parse(JOB "expires: 1970-01-01T00:00:00Z\n", INPUTS_TEXT, &file);
    assert_true(file.jobs[0].expires_ms == 1);
    jobfile_free(&file);
    parse(JOB "expires: 1969-01-01T00:00:00Z\n", INPUTS_TEXT, &file);
    assert_true(file.jobs[0].expires_ms == 1);
    jobfile_free(&file);
}

static const struct {
    const char *text;
    size_t line, column;
    const char *says, *also;
} faults[] = {
    /* the whole */
    {"", 0, 0, "the file holds no job", "workflow"},
    {"# only a comment\n---\n", 0, 0, "the file holds no job", "inputs"},
    {"a: [1", 1, 4, "'['", "close"},
    {"hello\n", 1, 1, "'key: value'", "hello"},
    {"[1]\n", 1, 1, "'key: value'", "list"},
    {JOB "---\n''\n", 4, 1, "'key: value'", "empty"},
    {JOB "---\nworkflow: a/b\ninputs: {}\n", 4, 11, "workflow must be", "a/b"},
    {"inputs: {}\n", 1, 1, "no workflow", "wf_abc123"},
    {"workflow: a\n", 1, 1, "no inputs", "inputs: {}"},
    {JOB "workflow_id: b\n", 3, 1, "workflow_id", "line 1"},
    {JOB "workflow: b\n", 3, 1, "'workflow' is already there", "line 1"},
    /* unknown keys */
    {JOB "titel: x\n", 3, 1, "'titel' is not known;", "max_attempts (what"},
    {"wrkflow: a\ninputs: {}\n", 1, 1, "did you mean 'workflow'?",
     "allowed are workflow, workflow_id, inputs"},
    {JOB "max-attempts: 3\n", 3, 1, "did you mean 'max_attempts'?", "inputs"},
    {JOB "\"Run\": 3\n", 3, 1, "did you mean 'run'?", "Run"},
    {JOB "\"a\\nb\": 3\n", 3, 1, "a\\x0ab", "not known"},
    /* workflow */
    {"workflow: \ninputs: {}\n", 1, 10, "workflow must be", "empty"},
    {"workflow: [a]\ninputs: {}\n", 1, 11, "workflow must be", "list"},
    {"workflow: ../admin\ninputs: {}\n", 1, 11, "A-Z a-z 0-9 _ -", "../admin"},
    {"workflow: \"wf\\r\\nX: y\"\ninputs: {}\n", 1, 11, "A-Z a-z 0-9 _ -", "wf\\x0d\\x0aX"},
    {"workflow: %2e%2e\ninputs: {}\n", 1, 11, "'%'", "quotes"},
    {"workflow: 'a%2e'\ninputs: {}\n", 1, 11, "workflow must be", "a%2e"},
    {"workflow: a?x=1\ninputs: {}\n", 1, 11, "workflow must be", "a?x=1"},
    {"workflow: \xc3\xa9\ninputs: {}\n", 1, 11, "workflow must be", "\xc3\xa9"},
    {"workflow_id: a.b\ninputs: {}\n", 1, 14, "workflow_id must be", "a.b"},
    {"workflow: "
     "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
     "901234567890123456789012345678\ninputs: {}\n",
     1, 11, "1 to 128", "0123"},
    /* inputs */
    {"workflow: a\ninputs:\n", 2, 8, "inputs must be a mapping", "{}"},
    {"workflow: a\ninputs: null\n", 2, 9, "inputs must be a mapping", "null"},
    {"workflow: a\ninputs: [a]\n", 2, 9, "inputs must be a mapping", "list"},
    {"workflow: a\ninputs: {a: !!int x}\n", 2, 13, "!!int", "'x'"},
    {"workflow: a\ninputs: {a: \"x\\u0000\"}\n", 2, 13, "NUL", "remove"},
    /* id */
    {JOB "id:\n", 3, 4, "id must be", "file name"},
    {JOB "id: a b\n", 3, 5, "id must be", "file name"},
    {JOB "id: a/b\n", 3, 5, "A-Z a-z 0-9 . _ -", "a/b"},
    {JOB "id: {a: b}\n", 3, 5, "id must be", "mapping"},
    {JOB "id: 01234567890123456789012345678901234567890123456789012345678901234\n", 3, 5, "1 to 64", "0123"},
    /* the others */
    {JOB "run: [1]\n", 3, 6, "run must be one value", "list"},
    {JOB "run: {}\n", 3, 6, "run must be one value", "mapping"},
    {JOB "inputs_as: json\n", 3, 12, "text or typed", "json"},
    {JOB "inputs_as: [text]\n", 3, 12, "text or typed", "list"},
    {JOB "priority: 101\n", 3, 11, "-100 to 100", "101"},
    {JOB "priority: -101\n", 3, 11, "-100 to 100", "-101"},
    {JOB "priority: 99999999999999999999\n", 3, 11, "-100 to 100", "9999"},
    {JOB "priority: -99999999999999999999\n", 3, 11, "-100 to 100", "-9999"},
    {JOB "priority: +1\n", 3, 11, "-100 to 100", "+1"},
    {JOB "priority: 007\n", 3, 11, "-100 to 100", "007"},
    {JOB "priority: 1.0\n", 3, 11, "-100 to 100", "1.0"},
    {JOB "priority: 0x1\n", 3, 11, "-100 to 100", "0x1"},
    {JOB "priority: '-'\n", 3, 11, "-100 to 100", "'-'"},
    {JOB "priority: -0\n", 3, 11, "-100 to 100", "-0"},
    {JOB "priority: high\n", 3, 11, "-100 to 100", "high"},
    {JOB "priority:\n", 3, 10, "-100 to 100", "empty"},
    {JOB "max_attempts: 0\n", 3, 15, "1 to 1000", "'0'"},
    {JOB "max_attempts: 1001\n", 3, 15, "1 to 1000", "1001"},
    {JOB "max_attempts: -1\n", 3, 15, "1 to 1000", "-1"},
    {JOB "max_attempts: []\n", 3, 15, "1 to 1000", "list"},
    {JOB "not_before: 2026-11-24\n", 3, 13, "Z or an offset", "2026-11-24T22:00:00Z"},
    {JOB "not_before: 2026-11-24T22:00:00\n", 3, 13, "Z or an offset", "'2026-11-24T22:00:00'"},
    {JOB "expires: tomorrow\n", 3, 10, "expires must be a date", "tomorrow"},
    {JOB "expires: [x]\n", 3, 10, "expires must be a date", "list"},
    {JOB "expires: 2026-11-24T22:00:00Z\nnot_before: 2026-11-24T22:00:00Z\n", 3, 10, "expires", "not_before"},
    {JOB "not_before: 2026-11-24T22:00:00Z\nexpires: 2026-11-24T22:30:00+01:00\n", 4, 10, "expires",
     "not_before"},
    /* several documents */
    {JOB "---\n" JOB, 4, 1, "lines 1 and 4", "'run:'"},
    {JOB "---\nworkflow: b\ninputs: {}\n---\n# c\n" JOB "---\n" JOB, 8, 1, "lines 1 and 8", "'run:'"},
    {JOB "id: a\n---\nworkflow: b\ninputs: {}\nid: a\n", 7, 5, "'a'", "line 1"},
    {JOB "---\nworkflow: b\ninputs: {}\nid: 1\n", 6, 5, "also the number of the job in line 1", "another id"},
    {JOB "id: 2\n---\nworkflow: b\ninputs: {}\n", 3, 5, "also the number of the job in line 5", "another id"},
    {"---\n---\n" JOB "id: 2\n---\nworkflow: b\ninputs: {}\n", 5, 5, "the job in line 7", "another id"},
};

static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct jobfile file;
        struct fault f;
        memset(&file, 0xFF, sizeof file);
        if (jobfile_parse(faults[i].text, strlen(faults[i].text), INPUTS_TEXT, &file, &f))
            fail_msg("accepted: %s", faults[i].text);
        assert_null(file.jobs);
        assert_int_equal(file.count, 0);
        if (f.line != faults[i].line || f.column != faults[i].column || !strstr(f.text, faults[i].says) ||
            !strstr(f.text, faults[i].also))
            fail_msg("%s\n%zu:%zu: %s", faults[i].text, f.line, f.column, f.text);
    }
}

/* A message has room for 511 bytes; what was found must not push out what to do. */
static void test_long_values_leave_room_for_advice(void **state)
{
    (void)state;
    char text[3200], key[1001];
    struct jobfile file;
    struct fault f;
    memset(key, 'k', 1000);
    key[1000] = '\0';
    sprintf(text, JOB "%s: x\n", key);
    assert_false(jobfile_parse(text, strlen(text), INPUTS_TEXT, &file, &f));
    assert_non_null(strstr(f.text, "max_attempts (what is meant for the workflow goes under inputs)"));
    sprintf(text, JOB "not_before: \"%s\"\n", key);
    assert_false(jobfile_parse(text, strlen(text), INPUTS_TEXT, &file, &f));
    assert_non_null(strstr(f.text, "kkk...'"));
}

static void test_many_documents(void **state)
{
    (void)state;
    enum { DOCUMENTS = 1400 };
    char *text = malloc(DOCUMENTS * 64);
    struct jobfile file;
    assert_non_null(text);
    char *p = text;
    for (int i = 1; i <= DOCUMENTS; i++)
        p += sprintf(p, "---\nworkflow: w\ninputs: {n: %d}\n", i);
    parse(text, INPUTS_TEXT, &file);
    assert_int_equal(file.count, DOCUMENTS);
    assert_string_equal(file.jobs[DOCUMENTS - 1].body, "{\"n\":\"1400\"}");
    jobfile_free(&file);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_request_digest),
        cmocka_unit_test(test_identity_tells_apart),
        cmocka_unit_test(test_file_digest_is_of_the_bytes),
        cmocka_unit_test(test_several_documents),
        cmocka_unit_test(test_accepted_values),
        cmocka_unit_test(test_instants_before_1970_are_not_absent),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_long_values_leave_room_for_advice),
        cmocka_unit_test(test_many_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
