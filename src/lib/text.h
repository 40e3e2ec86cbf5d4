/* text - bytes that are written one after the other, with one look at the end whether memory sufficed. */
#ifndef FLOWSPOOL_LIB_TEXT_H
#define FLOWSPOOL_LIB_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* {0} is empty. What is in it is followed by a NUL; the owner frees bytes. */
struct text {
    char *bytes;
    size_t len, room;
    bool failed; /* memory ran out: nothing more goes in, and it is not whole */
};

void text_put(struct text *t, const char *bytes, size_t len);
void text_puts(struct text *t, const char *text);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
