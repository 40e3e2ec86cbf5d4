/* The governor under a stream of events, with what must always be true checked after each.
 *
 * Each byte chooses an event; its operands follow. What a daemon never does (a slot admitted although the
 * governor did not say now, two ends of one slot) is not among them. The far side is either a limiter, which
 * makes the modes reachable that need replies that fit together, or says anything at all.
 */
#include "fuzz.h"

#include <math.h>

#include "core/governor_internal.h"
#include "core/ratememory.h"
#include "core/tuning.h"

#define FLYING_MAX  600
#define EVENTS_MAX  600
#define WALL_MOST   INT64_C(10000000000000) /* no system has a later time */
#define LATEST_MS   (INT64_C(2) * 86400000)
#define STEPS_MOST  400
#define ROUNDS_MOST 100
#define ROUNDS_ALL  1500 /* of one input */

struct flying {
    uint64_t seq;
    int64_t sent_ms;
    bool refused;
    long long remaining;
};

/* A limiter with fixed windows. */
struct far_side {
    long long limit, used;
    int64_t window_ms, window;
    bool headers;
    int64_t latency_ms;
};

struct world {
    struct governor g;
    struct tuning_heard heard;
    struct far_side server;
    int64_t now, wall; /* Unix time minus monotonic time */
    int pending;
    struct flying flying[FLYING_MAX];
    int nflying;
    int rounds; /* so far */
    struct fuzz_bytes in;
};

static void check_number(double x, const char *name)
{
    FUZZ_CHECK(isfinite(x) && x >= 0, "%s is %f", name, x);
}

static void check_state(const struct world *w)
{
    const struct governor *g = &w->g;
    FUZZ_CHECK(g->in_flight == w->pending + w->nflying, "%d slots, %d and %d", g->in_flight, w->pending,
               w->nflying);
    FUZZ_CHECK(g->pending == w->pending, "%d", g->pending);
    FUZZ_CHECK(governor_cap(g) >= 1 && governor_cap(g) <= g->opt.max_concurrency, "%d", governor_cap(g));
    FUZZ_CHECK(isfinite(g->flying_ms), "%f", g->flying_ms);
    check_number(g->pacer.rate, "the rate");
    check_number(g->pacer.most, "the most");
    check_number(g->refusal_ms, "the round trip");
    check_number(g->latency_ms, "the latency");
    check_number(g->bank.margin, "the margin");
    check_number(governor_interval(g), "the interval");
    for (int i = 0; i < BANK_MODELS; i++) {
        check_number(g->bank.error[i], "an error");
        check_number(g->bank.other[i], "what others use");
    }
}

/* ---- the far side ---- */

static void arrive(struct far_side *s, struct flying *f, int64_t now)
{
    if (s->limit <= 0)
        return;
    if (now / s->window_ms != s->window)
        s->used = 0;
    s->window = now / s->window_ms;
    f->refused = s->used >= s->limit;
    if (!f->refused)
        s->used++;
    f->remaining = s->limit - s->used;
}

/* ---- slots ---- */

static void send_one(struct world *w)
{
    if (w->pending == 0 || w->nflying == FLYING_MAX)
        return;
    struct flying *f = &w->flying[w->nflying++];
    *f = (struct flying){.seq = governor_sent(&w->g, w->now), .sent_ms = w->now};
    arrive(&w->server, f, w->now);
    w->pending--;
}

static void withdraw_one(struct world *w)
{
    if (w->pending == 0)
        return;
    governor_withdraw(&w->g, w->now);
    w->pending--;
}

/* cap: as it was when it was asked; what it learns while it is asked counts from the next one on. */
static void admit(struct world *w, int cap)
{
    FUZZ_CHECK(w->g.in_flight < w->g.opt.max_concurrency, "%d are in flight", w->g.in_flight);
    FUZZ_CHECK(w->g.ramp > 0 || w->g.in_flight < cap || w->g.in_flight < governor_cap(&w->g),
               "%d are in flight", w->g.in_flight);
    governor_admit(&w->g, w->now);
    w->pending++;
}

