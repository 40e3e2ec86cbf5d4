#include "lib/outcome.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/jsonspan.h"
#include "core/names.h"
#include "lib/error.h"
#include "lib/request.h"
#include "lib/spooldir.h"

#define OUTCOME_MAX     ((size_t)1 << 30)
#define OUTCOME_VERSION 1

struct flowspool_outcome {
    char *text; /* the file's */
    size_t len;
    bool success, retryable, sandbox;
    char *result, *citations;
    size_t result_len;
    char *code, *message;
    char *job, *workflow, *request_sha256, *job_sha256, *request_id;
    int64_t http_status, attempts, rate_limited, ambiguous, duration_ms;
};

void flowspool_outcome_free(struct flowspool_outcome *o)
{
    if (!o)
        return;
    char *const texts[] = {o->text, o->result,   o->citations,  o->code,       o->message,
                           o->job,  o->workflow, o->request_id, o->job_sha256, o->request_sha256};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    free(o);
}

/* ---- members ---- */

/* As it is written; a member that is not there leaves *out. False: no memory. */
static bool take_json(const struct json_object *from, const char *key, char **out)
{
    const struct json_member *m = json_find(from, key);
    if (!m)
        return true;
    *out = strndup(m->value, m->value_len);
    return *out != NULL;
}

static bool take_string(const struct json_object *from, const char *key, char **out)
{
    const struct json_member *m = json_find(from, key);
    size_t len;
    if (!m || m->type != JSON_STRING)
        return true;
    *out = json_decode(m, &len);
    return *out != NULL;
}

static int64_t number(const struct json_object *from, const char *key)
{
    const struct json_member *m = json_find(from, key);
    long long value;
    return m && json_whole(m, &value) && value >= 0 ? (int64_t)value : -1;
}

static bool is_true(const struct json_object *from, const char *key)
{
    const struct json_member *m = json_find(from, key);
    return m && m->type == JSON_TRUE;
}

/* fault_of() has found it. */
static bool take_result(struct flowspool_outcome *o, const struct json_object *from)
{
    const struct json_member *result = json_find(from, "result");
    if (result->type == JSON_STRING) {
        o->result = json_decode(result, &o->result_len);
    } else {
        o->result = strndup(result->value, result->value_len);
        o->result_len = result->value_len;
    }
    return o->result && take_json(from, "citations", &o->citations);
}

static bool take_error(struct flowspool_outcome *o, const struct json_object *from)
{
    struct json_object error;
    const struct json_member *m = json_find(from, "error");
    if (!m || !json_scan_object(m->value, m->value_len, &error))
        return true;
    o->retryable = is_true(&error, "retryable");
    return take_string(&error, "code", &o->code) && take_string(&error, "message", &o->message);
}

static bool take_members(struct flowspool_outcome *o, const struct json_object *from)
{
    o->success = is_true(from, "success");
    o->sandbox = is_true(from, "sandbox");
    o->http_status = number(from, "http_status");
    o->attempts = number(from, "attempts");
    o->rate_limited = number(from, "rate_limited");
    o->ambiguous = number(from, "ambiguous");
    o->duration_ms = number(from, "duration_ms");
    return take_string(from, "job", &o->job) && take_string(from, "workflow", &o->workflow) &&
           take_string(from, "request_sha256", &o->request_sha256) &&
           take_string(from, "job_sha256", &o->job_sha256) &&
           take_string(from, "request_id", &o->request_id) &&
           (o->success ? take_result(o, from) : take_error(o, from));
}

/* What every outcome has; a file that lacks it is none of ours, or was cut. */
static const char *fault_of(const struct json_object *o)
{
    const struct json_member *version = json_find(o, "version"), *job = json_find(o, "job");
    const struct json_member *success = json_find(o, "success"), *error = json_find(o, "error");
    long long number;
    if (!version || !json_whole(version, &number))
        return "it has no version";
    if (number != OUTCOME_VERSION)
        return "it has a version that this library does not know";
    if (!job || job->type != JSON_STRING)
        return "it names no job";
    if (!success || (success->type != JSON_TRUE && success->type != JSON_FALSE))
        return "it does not say whether the job succeeded";
    if (success->type == JSON_TRUE)
        return json_find(o, "result") ? NULL : "it has no result";
    return error && error->type == JSON_OBJECT ? NULL : "it has no error";
}

/* ---- a file ---- */

static int refuse(struct flowspool_error **error, const char *file, const char *why)
{
    return error_set(error, -EBADMSG, "%s is no outcome: %s", file, why);
}

/* Takes the text, also when it fails. */
static int parse(char *text, size_t len, const char *file, struct flowspool_outcome **out,
                 struct flowspool_error **error)
{
    struct json_object members;
    const char *why =
        json_scan_object(text, len, &members) ? fault_of(&members) : "it is not a whole JSON object";
    if (why) {
        free(text);
        return refuse(error, file, why);
    }
    struct flowspool_outcome *o = calloc(1, sizeof *o);
    if (!o) {
        free(text);
        return error_memory(error);
    }
    o->text = text;
    o->len = len;
    if (!take_members(o, &members)) {
        flowspool_outcome_free(o);
        return error_memory(error);
    }
    if (!o->success && !o->code) {
        flowspool_outcome_free(o);
        return refuse(error, file, "its error has no code");
    }
    *out = o;
    return 1;
}

