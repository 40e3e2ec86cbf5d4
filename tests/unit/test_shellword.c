#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/shellword.h"

static void test_operands(void **state)
{
    static const struct {
        const char *name, *expected;
    } cases[] = {
        {"story.yaml", "story.yaml"},
        {"sub/a_b-2.yaml", "sub/a_b-2.yaml"},
        {"a b.yaml", "'a b.yaml'"},
        {"$(reboot).yaml", "'$(reboot).yaml'"},
        {"it's.yaml", "'it'\\''s.yaml'"},
        {"-f.yaml", "-- -f.yaml"},
        {"-f x.yaml", "-- '-f x.yaml'"},
        {"a[1].yaml", "'a[1].yaml'"},
        {"x\x1b[2J.yaml", "'x\\x1b[2J.yaml'"},
        {"x\xff.yaml", "'x\\xff.yaml'"},
        {"日本.yaml", "'日本.yaml'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *got = shell_operand(cases[i].name);
        assert_string_equal(got, cases[i].expected);
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_operands)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
