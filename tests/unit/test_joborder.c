/* What an order means for a job in each of the states that it can be in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/joborder.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

enum { HOLD_FILE = JOB_BLOCK_HOLD_FILE, HOLD = JOB_BLOCK_HOLD, CANCEL = JOB_BLOCK_CANCEL };
enum { MISSING = JOB_BLOCK_MISSING, SUPERSEDED = JOB_BLOCK_SUPERSEDED, ASKED = JOB_ASKED_AGAIN };

static void test_every_order_in_every_state(void **state)
{
    (void)state;
    enum { NOW, AFTER, AGAIN, NEVER };
    static const struct {
        struct joborder_job job;
        const char *name;
        int retry, forced, cancel, hold, release;
    } cases[] = {
        {{JOB_WAITING, 0, false}, "waiting", NEVER, NEVER, NOW, NOW, NEVER},
        {{JOB_WAITING, HOLD, false}, "held", NEVER, NEVER, NOW, NOW, NOW},
        {{JOB_WAITING, HOLD_FILE, false}, "held by its name", NEVER, NEVER, NOW, NOW, NEVER},
        {{JOB_WAITING, HOLD | HOLD_FILE, false}, "held by both", NEVER, NEVER, NOW, NOW, NEVER},
        {{JOB_WAITING, MISSING, false}, "its file is gone", NEVER, NEVER, NEVER, NEVER, NEVER},
        {{JOB_WAITING, MISSING | HOLD, false}, "gone and held", NEVER, NEVER, NEVER, NEVER, NOW},
        {{JOB_WAITING, CANCEL, false}, "being cancelled", NOW, NOW, NOW, NEVER, NEVER},
        {{JOB_WAITING, CANCEL | HOLD, false}, "held and being cancelled", NOW, NOW, NOW, NEVER, NEVER},
        {{JOB_WAITING, 0, true}, "its outcome is being written", AGAIN, AGAIN, NEVER, NEVER, NEVER},
        {{JOB_WAITING, CANCEL, true}, "its cancelling is being written", AGAIN, AGAIN, NEVER, NEVER, NEVER},
        {{JOB_SENT, 0, false}, "sent", NEVER, NEVER, AFTER, AFTER, NEVER},
        {{JOB_SENT, MISSING, false}, "sent, its file is gone", NEVER, NEVER, AFTER, AFTER, NEVER},
        {{JOB_SENT, HOLD, false}, "sent, then held", NEVER, NEVER, AFTER, AFTER, NOW},
        {{JOB_SENT, CANCEL, false}, "sent, then cancelled", NOW, NOW, AFTER, NEVER, NEVER},
        {{JOB_REPLIED, 0, false}, "replied", NEVER, NEVER, AFTER, AFTER, NEVER},
        {{JOB_DONE, 0, false}, "done", NEVER, NOW, NEVER, NEVER, NEVER},
        {{JOB_DONE, ASKED, false}, "done, to run again", NOW, NOW, NOW, AGAIN, NEVER},
        {{JOB_DONE, MISSING, false}, "done, its file is gone", NEVER, NEVER, NEVER, NEVER, NEVER},
        {{JOB_FAILED, 0, false}, "failed", NOW, NOW, NEVER, NEVER, NEVER},
        {{JOB_FAILED, ASKED, false}, "failed, to run again", NOW, NOW, NOW, AGAIN, NEVER},
        {{JOB_FAILED, HOLD, false}, "refused where a hold is", NOW, NOW, NEVER, NEVER, NOW},
        {{JOB_FAILED, HOLD_FILE, false}, "failed, held by its name", NEVER, NEVER, NEVER, NEVER, NEVER},
        {{JOB_FAILED, SUPERSEDED, false}, "superseded", NEVER, NEVER, NEVER, NEVER, NEVER},
        {{JOB_SENT, SUPERSEDED | CANCEL, false}, "superseded on its way", NEVER, NEVER, NEVER, NEVER, NEVER},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct {
            enum order_kind order;
            bool force;
            int expected;
        } orders[] = {
            {ORDER_RETRY, false, cases[i].retry},     {ORDER_RETRY, true, cases[i].forced},
            {ORDER_CANCEL, false, cases[i].cancel},   {ORDER_HOLD, false, cases[i].hold},
            {ORDER_RELEASE, false, cases[i].release},
        };
        for (size_t k = 0; k < COUNT(orders); k++) {
            const struct joborder_effect e = joborder_judge(orders[k].order, orders[k].force, &cases[i].job);
            int got = e.why == NULL ? (e.in_flight ? AFTER : NOW) : e.again ? AGAIN : NEVER;
            if (got != orders[k].expected)
                fail_msg("%s, %s%s: %d, not %d (%s)", cases[i].name, order_name(orders[k].order),
                         orders[k].force ? " --force" : "", got, orders[k].expected, e.why ? e.why : "");
            assert_true(e.why == NULL || strlen(e.why) > 8);
        }
    }
}

static void test_orders_that_are_not_about_jobs(void **state)
{
    (void)state;
    static const enum order_kind others[] = {ORDER_STATUS, ORDER_PAUSE, ORDER_RESUME, ORDER_PRUNE};
    const struct joborder_job job = {.state = JOB_WAITING};
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_false(order_is_of_jobs(others[i]));
        assert_non_null(joborder_judge(others[i], true, &job).why);
        assert_true(joborder_bits(others[i]).set == 0 && joborder_bits(others[i]).clear == 0);
    }
}

/* The last order counts: each takes back what it contradicts. */
static void test_bits_of_orders(void **state)
{
    (void)state;
    static const struct {
        enum order_kind order;
        int set, clear;
    } cases[] = {
        {ORDER_RETRY, ASKED, HOLD | CANCEL},
        {ORDER_CANCEL, CANCEL, ASKED},
        {ORDER_HOLD, HOLD, 0},
        {ORDER_RELEASE, 0, HOLD},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(order_is_of_jobs(cases[i].order));
        assert_int_equal(joborder_bits(cases[i].order).set, cases[i].set);
        assert_int_equal(joborder_bits(cases[i].order).clear, cases[i].clear);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_order_in_every_state),
        cmocka_unit_test(test_orders_that_are_not_about_jobs),
        cmocka_unit_test(test_bits_of_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
