#include "core/governor_bank.h"

#include <math.h>
#include <string.h>

const int64_t bank_windows_ms[BANK_WINDOWS] = {1000,   2000,   5000,    10000,   15000,
                                               20000,  30000,  60000,   120000,  300000,
                                               600000, 900000, 1800000, 3600000, 86400000};

#define JITTER_MS    130    /* requests closer than this may arrive in another order */
#define SKEW_LOW_MS  (-500) /* the server's clock at an arrival, minus ours at the send */
#define SKEW_BAND_MS 192    /* BANK_BANDS of them lie side by side; each reaches half the jitter farther */
#define BAND_BAR     0.5 /* of the tolerance: bands with more error than the best one are not reckoned with */
#define DECAY        0.97   /* of the errors, per reading, while none explains what is seen ... */
#define SLOW_DECAY   0.998  /* ... and while one does: what was ruled out stays so for long */
#define FADE         0.5    /* of a window: how fast what others used is let go of */
#define STALE_MS     20000  /* without evidence for so long, what others used is let go of */
#define MARGIN_UP    0.5    /* kept free after a refusal that was not expected ... */
#define MARGIN_DOWN  0.0128 /* ... and so much less after each send: about one in forty is refused */
#define DOUBT        0.25   /* of the errors, that is left when the limit changes */
#define REMEMBERED   4      /* readings that what an earlier run found out is worth */
#define TURN_KEEPS   0.3    /* of it is expected in the next window too */
#define BAN_MS       30000  /* first ban after a refused probe; it grows fourfold ... */
#define MOST_STRIKES 3      /* ... so many times */

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

void bank_init(struct bank *b)
{
    memset(b, 0, sizeof *b);
    for (int i = 0; i < BANK_MODELS; i++) {
        b->plausible[i] = true;
        b->banned_until[i] = INT64_MIN;
    }
}

static double tolerance(const struct bank *b)
{
    return 0.03 * b->limit + 0.6;
}

/* ---- which are plausible ---- */

/* Windows that are aligned to the epoch are told apart by the clocks' difference, too. */
static double *bands_of(struct bank *b, int model)
{
    return b->band_error[model / BANK_KINDS][bank_kind(model) == BANK_SLIDING];
}

static bool has_bands(int model)
{
    return (bank_kind(model) == BANK_FIXED || bank_kind(model) == BANK_SLIDING) &&
           bank_window_ms(model) > BANK_SHORT_MS;
}

static double smallest_error(const struct bank *b)
{
    double e = b->error[0];

    for (int i = 1; i < BANK_MODELS; i++)
        e = least(e, b->error[i]);
    return e;
}

static void choose(struct bank *b)
{
    double bar = 1.3 * smallest_error(b) + tolerance(b);

    b->best = 0;
    for (int i = 0; i < BANK_MODELS; i++) {
        b->plausible[i] = b->error[i] <= bar;
        if (b->error[i] < b->error[b->best])
            b->best = i;
    }
}

/* ---- windows that start with a request, buckets that refill ---- */

static double leaked(double level, int64_t ms, double limit, int window)
{
    return most(0, level - (double)ms * limit / (double)bank_windows_ms[window]);
}

static void note_first(struct bank *b, int window, int64_t at)
{
    uint64_t n = b->nstarts[window];

    if (n > 0 && at < b->starts[window][(n - 1) % BANK_STARTS] + bank_windows_ms[window])
        return;
    b->starts[window][n % BANK_STARTS] = at;
    b->other[window * BANK_KINDS + BANK_FIRST] *= TURN_KEEPS;
    b->nstarts[window] = n + 1;
}

static int64_t since_previous(const struct send_log *l, uint64_t number)
{
    return number > 0 && send_log_knows(l, number - 1)
               ? send_log_time(l, number) - send_log_time(l, number - 1)
               : 0;
}

void bank_sent(struct bank *b, const struct send_log *l)
{
    uint64_t number = l->next - 1;
    int64_t at = send_log_time(l, number), gap = since_previous(l, number);

    b->margin = most(0, b->margin - MARGIN_DOWN);
    for (int w = 0; w < BANK_WINDOWS; w++) {
        note_first(b, w, at);
        b->level[w] = (float)(leaked(b->level[w], gap, b->limit, w) + 1);
    }
    if (number % BANK_CHECK_EVERY == 0)
        memcpy(b->checks[number / BANK_CHECK_EVERY % BANK_CHECKS], b->level, sizeof b->level);
}

