#include "core/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/job.h"
#include "core/shellword.h"
#include "core/utf8.h"

/* ---- the table ---- */

/* The rows that the status line alone decides; VERDICT_NEEDS_BODY when none of them fits. */
static enum verdict by_status_line(int status)
{
    if (status == 429)
        return VERDICT_RATE_LIMITED;
    if (status == 401 || status == 402)
        return VERDICT_ACCOUNT_REFUSED;
    if ((status >= 300 && status <= 399) || status == 407 || status == 503)
        return VERDICT_ENDPOINT_AWAY;
    if (status < 200 || status > 599) /* no final HTTP status: whatever answered, it had the request */
        return VERDICT_AMBIGUOUS;
    return VERDICT_NEEDS_BODY;
}

/* The rows for a body that is not the service's JSON; of a cut or too large one nobody can say that it is. */
static enum verdict without_service_json(int status)
{
    if (status <= 299)
        return VERDICT_INVALID_RESPONSE;
    if (status == 403 || status == 404)
        return VERDICT_ENDPOINT_AWAY;
    return status <= 499 ? VERDICT_REJECTED : VERDICT_AMBIGUOUS;
}

static enum verdict with_service_json(int status, const struct json_object *object)
{
    if (status == 200 && json_find(object, "success")->type == JSON_TRUE && json_find(object, "result"))
        return VERDICT_SUCCESS;
    if (status <= 299)
        return VERDICT_INVALID_RESPONSE;
    if (status == 404)
        return VERDICT_WORKFLOW_NOT_FOUND;
    return status <= 499 ? VERDICT_REJECTED : VERDICT_SERVER_ERROR;
}

enum verdict verdict_by_status(const struct attempt_result *a)
{
    if (a->end == ATTEMPT_NOT_SENT)
        return VERDICT_ENDPOINT_AWAY;
    if (a->end == ATTEMPT_CRASHED)
        return VERDICT_AMBIGUOUS;
    enum verdict v = by_status_line(a->http_status);
    if (v != VERDICT_NEEDS_BODY || a->end == ATTEMPT_REPLIED)
        return v;
    if (a->http_status <= 299)
        return a->end == ATTEMPT_TOO_LARGE ? VERDICT_TOO_LARGE : VERDICT_AMBIGUOUS;
    return without_service_json(a->http_status);
}

enum verdict verdict_by_body(int http_status, const char *body, size_t len, struct json_object *object)
{
    json_scan_object(body, len, object);
    enum verdict v = by_status_line(http_status);
    if (v != VERDICT_NEEDS_BODY)
        return v;
    if (verdict_is_service_json(object))
        return with_service_json(http_status, object);
    return without_service_json(http_status);
}

bool verdict_is_service_json(const struct json_object *object)
{
    return object && json_find(object, "success");
}

/* ---- what the server said ---- */

/* A string member as text; NULL when there is none, it is empty or it is no string. */
static char *text_of(const struct json_object *object, const char *key)
{
    const struct json_member *m = json_find(object, key);
    char *text = m ? json_string(m) : NULL;
    if (text && text[0] == '\0') {
        free(text);
        return NULL;
    }
    return text;
}

/* Errors come as {"error": "words", "code": …} and, from older servers, as {"error": {"message": …, "code":
 * …}}. */
static char *text_of_error(const struct json_object *object, const char *key)
{
    struct json_object inner;
    const struct json_member *error = json_find(object, "error");
    if (!error || error->type != JSON_OBJECT || !json_scan_object(error->value, error->value_len, &inner))
        return NULL;
    return text_of(&inner, key);
}

char *verdict_server_message(const struct json_object *object)
{
    if (!object)
        return NULL;
    char *words = text_of(object, "error");
    return words ? words : text_of_error(object, "message");
}

static bool says_missing_input(const struct json_object *object)
{
    if (!object)
        return false;
    char *code = text_of(object, "code");
    if (!code)
        code = text_of_error(object, "code");
    bool says = code && strcmp(code, CODE_MISSING_INPUT) == 0;
    free(code);
    return says;
}

/* ---- codes and names ---- */

const char *verdict_code(enum verdict v, int http_status, const struct json_object *object)
{
    switch (v) {
    case VERDICT_ENDPOINT_AWAY:
        return CODE_UNREACHABLE;
    case VERDICT_WORKFLOW_NOT_FOUND:
        return CODE_WORKFLOW_NOT_FOUND;
    case VERDICT_REJECTED:
        return http_status == 400 && says_missing_input(object) ? CODE_MISSING_INPUT : CODE_REJECTED;
    case VERDICT_SERVER_ERROR:
        return CODE_SERVER_ERROR;
    case VERDICT_INVALID_RESPONSE:
        return CODE_INVALID_RESPONSE;
    case VERDICT_TOO_LARGE:
        return CODE_RESPONSE_TOO_LARGE;
    case VERDICT_AMBIGUOUS:
        return CODE_AMBIGUOUS;
    case VERDICT_NEEDS_BODY:
    case VERDICT_SUCCESS:
    case VERDICT_RATE_LIMITED:
    case VERDICT_ACCOUNT_REFUSED:
    case VERDICT_COUNT:
        break;
    }
    return NULL;
}

