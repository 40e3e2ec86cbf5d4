/* The workflow file: what is read from it, and where its faults are said to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sandbox/workflows.h"

static void test_good(void **state)
{
    (void)state;
    static const char yaml[] =
        "workflows:\n"
        "  wf_b:\n"
        "    template: |\n"
        "      Hello {{name}}\n"
        "    latency: uniform:1s,2s\n"
        "    citations: [https://example.org/a, {title: A, url: https://example.org/b}]\n"
        "  wf_c: {template: c, published: false}\n"
        "  wf-A_1: {template: a}\n";
    struct workflows w;
    struct fault fault;
    assert_true(workflows_parse(yaml, sizeof yaml - 1, &w, &fault));
    assert_int_equal(w.count, 3);
    const struct workflow *b = workflows_find(&w, "wf_b");
    assert_non_null(b);
    assert_true(b->published && b->has_latency);
    assert_int_equal(b->latency.high_ms, 2000);
    assert_string_equal(b->citations,
                        "[\"https://example.org/a\",{\"title\":\"A\",\"url\":\"https://example.org/b\"}]");
    assert_string_equal(template_variable_name(b->template, 0), "name");
    assert_false(workflows_find(&w, "wf_c")->published);
    assert_non_null(workflows_find(&w, "wf-A_1"));
    assert_null(workflows_find(&w, "wf_"));
    assert_null(workflows_find(&w, "wf_bb"));
    assert_null(workflows_find(&w, ""));
    workflows_free(&w);
}

static const struct {
    const char *yaml;
    size_t line, column;
} bad[] = {
    {"", 1, 1},
    {"# nothing\n", 1, 1},
    {"workflows", 1, 1},
    {"[]", 1, 1},
    {"a: 1\n", 1, 1},
    {"workflows: []\n", 1, 1},
    {"workflows: {}\nmore: {}\n", 1, 1},
    {"workflows: {}\n---\nworkflows: {}\n", 3, 1},
    {"workflows:\n  wf_a: text\n", 2, 9},
    {"workflows:\n  wf_a: {}\n", 2, 3},
    {"workflows:\n  wf a: {template: x}\n", 2, 3},
    {"workflows:\n  wf_b: {template: x}\n  wf_a:\n    template: x\n    latency: soon\n", 5, 14},
    {"workflows:\n  wf_a:\n    template: x\n    latency: []\n", 4, 14},
    {"workflows:\n  wf_a:\n    template: [x]\n", 3, 15},
    {"workflows:\n  wf_a:\n    template: ''\n", 3, 15},
    {"workflows:\n  wf_a:\n    template: x\n    published: yes\n", 4, 16},
    {"workflows:\n  wf_a:\n    template: x\n    citations: x\n", 4, 16},
    {"workflows:\n  wf_a:\n    template: x\n    templates: x\n", 4, 5},
    {"workflows:\n  wf_a: {template: x}\n  wf_a: {template: x}\n", 3, 3},
    {"workflows:\n  wf_a: {template: \"\xff\"}\n", 2, 21},
    {"workflows:\n\twf_a: {template: x}\n", 2, 1},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct workflows w;
        struct fault fault = {0};
        if (workflows_parse(bad[i].yaml, strlen(bad[i].yaml), &w, &fault)) {
            fail_msg("taken: %s", bad[i].yaml);
        }
        if (fault.text[0] == '\0' || fault.line != bad[i].line || fault.column != bad[i].column) {
            fail_msg("%zu:%zu: '%s' for: %s", fault.line, fault.column, fault.text, bad[i].yaml);
        }
        assert_int_equal(w.count, 0);
    }
}

static void test_examples(void **state)
{
    (void)state;
    static const char *const published[] = {"wf_story",   "wf_product_copy", "wf_translate",
                                            "wf_summary", "wf_email_reply",  "wf_meta_description"};
    struct workflows w;
    struct fault fault;
    if (!workflows_load(FLOWSPOOL_SOURCE_DIR "/contrib/sandbox-workflows.yaml", &w, &fault)) {
        fail_msg("line %zu: %s", fault.line, fault.text);
    }
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        const struct workflow *found = workflows_find(&w, published[i]);
        assert_non_null(found);
        assert_true(found->published);
    }
    assert_false(workflows_find(&w, "wf_draft")->published);
    workflows_free(&w);
    assert_false(workflows_load(FLOWSPOOL_SOURCE_DIR "/contrib/none.yaml", &w, &fault));
    assert_false(workflows_load(FLOWSPOOL_SOURCE_DIR, &w, &fault));
}

static void test_ids(void **state)
{
    (void)state;
    char id[WORKFLOW_ID_MAX + 2];
    memset(id, 'a', sizeof id);
    id[WORKFLOW_ID_MAX + 1] = '\0';
    assert_false(workflow_id_is_valid(id));
    id[WORKFLOW_ID_MAX] = '\0';
    assert_true(workflow_id_is_valid(id));
    assert_false(workflow_id_is_valid(""));
    assert_false(workflow_id_is_valid("a.b"));
    assert_false(workflow_id_is_valid("\xc3\xa9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
