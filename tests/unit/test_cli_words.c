/* Jobs, names, times and what happened, in words; and what is remembered of a million names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/firsts.h"
#include "cli/history.h"
#include "cli/jobwords.h"
#include "cli/namewords.h"
#include "cli/timewords.h"
#include "core/verdict.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- words ---- */

static void test_every_verdict_has_words(void **state)
{
    (void)state;
    for (int v = VERDICT_SUCCESS; v < VERDICT_COUNT; v++) {
        const char *name = verdict_name((enum verdict)v);
        if (v != VERDICT_SUCCESS && strcmp(verdict_words(name), name) == 0)
            fail_msg("no words for %s", name);
        assert_true(strlen(verdict_words(name)) <= 32);
    }
    assert_string_equal(verdict_words("success"), "success");
    assert_string_equal(verdict_words("of a newer daemon"), "of a newer daemon");
    assert_string_equal(verdict_words(""), "");
}

static void test_names(void **state)
{
    static const struct {
        const char *name, *part; /* NULL: a job */
    } cases[] = {
        {"a.yaml", NULL},           {"a.YML", NULL},
        {"a.yaml.hold", NULL},      {"a.yaml.txt", "end in .yaml"},
        {".a.yaml", "begins with"}, {"_a.yaml", "begins with"},
        {"a.yaml.tmp", "copy"},     {"a (conflicted copy 2026-11-24).yaml", "conflicting copy"},
        {"a.json", "end in .yaml"}, {".flowspool.a1B2c3", "temporary"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *why = name_ignored_words(cases[i].name);
        if ((why == NULL) != (cases[i].part == NULL) || (why != NULL && strstr(why, cases[i].part) == NULL))
            fail_msg("%s: %s", cases[i].name, why != NULL ? why : "(a job)");
    }
    assert_null(path_ignored_words("a.yaml"));
    assert_null(path_ignored_words("sub/deep/_a.yaml"));
    assert_non_null(path_ignored_words("_sub/a.yaml"));
    assert_non_null(path_ignored_words("sub/.git/a.yaml"));
}

static void test_times(void **state)
{
    char buf[TIME_WORDS_SIZE];
    (void)state;
    assert_string_equal(time_words(1000, 4000, buf), "1970-01-01T00:00:01.000Z, 3s ago");
    assert_string_equal(time_words(64000, 4000, buf), "1970-01-01T00:01:04.000Z, in 1m");
    assert_string_equal(time_words(4000, 4999, buf), "1970-01-01T00:00:04.000Z, now");
    assert_string_equal(span_words(5, buf), "1s");
}

/* ---- what happened ---- */

static char path[] = "a.yaml", stem[] = "a", code[] = "server_error", why[] = "no",
            kept[] = "a.7.result.json";

static char *told(const struct job_row *r, const struct attempt_row *attempts, size_t count)
{
    struct event events[16];
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    size_t n = history_events(r, attempts, count, events);
    assert_true(n <= 2 * count + 5);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%lld ", (long long)events[i].at_ms);
        history_words(r, &events[i], out);
        fputc('\n', out);
    }
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_history(void **state)
{
    static const struct attempt_row attempts[] = {
        {.n = 1,
         .sent_ms = 20,
         .ended_ms = 30,
         .duration_ms = 9,
         .verdict = "server_error",
         .http_status = 500},
        {.n = 2, .sent_ms = 50, .ended_ms = 60, .duration_ms = -1, .verdict = "crashed"},
        {.n = 3, .sent_ms = 70, .ended_ms = 0, .duration_ms = -1},
    };
    static const struct {
        struct job_row row;
        size_t attempts;
        const char *expected;
    } cases[] = {
        {{.seen_ms = 10, .queued_ms = 10}, 0, "10 seen\n"},
        {{.seen_ms = 10, .queued_ms = 15, .state = JOB_SENT},
         3,
         "10 seen\n15 queued\n20 attempt 1 sent\n30 attempt 1: the service failed, status 500, after 9ms\n"
         "50 attempt 2 sent\n60 attempt 2: cut off; may have been charged\n70 attempt 3 sent\n"},
        {{.seen_ms = 10, .queued_ms = 10, .due_ms = 99},
         1,
         "10 seen\n20 attempt 1 sent\n30 attempt 1: the service failed, status 500, after 9ms\n"
         "30 waits, to be sent again at 1970-01-01T00:00:00.099Z\n"},
        {{.seen_ms = 10, .queued_ms = 10, .due_ms = 99, .not_before_ms = 99},
         0,
         "10 seen\n10 waits for its not_before, 1970-01-01T00:00:00.099Z\n"},
        {{.seen_ms = 10,
          .queued_ms = 10,
          .state = JOB_FAILED,
          .finished_ms = 40,
          .code = code,
          .message = why},
         1,
         "10 seen\n20 attempt 1 sent\n30 attempt 1: the service failed, status 500, after 9ms\n"
         "40 failed: server_error: no\n"},
        {{.seen_ms = 10, .queued_ms = 10, .state = JOB_DONE, .blocked = 8, .outcome = kept},
         0,
         "10 seen\n10 done: a.result.json\n10 superseded: its file holds another request now; the outcome is "
         "kept as "
         "superseded/a.7.result.json\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct job_row r = cases[i].row;
        r.path = path, r.stem = stem;
        char *text = told(&r, attempts, cases[i].attempts);
        assert_string_equal(text, cases[i].expected);
        free(text);
    }
}

/* A clock that stepped back. */
static void test_history_is_in_order(void **state)
{
    static const struct attempt_row attempts[] = {
        {.n = 1, .sent_ms = 5, .ended_ms = 7, .duration_ms = 2, .verdict = "success"}};
    struct job_row r = {.path = path, .stem = stem, .seen_ms = 10, .queued_ms = 8};
    struct event events[8];
    (void)state;
    size_t n = history_events(&r, attempts, 1, events);
    for (size_t i = 1; i < n; i++)
        assert_true(events[i - 1].at_ms <= events[i].at_ms);
}

/* ---- who was first ---- */

static void digest_of(size_t n, char digest[DIGEST_HEX])
{
    const struct digest_part part = {&n, sizeof n};
    digest_hex(&part, 1, digest);
}

static void test_firsts(void **state)
{
    struct firsts f;
    char digest[DIGEST_HEX], name[32], *first = NULL;
    (void)state;
    assert_true(firsts_open(&f));
    for (size_t i = 0; i < 20000; i++) {
        digest_of(i, digest);
        snprintf(name, sizeof name, "job-%zu", i);
        assert_true(firsts_see(&f, digest, name, &first));
        assert_null(first);
    }
    for (size_t i = 0; i < 20000; i += 997) { /* reading and adding in turns */
        digest_of(i, digest);
        snprintf(name, sizeof name, "job-%zu", i);
        assert_true(firsts_see(&f, digest, "another", &first));
        assert_string_equal(first, name);
        free(first);
        digest_of(i + 100000, digest);
        assert_true(firsts_see(&f, digest, "new", &first));
        assert_null(first);
    }
    assert_false(f.full);
    firsts_close(&f);
}

/* Digests that begin alike are not the same. */
static void test_firsts_compares_all_of_a_digest(void **state)
{
    struct firsts f;
    char a[DIGEST_HEX], b[DIGEST_HEX], *first = NULL;
    (void)state;
    digest_of(1, a);
    memcpy(b, a, sizeof b);
    b[DIGEST_HEX - 2] = b[DIGEST_HEX - 2] == '0' ? '1' : '0';
    assert_true(firsts_open(&f));
    assert_true(firsts_see(&f, a, "a", &first) && first == NULL);
    assert_true(firsts_see(&f, b, "b", &first) && first == NULL);
    assert_true(firsts_see(&f, b, "c", &first));
    assert_string_equal(first, "b");
    free(first);
    firsts_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_verdict_has_words),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_history_is_in_order),
        cmocka_unit_test(test_firsts),
        cmocka_unit_test(test_firsts_compares_all_of_a_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