void bank_uncount(struct bank *b, const struct send_log *l, uint64_t number)
{
    int64_t at = send_log_time(l, number);
    uint64_t check = (number + BANK_CHECK_EVERY - 1) / BANK_CHECK_EVERY;

    for (; check * BANK_CHECK_EVERY < l->next; check++)
        for (int w = 0; w < BANK_WINDOWS; w++)
            b->checks[check % BANK_CHECKS][w] = (float)most(0, b->checks[check % BANK_CHECKS][w] - 1);
    for (int w = 0; w < BANK_WINDOWS; w++) {
        uint64_t n = b->nstarts[w];

        b->level[w] = (float)most(0, b->level[w] - 1);
        if (n > 1 && b->starts[w][(n - 1) % BANK_STARTS] == at)
            b->nstarts[w] = n - 1;
    }
}

/* The levels after send `number`, from the last ones that were written down. */
static void levels_at(const struct bank *b, const struct send_log *l, uint64_t number, double *level)
{
    uint64_t n = number / BANK_CHECK_EVERY * BANK_CHECK_EVERY;

    for (int w = 0; w < BANK_WINDOWS; w++)
        level[w] = send_log_knows(l, n) ? b->checks[n / BANK_CHECK_EVERY % BANK_CHECKS][w] : 0;
    for (n++; n <= number; n++) {
        if (!send_log_knows(l, n))
            continue;
        for (int w = 0; w < BANK_WINDOWS; w++)
            level[w] = leaked(level[w], since_previous(l, n), b->limit, w) + !l->refused[n % SEND_LOG_EXACT];
    }
}

/* With another limit the buckets would have refilled at another rate. */
void bank_set_limit(struct bank *b, const struct send_log *l, double limit)
{
    uint64_t n = l->next > SEND_LOG_EXACT ? l->next - SEND_LOG_EXACT : 0;

    b->limit = limit;
    for (int w = 0; w < BANK_WINDOWS; w++)
        b->level[w] = 0;
    for (; n < l->next; n++) {
        for (int w = 0; w < BANK_WINDOWS; w++)
            b->level[w] = (float)(leaked(b->level[w], since_previous(l, n), limit, w) +
                                  !l->refused[n % SEND_LOG_EXACT]);
        if (n % BANK_CHECK_EVERY == 0)
            memcpy(b->checks[n / BANK_CHECK_EVERY % BANK_CHECKS], b->level, sizeof b->level);
    }
}

void bank_set_wall(struct bank *b, int64_t wall_ms)
{
    bool far = fabs((double)wall_ms - (double)b->wall_ms) > JITTER_MS / 2.0;

    b->wall_ms = wall_ms;
    for (int i = 0; far && i < BANK_MODELS; i++)
        for (int k = 0; has_bands(i) && k < BANK_BANDS; k++)
            bands_of(b, i)[k] = b->error[i];
}

void bank_doubt(struct bank *b)
{
    for (int i = 0; i < BANK_MODELS; i++)
        b->error[i] *= DOUBT;
    for (int w = 0; w < BANK_WINDOWS; w++)
        for (int k = 0; k < BANK_BANDS; k++) {
            b->band_error[w][0][k] *= DOUBT;
            b->band_error[w][1][k] *= DOUBT;
        }
}

void bank_remember(struct bank *b, enum bank_kind kind, int64_t window_ms, double used)
{
    for (int i = 0; i < BANK_MODELS; i++) {
        bool same = bank_window_ms(i) == window_ms && (bank_kind(i) == kind || window_ms <= BANK_SHORT_MS);

        b->error[i] = same ? 0 : 2 * (tolerance(b) + 1);
        for (int k = 0; has_bands(i) && k < BANK_BANDS; k++)
            bands_of(b, i)[k] = b->error[i];
        b->other[i] = used;
    }
    b->readings = b->readings < REMEMBERED ? REMEMBERED : b->readings;
    choose(b);
}

/* ---- what a hypothesis counts ---- */

/* A request and what was sent up to it: the moment, the sum of sends that count with it (at least and at
 * most), and the bucket levels with it. */
struct moment {
    int64_t at;
    uint32_t low, high, own;
    const double *level; /* in the order of sends */
};

static int64_t floor_to(int64_t x, int64_t step)
{
    int64_t m = x % step;

    return x - (m < 0 ? m + step : m);
}

/* The number of the window that a fixed kind is in. */
static int64_t turn_of(const struct bank *b, int model, int64_t now_ms)
{
    return floor_to(now_ms + b->wall_ms, bank_window_ms(model)) / bank_window_ms(model);
}

static double counted(uint32_t sum, const struct send_log *l, int64_t since)
{
    return (double)(int32_t)(sum - send_log_until(l, since));
}

