#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/similar.h"

static void test_suggestions(void **state)
{
    (void)state;
    static const char *const known[] = {"workflow", "workflow_id", "inputs", "id", "run"};
    static const struct {
        const char *written, *expected;
    } cases[] = {
        {"wrkflow", "workflow"},
        {"Workflow", "workflow"},
        {"workflows", "workflow"},
        {"workflowid", "workflow_id"},
        {"input", "inputs"},
        {"inptus", "inputs"},
        {"ids", "id"},
        {"ran", "run"},
        {"xy", NULL},
        {"", NULL},
        {"story", NULL},
        {"inputsxyz", NULL},
        {"a name that is much longer than any known one", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = similar_name(cases[i].written, known, sizeof known / sizeof known[0]);
        if (cases[i].expected)
            assert_string_equal(got ? got : "(none)", cases[i].expected);
        else
            assert_null(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_suggestions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
