/* The tuning's JSON form. */
#include <cjson/cJSON.h>

#include "core/statusjson.h"
#include "core/tuning.h"

/* ---- printing ---- */

static cJSON *add_to(cJSON *list)
{
    cJSON *o = list != NULL ? cJSON_CreateObject() : NULL;
    if (o == NULL || cJSON_AddItemToArray(list, o))
        return o;
    cJSON_Delete(o);
    return NULL;
}

static bool add_hypotheses(cJSON *root, const struct tuning *t)
{
    cJSON *list = cJSON_AddArrayToObject(root, "hypotheses");
    for (size_t i = 0; i < t->nhypotheses; i++) {
        const struct tuning_hypothesis *h = &t->hypotheses[i];
        cJSON *o = add_to(list);
        if (o == NULL || !statusjson_put_text(o, "kind", h->kind) ||
            !statusjson_put_int(o, "window_ms", h->window_ms) || !statusjson_put_real(o, "error", h->error) ||
            !statusjson_put_real(o, "others", h->others) ||
            !statusjson_put_bool(o, "plausible", h->plausible) || !statusjson_put_bool(o, "best", h->best))
            return false;
    }
    return list != NULL;
}

static bool add_readings(cJSON *root, const struct tuning *t)
{
    cJSON *list = cJSON_AddArrayToObject(root, "readings");
    for (size_t i = 0; i < t->nreadings; i++) {
        const struct tuning_reading *r = &t->readings[i];
        cJSON *o = add_to(list);
        if (o == NULL || !statusjson_put_int(o, "ago_ms", r->ago_ms) ||
            !statusjson_put_known(o, "limit", r->limit) || !statusjson_put_known(o, "used", r->used) ||
            !statusjson_put_known(o, "predicted", r->predicted) ||
            !statusjson_put_bool(o, "refused", r->refused))
            return false;
    }
    return list != NULL;
}

char *tuning_print(const struct tuning *t)
{
    cJSON *root = cJSON_CreateObject();
    bool ok =
        root != NULL && statusjson_put_int(root, "at_ms", t->at_ms) &&
        statusjson_put_text(root, "endpoint", t->endpoint) && statusjson_put_text(root, "key", t->key) &&
        statusjson_put_int(root, "in_flight", t->in_flight) && statusjson_put_int(root, "cap", t->cap) &&
        statusjson_put_text(root, "cap_reason", t->cap_reason) && learned_put(root, &t->learned) &&
        add_hypotheses(root, t) && add_readings(root, t);
    return statusjson_finish(root, ok);
}

/* ---- parsing ---- */

static bool read_hypotheses(const cJSON *root, struct arena *a, struct tuning *out)
{
    const cJSON *item, *list = cJSON_GetObjectItemCaseSensitive(root, "hypotheses");
    cJSON_ArrayForEach(item, list)
    {
        if (out->nhypotheses == TUNING_HYPOTHESES)
            return true;
        struct tuning_hypothesis *h = &out->hypotheses[out->nhypotheses++];
        h->window_ms = statusjson_int(item, "window_ms", 0);
        h->error = statusjson_real(item, "error");
        h->others = statusjson_real(item, "others");
        h->plausible = statusjson_bool(item, "plausible");
        h->best = statusjson_bool(item, "best");
        if (!statusjson_text(item, "kind", a, "", &h->kind))
            return false;
    }
    return true;
}

static void read_readings(const cJSON *root, struct tuning *out)
{
    const cJSON *item, *list = cJSON_GetObjectItemCaseSensitive(root, "readings");
    cJSON_ArrayForEach(item, list)
    {
        if (out->nreadings == TUNING_READINGS)
            return;
        out->readings[out->nreadings++] = (struct tuning_reading){
            .ago_ms = statusjson_int(item, "ago_ms", 0),
            .limit = statusjson_int(item, "limit", -1),
            .used = statusjson_int(item, "used", -1),
            .predicted = statusjson_int(item, "predicted", -1),
            .refused = statusjson_bool(item, "refused"),
        };
    }
}

bool tuning_parse(const char *text, struct arena *a, struct tuning *out)
{
    cJSON *root = statusjson_parse(text);
    if (root == NULL)
        return false;
    *out = (struct tuning){
        .at_ms = statusjson_int(root, "at_ms", 0),
        .in_flight = statusjson_int(root, "in_flight", 0),
        .cap = statusjson_int(root, "cap", 0),
    };
    read_readings(root, out);
    bool ok = statusjson_text(root, "endpoint", a, "", &out->endpoint) &&
              statusjson_text(root, "key", a, "", &out->key) &&
              statusjson_text(root, "cap_reason", a, "", &out->cap_reason) &&
              learned_read(root, a, &out->learned) && read_hypotheses(root, a, out);
    cJSON_Delete(root);
    return ok;
}
