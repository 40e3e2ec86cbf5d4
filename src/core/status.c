#include "core/status.h"

#include <cjson/cJSON.h>

#include "core/statusjson.h"

/* ---- printing ---- */

static bool add_hold(cJSON *list, const struct status_hold *h)
{
    cJSON *o = cJSON_CreateObject();
    if (o == NULL || !cJSON_AddItemToArray(list, o)) {
        cJSON_Delete(o);
        return false;
    }
    return statusjson_put_text(o, "kind", h->kind) && statusjson_put_text(o, "workflow", h->workflow) &&
           statusjson_put_text(o, "cause", h->cause) && statusjson_put_text(o, "reason", h->reason) &&
           statusjson_put_known(o, "held_for_ms", h->held_for_ms) &&
           statusjson_put_known(o, "next_probe_ms", h->next_probe_ms) &&
           statusjson_put_bool(o, "probing", h->probing) && statusjson_put_int(o, "refusals", h->refusals);
}

static bool add_holds(cJSON *root, const struct status *s)
{
    size_t listed = s->nholds < STATUS_HOLDS_MAX ? s->nholds : STATUS_HOLDS_MAX;
    cJSON *list = cJSON_AddArrayToObject(root, "holds");
    bool ok = list != NULL;
    for (size_t i = 0; i < listed && ok; i++)
        ok = add_hold(list, &s->holds[i]);
    return ok && statusjson_put_int(root, "holds_omitted", s->holds_omitted + (int64_t)(s->nholds - listed));
}

static bool add_rate(cJSON *root, const struct status *s)
{
    cJSON *o = cJSON_AddObjectToObject(root, "rate");
    return o != NULL && statusjson_put_real(o, "per_second", s->per_second) &&
           statusjson_put_int(o, "cap", s->cap) && statusjson_put_text(o, "cap_reason", s->cap_reason) &&
           statusjson_put_known(o, "limit", s->limit) && statusjson_put_known(o, "remaining", s->remaining) &&
           statusjson_put_known(o, "last_429_ago_ms", s->last_429_ago_ms) && learned_put(o, &s->learned);
}

static bool add_run(cJSON *root, const struct status_run *r)
{
    cJSON *o = cJSON_AddObjectToObject(root, "run");
    return o != NULL && statusjson_put_int(o, "done", r->done) &&
           statusjson_put_int(o, "failed", r->failed) && statusjson_put_int(o, "refused", r->refused) &&
           statusjson_put_int(o, "already_done", r->already_done) &&
           statusjson_put_int(o, "bought", r->bought) &&
           statusjson_put_int(o, "possibly_bought", r->possibly_bought) &&
           statusjson_put_int(o, "requests", r->requests) &&
           statusjson_put_int(o, "rate_limited", r->rate_limited);
}

static bool add_counts(cJSON *root, const struct status *s)
{
    const struct status_counts *c = &s->counts;
    if (!s->has_counts)
        return cJSON_AddNullToObject(root, "counts") != NULL;
    cJSON *o = cJSON_AddObjectToObject(root, "counts");
    return o != NULL && statusjson_put_int(o, "waiting", c->waiting) &&
           statusjson_put_int(o, "later", c->later) && statusjson_put_int(o, "held", c->held) &&
           statusjson_put_int(o, "missing", c->missing) && statusjson_put_int(o, "in_flight", c->in_flight) &&
           statusjson_put_int(o, "done", c->done) && statusjson_put_int(o, "failed", c->failed) &&
           statusjson_put_int(o, "refused", c->refused) &&
           statusjson_put_known(o, "oldest_waiting_at_ms", c->oldest_waiting_at_ms);
}

char *status_print(const struct status *s)
{
    cJSON *root = cJSON_CreateObject();
    bool ok =
        root != NULL && statusjson_put_int(root, "pid", s->pid) &&
        statusjson_put_text(root, "endpoint", s->endpoint) && statusjson_put_text(root, "key", s->key) &&
        statusjson_put_text(root, "key_source", s->key_source) &&
        statusjson_put_int(root, "uptime_ms", s->uptime_ms) &&
        statusjson_put_int(root, "in_flight", s->in_flight) &&
        statusjson_put_int(root, "max_concurrency", s->max_concurrency) &&
        statusjson_put_bool(root, "scanned", s->scanned) && statusjson_put_int(root, "ignored", s->ignored) &&
        statusjson_put_bool(root, "draining", s->draining) && add_holds(root, s) && add_rate(root, s) &&
        add_run(root, &s->run) && add_counts(root, s);
    return statusjson_finish(root, ok);
}

