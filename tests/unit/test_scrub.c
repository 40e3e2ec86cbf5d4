/* A secret is overwritten wherever it stands, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/scrub.h"

static void test_scrub(void **state)
{
    static const struct {
        const char *name, *secret, *text, *whole, *cut;
    } cases[] = {
        {"alone", "secret", "secret", "******", "******"},
        {"in words", "secret", "the key secret is bad", "the key ****** is bad", "the key ****** is bad"},
        {"twice, side by side", "secret", "secretsecret!", "************!", "************!"},
        {"nearly", "secret", "secre secrets", "secre ******s", "secre ******s"},
        {"cut at the end", "secret", "no: secre", "no: secre", "no: *****"},
        {"too little at the end to tell", "secret", "no: sec", "no: sec", "no: sec"},
        {"whole, then cut", "secret", "secret secr", "****** secr", "****** ****"},
        {"none", "secret", "all is well", "all is well", "all is well"},
        {"too short to be one", "key", "the key is key", "the key is key", "the key is key"},
        {"empty secret", "", "text", "text", "text"},
        {"no secret", NULL, "text", "text", "text"},
        {"empty text", "secret", "", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char whole[64], cut[64];
        snprintf(whole, sizeof whole, "%s", cases[i].text);
        snprintf(cut, sizeof cut, "%s", cases[i].text);
        scrub(whole, strlen(whole), cases[i].secret);
        scrub_cut(cut, strlen(cut), cases[i].secret);
        if (strcmp(whole, cases[i].whole) != 0 || strcmp(cut, cases[i].cut) != 0)
            fail_msg("%s: \"%s\", \"%s\"", cases[i].name, whole, cut);
    }
}

static void test_bytes_behind_a_nul(void **state)
{
    char bytes[] = "\0secret\0secret";
    (void)state;
    scrub(bytes, sizeof bytes - 1, "secret");
    assert_memory_equal(bytes, "\0******\0******", sizeof bytes - 1);
    scrub(NULL, 0, "secret");
    scrub_cut(NULL, 0, "secret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scrub),
        cmocka_unit_test(test_bytes_behind_a_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
