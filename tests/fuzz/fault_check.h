/* fault_check - what every complaint about a text must be. */
#ifndef FLOWSPOOL_TESTS_FUZZ_FAULT_CHECK_H
#define FLOWSPOOL_TESTS_FUZZ_FAULT_CHECK_H

#include "core/fault.h"
#include "core/utf8.h"
#include "fuzz.h"

/* It has words, in one line, and a place in the text, if any. */
static inline void check_fault(const struct fault *f, const uint8_t *data, size_t size)
{
    size_t lines = 2; /* the end may be an empty line */
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n' || data[i] == '\r' || data[i] == 0x85 || data[i] == 0xA8 || data[i] == 0xA9;
    FUZZ_CHECK(f->text[0] != '\0', "nothing is said");
    FUZZ_CHECK(!f->no_memory, "there is memory");
    FUZZ_CHECK(utf8_is_valid(f->text, strlen(f->text)), "not UTF-8");
    for (const char *p = f->text; *p != '\0'; p++)
        FUZZ_CHECK((unsigned char)*p >= ' ' && *p != 0x7f, "a control character: %s", f->text);
    FUZZ_CHECK((f->line == 0) == (f->column == 0), "%zu:%zu: %s", f->line, f->column, f->text);
    FUZZ_CHECK(f->line <= lines, "%zu:%zu of %zu lines: %s", f->line, f->column, lines, f->text);
    FUZZ_CHECK(f->column <= size + 2, "%zu:%zu: %s", f->line, f->column, f->text);
}

#endif
