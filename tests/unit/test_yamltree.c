#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/utf8.h"
#include "core/yamltree.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define MIB      ((size_t)1024 * 1024)
#define TEXT(s)  (s), sizeof(s) - 1
#define GRIN     "\xf0\x9f\x98\x80"

/* Parses a copy of exactly this length on the heap, so that a sanitizer sees a read behind the end. */
static bool parse(const char *text, size_t len, struct yaml_tree **tree, struct fault *f)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    memset(f, 0, sizeof *f);
    bool ok = yaml_tree_parse(copy, len, &yaml_limits_default, tree, f);
    free(copy);
    if (!ok) {
        assert_null(*tree);
        assert_true(f->text[0] != '\0' && utf8_is_valid(f->text, strlen(f->text)));
    }
    return ok;
}

/* ---- showing a tree ---- */

struct shown {
    char text[4096];
    size_t len;
};

static void show(struct shown *s, const char *text)
{
    size_t n = strlen(text);
    assert_true(n < sizeof s->text - s->len);
    memcpy(s->text + s->len, text, n + 1);
    s->len += n;
}

/* Plain scalars as <text>, others as "text", documents one after the other. */
static void show_node(struct shown *s, const struct yaml_node *n)
{
    if (n->kind == YAML_NODE_SCALAR) {
        assert_int_equal(strlen(n->text), n->len);
        show(s, n->plain ? "<" : "\"");
        show(s, n->text);
        show(s, n->plain ? ">" : "\"");
        return;
    }
    show(s, n->kind == YAML_NODE_LIST ? "[" : "{");
    for (size_t i = 0; i < n->count; i++) {
        if (i > 0)
            show(s, ",");
        if (n->kind == YAML_NODE_MAP) {
            show_node(s, n->pairs[i].key);
            show(s, ":");
        }
        show_node(s, n->kind == YAML_NODE_MAP ? n->pairs[i].value : n->items[i]);
    }
    show(s, n->kind == YAML_NODE_LIST ? "]" : "}");
}

static void check_tree(const char *text, size_t len, const char *expected)
{
    struct yaml_tree *tree;
    struct fault f;
    struct shown s = {.len = 0};
    if (!parse(text, len, &tree, &f))
        fail_msg("%s\nline %zu, column %zu: %s", text, f.line, f.column, f.text);
    for (size_t i = 0; i < yaml_tree_documents(tree); i++)
        show_node(&s, yaml_tree_document(tree, i));
    assert_null(yaml_tree_document(tree, yaml_tree_documents(tree)));
    assert_string_equal(s.text, expected);
    yaml_tree_free(tree);
}

/* ---- what is read ---- */

