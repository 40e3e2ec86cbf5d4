/* Which texts are JSON, however they are cut, nested or damaged. */
#include "json_fixture.h"

static bool valid(const char *text, size_t len)
{
    char *copy = exact_copy(text, len);
    bool ok = json_is_valid(copy, len);
    free(copy);
    return ok;
}

static const char *const accepted[] = {
    /* literals and white space */
    "null",
    "true",
    "false",
    " \t\r\n null \t\r\n ",
    /* numbers */
    "0",
    "-0",
    "1",
    "-1",
    "10",
    "1234567890123456789012345678901234567890",
    "0.0",
    "-0.10",
    "1.5",
    "0e0",
    "1e5",
    "1E5",
    "1e+5",
    "1E-05",
    "1.25e-300",
    "1e999999",
    /* strings */
    "\"\"",
    "\"a\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0000\"",
    "\"\\uD83D\\uDE00\"",
    "\"\\ud83d\"",
    "\"\\udE00\\uD83D\"",
    "\"\\uAbCf\"",
    "\"\x7F\"",
    "\"'\"",
    "\"\xC2\x80\"",
    "\"\xDF\xBF\"",
    "\"\xE0\xA0\x80\"",
    "\"\xED\x9F\xBF\"",
    "\"\xEE\x80\x80\"",
    "\"\xEF\xBF\xBF\"",
    "\"\xF0\x90\x80\x80\"",
    "\"\xF4\x8F\xBF\xBF\"",
    "\"\xE2\x80\xA8\"",
    "\"\\u005c\"",
    /* arrays and objects */
    "[]",
    "[ ]",
    "[1]",
    "[1,2]",
    "[ 1 , 2 ]",
    "[[],[[]],{}]",
    "{}",
    "{ }",
    "{\"\":0}",
    "{\"a\":1,\"a\":2}",
    "{ \"a\" : [ { \"b\" : null } ] , \"c\" : \"\" }",
    "[true,false,null,\"x\",-1.5e3,{\"a\":[]}]",
    "{\"a\":{\"b\":{\"c\":[[[]]]}},\"d\":{}}",
};

static const char *const refused[] = {
    "",
    " ",
    "\n",
    /* literals */
    "n",
    "nul",
    "nulll",
    "tru",
    "truE",
    "True",
    "falsee",
    "NaN",
    "Infinity",
    "-Infinity",
    "undefined",
    "true false",
    "null,",
    "nullnull",
    /* numbers */
    "-",
    "+1",
    "01",
    "-01",
    "00",
    "1.",
    ".5",
    "-.5",
    "1.e5",
    "1e",
    "1e+",
    "1E-",
    "1e5.5",
    "0x10",
    "1 2",
    "1,",
    "--1",
    "1-",
    "1a",
    "1e5e5",
    "1_000",
    /* strings */
    "\"",
    "\"a",
    "'a'",
    "a",
    "\"\\\"",
    "\"\\",
    "\"\\x41\"",
    "\"\\'\"",
    "\"\\a\"",
    "\"\\u\"",
    "\"\\u123\"",
    "\"\\u12G4\"",
    "\"\\u 123\"",
    "\"\\u-123\"",
    "\"\\U0041\"",
    "\"\\u123",
    "\"\t\"",
    "\"\n\"",
    "\"\x01\"",
    "\"\x1F\"",
    "\"a\"b",
    "\"a\" \"b\"",
    /* not UTF-8 */
    "\"\x80\"",
    "\"\xBF\"",
    "\"\xC0\x80\"",
    "\"\xC1\xBF\"",
    "\"\xC2\"",
    "\"\xC2",
    "\"\xC2 \"",
    "\"\xE0\x80\x80\"",
    "\"\xE0\x9F\xBF\"",
    "\"\xE2\x82\"",
    "\"\xE2\x82",
    "\"\xED\xA0\x80\"",
    "\"\xED\xBF\xBF\"",
    "\"\xF0\x80\x80\x80\"",
    "\"\xF0\x8F\xBF\xBF\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\xF5\x80\x80\x80\"",
    "\"\xF8\x88\x80\x80\x80\"",
    "\"\xFE\"",
    "\"\xFF\"",
    "\"\xF0\x9F\x98\"",
    "\xEF\xBB\xBF{}",
    "{}\xEF\xBB\xBF",
    "\xC2\xA0{}",
    /* arrays */
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[,]",
    "[1,,2]",
    "[1 2]",
    "[1}",
    "[]]",
    "[[]",
    "[\"a\":1]",
    "[1];",
    "[:]",
    /* objects */
    "{",
    "}",
    "{]",
    "{\"a\"",
    "{\"a\"}",
    "{\"a\":",
    "{\"a\":}",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,\"a\":1}",
    "{,}",
    "{\"a\" 1}",
    "{\"a\"::1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{null:1}",
    "{\"a\":1}}",
    "{\"a\":1}x",
    "{\"a\":1,,\"b\":2}",
    "{\"a\\x\":1}",
    "{\"a\n\":1}",
    "{\"a\":[}]",
    "{\"a\":[1}",
    "{\"a\":01}",
    "{\"a\":1}{\"b\":2}",
    "{[]:1}",
    "{\"a\":{]}",
    /* dialects */
    "/**/{}",
    "{}//",
    "{\"a\":1}#",
    "{\"a\":+1}",
    "\f{}",
    "\v{}",
};

