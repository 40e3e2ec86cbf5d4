/* Reconcile: every kind of known job against every kind of content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/reconcile.h"

#define MANY 10000

/* ---- one known job, one document ---- */

struct single {
    const char *name;
    struct known_job known;                   /* identity "a" is filled in */
    enum reconcile_action untouched, written; /* where the document is "a" */
    enum reconcile_leftover leftover;         /* where it is not */
};

static const struct single singles[] = {
    {"waiting", {.state = JOB_WAITING}, RECONCILE_KEEP, RECONCILE_KEEP, LEFTOVER_DROP},
    {"waiting, attempted",
     {.state = JOB_WAITING, .attempted = true},
     RECONCILE_KEEP,
     RECONCILE_KEEP,
     LEFTOVER_DROP},
    {"sent", {.state = JOB_SENT}, RECONCILE_KEEP, RECONCILE_KEEP, LEFTOVER_SUPERSEDE},
    {"replied", {.state = JOB_REPLIED}, RECONCILE_KEEP, RECONCILE_KEEP, LEFTOVER_SUPERSEDE},
    {"done", {.state = JOB_DONE}, RECONCILE_ALREADY, RECONCILE_ALREADY, LEFTOVER_SUPERSEDE},
    {"done elsewhere",
     {.state = JOB_DONE, .elsewhere = true},
     RECONCILE_RERUN,
     RECONCILE_RERUN,
     LEFTOVER_SUPERSEDE},
    {"done, asked for again",
     {.state = JOB_DONE, .asked = true},
     RECONCILE_RERUN,
     RECONCILE_RERUN,
     LEFTOVER_SUPERSEDE},
    {"failed, asked for again",
     {.state = JOB_FAILED, .asked = true},
     RECONCILE_RERUN,
     RECONCILE_RERUN,
     LEFTOVER_SUPERSEDE},
    {"ambiguous, asked for again",
     {.state = JOB_FAILED, .charged_failure = true, .asked = true},
     RECONCILE_RERUN,
     RECONCILE_RERUN,
     LEFTOVER_SUPERSEDE},
    {"failed", {.state = JOB_FAILED}, RECONCILE_SETTLED, RECONCILE_RERUN, LEFTOVER_SUPERSEDE},
    {"done, asked for",
     {.state = JOB_DONE, .asked = true},
     RECONCILE_RERUN,
     RECONCILE_RERUN,
     LEFTOVER_SUPERSEDE},
    {"ambiguous, asked for",
     {.state = JOB_FAILED, .charged_failure = true, .asked = true},
     RECONCILE_RERUN,
     RECONCILE_RERUN,
     LEFTOVER_SUPERSEDE},
    {"waiting, asked for",
     {.state = JOB_WAITING, .asked = true},
     RECONCILE_KEEP,
     RECONCILE_KEEP,
     LEFTOVER_DROP},
    {"ambiguous",
     {.state = JOB_FAILED, .charged_failure = true},
     RECONCILE_SETTLED,
     RECONCILE_SETTLED,
     LEFTOVER_SUPERSEDE},
    {"superseded, waiting",
     {.state = JOB_WAITING, .superseded = true},
     RECONCILE_KEEP,
     RECONCILE_KEEP,
     LEFTOVER_NONE},
    {"superseded, sent",
     {.state = JOB_SENT, .superseded = true},
     RECONCILE_KEEP,
     RECONCILE_KEEP,
     LEFTOVER_NONE},
    {"superseded, replied",
     {.state = JOB_REPLIED, .superseded = true},
     RECONCILE_KEEP,
     RECONCILE_KEEP,
     LEFTOVER_NONE},
    {"superseded, done",
     {.state = JOB_DONE, .superseded = true},
     RECONCILE_ALREADY,
     RECONCILE_ALREADY,
     LEFTOVER_NONE},
    {"superseded, done elsewhere",
     {.state = JOB_DONE, .superseded = true, .elsewhere = true},
     RECONCILE_RERUN,
     RECONCILE_RERUN,
     LEFTOVER_NONE},
    {"superseded, failed",
     {.state = JOB_FAILED, .superseded = true},
     RECONCILE_SETTLED,
     RECONCILE_RERUN,
     LEFTOVER_NONE},
    {"superseded, ambiguous",
     {.state = JOB_FAILED, .superseded = true, .charged_failure = true},
     RECONCILE_SETTLED,
     RECONCILE_SETTLED,
     LEFTOVER_NONE},
};

static void test_single(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        struct known_job known = singles[i].known;
        struct job_spec spec = {.request_sha256 = "a"};
        struct jobfile f = {.jobs = &spec, .count = 1};
        struct reconcile_match match;
        enum reconcile_leftover left;

        known.id = 42;
        strcpy(known.request_sha256, "a");
        for (int written = 0; written < 2; written++) {
            assert_true(reconcile(&f, &known, 1, written, &match, &left));
            if (match.action != (written ? singles[i].written : singles[i].untouched) || match.job != 42 ||
                left != LEFTOVER_NONE)
                fail_msg("%s, written %d: action %d, leftover %d", singles[i].name, written,
                         (int)match.action, (int)left);
            strcpy(spec.request_sha256, "b");
            assert_true(reconcile(&f, &known, 1, written, &match, &left));
            if (match.action != RECONCILE_NEW || match.job != 0 || left != singles[i].leftover)
                fail_msg("%s, another document: action %d, leftover %d", singles[i].name, (int)match.action,
                         (int)left);
            strcpy(spec.request_sha256, "a");
        }
    }
}

