/* The chart: a column for each reading, in the order of sending; how high says how much of the limit.
 *
 *        !
 *     10 |    @@@@
 *        |  ##
 *      5 |  oo
 *        |oo
 *      0 +--------
 *
 * What was refused, or predicted to be more than the limit, stands above it.
 */
#include <math.h>

#include "cli/timewords.h"
#include "cli/tuneview.h"
#include "core/units.h"

#define HIGHEST 8 /* rows up to the limit */
#define LABEL   24
#define BELOW   (-1)

struct chart {
    const struct tuning_reading *readings; /* those that are shown */
    size_t count;
    int64_t limit; /* by which those without one of their own are scaled */
    bool same;     /* it is the limit of all */
    int rows;
};

/* ---- where a value stands ---- */

/* BELOW: not known; one more than there are rows: more than the limit. */
static int level(const struct chart *c, const struct tuning_reading *r, int64_t value)
{
    int64_t limit = r->limit > 0 ? r->limit : c->limit;
    if (value < 0)
        return BELOW;
    if (value > limit)
        return c->rows + 1;
    return (int)ceil((double)value * c->rows / (double)limit);
}

static char mark(const struct chart *c, const struct tuning_reading *r, int row)
{
    bool used = !r->refused && level(c, r, r->used) == row;
    bool predicted = level(c, r, r->predicted) == row;
    if (r->refused && row > c->rows)
        return '!';
    if (used)
        return predicted ? '@' : '#';
    return predicted ? 'o' : ' ';
}

/* ---- the frame ---- */

/* Only what is whole: half of an odd limit is none of its numbers. */
static void row_label(const struct chart *c, int row, char label[LABEL])
{
    bool half = row * 2 == c->rows && c->limit % 2 == 0;
    label[0] = '\0';
    if (row == 0)
        snprintf(label, LABEL, "0");
    else if (row == c->rows && !c->same)
        snprintf(label, LABEL, "limit");
    else if (row == c->rows || (half && c->same))
        snprintf(label, LABEL, "%lld", (long long)(row == c->rows ? c->limit : c->limit / 2));
}

static void draw_row(const struct chart *c, int row, int label_width, FILE *out)
{
    char label[LABEL], line[TUNING_READINGS + 1];
    size_t len = 0;
    for (size_t i = 0; i < c->count; i++) {
        line[i] = mark(c, &c->readings[i], row);
        if (line[i] == ' ' && row == 0)
            line[i] = '-';
        if (line[i] != ' ')
            len = i + 1;
    }
    row_label(c, row, label);
    if (row <= c->rows || len > 0)
        fprintf(out, "%*s %c%.*s\n", label_width, label,
                row == 0        ? '+'
                : row > c->rows ? ' '
                                : '|',
                (int)len, line);
}

/* ---- what it says in words ---- */

static void title(const struct chart *c, FILE *out)
{
    char span[TIME_WORDS_SIZE];
    int64_t first = c->readings[0].ago_ms, last = c->readings[c->count - 1].ago_ms;
    units_format_duration(first - last, span, sizeof span);
    fprintf(out, "\nUsed of the limit when the last %zu requests arrived, sent within %s:\n", c->count, span);
}

/* How far the predictions were off, of what the server told. */
static void verdict(const struct chart *c, FILE *out)
{
    double off = 0;
    int told = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct tuning_reading *r = &c->readings[i];
        if (r->refused || r->used < 0 || r->predicted < 0)
            continue;
        off += fabs((double)(r->predicted - r->used));
        told++;
    }
    if (told > 0 && off / told < 1e9)
        fprintf(out, "Predictions were off by %.1f on average.\n", off / told);
}

static void legend(const struct chart *c, FILE *out)
{
    bool refused = false;
    for (size_t i = 0; i < c->count; i++)
        refused = refused || c->readings[i].refused;
    fprintf(out, "# as the server said, o as the best guess predicted, @ both%s\n",
            refused ? ", ! refused" : "");
}

/* ---- all together ---- */

/* The newest one's, else the one in force. */
static int64_t limit_of(const struct tuning *t)
{
    for (size_t i = t->nreadings; i > 0; i--)
        if (t->readings[i - 1].limit > 0)
            return t->readings[i - 1].limit;
    return t->learned.limit;
}

static bool all_the_same(const struct chart *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->readings[i].limit > 0 && c->readings[i].limit != c->limit)
            return false;
    return true;
}

void tuneview_chart(const struct tuning *t, FILE *out, size_t width)
{
    char widest[LABEL];
    struct chart c = {.limit = limit_of(t), .count = t->nreadings};
    if (c.limit <= 0 || t->nreadings == 0)
        return;
    int label_width = snprintf(widest, sizeof widest, "%lld", (long long)c.limit);
    label_width = label_width < 6 ? 6 : label_width;
    size_t room = width > (size_t)label_width + 12 ? width - (size_t)label_width - 2 : 10;
    if (c.count > room)
        c.count = room;
    c.readings = t->readings + (t->nreadings - c.count);
    c.same = all_the_same(&c);
    c.rows = c.same && c.limit < HIGHEST ? (int)c.limit : HIGHEST;
    title(&c, out);
    for (int row = c.rows + 1; row >= 0; row--)
        draw_row(&c, row, label_width, out);
    legend(&c, out);
    verdict(&c, out);
}