static struct bank_range used_of_log(const struct send_log *l, int64_t window, const struct moment *m)
{
    return (struct bank_range){counted(m->low, l, m->at - window + JITTER_MS),
                               counted(m->high, l, m->at - window - JITTER_MS)};
}

static struct bank_range used_of_token(const struct bank *b, int window, const struct moment *m)
{
    double u = m->level[window], unsure = JITTER_MS * b->limit / (double)bank_windows_ms[window];
    double before = (double)(int32_t)(m->own - m->low), after = (double)(int32_t)(m->high - m->own);

    return (struct bank_range){u - 1 - unsure - most(0, before), u + 1 + unsure + most(0, after)};
}

static struct bank_range used_of_first(const struct bank *b, const struct send_log *l, int w,
                                       const struct moment *m)
{
    int64_t window = bank_windows_ms[w], start = 0, before = INT64_MIN;
    uint64_t n = b->nstarts[w], oldest = n > BANK_STARTS ? n - BANK_STARTS : 0;
    struct bank_range r;

    while (n > oldest && b->starts[w][(n - 1) % BANK_STARTS] > m->at)
        n--;
    if (n == oldest)
        return (struct bank_range){0, b->limit + 1}; /* forgotten: no opinion */
    start = b->starts[w][(n - 1) % BANK_STARTS];
    if (n - 1 > oldest)
        before = b->starts[w][(n - 2) % BANK_STARTS];
    r.low = counted(m->low, l, start - 1);
    r.high = counted(m->high, l, start - 1);
    if (m->at >= start + window - JITTER_MS)
        r.low = 1; /* about to start anew */
    if (m->at >= start + window + JITTER_MS)
        r.high = 1;
    else if (m->at - start < JITTER_MS && before > INT64_MIN && m->at - before < window + JITTER_MS)
        r.high = counted(m->high, l, before - 1);
    return r;
}

static struct bank_range used_with_skew(const struct bank *b, const struct send_log *l, int model,
                                        const struct moment *m, int64_t skew)
{
    int64_t window = bank_window_ms(model), at = m->at + b->wall_ms + skew;
    int64_t start = floor_to(at, window) - b->wall_ms - skew;
    struct bank_range r = {counted(m->low, l, start - 1), counted(m->high, l, start - 1)};

    if (bank_kind(model) == BANK_SLIDING) {
        double fraction = 1 - (double)(m->at - start) / (double)window;
        double previous = floor(fraction * (double)send_log_between(l, start - window - 1, start - 1));

        r.low += previous;
        r.high += previous + floor(JITTER_MS * b->limit / (double)window + 0.5);
    }
    return r;
}

static struct bank_range both(struct bank_range a, struct bank_range b)
{
    return (struct bank_range){least(a.low, b.low), most(a.high, b.high)};
}

/* When the server's clock differs from ours by what is in the band. */
static struct bank_range used_of_band(const struct bank *b, const struct send_log *l, int model,
                                      const struct moment *m, int band)
{
    int64_t from = SKEW_LOW_MS + band * SKEW_BAND_MS - JITTER_MS / 2;
    int64_t to = from + SKEW_BAND_MS + JITTER_MS;
    struct bank_range r = both(used_with_skew(b, l, model, m, from), used_with_skew(b, l, model, m, to));

    r.low = most(r.low, 1);
    if (bank_kind(model) == BANK_FIXED && turn_of(b, model, m->at + from) != turn_of(b, model, m->at + to))
        r.high =
            most(r.high, counted(m->high, l, m->at - bank_window_ms(model) - JITTER_MS)); /* all of the old */
    return r;
}

static double smallest_band(const double *e)
{
    double s = e[0];

    for (int k = 1; k < BANK_BANDS; k++)
        s = least(s, e[k]);
    return s;
}

static struct bank_range used_of_aligned(const struct bank *b, const struct send_log *l, int model,
                                         const struct moment *m)
{
    const double *e = b->band_error[model / BANK_KINDS][bank_kind(model) == BANK_SLIDING];
    double bar = 1.3 * smallest_band(e) + BAND_BAR * tolerance(b);
    struct bank_range r = {1e18, 0};

    for (int k = 0; k < BANK_BANDS; k++)
        if (e[k] <= bar)
            r = both(r, used_of_band(b, l, model, m, k));
    return r;
}

