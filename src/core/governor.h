/* governor - decides when one more request of this account may start.
 *
 * Pure: no clock, no I/O, never fails; the caller owns the struct. Times are monotonic ms (a clock
 * that counts suspend). A slot is taken at governor_admit(), before the intent is committed, so that
 * requests on their way to the wire count; it ends in exactly one of governor_withdraw() (never sent)
 * or governor_reply(). A later version replaces the inside; the interface stays.
 *
 * Policy of this version. Without evidence of a limit: max_concurrency in flight at once, no pacing (but
 * max_per_second). With evidence, a limit in a header or a 429: sends are spaced evenly at a rate that is
 * learned; the operator's limit and window, when given, replace learning. The length of the window is in no
 * header and is not guessed: `remaining` belongs to the moment its request was sent, so the most that was
 * ever used (limit - remaining) while we sent at some rate says how far that rate is from the limit. It is
 * judged in rounds of requests sent since the rate was set, long enough that the window must have moved on.
 * A limit of 0 means unknown.
 *
 * A 429 closes the account until a backoff with full jitter (or Retry-After, which wins) has passed; then
 * one probe goes; refused again, the wait doubles up to its cap. All refusals of requests sent before the
 * hold began are one refusal, which lowers the rate once. A 429 is fast and a success is slow (up to 300 s):
 * a request that was not refused for GOVERNOR_PROOF_MS was admitted. When the probe was, or another request
 * sent since, sending goes on and ramps up: the requests sent since the hold are limited to a number that
 * doubles with each success, and whenever GOVERNOR_PROOF_MS pass at that number. There is always a next time.
 */
#ifndef FLOWSPOOL_CORE_GOVERNOR_H
#define FLOWSPOOL_CORE_GOVERNOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GOVERNOR_PROOF_MS 2000

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

struct governor {
    struct governor_options opt;
    int in_flight;     /* slots taken */
    int pending;       /* of these, not on the wire yet */
    uint64_t next_seq; /* of the next request on the wire */
    /* what the headers said, by the newest-sent request that carried them */
    bool has_reading;
    uint64_t reading_seq;
    long long limit, remaining;
    /* pace */
    double rate;           /* learned, sends per ms; 0: no evidence of a limit */
    long long paced_limit; /* the limit that the rate was learned for, 0: none */
    int64_t due_ms;        /* the next send, and the fraction of a ms that is still owed */
    double due_fraction;
    bool admitted; /* the two below are set */
    int64_t first_admit_ms, last_admit_ms;
    int64_t replies_total; /* that were no 429 */
    bool cut;              /* the rate was lowered once: grow slowly from now on */
    /* a round: the requests sent since the rate was set */
    uint64_t round_seq;      /* the first of them */
    long long round_paced;   /* that waited for the pace, not for jobs or slots */
    long long round_replies; /* that were no 429 */
    long long round_readings;
    long long round_used; /* the most that was used of the limit */
    /* hold after a 429 */
    bool held;
    bool probing;       /* the one probe of a hold is out */
    bool probe_on_wire; /* probe_seq is set */
    int probe_ahead;    /* slots taken before the probe and not on the wire yet */
    int64_t probe_ms;   /* when the probe was sent */
    uint64_t probe_seq;
    uint64_t hold_seq; /* the first request sent after the hold began */
    int64_t held_since_ms, closed_until_ms;
    int holds; /* consecutive refusals */
    /* ramp */
    int ramp;       /* how many requests sent since the hold may be in flight; 0: not ramping */
    int ramp_older; /* requests in flight that were sent before it */
    uint64_t ramp_seq;
    int64_t last_429_ms; /* -1: never */
    uint64_t admitted_total, refused_total;
};

#define GOVERNOR_ON_COMPLETION INT64_MAX

void governor_init(struct governor *g, const struct governor_options *o);
void governor_set_options(struct governor *g, const struct governor_options *o);
/* <= now: one may be admitted now; else when to ask again; GOVERNOR_ON_COMPLETION: ask again when a slot
 * that is taken has gone to the wire or ended (never without one). */
int64_t governor_next(const struct governor *g, int64_t now_ms);
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
/* Why the cap is what it is: one short phrase for status. */
const char *governor_reason(const struct governor *g);
/* Parses the two header values (NULL: absent); false when they are no reading. */
bool governor_parse_headers(const char *limit, const char *remaining, long long *l, long long *r);

#endif