static void test_documents(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        const char *expected;
    } cases[] = {
        {TEXT(""), ""},
        {TEXT("\n# nothing\n"), ""},
        {TEXT("\xef\xbb\xbf"), ""},
        {TEXT("---\n---\n# c\n---\nnull\n---\n~\n---\n"), ""},
        {TEXT("---\na: 1\n---\n---\nb: 2\n...\n"), "{<a>:<1>}{<b>:<2>}"},
        {TEXT("\xef\xbb\xbf"
              "a: 1"),
         "{<a>:<1>}"},
        {TEXT("a: 1\r\nb: x\r\n"), "{<a>:<1>,<b>:<x>}"},
        {TEXT("a: 1\rb: x\r"), "{<a>:<1>,<b>:<x>}"},
        {TEXT("''"), "\"\""},
        {TEXT("!!str null"), "<null>"},
        {TEXT("a: 'it''s'\nb: \"x\\ty\"\nc: |\n  l1\n  l2\nd: >-\n  f1\n  f2\n"),
         "{<a>:\"it's\",<b>:\"x\ty\",<c>:\"l1\nl2\n\",<d>:\"f1 f2\"}"},
        {TEXT("a: &x [1, {b: &y 2}]\nb: *x\nc: *y\n"), "{<a>:[<1>,{<b>:<2>}],<b>:[<1>,{<b>:<2>}],<c>:<2>}"},
        {TEXT("a: &x k\n*x : [*x, *x]\n"), "{<a>:<k>,<k>:[<k>,<k>]}"},
        {TEXT("&x a: 1\nb: &x 2\nc: *x\n"), "{<a>:<1>,<b>:<2>,<c>:<2>}"},
        {TEXT("a: &x [&x 1]\nb: *x\n"), "{<a>:[<1>],<b>:<1>}"},
        {TEXT("%YAML 1.2\n---\na: 1"), "{<a>:<1>}"},
        {TEXT("%TAG !y! tag:yaml.org,2002:\n---\na: !y!str 1"), "{<a>:<1>}"},
        {TEXT("'<<': 1\n\"\": 2\nnull: 3"), "{\"<<\":<1>,\"\":<2>,<null>:<3>}"},
        {TEXT("a: \t1\t# c\n"), "{<a>:<1>}"},
        {TEXT("{a, b: , c: [d: 1]}"), "{<a>:<>,<b>:<>,<c>:[{<d>:<1>}]}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_tree(cases[i].text, cases[i].len, cases[i].expected);
}

/* Read as JSON; most of it libyaml would refuse. */
static void test_json(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"{}", "{}"},
        {" \t\r\n[ ] \t\n\t", "[]"},
        {"\xef\xbb\xbf{\"a\":1}", "{\"a\":<1>}"},
        {"{\"a\":1,\"b\":[true,false,null,-0.5e+7],\"\":{}}",
         "{\"a\":<1>,\"b\":[<true>,<false>,<null>,<-0.5e+7>],\"\":{}}"},
        {"\t{\n\t\"a b\" \t\n:\n\t1 }\n\t", "{\"a b\":<1>}"},
        {"{\"\\u0041\\\"\\\\\\/\\b\\f\\n\\r\\t\":\"\\uD83d\\uDe00\"}", "{\"A\"\\/\b\f\n\r\t\":\"" GRIN "\"}"},
        {"[\"\x7f\xc2\x80\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbf\"]",
         "[\"\x7f\xc2\x80\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbf\"]"},
        {"[\"# no comment\",\": \",\"- \",\"{\",\"&a *a !a %a @a `a\"]",
         "[\"# no comment\",\": \",\"- \",\"{\",\"&a *a !a %a @a `a\"]"},
        {"[\"\\\\ud83d\\\\ude00\"]", "[\"\\ud83d\\ude00\"]"},
        {"[\"\\\\\\ud83d\\ude00\"]", "[\"\\" GRIN "\"]"},
        /* not JSON, so YAML's way */
        {"{\"a\":1} # c", "{\"a\":<1>}"},
        {"{\"a\":1,}", "{\"a\":<1>}"},
        {"[01]", "[<01>]"},
        {"[\"a\nb\"]", "[\"a b\"]"},
        {"[1]\n---\n{\"a\":2}", "[<1>]{\"a\":<2>}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_tree(cases[i].text, strlen(cases[i].text), cases[i].expected);
}

/* JSON's limits on keys are none; libyaml's are 1,024 characters on one line. */
static void test_long_json_keys(void **state)
{
    (void)state;
    char text[3100], expected[3100], key[3001];
    memset(key, 'k', 3000);
    key[3000] = '\0';
    sprintf(text, "{\"%s\":1}", key);
    sprintf(expected, "{\"%s\":<1>}", key);
    check_tree(text, strlen(text), expected);
}

/* What libyaml refuses or folds, inside YAML that is not JSON. */
static void test_shielded_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"a: \"\\ud83d\\ude00 \\uD83D\\uDE01\"", "{<a>:\"" GRIN " \xf0\x9f\x98\x81\"}"},
        {"a: \"\\uDBFF\\uDFFF\\uD800\\uDC00\"", "{<a>:\"\xf4\x8f\xbf\xbf\xf0\x90\x80\x80\"}"},
        {"a: \"x\x7fy\xc2\x80\xc2\x9f\"", "{<a>:\"x\x7fy\xc2\x80\xc2\x9f\"}"},
        {"a: \"x\xc2\x85y\xe2\x80\xa8z\xe2\x80\xa9\"", "{<a>:\"x\xc2\x85y\xe2\x80\xa8z\xe2\x80\xa9\"}"},
        {"a: \"\xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbf\"", "{<a>:\"\xef\xbb\xbf\xef\xbf\xbe\xef\xbf\xbf\"}"},
        {"a: x\xc2\x85y\nb: 'x\xe2\x80\xa8y'\nc: |\n  x\xe2\x80\xa9y\n",
         "{<a>:<x\xc2\x85y>,<b>:\"x\xe2\x80\xa8y\",<c>:\"x\xe2\x80\xa9y\n\"}"},
        {"a: '\xef\xbb\xbf'\nb: |\n  x\xef\xbb\xbf\n", "{<a>:\"\xef\xbb\xbf\",<b>:\"x\xef\xbb\xbf\n\"}"},
        {"\"\\ud83d\\ude00\xe2\x80\xa8\": 1", "{\"" GRIN "\xe2\x80\xa8\":<1>}"},
        /* Outside double quotes a pair is text, and its digits keep their case. */
        {"a: \\ud83D\\uDe00\nb: '\\uD83d\\udE01 \\uD83d\\udE02'",
         "{<a>:<\\ud83D\\uDe00>,<b>:\"\\uD83d\\udE01 \\uD83d\\udE02\"}"},
        {"# \\uD83D\\uDE00\na: x # \\uD83D\\uDE00\nb: | # \\uD83D\\uDE00\n  \\ud83d\\ude00\nc: "
         "\\Ud83d\\ud83d\\uDe00",
         "{<a>:<x>,<b>:\"\\ud83d\\ude00\n\",<c>:<\\Ud83d\\ud83d\\uDe00>}"},
        {"a: \"\\\\ud83d\\\\ude00 \\\\\\ud83d\\ude00\"", "{<a>:\"\\ud83d\\ude00 \\" GRIN "\"}"},
        {"a: \\\\ud83d\\ude00 \\\\\\ud83D\\ude00", "{<a>:<\\\\ud83d\\ude00 \\\\\\ud83D\\ude00>}"},
        {"\xf0\x9f\x98\x80: \\ud83D\\ude00", "{<" GRIN ">:<\\ud83D\\ude00>}"},
        /* Private-use characters of the input are kept apart from those that stand in. */
        {"a: \"\xee\x80\x80\\ue001\\ud83d\\ude00\"", "{<a>:\"\xee\x80\x80\xee\x80\x81" GRIN "\"}"},
        {"a: \"\\ue000\\uE840\\ud83d\\ude00\"", "{<a>:\"\xee\x80\x80\xee\xa1\x80" GRIN "\"}"},
        {"a: \"\\U0000e000\x7f\"", "{<a>:\"\xee\x80\x80\x7f\"}"},
        {"a: \\ue000\\uE840 \xe2\x80\xa8", "{<a>:<\\ue000\\uE840 \xe2\x80\xa8>}"},
        {"a: \xee\x80\x80\xee\xa1\x80\xef\x84\x80\xef\xa3\xbf",
         "{<a>:<\xee\x80\x80\xee\xa1\x80\xef\x84\x80\xef\xa3\xbf>}"},
        {"a: \"\xef\xa3\xbf\x7f\"", "{<a>:\"\xef\xa3\xbf\x7f\"}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_tree(cases[i].text, strlen(cases[i].text), cases[i].expected);
}

