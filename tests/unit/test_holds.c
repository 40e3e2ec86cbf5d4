/* Holds: who probes and when, and the bounded list of workflows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/holds.h"

#define MINUTE 60000

static struct hold held_at(int64_t now)
{
    struct hold h = {0};

    hold_refused(&h, HOLD_UNAUTHORIZED, "Unauthorized", 1, MINUTE, now, 0);
    return h;
}

/* The probe goes and is refused. */
static void probe_refused(struct hold *h, int64_t job, int64_t now, uint64_t random)
{
    assert_true(hold_may_probe(h, now));
    hold_probe_sent(h, job);
    hold_refused(h, h->cause, "again", job, MINUTE, now, random);
}

static void test_not_held(void **state)
{
    struct hold h = {0};

    (void)state;
    assert_false(hold_active(&h));
    assert_false(hold_may_probe(&h, INT64_MAX));
    assert_int_equal(hold_next_probe(&h), INT64_MAX);
    hold_probe_sent(&h, 5);
    hold_probe_now(&h, 5);
    hold_probe_inconclusive(&h, 5, 5);
    assert_false(h.probing);
    assert_int_equal(h.next_probe_ms, 0);
}

static void test_begins(void **state)
{
    struct hold h = held_at(5000);

    (void)state;
    assert_true(hold_active(&h));
    assert_int_equal(h.cause, HOLD_UNAUTHORIZED);
    assert_int_equal(h.since_ms, 5000);
    assert_int_equal(h.refusals, 1);
    assert_string_equal(h.reason, "Unauthorized");
    assert_int_equal(hold_next_probe(&h), 5000 + MINUTE);
    assert_false(hold_may_probe(&h, 5000 + MINUTE - 1));
    assert_true(hold_may_probe(&h, 5000 + MINUTE));
}

static void test_one_probe_at_a_time(void **state)
{
    struct hold h = held_at(0);

    (void)state;
    hold_probe_sent(&h, 7);
    assert_true(h.probing);
    assert_int_equal(h.probe_job, 7);
    assert_false(hold_may_probe(&h, INT64_MAX));
    assert_int_equal(hold_next_probe(&h), INT64_MAX);
}

static void test_wait_doubles_to_its_cap(void **state)
{
    static const int64_t minutes[] = {2, 4, 8, 15, 15, 15};
    struct hold h = held_at(0);
    int64_t now = MINUTE;

    (void)state;
    for (size_t i = 0; i < sizeof minutes / sizeof minutes[0]; i++) {
        probe_refused(&h, 2 + (int64_t)i, now, 0);
        assert_false(h.probing);
        assert_int_equal(h.probe_job, 0);
        assert_int_equal(h.last_probe_job, 2 + i);
        assert_int_equal(h.refusals, 2 + i);
        assert_int_equal(h.since_ms, 0);
        assert_int_equal(hold_next_probe(&h), now + minutes[i] * MINUTE);
        now = hold_next_probe(&h);
    }
}

static void test_jitter_is_added(void **state)
{
    static const struct {
        uint64_t random;
        int64_t jitter;
    } cases[] = {{0, 0}, {6000, 6000}, {6001, 0}, {UINT64_MAX, (int64_t)(UINT64_MAX % 6001)}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hold h = {0};

        hold_refused(&h, HOLD_UNREACHABLE, "", 1, MINUTE, 100, cases[i].random);
        assert_int_equal(hold_next_probe(&h), 100 + MINUTE + cases[i].jitter);
    }
}

static void test_odd_probe_intervals(void **state)
{
    static const struct {
        int64_t probe, first, second;
    } cases[] = {
        {0, 1, 2},
        {-5, 1, 2},
        {10 * MINUTE, 10 * MINUTE, 15 * MINUTE},
        {60 * MINUTE, 60 * MINUTE, 60 * MINUTE}, /* asked for more than the cap: keeps it */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hold h = {0};

        hold_refused(&h, HOLD_UNREACHABLE, "", 1, cases[i].probe, 0, 0);
        assert_int_equal(hold_next_probe(&h), cases[i].first);
        hold_probe_sent(&h, 2);
        hold_refused(&h, HOLD_UNREACHABLE, "", 2, cases[i].probe, 0, 0);
        assert_int_equal(hold_next_probe(&h), cases[i].second);
    }
}

