#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/key.h"
#include "stderr_capture.h"
#include "tempdir.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct fixture {
    struct tempdir dir;
    char option[128], config[128], credentials[128];
};

static void clear_environment(void)
{
    unsetenv("FLOWSPOOL_API_KEY");
    unsetenv("CREDENTIALS_DIRECTORY");
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    tempdir_open(&f->dir, "/tmp");
    put_dir(&f->dir, "credentials");
    snprintf(f->option, sizeof f->option, "%s/option", f->dir.path);
    snprintf(f->config, sizeof f->config, "%s/config", f->dir.path);
    snprintf(f->credentials, sizeof f->credentials, "%s/credentials", f->dir.path);
    clear_environment();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    clear_environment();
    tempdir_close(&f->dir);
    free(f);
    return 0;
}

static void put_key(const struct fixture *f, const char *name, const char *text)
{
    put_file(&f->dir, name, text);
    assert_int_equal(fchmodat(f->dir.fd, name, 0600, 0), 0);
}

static void test_the_first_source_that_is_there(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        bool option, credential, variable, config;
        const char *text, *source;
    } cases[] = {
        {true, true, true, true, "from-option", "file "},
        {false, true, true, true, "from-credential", "credential "},
        {false, false, true, true, "from-variable", "$FLOWSPOOL_API_KEY"},
        {false, false, false, true, "from-config", "file "},
        {true, false, false, true, "from-option", "file "},
    };
    put_key(f, "option", "from-option\n");
    put_key(f, "config", "from-config");
    put_key(f, "credentials/api_key", "from-credential\n");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_key k;
        struct fault fault;
        clear_environment();
        if (cases[i].credential)
            setenv("CREDENTIALS_DIRECTORY", f->credentials, 1);
        if (cases[i].variable)
            setenv("FLOWSPOOL_API_KEY", "from-variable", 1);
        struct capture c = capture_begin();
        bool ok =
            api_key_load(cases[i].option ? f->option : NULL, cases[i].config ? f->config : "", &k, &fault);
        const char *log = capture_end(&c);
        assert_true(ok);
        assert_string_equal(k.text, cases[i].text);
        assert_int_equal(strncmp(k.source, cases[i].source, strlen(cases[i].source)), 0);
        assert_int_equal(k.file == NULL, cases[i].source[0] == '$');
        assert_int_equal(strlen(k.short_hash), 12);
        assert_null(strstr(log, k.text));
        api_key_free(&k);
        assert_null(k.text);
    }
}

static void test_who_is_overridden_and_differs_is_named(void **state)
{
    const struct fixture *f = *state;
    struct api_key k;
    struct fault fault;
    put_key(f, "option", "one\n");
    put_key(f, "config", "one");
    setenv("FLOWSPOOL_API_KEY", "two", 1);
    struct capture c = capture_begin();
    assert_true(api_key_load(f->option, f->config, &k, &fault));
    const char *log = capture_end(&c);
    assert_non_null(strstr(log, "$FLOWSPOOL_API_KEY holds another key"));
    assert_null(strstr(log, "config holds")); /* the same key: nobody is misled */
    assert_null(strstr(log, "two"));
    api_key_free(&k);

    /* One that is overridden may be unusable. */
    setenv("FLOWSPOOL_API_KEY", "no key at all", 1);
    assert_true(api_key_load(f->option, "/no/such/file", &k, &fault));
    api_key_free(&k);
}

static void test_one_newline_is_dropped(void **state)
{
    const struct fixture *f = *state;
    static char longest[4096 + 3];
    memset(longest, 'k', 4096);
    memcpy(longest + 4096, "\n", 2);
    const char *const texts[] = {"k", "k\n", longest};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct api_key k;
        struct fault fault;
        put_key(f, "config", texts[i]);
        assert_true(api_key_load(NULL, f->config, &k, &fault));
        assert_int_equal(strlen(k.text), strcspn(texts[i], "\n"));
        api_key_free(&k);
    }
}

