/* The real governor as a policy of the simulation. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/governor.h"
#include "simulator.h"

struct governed {
    struct governor g;
    double next; /* what governor_next() said last, in seconds */
};

static int64_t ms(double seconds)
{
    return (int64_t)floor(seconds * 1000 + 1e-6);
}

_Static_assert(sizeof(struct governor_memory) <= CARRY_SIZE, "what a run leaves must fit");

static void finish(struct sim *s)
{
    struct governed *d = s->data;
    struct governor_memory m;

    governor_memorize(&d->g, ms(s->now), &m);
    memcpy(s->carry, &m, sizeof m);
}

static void recall(struct sim *s)
{
    struct governed *d = s->data;
    struct governor_memory m;

    memcpy(&m, s->carry, sizeof m);
    m.unix_ms = ms(s->wall) - 60000;
    m.closed_until_unix_ms = 0;
    governor_recall(&d->g, &m, 0);
}

static void start(struct sim *s)
{
    struct governed *d = s->data;
    const struct governor_options o = {
        .max_concurrency = s->c->cap,
        .max_per_second = s->c->max_per_second,
        .hint_limit = s->c->told ? s->c->limit : 0,
        .hint_window_ms = s->c->told ? ms(s->c->window) : 0,
        .leave_percent = s->c->leave,
        .hold_base_ms = 1000,
        .hold_cap_ms = 60000,
    };

    governor_init(&d->g, &o);
    governor_set_wall(&d->g, ms(s->wall));
    if (s->c->warm)
        recall(s);
}

static bool may_send(struct sim *s)
{
    struct governed *d = s->data;
    int64_t now = ms(s->now), at = governor_next(&d->g, now);

    d->next = at == GOVERNOR_ON_COMPLETION ? INFINITY : (double)at / 1000;
    if (at == GOVERNOR_ON_COMPLETION && d->g.in_flight == 0)
        abort(); /* nothing would ever happen */
    return at <= now;
}

static void on_send(struct sim *s, uint64_t seq)
{
    struct governed *d = s->data;

    governor_admit(&d->g, ms(s->now));
    if (governor_sent(&d->g, ms(s->now)) != seq || d->g.in_flight > s->c->cap)
        abort();
}

static void on_reply(struct sim *s, const struct reply *r)
{
    struct governed *d = s->data;
    struct governor_reading g = {
        .seq = r->seq,
        .rate_limited = !r->ok,
        .success = r->ok,
        .has_limit = r->has_limit,
        .limit = r->limit,
        .remaining = r->remaining,
        .retry_after_ms = r->retry_after < 0 ? -1 : ms(r->retry_after),
        .random = (uint64_t)(sim_uniform(&s->policy_random) * 18446744073709549568.0),
    };

    governor_reply(&d->g, &g, ms(s->now));
}

static double wake(struct sim *s)
{
    struct governed *d = s->data;

    return d->next;
}

static double window(struct sim *s)
{
    struct governed *d = s->data;
    struct governor_view v;

    governor_look(&d->g, ms(s->now), &v);
    return (double)v.window_ms / 1000;
}

/* As the daemon requeues a refused job: full jitter, from 1 s up to 60 s. */
static double backoff(struct sim *s, const struct reply *r, int refusals)
{
    (void)r;
    return fmin(60, pow(2, fmin(refusals - 1, 20))) * sim_uniform(&s->policy_random);
}

const struct policy policy_governor = {
    .name = "flowspool",
    .size = sizeof(struct governed),
    .start = start,
    .finish = finish,
    .may_send = may_send,
    .on_send = on_send,
    .on_reply = on_reply,
    .wake = wake,
    .window = window,
    .backoff = backoff,
};
