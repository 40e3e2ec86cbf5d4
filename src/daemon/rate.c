/* The governor in the daemon: slots, replies, and what was learned on its way to the state and back.
 *
 * What was learned belongs to an endpoint and a key. When either becomes another, the governor starts anew
 * with what is known about the new pair; requests that are still out under the old one hold no slot of it,
 * and only count towards max_concurrency.
 *
 * The state gets it when something changed, at most every few seconds, and at the end: a crash loses at most
 * that much, and a daemon that has nothing to do writes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "core/ratememory.h"
#include "core/units.h"
#include "daemon/engine.h"
#include "io/log.h"

#define EVERY_MS 3000

/* ---- slots ---- */

bool rate_has_room(const struct engine *e)
{
    const struct rate_keeping *k = &e->rate;
    return k->strays == 0 || k->strays + e->governor.in_flight < e->cfg.max_concurrency;
}

static bool is_told(void)
{
    return log_level() >= LOG_DEBUG;
}

int64_t rate_ask(struct engine *e, int64_t now_ms)
{
    int64_t at = governor_next(&e->governor, now_ms);
    if (is_told())
        ratelog_asked(e, at, now_ms);
    return at;
}

void rate_admit(struct live *l, int64_t now_ms)
{
    struct engine *e = l->engine;
    if (is_told())
        ratelog_admits(l);
    governor_admit(&e->governor, now_ms);
    l->governed = true;
    l->account = e->rate.account;
}

void rate_sent(struct live *l, int64_t now_ms)
{
    l->seq = governor_sent(&l->engine->governor, now_ms);
}

bool rate_is_stray(const struct live *l)
{
    return l->governed && l->account != l->engine->rate.account;
}

/* Its slot is not the present governor's: that is all there is to end. */
static bool end_stray(struct live *l)
{
    if (!rate_is_stray(l))
        return false;
    l->governed = false;
    l->engine->rate.strays--;
    return true;
}

void rate_withdraw(struct live *l)
{
    if (!end_stray(l))
        governor_withdraw(&l->engine->governor, clock_mono_ms());
    l->governed = false;
    log_line(LOG_DEBUG, l->row.path, "rate: does not go after all");
}

/* Once a hold, and only where sending had been free: at the limit it is part of a night's work. */
static void tell_hold(const struct live *l)
{
    char pause[32];
    int64_t wait = governor_next(&l->engine->governor, clock_mono_ms());
    units_format_duration(wait == GOVERNOR_ON_COMPLETION ? 0 : wait - clock_mono_ms(), pause, sizeof pause);
    log_line(LOG_INFO, l->row.path,
             "429, the rate limit: nothing is sent for %s, then one request asks again", pause);
}

void rate_replied(struct live *l, enum verdict v)
{
    struct engine *e = l->engine;
    if (!l->governed || end_stray(l))
        return;
    l->governed = false;
    struct governor_reading r = {
        .seq = l->seq,
        .rate_limited = v == VERDICT_RATE_LIMITED,
        .success = l->reply.end == ATTEMPT_REPLIED && l->reply.http_status == 200,
        .retry_after_ms = -1,
        .random = clock_random(),
    };
    r.has_limit =
        governor_parse_headers(l->reply.rate_limit, l->reply.rate_remaining, &r.limit, &r.remaining);
    if (r.rate_limited && l->reply.retry_after != NULL)
        r.retry_after_ms = retry_after_ms(l->reply.retry_after, clock_unix_ms());
    bool held = e->governor.held;
    int64_t now = clock_mono_ms();
    tuning_hear(&e->rate.heard, &r);
    if (is_told())
        ratelog_replies(e, now);
    governor_reply(&e->governor, &r, now);
    if (is_told())
        ratelog_replied(l, &r, now);
    if (e->governor.held && !held)
        tell_hold(l);
}

/* ---- what was learned ---- */

struct learned rate_learned(const struct engine *e, int64_t now_ms)
{
    struct learned l = learned_of(&e->governor, now_ms);
    int64_t before = e->rate.last_429_unix_ms, unix_ms = now_ms + e->wall_offset_ms;
    if (l.last_429_ago_ms < 0 && before > 0 && before <= unix_ms)
        l.last_429_ago_ms = unix_ms - before;
    return l;
}