static struct bank_range used_by(const struct bank *b, const struct send_log *l, int model,
                                 const struct moment *m)
{
    switch (bank_kind(model)) {
    case BANK_LOG:
        return used_of_log(l, bank_window_ms(model), m);
    case BANK_TOKEN:
        return used_of_token(b, model / BANK_KINDS, m);
    case BANK_FIRST:
        return used_of_first(b, l, model / BANK_KINDS, m);
    case BANK_FIXED:
    case BANK_SLIDING:
    case BANK_KINDS:
        break;
    }
    return used_of_aligned(b, l, model, m);
}

/* ---- evidence ---- */

/* The moment of a past send. One that was taken out of the log counts with itself none the less. */
static struct moment moment_of(const struct bank *b, const struct send_log *l, uint64_t number, bool refused,
                               double *level)
{
    int64_t at = send_log_time(l, number);
    struct moment m = {.at = at, .level = level};

    levels_at(b, l, number, level);
    for (int w = 0; refused && w < BANK_WINDOWS; w++)
        level[w] += 1;
    m.low = send_log_until(l, at - JITTER_MS) + 1;
    m.high = send_log_until(l, at + JITTER_MS) + refused;
    m.own = l->sum[number % SEND_LOG_EXACT] + refused;
    if ((int32_t)(m.high - m.low) < 0)
        m.high = m.low;
    return m;
}

/* How far a reading is from what was expected. */
static double off_by(struct bank_range u, double limit, double remaining)
{
    double used = limit - remaining;

    if (remaining <= 0 && u.low >= limit)
        return 0; /* it cannot say more than all */
    if (used < u.low)
        return used - u.low;
    return used > u.high ? used - u.high : 0;
}

static double error_of(double off, double other, double limit)
{
    return least(most(0, fabs(off - other) - 0.02 * limit) + 0.2 * fabs(off), 0.5 * limit);
}

static void score_reading(struct bank *b, const struct send_log *l, int i, const struct moment *m,
                          double limit, double remaining, double decay)
{
    double off = off_by(used_by(b, l, i, m), limit, remaining), *e = bands_of(b, i);

    b->other[i] = most(0, least(0.4 * limit, b->other[i] + 0.2 * (off - b->other[i])));
    if (!has_bands(i)) {
        b->error[i] = b->error[i] * decay + error_of(off, b->other[i], limit);
        return;
    }
    for (int k = 0; k < BANK_BANDS; k++) {
        off = off_by(used_of_band(b, l, i, m, k), limit, remaining);
        e[k] = e[k] * decay + error_of(off, b->other[i], limit);
    }
    b->error[i] = smallest_band(e);
}

void bank_reading(struct bank *b, const struct send_log *l, uint64_t number, double limit, double remaining,
                  int64_t now_ms)
{
    double level[BANK_WINDOWS];
    struct moment m = moment_of(b, l, number, false, level);
    double decay = b->error[b->best] > tolerance(b) ? DECAY : SLOW_DECAY;

    b->readings++;
    b->evidence_ms = now_ms;
    for (int i = 0; i < BANK_MODELS; i++)
        score_reading(b, l, i, &m, limit, remaining, decay);
    choose(b);
}

static double refusal_error(const struct bank *b, double short_of, enum bank_refusal what)
{
    double enough = tolerance(b) + 1;

    return what == BANK_PROBE ? most(short_of, enough) : least(short_of, enough);
}

static void score_refusal(struct bank *b, const struct send_log *l, int i, const struct moment *m,
                          enum bank_refusal what, int64_t now_ms)
{
    double other = b->other[i], short_of = b->limit + 1 - used_by(b, l, i, m).high - other;
    double *e = bands_of(b, i);

    if (has_bands(i) && what != BANK_AGAIN) {
        for (int k = 0; k < BANK_BANDS; k++) {
            double missing = b->limit + 1 - used_of_band(b, l, i, m, k).high - other;

            if (missing >= 1)
                e[k] += refusal_error(b, missing, what);
        }
        b->error[i] = smallest_band(e);
    }
    if (short_of < 1)
        return; /* as it said */
    b->other[i] = least(0.4 * b->limit, other + short_of);
    if (what == BANK_AGAIN)
        return;
    if (bank_window_ms(i) <= BANK_SHORT_MS) {
        if (short_of > 0.3 * b->limit)
            b->error[i] += short_of;
        return;
    }
    if (what == BANK_PROBE) {
        if (b->strikes[i] < MOST_STRIKES)
            b->strikes[i]++;
        b->banned_until[i] = now_ms + ((int64_t)BAN_MS << (2 * b->strikes[i]));
    }
    if (!has_bands(i))
        b->error[i] += refusal_error(b, short_of, what);
}

