/* The status for programs. Members are only ever added. */
#include "cli/jsonline.h"
#include "cli/overview.h"
#include "cli/ratewords.h"

static void jobs(struct json_line *j, const struct overview *o)
{
    const struct store_counts *c = &o->counts;
    if (!o->has_state) {
        json_raw(j, "jobs", "null");
        return;
    }
    json_open(j, "jobs");
    json_number(j, "waiting", c->waiting);
    json_number(j, "later", c->deferred);
    json_number(j, "held", c->held);
    json_number(j, "missing", c->missing);
    json_number(j, "in_flight", c->in_flight + c->replied);
    json_number(j, "done", c->done);
    json_number(j, "failed", c->failed);
    json_number(j, "refused_files", c->refused);
    json_number(j, "files", c->files);
    json_instant(j, "oldest_waiting_at", c->oldest_waiting_ms);
    json_instant(j, "next_due_at", o->next_due_ms);
    json_close(j);
}

bool overview_json(const struct overview *o, FILE *out)
{
    struct json_line j = {.out = out};
    json_open(&j, NULL);
    json_text(&j, "spool", o->cfg->spool);
    json_text(&j, "state_dir", o->cfg->state_dir);
    json_text(&j, "daemon", ask_word(o->daemon));
    json_text(&j, "reason", o->daemon == ASK_ANSWERED ? NULL : o->reason);
    jobs(&j, o);
    json_bool(&j, "paused", o->paused);
    json_instant(&j, "paused_at", o->paused_ms > 1 ? o->paused_ms : 0);
    json_bool(&j, "lost_state", o->lost_state);
    json_text(&j, "account_refused", o->account);
    json_instant(&j, "learned_at", o->learned_ms);
    rate_json(&j, o->learned_ms != 0 ? &o->learned : NULL);
    json_known(&j, "left_ms", overview_left_ms(o));
    json_raw(&j, "live", o->daemon == ASK_ANSWERED ? o->status_json : "null");
    json_close(&j);
    json_end_line(&j);
    return !j.failed;
}
