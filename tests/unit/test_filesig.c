#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/filesig.h"

static void test_what_makes_another_file(void **state)
{
    (void)state;
    static const struct file_sig known = {1, 2, 3, 4, 5};
    static const struct {
        const char *name;
        struct file_sig sig;
        bool same;
    } cases[] = {
        {"nothing changed", {1, 2, 3, 4, 5}, true},
        {"mounted again under another number", {9, 2, 3, 4, 5}, true},
        {"mounted again, and written", {9, 2, 3, 9, 5}, false},
        {"on another file system", {9, 2, 3, 4, 9}, false},
        {"on another file system, a birth that is not known", {9, 2, 3, 4, 0}, false},
        {"another file of the name", {1, 9, 3, 4, 5}, false},
        {"longer", {1, 2, 9, 4, 5}, false},
        {"written", {1, 2, 3, 9, 5}, false},
        {"the inode's next file", {1, 2, 3, 4, 9}, false},
        {"a birth that is not known", {1, 2, 3, 4, 0}, true},
        {"written, a birth that is not known", {1, 2, 3, 9, 0}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (file_sig_same(&known, &cases[i].sig) != cases[i].same ||
            file_sig_same(&cases[i].sig, &known) != cases[i].same)
            fail_msg("%s", cases[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_makes_another_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
