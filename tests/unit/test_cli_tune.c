/* The view of the rate control: for people, as a chart, for programs; from a daemon, from the state, hostile.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/terminal.h"
#include "cli/tuneview.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static char *shown; /* what was printed last */

static const char *text_of(const struct tune_view *v, bool json, size_t width)
{
    size_t len;
    free(shown);
    shown = NULL;
    FILE *out = open_memstream(&shown, &len);
    assert_non_null(out);
    assert_true(json ? tuneview_json(v, out) : tuneview_text(v, out, false, width));
    assert_int_equal(fclose(out), 0);
    return shown;
}

static const char *chart_of(const struct tuning *t, size_t width)
{
    size_t len;
    free(shown);
    shown = NULL;
    FILE *out = open_memstream(&shown, &len);
    assert_non_null(out);
    tuneview_chart(t, out, width);
    assert_int_equal(fclose(out), 0);
    return shown;
}

static void assert_narrow(const char *text, size_t width)
{
    char *copy = strdup(text), *rest = copy;
    assert_non_null(copy);
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n"))
        if (text_width(line) > width)
            fail_msg("wider than %zu: %s", width, line);
    free(copy);
}

static const struct config config = {0};

static struct tune_view view(void)
{
    struct tune_view v = {
        .cfg = &config,
        .now_ms = 2000000,
        .has_state = true,
        .known = true,
        .daemon = ASK_ANSWERED,
        .tuning =
            {
                .at_ms = 2000000,
                .endpoint = "https://host",
                .key = "3fe3aa00bb11",
                .in_flight = 3,
                .cap = 80,
                .cap_reason = "paced by the server's rate limit",
                .learned = {.mode = "counting",
                            .limit = 10,
                            .window_kind = "sliding",
                            .window_ms = 60000,
                            .source = LEARNED_REPLIES,
                            .replies = 41,
                            .after_ms = 6000,
                            .last_429_ago_ms = 5000},
                .hypotheses =
                    {{.kind = "sliding", .window_ms = 60000, .error = 0.25, .plausible = true, .best = true},
                     {.kind = "fixed", .window_ms = 60000, .error = 1.5, .others = 2, .plausible = true},
                     {.kind = "token bucket", .window_ms = 1000, .error = 1e300}},
                .nhypotheses = 3,
                .readings = {{.ago_ms = 4000, .limit = 10, .used = 2, .predicted = 2},
                             {.ago_ms = 3000, .limit = 10, .used = 5, .predicted = 6},
                             {.ago_ms = 2000, .limit = -1, .used = -1, .predicted = 11, .refused = true},
                             {.ago_ms = 1000, .limit = 10, .used = 10, .predicted = -1}},
                .nreadings = 4,
            },
    };
    return v;
}

static void test_from_a_daemon(void **state)
{
    const struct tune_view v = view();
    (void)state;
    assert_string_equal(text_of(&v, false, 80),
                        "daemon    running\n"
                        "endpoint  https://host, key 3fe3aa00bb11\n"
                        "mode      counting: a request goes when all plausible windows have room for it\n"
                        "rate      limit 10 per 1m, learned 6s after start from 41 replies;\n"
                        "          last 429 5s ago\n"
                        "in flight 3, at most 80 (paced by the server's rate limit)\n"
                        "window    not certain: 2 guesses are plausible\n"
                        "\n"
                        "WINDOW            ERROR  OTHERS  FITS\n"
                        "sliding, 1m       0.25   0.0     best\n"
                        "fixed, 1m         1.50   2.0     plausible\n"
                        "token bucket, 1s  ?      0.0     no\n"
                        "\n"
                        "Used of the limit when the last 4 requests arrived, sent within 3s:\n"
                        "          !\n"
                        "    10 |   #\n"
                        "       |\n"
                        "       |\n"
                        "       | o\n"
                        "     5 | #\n"
                        "       |\n"
                        "       |@\n"
                        "       |\n"
                        "     0 +----\n"
                        "# as the server said, o as the best guess predicted, @ both, ! refused\n"
                        "Predictions were off by 0.5 on average.\n");
}

static void test_as_it_was_kept(void **state)
{
    struct tune_view v = view();
    (void)state;
    v.daemon = ASK_NOBODY;
    v.reason = "not running";
    v.now_ms += 3600000;
    const char *text = text_of(&v, false, 80);
    assert_non_null(strstr(text, "daemon    not running; this is as of 1h ago\n"));
    assert_non_null(strstr(text, "last 429 1h ago"));
    assert_non_null(strstr(text, "in flight 3 then, at most 80"));
}