static void test_nodes_know_their_place(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\xef\xbb\xbfk: \"\xc3\xa9\\ud83d\\ude00\x7f\"\r\n\xe6\x97\xa5: [x, y]\n", /* through libyaml
                                                                                    */
        "\xef\xbb\xbf{\"k\":\"\xc3\xa9\\ud83d\\ude00\",\r\n\"\xe6\x97\xa5\":\n\n [ "
        "\"\xe6\x97\xa5\",2]}", /* JSON */
    };
    static const size_t places[COUNT(texts)][5][2] = {
        {{1, 1}, {1, 4}, {2, 1}, {2, 4}, {2, 8}},
        {{1, 2}, {1, 6}, {2, 1}, {4, 2}, {4, 8}},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct yaml_tree *tree;
        struct fault f;
        assert_true(parse(texts[i], strlen(texts[i]), &tree, &f));
        const struct yaml_node *map = yaml_tree_document(tree, 0);
        assert_int_equal(map->count, 2);
        const struct yaml_node *nodes[] = {map->pairs[0].key, map->pairs[0].value, map->pairs[1].key,
                                           map->pairs[1].value, map->pairs[1].value->items[1]};
        for (size_t n = 0; n < COUNT(nodes); n++) {
            assert_int_equal(nodes[n]->line, places[i][n][0]);
            assert_int_equal(nodes[n]->column, places[i][n][1]);
        }
        yaml_tree_free(tree);
    }
}