/* Asks, and admits when it says now; else returns when to ask again. */
static int64_t ask(struct world *w)
{
    int cap = governor_cap(&w->g);
    int64_t at = governor_next(&w->g, w->now);
    if (at == GOVERNOR_ON_COMPLETION)
        FUZZ_CHECK(w->pending + w->nflying > 0, "nothing is in flight that could complete");
    else if (at > w->now)
        FUZZ_CHECK(w->now < 0 || at - w->now <= LATEST_MS, "not before %lld ms", (long long)(at - w->now));
    else if (w->pending + w->nflying < FLYING_MAX)
        admit(w, cap);
    return at;
}

static void end_slot(struct world *w, int index, struct governor_reading r)
{
    r.seq = w->flying[index].seq;
    w->flying[index] = w->flying[--w->nflying];
    tuning_hear(&w->heard, &r);
    governor_reply(&w->g, &r, w->now);
}

/* As the far side decided when it arrived. */
static void answer(struct world *w, int index)
{
    const struct flying *f = &w->flying[index];
    end_slot(w, index,
             (struct governor_reading){.rate_limited = f->refused,
                                       .success = !f->refused,
                                       .has_limit = w->server.headers && !f->refused && w->server.limit > 0,
                                       .limit = w->server.limit,
                                       .remaining = f->remaining,
                                       .retry_after_ms = -1,
                                       .random = (uint64_t)f->seq * 0x9E3779B97F4A7C15u});
}

/* ---- events ---- */

static const char *header(struct fuzz_bytes *in, char buf[32])
{
    static const char *const odd[] = {"",    "-1", "1e3", "ten", " 7 ", "0x10",      "99999999999999999999",
                                      "1.5", "0",  "10",  "60",  "+1",  "1000000000"};
    uint8_t kind = fuzz_byte(in);
    if (kind == 255)
        return NULL;
    if (kind < sizeof odd / sizeof odd[0])
        return odd[kind];
    snprintf(buf, 32, "%llu", (unsigned long long)fuzz_number(in, kind % 4 + 1));
    return buf;
}

static void reply_anything(struct world *w)
{
    struct fuzz_bytes *in = &w->in;
    struct governor_reading r = {.retry_after_ms = -1};
    char a[32], b[32];
    if (w->nflying == 0)
        return;
    int index = fuzz_byte(in) % w->nflying;
    uint8_t what = fuzz_byte(in);
    r.rate_limited = (what & 3) == 0;
    r.success = (what & 3) == 1;
    if ((what & 4) != 0)
        r.has_limit = governor_parse_headers(header(in, a), header(in, b), &r.limit, &r.remaining);
    else if ((what & 8) != 0)
        r.has_limit = true; /* 0 of 0 */
    if (r.rate_limited && (what & 16) != 0)
        r.retry_after_ms = (int64_t)fuzz_number(in, what % 5);
    r.random = (uint64_t)what << 56 | what;
    end_slot(w, index, r);
}

static void move_clock(struct world *w)
{
    static const int64_t steps[] = {1, 20, 1000, 60000, 3600000, 86400000, -1000, -86400000};
    uint8_t scale = fuzz_byte(&w->in);
    w->now += steps[scale % 8] * fuzz_byte(&w->in);
    if (scale >= 252) /* a clock that is broken */
        w->now = scale == 255 ? INT64_MAX - 1 : scale == 254 ? INT64_MIN : 0;
    if (w->now > WALL_MOST || w->now < 0) { /* it says so, and is itself again */
        ask(w);
        w->now = scale;
    }
}

