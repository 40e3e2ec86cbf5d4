/* A job file: what is accepted is sound, and means the same when it is written as JSON. */
#include "core/jobfile.h"
#include "core/jsonquote.h"
#include "core/jsonspan.h"
#include "fault_check.h"

static void check_job(const struct job_spec *j)
{
    FUZZ_CHECK(j->workflow[0] != '\0' &&
                   strspn(j->workflow, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789_-") == strlen(j->workflow),
               "%s", j->workflow);
    FUZZ_CHECK(j->run != NULL && j->body != NULL && strlen(j->body) == j->body_len, "no body");
    FUZZ_CHECK(j->body[0] == '{' && json_is_valid(j->body, j->body_len), "%s", j->body);
    FUZZ_CHECK(strlen(j->request_sha256) == 64, "%s", j->request_sha256);
    FUZZ_CHECK(j->priority >= -100 && j->priority <= 100, "%d", j->priority);
    FUZZ_CHECK(j->not_before_ms >= 0 && j->expires_ms >= 0 && j->max_attempts >= 0, "a negative number");
    FUZZ_CHECK(j->expires_ms == 0 || j->expires_ms > j->not_before_ms, "it expires before it begins");
}

static char *as_json(const struct job_spec *j)
{
    size_t run = json_quote_to(NULL, j->run, strlen(j->run)), used;
    char *text = malloc(run + j->body_len + 256);
    FUZZ_CHECK(text != NULL, "no memory");
    used = (size_t)sprintf(text, "{\"workflow\":\"%s\",\"inputs_as\":\"%s\",\"run\":", j->workflow,
                           j->inputs_as == INPUTS_TYPED ? "typed" : "text");
    used += json_quote_to(text + used, j->run, strlen(j->run));
    sprintf(text + used, ",\"inputs\":%s}", j->body);
    return text;
}

static void check_as_json(const struct job_spec *j)
{
    struct jobfile again;
    struct fault f;
    char *text = as_json(j);
    FUZZ_CHECK(jobfile_parse(text, strlen(text), INPUTS_DEFAULT, &again, &f), "%s: %s", f.text, text);
    FUZZ_CHECK(again.count == 1 && strcmp(again.jobs[0].body, j->body) == 0 &&
                   strcmp(again.jobs[0].run, j->run) == 0,
               "%s became %s", text, again.jobs[0].body);
    jobfile_free(&again);
    free(text);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct jobfile text, typed;
    struct fault f;
    bool ok = jobfile_parse((const char *)data, size, INPUTS_TEXT, &text, &f);
    if (!ok) {
        check_fault(&f, data, size);
        FUZZ_CHECK(text.jobs == NULL && text.count == 0, "something is left");
        return;
    }
    for (size_t i = 0; i < text.count; i++)
        check_job(&text.jobs[i]);
    check_as_json(&text.jobs[0]);
    if (jobfile_parse((const char *)data, size, INPUTS_TYPED, &typed, &f)) {
        FUZZ_CHECK(typed.count == text.count, "%zu and %zu", typed.count, text.count);
        for (size_t i = 0; i < text.count; i++)
            FUZZ_CHECK(strcmp(typed.jobs[i].request_sha256, text.jobs[i].request_sha256) == 0,
                       "inputs_as changed the identity");
        check_as_json(&typed.jobs[typed.count - 1]);
        jobfile_free(&typed);
    } else {
        check_fault(&f, data, size);
    }
    jobfile_free(&text);
}
