/* json_fixture - shorthand for the tests of JSON that is read and written. */
#ifndef FLOWSPOOL_TESTS_JSON_FIXTURE_H
#define FLOWSPOOL_TESTS_JSON_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h needs the first four above. */
#include <cmocka.h>

#include "core/jsonspan.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* A copy of exactly this length on the heap, so that a sanitizer sees a read behind the end. */
static inline char *exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

/* The value, as JSON, of a member that is a string. */
static inline char *decode(const char *value)
{
    struct json_object o;
    char text[512];
    int n = snprintf(text, sizeof text, "{\"k\":%s}", value);
    assert_true(json_scan_object(text, (size_t)n, &o));
    return json_string(&o.members[0]);
}

#endif
