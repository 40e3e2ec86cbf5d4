#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/config.h"
#include "tempdir.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct fixture {
    struct tempdir dir;
    char file[128], spool[128];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    tempdir_open(&f->dir, "/tmp");
    put_dir(&f->dir, "spool");
    snprintf(f->file, sizeof f->file, "%s/config.yaml", f->dir.path);
    snprintf(f->spool, sizeof f->spool, "%s/spool", f->dir.path);
    unsetenv("FLOWSPOOL_ENDPOINT");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    unsetenv("FLOWSPOOL_ENDPOINT");
    tempdir_close(&f->dir);
    free(f);
    return 0;
}

static const char *check_form(const char *endpoint)
{
    return strncmp(endpoint, "https://", 8) == 0 ? NULL : "it must start with https://";
}

static struct config_overrides nothing(void)
{
    return (struct config_overrides){.max_jobs = -1, .endpoint_fault = check_form};
}

/* The text, behind a spool and an endpoint that take the lines 1 and 2. */
static bool load(const struct fixture *f, const char *text, struct config *c, struct fault *fault)
{
    char all[4096];
    struct config_overrides o = nothing();
    snprintf(all, sizeof all, "spool: %s\nendpoint: https://host\n%s", f->spool, text);
    put_file(&f->dir, "config.yaml", all);
    return config_load(f->file, &o, c, fault);
}

static void must_load(const struct fixture *f, const char *text, struct config *c)
{
    struct fault fault;
    if (!load(f, text, c, &fault))
        fail_msg("%zu:%zu: %s", fault.line, fault.column, fault.text);
}

/* The defaults are promised: they stay. */
static void test_defaults(void **state)
{
    const struct fixture *f = *state;
    struct config c;
    char state_dir[160];
    must_load(f, "", &c);
    assert_string_equal(c.spool, f->spool);
    assert_string_equal(c.endpoint, "https://host");
    snprintf(state_dir, sizeof state_dir, "%s/.flowspool", f->spool);
    assert_string_equal(c.state_dir, state_dir);
    const struct {
        const char *name;
        int64_t got, expected;
    } numbers[] = {
        {"max_concurrency", c.max_concurrency, 256},
        {"request_timeout", c.request_timeout_ms, 330000},
        {"connect_timeout", c.connect_timeout_ms, 10000},
        {"settle", c.settle_ms, 1000},
        {"settle given", c.settle_given, false},
        {"rescan", c.rescan_ms, 60000},
        {"recursive", c.recursive, false},
        {"status_file", c.status_file, false},
        {"confine", c.confine, true},
        {"max_job_size", c.max_job_size, 1 << 20},
        {"max_response_size", c.max_response_size, 64 << 20},
        {"max_response_memory", c.max_response_memory, 256 << 20},
        {"max_jobs", c.max_jobs, 0},
        {"inputs_as", c.inputs_as, INPUTS_TEXT},
        {"shutdown_grace", c.shutdown_grace_ms, 330000},
        {"once_patience", c.once_patience_ms, 900000},
        {"forget_after", c.forget_after_ms, 600000},
        {"rate.max_per_second", (int64_t)c.rate_max_per_second, 0},
        {"rate.limit", c.rate_limit, 0},
        {"rate.window", c.rate_window_ms, 0},
        {"rate.leave", c.rate_leave_percent, 0},
        {"retry.max_attempts", c.retry_max_attempts, 5},
        {"retry.base", c.retry_base_ms, 1000},
        {"retry.cap", c.retry_cap_ms, 60000},
        {"retry.on_ambiguous", c.retry_on_ambiguous, true},
        {"retry.max_ambiguous", c.retry_max_ambiguous, 1},
        {"retry.give_up_after", c.retry_give_up_after_ms, 0},
        {"probe", c.probe_ms, 60000},
    };
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (numbers[i].got != numbers[i].expected)
            fail_msg("%s is %lld", numbers[i].name, (long long)numbers[i].got);
    const char *const texts[] = {c.api_key_file, c.state_group, c.ca_file, c.proxy, c.log_file};
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_string_equal(texts[i], "");
    config_free(&c);
}