static void test_accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accepted); i++) {
        if (!valid(accepted[i], strlen(accepted[i])))
            fail_msg("refused: %s", accepted[i]);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        if (valid(refused[i], strlen(refused[i])))
            fail_msg("accepted: %s", refused[i]);
    }
}

static void test_nul_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {{"\0", 1},       {"1\0", 2},   {"{}\0", 3}, {"\"a\0b\"", 5},
                 {"\"\\\0\"", 4}, {"[1\0]", 4}, {"{\0}", 3}};
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_false(valid(cases[i].text, cases[i].len));
    assert_false(json_is_valid(NULL, 0));
}

/* As a member's value every text must get the same answer: the two ways into the scanner must agree. */
static void test_object_agrees(void **state)
{
    (void)state;
    struct json_object o;
    for (size_t i = 0; i < COUNT(accepted) + COUNT(refused); i++) {
        char text[256];
        const char *value = i < COUNT(accepted) ? accepted[i] : refused[i - COUNT(accepted)];
        snprintf(text, sizeof text, "{\"k\": %s }", value);
        assert_int_equal(json_scan_object(text, strlen(text), &o), valid(text, strlen(text)));
        if (i < COUNT(accepted))
            assert_int_equal(o.count, 1);
        assert_int_equal(json_scan_object(value, strlen(value), &o),
                         valid(value, strlen(value)) && value[strspn(value, " \t\r\n")] == '{');
    }
}

/* Every proper prefix of a valid object is refused, and nothing is read behind its end. */
static void test_prefixes(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\\u00e9\":[1.5e+3,{\"b\":\"\xF0\x9F\x98\x80\\n\"},true,null],\"c\":false,\"d\":{}}";
    struct json_object o;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        char *copy = exact_copy(text, len);
        assert_false(json_is_valid(copy, len));
        assert_false(json_scan_object(copy, len, &o));
        assert_int_equal(o.count, 0);
        assert_false(o.dropped);
        free(copy);
    }
    assert_true(json_scan_object(text, sizeof text - 1, &o));
    assert_int_equal(o.count, 3);
}

/* ---- depth ---- */