static int read_file(int root, const char *file, struct flowspool_outcome **out,
                     struct flowspool_error **error)
{
    char *text;
    size_t len;
    int err = spool_read(root, file, OUTCOME_MAX, &text, &len);
    if (err == -ENOENT || err == -ENOTDIR)
        return 0;
    if (err == -ENOMEM)
        return error_memory(error);
    if (err == -EINVAL || err == -ELOOP)
        return refuse(error, file, "it is no regular file");
    if (err != 0)
        return error_system(error, err, "read", file);
    return parse(text, len, file, out, error);
}

/* ---- beside a job ---- */

/* What a look is for. */
struct wanted {
    const char *job, *stem;
    enum jobname_kind kind;
};

/* a.yaml and a.yml would share an outcome: one of them is refused, and the outcome is the other's. */
static bool is_wanted(int root, const struct wanted *w, const struct flowspool_outcome *o)
{
    size_t len = strlen(o->job);
    if (w->kind == JOBNAME_RESULT || w->kind == JOBNAME_ERROR)
        return true;
    if (w->kind == JOBNAME_FILE && (name_job_len(w->job) != len || memcmp(w->job, o->job, len) != 0))
        return false;
    return request_is_answered(root, o->job, w->stem, o->request_sha256, o->job_sha256);
}

static int look_at(int root, const struct wanted *w, const char *ending, struct flowspool_outcome **out,
                   struct flowspool_error **error)
{
    char *file = NULL;
    if (asprintf(&file, "%s%s", w->stem, ending) < 0)
        return error_memory(error);
    int found = read_file(root, file, out, error);
    free(file);
    if (!*out || is_wanted(root, w, *out))
        return found;
    flowspool_outcome_free(*out);
    *out = NULL;
    return 0;
}

/* There is never a result beside an error for long, but one may give way to the other between two looks: the
 * first is looked for once more. */
int outcome_look(int root, const char *job, const char *stem, enum jobname_kind kind,
                 struct flowspool_outcome **out, struct flowspool_error **error)
{
    static const char *const result_first[] = {".result.json", ".error.json", ".result.json"};
    static const char *const error_first[] = {".error.json", ".result.json", ".error.json"};
    const char *const *endings = kind == JOBNAME_ERROR ? error_first : result_first;
    const struct wanted w = {.job = job, .stem = stem, .kind = kind};
    int found = 0;
    for (size_t i = 0; found == 0 && i < 3; i++)
        found = look_at(root, &w, endings[i], out, error);
    return found;
}

int flowspool_outcome_read(const char *spool, const char *job, struct flowspool_outcome **outcome,
                           struct flowspool_error **error)
{
    enum jobname_kind kind;
    char *stem;
    *outcome = NULL;
    if (error)
        *error = NULL;
    int err = jobname_read(job, &kind, &stem, error);
    if (err != 0)
        return err;
    int root = spool_root(spool, error);
    int found = root < 0 ? root : outcome_look(root, job, stem, kind, outcome, error);
    if (root >= 0)
        close(root);
    free(stem);
    return found;
}

/* ---- what is in it ---- */

int flowspool_outcome_success(const struct flowspool_outcome *outcome)
{
    return outcome->success;
}

const char *flowspool_outcome_result(const struct flowspool_outcome *outcome, size_t *len)
{
    if (len)
        *len = outcome->result_len;
    return outcome->result;
}

const char *flowspool_outcome_citations(const struct flowspool_outcome *outcome)
{
    return outcome->citations;
}

const char *flowspool_outcome_error_code(const struct flowspool_outcome *outcome)
{
    return outcome->code;
}

const char *flowspool_outcome_error_message(const struct flowspool_outcome *outcome)
{
    if (outcome->success)
        return NULL;
    return outcome->message ? outcome->message : "";
}

int flowspool_outcome_retryable(const struct flowspool_outcome *outcome)
{
    return outcome->retryable;
}

int flowspool_outcome_http_status(const struct flowspool_outcome *outcome)
{
    return outcome->http_status > 0 && outcome->http_status <= INT_MAX ? (int)outcome->http_status : -1;
}

int64_t flowspool_outcome_attempts(const struct flowspool_outcome *outcome)
{
    return outcome->attempts;
}

int64_t flowspool_outcome_rate_limited(const struct flowspool_outcome *outcome)
{
    return outcome->rate_limited;
}

int64_t flowspool_outcome_ambiguous(const struct flowspool_outcome *outcome)
{
    return outcome->ambiguous;
}

int64_t flowspool_outcome_duration_ms(const struct flowspool_outcome *outcome)
{
    return outcome->duration_ms;
}

const char *flowspool_outcome_job(const struct flowspool_outcome *outcome)
{
    return outcome->job;
}

const char *flowspool_outcome_workflow(const struct flowspool_outcome *outcome)
{
    return outcome->workflow;
}

const char *flowspool_outcome_request_sha256(const struct flowspool_outcome *outcome)
{
    return outcome->request_sha256;
}

const char *flowspool_outcome_request_id(const struct flowspool_outcome *outcome)
{
    return outcome->request_id;
}

int flowspool_outcome_sandbox(const struct flowspool_outcome *outcome)
{
    return outcome->sandbox;
}

const char *flowspool_outcome_json(const struct flowspool_outcome *outcome, size_t *len)
{
    if (len)
        *len = outcome->len;
    return outcome->text;
}
