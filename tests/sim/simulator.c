#include "simulator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum event_kind { EV_WAKE, EV_ARRIVE, EV_REPLY, EV_SLOT, EV_FOREIGN, EV_CHANGE, EV_FORGET, EV_JUMP };

struct event {
    double at;
    uint64_t number; /* first come, first served */
    enum event_kind kind;
    struct reply reply;
};

struct waiting {
    double at;
    int job;
};

double sim_uniform(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) / 9007199254740992.0;
}

double scenario_seconds(const struct scenario *c)
{
    return c->seconds > 0 ? c->seconds : 1200;
}

static void *grown(void *old, int *size, int need, unsigned long each)
{
    int more = *size > 0 ? *size : 64;
    char *p;

    if (need < *size)
        return old;
    while (more <= need)
        more *= 2;
    p = realloc(old, (size_t)more * each);
    if (p == NULL)
        abort();
    memset(p + (size_t)*size * each, 0, (size_t)(more - *size) * each);
    *size = more;
    return p;
}

/* ---- what will happen ---- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at < b->at || (a->at == b->at && a->number < b->number);
}

static void push(struct sim *s, double at, enum event_kind kind, const struct reply *r)
{
    struct event e = {.at = at, .number = s->event_number++, .kind = kind};
    int i = s->heap_count++;

    if (r != NULL)
        e.reply = *r;
    s->heap = grown(s->heap, &s->heap_size, i, sizeof s->heap[0]);
    for (; i > 0 && before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
}

static struct event pop(struct sim *s)
{
    struct event top = s->heap[0], last = s->heap[--s->heap_count];
    int i = 0;

    for (int child; (child = 2 * i + 1) < s->heap_count; i = child) {
        if (child + 1 < s->heap_count && before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!before(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
    }
    s->heap[i] = last;
    return top;
}

/* ---- jobs: those that were refused go first, as they are the oldest ---- */

static void requeue(struct sim *s, double at, int job)
{
    int i = s->retry_count++;

    s->retry = grown(s->retry, &s->retry_size, i, sizeof s->retry[0]);
    for (; i > 0 && (s->retry[i - 1].at > at || (s->retry[i - 1].at == at && s->retry[i - 1].job > job)); i--)
        s->retry[i] = s->retry[i - 1];
    s->retry[i] = (struct waiting){at, job};
}

static bool has_new_job(const struct sim *s)
{
    return s->c->jobs == 0 || s->new_job < s->c->jobs;
}

static bool has_job(const struct sim *s)
{
    return has_new_job(s) || (s->retry_count > 0 && s->retry[0].at <= s->now);
}

/* -1: none is ready. */
static int take_job(struct sim *s)
{
    if (s->retry_count > 0 && s->retry[0].at <= s->now) {
        int job = s->retry[0].job;

        memmove(s->retry, s->retry + 1, (size_t)--s->retry_count * sizeof s->retry[0]);
        return job;
    }
    return has_new_job(s) ? s->new_job++ : -1;
}

static int count_refusal(struct sim *s, int job)
{
    int n;

    s->refusals = grown(s->refusals, &s->refusals_size, job, sizeof s->refusals[0]);
    n = ++s->refusals[job];
    if (n > s->r.worst_job)
        s->r.worst_job = n;
    return n;
}

/* ---- the server ---- */

static double exponential(struct sim *s, double mean)
{
    return -mean * log(sim_uniform(&s->random));
}

/* Of a job's run, whichever client asks for it, so that all clients are given the same work. */
static double latency(const struct sim *s, int job)
{
    uint64_t dice = s->seed * 1000003 + (uint64_t)job * 7919;
    double median = s->c->median > 0 ? s->c->median : 8, sigma = s->c->sigma > 0 ? s->c->sigma : 1.2;
    double gauss = sqrt(-2 * log(sim_uniform(&dice))) * cos(6.283185307179586 * sim_uniform(&dice));

    return fmin(300, fmax(0.2, median * exp(sigma * gauss)));
}

