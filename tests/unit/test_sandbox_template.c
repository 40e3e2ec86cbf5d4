/* Templates: what is a variable, and how inputs come out inside a JSON string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sandbox/template.h"

static const struct {
    const char *template, *inputs, *wanted;
} cases[] = {
    {"Write about {{story}}.", "{\"story\":\"a dog\"}", "Write about a dog."},
    {"{{ story }}", "{\"story\":\"x\"}", "x"},
    {"{{a}}{{b}}{{a}}", "{\"b\":\"2\",\"a\":\"1\"}", "121"},
    {"no variable", "{}", "no variable"},
    {"", "{}", ""},
    {"{{story}}", "{}", "undefined"},
    {"{{story}}", " { } ", "undefined"},
    {"{{story}}", "{\"story\":null}", "null"},
    {"{{n}}", "{\"n\":12345678901234567890.10}", "12345678901234567890.10"},
    {"{{n}}", "{\"n\" : true , \"m\":1}", "true"},
    {"{{n}}", "{\"n\":-1e9}", "-1e9"},
    {"{{l}}", "{\"l\":[1,\"a]}\",{\"b\":\"\\\"\"}],\"m\":1}", "[1,\\\"a]}\\\",{\\\"b\\\":\\\"\\\\\\\"\\\"}]"},
    {"{{s}}", "{\"s\":\"\\u0000 \\ud83d\\ude00 \\ud800 \\n \\\" \\\\ \"}",
     "\\u0000 \\ud83d\\ude00 \\ud800 \\n \\\" \\\\ "},
    {"{{s}}", "{\"s\":\"\xc3\xa9\"}", "\xc3\xa9"},
    {"{{s}}", "{\"t\":\"{{s}}\",\"s\":\"{{t}}\"}", "{{t}}"},
    {"{{s}}", "{\"s\":\"1\",\"s\":\"2\"}", "2"},
    {"{{s}}", "{\"x\":{\"s\":\"inner\"}}", "undefined"},
    {"{{s}}", "{\"x\":\"s\",\"y\":[\"s\"]}", "undefined"},
    {"{{s}}", "{\"\\u0073\":\"escaped key\"}", "escaped key"},
    {"{{\xc3\xa9}}", "{\"\\u00e9\":\"accent\"}", "accent"},
    {"{{\xf0\x9f\x98\x80}}", "{\"\\uD83D\\uDE00\":\"face\"}", "face"},
    {"{{a/b}}", "{\"a\\/b\":\"slash\"}", "slash"},
    {"{{a\tb}}", "{\"a\\tb\":\"tab\"}", "tab"},
    {"{{s}}", "{\"ss\":\"1\",\"\":\"2\",\"S\":\"3\"}", "undefined"},
    {"{{first name}}", "{\"first name\":\"Ana\"}", "Ana"},
    {"{{}} {{ }} {x} {{x} {{x }y}} }}", "{\"x\":\"1\"}", "{{}} {{ }} {x} {{x} {{x }y}} }}"},
    {"{{{x}}}", "{\"x\":\"1\"}", "{1}"},
    {"{{{{x}}", "{\"x\":\"1\"}", "{{1"},
    {"{{x", "{\"x\":\"1\"}", "{{x"},
    {"{", "{}", "{"},
    {"say \"hi\"\\\n\ttab\x01", "{}", "say \\\"hi\\\"\\\\\\n\\u0009tab\\u0001"},
    {"{{a}}", "\n{\r\n\t\"a\"\n:\t\"1\"\n,\n\"b\" : 2\n}\n", "1"},
};

static char *render(const struct template *t, const char *inputs)
{
    struct template_value values[TEMPLATE_VARIABLES_MAX];
    template_bind(t, inputs, strlen(inputs), values);
    size_t len = template_render(t, values, NULL);
    char *out = malloc(len + 1);
    assert_non_null(out);
    assert_int_equal(template_render(t, values, out), len);
    out[len] = '\0';
    return out;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fault fault;
        struct template *t = template_parse(cases[i].template, strlen(cases[i].template), &fault);
        assert_non_null(t);
        char *out = render(t, cases[i].inputs);
        if (strcmp(out, cases[i].wanted) != 0) {
            fail_msg("'%s' with %s: '%s'", cases[i].template, cases[i].inputs, out);
        }
        free(out);
        template_free(t);
    }
}

static void test_variables(void **state)
{
    (void)state;
    static const char text[] = "{{a}} {{ b }} {{a}} {{c}}";
    struct fault fault;
    struct template *t = template_parse(text, strlen(text), &fault);
    assert_non_null(t);
    assert_int_equal(template_variable_count(t), 3);
    assert_string_equal(template_variable_name(t, 0), "a");
    assert_string_equal(template_variable_name(t, 1), "b");
    assert_string_equal(template_variable_name(t, 2), "c");
    template_free(t);
}

static void test_too_many_variables(void **state)
{
    (void)state;
    static char text[(TEMPLATE_VARIABLES_MAX + 1) * 12];
    struct fault fault;
    size_t len = 0;
    for (int i = 0; i < TEMPLATE_VARIABLES_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "{{v%d}}", i);
    }
    struct template *t = template_parse(text, len, &fault);
    assert_non_null(t);
    assert_int_equal(template_variable_count(t), TEMPLATE_VARIABLES_MAX);
    template_free(t);
    len += (size_t)snprintf(text + len, sizeof text - len, "{{one}}");
    assert_null(template_parse(text, len, &fault));
    assert_true(fault.text[0] != '\0');
}

/* More members than the core's scanner lists: all of them are found. */
static void test_many_members(void **state)
{
    (void)state;
    static char inputs[200 * 24];
    size_t len = 0;
    for (int i = 0; i < 200; i++) {
        len += (size_t)snprintf(inputs + len, sizeof inputs - len, "%c\"k%d\":\"v%d\"", i ? ',' : '{', i, i);
    }
    snprintf(inputs + len, sizeof inputs - len, "}");
    struct fault fault;
    struct template *t = template_parse("{{k0}} {{k150}} {{k199}}", 24, &fault);
    assert_non_null(t);
    char *out = render(t, inputs);
    assert_string_equal(out, "v0 v150 v199");
    free(out);
    template_free(t);
}

/* Cut anywhere, an object is never read beyond its end (the sanitizers watch). */
static void test_truncated_objects_stay_inside(void **state)
{
    (void)state;
    static const char whole[] = "{\"a\":[1,{\"b\":\"\\u00e9\\\"\"}],\"\\ud83d\\ude00\":\"x\",\"c\":true}";
    struct fault fault;
    struct template *t = template_parse("{{a}}{{c}}{{\xf0\x9f\x98\x80}}", 16, &fault);
    assert_non_null(t);
    for (size_t len = 0; len < sizeof whole; len++) {
        char *copy = malloc(len ? len : 1);
        assert_non_null(copy);
        memcpy(copy, whole, len);
        struct template_value values[TEMPLATE_VARIABLES_MAX];
        template_bind(t, copy, len, values);
        for (size_t i = 0; i < template_variable_count(t); i++) {
            assert_true(!values[i].raw ||
                        (values[i].raw >= copy && values[i].raw + values[i].len <= copy + len));
        }
        free(copy);
    }
    template_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_too_many_variables),
        cmocka_unit_test(test_many_members),
        cmocka_unit_test(test_truncated_objects_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