static void test_tags(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum yaml_tag tag;
    } cases[] = {
        {"x", YAML_TAG_NONE},
        {"!!str x", YAML_TAG_STR},
        {"! x", YAML_TAG_STR},
        {"!!int x", YAML_TAG_INT},
        {"!!float x", YAML_TAG_FLOAT},
        {"!!bool x", YAML_TAG_BOOL},
        {"!!null x", YAML_TAG_NULL},
        {"!!seq []", YAML_TAG_COLLECTION},
        {"!!map {}", YAML_TAG_COLLECTION},
        {"! []", YAML_TAG_COLLECTION},
        {"[]", YAML_TAG_NONE},
        {"!<tag:yaml.org,2002:int> 1", YAML_TAG_INT},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct yaml_tree *tree;
        struct fault f;
        assert_true(parse(cases[i].text, strlen(cases[i].text), &tree, &f));
        assert_int_equal(yaml_tree_document(tree, 0)->tag, cases[i].tag);
        yaml_tree_free(tree);
    }
}

static void test_map_get(void **state)
{
    (void)state;
    struct yaml_tree *tree;
    struct fault f;
    assert_true(parse(TEXT("a: 1\nb: [x]\n"), &tree, &f));
    const struct yaml_node *map = yaml_tree_document(tree, 0);
    assert_string_equal(yaml_map_get(map, "a")->text, "1");
    assert_null(yaml_map_get(map, "c"));
    assert_null(yaml_map_get(yaml_map_get(map, "b"), "x"));
    assert_null(yaml_map_get(NULL, "a"));
    yaml_tree_free(tree);
}

