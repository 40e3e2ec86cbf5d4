/* The view for programs. Members are only ever added. */
#include "cli/ratewords.h"
#include "cli/tuneview.h"

static void hypotheses(struct json_line *j, const struct tuning *t)
{
    json_open_list(j, "hypotheses");
    for (size_t i = 0; i < t->nhypotheses; i++) {
        const struct tuning_hypothesis *h = &t->hypotheses[i];
        json_open(j, NULL);
        json_text(j, "kind", h->kind);
        json_number(j, "window_ms", h->window_ms);
        json_real(j, "error", h->error);
        json_real(j, "others", h->others);
        json_bool(j, "plausible", h->plausible);
        json_bool(j, "best", h->best);
        json_close(j);
    }
    json_close_list(j);
}

static void readings(struct json_line *j, const struct tuning *t)
{
    json_open_list(j, "readings");
    for (size_t i = 0; i < t->nreadings; i++) {
        const struct tuning_reading *r = &t->readings[i];
        json_open(j, NULL);
        json_number(j, "ago_ms", r->ago_ms);
        json_known(j, "limit", r->limit);
        json_known(j, "used", r->used);
        json_known(j, "predicted", r->predicted);
        json_bool(j, "refused", r->refused);
        json_close(j);
    }
    json_close_list(j);
}

bool tuneview_json(const struct tune_view *v, FILE *out)
{
    static const struct tuning nothing = {.in_flight = -1, .cap = -1};
    const struct tuning *t = v->known ? &v->tuning : &nothing;
    struct json_line j = {.out = out};
    json_open(&j, NULL);
    json_text(&j, "spool", v->cfg->spool);
    json_text(&j, "state_dir", v->cfg->state_dir);
    json_text(&j, "daemon", ask_word(v->daemon));
    json_text(&j, "reason", v->daemon == ASK_ANSWERED ? NULL : v->reason);
    json_instant(&j, "at", t->at_ms);
    json_text(&j, "endpoint", t->endpoint);
    json_text(&j, "key", t->key);
    json_known(&j, "in_flight", t->in_flight);
    json_known(&j, "cap", t->cap);
    json_text(&j, "cap_reason", t->cap_reason);
    rate_json(&j, v->known ? &t->learned : NULL);
    hypotheses(&j, t);
    readings(&j, t);
    json_close(&j);
    json_end_line(&j);
    return !j.failed;
}