/* ---- parsing ---- */

static bool read_hold(const cJSON *o, struct arena *a, struct status_hold *h)
{
    h->held_for_ms = statusjson_int(o, "held_for_ms", -1);
    h->next_probe_ms = statusjson_int(o, "next_probe_ms", -1);
    h->probing = statusjson_bool(o, "probing");
    h->refusals = statusjson_int(o, "refusals", 0);
    return statusjson_text(o, "kind", a, "", &h->kind) && statusjson_text(o, "cause", a, "", &h->cause) &&
           statusjson_text(o, "reason", a, "", &h->reason) &&
           statusjson_text(o, "workflow", a, NULL, &h->workflow);
}

static bool read_holds(const cJSON *root, struct arena *a, struct status *out)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "holds");
    int64_t omitted = statusjson_int(root, "holds_omitted", 0);
    out->holds_omitted = omitted > 0 ? omitted : 0;
    if (!cJSON_IsArray(list) || list->child == NULL)
        return true;
    struct status_hold *holds = arena_alloc(a, STATUS_HOLDS_MAX * sizeof *holds);
    if (holds == NULL)
        return false;
    out->holds = holds;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (out->nholds == STATUS_HOLDS_MAX)
            out->holds_omitted++;
        else if (!read_hold(item, a, &holds[out->nholds++]))
            return false;
    }
    return true;
}

static bool read_rate(const cJSON *root, struct arena *a, struct status *out)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(root, "rate");
    double per_second = statusjson_real(o, "per_second");
    out->per_second = per_second > 0 ? per_second : 0;
    out->cap = statusjson_int(o, "cap", 0);
    out->limit = statusjson_int(o, "limit", -1);
    out->remaining = statusjson_int(o, "remaining", -1);
    out->last_429_ago_ms = statusjson_int(o, "last_429_ago_ms", -1);
    return statusjson_text(o, "cap_reason", a, "", &out->cap_reason) && learned_read(o, a, &out->learned);
}

static void read_run(const cJSON *root, struct status_run *r)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(root, "run");
    *r = (struct status_run){
        .done = statusjson_int(o, "done", 0),
        .failed = statusjson_int(o, "failed", 0),
        .refused = statusjson_int(o, "refused", 0),
        .already_done = statusjson_int(o, "already_done", 0),
        .bought = statusjson_int(o, "bought", 0),
        .possibly_bought = statusjson_int(o, "possibly_bought", 0),
        .requests = statusjson_int(o, "requests", 0),
        .rate_limited = statusjson_int(o, "rate_limited", 0),
    };
}

static int64_t read_count(const cJSON *counts, const char *name)
{
    int64_t n = statusjson_int(counts, name, -1);
    return n >= 0 ? n : -1;
}

static void read_counts(const cJSON *root, struct status *out)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(root, "counts");
    out->has_counts = cJSON_IsObject(o);
    out->counts = (struct status_counts){
        .waiting = read_count(o, "waiting"),
        .later = read_count(o, "later"),
        .held = read_count(o, "held"),
        .missing = read_count(o, "missing"),
        .in_flight = read_count(o, "in_flight"),
        .done = read_count(o, "done"),
        .failed = read_count(o, "failed"),
        .refused = read_count(o, "refused"),
        .oldest_waiting_at_ms = statusjson_int(o, "oldest_waiting_at_ms", -1),
    };
}

bool status_parse(const char *text, struct arena *a, struct status *out)
{
    cJSON *root = statusjson_parse(text);
    if (root == NULL)
        return false;
    *out = (struct status){
        .pid = statusjson_int(root, "pid", 0),
        .uptime_ms = statusjson_int(root, "uptime_ms", 0),
        .in_flight = statusjson_int(root, "in_flight", 0),
        .max_concurrency = statusjson_int(root, "max_concurrency", 0),
        .scanned = statusjson_bool(root, "scanned"),
        .ignored = statusjson_int(root, "ignored", 0),
        .draining = statusjson_bool(root, "draining"),
    };
    read_run(root, &out->run);
    read_counts(root, out);
    bool ok = statusjson_text(root, "endpoint", a, "", &out->endpoint) &&
              statusjson_text(root, "key", a, "", &out->key) &&
              statusjson_text(root, "key_source", a, "", &out->key_source) && read_holds(root, a, out) &&
              read_rate(root, a, out);
    cJSON_Delete(root);
    return ok;
}