static void test_every_key_is_read(void **state)
{
    const struct fixture *f = *state;
    struct config c;
    must_load(f,
              "api_key_file: /k\nstate_dir: /var/lib/x\nstate_group: ops\nca_file: /ca\nproxy: http://p:1\n"
              "max_concurrency: 7\nrequest_timeout: 300ms\nconnect_timeout: 1h\nsettle: 0\nrescan: 8h\n"
              "confine: off\nlog_file: /l\nrecursive: true\nstatus_file: true\nmax_job_size: "
              "2KiB\nmax_response_size: "
              "512MiB\nmax_response_memory: 1GiB\n"
              "max_jobs: 9000000000\ninputs_as: typed\nshutdown_grace: 0s\nonce_patience: 5m\n"
              "forget_after: 1s\nprobe: 100ms\n"
              "rate:\n  max_per_second: 2.5\n  limit: 10\n  window: 1s\n  leave: 20%\n"
              "retry: {max_attempts: 9, base: 2s, cap: 3s, on_ambiguous: hold, max_ambiguous: 0, "
              "give_up_after: 1h}\n",
              &c);
    assert_string_equal(c.api_key_file, "/k");
    assert_string_equal(c.state_dir, "/var/lib/x");
    assert_string_equal(c.state_group, "ops");
    assert_string_equal(c.ca_file, "/ca");
    assert_string_equal(c.proxy, "http://p:1");
    assert_string_equal(c.log_file, "/l");
    const struct {
        const char *name;
        int64_t got, expected;
    } numbers[] = {
        {"max_concurrency", c.max_concurrency, 7},
        {"request_timeout", c.request_timeout_ms, 300},
        {"connect_timeout", c.connect_timeout_ms, 3600000},
        {"settle", c.settle_ms, 0},
        {"settle given", c.settle_given, true},
        {"rescan", c.rescan_ms, 28800000},
        {"recursive", c.recursive, true},
        {"status_file", c.status_file, true},
        {"confine", c.confine, false},
        {"max_job_size", c.max_job_size, 2048},
        {"max_response_size", c.max_response_size, 512LL << 20},
        {"max_response_memory", c.max_response_memory, 1 << 30},
        {"max_jobs", c.max_jobs, 9000000000},
        {"inputs_as", c.inputs_as, INPUTS_TYPED},
        {"shutdown_grace", c.shutdown_grace_ms, 0},
        {"once_patience", c.once_patience_ms, 300000},
        {"forget_after", c.forget_after_ms, 1000},
        {"rate.max_per_second", (int64_t)(c.rate_max_per_second * 10), 25},
        {"rate.limit", c.rate_limit, 10},
        {"rate.window", c.rate_window_ms, 1000},
        {"rate.leave", c.rate_leave_percent, 20},
        {"retry.max_attempts", c.retry_max_attempts, 9},
        {"retry.base", c.retry_base_ms, 2000},
        {"retry.cap", c.retry_cap_ms, 3000},
        {"retry.on_ambiguous", c.retry_on_ambiguous, false},
        {"retry.max_ambiguous", c.retry_max_ambiguous, 0},
        {"retry.give_up_after", c.retry_give_up_after_ms, 3600000},
        {"probe", c.probe_ms, 100},
    };
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (numbers[i].got != numbers[i].expected)
            fail_msg("%s is %lld", numbers[i].name, (long long)numbers[i].got);
    config_free(&c);
}

