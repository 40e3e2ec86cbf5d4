#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/jsonspan.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* A copy of exactly this length on the heap, so that a sanitizer sees a read behind the end. */
static char *exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static bool valid(const char *text, size_t len)
{
    char *copy = exact_copy(text, len);
    bool ok = json_is_valid(copy, len);
    free(copy);
    return ok;
}

/* ---- what is JSON ---- */

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

/* ---- members ---- */

static void assert_member(const struct json_member *m, enum json_type type, const char *value)
{
    assert_non_null(m);
    assert_int_equal(m->type, type);
    assert_int_equal(m->value_len, strlen(value));
    assert_memory_equal(m->value, value, m->value_len);
}

static void test_members(void **state)
{
    (void)state;
    static const char text[] = " {\"s\" : \"a\\\"b\" ,\"n\":-1.50E+3\t,\"t\":true,\"f\":false,\"z\": null\n,"
                               "\"a\":[1, [2]] , \"o\":{ \"s\":1 } , \"\":\"empty\"} ";
    struct json_object o;
    assert_true(json_scan_object(text, sizeof text - 1, &o));
    assert_int_equal(o.count, 8);
    assert_false(o.dropped);
    assert_member(json_find(&o, "s"), JSON_STRING, "\"a\\\"b\"");
    assert_member(json_find(&o, "n"), JSON_NUMBER, "-1.50E+3");
    assert_member(json_find(&o, "t"), JSON_TRUE, "true");
    assert_member(json_find(&o, "f"), JSON_FALSE, "false");
    assert_member(json_find(&o, "z"), JSON_NULL, "null");
    assert_member(json_find(&o, "a"), JSON_ARRAY, "[1, [2]]");
    assert_member(json_find(&o, "o"), JSON_OBJECT, "{ \"s\":1 }");
    assert_member(json_find(&o, ""), JSON_STRING, "\"empty\"");
    assert_null(json_find(&o, "x"));
    assert_int_equal(o.members[1].key_len, 1);
    assert_int_equal(o.members[1].key[0], 'n');
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *text, *key, *value; /* value NULL: not there */
    } cases[] = {
        {"{}", "a", NULL},
        {"{\"a\":1,\"a\":2,\"a\":3}", "a", "3"},
        {"{\"a\":1,\"\\u0061\":2}", "a", "2"},
        {"{\"\\u0061\":1,\"a\":2}", "a", "2"},
        {"{\"success\":true,\"success\":false}", "success", "false"},
        {"{\"success\":true,\"x\":0,\"\\u0073uccess\":false}", "success", "false"},
        {"{\"s\\u0075cc\\u0065ss\":1}", "success", "1"},
        {"{\"success\":1}", "succes", NULL},
        {"{\"success\":1}", "successs", NULL},
        {"{\"\\u0073\":1}", "ss", NULL},
        {"{\"\\u0073s\":1}", "s", NULL},
        {"{\"a\\/b\\n\\\"\\\\\":1}", "a/b\n\"\\", "1"},
        {"{\"\\b\\f\\n\\r\\t\":1}", "\b\f\n\r\t", "1"},
        {"{\"\\u00e9\":1}", "\xC3\xA9", "1"},
        {"{\"\\u20ac\":1}", "\xE2\x82\xAC", "1"},
        {"{\"\\ud83d\\ude00\":1}", "\xF0\x9F\x98\x80", "1"},
        {"{\"\xF0\x9F\x98\x80\":1}", "\xF0\x9F\x98\x80", "1"},
        {"{\"\\u0000\":1}", "", NULL},
        {"{\"a\\u0000\":1}", "a", NULL},
        {"{\"\":1}", "", "1"},
        {"{\"A\":1}", "a", NULL},
    };
    struct json_object o;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(json_scan_object(cases[i].text, strlen(cases[i].text), &o));
        const struct json_member *m = json_find(&o, cases[i].key);
        if (!m != !cases[i].value || (m && strncmp(m->value, cases[i].value, m->value_len) != 0))
            fail_msg("%s in %s", cases[i].key, cases[i].text);
    }
}