static void stamp(struct sim *s, struct reply *r, int remaining)
{
    static const struct {
        bool has;
        long long limit, remaining;
    } nonsense[] = {{false, 0, 0}, {true, 0, 0}, {true, -5, -1}, {true, 0, 50}, {false, 0, 3}};

    r->has_limit = s->c->headers != HEADERS_NONE && s->c->server != SERVER_SLOTS;
    r->limit = s->server.limit;
    r->remaining = remaining;
    if (s->c->garbage > 0 && sim_uniform(&s->random) < s->c->garbage) {
        int i = (int)(sim_uniform(&s->random) * 5);

        r->has_limit = nonsense[i].has;
        r->limit = i == 3 ? s->server.limit : nonsense[i].limit;
        r->remaining = i == 3 ? s->server.limit + 50 : nonsense[i].remaining;
    }
    if (s->c->headers == HEADERS_ZERO)
        r->limit = r->remaining = 0;
}

static bool storming(const struct sim *s)
{
    return s->c->storm > 0 && s->now >= s->c->storm_at && s->now < s->c->storm_at + s->c->storm;
}

static void arrive(struct sim *s, struct reply r)
{
    r.ok = !storming(s) && server_take(&s->server, s->now);
    stamp(s, &r, server_remaining(&s->server, s->now));
    r.retry_after = -1;
    if (r.ok) {
        s->r.admitted++;
        s->r.longest_gap = fmax(s->r.longest_gap, s->now - s->last_admission);
        s->last_admission = s->now;
        push(s, s->now + latency(s, r.job), EV_REPLY, &r);
        return;
    }
    if (s->c->retry_after)
        r.retry_after = fmax(1, ceil(server_next(&s->server, s->now) - s->now));
    r.has_limit &= s->c->refusals_tell; /* the known server's 429 carries nothing */
    push(s, s->now + 0.03 + 0.2 * sim_uniform(&s->random), EV_REPLY, &r);
}

static void other_client(struct sim *s)
{
    double mean = s->c->window / (s->c->foreign * s->c->limit);
    int burst = s->c->foreign_bursts && s->c->limit > 10 ? s->c->limit / 10 : 1;

    for (int i = 0; i < burst; i++)
        s->r.foreign += server_take(&s->server, s->now);
    push(s, s->now + burst * exponential(s, mean), EV_FOREIGN, NULL);
}

/* ---- the client ---- */

static void answered(struct sim *s, struct reply *r)
{
    if (r->ok && s->c->stamp_reply)
        stamp(s, r, server_remaining(&s->server, s->now));
    if (r->ok) {
        server_leave(&s->server);
        s->r.done++;
        s->in_flight--;
    } else {
        int n = count_refusal(s, r->job);
        double wait = s->policy->backoff ? s->policy->backoff(s, r, n) : 0;

        s->r.refused++;
        if (s->policy->holds_slot && wait > 0) {
            push(s, s->now + wait, EV_SLOT, r);
        } else {
            s->in_flight--;
            requeue(s, s->now + wait, r->job);
        }
        if (wait > 0)
            push(s, s->now + wait + 1e-6, EV_WAKE, NULL);
    }
    if (s->policy->on_reply)
        s->policy->on_reply(s, r);
}

static void send_what_may_go(struct sim *s)
{
    double net = s->c->quiet_net ? 0.02 : 0.13;

    while (s->in_flight < s->c->cap) {
        struct reply r = {.seq = s->next_seq, .sent = s->now};

        if (!has_job(s) || !s->policy->may_send(s))
            return;
        r.job = take_job(s);
        s->next_seq++;
        s->r.sent++;
        if (++s->in_flight > s->r.most_flying)
            s->r.most_flying = s->in_flight;
        if (s->policy->on_send)
            s->policy->on_send(s, r.seq);
        push(s, s->now + (s->policy->oracle ? 0 : 0.02 + net * sim_uniform(&s->random)), EV_ARRIVE, &r);
        if (s->policy->oracle)
            return;
    }
}

static void plan_wake(struct sim *s)
{
    double at = s->policy->wake ? s->policy->wake(s) : INFINITY;

    if (s->in_flight >= s->c->cap || !has_job(s))
        return; /* a reply or a slept worker comes first */
    if (at == INFINITY || (s->now < s->next_wake && s->next_wake <= at + 1e-9))
        return;
    s->next_wake = fmax(at, s->now + (s->policy->oracle ? 1e-7 : 1e-4));
    push(s, s->next_wake, EV_WAKE, NULL);
}