static void test_late_refusals_do_not_double(void **state)
{
    struct hold h = held_at(0);

    (void)state;
    hold_refused(&h, HOLD_NO_CREDITS, "no credits", 50, MINUTE, 200, 0);
    assert_int_equal(h.cause, HOLD_NO_CREDITS);
    assert_string_equal(h.reason, "no credits");
    assert_int_equal(h.since_ms, 0);
    assert_int_equal(h.refusals, 1);
    assert_int_equal(hold_next_probe(&h), MINUTE);

    hold_probe_sent(&h, 7); /* nor while a probe is out, nor does the probe end by it */
    hold_refused(&h, HOLD_UNAUTHORIZED, "late", 51, MINUTE, MINUTE + 5, 0);
    assert_true(h.probing);
    assert_int_equal(h.wait_ms, MINUTE);
    hold_refused(&h, HOLD_UNAUTHORIZED, "", 0, MINUTE, MINUTE + 5, 0); /* nobody's */
    assert_true(h.probing);
    hold_refused(&h, HOLD_UNAUTHORIZED, "probe", 7, MINUTE, MINUTE + 9, 0);
    assert_int_equal(h.wait_ms, 2 * MINUTE);
    assert_int_equal(h.refusals, 2);
}

static void test_inconclusive(void **state)
{
    struct hold h = held_at(0);

    (void)state;
    hold_probe_sent(&h, 7);
    hold_probe_inconclusive(&h, 8, MINUTE); /* not the probe */
    assert_true(h.probing);
    hold_probe_inconclusive(&h, 7, MINUTE);
    assert_false(h.probing);
    assert_int_equal(h.refusals, 1);
    assert_int_equal(hold_next_probe(&h), 2 * MINUTE);
    /* Its refusal may still come: it was the last to probe. */
    hold_refused(&h, HOLD_UNAUTHORIZED, "", 7, MINUTE, MINUTE + 1, 0);
    assert_int_equal(h.wait_ms, 2 * MINUTE);
}

static void test_probe_now(void **state)
{
    struct hold h = held_at(0);

    (void)state;
    hold_probe_now(&h, 10);
    assert_true(hold_may_probe(&h, 10));
    probe_refused(&h, 2, 10, 0);
    assert_int_equal(hold_next_probe(&h), 10 + 2 * MINUTE);

    /* A new key while the old one is being tried: the old answer costs no patience. */
    hold_probe_now(&h, 20);
    hold_probe_sent(&h, 3);
    hold_probe_now(&h, 30);
    assert_false(hold_may_probe(&h, 30));
    hold_refused(&h, HOLD_UNAUTHORIZED, "", 3, MINUTE, 40, 0);
    assert_true(hold_may_probe(&h, 40));
    probe_refused(&h, 4, 40, 0);
    assert_int_equal(hold_next_probe(&h), 40 + 4 * MINUTE);

    hold_probe_now(&h, 50);
    hold_probe_sent(&h, 5);
    hold_probe_now(&h, 60);
    hold_probe_inconclusive(&h, 5, 70);
    assert_true(hold_may_probe(&h, 70));
    hold_probe_sent(&h, 6);
    hold_probe_inconclusive(&h, 6, 80);
    assert_false(hold_may_probe(&h, 80));
}

static void test_lift(void **state)
{
    struct hold h = held_at(0);

    (void)state;
    probe_refused(&h, 2, MINUTE, 0);
    hold_probe_sent(&h, 3);
    hold_lift(&h);
    assert_false(hold_active(&h));
    assert_false(h.probing);
    assert_int_equal(hold_next_probe(&h), INT64_MAX);
    assert_string_equal(h.reason, "");
    /* The next one starts over, also for the job that probed last. */
    hold_refused(&h, HOLD_UNREACHABLE, "", 3, MINUTE, 7, 0);
    assert_int_equal(h.refusals, 1);
    assert_int_equal(h.wait_ms, MINUTE);
}

