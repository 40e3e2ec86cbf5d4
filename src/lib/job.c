/* A job that a program puts together, and its bytes. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/jobfile.h"
#include "core/jsonspan.h"
#include "core/units.h"
#include "core/utf8.h"
#include "lib/error.h"
#include "lib/text.h"
#include "lib/yamlquote.h"

/* A job file may have 10,000 keys and values. */
#define INPUTS_MAX 10000

#define LAST_INSTANT_MS INT64_C(253402300799999) /* of the year 9999 */

struct flowspool_job {
    char *workflow, *run; /* run NULL: none */
    int priority, max_attempts;
    int64_t not_before_ms, expires_ms; /* 0: none */
    bool typed;                        /* an input is no string */
    struct text inputs;                /* as they are printed */
    char **keys;
    size_t count, room;
    struct text printed; /* of the job as it is, or empty */
    int code;            /* of the first failure, and its words */
    struct fault fault;
};

static int refuse(struct flowspool_job *job, int code, const char *what, const char *why)
{
    if (job->code == 0) {
        job->code = code;
        fault_set(&job->fault, 0, 0, "%s %s", what, why);
    }
    return code;
}

static int refuse_memory(struct flowspool_job *job)
{
    return refuse(job, -ENOMEM, "out of", "memory");
}

static void forget_printed(struct flowspool_job *job)
{
    free(job->printed.bytes);
    job->printed = (struct text){0};
}

struct flowspool_job *flowspool_job_new(const char *workflow)
{
    struct flowspool_job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->workflow = strdup(workflow ? workflow : "");
    if (job->workflow)
        return job;
    free(job);
    return NULL;
}

void flowspool_job_free(struct flowspool_job *job)
{
    if (!job)
        return;
    for (size_t i = 0; i < job->count; i++)
        free(job->keys[i]);
    free(job->keys);
    free(job->inputs.bytes);
    free(job->printed.bytes);
    free(job->workflow);
    free(job->run);
    free(job);
}

/* ---- inputs ---- */

static int check_key(struct flowspool_job *job, const char *key)
{
    char shown[96];
    if (!key || !utf8_is_valid(key, strlen(key)))
        return refuse(job, -EINVAL, "the name of an input", "is not UTF-8");
    utf8_escape(key, strlen(key), shown, sizeof shown);
    if (job->count == INPUTS_MAX)
        return refuse(job, -EINVAL, shown, "is one input too many: a job may have 10,000 keys and values");
    for (size_t i = 0; i < job->count; i++)
        if (strcmp(job->keys[i], key) == 0)
            return refuse(job, -EEXIST, shown, "is an input already");
    return 0;
}

static int remember_key(struct flowspool_job *job, const char *key)
{
    if (job->count == job->room) {
        size_t room = job->room == 0 ? 8 : job->room * 2;
        char **keys = reallocarray(job->keys, room, sizeof *keys);
        if (!keys)
            return refuse_memory(job);
        job->keys = keys;
        job->room = room;
    }
    char *copy = strdup(key);
    if (!copy)
        return refuse_memory(job);
    job->keys[job->count++] = copy;
    forget_printed(job);
    return 0;
}

static void begin_input(struct flowspool_job *job, const char *key)
{
    text_puts(&job->inputs, "  ");
    yaml_put_key(&job->inputs, key, strlen(key));
}

static int end_input(struct flowspool_job *job)
{
    text_puts(&job->inputs, "\n");
    return job->inputs.failed ? refuse_memory(job) : 0;
}

int flowspool_job_input(struct flowspool_job *job, const char *key, const char *text)
{
    int code = check_key(job, key);
    if (code != 0)
        return code;
    char shown[96];
    utf8_escape(key, strlen(key), shown, sizeof shown);
    if (!text || !utf8_is_valid(text, strlen(text)))
        return refuse(job, -EINVAL, shown, "has a value that is not UTF-8");
    code = remember_key(job, key);
    if (code != 0)
        return code;
    begin_input(job, key);
    yaml_put_text(&job->inputs, text, strlen(text), 4);
    return end_input(job);
}