/* ---- what is refused ---- */

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len, line, column;
        const char *says;
    } cases[] = {
        /* bytes */
        {TEXT("\xff\xfe"
              "a\0:\0"),
         1, 1, "UTF-16"},
        {TEXT("\xfe\xff\0a\0:"), 1, 1, "UTF-16"},
        {TEXT("a\0:\0 \0001\0"), 1, 1, "UTF-16"},
        {TEXT("\0a\0:\0 \0001"), 1, 1, "UTF-16"},
        {TEXT("a: x\0y\n"), 1, 5, "NUL"},
        {TEXT("a: 1\nb: \xc3\xa9\xff"), 2, 5, "0xFF is not UTF-8"},
        {TEXT("a: 1\r\nb: 2\rc: \xff"), 3, 4, "not UTF-8"},
        {TEXT("a: \xed\xa0\x80"), 1, 4, "not UTF-8"},
        {TEXT("a: \xe2\x82"), 1, 4, "not UTF-8"},
        {TEXT("a: \x1b[31m"), 1, 4, "U+001B"},
        {TEXT("# \x07"), 1, 3, "U+0007"},
        {TEXT("a: \x7f"), 1, 4, "U+007F"},
        {TEXT("a: 'x\xc2\x80'"), 1, 4, "U+0080"},
        {TEXT("a: |\n  x\xef\xbf\xbf\n"), 1, 4, "U+FFFF"},
        {TEXT("a: 1\n---\n\xef\xbb\xbf"
              "b: 2"),
         3, 1, "byte order mark"},
        {TEXT("a: \"\\ue000\\ue900\\uf200\\ud83d\\ude00\""), 0, 0, "private-use"},
        /* escapes */
        {TEXT("a: \"\\ud83d\""), 1, 7, "surrogate"},
        {TEXT("a: \"x\\ude00\\ud83d\""), 1, 8, "surrogate"},
        {TEXT("[\"\\ud83d\\ud83d\\ude00\"]"), 1, 5, "surrogate"},
        {TEXT("[\"\\ud83d\\u0041\"]"), 1, 5, "surrogate"},
        {TEXT("a: \"\\\\ud83d\\ude00\""), 1, 14, "surrogate"},
        {TEXT("a: \"\\0\""), 1, 4, "NUL"},
        {TEXT("[\"x\\u0000\"]"), 1, 2, "NUL"},
        {TEXT("a: \"\\d\""), 1, 5, "'\\d' is not an escape"},
        {TEXT("a: \"\\u12\""), 1, 7, "hexadecimal"},
        /* structure */
        {TEXT("a:\n\tb: 1"), 2, 1, "tab"},
        {TEXT("a: 1\n\tb: 2"), 2, 1, "tab"},
        {TEXT("a: \"x\nb: 1\n"), 1, 4, "quote that opens here"},
        {TEXT("a: 'x\n---\nb: 1\n"), 1, 4, "not closed before the next document"},
        {TEXT("a: it's: nice"), 1, 8, "':'"},
        {TEXT("a\nb: 1"), 2, 2, "':'"},
        {TEXT("a: 1\nb\nc: 1"), 2, 1, "no ':' after its key"},
        {TEXT("a: \"x\" y"), 1, 8, "'y' was found"},
        {TEXT("a: @x"), 1, 4, "'@' cannot begin"},
        {TEXT("a: [1, 2"), 1, 4, "'[' opens here"},
        {TEXT("a: [{b: 1"), 1, 5, "'{' opens here"},
        {TEXT("a:\n  [1, 2\nb: 1"), 3, 2, "'[' opens in line 2"},
        {TEXT("a: {b: 1\nc"), 1, 4, "'{' opens here"},
        {TEXT("a: {b: 'x' 'y'}"), 1, 12, "'{' opens in line 1"},
        {TEXT("a: {b: c\nd: e}"), 2, 2, "1024 characters"},
        {TEXT("a: ]"), 1, 4, "']' was found"},
        {TEXT("- 1\nx: 1"), 2, 1, "'- '"},
        {TEXT("a: - b"), 1, 4, "'- '"},
        {TEXT("a: ? b"), 1, 4, "'?'"},
        {TEXT("{a: 1} x"), 1, 8, "new document"},
        {TEXT("a: |x\n"), 1, 5, "text block"},
        {TEXT("a: |0\n"), 1, 5, "indentation"},
        {TEXT("%FOO\n---\na: 1"), 1, 5, "directive"},
        {TEXT("%YAML 2.0\n---\na: 1"), 1, 1, "%YAML 1.2"},
        {TEXT("%YAML 1.1\n%YAML 1.1\n---\na: 1"), 2, 1, "the version of YAML is said twice"},
        /* keys */
        {TEXT("a: 1\nb: 2\na: 3"), 3, 1, "'a' is already there, in line 1"},
        {TEXT("{\"a\":1,\"b\":{\"c\":1,\n\"c\":2}}"), 2, 1, "'c' is already there, in line 1"},
        {TEXT("a: 1\n'a': 2\nb: 1\nb: 1"), 2, 1, "'a' is already there"},
        {TEXT("<<: {a: 1}"), 1, 1, "merge key (<<)"},
        {TEXT("b: &b {c: 1}\na:\n  <<: *b"), 3, 3, "merge key (<<)"},
        {TEXT("a: {{name}}"), 1, 5, "mapping is used as a key"},
        {TEXT("? [a]\n: 1"), 1, 3, "list is used as a key"},
        {TEXT("a: &a [1]\n*a : 1"), 2, 1, "list is used as a key"},
        {TEXT(": 1"), 1, 1, "key before ':' is missing"},
        {TEXT("{: 1}"), 1, 2, "key was expected before ':'"},
        {TEXT("{? : 1}"), 1, 4, "key before ':' is missing"},
        /* tags */
        {TEXT("a: !local x"), 1, 4, "!local is not known"},
        {TEXT("a: !!set {}"), 1, 4, "!!set is not known"},
        {TEXT("a: !<foo> x"), 1, 4, "foo is not known"},
        {TEXT("a: !x!y z"), 1, 4, "tag"},
        {TEXT("a: !!str [1]"), 1, 4, "!!str does not fit"},
        {TEXT("a: !!map x"), 1, 4, "!!map does not fit"},
        /* aliases */
        {TEXT("a: *b"), 1, 4, "*b names no anchor"},
        {TEXT("a: &b 1\n---\na: *b"), 3, 4, "*b names no anchor"},
        {TEXT("a: &b [1, *b]"), 1, 11, "*b lies inside"},
        {TEXT("&b a: {c: &b {d: *b}}"), 1, 18, "*b lies inside"},
        {TEXT("a: *bold* text"), 1, 4, "'*' begins an alias"},
        {TEXT("a: & b"), 1, 4, "'&' begins an anchor"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct yaml_tree *tree;
        struct fault f;
        if (parse(cases[i].text, cases[i].len, &tree, &f))
            fail_msg("accepted: %s", cases[i].text);
        if (f.line != cases[i].line || f.column != cases[i].column || !strstr(f.text, cases[i].says))
            fail_msg("%s\n%zu:%zu: %s", cases[i].text, f.line, f.column, f.text);
    }
}

