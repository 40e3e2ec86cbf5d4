#include "core/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

void fault_set(struct fault *f, size_t line, size_t column, const char *format, ...)
{
    /* Twice the room of the result, so that a cut in here never shows: escaping only makes it longer. */
    char raw[2 * sizeof f->text];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    if (n < 0)
        raw[0] = '\0';
    f->line = line;
    f->column = column;
    f->no_memory = false;
    utf8_escape(raw, strlen(raw), f->text, sizeof f->text);
}

bool fault_no_memory(struct fault *f)
{
    fault_set(f, 0, 0, "out of memory");
    f->no_memory = true;
    return false;
}

void fault_describe(const struct fault *f, char *buf, size_t size)
{
    if (f->line == 0)
        snprintf(buf, size, "%s", f->text);
    else if (f->column == 0)
        snprintf(buf, size, "line %zu: %s", f->line, f->text);
    else
        snprintf(buf, size, "line %zu, column %zu: %s", f->line, f->column, f->text);
}
