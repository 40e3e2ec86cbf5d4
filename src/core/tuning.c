#include "core/tuning.h"

#include <math.h>
#include <string.h>

/* ---- what was heard ---- */

void tuning_hear(struct tuning_heard *h, const struct governor_reading *r)
{
    if (!r->rate_limited && !(r->has_limit && r->limit > 0))
        return;
    h->notes[h->count++ % TUNING_READINGS] = (struct tuning_note){
        .seq = r->seq,
        .limit = r->has_limit ? r->limit : -1,
        .used = r->rate_limited ? -1 : r->limit - r->remaining,
        .refused = r->rate_limited,
    };
}

/* ---- what the best hypothesis counts, without the doubt about clocks and jitter ---- */

static double sent_since(const struct send_log *l, int64_t since, uint64_t seq)
{
    return (double)(int32_t)(l->sum[seq % SEND_LOG_EXACT] - send_log_until(l, since - 1));
}

static double count_aligned(const struct governor *g, uint64_t seq, int64_t at, int64_t window, bool slides)
{
    int64_t past = (at + g->bank.wall_ms) % window, start = at - (past < 0 ? past + window : past);
    double used = sent_since(&g->log, start, seq);
    double left = 1 - (double)(at - start) / (double)window;
    return slides ? used + floor(left * send_log_between(&g->log, start - window - 1, start - 1)) : used;
}

/* -1: its window is forgotten. */
static double count_first(const struct governor *g, uint64_t seq, int64_t at, int window)
{
    const struct bank *b = &g->bank;
    uint64_t n = b->nstarts[window], oldest = n > BANK_STARTS ? n - BANK_STARTS : 0;
    while (n > oldest && b->starts[window][(n - 1) % BANK_STARTS] > at)
        n--;
    return n == oldest ? -1 : sent_since(&g->log, b->starts[window][(n - 1) % BANK_STARTS], seq);
}

/* From when the bucket can have been empty last, as far back as the log is exact. */
static double count_token(const struct governor *g, uint64_t seq, int64_t window)
{
    const struct send_log *l = &g->log;
    uint64_t n = seq;
    double level = 0, refill = (double)g->limit_in_force / (double)window;
    while (n > 0 && seq - n < SEND_LOG_EXACT / 8 && send_log_knows(l, n - 1) &&
           send_log_time(l, n - 1) > send_log_time(l, seq) - 2 * window)
        n--;
    for (int64_t before = send_log_time(l, n); n <= seq; n++) {
        int64_t at = send_log_time(l, n);
        level -= (double)(at - before) * refill;
        level = (level > 0 ? level : 0) + (l->refused[n % SEND_LOG_EXACT] ? 0 : 1);
        before = at;
    }
    return ceil(level);
}

static int64_t predicted(const struct governor *g, int model, const struct tuning_note *n)
{
    if (model < 0 || !send_log_knows(&g->log, n->seq))
        return -1;
    int64_t at = send_log_time(&g->log, n->seq), window = bank_window_ms(model);
    double used = -1;
    switch (bank_kind(model)) {
    case BANK_FIXED:
    case BANK_SLIDING:
        used = count_aligned(g, n->seq, at, window, bank_kind(model) == BANK_SLIDING);
        break;
    case BANK_FIRST:
        used = count_first(g, n->seq, at, model / BANK_KINDS);
        break;
    case BANK_LOG:
        used = sent_since(&g->log, at - window + 1, n->seq);
        break;
    case BANK_TOKEN:
        used = count_token(g, n->seq, window);
        break;
    case BANK_KINDS:
        break;
    }
    if (used < 0)
        return -1;
    /* A refused one is out of the log and was counted none the less. */
    return (int64_t)used + (n->refused && g->log.refused[n->seq % SEND_LOG_EXACT] ? 1 : 0);
}

/* ---- the view ---- */

/* -1: none yet. */
static int best_model(const struct governor *g)
{
    return g->bank.limit > 0 ? governor_model(g) : -1;
}

/* The best one first, then by their errors; the longer window last among equals. */
static bool goes_before(const struct governor_hypothesis *a, const struct tuning_hypothesis *b)
{
    return a->best != b->best ? a->best : a->error < b->error;
}

static void look_at_hypotheses(const struct governor *g, struct tuning *out)
{
    if (best_model(g) < 0)
        return;
    for (int i = 0; i < BANK_MODELS; i++) {
        const struct governor_hypothesis h = governor_hypothesis(g, i);
        size_t at = out->nhypotheses;
        while (at > 0 && goes_before(&h, &out->hypotheses[at - 1]))
            at--;
        if (at == TUNING_HYPOTHESES)
            continue;
        size_t last = out->nhypotheses < TUNING_HYPOTHESES ? out->nhypotheses++ : TUNING_HYPOTHESES - 1;
        memmove(&out->hypotheses[at + 1], &out->hypotheses[at], (last - at) * sizeof out->hypotheses[0]);
        out->hypotheses[at] = (struct tuning_hypothesis){
            .kind = h.kind,
            .window_ms = h.window_ms,
            .error = h.error,
            .others = h.other,
            .plausible = h.plausible,
            .best = h.best,
        };
    }
}

static void add_reading(const struct governor *g, int model, const struct tuning_note *n, int64_t now_ms,
                        struct tuning *out)
{
    if (!send_log_knows(&g->log, n->seq))
        return;
    int64_t ago = now_ms + g->shift_ms - send_log_time(&g->log, n->seq);
    size_t at = out->nreadings++;
    for (; at > 0 && out->readings[at - 1].ago_ms < ago; at--) /* in the order of sending */
        out->readings[at] = out->readings[at - 1];
    out->readings[at] = (struct tuning_reading){
        .ago_ms = ago > 0 ? ago : 0,
        .limit = n->limit,
        .used = n->used,
        .predicted = predicted(g, model, n),
        .refused = n->refused,
    };
}

void tuning_look(const struct governor *g, const struct tuning_heard *h, int64_t now_ms, struct tuning *out)
{
    int model = best_model(g);
    uint64_t first = h->count > TUNING_READINGS ? h->count - TUNING_READINGS : 0;
    out->learned = learned_of(g, now_ms);
    out->nhypotheses = out->nreadings = 0;
    look_at_hypotheses(g, out);
    for (uint64_t i = first; i < h->count; i++)
        add_reading(g, model, &h->notes[i % TUNING_READINGS], now_ms, out);
}