static void test_far_future(void **state)
{
    struct hold h = {0};

    (void)state;
    hold_refused(&h, HOLD_UNREACHABLE, "", 1, INT64_MAX, INT64_MAX, UINT64_MAX);
    assert_int_equal(h.next_probe_ms, INT64_MAX);
    hold_probe_sent(&h, 2);
    hold_refused(&h, HOLD_UNREACHABLE, "", 2, INT64_MAX, INT64_MAX, UINT64_MAX);
    assert_int_equal(h.wait_ms, INT64_MAX);
}

static void test_reason_is_one_line_of_whole_characters(void **state)
{
    char ascii[200], umlauts[200];
    struct hold h = {0};

    (void)state;
    hold_refused(&h, HOLD_UNREACHABLE, NULL, 1, MINUTE, 0, 0);
    assert_string_equal(h.reason, "");
    hold_refused(&h, HOLD_UNREACHABLE, "a\nb\x1b[2Jc\x7f\td", 1, MINUTE, 0, 0);
    assert_string_equal(h.reason, "a b [2Jc  d");
    memset(ascii, 'x', sizeof ascii - 1);
    ascii[sizeof ascii - 1] = '\0';
    hold_refused(&h, HOLD_UNREACHABLE, ascii, 1, MINUTE, 0, 0);
    assert_int_equal(strlen(h.reason), sizeof h.reason - 1);
    for (size_t i = 0; i + 1 < sizeof umlauts; i += 2)
        memcpy(umlauts + i, "\xc3\xa4", 2);
    umlauts[sizeof umlauts - 2] = '\0';
    hold_refused(&h, HOLD_UNREACHABLE, umlauts, 1, MINUTE, 0, 0);
    assert_int_equal(strlen(h.reason), sizeof h.reason - 2); /* 158: not half of the 80th */
    umlauts[159] = '\0'; /* fits exactly; what the far side broke stays broken */
    hold_refused(&h, HOLD_UNREACHABLE, umlauts, 1, MINUTE, 0, 0);
    assert_string_equal(h.reason, umlauts);
}

