#include "core/ledger.h"

#include <string.h>

/* Of a newer daemon's verdict nobody knows here what it cost. */
static const struct {
    char name[24];
    enum ledger_kind kind;
} verdicts[LEDGER_VERDICTS] = {
    {"success", LEDGER_BOUGHT},
    {"invalid_response", LEDGER_BOUGHT},
    {"too_large", LEDGER_BOUGHT},
    {"ambiguous", LEDGER_POSSIBLY},
    {"crashed", LEDGER_POSSIBLY},
    {"rate_limited", LEDGER_REFUSED},
    {"account_refused", LEDGER_REFUSED},
    {"endpoint_away", LEDGER_REFUSED},
    {"workflow_not_found", LEDGER_REFUSED},
    {"workflow_held", LEDGER_REFUSED},
    {"rejected", LEDGER_REFUSED},
    {"server_error", LEDGER_REFUSED},
    {"server_error_held", LEDGER_REFUSED},
};

static const char savings[LEDGER_SAVINGS][12] = {
    [LEDGER_RECOVERED] = "recovered",
    [LEDGER_SAME] = "same",
    [LEDGER_ADOPTED] = "adopted",
};

const char *ledger_verdict_name(size_t verdict)
{
    return verdict < LEDGER_VERDICTS ? verdicts[verdict].name : "other";
}

enum ledger_kind ledger_verdict_kind(size_t verdict)
{
    return verdict < LEDGER_VERDICTS ? verdicts[verdict].kind : LEDGER_POSSIBLY;
}

const char *ledger_saving_name(enum ledger_saving s)
{
    return savings[s];
}

void ledger_add_runs(struct ledger *l, const char *verdict, int64_t n)
{
    if (verdict == NULL || verdict[0] == '\0') {
        l->runs[LEDGER_IN_FLIGHT] += n;
        return;
    }
    for (size_t i = 0; i < LEDGER_VERDICTS; i++) {
        if (strcmp(verdicts[i].name, verdict) != 0)
            continue;
        l->verdicts[i] += n;
        l->runs[verdicts[i].kind] += n;
        return;
    }
    l->other += n;
    l->runs[LEDGER_POSSIBLY] += n;
}

void ledger_add_saved(struct ledger *l, const char *saving, int64_t n)
{
    l->runs[LEDGER_SAVED] += n;
    for (size_t i = 0; i < LEDGER_SAVINGS; i++)
        if (strcmp(savings[i], saving) == 0)
            l->savings[i] += n;
}

static bool is(const char *code, const char *which)
{
    return code != NULL && strcmp(code, which) == 0;
}

/* One that nobody counted an attempt for was adopted. */
static enum ledger_kind kind_of(const struct ledger_outcome *o)
{
    if (o->state == JOB_DONE)
        return o->attempts > 0 ? LEDGER_BOUGHT : LEDGER_SAVED;
    if (is(o->code, CODE_INVALID_RESPONSE) || is(o->code, CODE_RESPONSE_TOO_LARGE))
        return o->attempts > 0 ? LEDGER_BOUGHT : LEDGER_SAVED;
    if (o->ambiguous > 0)
        return LEDGER_POSSIBLY;
    return is(o->code, CODE_AMBIGUOUS) ? LEDGER_SAVED : LEDGER_REFUSED;
}

void ledger_add_outcomes(struct ledger *l, const struct ledger_outcome *o, int64_t n)
{
    l->outcomes[kind_of(o)] += n;
}

int64_t ledger_outcomes(const struct ledger *l)
{
    int64_t sum = 0;
    for (int k = 0; k < LEDGER_KINDS; k++)
        sum += l->outcomes[k];
    return sum;
}

int64_t ledger_replaced(const struct ledger *l)
{
    int64_t more = l->runs[LEDGER_BOUGHT] - l->outcomes[LEDGER_BOUGHT];
    return more > 0 ? more : 0;
}

bool ledger_balanced(const struct ledger *l)
{
    return l->recorded == l->sent && l->ended == l->tallied;
}