/* Writes {"m0":0,…} with the extra member texts in front, in the middle (after 64) and at the end. */
static size_t many_members(char *buf, size_t size, size_t count, const char *first, const char *last)
{
    size_t used = (size_t)snprintf(buf, size, "{%s", first);
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s\"m%zu\":%zu", i || first[0] ? "," : "", i, i);
    used += (size_t)snprintf(buf + used, size - used, "%s}", last);
    assert_true(used < size);
    return used;
}

static void test_many_members(void **state)
{
    (void)state;
    char text[4096];
    struct json_object o;
    size_t len = many_members(text, sizeof text, JSON_MEMBERS_MAX, "", "");
    assert_true(json_scan_object(text, len, &o));
    assert_int_equal(o.count, JSON_MEMBERS_MAX);
    assert_false(o.dropped);

    len = many_members(text, sizeof text, JSON_MEMBERS_MAX + 1, "", "");
    assert_true(json_scan_object(text, len, &o));
    assert_int_equal(o.count, JSON_MEMBERS_MAX);
    assert_true(o.dropped);
    assert_member(json_find(&o, "m63"), JSON_NUMBER, "63");
    assert_null(json_find(&o, "m64"));

    text[len - 1] = ']'; /* what is not listed is checked all the same */
    assert_false(json_scan_object(text, len, &o));
    assert_false(o.dropped);
    assert_int_equal(o.count, 0);
}

static void test_protocol_members_are_never_dropped(void **state)
{
    (void)state;
    char text[4096];
    struct json_object o;
    size_t len =
        many_members(text, sizeof text, 100, "",
                     ",\"success\":true,\"code\":1,\"\\u0072esult\":\"r\",\"citations\":[],\"error\":null");
    assert_true(json_scan_object(text, len, &o));
    assert_int_equal(o.count, JSON_MEMBERS_MAX);
    assert_true(o.dropped);
    assert_member(json_find(&o, "success"), JSON_TRUE, "true");
    assert_member(json_find(&o, "result"), JSON_STRING, "\"r\"");
    assert_member(json_find(&o, "citations"), JSON_ARRAY, "[]");
    assert_member(json_find(&o, "error"), JSON_NULL, "null");
    assert_member(json_find(&o, "code"), JSON_NUMBER, "1");
    assert_member(json_find(&o, "m58"), JSON_NUMBER, "58");
    assert_null(json_find(&o, "m59"));

    /* the last duplicate counts, listed once, even when the list is full between them */
    len = many_members(text, sizeof text, 100, "\"success\":true,\"success\":1",
                       ",\"success\":false,\"code\":7");
    assert_true(json_scan_object(text, len, &o));
    assert_member(json_find(&o, "success"), JSON_FALSE, "false");
    assert_ptr_equal(json_find(&o, "success"), &o.members[0]);
    assert_member(&o.members[1], JSON_NUMBER, "0");
    assert_member(json_find(&o, "code"), JSON_NUMBER, "7");

    /* a full list of members that must stay gives way at the last other one */
    len = many_members(text, sizeof text, 63, "", ",\"code\":1,\"result\":2,\"success\":3");
    assert_true(json_scan_object(text, len, &o));
    assert_member(&o.members[63], JSON_NUMBER, "1");
    assert_member(&o.members[62], JSON_NUMBER, "2");
    assert_member(&o.members[61], JSON_NUMBER, "3");
}

/* ---- values ---- */

static char *decode(const char *value)
{
    struct json_object o;
    char text[512];
    int n = snprintf(text, sizeof text, "{\"k\":%s}", value);
    assert_true(json_scan_object(text, (size_t)n, &o));
    return json_string(&o.members[0]);
}

static void test_decode_keeps_nul(void **state)
{
    static const char text[] = "{\"k\":\"a\\u0000b\",\"n\":1}";
    struct json_object o;
    size_t len;
    (void)state;
    assert_true(json_scan_object(text, sizeof text - 1, &o));
    char *decoded = json_decode(&o.members[0], &len);
    assert_int_equal(len, 3);
    assert_memory_equal(decoded, "a\0b", 4);
    free(decoded);
    assert_null(json_string(&o.members[0]));
    assert_null(json_decode(&o.members[1], &len));
    assert_int_equal(len, 0);
}