void bank_refused(struct bank *b, const struct send_log *l, uint64_t number, enum bank_refusal what,
                  int64_t now_ms)
{
    double level[BANK_WINDOWS];
    struct moment m = moment_of(b, l, number, true, level);

    b->evidence_ms = now_ms;
    if (what == BANK_UNEXPECTED && used_by(b, l, b->best, &m).high + b->other[b->best] < b->limit + 0.5)
        b->margin = least(0.2 * b->limit, b->margin + MARGIN_UP);
    for (int i = 0; i < BANK_MODELS; i++)
        score_refusal(b, l, i, &m, what, now_ms);
    choose(b);
}

static double admission_error(const struct bank *b, struct bank_range u)
{
    return u.low > b->limit ? most(u.low - b->limit, tolerance(b) + 1) : 0;
}

void bank_admitted(struct bank *b, const struct send_log *l, uint64_t number)
{
    double level[BANK_WINDOWS];
    struct moment m = moment_of(b, l, number, false, level);

    for (int i = 0; i < BANK_MODELS; i++) {
        double *e = bands_of(b, i);

        if (!has_bands(i)) {
            b->error[i] += admission_error(b, used_by(b, l, i, &m));
            continue;
        }
        for (int k = 0; k < BANK_BANDS; k++)
            e[k] += admission_error(b, used_of_band(b, l, i, &m, k));
        b->error[i] = smallest_band(e);
    }
    choose(b);
}

/* ---- advice ---- */

/* What others used leaves the window as ours does: at once where windows turn over, little by little
 * elsewhere. */
static void fade_other(struct bank *b, int64_t now_ms)
{
    int64_t elapsed = now_ms - b->faded_ms, before = b->faded_ms;

    if (elapsed < 100)
        return;
    b->faded_ms = now_ms;
    for (int i = 0; i < BANK_MODELS; i++) {
        if (b->other[i] <= 0)
            continue;
        if (bank_kind(i) > BANK_FIRST && now_ms - b->evidence_ms > STALE_MS)
            b->other[i] *= exp(-(double)elapsed / (FADE * (double)bank_window_ms(i)));
        else if (bank_kind(i) == BANK_FIXED && turn_of(b, i, now_ms) != turn_of(b, i, before))
            b->other[i] *= TURN_KEEPS;
    }
}

static double room_of(const struct bank *b, double high, double usable, int i)
{
    return least(usable - high, b->limit - high - floor(b->other[i] + b->margin + 0.5));
}

struct bank_advice bank_foresee(const struct bank *b, const struct send_log *l, int pending, double usable,
                                int64_t now_ms)
{
    struct bank_advice a = {INFINITY, -INFINITY, -INFINITY, 0};
    double level[BANK_WINDOWS], group = INFINITY;
    int64_t gap = l->next > 0 ? now_ms - send_log_newest(l) : 0;
    uint32_t sum = l->total + (uint32_t)pending + 1;
    struct moment m = {.at = now_ms, .low = sum, .high = sum, .own = sum, .level = level};

    for (int w = 0; w < BANK_WINDOWS; w++)
        level[w] = leaked(b->level[w], gap, b->limit, w) + pending + 1;
    for (int i = 0; i < BANK_MODELS; i++) {
        double room;

        if (i % BANK_KINDS == 0)
            group = INFINITY;
        if (b->plausible[i]) {
            room = room_of(b, used_by(b, l, i, &m).high, usable, i);
            a.room = least(a.room, room);
            if (now_ms >= b->banned_until[i]) {
                a.most_room = most(a.most_room, room);
                if (bank_kind(i) != BANK_TOKEN)
                    group = least(group, room);
            }
        }
        if (i % BANK_KINDS == BANK_KINDS - 1 && group < INFINITY) {
            a.group_room = most(a.group_room, group);
            a.groups += group >= 0;
        }
    }
    return a;
}

struct bank_advice bank_ask(struct bank *b, const struct send_log *l, int pending, double usable,
                            int64_t now_ms)
{
    fade_other(b, now_ms);
    return bank_foresee(b, l, pending, usable, now_ms);
}

int64_t bank_longest_ms(const struct bank *b)
{
    int i = BANK_MODELS - 1;

    while (i > 0 && !b->plausible[i])
        i--;
    return bank_window_ms(i);
}

int64_t bank_shortest_ms(const struct bank *b)
{
    int i = 0;

    while (i < BANK_MODELS - 1 && !b->plausible[i])
        i++;
    return bank_window_ms(i);
}

bool bank_fits(const struct bank *b)
{
    return smallest_error(b) <= 4 * b->limit + 10;
}
