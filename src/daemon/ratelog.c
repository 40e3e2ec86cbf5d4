/* What the governor decides, in the log: one line each, with debug only. The callers see to that, so that
 * nothing is spent where nobody reads it. */
#include "core/decision.h"
#include "daemon/engine.h"
#include "io/log.h"

/* What the governor is told elsewhere (resume, the end of a hold, another configuration) shows here. */
static void tell_changes(struct engine *e, int64_t now_ms)
{
    char words[DECISION_WORDS_SIZE];
    struct rate_keeping *k = &e->rate;
    if (decision_change_words(&e->governor, &k->told, now_ms, words)[0] != '\0')
        log_line(LOG_DEBUG, NULL, "rate: %s", words);
    k->told = decision_mark(&e->governor, now_ms);
}

/* Nobody waits where nothing is to be sent. */
static bool somebody_waits(const struct engine *e)
{
    return e->live.steps[STEP_CANDIDATE] > 0 || e->more_ready || e->reload;
}

void ratelog_asked(struct engine *e, int64_t at_ms, int64_t now_ms)
{
    char words[DECISION_WORDS_SIZE];
    tell_changes(e, now_ms);
    enum decision_wait why = decision_wait(&e->governor, at_ms, now_ms);
    if (why == DECISION_NO_WAIT || why == e->rate.told_wait || !somebody_waits(e))
        return;
    e->rate.told_wait = why;
    log_line(LOG_DEBUG, NULL, "rate: %s", decision_wait_words(&e->governor, why, at_ms, now_ms, words));
}

void ratelog_admits(struct live *l)
{
    char words[DECISION_WORDS_SIZE];
    struct rate_keeping *k = &l->engine->rate;
    log_line(LOG_DEBUG, l->row.path, "rate: %s", decision_admit_words(&l->engine->governor, words));
    if (!decision_is_rhythm(k->told_wait))
        k->told_wait = DECISION_NO_WAIT;
}

void ratelog_replies(struct engine *e, int64_t now_ms)
{
    tell_changes(e, now_ms);
}

void ratelog_replied(struct live *l, const struct governor_reading *r, int64_t now_ms)
{
    char words[DECISION_WORDS_SIZE];
    struct engine *e = l->engine;
    log_line(LOG_DEBUG, l->row.path, "rate: %s",
             decision_reply_words(&e->governor, &e->rate.told, r, now_ms, words));
    e->rate.told = decision_mark(&e->governor, now_ms);
}