static void test_refused_file_leaves(void **state)
{
    struct known_job known[] = {{.id = 1, .state = JOB_FAILED},
                                {.id = 2, .state = JOB_FAILED, .superseded = true}};
    struct job_spec spec = {.request_sha256 = ""}; /* an identity that never comes out of a parse */
    struct jobfile f = {.jobs = &spec, .count = 1};
    struct reconcile_match match;
    enum reconcile_leftover left[2];

    (void)state;
    assert_true(reconcile(&f, known, 2, true, &match, left));
    assert_int_equal(match.action, RECONCILE_NEW);
    assert_int_equal(left[0], LEFTOVER_DROP);
    assert_int_equal(left[1], LEFTOVER_DROP);
}

static void test_nothing_known(void **state)
{
    struct job_spec specs[2] = {{.request_sha256 = "b"}, {.request_sha256 = "a"}};
    struct jobfile f = {.jobs = specs, .count = 2};
    struct reconcile_match matches[2];

    (void)state;
    assert_true(reconcile(&f, NULL, 0, true, matches, NULL));
    assert_int_equal(matches[0].action, RECONCILE_NEW);
    assert_int_equal(matches[1].action, RECONCILE_NEW);
}

/* ---- several rows of one identity ---- */

static void test_which_row_wins(void **state)
{
    static const struct known_job done = {.state = JOB_DONE};
    static const struct known_job done_history = {.state = JOB_DONE, .superseded = true};
    static const struct known_job replied = {.state = JOB_REPLIED};
    static const struct known_job sent = {.state = JOB_SENT};
    static const struct known_job waiting = {.state = JOB_WAITING};
    static const struct known_job ambiguous = {.state = JOB_FAILED, .charged_failure = true};
    static const struct known_job failed = {.state = JOB_FAILED};
    static const struct known_job sandbox = {.state = JOB_DONE, .elsewhere = true};
    static const struct known_job sent_history = {.state = JOB_SENT, .superseded = true};
    static const struct known_job failed_history = {.state = JOB_FAILED, .superseded = true};
    /* Best first: what has a result, then the present before history, paid before free. */
    const struct known_job *const order[] = {&done,         &done_history,  &replied, &sent,
                                             &waiting,      &ambiguous,     &failed,  &sandbox,
                                             &sent_history, &failed_history};
    const size_t n = sizeof order / sizeof order[0];

    (void)state;
    for (size_t better = 0; better < n; better++) {
        for (size_t worse = better + 1; worse < n; worse++) {
            for (size_t swap = 0; swap < 2; swap++) {
                struct known_job known[2];
                struct job_spec spec = {.request_sha256 = "a"};
                struct jobfile f = {.jobs = &spec, .count = 1};
                struct reconcile_match match;
                enum reconcile_leftover left[2];

                known[swap] = *order[better];
                known[1 - swap] = *order[worse];
                for (int k = 0; k < 2; k++) {
                    known[k].id = k + 1;
                    strcpy(known[k].request_sha256, "a");
                }
                assert_true(reconcile(&f, known, 2, false, &match, left));
                if (match.job != (int64_t)swap + 1)
                    fail_msg("row %d lost to row %d", (int)better, (int)worse);
                assert_int_equal(left[swap], LEFTOVER_NONE);
                assert_int_equal(left[1 - swap], known[1 - swap].superseded             ? LEFTOVER_NONE
                                                 : known[1 - swap].state == JOB_WAITING ? LEFTOVER_DROP
                                                                                        : LEFTOVER_SUPERSEDE);
            }
        }
    }
}

/* What the operator asked for is what runs, not an older result of the same request. */
static void test_what_was_asked_for_goes_before_history(void **state)
{
    struct known_job known[] = {{.id = 3, .request_sha256 = "a", .state = JOB_DONE, .superseded = true},
                                {.id = 2, .request_sha256 = "a", .state = JOB_DONE, .asked = true}};
    struct job_spec spec = {.request_sha256 = "a"};
    struct jobfile f = {.jobs = &spec, .count = 1};
    struct reconcile_match match;
    enum reconcile_leftover left[2];

    (void)state;
    assert_true(reconcile(&f, known, 2, false, &match, left));
    assert_int_equal(match.job, 2);
    assert_int_equal(match.action, RECONCILE_RERUN);
}

