/* What scripts and libraries commonly do, to be compared with. */
#include <math.h>

#include "simulator.h"

/* ---- oracle: greedy, and knows the limiter ---- */

static bool oracle_may_send(struct sim *s)
{
    return server_peek(&s->server, s->now);
}

static double oracle_wake(struct sim *s)
{
    if (s->in_flight >= s->c->cap)
        return INFINITY;
    if (s->c->jobs > 0 && s->new_job >= s->c->jobs && s->retry_count == 0)
        return INFINITY;
    return fmax(server_next(&s->server, s->now), s->now + 1e-7);
}

const struct policy policy_oracle = {
    .name = "oracle", .oracle = true, .may_send = oracle_may_send, .wake = oracle_wake};

/* ---- naive: so many workers, each sleeps 0.5 s, 1 s, ... 8 s after a 429 ---- */

static bool always(struct sim *s)
{
    (void)s;
    return true;
}

static double naive_backoff(struct sim *s, const struct reply *r, int refusals)
{
    if (r->retry_after > 0)
        return r->retry_after;
    return fmin(0.5 * pow(2, fmin(refusals - 1, 20)), 8) * (1 - 0.25 * sim_uniform(&s->policy_random));
}

/* ---- a well-known cookbook's script: it is told the limit per minute, and pauses 15 s after a 429 ---- */

struct cookbook {
    double per_minute, left, filled, pause;
};

static void cookbook_start(struct sim *s)
{
    struct cookbook *c = s->data;

    c->per_minute = s->c->limit > 0 ? s->c->limit * 60.0 / s->c->window : 1500;
    c->left = c->per_minute;
    c->pause = -1;
}

static bool cookbook_may_send(struct sim *s)
{
    struct cookbook *c = s->data;

    c->left = fmin(c->per_minute, c->left + (s->now - c->filled) * c->per_minute / 60);
    c->filled = s->now;
    return s->now >= c->pause && c->left >= 1 - 1e-9;
}

static void cookbook_on_send(struct sim *s, uint64_t seq)
{
    struct cookbook *c = s->data;

    (void)seq;
    c->left -= 1;
}

static void cookbook_on_reply(struct sim *s, const struct reply *r)
{
    struct cookbook *c = s->data;

    if (!r->ok)
        c->pause = fmax(c->pause, s->now + 15);
}

static double cookbook_wake(struct sim *s)
{
    struct cookbook *c = s->data;

    return fmax(c->pause, s->now + fmax(0.01, (1 - c->left) * 60 / c->per_minute));
}

/* ---- additive increase, multiplicative decrease of the number in flight ---- */

struct aimd {
    double most;
};

static void aimd_start(struct sim *s)
{
    struct aimd *a = s->data;

    a->most = 10;
}

static bool aimd_may_send(struct sim *s)
{
    struct aimd *a = s->data;

    return s->in_flight < (int)a->most;
}

static double one_second(struct sim *s, const struct reply *r, int refusals)
{
    (void)s;
    (void)r;
    (void)refusals;
    return 1;
}

static void aimd_on_reply(struct sim *s, const struct reply *r)
{
    struct aimd *a = s->data;

    if (!r->ok)
        a->most = fmax(1, fmin(a->most - 1, floor(a->most * 0.9)));
    else if (s->in_flight * 2 >= a->most)
        a->most = fmin(s->c->cap, a->most + 1);
}

/* ---- botocore's adaptive mode: CUBIC on the send rate, and a token bucket ---- */

struct boto {
    bool on;
    double most, k, last_throttle, rate, capacity, level, filled, measured, bucket;
    int count;
};

static void boto_fill(struct boto *b, double now)
{
    b->level = fmin(b->capacity, b->level + (now - b->filled) * b->rate);
    b->filled = now;
}

static void boto_start(struct sim *s)
{
    struct boto *b = s->data;

    b->rate = b->capacity = 1;
}

static bool boto_may_send(struct sim *s)
{
    struct boto *b = s->data;

    if (!b->on)
        return true;
    boto_fill(b, s->now);
    return b->level >= 1 - 1e-9;
}

static void boto_on_send(struct sim *s, uint64_t seq)
{
    struct boto *b = s->data;

    (void)seq;
    if (b->on)
        b->level -= 1;
}

static double boto_backoff(struct sim *s, const struct reply *r, int refusals)
{
    (void)r;
    return fmin(20, sim_uniform(&s->policy_random) * pow(2, fmin(refusals, 20)));
}

static void boto_on_reply(struct sim *s, const struct reply *r)
{
    struct boto *b = s->data;
    double half = floor(s->now * 2) / 2, next;

    b->count++;
    if (half > b->bucket) {
        b->measured = 0.8 * b->count / (half - b->bucket) + 0.2 * b->measured;
        b->count = 0;
        b->bucket = half;
    }
    if (r->ok) {
        next = 0.4 * pow(s->now - b->last_throttle - b->k, 3) + b->most;
    } else {
        b->most = b->on ? fmin(b->measured, b->rate) : b->measured;
        b->k = cbrt(b->most * 0.3 / 0.4);
        b->last_throttle = s->now;
        next = b->most * 0.7;
        b->on = true;
    }
    boto_fill(b, s->now);
    next = fmin(next, 2 * b->measured);
    b->rate = fmax(next, 0.5);
    b->capacity = fmax(next, 1);
    b->level = fmin(b->level, b->capacity);
}

static double boto_wake(struct sim *s)
{
    struct boto *b = s->data;

    return b->on ? s->now + fmax(0.01, (1 - b->level) / b->rate) : INFINITY;
}

/* ---- `remaining` read as "so many may be in flight now" ---- */

struct literal {
    bool known;
    double most;
};

static bool literal_may_send(struct sim *s)
{
    struct literal *l = s->data;

    return s->in_flight < (l->known ? fmax(1, fmin(s->c->cap, l->most)) : 1);
}

static void literal_on_reply(struct sim *s, const struct reply *r)
{
    struct literal *l = s->data;

    if (r->has_limit)
        l->most = (double)r->remaining;
    else if (r->ok)
        l->most = l->known ? fmin(s->c->cap, l->most + 1) : s->c->cap;
    else
        l->most = fmax(1, floor(l->most / 2));
    l->known = true;
}

const struct policy reference_policies[] = {
    {.name = "naive", .holds_slot = true, .may_send = always, .backoff = naive_backoff},
    {.name = "cookbook",
     .size = sizeof(struct cookbook),
     .start = cookbook_start,
     .may_send = cookbook_may_send,
     .on_send = cookbook_on_send,
     .on_reply = cookbook_on_reply,
     .wake = cookbook_wake},
    {.name = "aimd",
     .size = sizeof(struct aimd),
     .start = aimd_start,
     .may_send = aimd_may_send,
     .on_reply = aimd_on_reply,
     .backoff = one_second},
    {.name = "botocore",
     .size = sizeof(struct boto),
     .start = boto_start,
     .may_send = boto_may_send,
     .on_send = boto_on_send,
     .on_reply = boto_on_reply,
     .backoff = boto_backoff,
     .wake = boto_wake},
    {.name = "remaining",
     .size = sizeof(struct literal),
     .may_send = literal_may_send,
     .on_reply = literal_on_reply,
     .backoff = one_second},
    {.name = 0},
};
