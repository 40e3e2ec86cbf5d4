/* What goes to a terminal or a pipe: tables, JSON, the words of holds, the status. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/jsonline.h"
#include "cli/overview.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "core/holdwords.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct text {
    char *bytes;
    size_t len;
    FILE *file;
};

static void begin(struct text *t)
{
    t->file = open_memstream(&t->bytes, &t->len);
    assert_non_null(t->file);
}

static const char *end(struct text *t)
{
    assert_int_equal(fclose(t->file), 0);
    return t->bytes;
}

/* Every line of the text is at most so wide. */
static void assert_narrow(const char *text, size_t width)
{
    char *copy = strdup(text), *rest = copy;
    assert_non_null(copy);
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n"))
        if (text_width(line) > width)
            fail_msg("wider than %zu: %s", width, line);
    free(copy);
}

/* ---- tables ---- */

static const struct table_column columns[] = {{"JOB", 8}, {"STATE", 0}, {"WHY", 8}};

static void test_columns_are_as_wide_as_they_must(void **state)
{
    struct text t;
    (void)state;
    begin(&t);
    struct table *table = table_open(t.file, columns, COUNT(columns), 80);
    assert_true(table_row(table, (const char *const[]){"a.yaml", "done", ""}, 1, NULL));
    assert_true(table_row(table, (const char *const[]){"long-name.yaml", "failed", "why"}, 1, TERMINAL_RED));
    assert_true(table_close(table));
    assert_string_equal(end(&t), "JOB             STATE   WHY\n"
                                 "a.yaml          done\n"
                                 "long-name.yaml  " TERMINAL_RED "failed" TERMINAL_PLAIN "  why\n");
    free(t.bytes);
}

static void test_what_is_too_wide_is_cut(void **state)
{
    struct text t;
    char name[200];
    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    begin(&t);
    struct table *table = table_open(t.file, columns, COUNT(columns), 40);
    assert_true(
        table_row(table, (const char *const[]){"日本語日本語日本語日本語日本語", "done", name}, 1, NULL));
    for (size_t i = 0; i < 2 * TABLE_SAMPLE; i++) /* the later ones find the columns laid out */
        assert_true(table_row(table, (const char *const[]){name, "waiting-long", name}, 1, NULL));
    assert_true(table_close(table));
    assert_narrow(end(&t), 40);
    assert_non_null(strstr(t.bytes, "..."));
    free(t.bytes);
}

static void test_an_empty_table_has_titles(void **state)
{
    struct text t;
    (void)state;
    begin(&t);
    assert_true(table_close(table_open(t.file, columns, COUNT(columns), 80)));
    assert_string_equal(end(&t), "JOB  STATE  WHY\n");
    free(t.bytes);
}

/* ---- JSON ---- */

static void test_json_line(void **state)
{
    struct text t;
    (void)state;
    begin(&t);
    struct json_line j = {.out = t.file};
    json_open(&j, NULL);
    json_text(&j, "a", "x\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\"\\\xff é");
    json_text(&j, "b", NULL);
    json_open(&j, "c");
    json_int(&j, "d", -5);
    json_known(&j, "e", -1);
    json_close(&j);
    json_bool(&j, "f", true);
    json_instant(&j, "g", 0);
    json_instant(&j, "h", 1);
    json_raw(&j, "i", "{\"k\":\"\xc2\x9b\\u009b\"}");
    json_close(&j);
    json_end_line(&j);
    assert_false(j.failed);
    assert_string_equal(end(&t),
                        "{\"a\":\"x\\u001b[2J\\u007f\\u009b\\u202e\\\"\\\\\xef\xbf\xbd é\",\"b\":null,"
                        "\"c\":{\"d\":-5,\"e\":null},\"f\":true,\"g\":null,"
                        "\"h\":\"1970-01-01T00:00:00.001Z\",\"i\":{\"k\":\"\\u009b\\u009b\"}}\n");
    free(t.bytes);
}

/* ---- holds ---- */