static void test_gate_names(void **state)
{
    static const struct {
        enum gate gate;
        const char *name;
    } cases[] = {
        {GATE_PAUSED, "paused"},
        {GATE_PAUSE_FILE, "pause-file"},
        {GATE_VANISHED, "vanished"},
        {GATE_LOST_STATE, "lost-state"},
        {GATE_DISK, "disk"},
        {GATE_MAX_JOBS, "max-jobs"},
        {GATE_SPOOL_GONE, "spool-gone"},
        {GATE_DRAIN, "draining"},
        {(enum gate)0, "unknown"},
        {(enum gate)3, "unknown"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(gate_name(cases[i].gate), cases[i].name);
}

/* ---- workflows ---- */

static const char *name_of(int i)
{
    static char name[32];

    snprintf(name, sizeof name, "wf_%05d", i);
    return name;
}

static void test_workflows_are_found_again(void **state)
{
    struct workflow_holds w = {0};

    (void)state;
    assert_null(workflow_hold_find(&w, "wf_a"));
    for (int i = 0; i < 500; i++) /* in an order that is not sorted */
        workflow_hold_get(&w, name_of(i * 7919 % 500), i)->streak = i * 7919 % 500;
    assert_int_equal(w.count, 500);
    for (int i = 0; i < 500; i++) {
        struct workflow_hold *h = workflow_hold_find(&w, name_of(i));

        assert_non_null(h);
        assert_string_equal(h->workflow, name_of(i));
        assert_int_equal(h->streak, i);
        assert_ptr_equal(workflow_hold_get(&w, name_of(i), 9999), h);
        assert_int_equal(h->touched_ms, 9999);
        if (i > 0)
            assert_true(strcmp(w.items[i - 1].workflow, w.items[i].workflow) < 0);
    }
    assert_null(workflow_hold_find(&w, "wf_"));
    assert_null(workflow_hold_find(&w, "wf_00500"));
    workflow_holds_free(&w);
    assert_int_equal(w.count, 0);
    workflow_holds_free(&w);
}

static void test_new_workflow_is_blank(void **state)
{
    struct workflow_holds w = {0};
    struct workflow_hold *h = workflow_hold_get(&w, "wf_b", 5);

    (void)state;
    memset(&h->hold, 0xff, sizeof h->hold);
    h = workflow_hold_get(&w, "wf_a", 6);
    assert_int_equal(h->hold.cause, HOLD_NONE);
    assert_int_equal(h->streak, 0);
    assert_int_equal(h->not_found_until_ms, 0);
    assert_int_equal(h->touched_ms, 6);
    workflow_holds_free(&w);
}

static void test_workflow_names_have_a_length(void **state)
{
    struct workflow_holds w = {0};
    char name[130];

    (void)state;
    memset(name, 'w', sizeof name);
    name[129] = '\0';
    assert_null(workflow_hold_get(&w, name, 0));
    assert_int_equal(w.count, 0);
    name[128] = '\0';
    assert_non_null(workflow_hold_get(&w, name, 0));
    assert_non_null(workflow_hold_find(&w, name));
    workflow_holds_free(&w);
}

static void fill(struct workflow_holds *w)
{
    for (int i = 0; i < HOLDS_WORKFLOWS_MAX; i++)
        assert_non_null(workflow_hold_get(w, name_of(i), 1000 + i));
}

static void test_workflows_are_bounded(void **state)
{
    struct workflow_holds w = {0};

    (void)state;
    fill(&w);
    workflow_hold_find(&w, name_of(0))->hold.cause = HOLD_NOT_FOUND;
    workflow_hold_get(&w, name_of(1), 999999);
    assert_non_null(workflow_hold_get(&w, "new", 1000000));
    assert_int_equal(w.count, HOLDS_WORKFLOWS_MAX);
    assert_non_null(workflow_hold_find(&w, name_of(0))); /* the oldest, but held */
    assert_non_null(workflow_hold_find(&w, name_of(1))); /* touched since */
    assert_null(workflow_hold_find(&w, name_of(2)));
    assert_non_null(workflow_hold_find(&w, name_of(3)));
    workflow_holds_free(&w);
}

static void test_when_all_are_held_the_oldest_goes(void **state)
{
    struct workflow_holds w = {0};

    (void)state;
    fill(&w);
    for (size_t i = 0; i < w.count; i++)
        w.items[i].hold.cause = HOLD_SERVER_ERRORS;
    w.items[77].touched_ms = 1;
    assert_non_null(workflow_hold_get(&w, "new", 1000000));
    assert_int_equal(w.count, HOLDS_WORKFLOWS_MAX);
    assert_null(workflow_hold_find(&w, name_of(77)));
    workflow_holds_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_held),
        cmocka_unit_test(test_begins),
        cmocka_unit_test(test_one_probe_at_a_time),
        cmocka_unit_test(test_wait_doubles_to_its_cap),
        cmocka_unit_test(test_jitter_is_added),
        cmocka_unit_test(test_odd_probe_intervals),
        cmocka_unit_test(test_late_refusals_do_not_double),
        cmocka_unit_test(test_inconclusive),
        cmocka_unit_test(test_probe_now),
        cmocka_unit_test(test_lift),
        cmocka_unit_test(test_far_future),
        cmocka_unit_test(test_reason_is_one_line_of_whole_characters),
        cmocka_unit_test(test_gate_names),
        cmocka_unit_test(test_workflows_are_found_again),
        cmocka_unit_test(test_new_workflow_is_blank),
        cmocka_unit_test(test_workflow_names_have_a_length),
        cmocka_unit_test(test_workflows_are_bounded),
        cmocka_unit_test(test_when_all_are_held_the_oldest_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
