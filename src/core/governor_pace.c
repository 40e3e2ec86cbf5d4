#include "core/governor_pace.h"

#define CATCH_UP_MS   50   /* how late a send may be without losing its place in the pace */
#define CLIMB         0.05 /* per second, until the first refusal */
#define FIRST_CUTS    4    /* larger ones, while the rate is not known well */
#define FIRST_CUT     0.02
#define COARSE_CUT    0.08 /* the same without headers, where a refusal costs a pause */
#define CUT           0.003
#define MOST_AGAIN    5      /* more of these for one flight */
#define REFUSED_SHARE 0.0120 /* aimed at */
#define COARSE_SHARE  0.0015 /* the same, where a refusal costs a pause */
#define CALM          100    /* sends without a refusal that double the square root of the step */
#define CALM_MOST     1000
#define QUIET         200  /* the same where the rate is known: rarely are so many in a row not refused */
#define SLOWEST       1e-6 /* sends per ms */
#define FASTEST       1e3

static double bounded(const struct pacer *p, double rate)
{
    double most = p->most > 0 && p->most < FASTEST ? p->most : FASTEST;

    return rate > most ? most : rate < SLOWEST ? SLOWEST : rate;
}

void pacer_set(struct pacer *p, double rate, int64_t now_ms)
{
    p->rate = bounded(p, rate);
    p->climbed_ms = now_ms;
    p->cut_ms = now_ms;
    p->cuts = p->quiet = 0;
}

void pacer_climb(struct pacer *p, int64_t now_ms)
{
    int64_t elapsed = now_ms - p->climbed_ms;

    p->climbed_ms = now_ms;
    if (p->climbing && elapsed > 0)
        p->rate = bounded(p, p->rate * (1 + CLIMB * (elapsed < 1000 ? (double)elapsed / 1000 : 1)));
}

bool pacer_step(struct pacer *p, double interval_ms, int64_t now_ms)
{
    double step = interval_ms + p->due_fraction;
    int64_t whole = (int64_t)step, late = now_ms - p->due_ms;
    bool waited = late >= 0 && late <= CATCH_UP_MS;

    p->due_ms = (waited ? p->due_ms : now_ms) + whole;
    p->due_fraction = step - (double)whole;
    return waited;
}

void pacer_grow(struct pacer *p)
{
    double step = p->cuts > FIRST_CUTS && !p->coarse ? REFUSED_SHARE * CUT : REFUSED_SHARE * FIRST_CUT;
    double calm = 1 + (double)p->quiet / CALM;

    if (p->quiet < CALM_MOST)
        p->quiet++;
    if (p->coarse) /* it may be far below: the longer nothing is refused, the faster */
        step = COARSE_SHARE * FIRST_CUT * calm * calm;
    else if (p->quiet > QUIET)
        step *= (double)p->quiet / QUIET * p->quiet / QUIET;
    p->rate = bounded(p, p->rate * (1 + step));
}

static double cut_of(const struct pacer *p)
{
    if (p->cuts <= FIRST_CUTS)
        return p->coarse ? COARSE_CUT : FIRST_CUT;
    return p->coarse ? FIRST_CUT : CUT;
}

bool pacer_cut(struct pacer *p, int64_t sent_ms, int64_t now_ms)
{
    if (sent_ms < p->cut_ms) {
        if (p->cuts > FIRST_CUTS && !p->coarse && p->again++ < MOST_AGAIN)
            p->rate = bounded(p, p->rate * (1 - CUT));
        return false;
    }
    p->again = 0;
    p->cut_ms = now_ms;
    p->quiet = 0;
    p->climbing = false;
    if (p->cuts <= FIRST_CUTS)
        p->cuts++;
    p->rate = bounded(p, p->rate * (1 - cut_of(p)));
    return true;
}