static const struct status_hold holds[] = {
    {.kind = STATUS_GATE, .cause = "paused", .reason = ""},
    {.kind = STATUS_GATE, .cause = "pause-file", .reason = ""},
    {.kind = STATUS_GATE, .cause = "vanished", .reason = ""},
    {.kind = STATUS_GATE, .cause = "lost-state", .reason = ""},
    {.kind = STATUS_GATE, .cause = "disk", .reason = ""},
    {.kind = STATUS_GATE, .cause = "max-jobs", .reason = ""},
    {.kind = STATUS_GATE, .cause = "spool-gone", .reason = ""},
    {.kind = STATUS_GATE, .cause = "draining", .reason = ""},
    {.kind = STATUS_DIRECTORY, .cause = "outcomes_cannot_be_written", .reason = "sub"},
    {.kind = STATUS_RATE, .cause = "429", .reason = "x"},
    {.kind = STATUS_ACCOUNT, .cause = "unauthorized", .reason = "x"},
    {.kind = STATUS_ACCOUNT, .cause = "no_credits", .reason = "x"},
    {.kind = STATUS_ENDPOINT, .cause = "unreachable", .reason = "x"},
    {.kind = STATUS_ENDPOINT, .cause = "server_errors", .reason = "x"},
    {.kind = STATUS_WORKFLOW, .workflow = "wf_a", .cause = "server_errors", .reason = "x"},
    {.kind = STATUS_WORKFLOW, .workflow = "wf_a", .cause = "workflow_not_found", .reason = ""},
    {.kind = "newer", .cause = "unknown", .reason = "why"},
};

static void test_every_hold_has_words_of_its_own(void **state)
{
    char words[COUNT(holds)][HOLD_WORDS_SIZE];
    (void)state;
    for (size_t i = 0; i < COUNT(holds); i++) {
        hold_words(&holds[i], words[i]);
        assert_true(strlen(words[i]) > 8);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(words[i], words[k]);
    }
    assert_string_equal(words[COUNT(holds) - 1], "newer: unknown (why)");
}

/* ---- the status ---- */

static const char *status_text(struct text *t, const struct overview *o, size_t width)
{
    begin(t);
    overview_text(o, t->file, false, width);
    return end(t);
}

static void test_status_fits_a_terminal(void **state)
{
    const struct config config = {0};
    char reason[600] = "";
    (void)state;
    while (strlen(reason) < sizeof reason - 20)
        strcat(reason, "said \x1b[31m ");
    struct status_hold held = {
        .kind = STATUS_ACCOUNT, .cause = "no_credits", .reason = reason, .next_probe_ms = 61000};
    struct overview o = {
        .cfg = &config,
        .now_ms = 1000000,
        .has_state = true,
        .counts = {.waiting = 1234567,
                   .deferred = 1,
                   .held = 2,
                   .missing = 3,
                   .in_flight = 4,
                   .replied = 5,
                   .done = 600000,
                   .failed = 7,
                   .refused = 8,
                   .oldest_waiting_ms = 1},
        .daemon = ASK_ANSWERED,
        .status = {.pid = 1,
                   .endpoint = "https://host.example",
                   .key = "0123456789ab",
                   .key_source = "file /etc/flowspool/key",
                   .per_second = 10,
                   .cap = 80,
                   .cap_reason = "paced by the server's rate limit",
                   .limit = 50,
                   .ignored = 9,
                   .last_429_ago_ms = 1,
                   .holds = &held,
                   .nholds = 1,
                   .holds_omitted = 3},
    };
    static const size_t widths[] = {40, 80, 200};
    for (size_t i = 0; i < COUNT(widths); i++) {
        struct text t;
        const char *text = status_text(&t, &o, widths[i]);
        assert_narrow(text, widths[i]);
        assert_null(strchr(text, '\x1b'));
        assert_non_null(strstr(text, "9 in flight"));
        assert_non_null(strstr(text, "held for 1s: the account"));
        free(t.bytes);
    }
}

static void test_time_left(void **state)
{
    struct status_hold held = {.kind = STATUS_RATE};
    struct overview o = {
        .has_state = true, .counts = {.waiting = 99, .in_flight = 1}, .daemon = ASK_ANSWERED};
    (void)state;
    assert_int_equal(overview_left_ms(&o), -1); /* nothing has ended yet */
    o.status.per_second = 4;
    assert_int_equal(overview_left_ms(&o), 25000);
    o.status.holds = &held;
    o.status.nholds = 1;
    assert_int_equal(overview_left_ms(&o), 25000); /* a rate hold is part of the rate */
    held.kind = STATUS_GATE;
    assert_int_equal(overview_left_ms(&o), -1);
    o.counts = (struct store_counts){.done = 5};
    assert_int_equal(overview_left_ms(&o), 0);
    o.daemon = ASK_SILENT;
    assert_int_equal(overview_left_ms(&o), -1);
}

static int use_wide_characters(void **state)
{
    (void)state;
    setlocale(LC_CTYPE, "C.UTF-8");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_as_wide_as_they_must),
        cmocka_unit_test(test_what_is_too_wide_is_cut),
        cmocka_unit_test(test_an_empty_table_has_titles),
        cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_every_hold_has_words_of_its_own),
        cmocka_unit_test(test_status_fits_a_terminal),
        cmocka_unit_test(test_time_left),
    };
    return cmocka_run_group_tests(tests, use_wide_characters, NULL);
}