static bool nested_is_valid(size_t depth, const char *open, const char *innermost, const char *close)
{
    size_t room = depth * (strlen(open) + strlen(close)) + strlen(innermost) + 1;
    char *text = malloc(room), *p = text;
    assert_non_null(text);
    for (size_t i = 0; i < depth; i++)
        p = stpcpy(p, open);
    p = stpcpy(p, innermost);
    for (size_t i = 0; i < depth; i++)
        p = stpcpy(p, close);
    bool ok = json_is_valid(text, (size_t)(p - text));
    struct json_object o;
    if (text[0] == '{') /* both ways in have the same bound */
        assert_int_equal(json_scan_object(text, (size_t)(p - text), &o), ok);
    free(text);
    return ok;
}

static void test_depth(void **state)
{
    (void)state;
    assert_true(nested_is_valid(JSON_DEPTH_MAX, "[", "", "]"));
    assert_false(nested_is_valid(JSON_DEPTH_MAX + 1, "[", "", "]"));
    assert_true(nested_is_valid(JSON_DEPTH_MAX, "{\"a\":", "1", "}"));
    assert_false(nested_is_valid(JSON_DEPTH_MAX + 1, "{\"a\":", "1", "}"));
    assert_true(nested_is_valid(JSON_DEPTH_MAX - 1, "{\"a\":", "{}", "}"));
    assert_false(nested_is_valid(JSON_DEPTH_MAX, "{\"a\":", "{}", "}"));
    assert_true(nested_is_valid(JSON_DEPTH_MAX / 2, "[{\"a\":", "1", "}]"));
    assert_false(nested_is_valid(JSON_DEPTH_MAX / 2, "[{\"a\":", "[]", "}]"));
    assert_false(nested_is_valid(JSON_DEPTH_MAX / 2, "[{\"a\":", "1", "]}"));
    assert_false(nested_is_valid(1000000, "[", "", "]"));
    assert_false(nested_is_valid(1000000, "[", "", ""));
    assert_false(nested_is_valid(1000000, "{\"a\":", "", ""));
}

/* Closing brackets must fit at every depth, across the bytes of the bit stack. */
static void test_mixed_nesting(void **state)
{
    (void)state;
    char text[2 * 40 * 6 + 2];
    for (size_t wrong = 0; wrong <= 40; wrong++) { /* 40: none is wrong */
        char *p = text;
        for (size_t i = 0; i < 40; i++)
            p = stpcpy(p, i * i % 3 ? "{\"a\":" : "[");
        p = stpcpy(p, "0");
        for (size_t i = 40; i-- > 0;)
            *p++ = (i * i % 3 != 0) == (i != wrong) ? '}' : ']';
        assert_int_equal(json_is_valid(text, (size_t)(p - text)), wrong == 40);
    }
}

/* ---- damage ---- */

/* One flipped byte anywhere must not lead outside the text (a sanitizer build says whether it does). */
static void test_mutations(void **state)
{
    (void)state;
    static const char text[] =
        "{\"success\":true,\"result\":\"\\ud83d\\ude00\xC3\xA9\",\"citations\":[\"a\",{\"t\":-1.5e3}]}";
    static const char bytes[] = "\"\\{}[],:0-.eEu\x80\xC3\xF0 tn";
    struct json_object o;
    size_t len = sizeof text - 1, still_valid = 0;
    for (size_t at = 0; at < len; at++) {
        for (size_t b = 0; b < sizeof bytes; b++) { /* the NUL too */
            char *copy = exact_copy(text, len);
            copy[at] = bytes[b];
            bool ok = json_scan_object(copy, len, &o);
            assert_int_equal(ok, json_is_valid(copy, len) && copy[0] == '{');
            for (size_t i = 0; i < o.count; i++) {
                free(json_string(&o.members[i]));
                assert_true(o.members[i].value + o.members[i].value_len <= copy + len);
            }
            still_valid += ok;
            free(copy);
        }
    }
    assert_true(still_valid > 100 && still_valid < len * sizeof bytes / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),       cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_nul_bytes),     cmocka_unit_test(test_object_agrees),
        cmocka_unit_test(test_prefixes),      cmocka_unit_test(test_depth),
        cmocka_unit_test(test_mixed_nesting), cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
