#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "core/jsonspan.h"
#include "core/units.h"
#include "io/log.h"
#include "stderr_capture.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* One line without its newline; the part behind the time. */
static const char *one_line(const char *log)
{
    static char line[8192];
    assert_int_equal(strcspn(log, "\n"), strlen(log) - 1);
    snprintf(line, sizeof line, "%.*s", (int)strlen(log) - 1, log);
    return line;
}

static const char *behind_time(const char *line)
{
    char time[UNITS_INSTANT_SIZE];
    int64_t ms;
    snprintf(time, sizeof time, "%.24s", line);
    assert_true(units_parse_instant_ms(time, &ms));
    assert_int_equal(line[24], ' ');
    return line + 25;
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *job, *message, *expected;
    } cases[] = {
        {NULL, "hello", "info hello"},
        {"a.yaml", "hello", "info a.yaml: hello"},
        {"a\nb.yaml", "x\r\n2026 error forged", "info a\\x0ab.yaml: x\\x0d\\x0a2026 error forged"},
        {"\xff.yaml", "\x1b[31mred", "info \\xff.yaml: \\x1b[31mred"},
        {"caf\xc3\xa9.yaml", "100 %s %n", "info caf\xc3\xa9.yaml: 100 %s %n"},
    };
    log_set(LOG_INFO, false);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct capture c = capture_begin();
        log_line(LOG_INFO, cases[i].job, "%s", cases[i].message);
        assert_string_equal(behind_time(one_line(capture_end(&c))), cases[i].expected);
    }
}

static void assert_member(const struct json_object *o, const char *key, const char *expected)
{
    const struct json_member *m = json_find(o, key);
    if (expected == NULL) {
        assert_null(m);
        return;
    }
    assert_non_null(m);
    char *text = json_string(m);
    assert_string_equal(text, expected);
    free(text);
}

static void test_json(void **state)
{
    (void)state;
    static const struct {
        const char *job, *message, *shown_job, *shown_message;
    } cases[] = {
        {NULL, "hello", NULL, "hello"},
        {"a.yaml", "a \"quoted\" back\\slash", "a.yaml", "a \"quoted\" back\\slash"},
        {"a\nb", "\t", "a\\x0ab", "\\x09"},
        {"\xff", "\xe2\x80\xa8", "\\xff", "\\xe2\\x80\\xa8"},
    };
    log_set(LOG_INFO, true);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct capture c = capture_begin();
        log_line(LOG_WARN, cases[i].job, "%s", cases[i].message);
        const char *line = one_line(capture_end(&c));
        struct json_object o;
        if (!json_scan_object(line, strlen(line), &o))
            fail_msg("no JSON: %s", line);
        assert_member(&o, "level", "warn");
        assert_member(&o, "job", cases[i].shown_job);
        assert_member(&o, "message", cases[i].shown_message);
        assert_non_null(json_find(&o, "time"));
    }
}

/* Whatever its length, a line is one line, and one JSON object. */
static void test_long_texts_are_cut(void **state)
{
    (void)state;
    static const char *const fills[] = {"a", "\"", "\\", "\x01", "\xc3\xa9", "\xff", "\xf0\x9f\x98\x80"};
    static char text[6000];
    for (size_t i = 0; i < COUNT(fills); i++) {
        size_t used = 0;
        while (used + 5 < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s", fills[i]);
        for (int json = 0; json < 2; json++) {
            log_set(LOG_INFO, json);
            struct capture c = capture_begin();
            log_line(LOG_ERROR, text, "%s", text);
            const char *line = one_line(capture_end(&c));
            assert_true(strlen(line) < 4300);
            if (json && !json_is_valid(line, strlen(line)))
                fail_msg("no JSON: %s", line);
        }
    }
}

static void test_levels(void **state)
{
    (void)state;
    static const enum log_level levels[] = {LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG};
    for (size_t i = 0; i < COUNT(levels); i++) {
        log_set(levels[i], false);
        assert_int_equal(log_level(), levels[i]);
        for (size_t k = 0; k < COUNT(levels); k++) {
            struct capture c = capture_begin();
            log_line(levels[k], NULL, "x");
            assert_int_equal(capture_end(&c)[0] != '\0', k <= i);
        }
        struct capture c = capture_begin();
        log_summary("asked for");
        assert_non_null(strstr(capture_end(&c), "info asked for\n"));
    }
}

static void test_level_names(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warn", "info", "debug"};
    enum log_level got;
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_true(log_level_parse(names[i], &got));
        assert_int_equal(got, i);
    }
    static const char *const others[] = {"", "Error", "warning", "info ", "3"};
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(log_level_parse(others[i], &got));
}

static void test_progress_stays_at_the_bottom(void **state)
{
    (void)state;
    log_set(LOG_INFO, false);
    struct capture c = capture_begin();
    log_progress("1 done");
    log_line(LOG_INFO, NULL, "news");
    log_progress("2 done");
    log_progress(NULL);
    log_line(LOG_INFO, NULL, "last");
    const char *log = capture_end(&c);
    assert_int_equal(strncmp(log, "\r\033[K1 done\r\033[K", 14), 0);
    const char *news = strstr(log, "info news\n1 done\r\033[K2 done\r\033[K");
    assert_non_null(news);
    const char *last = strstr(news, "info last\n");
    assert_non_null(last);
    assert_string_equal(last, "info last\n");
}

static void *write_lines(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        log_line(LOG_INFO, NULL, "%s", "0123456789012345678901234567890123456789");
    return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    pthread_t threads[4];
    size_t lines = 0;
    log_set(LOG_INFO, false);
    struct capture c = capture_begin();
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (const char *line = capture_end(&c); *line != '\0'; line = strchr(line, '\n') + 1, lines++)
        assert_int_equal(strcspn(line, "\n"), 25 + 5 + 40);
    assert_int_equal(lines, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_progress_stays_at_the_bottom),
        cmocka_unit_test(test_lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