const char *verdict_name(enum verdict v)
{
    static const char names[VERDICT_COUNT][24] = {
        [VERDICT_NEEDS_BODY] = "needs_body",
        [VERDICT_SUCCESS] = "success",
        [VERDICT_RATE_LIMITED] = "rate_limited",
        [VERDICT_ACCOUNT_REFUSED] = "account_refused",
        [VERDICT_ENDPOINT_AWAY] = "endpoint_away",
        [VERDICT_WORKFLOW_NOT_FOUND] = "workflow_not_found",
        [VERDICT_REJECTED] = "rejected",
        [VERDICT_SERVER_ERROR] = "server_error",
        [VERDICT_INVALID_RESPONSE] = "invalid_response",
        [VERDICT_TOO_LARGE] = "too_large",
        [VERDICT_AMBIGUOUS] = "ambiguous",
    };
    return (unsigned)v < VERDICT_COUNT ? names[v] : "unknown";
}

bool code_is_retryable(const char *code)
{
    static const char codes[][24] = {CODE_SERVER_ERROR,     CODE_UNREACHABLE,        CODE_AMBIGUOUS,
                                     CODE_INVALID_RESPONSE, CODE_RESPONSE_TOO_LARGE, CODE_CANCELLED};
    for (size_t i = 0; code && i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(code, codes[i]) == 0)
            return true;
    }
    return false;
}

const char *code_if_charged(const char *code, int ambiguous)
{
    if (!code)
        return NULL;
    if (strcmp(code, CODE_AMBIGUOUS) == 0)
        return CODE_AMBIGUOUS;
    if (strcmp(code, CODE_INVALID_RESPONSE) == 0)
        return CODE_INVALID_RESPONSE;
    if (strcmp(code, CODE_CANCELLED) == 0)
        return ambiguous > 0 ? CODE_CANCELLED : NULL;
    return strcmp(code, CODE_RESPONSE_TOO_LARGE) == 0 ? CODE_RESPONSE_TOO_LARGE : NULL;
}

/* ---- sentences ---- */

/* "404: Workflow not found", "HTTP 404", "connection reset", or "no answer". */
static void describe_reply(int http_status, const char *server_message, char *buf, size_t size)
{
    char words[300];
    if (!server_message || server_message[0] == '\0') {
        if (http_status == 0)
            snprintf(buf, size, "no answer");
        else
            snprintf(buf, size, "HTTP %d", http_status);
        return;
    }
    utf8_escape(server_message, strlen(server_message), words, sizeof words);
    if (http_status == 0)
        snprintf(buf, size, "%s", words);
    else
        snprintf(buf, size, "%d: %s", http_status, words);
}

/* The command to type. */
static char *retry_command(const char *job)
{
    char *command = NULL, *operand = shell_operand(job ? job : "NAME");
    if (operand && asprintf(&command, "flowspool retry %s", operand) < 0)
        command = NULL;
    free(operand);
    return command;
}

/* The sentence in memory of its own; NULL where there is none or no memory. */
static char *sentence(enum verdict v, int status, const char *reply, const char *workflow, const char *retry)
{
    char *text = NULL;
    int n = -1;
    switch (v) {
    case VERDICT_RATE_LIMITED:
        n = asprintf(&text, "the account is over its rate limit (%s); the job goes back to the queue", reply);
        break;
    case VERDICT_ACCOUNT_REFUSED:
        n = asprintf(&text, "%s (%s); %s, then run: flowspool resume",
                     status == 402 ? "the account may not buy runs"
                                   : "the service does not accept the API key",
                     reply, status == 402 ? "see to its credits and limits" : "correct the key");
        break;
    case VERDICT_ENDPOINT_AWAY:
        n = asprintf(
            &text,
            "the endpoint could not be reached or did not answer as the service does (%s); check endpoint, "
            "proxy and network, then run: %s",
            reply, retry);
        break;
    case VERDICT_WORKFLOW_NOT_FOUND:
        n = asprintf(
            &text,
            "the service knows no published workflow \"%s\" (%s); check the id in the job file or publish "
            "the workflow, then run: %s",
            workflow, reply, retry);
        break;
    case VERDICT_REJECTED:
        n = asprintf(&text, "the service %s (%s); %s: the job runs again when its file is written",
                     status == 413 ? "finds the inputs too large" : "refused the request", reply,
                     status == 413 ? "make them smaller" : "correct the job file");
        break;
    case VERDICT_SERVER_ERROR:
        n = asprintf(
            &text,
            "the service kept failing to run workflow \"%s\" (%s); look at the workflow there, then run: %s",
            workflow, reply, retry);
        break;
    case VERDICT_INVALID_RESPONSE:
        n = asprintf(
            &text,
            "the reply holds no usable result (%s), so it may have been charged for nothing; it is kept "
            "beside this file as .error.body; to buy the run again: %s",
            reply, retry);
        break;
    case VERDICT_TOO_LARGE:
        n = asprintf(
            &text,
            "the reply is larger than max_response_size (%s) and may have been charged; its first part is "
            "kept beside this file as .error.body; raise the limit, then, to buy the run again: %s",
            reply, retry);
        break;
    case VERDICT_AMBIGUOUS:
        n = asprintf(
            &text,
            "the request was sent but no whole answer of the service came back (%s), so the run may have "
            "been charged; look there whether it was, then, to buy it again: %s",
            reply, retry);
        break;
    case VERDICT_NEEDS_BODY:
    case VERDICT_SUCCESS:
    case VERDICT_COUNT:
        break;
    }
    return n < 0 ? NULL : text;
}

char *verdict_message(enum verdict v, int http_status, const char *workflow, const char *server_message,
                      const char *job)
{
    char reply[320];
    char *retry = retry_command(job);
    if (!retry)
        return NULL;
    describe_reply(http_status, server_message, reply, sizeof reply);
    char *text = sentence(v, http_status, reply, workflow ? workflow : "?", retry);
    free(retry);
    return text;
}