static void test_faults_say_what_and_where(void **state)
{
    static const struct {
        const char *text; /* from line 3 on */
        size_t line, column;
        const char *words;
    } cases[] = {
        {"max_concurency: 3\n", 3, 1, "perhaps \"max_concurrency\""},
        {"Spool2: x\n", 3, 1, "unknown key \"Spool2\""},
        {"rate:\n  limits: 3\n", 4, 3, "perhaps \"rate.limit\""},
        {"rate.limit: 3\n", 3, 1, "write it as a mapping"},
        {"rate: 5\n", 3, 7, "takes a mapping"},
        {"retry:\n", 3, 7, "takes a mapping"},
        {"max_jobs: [1]\n", 3, 11, "not a list"},
        {"proxy: {a: b}\n", 3, 8, "not a mapping"},
        {"max_concurrency: 0\n", 3, 18, "1 to 100000"},
        {"max_concurrency: 100001\n", 3, 18, "1 to 100000"},
        {"max_concurrency: 99999999999999999999\n", 3, 18, "1 to 100000"},
        {"max_concurrency: 0x10\n", 3, 18, "a number"},
        {"max_concurrency: 1.5\n", 3, 18, "a number"},
        {"max_concurrency: +5\n", 3, 18, "a number"},
        {"max_concurrency: \" 5\"\n", 3, 18, "a number"},
        {"max_concurrency:\n", 3, 17, "has no value"},
        {"max_jobs: -1\n", 3, 11, "0 or more"},
        {"settle: 10\n", 3, 9, "a duration such as"},
        {"settle: 1.5s\n", 3, 9, "a duration such as"},
        {"settle: 2h\n", 3, 9, "0 to 1h"},
        {"probe: 99ms\n", 3, 8, "100ms to 1h"},
        {"max_job_size: 1MB\n", 3, 15, "a size such as"},
        {"max_job_size: 65MiB\n", 3, 15, "1KiB to 64MiB"},
        {"recursive: yes\n", 3, 12, "true or false"},
        {"status_file: STATUS.txt\n", 3, 14, "true or false"},
        {"inputs_as: strings\n", 3, 12, "text or typed"},
        {"rate: {leave: 20}\n", 3, 15, "a percentage"},
        {"rate: {leave: 96%}\n", 3, 15, "0% to 95%"},
        {"rate: {max_per_second: 0x1p4}\n", 3, 24, "a number"},
        {"rate: {max_per_second: inf}\n", 3, 24, "a number"},
        {"rate: {max_per_second: -1}\n", 3, 24, "a number"},
        {"rate: {limit: 10}\n", 3, 15, "go together"},
        {"rate: {window: 10s}\n", 3, 16, "go together"},
        {"retry: {on_ambiguous: maybe}\n", 3, 23, "retry or hold"},
        {"retry: {cap: 500ms}\n", 3, 14, "must not be smaller than retry.base"},
        {"retry: {base: 2m}\n", 3, 15, "must not be smaller than retry.base"},
        {"settle: 1s\nsettle: 2s\n", 4, 1, "settle"},
        {"---\nprobe: 1s\n", 4, 1, "one mapping"},
        {"probe: [\n", 0, 0, ""},
    };
    const struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config c;
        struct fault fault;
        if (load(f, cases[i].text, &c, &fault))
            fail_msg("%s: taken", cases[i].text);
        if (strstr(fault.text, cases[i].words) == NULL ||
            (cases[i].line != 0 && (fault.line != cases[i].line || fault.column != cases[i].column)))
            fail_msg("%s: %zu:%zu: %s", cases[i].text, fault.line, fault.column, fault.text);
    }
}

