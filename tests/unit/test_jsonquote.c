/* Any bytes as a JSON string, and back. */
#include "json_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_quote_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
