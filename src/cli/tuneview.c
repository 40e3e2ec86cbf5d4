/* The view for people: what is known, the best guesses at the window, the chart. */
#include "cli/tuneview.h"

#include <string.h>

#include "cli/paragraph.h"
#include "cli/ratewords.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/timewords.h"
#include "core/units.h"
#include "core/utf8.h"

#define LABEL_WIDTH 10
#define CELL        64

static bool is_past(const struct tune_view *v)
{
    return v->daemon != ASK_ANSWERED;
}

static int64_t age_ms(const struct tune_view *v)
{
    return is_past(v) ? v->now_ms - v->tuning.at_ms : 0;
}

/* ---- what is known ---- */

static void daemon_line(struct paragraph *p, const struct tune_view *v)
{
    char age[TIME_WORDS_SIZE];
    paragraph_start(p, "daemon");
    if (!is_past(v)) {
        paragraph_part(p, "", NULL, "running");
    } else {
        paragraph_part(p, "", TERMINAL_RED, "%s", v->reason);
        if (v->known)
            paragraph_part(p, ";", NULL, "this is as of %s ago", span_words(age_ms(v), age));
    }
    paragraph_end(p);
}

static void nothing_known(struct paragraph *p, const struct tune_view *v)
{
    paragraph_start(p, "rate");
    paragraph_part(p, "", NULL, "%s",
                   v->has_state ? "nothing is known: flowspoold has sent nothing yet that was answered"
                                : "unknown: no flowspoold has run here yet, or its state_dir is elsewhere "
                                  "(give -c FILE)");
    paragraph_end(p);
}

static void endpoint_line(struct paragraph *p, const struct tuning *t)
{
    paragraph_start(p, "endpoint");
    paragraph_part(p, "", NULL, "%s", t->endpoint);
    paragraph_part(p, ",", NULL, "key %s", t->key);
    paragraph_end(p);
}

static void mode_line(struct paragraph *p, const struct learned *l)
{
    const char *meaning = learned_meaning(l->mode);
    paragraph_start(p, "mode");
    paragraph_part(p, "", NULL, "%s%s%s", l->mode, meaning != NULL ? ": " : "",
                   meaning != NULL ? meaning : "");
    paragraph_end(p);
}

static void rate_line(struct paragraph *p, const struct tune_view *v)
{
    struct learned l = v->tuning.learned;
    if (l.last_429_ago_ms >= 0)
        l.last_429_ago_ms += age_ms(v);
    paragraph_start(p, "rate");
    rate_parts(p, "", &l, is_past(v));
    paragraph_end(p);
}

static void cap_line(struct paragraph *p, const struct tune_view *v)
{
    const struct tuning *t = &v->tuning;
    paragraph_start(p, "in flight");
    paragraph_part(p, "", NULL, "%lld%s", (long long)t->in_flight, is_past(v) ? " then" : "");
    paragraph_part(p, ",", NULL, "at most %lld (%s)", (long long)t->cap, t->cap_reason);
    paragraph_end(p);
}

static size_t plausible(const struct tuning *t)
{
    size_t count = 0;
    for (size_t i = 0; i < t->nhypotheses; i++)
        count += t->hypotheses[i].plausible;
    return count;
}

/* Where the window is not known for certain: what would teach it, or how many it may be. */
static void window_line(struct paragraph *p, const struct tuning *t)
{
    const struct learned *l = &t->learned;
    const char *lesson = learned_lesson(l->mode);
    size_t guesses_left = plausible(t);
    bool told = l->source != NULL && strcmp(l->source, LEARNED_CONFIGURATION) == 0;
    if (told || (l->window_ms > 0 ? guesses_left < 2 : lesson == NULL))
        return;
    paragraph_start(p, "window");
    if (l->window_ms <= 0)
        paragraph_part(p, "", NULL, "not known: %s", lesson);
    else
        paragraph_part(p, "", NULL, "not certain: %zu%s guesses are plausible", guesses_left,
                       guesses_left == TUNING_HYPOTHESES ? " or more" : "");
    paragraph_end(p);
}

/* ---- the guesses ---- */

enum { COLUMN_FITS = 3, COLUMNS = 4 };
static const struct table_column columns[COLUMNS] = {
    {"WINDOW", 16}, {"ERROR", 0}, {"OTHERS", 0}, {"FITS", 0}};

/* What is no sane number has no digits to show. */
static const char *number(double value, int digits, char cell[CELL])
{
    if (value >= 0 && value < 1e9)
        snprintf(cell, CELL, "%.*f", digits, value);
    else
        snprintf(cell, CELL, "?");
    return cell;
}

static const char *fit(const struct tuning_hypothesis *h)
{
    return h->best ? "best" : h->plausible ? "plausible" : "no";
}

static bool add_guess(struct table *table, const struct tuning_hypothesis *h, bool colours)
{
    char kind[CELL], span[CELL], window[2 * CELL + 2], error[CELL], others[CELL];
    utf8_escape(h->kind, strlen(h->kind), kind, sizeof kind);
    units_format_duration(h->window_ms, span, sizeof span);
    snprintf(window, sizeof window, "%s, %s", kind, span);
    return table_row(
        table,
        (const char *const[]){window, number(h->error, 2, error), number(h->others, 1, others), fit(h)},
        COLUMN_FITS, colours && h->best ? TERMINAL_GREEN : NULL);
}

/* False: no memory. */
static bool guesses(const struct tuning *t, FILE *out, bool colours, size_t width)
{
    bool ok = true;
    if (t->nhypotheses == 0 || t->learned.window_ms <= 0)
        return true;
    fputc('\n', out);
    struct table *table = table_open(out, columns, COLUMNS, width);
    if (table == NULL)
        return false;
    for (size_t i = 0; i < t->nhypotheses; i++)
        ok = add_guess(table, &t->hypotheses[i], colours) && ok;
    return table_close(table) && ok;
}

/* ---- all together ---- */

bool tuneview_text(const struct tune_view *v, FILE *out, bool colours, size_t width)
{
    const struct tuning *t = &v->tuning;
    struct paragraph p = {.out = out, .indent = LABEL_WIDTH, .width = width, .colours = colours};
    daemon_line(&p, v);
    if (!v->known) {
        nothing_known(&p, v);
        return true;
    }
    endpoint_line(&p, t);
    mode_line(&p, &t->learned);
    rate_line(&p, v);
    cap_line(&p, v);
    window_line(&p, t);
    if (!guesses(t, out, colours, width))
        return false;
    tuneview_chart(t, out, width);
    return true;
}
