#include "cli/paragraph.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/terminal.h"
#include "core/utf8.h"

void paragraph_start(struct paragraph *p, const char *label)
{
    size_t taken = text_width(label);
    fprintf(p->out, "%s%*s", label, taken < p->indent ? (int)(p->indent - taken) : 0, "");
    p->used = 0;
}

void paragraph_end(struct paragraph *p)
{
    fputc('\n', p->out);
}

static void new_line(struct paragraph *p)
{
    fprintf(p->out, "\n%*s", (int)p->indent, "");
    p->used = 0;
}

static void put_words(struct paragraph *p, char *text)
{
    bool first = true;
    for (char *word = strsep(&text, " "); word != NULL; word = strsep(&text, " ")) {
        size_t columns = text_width(word), separator = text == NULL; /* it may follow the last one */
        if (!first && p->indent + p->used + 1 + columns + separator > p->width)
            new_line(p);
        else if (!first)
            p->used++, fputc(' ', p->out);
        fputs(word, p->out);
        p->used += columns;
        first = false;
    }
}

/* malloc'd; NULL: no memory. */
static char *escaped(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));

static char *escaped(const char *format, va_list ap)
{
    char *raw = NULL;
    if (vasprintf(&raw, format, ap) < 0)
        return NULL;
    size_t len = strlen(raw), room = 4 * len + 1;
    char *text = malloc(room);
    if (text != NULL)
        utf8_escape(raw, len, text, room);
    free(raw);
    return text;
}

void paragraph_part(struct paragraph *p, const char *separator, const char *colour, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    char *text = escaped(format, ap);
    va_end(ap);
    if (text == NULL)
        return;
    if (p->used > 0) {
        /* one column for the blank, one for the separator that may follow */
        size_t after = p->used + strlen(separator) + 1;
        fputs(separator, p->out);
        if (p->indent + after + text_width(text) + 1 > p->width) {
            new_line(p);
        } else {
            fputc(' ', p->out);
            p->used = after;
        }
    }
    bool coloured = colour != NULL && p->colours;
    fputs(coloured ? colour : "", p->out);
    put_words(p, text);
    fputs(coloured ? TERMINAL_PLAIN : "", p->out);
    free(text);
}
