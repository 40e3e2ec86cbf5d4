#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/fault.h"

static void test_place_and_text(void **state)
{
    (void)state;
    static const struct {
        size_t line, column;
        const char *expected;
    } cases[] = {
        {3, 7, "line 3, column 7: 2 of 'x'"},
        {3, 0, "line 3: 2 of 'x'"},
        {0, 0, "2 of 'x'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fault f;
        char buf[600];
        fault_set(&f, cases[i].line, cases[i].column, "%d of '%s'", 2, "x");
        fault_describe(&f, buf, sizeof buf);
        assert_string_equal(buf, cases[i].expected);
        assert_string_equal(f.text, "2 of 'x'");
    }
}

static void test_what_was_found_cannot_forge_lines_or_escapes(void **state)
{
    (void)state;
    struct fault f;
    fault_set(&f, 1, 1, "found '%s'", "a\nERROR: \x1b[31m\xc2\x9b\xff\xe2\x80\xae ok \xc3\xa9");
    assert_string_equal(f.text, "found 'a\\x0aERROR: \\x1b[31m\\xc2\\x9b\\xff\\xe2\\x80\\xae ok \xc3\xa9'");
}

static void test_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    struct fault f;
    char text[5000];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    fault_set(&f, 1, 1, "%s", text);
    size_t len = strlen(f.text);
    assert_true(len == sizeof f.text - 1 || len == sizeof f.text - 2);
    assert_string_equal(f.text + len - 5, "\xc3\xa9...");
}

static void test_describe_never_overruns(void **state)
{
    (void)state;
    struct fault f;
    char buf[12] = "###########";
    fault_set(&f, 10, 20, "much longer than the buffer");
    fault_describe(&f, buf, 8);
    assert_string_equal(buf, "line 10");
    assert_int_equal(buf[8], '#');
}

/* What somebody wrote never passes for it, whatever it says. */
static void test_no_memory_is_told_from_a_fault(void **state)
{
    (void)state;
    struct fault f;
    assert_false(fault_no_memory(&f));
    assert_true(f.no_memory && f.line == 0 && f.column == 0);
    assert_string_equal(f.text, "out of memory");
    fault_set(&f, 0, 0, "%s", "out of memory");
    assert_false(f.no_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place_and_text),
        cmocka_unit_test(test_what_was_found_cannot_forge_lines_or_escapes),
        cmocka_unit_test(test_long_text_is_cut_between_characters),
        cmocka_unit_test(test_describe_never_overruns),
        cmocka_unit_test(test_no_memory_is_told_from_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
