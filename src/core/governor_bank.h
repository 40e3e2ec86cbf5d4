/* governor_bank - which limiter the server has: a bank of hypotheses, each a kind and a window.
 *
 * No header says how long a window is. `used = limit - remaining` of a reply belongs to the moment at
 * which its request was sent, and our own log of sends says what each hypothesis would have counted then; so
 * every reading, every refusal and every proven admission scores all of them. Those whose errors stay
 * near the best are plausible.
 *
 * Counts are bracketed: requests that were sent within the network's jitter of each other may have arrived
 * in another order, and the server's clock may differ from ours: for windows that are aligned to it, each of
 * several bands of that difference is scored by itself, and those that fit are reckoned with. `other` is what
 * a hypothesis could not explain by our own sends: somebody else uses the account.
 */
#ifndef FLOWSPOOL_CORE_GOVERNOR_BANK_H
#define FLOWSPOOL_CORE_GOVERNOR_BANK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/governor_log.h"

enum bank_kind {
    BANK_FIXED,   /* windows aligned to the Unix epoch */
    BANK_FIRST,   /* a window starts with the first request after the last one ended */
    BANK_SLIDING, /* two buckets aligned to the epoch; the known server's */
    BANK_LOG,     /* at most limit requests in any window */
    BANK_TOKEN,   /* a bucket of limit tokens that refills by limit a window */
    BANK_KINDS,
};

#define BANK_WINDOWS     15
#define BANK_MODELS      (BANK_WINDOWS * BANK_KINDS)
#define BANK_STARTS      64
#define BANK_BANDS       6    /* of the difference between the server's clock and ours */
#define BANK_SHORT_MS    2000 /* up to this a window is paced: jitter is too near to judge single refusals */
#define BANK_CHECK_EVERY 32   /* sends between two remembered bucket levels */
#define BANK_CHECKS      (SEND_LOG_EXACT / BANK_CHECK_EVERY)

struct bank {
    double limit;    /* 0: not known yet */
    int64_t wall_ms; /* Unix time minus the log's */
    double error[BANK_MODELS];
    double other[BANK_MODELS];
    double band_error[BANK_WINDOWS][2][BANK_BANDS]; /* of fixed and sliding; the smallest is the model's */
    bool plausible[BANK_MODELS];
    int64_t banned_until[BANK_MODELS]; /* a probe for it was refused: not again before */
    uint8_t strikes[BANK_MODELS];
    int best;
    int readings;        /* scored so far */
    int64_t evidence_ms; /* the last */
    int64_t faded_ms;    /* `other` was last let go of */
    double margin;       /* of the limit, kept free: others may take it at any time */
    /* what the kinds that need more than the log remember */
    int64_t starts[BANK_WINDOWS][BANK_STARTS];
    uint64_t nstarts[BANK_WINDOWS];
    float level[BANK_WINDOWS]; /* used of the bucket after the newest send */
    float checks[BANK_CHECKS][BANK_WINDOWS];
};

enum bank_refusal {
    BANK_UNEXPECTED, /* the first of a flight */
    BANK_AGAIN,      /* another of the same flight: it says nothing new about the kind */
    BANK_PROBE,
};

/* What is used: at least and at most, by what is known. */
struct bank_range {
    double low, high;
};

/* What the hypotheses say about one more request. */
struct bank_advice {
    double room;       /* of the plausible one that has least; < 0: one of them says it would be refused */
    double most_room;  /* of the one that has most and may be tested */
    double group_room; /* the same, of the window whose kinds all have room (buckets aside) */
    int groups;        /* how many windows there are of which that is so */
};

extern const int64_t bank_windows_ms[BANK_WINDOWS];

static inline enum bank_kind bank_kind(int model)
{
    return (enum bank_kind)(model % BANK_KINDS);
}

static inline int64_t bank_window_ms(int model)
{
    return bank_windows_ms[model / BANK_KINDS];
}

void bank_init(struct bank *b);
/* Unix time minus the log's; what was learned of the server's clock is forgotten when it changes by much. */
void bank_set_wall(struct bank *b, int64_t wall_ms);
/* The limit in force from the newest send on. */
void bank_set_limit(struct bank *b, const struct send_log *l, double limit);
/* Another limit: what was refused under the last one says less about the window than it seemed to. */
void bank_doubt(struct bank *b);
/* What an earlier run found out: this one is believed until it does not fit, with `used` of its window used.
 */
void bank_remember(struct bank *b, enum bank_kind kind, int64_t window_ms, double used);
/* A request was added to the log. */
void bank_sent(struct bank *b, const struct send_log *l);
/* Send `number` was refused: its window or bucket never had it. Then it is taken out of the log. */
void bank_uncount(struct bank *b, const struct send_log *l, uint64_t number);
/* Evidence about send `number`, by what the log says now; a refused one is out of it already. */
void bank_reading(struct bank *b, const struct send_log *l, uint64_t number, double limit, double remaining,
                  int64_t now_ms);
void bank_refused(struct bank *b, const struct send_log *l, uint64_t number, enum bank_refusal what,
                  int64_t now_ms);
void bank_admitted(struct bank *b, const struct send_log *l, uint64_t number);
/* For a request that would be sent now, with `pending` others on their way to the wire. `usable` is our
 * share of the limit. */
struct bank_advice bank_ask(struct bank *b, const struct send_log *l, int pending, double usable,
                            int64_t now_ms);
/* The same for a later time, if nothing happens until then. */
struct bank_advice bank_foresee(const struct bank *b, const struct send_log *l, int pending, double usable,
                                int64_t now_ms);
/* The longest and the shortest plausible window. */
int64_t bank_longest_ms(const struct bank *b);
int64_t bank_shortest_ms(const struct bank *b);
/* Whether any hypothesis explains what is seen. */
bool bank_fits(const struct bank *b);

#endif