static void test_nothing_known(void **state)
{
    struct tune_view v = {.cfg = &config, .daemon = ASK_NOBODY, .reason = "not running", .has_state = true};
    (void)state;
    assert_string_equal(text_of(&v, false, 80),
                        "daemon    not running\n"
                        "rate      nothing is known: flowspoold has sent nothing yet that was answered\n");
    v.has_state = false;
    assert_non_null(strstr(text_of(&v, false, 80), "no flowspoold has run here yet"));
    v.has_state = true;
    const char *json = text_of(&v, true, 0);
    assert_non_null(
        strstr(json, "\"daemon\":\"not_running\",\"reason\":\"not running\",\"at\":null,\"endpoint\":null,"
                     "\"key\":null,\"in_flight\":null,\"cap\":null,\"cap_reason\":null,\"learned\":null,"
                     "\"hypotheses\":[],\"readings\":[]}\n"));
}

static void test_how_certain(void **state)
{
    struct tune_view v = view();
    (void)state;
    v.tuning.hypotheses[1].plausible = false;
    assert_null(strstr(text_of(&v, false, 80), "\nwindow "));
    v.tuning.nhypotheses = TUNING_HYPOTHESES;
    for (size_t i = 0; i < TUNING_HYPOTHESES; i++)
        v.tuning.hypotheses[i] =
            (struct tuning_hypothesis){.kind = "fixed", .window_ms = 1, .plausible = true};
    assert_non_null(
        strstr(text_of(&v, false, 80), "window    not certain: 8 or more guesses are plausible\n"));
    v.tuning.learned.source = LEARNED_CONFIGURATION;
    assert_null(strstr(text_of(&v, false, 80), "\nwindow "));
}

