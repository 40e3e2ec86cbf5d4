#include "sandbox/limiter.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum limiter_kind kind;
} kinds[] = {
    {"none", LIMITER_NONE},   {"sliding", LIMITER_SLIDING}, {"fixed", LIMITER_FIXED},
    {"first", LIMITER_FIRST}, {"log", LIMITER_LOG},         {"token", LIMITER_TOKEN},
};

/* A time before every request, and far enough from the edge that a window can be added. */
#define LONG_AGO (INT64_MIN / 2)

bool limiter_kind_parse(const char *name, enum limiter_kind *kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

bool limiter_init(struct limiter *l, enum limiter_kind kind, int64_t limit, int64_t window_us)
{
    *l = (struct limiter){.kind = kind, .limit = limit, .window_us = window_us};
    if (kind == LIMITER_NONE) {
        return true;
    }
    if (limit < 1 || limit > LIMITER_LIMIT_MAX || window_us < 1 || window_us > LIMITER_WINDOW_MAX_US) {
        return false;
    }
    if (kind == LIMITER_LOG) {
        l->log = malloc((size_t)limit * sizeof *l->log);
        if (!l->log) {
            return false;
        }
    }
    limiter_reset(l);
    return true;
}

void limiter_free(struct limiter *l)
{
    free(l->log);
    l->log = NULL;
}

void limiter_reset(struct limiter *l)
{
    l->last_us = LONG_AGO;
    l->start_us = LONG_AGO;
    l->current = 0;
    l->previous = 0;
    l->log_next = 0;
    l->level = l->limit * l->window_us;
    for (int64_t i = 0; l->log && i < l->limit; i++) {
        l->log[i] = LONG_AGO;
    }
}

/* The start of the epoch-aligned window that holds t. */
static int64_t aligned(const struct limiter *l, int64_t t)
{
    int64_t phase = t % l->window_us;
    return t - (phase < 0 ? phase + l->window_us : phase);
}

static int64_t sliding_used(const struct limiter *l, int64_t t)
{
    int64_t start = aligned(l, t), current = 0, previous = 0;
    if (start == l->start_us) {
        current = l->current;
        previous = l->previous;
    } else if (start == l->start_us + l->window_us) {
        previous = l->current;
    }
    return current + (l->window_us - (t - start)) * previous / l->window_us;
}

static int64_t fixed_used(const struct limiter *l, int64_t t)
{
    return aligned(l, t) == l->start_us ? l->current : 0;
}

static int64_t first_used(const struct limiter *l, int64_t t)
{
    return t < l->start_us + l->window_us ? l->current : 0;
}

static int64_t log_used(const struct limiter *l, int64_t t)
{
    /* The ring, read from log_next, is ordered by time: find the first entry inside the window. */
    int64_t low = 0, high = l->limit;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (l->log[(l->log_next + middle) % l->limit] <= t - l->window_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return l->limit - low;
}

static int64_t token_level(const struct limiter *l, int64_t t)
{
    int64_t full = l->limit * l->window_us;
    int64_t elapsed = t - l->last_us; /* last_us may be LONG_AGO, then the bucket is full */
    if (elapsed >= l->window_us || full - l->level <= elapsed * l->limit) {
        return full;
    }
    return l->level + elapsed * l->limit;
}

static int64_t used_at(const struct limiter *l, int64_t t)
{
    switch (l->kind) {
    case LIMITER_SLIDING:
        return sliding_used(l, t);
    case LIMITER_FIXED:
        return fixed_used(l, t);
    case LIMITER_FIRST:
        return first_used(l, t);
    case LIMITER_LOG:
        return log_used(l, t);
    case LIMITER_TOKEN:
        return l->limit - token_level(l, t) / l->window_us;
    case LIMITER_NONE:
        break;
    }
    return 0;
}

static void roll_aligned(struct limiter *l, int64_t t)
{
    int64_t start = aligned(l, t);
    if (start == l->start_us) {
        return;
    }
    l->previous = start == l->start_us + l->window_us ? l->current : 0;
    l->current = 0;
    l->start_us = start;
}

static void note_admission(struct limiter *l, int64_t t)
{
    switch (l->kind) {
    case LIMITER_SLIDING:
    case LIMITER_FIXED:
        roll_aligned(l, t);
        l->current++;
        break;
    case LIMITER_FIRST:
        if (t >= l->start_us + l->window_us) {
            l->start_us = t;
            l->current = 0;
        }
        l->current++;
        break;
    case LIMITER_LOG:
        l->log[l->log_next] = t;
        l->log_next = (l->log_next + 1) % l->limit;
        break;
    case LIMITER_TOKEN:
        l->level = token_level(l, t) - l->window_us;
        l->last_us = t;
        break;
    case LIMITER_NONE:
        break;
    }
}

static int64_t not_before_last(const struct limiter *l, int64_t now_us)
{
    return now_us > l->last_us ? now_us : l->last_us;
}

bool limiter_take(struct limiter *l, int64_t now_us)
{
    if (l->kind == LIMITER_NONE) {
        return true;
    }
    int64_t t = not_before_last(l, now_us);
    if (used_at(l, t) >= l->limit) {
        return false;
    }
    note_admission(l, t);
    l->last_us = t;
    return true;
}

int64_t limiter_remaining(const struct limiter *l, int64_t now_us)
{
    if (l->kind == LIMITER_NONE) {
        return 0;
    }
    int64_t left = l->limit - used_at(l, not_before_last(l, now_us));
    return left > 0 ? left : 0;
}

int64_t limiter_wait_us(const struct limiter *l, int64_t now_us)
{
    if (l->kind == LIMITER_NONE) {
        return 0;
    }
    /* Without further requests the use of every kind only falls, and is gone after two windows. */
    int64_t low = not_before_last(l, now_us), high = low + 2 * l->window_us;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (used_at(l, middle) < l->limit) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low - now_us > 0 ? low - now_us : 0;
}
