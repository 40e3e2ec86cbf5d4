/* The members of an object, and their values. */
#include <limits.h>

#include "json_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),      cmocka_unit_test(test_find),
        cmocka_unit_test(test_many_members), cmocka_unit_test(test_protocol_members_are_never_dropped),
        cmocka_unit_test(test_string),       cmocka_unit_test(test_decode_keeps_nul),
        cmocka_unit_test(test_int),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
