/* decision - what the governor decides, one line each for the debug log. Pure.
 *
 * The governor is looked at from outside, before and after it was asked or told something; it does not know.
 * Nobody looks, and nothing is spent, where the lines are not wanted.
 */
#ifndef FLOWSPOOL_CORE_DECISION_H
#define FLOWSPOOL_CORE_DECISION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/governor.h"

#define DECISION_WORDS_SIZE 320

/* After governor_next() said now, before governor_admit(): what the request is sent as. */
const char *decision_admit_words(const struct governor *g, char buf[DECISION_WORDS_SIZE]);

enum decision_wait {
    DECISION_NO_WAIT,
    /* of the rhythm: between any two requests */
    DECISION_SLOTS, /* max_concurrency */
    DECISION_CAP,   /* what the learned limit keeps busy, or the ramp */
    DECISION_PACE,
    DECISION_OPENING,
    DECISION_SPACING, /* one after the other */
    /* others */
    DECISION_HOLD,  /* closed, as Retry-After said or after refusals in a row */
    DECISION_PAUSE, /* a moment after a 429 */
    DECISION_RAMP,
    DECISION_PROBE, /* one is out, and the others wait for what comes of it */
    DECISION_NEXT_PROBE,
    DECISION_TRUST, /* as many are out as go unconfirmed */
    DECISION_ROOM,  /* a plausible window has none */
};

/* One that is not worth telling again after each request. */
bool decision_is_rhythm(enum decision_wait why);
/* After governor_next() said so: why it is not now. */
enum decision_wait decision_wait(const struct governor *g, int64_t at_ms, int64_t now_ms);
const char *decision_wait_words(const struct governor *g, enum decision_wait why, int64_t at_ms,
                                int64_t now_ms, char buf[DECISION_WORDS_SIZE]);

/* What a change is told of. */
struct decision_mark {
    bool taken;
    enum governor_mode mode;
    long long limit;
    const char *kind; /* of the window, or NULL */
    int64_t window_ms;
    double per_second;
    bool held;
    int64_t closed_until_ms, pause_until_ms; /* of the governor's clock */
    int ramp;
};

struct decision_mark decision_mark(const struct governor *g, int64_t now_ms);
/* "" when nothing changed since the mark. */
const char *decision_change_words(const struct governor *g, const struct decision_mark *before,
                                  int64_t now_ms, char buf[DECISION_WORDS_SIZE]);
/* What the reply said, then what it changed. After governor_reply(). */
const char *decision_reply_words(const struct governor *g, const struct decision_mark *before,
                                 const struct governor_reading *r, int64_t now_ms,
                                 char buf[DECISION_WORDS_SIZE]);

#endif