/* ---- bounds ---- */

/* head, then piece count times, then tail; free it. */
static char *repeat(const char *head, const char *piece, size_t count, const char *tail)
{
    size_t n = strlen(piece);
    char *text = malloc(strlen(head) + n * count + strlen(tail) + 1);
    assert_non_null(text);
    char *p = stpcpy(text, head);
    for (size_t i = 0; i < count; i++)
        p = stpcpy(p, piece);
    strcpy(p, tail);
    return text;
}

static void check_bound(char *text, const char *says)
{
    struct yaml_tree *tree;
    struct fault f;
    bool ok = parse(text, strlen(text), &tree, &f);
    if (ok)
        yaml_tree_free(tree);
    else if (!says || f.line == 0 || !strstr(f.text, says))
        fail_msg("%.60s...\n%zu:%zu: %s", text, f.line, f.column, f.text);
    assert_int_equal(ok, says == NULL);
    free(text);
}

static void test_nesting_is_bounded_exactly(void **state)
{
    (void)state;
    for (size_t depth = 63; depth <= 65; depth++) {
        const char *says = depth > 64 ? "64 levels" : NULL;
        /* Lists around a scalar: as JSON, as YAML, and with an alias for the four innermost levels. */
        char *closing = repeat("1", "]", depth - 1, "");
        check_bound(repeat("", "[", depth - 1, closing), says);
        check_bound(repeat("#\n", "[", depth - 1, closing), says);
        free(closing);
        closing = repeat("*a", "]", depth - 5, "");
        check_bound(repeat("- &a [[[1]]]\n- ", "[", depth - 5, closing), says);
        free(closing);
    }
}

static void test_nodes_are_bounded_exactly(void **state)
{
    (void)state;
    check_bound(repeat("[", "1,", 9998, "1]"), NULL);
    check_bound(repeat("[", "1,", 9999, "1]"), "10000 keys and values");
    check_bound(repeat("", "- 1\n", 9999, ""), NULL);
    check_bound(repeat("", "- 1\n", 10000, ""), "10000 keys and values");
    /* Through aliases: 1 + (1 + 99) + 99 * 100 = 10,001. */
    char *hundred = repeat("#\n[&a [", "1,", 98, "1],");
    check_bound(repeat(hundred, "*a,", 98, "]"), NULL);
    check_bound(repeat(hundred, "*a,", 99, "]"), "10000 keys and values");
    free(hundred);
}

