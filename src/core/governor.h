/* governor - decides when one more request of this account may start.
 *
 * Pure: no clock, no I/O, never fails; the caller owns the struct, one for each key. Times are monotonic ms
 * (a clock that counts suspend); Unix time is only the phase of windows that are aligned to it. A slot is
 * taken at governor_admit(), before the intent is committed, so that requests on their way to the wire count;
 * it ends in exactly one of governor_withdraw() (never sent) or governor_reply(). There is always a next
 * time.
 *
 * What it does depends on what is known.
 *
 *   - opening: nothing yet. A few at once, then a dozen a second, until a reply says more.
 *
 *   - open: the server says 0 of 0, which is what it says when it has no limiter. Nothing is held back.
 *
 *   - headerless: replies carry no limit. Twice as many in each round trip until one is refused, then an even
 *     pace near the rate that was admitted.
 *
 *   - counting: the limit is known. A bank of hypotheses about the window (governor_bank.h) says what is
 *     used; one is sent when all that are plausible have room. When they disagree, one probe goes and is
 *     learned from.
 *
 *   - pacing: all plausible windows are so short that jitter hides the counts. An even pace
 *     (governor_pace.h), which starts at what the best guess allows.
 *
 *   - told: the operator gave limit and window. An even pace of just that.
 *
 * A 429 is fast and a success is slow (up to 300 s): a request that was not refused for a few round trips was
 * admitted. A 429 without Retry-After pauses for a moment, longer each time that nothing was admitted in
 * between. With Retry-After, or after several pauses in a row, the account is held: closed until then, after
 * which one probe goes first; when it was admitted, sending ramps up.
 */
#ifndef FLOWSPOOL_CORE_GOVERNOR_H
#define FLOWSPOOL_CORE_GOVERNOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/governor_bank.h"
#include "core/governor_log.h"
#include "core/governor_pace.h"

#define GOVERNOR_PROOF_MS 2000 /* of the ramp after a hold */

struct governor_options {
    int max_concurrency;
    double max_per_second; /* 0: no pacing */
    long long hint_limit;  /* 0: unknown */
    int64_t hint_window_ms;
    int leave_percent;
    int64_t hold_base_ms, hold_cap_ms; /* backoff after 429s: retry.base, retry.cap */
};

struct governor_reading {
    uint64_t seq;      /* the slot's number from governor_sent() */
    bool rate_limited; /* 429 */
    bool success;
    bool has_limit; /* both headers were there and parsed; nonsense is not a reading */
    long long limit, remaining;
    int64_t retry_after_ms; /* -1: none */
    uint64_t random;        /* uniform, for jitter */
};

enum governor_mode {
    GOVERNOR_OPENING,
    GOVERNOR_OPEN,
    GOVERNOR_HEADERLESS,
    GOVERNOR_COUNTING,
    GOVERNOR_PACING,
    GOVERNOR_TOLD,
};

/* The one request that is out to learn something. */
struct governor_probe {
    bool out;
    bool look;    /* against all hypotheses */
    bool on_wire; /* seq and sent_ms are set */
    int ahead;    /* slots taken before it and not on the wire yet */
    uint64_t seq;
    int64_t sent_ms;
};

/* How many may be sent that nothing has confirmed: doubles with each round trip without a refusal. */
struct governor_trust {
    int size, used;
    int64_t since_ms;
};

struct governor {
    struct governor_options opt;
    int in_flight;             /* slots taken */
    int pending;               /* of these, not on the wire yet */
    int64_t shift_ms, last_ms; /* a clock that went back is taken to have stood still */
    struct send_log log;
    struct bank bank;
    struct pacer pacer;
    uint64_t pace_seq; /* the first request sent at this pace, small steps aside */
    enum governor_mode mode;
    struct governor_probe probe;
    struct governor_trust trust;
    /* what the headers said, by the newest-sent request that carried them */
    bool has_reading;
    uint64_t reading_seq;
    long long limit, remaining;
    long long limit_in_force; /* what is reckoned with: the first, or what two in a row said */
    int64_t limit_since_ms;
    bool remembered; /* the limit in force is an earlier run's */
    int readings;    /* that agree with the limit in force */
    int silent;      /* successes in a row that carried none */
    int unlimited;   /* successes in a row that said 0 of 0 */
    /* the opening */
    bool admitted;
    int64_t first_ms, last_admit_ms;
    /* round trips, latencies */
    double refusal_ms; /* of a 429, on average */
    double latency_ms; /* of a success, on average */
    double flying_ms;  /* the sum of the send times of what is on the wire */
    /* refusals */
    int row;                     /* in a row, flights with nothing admitted in between */
    uint64_t row_first, row_seq; /* the first requests sent after the first and the last of them */
    double pace_before;          /* them */
    int64_t pause_until_ms;
    bool held;
    bool hold_by_server; /* Retry-After asked for it */
    int64_t held_since_ms, closed_until_ms;
    uint64_t hold_seq; /* the first request sent after the hold began */
    /* what counting found out about the next request */
    bool next_is_probe, next_is_idle_probe, next_is_trusted;
    int64_t probe_ms;  /* the last probe */
    bool probe_failed; /* it was refused */
    int64_t full_ms;   /* there was room, for the last time */
    int idle_probes;
    int64_t explore_ms, explore_after_ms; /* the next look whether the window is shorter after all */
    int64_t refused_after_ms; /* the longest time without room after which one was refused none the less */
    int64_t scored_ms;
    /* ramp */
    int ramp;       /* how many requests sent since the hold may be in flight; 0: not ramping */
    int ramp_older; /* requests in flight that were sent before it */
    uint64_t ramp_seq;
    int64_t last_429_ms; /* -1: never */
    uint64_t admitted_total, refused_total, replies_total;
};

