#include "sandbox/answer.h"

#include <stdlib.h>
#include <string.h>

#define JSON "application/json"
#define TEXT "text/plain; charset=utf-8"
#define HTML "text/html"

/* Inside a JSON string. Every result begins with it, so that nobody takes one for a model's work. */
#define NOTICE "[flowspool-sandbox: this is the rendered template; no language model was asked]\\n\\n"

static const struct {
    int status;
    const char *content_type;
    const char *platform_error;
    const char *body;
} answers[ANSWER_COUNT] = {
    [ANSWER_NONE] = {500, TEXT, NULL, "flowspool-sandbox did not decide\n"},
    [ANSWER_RESULT] = {200, JSON, NULL, NULL},
    [ANSWER_UNAUTHORIZED] = {401, JSON, NULL,
                             "{\"error\":\"Unauthorized: bad or missing API key\",\"success\":false}"},
    [ANSWER_RATE_LIMITED] = {429, JSON, NULL, "{\"error\":\"Rate limit exceeded\",\"success\":false}"},
    [ANSWER_NO_CREDITS] = {402, JSON, NULL,
                           "{\"error\":\"Invalid billing: no credits are left on the account\","
                           "\"success\":false,\"code\":\"invalid_billing\"}"},
    [ANSWER_WORKFLOW_NOT_FOUND] = {404, JSON, NULL, "{\"error\":\"Workflow not found\",\"success\":false}"},
    [ANSWER_INVALID_BODY] = {400, JSON, NULL,
                             "{\"error\":\"The request body is not a JSON object\",\"success\":false,"
                             "\"code\":\"invalid_body\"}"},
    [ANSWER_MISSING_INPUT] = {400, JSON, NULL, NULL},
    [ANSWER_RUN_FAILED] = {500, JSON, NULL,
                           "{\"error\":\"Failed to run workflow\",\"success\":false,"
                           "\"code\":\"internal_server_error\"}"},
    [ANSWER_TOO_LARGE] = {413, TEXT, "FUNCTION_PAYLOAD_TOO_LARGE", "Request Entity Too Large"},
    [ANSWER_REDIRECT] = {307, TEXT, NULL, "Redirecting...\n"},
    [ANSWER_BAD_GATEWAY] = {502, HTML, NULL,
                            "<html><head><title>502 Bad Gateway</title></head>"
                            "<body><h1>502 Bad Gateway</h1></body></html>\n"},
    [ANSWER_UNAVAILABLE] = {503, HTML, NULL,
                            "<html><head><title>503 Service Unavailable</title></head>"
                            "<body><h1>503 Service Unavailable</h1></body></html>\n"},
    [ANSWER_TIMED_OUT] = {504, TEXT, "FUNCTION_INVOCATION_TIMEOUT", "An error occurred with your deployment"},
    [ANSWER_NO_PAGE] = {404, TEXT, "NOT_FOUND", "The page could not be found"},
    [ANSWER_NO_METHOD] = {405, TEXT, NULL, "Method not allowed\n"},
};

/* A place to write to that knows its length; with bytes NULL it only measures. */
struct writer {
    char *bytes;
    size_t len;
};

static void put(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    if (w->bytes) {
        memcpy(w->bytes + w->len, text, len);
    }
    w->len += len;
}

static void put_escaped(struct writer *w, const char *text, size_t len)
{
    w->len += template_escape(text, len, w->bytes ? w->bytes + w->len : NULL);
}

struct writing {
    const struct run *run;
    const char *request_id;
    bool with_run_id;
    const struct template_value *values;
};

static void write_result(struct writer *w, const struct writing *x)
{
    const struct workflow *workflow = x->run->workflow;
    put(w, "{\"success\":true,\"result\":\"" NOTICE);
    if (workflow) {
        w->len += template_render(workflow->template, x->values, w->bytes ? w->bytes + w->len : NULL);
    } else {
        put(w, "Workflow ");
        put(w, x->run->workflow_id); /* a valid id needs no escape */
        put(w, " was called with ");
        put_escaped(w, x->run->body, x->run->body_len);
    }
    put(w, "\"");
    if (workflow && workflow->citations) {
        put(w, ",\"citations\":");
        put(w, workflow->citations);
    }
    if (x->with_run_id) {
        put(w, ",\"run_id\":\"");
        put(w, x->request_id);
        put(w, "\"");
    }
    put(w, "}");
}

static void write_missing(struct writer *w, const struct writing *x)
{
    const char *name = template_variable_name(x->run->workflow->template, x->run->missing);
    put(w, "{\"error\":\"Missing required input: ");
    put_escaped(w, name, strlen(name));
    put(w, "\",\"success\":false,\"code\":\"missing_input\"}");
}

static void write_plain(struct writer *w, const struct writing *x)
{
    put(w, answers[x->run->answer].body);
    if (answers[x->run->answer].platform_error) {
        put(w, "\n\n");
        put(w, answers[x->run->answer].platform_error);
        put(w, "\n\n");
        put(w, x->request_id);
        put(w, "\n");
    }
}

bool answer_text(const struct run *r, const char *request_id, bool with_run_id, struct answer_text *out)
{
    struct template_value values[TEMPLATE_VARIABLES_MAX];
    struct writing x = {.run = r, .request_id = request_id, .with_run_id = with_run_id, .values = values};
    void (*write)(struct writer *, const struct writing *) = write_plain;
    if (r->answer == ANSWER_RESULT) {
        write = write_result;
        if (r->workflow) {
            template_bind(r->workflow->template, r->body, r->body_len, values);
        }
    } else if (r->answer == ANSWER_MISSING_INPUT) {
        write = write_missing;
    }
    struct writer measure = {0};
    write(&measure, &x);
    struct writer w = {.bytes = malloc(measure.len)};
    if (!w.bytes) {
        return false;
    }
    write(&w, &x);
    *out = (struct answer_text){
        .status = answers[r->answer].status,
        .content_type = answers[r->answer].content_type,
        .platform_error = answers[r->answer].platform_error,
        .location = r->answer == ANSWER_REDIRECT ? "https://elsewhere.invalid/api/v1/run" : NULL,
        .body = w.bytes,
        .len = w.len,
    };
    return true;
}
