/* holds - probing with growing patience. */
#include "core/holds.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    enum gate gate;
    const char *name;
} gate_names[] = {
    {GATE_PAUSED, "paused"},
    {GATE_PAUSE_FILE, "pause-file"},
    {GATE_VANISHED, "vanished"},
    {GATE_LOST_STATE, "lost-state"},
    {GATE_DISK, "disk"},
    {GATE_MAX_JOBS, "max-jobs"},
    {GATE_SPOOL_GONE, "spool-gone"},
    {GATE_DRAIN, "draining"},
};

const char *gate_name(enum gate g)
{
    for (size_t i = 0; i < sizeof gate_names / sizeof gate_names[0]; i++)
        if (gate_names[i].gate == g)
            return gate_names[i].name;
    return "unknown";
}

static int64_t later(int64_t now_ms, int64_t wait_ms)
{
    int64_t t;

    return __builtin_add_overflow(now_ms, wait_ms, &t) ? INT64_MAX : t;
}

/* The text comes from the network and ends on terminals: one line, whole UTF-8 sequences. */
static void copy_reason(char out[], size_t size, const char *reason)
{
    size_t n = reason ? strnlen(reason, size) : 0;

    if (n == size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)reason[n] & 0xc0) == 0x80)
            n--;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)reason[i];

        out[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    out[n] = '\0';
}

static void schedule_probe(struct hold *h, int64_t now_ms, uint64_t random)
{
    int64_t jitter = (int64_t)(random % (uint64_t)(h->wait_ms / 10 + 1));

    h->next_probe_ms = later(now_ms, later(h->wait_ms, jitter));
}

static void end_probe(struct hold *h)
{
    h->probing = false;
    h->probe_job = 0;
}

/* Whether this reply is the answer to a probe; the others were under way when the hold began. */
static bool from_probe(const struct hold *h, int64_t job)
{
    if (job == 0)
        return false;
    return h->probing ? job == h->probe_job : job == h->last_probe_job;
}

static void probe_refused(struct hold *h, int64_t now_ms, uint64_t random)
{
    end_probe(h);
    if (h->refusals < INT32_MAX)
        h->refusals++;
    if (h->probe_again) {
        h->probe_again = false;
        h->next_probe_ms = now_ms;
        return;
    }
    if (h->wait_ms < HOLD_PROBE_CAP_MS)
        h->wait_ms = h->wait_ms > HOLD_PROBE_CAP_MS / 2 ? HOLD_PROBE_CAP_MS : h->wait_ms * 2;
    schedule_probe(h, now_ms, random);
}

void hold_refused(struct hold *h, enum hold_cause cause, const char *reason, int64_t job, int64_t probe_ms,
                  int64_t now_ms, uint64_t random)
{
    bool active = hold_active(h);

    h->cause = cause;
    copy_reason(h->reason, sizeof h->reason, reason);
    if (active) {
        if (from_probe(h, job))
            probe_refused(h, now_ms, random);
        return;
    }
    end_probe(h);
    h->probe_again = false;
    h->last_probe_job = 0;
    h->refusals = 1;
    h->since_ms = now_ms;
    h->wait_ms = probe_ms > 0 ? probe_ms : 1;
    schedule_probe(h, now_ms, random);
}

int64_t hold_next_probe(const struct hold *h)
{
    return hold_active(h) && !h->probing ? h->next_probe_ms : INT64_MAX;
}

bool hold_may_probe(const struct hold *h, int64_t now_ms)
{
    return hold_active(h) && !h->probing && now_ms >= h->next_probe_ms;
}

void hold_probe_sent(struct hold *h, int64_t job)
{
    if (!hold_active(h))
        return;
    h->probing = true;
    h->probe_job = job;
    h->last_probe_job = job;
}

void hold_probe_inconclusive(struct hold *h, int64_t job, int64_t now_ms)
{
    if (!h->probing || job != h->probe_job)
        return;
    end_probe(h);
    h->next_probe_ms = h->probe_again ? now_ms : later(now_ms, h->wait_ms);
    h->probe_again = false;
}

void hold_lift(struct hold *h)
{
    memset(h, 0, sizeof *h);
}

void hold_probe_now(struct hold *h, int64_t now_ms)
{
    if (!hold_active(h))
        return;
    h->probe_again = h->probing;
    h->next_probe_ms = now_ms;
}

bool hold_active(const struct hold *h)
{
    return h->cause != HOLD_NONE;
}

/* The index of the first entry that is not before the name. */
static size_t lower_bound(const struct workflow_holds *w, const char *workflow)
{
    size_t low = 0, high = w->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(w->items[middle].workflow, workflow) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct workflow_holds *w, size_t i, const char *workflow)
{
    return i < w->count && strcmp(w->items[i].workflow, workflow) == 0;
}

static size_t least_needed(const struct workflow_holds *w)
{
    size_t best = 0;

    for (size_t i = 1; i < w->count; i++) {
        const struct workflow_hold *a = &w->items[i], *b = &w->items[best];
        bool a_held = hold_active(&a->hold), b_held = hold_active(&b->hold);

        if (a_held != b_held ? b_held : a->touched_ms < b->touched_ms)
            best = i;
    }
    return best;
}

static void forget(struct workflow_holds *w, size_t i)
{
    memmove(&w->items[i], &w->items[i + 1], (w->count - i - 1) * sizeof w->items[0]);
    w->count--;
}

static bool make_room(struct workflow_holds *w)
{
    size_t capacity = w->capacity ? w->capacity * 2 : 16;
    struct workflow_hold *items;

    if (w->count < w->capacity)
        return true;
    items = realloc(w->items, capacity * sizeof items[0]);
    if (!items)
        return false;
    w->items = items;
    w->capacity = capacity;
    return true;
}

struct workflow_hold *workflow_hold_get(struct workflow_holds *w, const char *workflow, int64_t now_ms)
{
    size_t i = lower_bound(w, workflow);

    if (!is_at(w, i, workflow)) {
        if (strlen(workflow) >= sizeof w->items[0].workflow)
            return NULL;
        if (w->count >= HOLDS_WORKFLOWS_MAX)
            forget(w, least_needed(w));
        if (!make_room(w))
            return NULL;
        i = lower_bound(w, workflow);
        memmove(&w->items[i + 1], &w->items[i], (w->count - i) * sizeof w->items[0]);
        memset(&w->items[i], 0, sizeof w->items[0]);
        memcpy(w->items[i].workflow, workflow, strlen(workflow) + 1);
        w->count++;
    }
    w->items[i].touched_ms = now_ms;
    return &w->items[i];
}

struct workflow_hold *workflow_hold_find(const struct workflow_holds *w, const char *workflow)
{
    size_t i = lower_bound(w, workflow);

    return is_at(w, i, workflow) ? &w->items[i] : NULL;
}

void workflow_holds_free(struct workflow_holds *w)
{
    free(w->items);
    memset(w, 0, sizeof *w);
}