static void set_options(struct world *w)
{
    static const double rates[] = {0, 0.001, 0.5, 3, 1000, -1, NAN, INFINITY, 1e300, 1e-300};
    struct fuzz_bytes *in = &w->in;
    uint8_t what = fuzz_byte(in);
    struct governor_options o = w->g.opt;
    o.max_concurrency = 1 + (int)(fuzz_number(in, 1 + (what & 1)) % 1000);
    if ((what & 2) != 0)
        o.max_per_second = rates[fuzz_byte(in) % (sizeof rates / sizeof rates[0])];
    if ((what & 4) != 0)
        o.leave_percent = (int)fuzz_byte(in) - 10;
    if ((what & 8) != 0) {
        o.hint_limit = (long long)fuzz_number(in, 1 + what % 5) - 1;
        o.hint_window_ms = (int64_t)fuzz_number(in, 1 + what % 4);
    }
    if ((what & 16) != 0)
        o.hint_limit = 0;
    if ((what & 32) != 0) {
        o.hold_base_ms = (int64_t)fuzz_number(in, 3);
        o.hold_cap_ms = (int64_t)fuzz_number(in, 3);
    }
    governor_set_options(&w->g, &o);
}

static void set_wall(struct world *w)
{
    int64_t offset = (int64_t)fuzz_number(&w->in, 6) * (fuzz_byte(&w->in) % 2 == 0 ? 1 : -1);
    w->wall = offset % WALL_MOST;
    governor_set_wall(&w->g, w->wall);
}

static bool is_no_date(int64_t unix_ms)
{
    return unix_ms < 0 || unix_ms > INT64_C(1000000000000000);
}

/* Through text, as the daemon keeps it. What is read is what was written, to the thousandth. */
static void restart(struct world *w)
{
    struct governor_memory m, back;
    char text[RATE_MEMORY_SIZE], again[RATE_MEMORY_SIZE];
    struct governor_options o = w->g.opt;
    governor_memorize(&w->g, w->now, &m);
    check_number(m.per_second, "the rate that is kept");
    rate_memory_print(&m, text);
    if (!rate_memory_parse(text, &back)) {
        FUZZ_CHECK(is_no_date(m.unix_ms) || is_no_date(m.last_429_unix_ms) ||
                       is_no_date(m.closed_until_unix_ms),
                   "%s", text);
        back = m;
    } else {
        rate_memory_print(&back, again);
        FUZZ_CHECK(strcmp(text, again) == 0, "%s, then %s", text, again);
    }
    w->pending = w->nflying = 0;
    governor_init(&w->g, &o);
    governor_set_wall(&w->g, w->wall);
    governor_recall(&w->g, &back, w->now);
}

/* A memory that another program, or a broken disk, wrote. */
static void recall_anything(struct world *w)
{
    static const int64_t windows[] = {1000, 60000, 86400000, 7};
    struct fuzz_bytes *in = &w->in;
    struct governor_memory m = {.unix_ms = w->now + w->wall - (int64_t)fuzz_number(in, 3)};
    if (w->pending + w->nflying > 0)
        return;
    m.limit = (long long)fuzz_number(in, 1 + fuzz_byte(in) % 6);
    m.kind = fuzz_byte(in) % (BANK_KINDS + 1);
    m.window_ms = windows[fuzz_byte(in) % 4];
    m.used = (long long)fuzz_number(in, 2);
    m.per_second = (double)fuzz_number(in, 3) / 1000;
    m.latency_ms = (double)fuzz_number(in, 3);
    m.refusal_ms = (double)fuzz_number(in, 2);
    m.closed_until_unix_ms = m.unix_ms + (int64_t)fuzz_number(in, 4);
    governor_recall(&w->g, &m, w->now);
}

static void look(const struct world *w)
{
    char words[LEARNED_WORDS_SIZE];
    struct tuning t = {.endpoint = "https://host", .key = "0", .cap_reason = governor_reason(&w->g)};
    const struct learned l = learned_of(&w->g, w->now);
    check_number(l.per_second, "the rate that is told");
    FUZZ_CHECK(strlen(learned_words(&l, false, words)) > 0, "nothing is said");
    tuning_look(&w->g, &w->heard, w->now, &t);
    char *text = tuning_print(&t);
    FUZZ_CHECK(text != NULL, "no memory");
    free(text);
}

