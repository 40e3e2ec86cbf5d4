#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/inputarg.h"

static void words(void **state)
{
    static const struct {
        const char *word, *key, *value; /* key NULL: refused, value says why */
        bool json, from_file;
    } cases[] = {
        {"a=b", "a", "b", false, false},
        {"a=", "a", "", false, false},
        {"a==b", "a", "=b", false, false},
        {"a=b=c:=d", "a", "b=c:=d", false, false},
        {"a:=1", "a", "1", true, false},
        {"a:=", "a", "", true, false},
        {"a:b=1", "a:b", "1", false, false},
        {"a:b:=1", "a:b", "1", true, false},
        {"a b=c d", "a b", "c d", false, false},
        {"a=@f", "a", "f", false, true},
        {"a=@", "a", "", false, true},
        {"a:=@f", "a", "f", true, true},
        {"a=@-", "a", "-", false, true},
        {"a=@@", "a", "@", false, true},
        {"a=\\@f", "a", "@f", false, false},
        {"a=\\\\@f", "a", "\\@f", false, false},
        {"a=\\f", "a", "\\f", false, false},
        {"a=\\\\", "a", "\\\\", false, false},
        {"a=x@y", "a", "x@y", false, false},
        {"a\\=b=c", "a=b", "c", false, false},
        {"a\\:=c", "a:", "c", false, false},
        {"a\\:\\=c=d", "a:=c", "d", false, false},
        {"a\\\\=c", "a\\", "c", false, false},
        {"a\\\\\\=b=c", "a\\=b", "c", false, false},
        {"C:\\x=c", "C:\\x", "c", false, false},
        {"-a=b", "-a", "b", false, false},
        {"", NULL, "is no input", false, false},
        {"a", NULL, "is no input", false, false},
        {"a\\=b", NULL, "is no input", false, false},
        {"a:", NULL, "is no input", false, false},
        {"a\\", NULL, "is no input", false, false},
        {"=b", NULL, "has no name", false, false},
        {":=b", NULL, "has no name", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct input_arg a;
        print_message("%s\n", cases[i].word);
        const char *why = input_arg_parse(cases[i].word, &a);
        if (cases[i].key == NULL) {
            assert_non_null(why);
            assert_non_null(strstr(why, cases[i].value));
            continue;
        }
        assert_null(why);
        assert_string_equal(a.key, cases[i].key);
        assert_string_equal(a.value, cases[i].value);
        assert_int_equal(a.json, cases[i].json);
        assert_int_equal(a.from_file, cases[i].from_file);
        input_arg_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words)};
    return cmocka_run_group_tests_name("cli inputarg", tests, NULL, NULL);
}
