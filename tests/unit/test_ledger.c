#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/ledger.h"
#include "core/verdict.h"

static void every_verdict_is_of_one_kind(void **state)
{
    static const struct {
        const char *verdict;
        enum ledger_kind kind;
    } cases[] = {
        {"success", LEDGER_BOUGHT},
        {"invalid_response", LEDGER_BOUGHT},
        {"too_large", LEDGER_BOUGHT},
        {"ambiguous", LEDGER_POSSIBLY},
        {"crashed", LEDGER_POSSIBLY},
        {"rate_limited", LEDGER_REFUSED},
        {"endpoint_away", LEDGER_REFUSED},
        {"account_refused", LEDGER_REFUSED},
        {"workflow_held", LEDGER_REFUSED},
        {"server_error_held", LEDGER_REFUSED},
        {"", LEDGER_IN_FLIGHT},
        {NULL, LEDGER_IN_FLIGHT},
        {"of a newer one", LEDGER_POSSIBLY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ledger l = {0};
        ledger_add_runs(&l, cases[i].verdict, 3);
        for (int k = 0; k < LEDGER_KINDS; k++)
            assert_int_equal(l.runs[k], k == (int)cases[i].kind ? 3 : 0);
    }
}

/* A verdict that is added to verdict.h must not count as possibly bought by accident. */
static void every_verdict_is_known(void **state)
{
    (void)state;
    for (int v = VERDICT_SUCCESS; v < VERDICT_COUNT; v++) {
        struct ledger l = {0};
        ledger_add_runs(&l, verdict_name((enum verdict)v), 1);
        assert_int_equal(l.other, 0);
    }
}

static void every_outcome_is_of_one_kind(void **state)
{
    static const struct {
        struct ledger_outcome outcome;
        enum ledger_kind kind;
    } cases[] = {
        {{JOB_DONE, NULL, 1, 0}, LEDGER_BOUGHT},
        {{JOB_DONE, NULL, 1, 1}, LEDGER_BOUGHT},
        {{JOB_DONE, NULL, 0, 0}, LEDGER_SAVED},
        {{JOB_FAILED, CODE_INVALID_RESPONSE, 1, 0}, LEDGER_BOUGHT},
        {{JOB_FAILED, CODE_RESPONSE_TOO_LARGE, 0, 0}, LEDGER_SAVED},
        {{JOB_FAILED, CODE_AMBIGUOUS, 0, 1}, LEDGER_POSSIBLY},
        {{JOB_FAILED, CODE_AMBIGUOUS, 0, 0}, LEDGER_SAVED},
        {{JOB_FAILED, CODE_CANCELLED, 0, 1}, LEDGER_POSSIBLY},
        {{JOB_FAILED, CODE_CANCELLED, 0, 0}, LEDGER_REFUSED},
        {{JOB_FAILED, CODE_REJECTED, 1, 0}, LEDGER_REFUSED},
        {{JOB_FAILED, CODE_INVALID_JOB, 0, 0}, LEDGER_REFUSED},
    };
    (void)state;
    struct ledger all = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ledger l = {0};
        ledger_add_outcomes(&l, &cases[i].outcome, 2);
        ledger_add_outcomes(&all, &cases[i].outcome, 1);
        assert_int_equal(l.outcomes[cases[i].kind], 2);
        assert_int_equal(ledger_outcomes(&l), 2);
    }
    assert_int_equal(ledger_outcomes(&all), sizeof cases / sizeof cases[0]);
}

static void what_was_bought_and_is_not_there_is_told(void **state)
{
    (void)state;
    struct ledger l = {.recorded = 3, .sent = 3, .ended = 1, .tallied = 1};
    const struct ledger_outcome done = {JOB_DONE, NULL, 1, 0};
    ledger_add_runs(&l, "success", 3);
    ledger_add_outcomes(&l, &done, 1);
    ledger_add_saved(&l, "same", 2);
    ledger_add_saved(&l, "recovered", 1);
    assert_int_equal(ledger_replaced(&l), 2);
    assert_int_equal(l.runs[LEDGER_SAVED], 3);
    assert_int_equal(l.savings[LEDGER_SAME], 2);
    assert_true(ledger_balanced(&l));
    l.sent++;
    assert_false(ledger_balanced(&l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verdict_is_of_one_kind),
        cmocka_unit_test(every_verdict_is_known),
        cmocka_unit_test(every_outcome_is_of_one_kind),
        cmocka_unit_test(what_was_bought_and_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