static void test_anchors_are_bounded_exactly(void **state)
{
    (void)state;
    check_bound(repeat("", "- &a 1\n", 1000, ""), NULL);
    check_bound(repeat("", "- &a 1\n", 1001, ""), "1000 anchors");
    check_bound(repeat("", "--- &a 1\n", 1001, ""), "1000 anchors");
}

static void test_text_repeated_by_aliases_is_bounded(void **state)
{
    (void)state;
    /* A name that is used again inside what it named means the inner part. */
    char *text = repeat("- &a ['", "x", 65536, "', &a y]\n");
    check_bound(repeat(text, "- *a\n", 17, ""), NULL);
    free(text);
    text = repeat("- &a '", "x", 65536, "'\n");
    check_bound(repeat(text, "- *a\n", 16, ""), NULL);
    check_bound(repeat(text, "- *a\n", 17, ""), "repeat more than 1048576 bytes");
    free(text);
}

static void test_bombs(void **state)
{
    (void)state;
    static const struct {
        const char *head, *piece, *says;
    } cases[] = {
        {"", "[", "64 levels"},
        {"#\n", "[", "64 levels"},
        {"workflow: ", "[", "64 levels"},
        {"", "{\"a\":", "64 levels"},
        {"", "{a: ", "64 levels"},
        {"", "- ", "64 levels"},
        {"", "? ", "used as a key"},
        {"", "[{", "used as a key"},
        {"", "- &a\n", "1000 anchors"},
        {"", "- \n", "10000 keys and values"},
        {"", "---\n", "10000 keys and values"},
        {"{", "? a, ", "10000 keys and values"},
        {"", "%TAG !a! b\n", "more than 16 lines"},
        {"a: &a [", "*a,", "lies inside"},
        {"a: '", "x\n", "never closed"},
        {"", "&", "anchor"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_bound(repeat(cases[i].head, cases[i].piece, MIB / strlen(cases[i].piece), ""), cases[i].says);
    check_bound(repeat("a0: &a0 [x,x]\n", "", 0,
                       "a1: &a1 [*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0]\n"
                       "a2: &a2 [*a1,*a1,*a1,*a1,*a1,*a1,*a1,*a1,*a1]\n"
                       "a3: &a3 [*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2]\n"
                       "a4: &a4 [*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3]\n"),
                "10000 keys and values");
    check_bound(repeat("a: ", "x", MIB, ""), NULL);
    check_bound(repeat("a: \"", "\\ud83d\\ude00", MIB / 12, "\""), NULL);
}

static void test_limits_are_the_callers(void **state)
{
    (void)state;
    const struct yaml_limits tight = {.max_depth = 2, .max_anchors = 1, .max_nodes = 4, .max_alias_bytes = 1};
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        {"[1,2,3]", true},    {"[1,2,3,4]", false},   {"[[1]]", false},        {"#\n[[]]", true},
        {"[&a x, *a]", true}, {"[&a xy, *a]", false}, {"[&a x, &b y]", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct yaml_tree *tree;
        struct fault f;
        bool ok = yaml_tree_parse(cases[i].text, strlen(cases[i].text), &tight, &tree, &f);
        assert_int_equal(ok, cases[i].ok);
        yaml_tree_free(tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_json_keys),
        cmocka_unit_test(test_shielded_characters),
        cmocka_unit_test(test_nodes_know_their_place),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_map_get),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_nesting_is_bounded_exactly),
        cmocka_unit_test(test_nodes_are_bounded_exactly),
        cmocka_unit_test(test_anchors_are_bounded_exactly),
        cmocka_unit_test(test_text_repeated_by_aliases_is_bounded),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_limits_are_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