static void test_keys_that_cannot_be_sent(void **state)
{
    const struct fixture *f = *state;
    static char too_long[4097 + 1], huge[100000];
    memset(too_long, 'k', sizeof too_long - 1);
    memset(huge, 'k', sizeof huge);
    static const struct {
        const char *bytes;
        size_t len;
        const char *words;
    } cases[] = {
        {"", 0, "is empty"},
        {"\n", 1, "is empty"},
        {"k\n\n", 3, "a line break"},
        {"k\r\n", 3, "a line break"},
        {"a b", 3, "a space"},
        {" k", 2, "a space"},
        {"k\x7f", 2, "a control byte"},
        {"k\xc3\xa9", 3, "not ASCII"},
        {"k\0k", 3, "a NUL byte"},
        {"\0", 1, "a NUL byte"},
        {too_long, sizeof too_long - 1, "longer than 4096"},
        {huge, sizeof huge, "longer than 4096"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_key k;
        struct fault fault;
        put_bytes(&f->dir, "config", cases[i].bytes, cases[i].len);
        if (api_key_load(NULL, f->config, &k, &fault))
            fail_msg("%s: taken", cases[i].words);
        if (strstr(fault.text, cases[i].words) == NULL || strstr(fault.text, f->config) == NULL)
            fail_msg("%s: %s", cases[i].words, fault.text);
    }
}

static void test_no_key(void **state)
{
    const struct fixture *f = *state;
    struct api_key k;
    struct fault fault;
    assert_false(api_key_load(NULL, "", &k, &fault));
    assert_non_null(strstr(fault.text, "no key"));
    assert_false(api_key_load(NULL, f->config, &k, &fault));
    assert_non_null(strstr(fault.text, "No such file"));
    /* A source that is named and missing is a fault, never a reason to take the next. */
    put_key(f, "config", "k");
    assert_false(api_key_load(f->option, f->config, &k, &fault));
    assert_non_null(strstr(fault.text, f->option));
    /* A variable that is empty is what some managers make of one that is not set. */
    setenv("FLOWSPOOL_API_KEY", "", 1);
    assert_true(api_key_load(NULL, f->config, &k, &fault));
    assert_string_equal(k.text, "k");
    api_key_free(&k);
    assert_false(api_key_load(NULL, "", &k, &fault));
    assert_non_null(strstr(fault.text, "no key"));
}

static void test_others_may_not_read_the_file(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *name;
        mode_t mode;
        bool warns;
    } cases[] = {
        {"config", 0600, false},
        {"config", 0400, false},
        {"config", 0640, true},
        {"config", 0604, true},
        {"credentials/api_key", 0440, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_key k;
        struct fault fault;
        put_file(&f->dir, cases[i].name, "k\n");
        assert_int_equal(fchmodat(f->dir.fd, cases[i].name, cases[i].mode, 0), 0);
        if (cases[i].name[1] == 'r')
            setenv("CREDENTIALS_DIRECTORY", f->credentials, 1);
        struct capture c = capture_begin();
        assert_true(api_key_load(NULL, f->config, &k, &fault));
        const char *log = capture_end(&c);
        if ((strstr(log, "can be read by others") != NULL) != cases[i].warns)
            fail_msg("%s %o: %s", cases[i].name, (unsigned)cases[i].mode, log);
        api_key_free(&k);
        assert_int_equal(fchmodat(f->dir.fd, cases[i].name, 0600, 0), 0);
    }
}

static void test_a_change_of_the_file_is_seen(void **state)
{
    const struct fixture *f = *state;
    struct api_key k;
    struct fault fault;
    put_key(f, "config", "one\n");
    assert_true(api_key_load(NULL, f->config, &k, &fault));
    uint64_t first = api_key_signature(&k);
    assert_int_not_equal(first, 0);
    assert_true(first == api_key_signature(&k));
    put_key(f, "new", "two\n");
    assert_int_equal(renameat(f->dir.fd, "new", f->dir.fd, "config"), 0);
    uint64_t second = api_key_signature(&k);
    assert_true(second != 0 && second != first);
    put_key(f, "config", "three\n");
    assert_true(api_key_signature(&k) != second);
    assert_int_equal(unlinkat(f->dir.fd, "config", 0), 0);
    assert_true(api_key_signature(&k) == 0);
    api_key_free(&k);

    setenv("FLOWSPOOL_API_KEY", "k", 1);
    assert_true(api_key_load(NULL, "", &k, &fault));
    assert_true(api_key_signature(&k) == 0);
    api_key_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_first_source_that_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_overridden_and_differs_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_newline_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_that_cannot_be_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_others_may_not_read_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_change_of_the_file_is_seen, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