/* Some rounds as a daemon has them: what may go goes, what the far side has answered comes back. */
static void work(struct world *w, int rounds)
{
    for (int i = 0; i < rounds && w->rounds < ROUNDS_ALL; i++, w->rounds++) {
        int64_t at = ask(w), back = INT64_MAX;
        while (w->pending > 0 && w->nflying < FLYING_MAX)
            send_one(w);
        for (int k = w->nflying - 1; k >= 0; k--) {
            int64_t due = w->flying[k].sent_ms + (w->flying[k].refused ? 150 : w->server.latency_ms);
            if (due <= w->now)
                answer(w, k);
            else if (due < back)
                back = due;
        }
        if (at <= w->now)
            continue;
        if (back < at)
            at = back;
        if (at != INT64_MAX)
            w->now = at;
    }
}

static void set_server(struct world *w)
{
    static const int64_t windows[] = {1000, 1000, 2000, 7000, 10000, 60000, 3600000, 86400000};
    struct fuzz_bytes *in = &w->in;
    uint8_t what = fuzz_byte(in);
    w->server = (struct far_side){
        .limit = (what & 64) != 0 ? 0 : fuzz_byte(in),
        .window_ms = windows[what % 8],
        .headers = (what & 128) == 0,
        .latency_ms = (int64_t)fuzz_number(in, 2),
    };
}

static void event(struct world *w)
{
    struct fuzz_bytes *in = &w->in;
    int64_t at;
    switch (fuzz_byte(in) % 20) {
    case 0:
    case 1:
    case 2:
        ask(w);
        break;
    case 3:
    case 4:
        at = ask(w);
        if (at > w->now && at != GOVERNOR_ON_COMPLETION)
            w->now = at;
        break;
    case 5:
    case 6:
        send_one(w);
        break;
    case 7:
        withdraw_one(w);
        break;
    case 8:
    case 9:
        if (w->nflying > 0)
            answer(w, fuzz_byte(in) % w->nflying);
        break;
    case 10:
    case 11:
        reply_anything(w);
        break;
    case 12:
        move_clock(w);
        break;
    case 13:
        w->now += fuzz_byte(in);
        break;
    case 14:
        set_options(w);
        break;
    case 15:
        set_wall(w);
        break;
    case 16:
        if (fuzz_byte(in) % 2 == 0)
            restart(w);
        else
            recall_anything(w);
        break;
    case 17:
        if (fuzz_byte(in) % 2 == 0)
            governor_ramp(&w->g);
        else
            governor_release(&w->g, w->now);
        break;
    case 18:
        look(w);
        break;
    default:
        set_server(w);
        work(w, fuzz_byte(in) % ROUNDS_MOST);
    }
}

/* Whatever happened: who asks when told to, or later, and ends what is in flight, gets to send. */
static void check_progress(struct world *w)
{
    int64_t patience = 50;
    uint64_t before = w->g.admitted_total;
    for (int i = 0; w->g.admitted_total < before + 3; i++) {
        FUZZ_CHECK(i < STEPS_MOST, "nothing goes any more: mode %d, %d in flight, %s", w->g.mode,
                   w->g.in_flight, governor_reason(&w->g));
        int64_t at = ask(w);
        if (at <= w->now && w->pending + w->nflying < FLYING_MAX)
            continue;
        while (w->pending > 0 && w->nflying < FLYING_MAX)
            send_one(w);
        if (w->nflying > 0)
            end_slot(w, 0, (struct governor_reading){.success = true, .retry_after_ms = -1});
        if (at != GOVERNOR_ON_COMPLETION && at > w->now) {
            w->now = at > w->now + patience ? at : w->now + patience;
            patience *= 2;
        }
        check_state(w);
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static struct world w;
    struct governor_options o = {.max_concurrency = 256, .hold_base_ms = 1000, .hold_cap_ms = 60000};
    w = (struct world){.now = 1000000, .wall = INT64_C(1795557600000), .in = {.data = data, .size = size}};
    governor_init(&w.g, &o);
    governor_set_wall(&w.g, w.wall);
    for (int i = 0; i < EVENTS_MAX && w.in.at < w.in.size; i++) {
        event(&w);
        check_state(&w);
    }
    look(&w);
    check_progress(&w);
}