/* Where the window is not known, it is said what would teach it, and there is no table of guesses. */
static void test_what_teaches(void **state)
{
    static const struct {
        const char *mode, *words;
    } cases[] = {
        {"opening", "not known: the first replies teach it"},
        {"open", "not known: the first reply that names a limit"},
        {"headerless", "not known: replies do not name the limit"},
        {"counting", "not known: a few more replies teach it"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct tune_view v = view();
        v.tuning.learned.mode = cases[i].mode;
        v.tuning.learned.window_ms = -1;
        const char *text = text_of(&v, false, 80);
        if (strstr(text, cases[i].words) == NULL || strstr(text, "WINDOW") != NULL)
            fail_msg("%s: %s", cases[i].mode, text);
        assert_narrow(text, 80);
    }
}

static void test_json(void **state)
{
    const struct tune_view v = view();
    (void)state;
    const char *json = text_of(&v, true, 0);
    assert_non_null(
        strstr(json, "\"daemon\":\"running\",\"reason\":null,\"at\":\"1970-01-01T00:33:20.000Z\""));
    assert_non_null(strstr(json, "\"in_flight\":3,\"cap\":80,"));
    assert_non_null(strstr(json, "\"hypotheses\":[{\"kind\":\"sliding\",\"window_ms\":60000,\"error\":0.250,"
                                 "\"others\":0.000,\"plausible\":true,\"best\":true},"));
    assert_non_null(
        strstr(json, "{\"ago_ms\":2000,\"limit\":null,\"used\":null,\"predicted\":11,\"refused\":true}"));
    assert_null(strchr(strchr(json, '\n') + 1, '\n'));
}

/* ---- the chart ---- */

static void test_no_chart_without_a_limit(void **state)
{
    struct tuning t = {.nreadings = 1,
                       .readings = {{.limit = -1, .used = -1, .predicted = -1, .refused = true}}};
    (void)state;
    assert_string_equal(chart_of(&t, 80), "");
    t.nreadings = 0;
    t.learned.limit = 10;
    assert_string_equal(chart_of(&t, 80), "");
}

/* A small limit has a row for each request of it; several have no number. */
static void test_the_rows(void **state)
{
    struct tuning t = {.nreadings = 2,
                       .readings = {{.ago_ms = 9, .limit = 2, .used = 1, .predicted = 0},
                                    {.ago_ms = 9, .limit = 2, .used = 2, .predicted = 5}}};
    (void)state;
    assert_string_equal(chart_of(&t, 80),
                        "\nUsed of the limit when the last 2 requests arrived, sent within 0ms:\n"
                        "         o\n"
                        "     2 | #\n"
                        "     1 |#\n"
                        "     0 +o-\n"
                        "# as the server said, o as the best guess predicted, @ both\n"
                        "Predictions were off by 2.0 on average.\n");
    t.readings[0].limit = 4;
    const char *text = chart_of(&t, 80);
    assert_non_null(strstr(text, " limit | #\n"));
    assert_non_null(strstr(text, "     0 +o-\n"));
}

static void test_a_narrow_terminal_has_the_newest(void **state)
{
    struct tuning t = {.nreadings = TUNING_READINGS};
    (void)state;
    for (size_t i = 0; i < TUNING_READINGS; i++)
        t.readings[i] = (struct tuning_reading){
            .ago_ms = (int64_t)(TUNING_READINGS - i), .limit = 10, .used = i < 30 ? 1 : 10, .predicted = -1};
    assert_non_null(strstr(chart_of(&t, 24), "    10 |      ##########\n"));
    assert_non_null(strstr(chart_of(&t, 80), "the last 40 requests"));
}

/* ---- what nobody sane says ---- */

static const int64_t odd[] = {INT64_MIN, -1, 0, 1, 9, INT64_C(1) << 53, INT64_MAX};

static void test_any_numbers(void **state)
{
    (void)state;
    for (size_t a = 0; a < COUNT(odd); a++)
        for (size_t b = 0; b < COUNT(odd); b++)
            for (size_t c = 0; c < COUNT(odd); c++) {
                struct tune_view v = view();
                v.tuning.readings[1] = (struct tuning_reading){
                    .ago_ms = odd[c], .limit = odd[a], .used = odd[b], .predicted = odd[c], .refused = b % 2};
                v.tuning.readings[3].limit = odd[a];
                v.tuning.hypotheses[0].window_ms = odd[b];
                v.tuning.cap = odd[a];
                assert_narrow(text_of(&v, false, 80), 80);
                assert_non_null(text_of(&v, true, 0));
            }
}

static void test_texts_are_escaped(void **state)
{
    static char evil[] = "\033[31m\xe2\x80\xae\x9b\n{", endless[20000];
    struct tune_view v = view();
    (void)state;
    memset(endless, '\033', sizeof endless - 1);
    for (int i = 0; i < 2; i++) {
        char *text = i == 0 ? evil : endless;
        v.tuning.endpoint = v.tuning.key = v.tuning.cap_reason = text;
        v.tuning.learned.mode = v.tuning.learned.window_kind = v.tuning.learned.source = text;
        v.tuning.hypotheses[0].kind = text;
        for (int json = 0; json < 2; json++) {
            const char *shows = text_of(&v, json, 80);
            assert_null(strchr(shows, '\033'));
            assert_null(strstr(shows, "\xe2\x80\xae"));
            assert_null(strchr(shows, '\x9b'));
        }
    }
}

static void test_whatever_parses_is_shown(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"learned\":{\"mode\":\"x\"},\"hypotheses\":[7,{},null,{\"kind\":null,\"window_ms\":1e999}],"
        "\"readings\":[[],{}]}",
        "{\"learned\":{\"mode\":\"counting\",\"limit\":9007199254740992,\"window_ms\":1},\"readings\":[{"
        "\"limit\":"
        "9007199254740991,\"used\":9007199254740991,\"predicted\":1,\"ago_ms\":-9007199254740991},{\"limit\":"
        "1}]}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct arena a = {0};
        struct tune_view v = view();
        assert_true(tuning_parse(texts[i], &a, &v.tuning));
        assert_narrow(text_of(&v, false, 80), 80);
        assert_non_null(strstr(text_of(&v, true, 0), "\"learned\":{"));
        arena_free(&a);
    }
}

static int use_wide_characters(void **state)
{
    (void)state;
    setlocale(LC_CTYPE, "C.UTF-8");
    return 0;
}

static int forget(void **state)
{
    (void)state;
    free(shown);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_a_daemon),
        cmocka_unit_test(test_as_it_was_kept),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_how_certain),
        cmocka_unit_test(test_what_teaches),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_no_chart_without_a_limit),
        cmocka_unit_test(test_the_rows),
        cmocka_unit_test(test_a_narrow_terminal_has_the_newest),
        cmocka_unit_test(test_any_numbers),
        cmocka_unit_test(test_texts_are_escaped),
        cmocka_unit_test(test_whatever_parses_is_shown),
    };
    return cmocka_run_group_tests(tests, use_wide_characters, forget);
}
