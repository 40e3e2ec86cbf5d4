/* libflowspool as a program outside sees it: this test links the public archive and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "flowspool/flowspool.h"
#include "flowspool_version.h"

static void the_version_is_the_build_s(void **state)
{
    (void)state;
    assert_string_equal(flowspool_version(), FLOWSPOOL_VERSION);
}

struct check_case {
    const char *name;
    const char *bytes;
    size_t jobs;         /* 0: refused */
    size_t line, column; /* of the fault */
    const char *names;   /* what the message must mention */
};

static const struct check_case check_cases[] = {
    {"one job", "workflow: wf_a\ninputs:\n  story: a dog\n", 1, 0, 0, NULL},
    {"two documents", "workflow: wf_a\ninputs: {}\n---\nworkflow: wf_b\ninputs: {}\n", 2, 0, 0, NULL},
    {"JSON", "{\"workflow\": \"wf_a\", \"inputs\": {\"text\": \"\\ud83d\\ude00\"}}", 1, 0, 0, NULL},
    {"nothing at all", "", 0, 0, 0, ""},
    {"unknown key", "workflow: wf_a\ninputs: {}\nprioritty: 3\n", 0, 3, 1, "prioritty"},
    {"no workflow", "inputs: {}\n", 0, 0, 0, "workflow"},
    {"bad second document", "workflow: wf_a\ninputs: {}\n---\nworkflow: wf b\ninputs: {}\n", 0, 4, 11,
     "workflow"},
};

static void check_says_what_the_daemon_would(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof check_cases / sizeof *check_cases; i++) {
        const struct check_case *c = &check_cases[i];
        struct flowspool_error *error = (struct flowspool_error *)(uintptr_t)1;
        size_t jobs = flowspool_check(c->bytes, strlen(c->bytes), &error);
        print_message("%s\n", c->name);
        assert_int_equal(jobs, c->jobs);
        if (c->jobs > 0) {
            assert_null(error);
            continue;
        }
        assert_non_null(error);
        print_message("  %zu:%zu: %s\n", flowspool_error_line(error), flowspool_error_column(error),
                      flowspool_error_message(error));
        assert_true(strlen(flowspool_error_message(error)) > 0);
        assert_non_null(strstr(flowspool_error_message(error), c->names));
        if (c->line > 0) {
            assert_int_equal(flowspool_error_line(error), c->line);
            assert_int_equal(flowspool_error_column(error), c->column);
        }
        flowspool_error_free(error);
    }
}

static void the_length_counts_and_not_a_terminator(void **state)
{
    static const char text[] = "workflow: wf_a\ninputs: {}\n: : garbage : :";
    (void)state;
    assert_int_equal(flowspool_check(text, strlen("workflow: wf_a\ninputs: {}\n"), NULL), 1);
    assert_int_equal(flowspool_check(text, strlen(text), NULL), 0);
    assert_int_equal(flowspool_check("workflow: wf_a\ninputs: {}\n\0", 27, NULL), 0);
}

static void errors_are_optional(void **state)
{
    (void)state;
    assert_int_equal(flowspool_check("{", 1, NULL), 0);
    flowspool_error_free(NULL);
}

struct example {
    const char *path;
    size_t jobs;
};

static const struct example examples[] = {
    {"jobs/story.yaml", 1},         {"jobs/product-copy.yaml", 3}, {"jobs/translate.yml", 1},
    {"jobs/summary.yaml", 1},       {"jobs/email-reply.yaml", 1},  {"jobs/meta-descriptions.yaml", 3},
    {"jobs/weekly-report.yaml", 1},
};

static void the_example_jobs_are_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        char path[4096], text[16384];
        int n = snprintf(path, sizeof path, "%s/%s", FLOWSPOOL_SOURCE_DIR, examples[i].path);
        assert_true(n > 0 && (size_t)n < sizeof path);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        size_t len = fread(text, 1, sizeof text, file);
        assert_int_equal(fclose(file), 0);
        assert_true(len < sizeof text);

        struct flowspool_error *error = NULL;
        size_t jobs = flowspool_check(text, len, &error);
        if (error)
            print_message("%s:%zu:%zu: %s\n", examples[i].path, flowspool_error_line(error),
                          flowspool_error_column(error), flowspool_error_message(error));
        flowspool_error_free(error);
        assert_int_equal(jobs, examples[i].jobs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_is_the_build_s),
        cmocka_unit_test(check_says_what_the_daemon_would),
        cmocka_unit_test(the_length_counts_and_not_a_terminator),
        cmocka_unit_test(errors_are_optional),
        cmocka_unit_test(the_example_jobs_are_accepted),
    };
    return cmocka_run_group_tests_name("lib", tests, NULL, NULL);
}