#define GOVERNOR_ON_COMPLETION INT64_MAX

void governor_init(struct governor *g, const struct governor_options *o);
void governor_set_options(struct governor *g, const struct governor_options *o);
/* Unix time minus monotonic time; again after the wall clock was set. */
void governor_set_wall(struct governor *g, int64_t wall_offset_ms);
/* <= now: one may be admitted now; else when to ask again; GOVERNOR_ON_COMPLETION: ask again when a slot
 * that is taken has gone to the wire or ended (never without one). */
int64_t governor_next(struct governor *g, int64_t now_ms);
/* Takes a slot. Only after governor_next() said now. */
void governor_admit(struct governor *g, int64_t now_ms);
/* The slot did not get as far as governor_sent(). After that every end is a governor_reply(), a failed
 * connection too (nothing set but seq, and retry_after_ms -1). */
void governor_withdraw(struct governor *g, int64_t now_ms);
/* The admitted request goes to the wire; returns its number. */
uint64_t governor_sent(struct governor *g, int64_t now_ms);
void governor_reply(struct governor *g, const struct governor_reading *r, int64_t now_ms);
/* After any hold (account, endpoint): start again with one request and ramp up. */
void governor_ramp(struct governor *g);
/* Ends a 429 hold early (flowspool resume): one probe goes now. */
void governor_release(struct governor *g, int64_t now_ms);
int governor_cap(const struct governor *g);

/* What was learned, as plain numbers that can be kept; all 0 when nothing was. */
struct governor_memory {
    int64_t unix_ms; /* when this was so */
    long long limit;
    int kind; /* enum bank_kind */
    int64_t window_ms;
    long long used; /* of the window, by us */
    double per_second;
    double latency_ms, refusal_ms;
    int64_t last_429_unix_ms, closed_until_unix_ms; /* 0: none */
};

void governor_memorize(const struct governor *g, int64_t now_ms, struct governor_memory *m);
/* At the start, before the first request. What is older than a day or makes no sense is left alone; the rest
 * is believed until a reply or a refusal does not fit. */
void governor_recall(struct governor *g, const struct governor_memory *m, int64_t now_ms);

/* For people. */
struct governor_view {
    enum governor_mode mode;
    long long limit;  /* in force; 0: unknown */
    const char *kind; /* of the window, in words; NULL: not known */
    int64_t window_ms;
    int64_t known_for_ms;     /* the limit; -1: not known */
    int64_t learned_after_ms; /* the start, -1: not known, or from an earlier run */
    int readings;
    double per_second;       /* that is sent now, at most; 0: as fast as slots allow */
    int64_t last_429_ago_ms; /* -1: never */
};

/* In words: learned.h. */
void governor_look(const struct governor *g, int64_t now_ms, struct governor_view *v);

/* One hypothesis about the server's limiter, 0 <= i < BANK_MODELS. */
struct governor_hypothesis {
    const char *kind;
    int64_t window_ms;
    double error; /* the smaller the better */
    double other; /* used by others, as it seems */
    bool plausible, best;
};

struct governor_hypothesis governor_hypothesis(const struct governor *g, int i);
/* The one that is told to people and kept, once the limit is known. */
int governor_model(const struct governor *g);
/* Why the cap is what it is: one short phrase for status. */
const char *governor_reason(const struct governor *g);
/* Parses the two header values (NULL: absent); false when they are no reading. 0 of 0 is one: no limit. */
bool governor_parse_headers(const char *limit, const char *remaining, long long *l, long long *r);

#endif
