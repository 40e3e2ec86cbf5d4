#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/digest.h"
#include "core/payload.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct yaml_tree *parse(const char *text)
{
    struct yaml_tree *tree;
    struct fault f;
    if (!yaml_tree_parse(text, strlen(text), &yaml_limits_default, &tree, &f))
        fail_msg("line %zu, column %zu: %s\n%s", f.line, f.column, f.text, text);
    return tree;
}

static void check_body(const struct yaml_node *node, enum inputs_as as, const char *expected)
{
    struct fault f;
    char *body = payload_body(node, as, &f);
    assert_non_null(body);
    assert_string_equal(body, expected);
    free(body);
}

/* ---- numbers ---- */

static void test_json_numbers(void **state)
{
    (void)state;
    static const char *const numbers[] = {"0",     "-0",     "7",     "-12",
                                          "1.0",   "19.90",  "-0.5",  "1e5",
                                          "1E+05", "2.5e-7", "1e999", "123456789012345678901234567890"};
    static const char *const others[] = {"",     "-",        "+1",    "01",  "0123",  "-01", "1.", ".5",
                                         "1.e5", "1e",       "1e+",   "0x1", "1_0",   "1 ",  " 1", "nan",
                                         ".inf", "Infinity", "1.2.3", "--1", "1e5.0", "1\n"};
    for (size_t i = 0; i < COUNT(numbers); i++)
        assert_true(payload_is_json_number(numbers[i], strlen(numbers[i])));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(payload_is_json_number(others[i], strlen(others[i])));
    assert_true(payload_is_json_number("12e", 2)); /* the length counts, not the end of the text */
}

/* ---- scalars ---- */

static void test_scalars(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *text, *typed, *identity;
    } cases[] = {
        {"19.90", "\"19.90\"", "19.90", "[\"19.90\",\"plain\"]"},
        {"'19.90'", "\"19.90\"", "\"19.90\"", "[\"19.90\",\"quoted\"]"},
        {"123456789012345678901234567890", "\"123456789012345678901234567890\"",
         "123456789012345678901234567890", "[\"123456789012345678901234567890\",\"plain\"]"},
        {"1E+05", "\"1E+05\"", "1E+05", "[\"1E+05\",\"plain\"]"},
        {"true", "\"true\"", "true", "[\"true\",\"plain\"]"},
        {"false", "\"false\"", "false", "[\"false\",\"plain\"]"},
        {"[null]", "[\"null\"]", "[null]", "[[\"null\",\"plain\"]]"},
        {"\"null\"", "\"null\"", "\"null\"", "[\"null\",\"quoted\"]"},
        {"True", "\"True\"", "\"True\"", "[\"True\",\"plain\"]"},
        {"no", "\"no\"", "\"no\"", "[\"no\",\"plain\"]"},
        {"on", "\"on\"", "\"on\"", "[\"on\",\"plain\"]"},
        {"[~]", "[\"~\"]", "[\"~\"]", "[[\"~\",\"plain\"]]"},
        {"0123", "\"0123\"", "\"0123\"", "[\"0123\",\"plain\"]"},
        {"2026-11-23", "\"2026-11-23\"", "\"2026-11-23\"", "[\"2026-11-23\",\"plain\"]"},
        {".5", "\".5\"", "\".5\"", "[\".5\",\"plain\"]"},
        {"a:", "{\"a\":\"\"}", "{\"a\":\"\"}", "{\"a\":[\"\",\"plain\"]}"},
        {"a: ''", "{\"a\":\"\"}", "{\"a\":\"\"}", "{\"a\":[\"\",\"quoted\"]}"},
        {"|\n  5\n", "\"5\\n\"", "\"5\\n\"", "[\"5\\n\",\"quoted\"]"},
        {">-\n  5\n", "\"5\"", "\"5\"", "[\"5\",\"quoted\"]"},
        /* tags decide first */
        {"!!str 5", "\"5\"", "\"5\"", "[\"5\",\"quoted\"]"},
        {"! 5", "\"5\"", "\"5\"", "[\"5\",\"quoted\"]"},
        {"!!int '5'", "\"5\"", "5", "[\"5\",\"plain\"]"},
        {"!!float 5", "\"5\"", "5", "[\"5\",\"plain\"]"},
        {"!!float \"1.5e3\"", "\"1.5e3\"", "1.5e3", "[\"1.5e3\",\"plain\"]"},
        {"!!bool 'true'", "\"true\"", "true", "[\"true\",\"plain\"]"},
        {"[!!null 'null']", "[\"null\"]", "[null]", "[[\"null\",\"plain\"]]"},
        /* order, nesting, aliases, no escape for DEL and '/' */
        {"{b: 1, a: [x, {}, []]}", "{\"b\":\"1\",\"a\":[\"x\",{},[]]}", "{\"b\":1,\"a\":[\"x\",{},[]]}",
         "{\"b\":[\"1\",\"plain\"],\"a\":[[\"x\",\"plain\"],{},[]]}"},
        {"[&a {k: 1}, *a]", "[{\"k\":\"1\"},{\"k\":\"1\"}]", "[{\"k\":1},{\"k\":1}]",
         "[{\"k\":[\"1\",\"plain\"]},{\"k\":[\"1\",\"plain\"]}]"},
        {"\"\\x01\\x1f\\b\\f\\n\\r\\t\\\"\\\\/\\x7f\"", "\"\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\x7f\"",
         "\"\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\x7f\"",
         "[\"\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\x7f\",\"quoted\"]"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fault f;
        struct yaml_tree *tree = parse(cases[i].yaml);
        const struct yaml_node *node = yaml_tree_document(tree, 0);
        check_body(node, INPUTS_TEXT, cases[i].text);
        check_body(node, INPUTS_TYPED, cases[i].typed);
        char *identity = payload_identity(node, &f);
        assert_non_null(identity);
        assert_string_equal(identity, cases[i].identity);
        free(identity);
        yaml_tree_free(tree);
    }
}