static void test_newest_row_wins_a_tie(void **state)
{
    struct known_job known[] = {{.id = 3, .request_sha256 = "a", .state = JOB_FAILED},
                                {.id = 9, .request_sha256 = "a", .state = JOB_FAILED},
                                {.id = 5, .request_sha256 = "a", .state = JOB_FAILED}};
    struct job_spec spec = {.request_sha256 = "a"};
    struct jobfile f = {.jobs = &spec, .count = 1};
    struct reconcile_match match;
    enum reconcile_leftover left[3];

    (void)state;
    assert_true(reconcile(&f, known, 3, true, &match, left));
    assert_int_equal(match.job, 9);
    assert_int_equal(left[0], LEFTOVER_SUPERSEDE);
    assert_int_equal(left[1], LEFTOVER_NONE);
    assert_int_equal(left[2], LEFTOVER_SUPERSEDE);
}

static void test_a_row_is_matched_once(void **state)
{
    struct known_job known = {.id = 3, .request_sha256 = "a", .state = JOB_WAITING};
    struct job_spec specs[2] = {{.request_sha256 = "a"}, {.request_sha256 = "a"}};
    struct jobfile f = {.jobs = specs, .count = 2};
    struct reconcile_match matches[2];
    enum reconcile_leftover left;

    (void)state;
    assert_true(reconcile(&f, &known, 1, true, matches, &left));
    assert_int_equal(matches[0].action, RECONCILE_KEEP);
    assert_int_equal(matches[0].job, 3);
    assert_int_equal(matches[1].action, RECONCILE_NEW);
}

/* ---- files of several documents ---- */

static void test_documents_in_any_order(void **state)
{
    struct known_job known[] = {{.id = 1, .request_sha256 = "a", .state = JOB_DONE},
                                {.id = 2, .request_sha256 = "b", .state = JOB_WAITING},
                                {.id = 3, .request_sha256 = "c", .state = JOB_SENT},
                                {.id = 4, .request_sha256 = "", .state = JOB_FAILED},
                                {.id = 5, .request_sha256 = "d", .state = JOB_FAILED}};
    struct job_spec specs[] = {
        {.request_sha256 = "d"}, {.request_sha256 = "B"}, {.request_sha256 = "b"}, {.request_sha256 = "a"}};
    struct jobfile f = {.jobs = specs, .count = 4};
    struct reconcile_match m[4];
    enum reconcile_leftover left[5];

    (void)state;
    assert_true(reconcile(&f, known, 5, true, m, left));
    assert_int_equal(m[0].action, RECONCILE_RERUN);
    assert_int_equal(m[0].job, 5);
    assert_int_equal(m[1].action, RECONCILE_NEW);
    assert_int_equal(m[2].action, RECONCILE_KEEP);
    assert_int_equal(m[2].job, 2);
    assert_int_equal(m[3].action, RECONCILE_ALREADY);
    assert_int_equal(m[3].job, 1);
    assert_int_equal(left[0], LEFTOVER_NONE);
    assert_int_equal(left[1], LEFTOVER_NONE);
    assert_int_equal(left[2], LEFTOVER_SUPERSEDE);
    assert_int_equal(left[3], LEFTOVER_DROP);
    assert_int_equal(left[4], LEFTOVER_NONE);
}

/* All documents known, in another order, each with a superseded twin. Finishes at once, or the test's
 * time-out says that it has become quadratic. */
static void test_many(void **state)
{
    struct job_spec *specs = calloc(MANY, sizeof specs[0]);
    struct known_job *known = calloc(2 * MANY, sizeof known[0]);
    struct reconcile_match *m = calloc(MANY, sizeof m[0]);
    enum reconcile_leftover *left = calloc(2 * MANY, sizeof left[0]);
    struct jobfile f = {.jobs = specs, .count = MANY};

    (void)state;
    assert_true(specs && known && m && left);
    for (int i = 0; i < MANY; i++) {
        int other = (int)((long long)i * 7919 % MANY);

        snprintf(specs[i].request_sha256, DIGEST_HEX, "%064d", i);
        known[2 * i] = (struct known_job){.id = other + 1, .state = JOB_WAITING};
        known[2 * i + 1] =
            (struct known_job){.id = MANY + other + 1, .state = JOB_FAILED, .superseded = true};
        snprintf(known[2 * i].request_sha256, DIGEST_HEX, "%064d", other);
        snprintf(known[2 * i + 1].request_sha256, DIGEST_HEX, "%064d", other);
    }
    assert_true(reconcile(&f, known, 2 * MANY, true, m, left));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(m[i].action, RECONCILE_KEEP);
        assert_int_equal(m[i].job, i + 1);
        assert_int_equal(left[2 * i], LEFTOVER_NONE);
        assert_int_equal(left[2 * i + 1], LEFTOVER_NONE);
    }
    free(specs);
    free(known);
    free(m);
    free(left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),
        cmocka_unit_test(test_refused_file_leaves),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_which_row_wins),
        cmocka_unit_test(test_what_was_asked_for_goes_before_history),
        cmocka_unit_test(test_newest_row_wins_a_tie),
        cmocka_unit_test(test_a_row_is_matched_once),
        cmocka_unit_test(test_documents_in_any_order),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
