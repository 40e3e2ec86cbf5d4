#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "cli/terminal.h"

#define GAP 2

struct row {
    char *cells[TABLE_COLUMNS_MAX];
    size_t coloured;
    const char *colour;
};

struct table {
    FILE *out;
    const struct table_column *columns;
    size_t count, width;
    size_t widths[TABLE_COLUMNS_MAX];
    struct row sample[TABLE_SAMPLE];
    size_t kept;
    bool laid_out;
};

struct table *table_open(FILE *out, const struct table_column *columns, size_t count, size_t width)
{
    struct table *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->out = out;
    t->columns = columns;
    t->count = count;
    t->width = width;
    return t;
}

/* ---- one line ---- */

static void pad(FILE *out, size_t columns)
{
    fprintf(out, "%*s", (int)columns, "");
}

/* Cut with dots where it is too long; true columns taken. */
static size_t print_cut(FILE *out, const char *text, size_t width)
{
    static const char dots[] = "...";
    size_t taken;
    size_t whole = text_fit(text, width, &taken);
    if (text[whole] == '\0' || width < sizeof dots) {
        fwrite(text, 1, whole, out);
        return taken;
    }
    size_t bytes = text_fit(text, width - (sizeof dots - 1), &taken);
    fwrite(text, 1, bytes, out);
    fputs(dots, out);
    return taken + sizeof dots - 1;
}

static void print_line(const struct table *t, const char *const cells[], size_t coloured, const char *colour)
{
    for (size_t i = 0; i < t->count; i++) {
        bool shown = colour != NULL && i == coloured;
        if (shown)
            fputs(colour, t->out);
        size_t taken = print_cut(t->out, cells[i], t->widths[i]);
        if (shown)
            fputs(TERMINAL_PLAIN, t->out);
        bool more = false; /* no blanks at the end of a line */
        for (size_t k = i + 1; k < t->count && !more; k++)
            more = cells[k][0] != '\0';
        if (!more)
            break;
        pad(t->out, t->widths[i] - taken + GAP);
    }
    fputc('\n', t->out);
}

/* ---- how wide ---- */

static size_t natural_width(const struct table *t, size_t column)
{
    size_t most = text_width(t->columns[column].title);
    for (size_t r = 0; r < t->kept; r++) {
        size_t width = text_width(t->sample[r].cells[column]);
        most = width > most ? width : most;
    }
    return most;
}

/* The widest that may be cut further; count when there is none. */
static size_t widest(const struct table *t)
{
    size_t found = t->count;
    for (size_t i = 0; i < t->count; i++)
        if (t->columns[i].least > 0 && t->widths[i] > t->columns[i].least &&
            (found == t->count || t->widths[i] > t->widths[found]))
            found = i;
    return found;
}

static void lay_out(struct table *t)
{
    size_t total = GAP * (t->count - 1);
    for (size_t i = 0; i < t->count; i++)
        total += t->widths[i] = natural_width(t, i);
    for (size_t i = widest(t); total > t->width && i < t->count; i = widest(t)) {
        t->widths[i]--;
        total--;
    }
    if (total < t->width)
        t->widths[t->count - 1] += t->width - total; /* the last one may have what is left */
    t->laid_out = true;
}

static void print_sample(struct table *t)
{
    const char *titles[TABLE_COLUMNS_MAX];
    lay_out(t);
    for (size_t i = 0; i < t->count; i++)
        titles[i] = t->columns[i].title;
    print_line(t, titles, 0, NULL);
    for (size_t r = 0; r < t->kept; r++)
        print_line(t, (const char *const *)t->sample[r].cells, t->sample[r].coloured, t->sample[r].colour);
}

/* ---- rows ---- */

bool table_row(struct table *t, const char *const cells[], size_t coloured, const char *colour)
{
    if (!t->laid_out && t->kept == TABLE_SAMPLE)
        print_sample(t);
    if (t->laid_out) {
        print_line(t, cells, coloured, colour);
        return true;
    }
    struct row *r = &t->sample[t->kept++];
    r->coloured = coloured;
    r->colour = colour;
    bool ok = true;
    for (size_t i = 0; i < t->count; i++)
        ok = (r->cells[i] = strdup(cells[i])) != NULL && ok;
    return ok;
}

static bool whole(const struct table *t)
{
    for (size_t r = 0; r < t->kept; r++)
        for (size_t i = 0; i < t->count; i++)
            if (t->sample[r].cells[i] == NULL)
                return false;
    return true;
}

bool table_close(struct table *t)
{
    bool ok = whole(t);
    if (ok && !t->laid_out)
        print_sample(t);
    for (size_t r = 0; r < t->kept; r++)
        for (size_t i = 0; i < t->count; i++)
            free(t->sample[r].cells[i]);
    free(t);
    return ok;
}