int flowspool_job_input_json(struct flowspool_job *job, const char *key, const char *json)
{
    int code = check_key(job, key);
    if (code != 0)
        return code;
    char shown[96];
    utf8_escape(key, strlen(key), shown, sizeof shown);
    if (!json || !json_is_valid(json, strlen(json)))
        return refuse(job, -EINVAL, shown, "has a value that is not JSON");
    code = remember_key(job, key);
    if (code != 0)
        return code;
    begin_input(job, key);
    const char *why = yaml_put_json(&job->inputs, json, strlen(json));
    if (why)
        return refuse(job, -EINVAL, shown, why);
    job->typed = true;
    return end_input(job);
}

/* ---- the rest ---- */

int flowspool_job_priority(struct flowspool_job *job, int priority)
{
    if (priority < -100 || priority > 100)
        return refuse(job, -EINVAL, "the priority", "must be from -100 to 100");
    job->priority = priority;
    forget_printed(job);
    return 0;
}

static int set_instant(struct flowspool_job *job, int64_t *to, int64_t unix_ms, const char *what)
{
    if (unix_ms < 1 || unix_ms > LAST_INSTANT_MS)
        return refuse(job, -EINVAL, what, "must be a time in the years 1970 to 9999");
    *to = unix_ms;
    forget_printed(job);
    return 0;
}

int flowspool_job_not_before(struct flowspool_job *job, int64_t unix_ms)
{
    return set_instant(job, &job->not_before_ms, unix_ms, "not_before");
}

int flowspool_job_expires(struct flowspool_job *job, int64_t unix_ms)
{
    return set_instant(job, &job->expires_ms, unix_ms, "expires");
}

int flowspool_job_max_attempts(struct flowspool_job *job, int attempts)
{
    if (attempts < 1 || attempts > 1000)
        return refuse(job, -EINVAL, "max_attempts", "must be from 1 to 1000");
    job->max_attempts = attempts;
    forget_printed(job);
    return 0;
}

int flowspool_job_run(struct flowspool_job *job, const char *run)
{
    if (!run || !utf8_is_valid(run, strlen(run)))
        return refuse(job, -EINVAL, "run", "is not UTF-8");
    char *copy = strdup(run);
    if (!copy)
        return refuse_memory(job);
    free(job->run);
    job->run = copy;
    forget_printed(job);
    return 0;
}

/* ---- the bytes ---- */

static void put_instant(struct text *t, const char *key, int64_t unix_ms)
{
    char instant[UNITS_INSTANT_SIZE];
    if (unix_ms == 0)
        return;
    units_format_instant(unix_ms, instant);
    text_printf(t, "%s: \"%s\"\n", key, instant);
}

static void print(const struct flowspool_job *job, struct text *t)
{
    text_puts(t, "workflow: ");
    yaml_put_text(t, job->workflow, strlen(job->workflow), 2);
    text_puts(t, "\n");
    if (job->priority != 0)
        text_printf(t, "priority: %d\n", job->priority);
    put_instant(t, "not_before", job->not_before_ms);
    put_instant(t, "expires", job->expires_ms);
    if (job->max_attempts != 0)
        text_printf(t, "max_attempts: %d\n", job->max_attempts);
    if (job->run) {
        text_puts(t, "run: ");
        yaml_put_text(t, job->run, strlen(job->run), 2);
        text_puts(t, "\n");
    }
    if (job->typed)
        text_puts(t, "inputs_as: typed\n");
    text_puts(t, job->count == 0 ? "inputs: {}\n" : "inputs:\n");
    text_put(t, job->inputs.bytes ? job->inputs.bytes : "", job->inputs.len);
}

/* What is wrong is said without a place: the caller has not seen the lines. */
static int check_printed(struct flowspool_job *job, struct flowspool_error **error)
{
    struct jobfile file;
    struct fault fault = {0};
    if (jobfile_parse(job->printed.bytes, job->printed.len, INPUTS_TEXT, &file, &fault)) {
        jobfile_free(&file);
        return 0;
    }
    forget_printed(job);
    fault.line = fault.column = 0;
    return error_parse(error, &fault);
}

const char *flowspool_job_print(struct flowspool_job *job, size_t *len, struct flowspool_error **error)
{
    if (error)
        *error = NULL;
    if (len)
        *len = 0;
    if (job->code != 0) {
        error_fault(error, job->code, &job->fault);
        return NULL;
    }
    if (!job->printed.bytes) {
        print(job, &job->printed);
        if (job->printed.failed) {
            forget_printed(job);
            error_memory(error);
            return NULL;
        }
        if (check_printed(job, error) != 0)
            return NULL;
    }
    if (len)
        *len = job->printed.len;
    return job->printed.bytes;
}
