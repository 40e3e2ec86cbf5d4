#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/digest.h"

static void check(const struct digest_part *parts, size_t count, const char *expected)
{
    char hex[DIGEST_HEX];
    digest_hex(parts, count, hex);
    assert_string_equal(hex, expected);
}

/* The first three are the examples of FIPS 180. */
static void test_known_digests(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct digest_part part = {cases[i].text, strlen(cases[i].text)};
        check(&part, 1, cases[i].expected);
    }
}

static void test_parts_are_laid_end_to_end(void **state)
{
    (void)state;
    const struct digest_part parts[] = {{"a", 1}, {NULL, 0}, {"bc", 2}};
    check(parts, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check(NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_nul_counts(void **state)
{
    (void)state;
    const struct digest_part with = {"abc", 4};
    char hex[DIGEST_HEX];
    digest_hex(&with, 1, hex);
    assert_string_not_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_digests),
        cmocka_unit_test(test_parts_are_laid_end_to_end),
        cmocka_unit_test(test_nul_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