static void note_discovery(struct sim *s)
{
    double w = s->policy->window && s->c->window > 0 ? s->policy->window(s) : 0;

    if (s->r.found < 0 && w > 0 && fabs(w / s->c->window - 1) <= 0.1)
        s->r.found = s->now;
}

/* ---- a run ---- */

static void happen(struct sim *s, struct event *e)
{
    switch (e->kind) {
    case EV_REPLY:
        answered(s, &e->reply);
        break;
    case EV_SLOT:
        s->in_flight--;
        requeue(s, s->now, e->reply.job);
        break;
    case EV_JUMP:
        s->wall += s->c->jump;
        break;
    case EV_CHANGE:
        server_set_limit(&s->server, (int)(s->server.limit * s->c->change));
        break;
    case EV_FORGET:
        server_forget(&s->server);
        if (s->c->forget_every > 0)
            push(s, s->now + s->c->forget_every, EV_FORGET, NULL);
        break;
    case EV_FOREIGN:
        other_client(s);
        break;
    case EV_ARRIVE:
        arrive(s, e->reply);
        break;
    case EV_WAKE:
        break;
    }
}

static void open_sim(struct sim *s, uint64_t seed)
{
    const struct scenario *c = s->c;
    uint64_t phases = seed * 104729 + 7;
    double window = c->window > 0 ? c->window : 1;
    double phase = sim_uniform(&phases) * window;

    s->seed = seed;
    s->random = seed * 7919 + 13;
    s->policy_random = seed + 5;
    s->wall = 1e6 + floor(sim_uniform(&phases) * 8640000) / 100.0;
    if (!c->no_skew) {
        double server = s->wall + (seed % 2 ? 0.3 : -0.3);

        phase = window - fmod(server, window);
    }
    server_open(&s->server, c->server, c->limit, window, phase);
    s->r.found = s->r.finished = -1;
    s->data = calloc(1, s->policy->size + 1);
    if (s->data == NULL)
        abort();
    if (s->policy->start)
        s->policy->start(s);
    if (c->foreign > 0)
        push(s, exponential(s, c->window / (c->foreign * c->limit)), EV_FOREIGN, NULL);
    if (c->change > 0)
        push(s, c->change_at, EV_CHANGE, NULL);
    if (c->forget_at > 0)
        push(s, c->forget_at, EV_FORGET, NULL);
    if (c->jump_at > 0)
        push(s, c->jump_at, EV_JUMP, NULL);
    push(s, 0, EV_WAKE, NULL);
}

static struct result run(const struct scenario *c, const struct policy *p, uint64_t seed,
                         unsigned char *carry)
{
    struct sim s = {.c = c, .policy = p};
    double end = scenario_seconds(c);

    memcpy(s.carry, carry, CARRY_SIZE);
    open_sim(&s, seed);
    while (s.heap_count > 0 && s.heap[0].at <= end) {
        struct event e = pop(&s);

        s.now = e.at;
        happen(&s, &e);
        if (c->jobs > 0 && s.r.done >= c->jobs) {
            s.r.finished = s.now;
            break;
        }
        if (e.kind != EV_REPLY && e.kind != EV_SLOT && e.kind != EV_WAKE)
            continue;
        send_what_may_go(&s);
        plan_wake(&s);
        note_discovery(&s);
    }
    s.r.longest_gap = fmax(s.r.longest_gap, fmin(s.now, end) - s.last_admission);
    if (p->finish)
        p->finish(&s);
    memcpy(carry, s.carry, CARRY_SIZE);
    server_close(&s.server);
    free(s.data);
    free(s.heap);
    free(s.retry);
    free(s.refusals);
    return s.r;
}

struct result sim_run(const struct scenario *c, const struct policy *p, uint64_t seed)
{
    unsigned char carry[CARRY_SIZE] = {0};
    struct scenario before = *c;

    before.warm = false;
    before.seconds = 300;
    if (c->warm && p->finish)
        run(&before, p, seed + 500000, carry);
    return run(c, p, seed, carry);
}
