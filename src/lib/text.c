#include "lib/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct text *t, size_t len)
{
    if (t->failed || len >= SIZE_MAX / 4 - t->len) {
        t->failed = true;
        return false;
    }
    if (t->len + len < t->room)
        return true;
    size_t room = (t->len + len + 64) * 2;
    char *grown = realloc(t->bytes, room);
    t->failed = grown == NULL;
    if (t->failed)
        return false;
    t->bytes = grown;
    t->room = room;
    return true;
}

void text_put(struct text *t, const char *bytes, size_t len)
{
    if (!make_room(t, len))
        return;
    memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
    t->bytes[t->len] = '\0';
}

void text_puts(struct text *t, const char *text)
{
    text_put(t, text, strlen(text));
}

void text_printf(struct text *t, const char *format, ...)
{
    char buf[256]; /* numbers and our own words */
    va_list args;
    va_start(args, format);
    int n = vsnprintf(buf, sizeof buf, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof buf)
        t->failed = true;
    else
        text_put(t, buf, (size_t)n);
}
