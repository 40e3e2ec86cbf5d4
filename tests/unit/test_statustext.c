/* SPOOL/STATUS.txt: what it says, and what it does not say because it would not stay true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/statustext.h"

#define NOW INT64_C(1764057600123) /* 2025-11-25T08:00:00.123Z */

static struct status busy(void)
{
    return (struct status){
        .per_second = 2,
        .has_counts = true,
        .counts = {.waiting = 100, .in_flight = 20, .done = 7, .oldest_waiting_at_ms = NOW - 3600000},
    };
}

static const char *text_of(const struct status *s, const char *ended)
{
    static char buf[STATUS_TEXT_SIZE];
    const struct status_text_about about = {.written_ms = NOW, .changed_ms = NOW - 1000, .ended = ended};
    size_t len = status_text(s, &about, buf);
    assert_int_equal(len, strlen(buf));
    return buf;
}

static void test_a_busy_daemon(void **state)
{
    (void)state;
    const struct status s = busy();
    assert_string_equal(text_of(&s, NULL),
                        "flowspoold is running.\n"
                        "Last change 2025-11-25T07:59:59Z, written 2025-11-25T08:00:00Z (UTC).\n"
                        "\n"
                        "waiting    100 (the oldest since 2025-11-25T07:00:00Z)\n"
                        "in flight  20\n"
                        "done       7\n"
                        "failed     0\n"
                        "rate       2.0 a second, about 1m left\n"
                        "sending    open\n");
}

static void test_holds_say_what_to_do(void **state)
{
    (void)state;
    const struct status_hold holds[] = {
        {STATUS_GATE, NULL, "paused", "", 1000, -1, false, 0},
        {STATUS_ACCOUNT, NULL, "no_credits", "402 \033[31mbuy\nmore", 5, 9000, false, 1},
    };
    struct status s = busy();
    s.holds = holds;
    s.nholds = 2;
    s.counts = (struct status_counts){.waiting = 1,
                                      .later = 2,
                                      .held = 3,
                                      .missing = 4,
                                      .failed = 5,
                                      .refused = 6,
                                      .oldest_waiting_at_ms = -1};
    const char *text = text_of(&s, NULL);
    assert_non_null(strstr(text, "\nsending    held: paused; to go on: flowspool resume\n"));
    assert_non_null(strstr(
        text,
        "\n           held: the account refuses work (402 \\x1b[31mbuy\\x0amore); asks again by itself\n"));
    assert_non_null(strstr(text, "\nlater      2 ("));
    assert_non_null(strstr(text, "\nheld       3\n"));
    assert_non_null(strstr(text, "\nmissing    4 ("));
    assert_non_null(strstr(text, "\nfailed     5 (why: NAME.error.json"));
    assert_non_null(strstr(text, "\nrefused    6 ("));
    assert_null(strstr(text, "rate")); /* nothing is sent */
    assert_null(strstr(text, "open"));
    assert_null(strchr(text, '\033'));
}

/* What changes are told by: it is the same as long as nothing happened. */
static void test_what_changes_are_of(void **state)
{
    (void)state;
    char before[STATUS_TEXT_SIZE], after[STATUS_TEXT_SIZE];
    const struct status_text_about about = {0};
    struct status s = busy();
    struct status_hold hold = {STATUS_RATE, NULL, "429", "", 1000, 9000, false, 1};
    s.holds = &hold;
    s.nholds = 1;
    status_text(&s, &about, before);
    s.per_second = 1;
    s.uptime_ms = 99;
    hold.held_for_ms = 2000;
    hold.next_probe_ms = 8000;
    status_text(&s, &about, after);
    assert_string_equal(after, before);
    s.counts.done++;
    status_text(&s, &about, after);
    assert_string_not_equal(after, before);
}

static void test_the_last_one_says_so(void **state)
{
    (void)state;
    const struct status s = busy();
    const char *text = text_of(&s, "has stopped");
    assert_int_equal(strncmp(text, "flowspoold has stopped; nothing is sent.\n", 41), 0);
    assert_null(strstr(text, "sending"));
    assert_null(strstr(text, "rate"));
    assert_non_null(strstr(text, "waiting    100"));
}

static void test_counts_that_are_not_known(void **state)
{
    (void)state;
    struct status s = busy();
    s.has_counts = false;
    assert_null(strstr(text_of(&s, NULL), "waiting"));
    assert_int_equal(status_left_ms(&s), -1);
}

static void test_it_is_bounded(void **state)
{
    (void)state;
    static struct status_hold holds[STATUS_HOLDS_MAX];
    char reason[700];
    memset(reason, '\001', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    for (size_t i = 0; i < STATUS_HOLDS_MAX; i++)
        holds[i] = (struct status_hold){STATUS_WORKFLOW, "wf", "server_errors", reason, 1, -1, true, 1};
    struct status s = busy();
    s.holds = holds;
    s.nholds = STATUS_HOLDS_MAX;
    s.holds_omitted = 2;
    assert_true(strlen(text_of(&s, NULL)) < STATUS_TEXT_SIZE);
    for (size_t i = 0; i < STATUS_HOLDS_MAX; i++)
        holds[i].reason = "";
    assert_non_null(strstr(text_of(&s, NULL), "\n           and 122 more\n"));
}

static void test_time_left(void **state)
{
    (void)state;
    const struct status_hold gate = {STATUS_GATE, NULL, "paused", "", -1, -1, false, 0};
    const struct status_hold rate = {STATUS_RATE, NULL, "429", "", -1, -1, false, 0};
    struct status s = busy();
    assert_int_equal(status_left_ms(&s), 60000);
    s.holds = &rate;
    s.nholds = 1;
    assert_int_equal(status_left_ms(&s), 60000);
    s.holds = &gate;
    assert_int_equal(status_left_ms(&s), -1);
    s.nholds = 0;
    s.per_second = 0;
    assert_int_equal(status_left_ms(&s), -1);
    s.counts.waiting = s.counts.in_flight = 0;
    assert_int_equal(status_left_ms(&s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_busy_daemon),
        cmocka_unit_test(test_holds_say_what_to_do),
        cmocka_unit_test(test_what_changes_are_of),
        cmocka_unit_test(test_the_last_one_says_so),
        cmocka_unit_test(test_counts_that_are_not_known),
        cmocka_unit_test(test_it_is_bounded),
        cmocka_unit_test(test_time_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
