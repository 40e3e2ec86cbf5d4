/* Where the status comes from: the daemon's answer, and the state. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/overview.h"
#include "cli/ratewords.h"

void overview_ask(struct overview *o, struct arena *a)
{
    struct order_reply reply;
    o->daemon = ask_daemon(o->cfg, &(struct order){.kind = ORDER_STATUS}, a, &reply, &o->reason);
    if (o->daemon != ASK_ANSWERED)
        return;
    o->status_json = reply.status;
    if (reply.status != NULL && status_parse(reply.status, a, &o->status)) {
        o->learned = o->status.learned;
        o->learned_ms = o->status.learned.mode[0] != '\0' ? o->now_ms : 0;
        return;
    }
    o->daemon = ASK_FAILED;
    o->reason = "its answer makes no sense";
}

/* A value of the state, or NULL; false: no memory. */
static bool stored(struct store *s, const char *key, struct arena *a, const char **out)
{
    char *value = store_get(s, key);
    *out = NULL;
    if (value == NULL)
        return true;
    *out = arena_copy(a, value);
    free(value);
    return *out != NULL;
}

/* False: no memory. */
static bool read_learned(struct overview *o, struct store *s, struct arena *a)
{
    struct tuning *t = arena_alloc(a, sizeof *t);
    if (t == NULL)
        return false;
    if (!rate_stored(s, o->now_ms, a, t))
        return true;
    o->learned = t->learned;
    o->learned_ms = t->at_ms;
    if (o->learned.last_429_ago_ms >= 0)
        o->learned.last_429_ago_ms += o->now_ms - t->at_ms;
    return true;
}

bool overview_stored(struct overview *o, struct store *s, struct arena *a)
{
    const char *paused, *lost;
    o->has_state = store_counts(s, &o->counts);
    o->next_due_ms = store_next_due(s);
    if (!stored(s, "gate.paused", a, &paused) || !stored(s, "gate.lost_state", a, &lost) ||
        !stored(s, "hold.account", a, &o->account))
        return false;
    o->paused = paused != NULL;
    o->paused_ms = paused != NULL ? strtoll(paused, NULL, 10) : 0;
    o->lost_state = lost != NULL;
    if (o->daemon != ASK_ANSWERED && !read_learned(o, s, a))
        return false;
    return store_error(s) == NULL;
}

bool overview_read(struct overview *o, struct arena *a, char *message, size_t size)
{
    struct store *s;
    overview_ask(o, a);
    enum store_rc rc = store_open_readonly(&s, o->cfg->state_dir, message, size);
    if (rc != STORE_OK)
        return rc == STORE_ABSENT;
    bool ok = overview_stored(o, s, a);
    if (!ok)
        snprintf(message, size, "%s", store_error(s) != NULL ? store_error(s) : "out of memory");
    store_close(s);
    return ok;
}
