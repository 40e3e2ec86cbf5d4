#include "core/order.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "core/statusjson.h"

static const char *const names[] = {
    [ORDER_STATUS] = "status",   [ORDER_PAUSE] = "pause",   [ORDER_RESUME] = "resume",
    [ORDER_RETRY] = "retry",     [ORDER_CANCEL] = "cancel", [ORDER_HOLD] = "hold",
    [ORDER_RELEASE] = "release", [ORDER_PRUNE] = "prune",   [ORDER_TUNE] = "tune",
};

static const char no_memory[] = "out of memory";

const char *order_name(enum order_kind kind)
{
    return names[kind];
}

bool order_is_of_jobs(enum order_kind kind)
{
    return kind == ORDER_RETRY || kind == ORDER_CANCEL || kind == ORDER_HOLD || kind == ORDER_RELEASE;
}

/* ---- orders ---- */

static bool add_jobs(cJSON *root, const struct order *o)
{
    cJSON *list = cJSON_AddArrayToObject(root, "jobs");
    for (size_t i = 0; i < o->njobs && list != NULL; i++) {
        cJSON *id = cJSON_CreateNumber((double)o->jobs[i]);
        if (id == NULL || !cJSON_AddItemToArray(list, id)) {
            cJSON_Delete(id);
            return false;
        }
    }
    return list != NULL && (o->kind != ORDER_RETRY || statusjson_put_bool(root, "force", o->force));
}

static bool add_arguments(cJSON *root, const struct order *o)
{
    if (order_is_of_jobs(o->kind))
        return add_jobs(root, o);
    return o->kind != ORDER_PRUNE || (statusjson_put_int(root, "before_ms", o->before_ms) &&
                                      statusjson_put_bool(root, "dry_run", o->dry_run));
}

char *order_print(const struct order *o)
{
    if (o->njobs > ORDER_JOBS_MAX)
        return NULL;
    cJSON *root = cJSON_CreateObject();
    bool ok = root != NULL && statusjson_put_text(root, "command", names[o->kind]) && add_arguments(root, o);
    return statusjson_finish(root, ok);
}

static const char *read_jobs(const cJSON *root, struct arena *a, struct order *out)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "jobs");
    if (!cJSON_IsArray(list) || list->child == NULL)
        return "this order takes a list of jobs";
    int64_t *jobs = arena_alloc(a, ORDER_JOBS_MAX * sizeof *jobs);
    if (jobs == NULL)
        return no_memory;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (out->njobs == ORDER_JOBS_MAX)
            return "too many jobs in one order";
        if (!statusjson_whole(item, &jobs[out->njobs]) || jobs[out->njobs] < 1)
            return "a job is its number in the state";
        out->njobs++;
    }
    out->jobs = jobs;
    out->force = statusjson_bool(root, "force");
    return NULL;
}

/* What cannot be read must not mean "all". */
static const char *read_prune(const cJSON *root, struct order *out)
{
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(root, "before_ms");
    out->dry_run = statusjson_bool(root, "dry_run");
    if (before != NULL && (!statusjson_whole(before, &out->before_ms) || out->before_ms < 0))
        return "before_ms is a time in milliseconds";
    return NULL;
}

static const char *read_order(const cJSON *root, struct arena *a, struct order *out)
{
    const cJSON *command = cJSON_GetObjectItemCaseSensitive(root, "command");
    if (!cJSON_IsString(command))
        return "no command";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(command->valuestring, names[i]) != 0)
            continue;
        out->kind = (enum order_kind)i;
        if (out->kind == ORDER_PRUNE)
            return read_prune(root, out);
        return order_is_of_jobs(out->kind) ? read_jobs(root, a, out) : NULL;
    }
    return "unknown command";
}

const char *order_parse(const char *text, struct arena *a, struct order *out)
{
    *out = (struct order){0};
    cJSON *root = statusjson_parse(text);
    if (root == NULL)
        return "an order is one JSON object";
    const char *why = read_order(root, a, out);
    cJSON_Delete(root);
    return why;
}