static void test_spool_and_endpoint(void **state)
{
    const struct fixture *f = *state;
    char missing[256], regular[256];
    snprintf(missing, sizeof missing, "spool: %s/none\nendpoint: https://h\n", f->dir.path);
    snprintf(regular, sizeof regular, "endpoint: https://h\nspool: %s\n", f->file);
    const struct {
        const char *text;
        size_t line;
        const char *words;
    } cases[] = {
        {"endpoint: https://h\n", 0, "no spool is set"},
        {"", 0, "no spool is set"},
        {"spool: /tmp\n", 0, "no endpoint is set"},
        {"spool: /tmp\nendpoint: ftp://h\n", 2, "must start with"},
        {missing, 1, "No such file"},
        {regular, 2, "not a directory"},
        {"[a]\n", 1, "one mapping"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config c;
        struct fault fault;
        struct config_overrides o = nothing();
        put_file(&f->dir, "config.yaml", cases[i].text);
        if (config_load(f->file, &o, &c, &fault))
            fail_msg("%s: taken", cases[i].text);
        if (strstr(fault.text, cases[i].words) == NULL || fault.line != cases[i].line)
            fail_msg("%s: %zu: %s", cases[i].text, fault.line, fault.text);
    }
}

static void test_overrides_win(void **state)
{
    const struct fixture *f = *state;
    struct config c;
    struct fault fault;
    struct config_overrides o = nothing();
    put_file(&f->dir, "config.yaml", "spool: /no/such\nendpoint: bad\nmax_concurrency: 3\nmax_jobs: 4\n");
    o.spool = f->spool;
    setenv("FLOWSPOOL_ENDPOINT", "https://env", 1);
    assert_true(config_load(f->file, &o, &c, &fault));
    assert_string_equal(c.endpoint, "https://env");
    assert_int_equal(c.max_concurrency, 3);
    assert_int_equal(c.max_jobs, 4);
    config_free(&c);

    o.endpoint = "https://option";
    o.max_concurrency = 5;
    o.max_jobs = 0;
    assert_true(config_load(f->file, &o, &c, &fault));
    assert_string_equal(c.endpoint, "https://option");
    assert_int_equal(c.max_concurrency, 5);
    assert_int_equal(c.max_jobs, 0);
    config_free(&c);

    /* What is overridden is not blamed on the file's line; an empty variable is none. */
    o.endpoint = "bad";
    assert_false(config_load(f->file, &o, &c, &fault));
    assert_int_equal(fault.line, 0);
    o.endpoint = NULL;
    setenv("FLOWSPOOL_ENDPOINT", "", 1);
    assert_false(config_load(f->file, &o, &c, &fault));
    assert_int_equal(fault.line, 2);
}

static void test_without_a_file(void **state)
{
    const struct fixture *f = *state;
    struct config c;
    struct fault fault;
    struct config_overrides o = nothing();
    o.spool = f->spool;
    o.endpoint = "https://option";
    assert_true(config_load(NULL, &o, &c, &fault));
    assert_string_equal(c.spool, f->spool);
    config_free(&c);
}

static void test_the_command_needs_no_endpoint(void **state)
{
    const struct fixture *f = *state;
    struct config c;
    struct fault fault;
    const struct config_overrides o = {.spool = f->spool, .max_jobs = -1};
    assert_true(config_load(NULL, &o, &c, &fault));
    config_free(&c);
}

static void test_paths_become_absolute(void **state)
{
    const struct fixture *f = *state;
    struct config c;
    struct fault fault;
    char here[4096], expected[300];
    struct config_overrides o = nothing();
    put_file(&f->dir, "config.yaml", "spool: ./spool/../spool\nendpoint: https://h\nstate_dir: st\n");
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(f->dir.path), 0);
    bool ok = config_load("config.yaml", &o, &c, &fault);
    assert_int_equal(chdir(here), 0);
    assert_true(ok);
    assert_string_equal(c.spool, f->spool);
    snprintf(expected, sizeof expected, "%s/st", f->dir.path);
    assert_string_equal(c.state_dir, expected);
    config_free(&c);
}

static void test_files_that_cannot_be_read(void **state)
{
    const struct fixture *f = *state;
    struct config c;
    struct fault fault;
    struct config_overrides o = nothing();
    static char large[(1 << 20) + 10];
    char path[256];
    snprintf(path, sizeof path, "%s/none.yaml", f->dir.path);
    assert_false(config_load(path, &o, &c, &fault));
    assert_non_null(strstr(fault.text, "No such file"));
    assert_false(config_load(f->dir.path, &o, &c, &fault));
    assert_non_null(strstr(fault.text, "directory"));
    memset(large, '#', sizeof large);
    put_bytes(&f->dir, "config.yaml", large, sizeof large);
    assert_false(config_load(f->file, &o, &c, &fault));
    assert_non_null(strstr(fault.text, "larger than 1 MiB"));
}

static void test_a_fault_leaves_the_old_one_alone(void **state)
{
    const struct fixture *f = *state;
    struct config c;
    struct fault fault;
    must_load(f, "probe: 5s\n", &c);
    assert_false(load(f, "probe: 1\n", &c, &fault));
    assert_int_equal(c.probe_ms, 5000);
    assert_string_equal(c.endpoint, "https://host");
    config_free(&c);
}

struct described {
    size_t lines;
    char last[64];
};

static void on_line(void *arg, const char *text)
{
    struct described *d = arg;
    char name[64];
    assert_int_equal(sscanf(text, "%63s", name), 1);
    if (strcmp(d->last, name) >= 0)
        fail_msg("%s comes behind %s", name, d->last);
    snprintf(d->last, sizeof d->last, "%s", name);
    d->lines++;
}

static void test_the_description_is_alphabetical_and_whole(void **state)
{
    (void)state;
    struct described d = {0};
    config_describe(on_line, &d);
    assert_int_equal(d.lines, 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_key_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faults_say_what_and_where, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_spool_and_endpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_overrides_win, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_command_needs_no_endpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_paths_become_absolute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_cannot_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_fault_leaves_the_old_one_alone, set_up, tear_down),
        cmocka_unit_test(test_the_description_is_alphabetical_and_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
