/* pathmap - records by path, and the jobs that a record names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/pathmap.h"

static void a_set_holds_each_job_once_whatever_the_order(void **state)
{
    (void)state;
    static const int64_t added[] = {7, 9, 3, 9, 7, 8, 1, 1, 12};
    static const int64_t kept[] = {1, 3, 7, 8, 9, 12};
    struct job_set s = {0};
    assert_false(job_set_has(&s, 7));
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        assert_true(job_set_add(&s, added[i]));
    assert_int_equal(s.count, 6);
    for (size_t i = 0; i < s.count; i++) {
        assert_int_equal(s.ids[i], kept[i]);
        assert_true(job_set_has(&s, kept[i]));
    }
    assert_false(job_set_has(&s, 2));
    free(s.ids);
}

static void an_entry_is_found_until_it_is_removed(void **state)
{
    (void)state;
    struct pathmap m = {0};
    struct path_entry *a = pathmap_add(&m, "a.yaml"), *b = pathmap_add(&m, "b.yaml");
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_equal(pathmap_add(&m, "a.yaml"), a);
    assert_true(job_set_add(&a->retry, 5)); /* goes with it */
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
        cmocka_unit_test(a_set_holds_each_job_once_whatever_the_order),
        cmocka_unit_test(an_entry_is_found_until_it_is_removed),
    };
    return cmocka_run_group_tests_name("daemon_pathmap", tests, NULL, NULL);
}
