/* live - the jobs in memory, and those that must not be loaded for now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/live.h"

static struct live *add(struct live_table *t, int64_t id)
{
    struct job_row row = {.id = id};
    struct live *l = live_add(t, NULL, &row);
    assert_non_null(l);
    return l;
}

static void jobs_are_counted_by_step(void **state)
{
    (void)state;
    struct live_table t = {0};
    struct live *a = add(&t, 1), *b = add(&t, 2);
    add(&t, 3);
    live_step_to(&t, a, STEP_INTENT);
    live_step_to(&t, b, STEP_SETTLE);
    assert_int_equal(live_busy(&t), 2);
    assert_int_equal(live_in_flight(&t), 1);
    assert_ptr_equal(t.busy.first, a);
    assert_ptr_equal(t.busy.last, b);
    assert_ptr_equal(t.candidates.first, t.candidates.last);
    live_step_to(&t, a, STEP_CANDIDATE); /* behind the one that stayed */
    assert_ptr_equal(t.candidates.last, a);
    assert_ptr_equal(t.busy.first, b);
    live_step_to(&t, a, STEP_INTENT);
    assert_ptr_equal(t.busy.last, a);
    live_drop_candidates(&t);
    assert_int_equal(t.count, 2);
    assert_null(live_find(&t, 3));
    assert_ptr_equal(live_find(&t, 1), a);
    live_remove(&t, a);
    live_remove(&t, b);
    assert_null(t.busy.first);
    assert_null(t.busy.last);
    assert_null(t.candidates.first);
    assert_null(t.candidates.last);
    assert_int_equal(live_busy(&t), 0);
}

static void a_barred_job_is_found_as_such(void **state)
{
    (void)state;
    struct live_table t = {0};
    assert_false(live_bar_round(&t));
    assert_true(live_bar(&t, 7));
    assert_true(live_bar(&t, 7));
    assert_int_equal(live_find(&t, 7)->step, STEP_BARRED);
    assert_null(live_find(&t, 8));
    assert_int_equal(t.count, 0);
    assert_true(live_bar_round(&t));
    assert_int_equal(live_find(&t, 7)->step, STEP_BARRED);
    live_unbar(&t);
    assert_null(live_find(&t, 7));
}

/* What is barred while a round is under way was perhaps changed after the round's write: it stays barred. */
static void a_round_ends_only_what_came_before_it(void **state)
{
    (void)state;
    struct live_table t = {0};
    assert_true(live_bar(&t, 1));
    assert_true(live_bar(&t, 2));
    assert_true(live_bar_round(&t));
    assert_true(live_bar(&t, 2));
    assert_true(live_bar(&t, 3));
    assert_false(live_bar_round(&t));
    live_unbar(&t);
    assert_null(live_find(&t, 1));
    assert_non_null(live_find(&t, 2));
    assert_non_null(live_find(&t, 3));
    assert_true(live_bar_round(&t));
    live_unbar(&t);
    assert_null(live_find(&t, 2));
    assert_false(live_bar_round(&t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_counted_by_step),
        cmocka_unit_test(a_barred_job_is_found_as_such),
        cmocka_unit_test(a_round_ends_only_what_came_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
