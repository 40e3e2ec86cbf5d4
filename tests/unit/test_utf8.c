#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/utf8.h"

static void test_decode(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len, taken;
        uint32_t cp;
    } cases[] = {
        {"", 0, 0, 0},
        {"\0", 1, 1, 0},
        {"a", 1, 1, 'a'},
        {"\xc2\x80", 2, 2, 0x80},
        {"\xdf\xbf", 2, 2, 0x7FF},
        {"\xe0\xa0\x80", 3, 3, 0x800},
        {"\xed\x9f\xbf", 3, 3, 0xD7FF},
        {"\xee\x80\x80", 3, 3, 0xE000},
        {"\xef\xbf\xbf", 3, 3, 0xFFFF},
        {"\xf0\x90\x80\x80", 4, 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 4, 0x10FFFF},
        {"\x80", 1, 0, 0},                 /* a tail alone */
        {"\xc1\xbf", 2, 0, 0},             /* overlong */
        {"\xe0\x9f\xbf", 3, 0, 0},         /* overlong */
        {"\xf0\x8f\xbf\xbf", 4, 0, 0},     /* overlong */
        {"\xed\xa0\x80", 3, 0, 0},         /* surrogate */
        {"\xed\xbf\xbf", 3, 0, 0},         /* surrogate */
        {"\xf4\x90\x80\x80", 4, 0, 0},     /* above U+10FFFF */
        {"\xf8\x88\x80\x80\x80", 5, 0, 0}, /* five bytes */
        {"\xe2\x82\xac", 2, 0, 0},         /* cut */
        {"\xe2\x28\xa1", 3, 0, 0},         /* no tail */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t cp = 0;
        assert_int_equal(utf8_decode(cases[i].bytes, cases[i].len, &cp), cases[i].taken);
        assert_int_equal(cp, cases[i].cp);
        assert_int_equal(utf8_is_valid(cases[i].bytes, cases[i].len),
                         cases[i].len == 0 || cases[i].taken == cases[i].len);
    }
}

static void test_encode_is_the_inverse(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp += cp < 0x900 ? 1 : 97) {
        char bytes[4];
        uint32_t back = 0;
        if (cp >= 0xD800 && cp <= 0xDFFF)
            continue;
        size_t n = utf8_encode(cp, bytes);
        assert_int_equal(utf8_decode(bytes, n, &back), n);
        assert_int_equal(back, cp);
    }
}

static void test_escape(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        const char *expected;
    } cases[] = {
        {"plain", 32, "plain"},
        {"a\tb\x7f", 32, "a\\x09b\\x7f"},
        {"\xe2\x80\xa8|\xef\xbb\xbf", 32, "\\xe2\\x80\\xa8|\\xef\\xbb\\xbf"},
        {"\xe6\x97\xa5\xe6\x9c", 32, "\xe6\x97\xa5\\xe6\\x9c"},
        {"123456", 7, "123456"},
        {"1234567", 7, "123..."},
        {"12\n4567", 7, "12..."},
        {"123\xe6\x97\xa5", 6, "12..."},
        {"1234", 4, "..."},
        {"1234", 3, ".."},
        {"1234", 1, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buf[40];
        memset(buf, '#', sizeof buf);
        utf8_escape(cases[i].text, strlen(cases[i].text), buf, cases[i].size);
        assert_string_equal(buf, cases[i].expected);
        assert_int_equal(buf[cases[i].size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_encode_is_the_inverse),
        cmocka_unit_test(test_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