static void test_string(void **state)
{
    (void)state;
    static const struct {
        const char *value, *text; /* text NULL: no string of ours */
    } cases[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC"},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"},
        {"\"\\ud7ff\\ue000\"", "\xED\x9F\xBF\xEE\x80\x80"},
        {"\"\\ud83d\\ude00!\"", "\xF0\x9F\x98\x80!"},
        {"\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"},
        {"\"\xF0\x9F\x98\x80\"", "\xF0\x9F\x98\x80"},
        {"\"\\ud83d\"", "\xEF\xBF\xBD"},
        {"\"\\ud83dx\"", "\xEF\xBF\xBDx"},
        {"\"\\ud83d\\n\"", "\xEF\xBF\xBD\n"},
        {"\"\\ud83d12345\"", "\xEF\xBF\xBD"
                             "12345"},
        {"\"\\ud83d\\u0041\"", "\xEF\xBF\xBD"
                               "A"},
        {"\"\\ude00\\ud83d\"", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\"\\udc00\\udc00\"", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\"\\ud83d\\ud83d\\ude00\"", "\xEF\xBF\xBD\xF0\x9F\x98\x80"},
        {"\"a\\u0000b\"", NULL},
        {"\"\\u0000\"", NULL},
        {"1", NULL},
        {"null", NULL},
        {"[\"a\"]", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = decode(cases[i].value);
        if (cases[i].text)
            assert_string_equal(text, cases[i].text);
        else
            assert_null(text);
        free(text);
    }
}

static void test_int(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool ok;
        long long n;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"1", true, 1},
        {"-1", true, -1},
        {"120", true, 120},
        {"9007199254740993", true, 9007199254740993},
        {"9223372036854775807", true, LLONG_MAX},
        {"-9223372036854775807", true, -LLONG_MAX},
        {"-9223372036854775808", true, LLONG_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"9223372036854775810", false, 0},
        {"92233720368547758070", false, 0},
        {"99999999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"-1.5", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"null", false, 0},
        {"[1]", false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[64];
        struct json_object o;
        long long n = 4711;
        int len = snprintf(text, sizeof text, "{\"k\":%s}", cases[i].value);
        assert_true(json_scan_object(text, (size_t)len, &o));
        assert_int_equal(json_whole(&o.members[0], &n), cases[i].ok);
        assert_true(n == (cases[i].ok ? cases[i].n : 4711));
    }
}

/* ---- writing ---- */

static void test_quote(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *quoted;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1F\x7F", 4, "\"\\u0000\\u0001\\u001f\x7F\""},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {"\xE2\x80\xA8", 3, "\"\xE2\x80\xA8\""},
        {"\xFF", 1, "\"\xEF\xBF\xBD\""},
        {"\xE2\x82", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"a\xC2", 2, "\"a\xEF\xBF\xBD\""},
        {"\xC2"
         "a",
         2,
         "\"\xEF\xBF\xBD"
         "a\""},
        {"\xC0\x80", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *bytes = exact_copy(cases[i].bytes, cases[i].len);
        char *quoted = json_quote(bytes, cases[i].len);
        assert_string_equal(quoted, cases[i].quoted);
        assert_int_equal(json_quote_to(NULL, bytes, cases[i].len), strlen(quoted));
        assert_true(json_is_valid(quoted, strlen(quoted)));
        free(quoted);
        free(bytes);
    }
    assert_null(json_quote("", SIZE_MAX));
    assert_null(json_quote("", SIZE_MAX / 6 + 1));
}

/* What is quoted reads back as it was, for every character that has a reason to be special. */
static void test_quote_round_trip(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 0x80; c++) {
        const char text[] = {(char)c, 'x', (char)c, '\0'};
        char *quoted = json_quote(text, 3);
        assert_non_null(quoted);
        char *back = decode(quoted);
        assert_string_equal(back, text);
        free(back);
        free(quoted);
    }
}

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
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_object_agrees),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_mixed_nesting),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_many_members),
        cmocka_unit_test(test_protocol_members_are_never_dropped),
        cmocka_unit_test(test_string),
        cmocka_unit_test(test_decode_keeps_nul),
        cmocka_unit_test(test_int),
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_quote_round_trip),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