/* ---- replies ---- */

static bool add_refusals(cJSON *root, const struct order_reply *r)
{
    cJSON *list = cJSON_AddArrayToObject(root, "refused");
    for (size_t i = 0; i < r->nrefused && list != NULL; i++) {
        cJSON *one = cJSON_CreateObject();
        if (one == NULL || !cJSON_AddItemToArray(list, one)) {
            cJSON_Delete(one);
            return false;
        }
        if (!statusjson_put_int(one, "job", r->refused[i].job) ||
            !statusjson_put_text(one, "why", r->refused[i].why) ||
            !statusjson_put_bool(one, "again", r->refused[i].again))
            return false;
    }
    return list != NULL;
}

static bool add_changes(cJSON *root, const struct order_reply *r)
{
    if (!statusjson_put_int(root, "changed", r->changed))
        return false;
    if (r->bytes >= 0)
        return statusjson_put_int(root, "bytes", r->bytes) && statusjson_put_bool(root, "more", r->more);
    return statusjson_put_int(root, "in_flight", r->in_flight) && add_refusals(root, r);
}

char *order_reply_print(const struct order_reply *r)
{
    cJSON *root = cJSON_CreateObject();
    bool ok = root != NULL && statusjson_put_bool(root, "ok", r->ok);
    if (ok && !r->ok)
        ok = statusjson_put_text(root, "error", r->error);
    if (ok && r->status != NULL)
        ok = cJSON_AddRawToObject(root, "status", r->status) != NULL;
    if (ok && r->tuning != NULL)
        ok = cJSON_AddRawToObject(root, "tuning", r->tuning) != NULL;
    if (ok && r->ok && r->has_changed)
        ok = add_changes(root, r);
    return statusjson_finish(root, ok);
}

static bool read_refusals(const cJSON *root, struct arena *a, struct order_reply *out)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "refused");
    if (!cJSON_IsArray(list) || list->child == NULL)
        return true;
    struct order_refusal *refused = arena_alloc(a, ORDER_JOBS_MAX * sizeof *refused);
    if (refused == NULL)
        return false;
    out->refused = refused;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (out->nrefused == ORDER_JOBS_MAX)
            return false; /* more than were ever asked for */
        struct order_refusal *one = &refused[out->nrefused++];
        one->job = statusjson_int(item, "job", 0);
        one->again = statusjson_bool(item, "again");
        if (!statusjson_text(item, "why", a, "", &one->why))
            return false;
    }
    return true;
}

/* A member that is an object, as text. */
static bool read_object(const cJSON *root, const char *name, struct arena *a, const char **out)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, name);
    if (!cJSON_IsObject(object))
        return true;
    char *text = cJSON_PrintUnformatted(object);
    *out = text != NULL ? arena_copy(a, text) : NULL;
    cJSON_free(text);
    return *out != NULL;
}

bool order_reply_parse(const char *text, struct arena *a, struct order_reply *out)
{
    cJSON *root = statusjson_parse(text);
    if (root == NULL)
        return false;
    *out = (struct order_reply){
        .ok = statusjson_bool(root, "ok"),
        .has_changed = statusjson_int(root, "changed", -1) >= 0,
        .changed = statusjson_int(root, "changed", 0),
        .in_flight = statusjson_int(root, "in_flight", 0),
        .bytes = statusjson_int(root, "bytes", -1),
        .more = statusjson_bool(root, "more"),
    };
    bool ours = cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(root, "ok")) &&
                statusjson_text(root, "error", a, out->ok ? NULL : "it does not say why", &out->error) &&
                read_refusals(root, a, out) && read_object(root, "status", a, &out->status) &&
                read_object(root, "tuning", a, &out->tuning);
    cJSON_Delete(root);
    return ours;
}
