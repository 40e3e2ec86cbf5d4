#include "cli/findings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

void findings_begin(struct findings *f, FILE *out)
{
    f->line.out = out;
    if (!f->json)
        return;
    json_open(&f->line, NULL);
    json_open_list(&f->line, "findings");
}

void findings_end(struct findings *f)
{
    if (f->json)
        json_close_list(&f->line);
}

static void put_escaped(const char *text)
{
    size_t len = strlen(text), size = 4 * len + 1;
    char *shown = malloc(size);
    if (shown != NULL)
        fputs(utf8_escape(text, len, shown, size), stderr);
    free(shown);
}

struct finding {
    const char *kind, *file;
    size_t line, column;
    const char *message;
    const char *first; /* of a duplicate */
};

static void tell_json(struct json_line *j, const struct finding *g)
{
    json_open(j, NULL);
    json_text(j, "kind", g->kind);
    json_text(j, "file", g->file);
    json_known(j, "line", g->line > 0 ? (int64_t)g->line : -1);
    json_known(j, "column", g->line > 0 ? (int64_t)g->column : -1);
    json_text(j, "message", g->message);
    if (g->first != NULL)
        json_text(j, "first", g->first);
    json_close(j);
}

static void tell(struct findings *f, const struct finding *g)
{
    bool is_fault = strcmp(g->kind, "fault") == 0;
    if (f->json) {
        tell_json(&f->line, g);
        return;
    }
    if (f->quiet && !is_fault)
        return;
    put_escaped(g->file);
    if (g->line > 0)
        fprintf(stderr, ":%zu:%zu", g->line, g->column);
    fputs(is_fault ? ": " : ": warning: ", stderr);
    put_escaped(g->message);
    fputc('\n', stderr);
}

void findings_fault(struct findings *f, const char *file, const struct fault *fault)
{
    f->faults++;
    tell(f, &(struct finding){"fault", file, fault->line, fault->column, fault->text, NULL});
}

static void tell_text(struct findings *f, const char *kind, const char *file, const char *first,
                      const char *format, va_list ap) __attribute__((format(printf, 5, 0)));

static void tell_text(struct findings *f, const char *kind, const char *file, const char *first,
                      const char *format, va_list ap)
{
    char *text = NULL;
    if (vasprintf(&text, format, ap) < 0) {
        f->line.failed = true;
        return;
    }
    tell(f, &(struct finding){kind, file, 0, 0, text, first});
    free(text);
}

void findings_fault_text(struct findings *f, const char *file, const char *format, ...)
{
    va_list ap;
    f->faults++;
    va_start(ap, format);
    tell_text(f, "fault", file, NULL, format, ap);
    va_end(ap);
}

void findings_warning(struct findings *f, const char *file, const char *format, ...)
{
    va_list ap;
    f->warnings++;
    va_start(ap, format);
    tell_text(f, "warning", file, NULL, format, ap);
    va_end(ap);
}

static void tell_duplicate(struct findings *f, const char *file, const char *first, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void tell_duplicate(struct findings *f, const char *file, const char *first, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    tell_text(f, "duplicate", file, first, format, ap);
    va_end(ap);
}

void findings_duplicate(struct findings *f, const char *file, const char *first)
{
    f->duplicates++;
    tell_duplicate(f, file, first, "the same request as %s; bought all the same", first);
}