static void test_tags_that_do_not_fit(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "k: !!int x",    "k: !!int 1.0",  "k: !!int 0x10",  "k: !!int ''", "k: !!float .inf",
        "k: !!float 1.", "k: !!bool yes", "k: !!bool True", "k: !!null ~", "k: !!null ''",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct yaml_tree *tree = parse(cases[i]);
        struct fault f = {0};
        assert_null(payload_body(yaml_tree_document(tree, 0), INPUTS_TEXT, &f));
        assert_int_equal(f.line, 1);
        assert_int_equal(f.column, 4);
        assert_non_null(strstr(f.text, "remove the tag"));
        assert_null(payload_body(yaml_tree_document(tree, 0), INPUTS_TYPED, &f));
        assert_null(payload_identity(yaml_tree_document(tree, 0), &f));
        yaml_tree_free(tree);
    }
}

/* ---- against another JSON ---- */

/* Random objects as Python's json.dumps() writes them (with and without ensure_ascii, compact, spaced and
 * indented with tabs), what the bodies are, and SHA-256 of the identity by Python's hashlib. */
static const struct {
    const char *source, *text, *typed, *identity_sha256;
} samples[] = {
    {"{\n\t\"\\\\ud83d\\\\ude00.1ab- \\u2028\":null,\n\t\"\\u0080\\b@ "
     "\":[\n\t\t1e+300,\n\t\t[],\n\t\t[]\n\t],\n\t\"\\uffff{\\b@ "
     "\\n\":{\n\t\t\"9X1\":true,\n\t\t\"\\\\_!&{\":{}\n\t}\n}",
     "{\"\\\\ud83d\\\\ude00.1ab- \342\200\250\":\"null\",\"\302\200\\b@ "
     "\":[\"1e+300\",[],[]],\"\357\277\277{\\b@ \\n\":{\"9X1\":\"true\",\"\\\\_!&{\":{}}}",
     "{\"\\\\ud83d\\\\ude00.1ab- \342\200\250\":null,\"\302\200\\b@ \":[1e+300,[],[]],\"\357\277\277{\\b@ "
     "\\n\":{\"9X1\":true,\"\\\\_!&{\":{}}}",
     "4e3a8ec7632e988dd95df0791a9f54967903e54f7fe5ce6e0cc7524de3b4e755"},
    {"{\"\357\277\277\": \"b\", \" \360\237\230\200\\b\": \"\", \"\": -2.5e-07}",
     "{\"\357\277\277\":\"b\",\" \360\237\230\200\\b\":\"\",\"\":\"-2.5e-07\"}",
     "{\"\357\277\277\":\"b\",\" \360\237\230\200\\b\":\"\",\"\":-2.5e-07}",
     "9822f3c92d98b336edf613e9d4cffefe7cdb746173671ee2b10d812a80f93c32"},
    {"{\"@\\u2028_\": [true, \"Y\"], \"X X X\": 0}", "{\"@\342\200\250_\":[\"true\",\"Y\"],\"X X X\":\"0\"}",
     "{\"@\342\200\250_\":[true,\"Y\"],\"X X X\":0}",
     "df6d0fc6f34721747040081a9b8584296e19d177ff96ef98c4cbb5bf312bed7b"},
    {"{\"\":{\"\\b0\":\"_1\"},\"a\302\205Y\\u0001\":\"0 \360\237\230\200\"}",
     "{\"\":{\"\\b0\":\"_1\"},\"a\302\205Y\\u0001\":\"0 \360\237\230\200\"}",
     "{\"\":{\"\\b0\":\"_1\"},\"a\302\205Y\\u0001\":\"0 \360\237\230\200\"}",
     "3932eb4efa5683b169c871b94948ff2f540ff4f2157184691bfd906183896780"},
    {"{\"Y\\f\": false, \"\\u2029\\\\ud83d\\\\ude00XYY\\ud83d\\ude00\": true}",
     "{\"Y\\f\":\"false\",\"\342\200\251\\\\ud83d\\\\ude00XYY\360\237\230\200\":\"true\"}",
     "{\"Y\\f\":false,\"\342\200\251\\\\ud83d\\\\ude00XYY\360\237\230\200\":true}",
     "e0eb82e14b3a209b7aa8775eb88aad14e2a86becc1939a37a8cfb911b66a3cb3"},
    {"{\n\t\"99a@0Y9\": [\n\t\t\"\",\n\t\t\"\302\205\357\277\277{ \342\200\250\\f\"\n\t]\n}",
     "{\"99a@0Y9\":[\"\",\"\302\205\357\277\277{ \342\200\250\\f\"]}",
     "{\"99a@0Y9\":[\"\",\"\302\205\357\277\277{ \342\200\250\\f\"]}",
     "5600cca40932909a31c30e7f916595da57eb8f113b7814e0a0439a79ceb7351f"},
    {"{\"@\":\"a\\ue000\",\"_\\\\ud83d\\\\ude00a{a\":true}",
     "{\"@\":\"a\356\200\200\",\"_\\\\ud83d\\\\ude00a{a\":\"true\"}",
     "{\"@\":\"a\356\200\200\",\"_\\\\ud83d\\\\ude00a{a\":true}",
     "f555c1f588887ca63a25442d602408145b06f70472d956de972eebb6963c0cb6"},
    {"{\"\\b19Y: \357\273\277\": \"X\356\200\200\364\217\277\277a\", \"\346\227\245\": [true, {}, "
     "\"*\357\277\277\"], \"\\\"a\357\277\277\\u0001!0\346\227\245\": {}}",
     "{\"\\b19Y: "
     "\357\273\277\":\"X\356\200\200\364\217\277\277a\",\"\346\227\245\":[\"true\",{},\"*\357\277\277\"],"
     "\"\\\"a\357\277\277\\u0001!0\346\227\245\":{}}",
     "{\"\\b19Y: "
     "\357\273\277\":\"X\356\200\200\364\217\277\277a\",\"\346\227\245\":[true,{},\"*\357\277\277\"],"
     "\"\\\"a\357\277\277\\u0001!0\346\227\245\":{}}",
     "3df9fafdec5748ce9f34a2bf8a06261ec984f701b0057e638baf049d34fa3a02"},
    {"{\"\\na\\fX\\ufeff\\\\ud83d\\\\ude009\": null, \"\": {\"\": false}}",
     "{\"\\na\\fX\357\273\277\\\\ud83d\\\\ude009\":\"null\",\"\":{\"\":\"false\"}}",
     "{\"\\na\\fX\357\273\277\\\\ud83d\\\\ude009\":null,\"\":{\"\":false}}",
     "1b147746b0420cd01c0f1ec25f66470c5891a69aa48610fd1ca4a73b74bdf058"},
    {"{\"\342\200\2511\":null,\"\":[{},true,1.5]}", "{\"\342\200\2511\":\"null\",\"\":[{},\"true\",\"1.5\"]}",
     "{\"\342\200\2511\":null,\"\":[{},true,1.5]}",
     "fb851bfb64895e027e1c199cc83e155e381b9c17387aac1b3e38d854184ac7a3"},
    {"{\n\t\"\\f\\\\\\udbff\\udfff\\u2028 1\": [\n\t\t0\n\t],\n\t\"\\\"_Y\\uffff- &Y\": {\n\t\t\"b!b "
     ".\\tY\": true,\n\t\t\"/\\bY\\u0080\\ue000\": false\n\t}\n}",
     "{\"\\f\\\\\364\217\277\277\342\200\250 1\":[\"0\"],\"\\\"_Y\357\277\277- &Y\":{\"b!b "
     ".\\tY\":\"true\",\"/\\bY\302\200\356\200\200\":\"false\"}}",
     "{\"\\f\\\\\364\217\277\277\342\200\250 1\":[0],\"\\\"_Y\357\277\277- &Y\":{\"b!b "
     ".\\tY\":true,\"/\\bY\302\200\356\200\200\":false}}",
     "29faeec871b70c32f460e456acfd93a03b22386613ff80a07b2995a9c39ef7bb"},
    {"{\"99\357\277\277&\\fYY\": true, \"\\n: 9\177X: a\": \"\\nY\342\200\251Y9\"}",
     "{\"99\357\277\277&\\fYY\":\"true\",\"\\n: 9\177X: a\":\"\\nY\342\200\251Y9\"}",
     "{\"99\357\277\277&\\fYY\":true,\"\\n: 9\177X: a\":\"\\nY\342\200\251Y9\"}",
     "576feddc652b0c509e3161f0588a7e01c7f3eefa24341bb7fc4d1884f23670d6"},
    {"{\"\":{\"b\\n\\ud83d\\ude00\":\"\\t\\u007f\",\"0\\udbff\\udfffY\\u65e5: \":true,\"b\":null},\" "
     "b10.\":{\"\\u00e90\\u2029 Y\":[\"\"]}}",
     "{\"\":{\"b\\n\360\237\230\200\":\"\\t\177\",\"0\364\217\277\277Y\346\227\245: "
     "\":\"true\",\"b\":\"null\"},\" b10.\":{\"\303\2510\342\200\251 Y\":[\"\"]}}",
     "{\"\":{\"b\\n\360\237\230\200\":\"\\t\177\",\"0\364\217\277\277Y\346\227\245: \":true,\"b\":null},\" "
     "b10.\":{\"\303\2510\342\200\251 Y\":[\"\"]}}",
     "606cbd8df8f5097cc12db8b894c395cf0fc4c4e12ed08a275a2dce96b7e55a62"},
    {"{\"1_\\\\a\": \".\360\237\230\200*X\", \"b9.9#\": \"\\f\357\277\2770\"}",
     "{\"1_\\\\a\":\".\360\237\230\200*X\",\"b9.9#\":\"\\f\357\277\2770\"}",
     "{\"1_\\\\a\":\".\360\237\230\200*X\",\"b9.9#\":\"\\f\357\277\2770\"}",
     "d5ce65b9ab404ad8fb9b63c25e07ef4c5884a374348bb6cacda448ff979c442b"},
    {"{\"9\\\": \": false, \"\\u2028\\u65e5/\\\\ba\": false, \" 0Y : \\\"\": null}",
     "{\"9\\\": \":\"false\",\"\342\200\250\346\227\245/\\\\ba\":\"false\",\" 0Y : \\\"\":\"null\"}",
     "{\"9\\\": \":false,\"\342\200\250\346\227\245/\\\\ba\":false,\" 0Y : \\\"\":null}",
     "b05926a01d48b10af883d56ab0143ea3e113b2fc724810ddeb023b7a62160faf"},
    {"{\n\t\"\":{\n\t\t\"aY\":-2.5e-07\n\t}\n}", "{\"\":{\"aY\":\"-2.5e-07\"}}", "{\"\":{\"aY\":-2.5e-07}}",
     "1e7ee1cfa5d00cf94abc5f7ff26520214f55e197218044c9cd38ccffd8484ab0"},
};

static void check_sample(size_t i, const char *source)
{
    struct fault f;
    char hex[DIGEST_HEX];
    struct yaml_tree *tree = parse(source);
    const struct yaml_node *node = yaml_tree_document(tree, 0);
    check_body(node, INPUTS_TEXT, samples[i].text);
    check_body(node, INPUTS_TYPED, samples[i].typed);
    char *identity = payload_identity(node, &f);
    assert_non_null(identity);
    const struct digest_part part = {identity, strlen(identity)};
    digest_hex(&part, 1, hex);
    assert_string_equal(hex, samples[i].identity_sha256);
    free(identity);
    yaml_tree_free(tree);
}

static void test_json_objects_come_out_as_they_went_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        /* Once as JSON, once (a comment is not JSON) as YAML. */
        char *as_yaml = malloc(strlen(samples[i].source) + 32);
        assert_non_null(as_yaml);
        sprintf(as_yaml, "# \\ud83d\\ude00\n%s # end", samples[i].source);
        check_sample(i, samples[i].source);
        check_sample(i, as_yaml);
        free(as_yaml);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_numbers),
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_tags_that_do_not_fit),
        cmocka_unit_test(test_json_objects_come_out_as_they_went_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
