/* pathmap - records by path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/pathmap.h"

static void an_entry_is_found_until_it_is_removed(void **state)
{
    (void)state;
    struct pathmap m = {0};
    struct path_entry *a = pathmap_add(&m, "a.yaml"), *b = pathmap_add(&m, "b.yaml");
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_equal(pathmap_add(&m, "a.yaml"), a);
    a->files = calloc(1, sizeof *a->files); /* goes with it */
    assert_non_null(a->files);
    assert_int_equal(m.count, 2);
    pathmap_remove(&m, a);
    assert_null(pathmap_find(&m, "a.yaml"));
    assert_ptr_equal(pathmap_find(&m, "b.yaml"), b);
    assert_ptr_equal(m.first, b);
    pathmap_clear(&m);
    assert_int_equal(m.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_found_until_it_is_removed),
    };
    return cmocka_run_group_tests_name("daemon_pathmap", tests, NULL, NULL);
}
