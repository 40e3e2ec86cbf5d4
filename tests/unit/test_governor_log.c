/* The governor's log of sends: exact for the newest, in slots before. */
#include "governor_fixture.h"

static struct send_log l;

static void test_counts(void **state)
{
    (void)state;
    send_log_init(&l, 0);
    assert_int_equal(send_log_until(&l, 1000), 0);
    assert_true(send_log_newest(&l) == INT64_MIN);
    assert_false(send_log_knows(&l, 0));
    for (int i = 0; i < 10; i++)
        assert_int_equal(send_log_add(&l, 1000 + 100 * i), i);
    assert_int_equal(send_log_newest(&l), 1900);
    assert_int_equal(send_log_until(&l, 999), 0);
    assert_int_equal(send_log_until(&l, 1000), 1);
    assert_int_equal(send_log_between(&l, 1000, 1500), 5); /* after, and not after */
    send_log_refused(&l, 3);
    assert_true(l.refused[3]);
    assert_int_equal(send_log_between(&l, 1000, 1500), 4);
    assert_int_equal(send_log_between(&l, 999, 1200), 3);
    assert_int_equal(l.total, 9);
}

static void test_old_sends_are_counted_in_slots(void **state)
{
    int64_t now = -5000; /* slots of times before zero too */

    (void)state;
    send_log_init(&l, now);
    for (int i = 0; i < 3 * SEND_LOG_EXACT; i++)
        send_log_add(&l, now += 10);
    assert_false(send_log_knows(&l, 0));
    assert_true(send_log_knows(&l, l.next - SEND_LOG_EXACT));
    for (int64_t span = 5000; span < 240000; span += 5000)
        assert_in_range(send_log_between(&l, now - span, now), span / 10 - 8, span / 10 + 8);
    assert_in_range(send_log_between(&l, now - 1000000, now), 3 * SEND_LOG_EXACT - 9, 3 * SEND_LOG_EXACT);
    assert_in_range(send_log_between(&l, now - INT64_C(864000000), now), 3 * SEND_LOG_EXACT - 9,
                    3 * SEND_LOG_EXACT);
}

static void test_days(void **state)
{
    int64_t now = 0;
    uint32_t left = 0;

    (void)state;
    send_log_init(&l, 0);
    for (int i = 0; i < 4 * 86400; i++)
        send_log_add(&l, now += 1000);
    assert_in_range(send_log_between(&l, now - 86400000, now), 86400 - 600, 86400 + 600);
    assert_in_range(send_log_between(&l, now - 3600000, now), 3600 - 20, 3600 + 20);
    send_log_add(&l, now += 10 * 86400000LL); /* all slots are passed over */
    assert_int_equal(send_log_between(&l, now - 1000, now), 1);
    for (int i = 0; i < SEND_LOG_SLOTS; i++)
        left += l.slots[0][i];
    assert_int_equal(left, 1);
}

static void test_refused_leaves_the_slots(void **state)
{
    (void)state;
    send_log_init(&l, 0);
    send_log_add(&l, 500);
    send_log_add(&l, 600);
    assert_int_equal(l.slots[0][0], 2);
    send_log_refused(&l, 1);
    for (int k = 0; k < SEND_LOG_LEVELS; k++)
        assert_int_equal(l.slots[k][0], 1);
    send_log_add(&l, 900000); /* the finest slot of the first is used by another time now */
    send_log_refused(&l, 0);
    assert_int_equal(l.slots[SEND_LOG_LEVELS - 1][0], 1);
    assert_int_equal(l.total, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_old_sends_are_counted_in_slots),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_refused_leaves_the_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