/* The governor says what paces; where it is rather what it lets be in flight, that is said. */
const char *rate_cap_reason(const struct engine *e)
{
    const struct governor *g = &e->governor;
    const char *reason = governor_reason(g);
    bool waits = g->held || g->row >= 3 || g->ramp > 0;
    return waits || governor_cap(g) >= e->cfg.max_concurrency
               ? reason
               : "what the learned limit keeps busy, with room";
}

char *rate_tuning_json(const struct engine *e)
{
    int64_t now = clock_mono_ms();
    struct tuning t = {
        .at_ms = clock_unix_ms(),
        .endpoint = e->endpoint,
        .key = e->key.short_hash,
        .in_flight = (int64_t)live_in_flight(&e->live),
        .cap = governor_cap(&e->governor),
        .cap_reason = rate_cap_reason(e),
    };
    tuning_look(&e->governor, &e->rate.heard, now, &t);
    t.learned = rate_learned(e, now);
    return tuning_print(&t);
}

/* Changes with whatever could change what was learned. */
static uint64_t mark(const struct governor *g)
{
    return (g->admitted_total + g->replies_total) * 2 + (g->held ? 1 : 0);
}

static bool is_due(const struct engine *e)
{
    return mark(&e->governor) != e->rate.kept_mark && !e->store_full;
}

/* False: there is nothing to keep. */
static bool keep_memory(struct engine *e, int64_t now_ms)
{
    struct rate_keeping *k = &e->rate;
    struct governor_memory m;
    char text[RATE_MEMORY_SIZE];
    governor_memorize(&e->governor, now_ms, &m);
    if (m.last_429_unix_ms == 0)
        m.last_429_unix_ms = k->last_429_unix_ms;
    bool says = rate_memory_says(&m);
    k->kept_mark = mark(&e->governor);
    if (!says && !k->stored)
        return false;
    rate_memory_print(&m, text);
    store_set(e->store, k->name, says ? text : NULL, NULL, NULL);
    k->stored = says;
    k->kept_ms = now_ms;
    return true;
}

/* What people are told of it when no daemon runs, too: of the present endpoint and key. */
static void keep(struct engine *e, int64_t now_ms)
{
    char *view = keep_memory(e, now_ms) ? rate_tuning_json(e) : NULL;
    if (view != NULL)
        store_set(e->store, TUNING_STORED, view, NULL, NULL);
    free(view);
}

void rate_start(struct engine *e)
{
    struct rate_keeping *k = &e->rate;
    struct governor_memory m;
    int64_t now = clock_mono_ms();
    rate_memory_name(e->endpoint, e->key.short_hash, k->name);
    char *text = store_get(e->store, k->name);
    k->stored = text != NULL;
    k->last_429_unix_ms = 0;
    if (text != NULL && rate_memory_parse(text, &m)) {
        governor_recall(&e->governor, &m, now);
        k->last_429_unix_ms = m.last_429_unix_ms;
    }
    free(text);
    k->kept_mark = mark(&e->governor);
    if (!e->governor.remembered)
        return;
    char words[LEARNED_WORDS_SIZE];
    const struct learned l = rate_learned(e, now);
    log_line(LOG_INFO, NULL, "the rate limit, until replies say otherwise: %s",
             learned_words(&l, false, words));
}

void rate_moved(struct engine *e)
{
    struct rate_keeping *k = &e->rate;
    char name[RATE_NAME_SIZE];
    rate_memory_name(e->endpoint, e->key.short_hash, name);
    if (strcmp(name, k->name) == 0)
        return;
    const struct governor_options options = e->governor.opt;
    if (is_due(e))
        keep_memory(e, clock_mono_ms());
    k->strays += e->governor.in_flight;
    k->account++;
    k->heard.count = 0;
    k->told.taken = false;
    governor_init(&e->governor, &options);
    governor_set_wall(&e->governor, e->wall_offset_ms);
    rate_start(e);
}

void rate_step(struct engine *e, int64_t now_ms)
{
    if (is_due(e) && (e->rate.kept_ms == 0 || now_ms - e->rate.kept_ms >= EVERY_MS))
        keep(e, now_ms);
}

int64_t rate_next(const struct engine *e)
{
    return is_due(e) ? e->rate.kept_ms + EVERY_MS : INT64_MAX;
}

void rate_end(struct engine *e)
{
    if (is_due(e))
        keep(e, clock_mono_ms());
}
