#include "core/outcome.h"

#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/jsonquote.h"
#include "core/units.h"

#define OUTCOME_VERSION 1
#define RESPONSE_MAX    4096

/* ---- a text written twice: once to learn its size, once into memory of exactly that size ---- */

struct writer {
    char *text; /* NULL: only count */
    size_t len;
};

static void put(struct writer *w, const char *bytes, size_t len)
{
    if (w->text)
        memcpy(w->text + w->len, bytes, len);
    w->len += len;
}

static void put_text(struct writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void put_quoted(struct writer *w, const char *text, size_t len)
{
    w->len += json_quote_to(w->text ? w->text + w->len : NULL, text, len);
}

/* Keys are our own words and need no escapes. All but the first member follow a comma. */
static void put_key(struct writer *w, const char *key)
{
    put_text(w, ",\"");
    put_text(w, key);
    put_text(w, "\":");
}

static void put_string(struct writer *w, const char *key, const char *value)
{
    put_key(w, key);
    if (value)
        put_quoted(w, value, strlen(value));
    else
        put_text(w, "null");
}

static void put_number(struct writer *w, const char *key, int64_t value)
{
    char digits[24];
    put_key(w, key);
    snprintf(digits, sizeof digits, "%" PRId64, value);
    put_text(w, digits);
}

static void put_bool(struct writer *w, const char *key, bool value)
{
    put_key(w, key);
    put_text(w, value ? "true" : "false");
}

static void put_status(struct writer *w, int http_status)
{
    if (http_status != 0)
        put_number(w, "http_status", http_status);
    else
        put_string(w, "http_status", NULL);
}

static void put_instant(struct writer *w, const char *key, int64_t unix_ms)
{
    char text[UNITS_INSTANT_SIZE];
    if (unix_ms != 0)
        units_format_instant(unix_ms, text);
    put_string(w, key, unix_ms != 0 ? text : NULL);
}

/* The value as the server's bytes. */
static void put_member(struct writer *w, const char *key, const struct json_member *m)
{
    put_key(w, key);
    put(w, m->value, m->value_len);
}

/* ---- the parts of an outcome ---- */

static void put_head(struct writer *w, const struct outcome *o)
{
    char version[24];
    snprintf(version, sizeof version, "{\"version\":%d", OUTCOME_VERSION);
    put_text(w, version);
    put_string(w, "job", o->job);
    if (o->document != 0)
        put_number(w, "document", (int64_t)o->document);
    put_string(w, "job_sha256", o->job_sha256);
    put_string(w, "request_sha256", o->request_sha256);
    put_string(w, "endpoint", o->endpoint);
    if (o->sandbox)
        put_bool(w, "sandbox", true);
    put_string(w, "workflow", o->workflow);
}

static void put_tail(struct writer *w, const struct outcome *o)
{
    put_number(w, "attempts", o->attempts);
    put_number(w, "rate_limited", o->rate_limited);
    put_number(w, "ambiguous", o->ambiguous);
    put_instant(w, "queued_at", o->queued_ms);
    put_instant(w, "started_at", o->started_ms);
    put_instant(w, "finished_at", o->finished_ms);
    if (o->duration_ms >= 0)
        put_number(w, "duration_ms", o->duration_ms);
    else
        put_string(w, "duration_ms", NULL);
    put_string(w, "request_id", o->request_id);
    put_text(w, "}\n");
}

/* Whether member i belongs under "extra". Of duplicates the last counts, as everywhere. */
static bool is_extra(const struct json_object *reply, size_t i)
{
    static const char known[][16] = {"success", "result", "citations"};
    const struct json_member *m = &reply->members[i];
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        if (m == json_find(reply, known[k]))
            return false;
    }
    for (size_t k = i + 1; k < reply->count; k++) {
        const struct json_member *later = &reply->members[k];
        if (later->key_len == m->key_len && memcmp(later->key, m->key, m->key_len) == 0)
            return false;
    }
    return true;
}

static void put_extra(struct writer *w, const struct json_object *reply)
{
    bool any = false;
    for (size_t i = 0; i < reply->count; i++) {
        const struct json_member *m = &reply->members[i];
        if (!is_extra(reply, i))
            continue;
        if (!any)
            put_key(w, "extra");
        put_text(w, any ? ",\"" : "{\"");
        put(w, m->key, m->key_len);
        put_text(w, "\":");
        put(w, m->value, m->value_len);
        any = true;
    }
    if (any)
        put_text(w, "}");
}

static void write_result(struct writer *w, const struct outcome *o)
{
    const struct json_member *citations = json_find(o->reply, "citations");
    put_head(w, o);
    put_bool(w, "success", true);
    put_member(w, "result", json_find(o->reply, "result"));
    if (citations)
        put_member(w, "citations", citations);
    put_extra(w, o->reply);
    put_status(w, o->http_status);
    put_tail(w, o);
}

/* At most RESPONSE_MAX bytes, not ending inside a character. The caller may have cut there before us. */
static size_t response_length(const char *text, size_t len)
{
    static const unsigned char least_lead[] = {0, 0xC0, 0xE0, 0xF0}; /* of characters longer than the index */
    if (len < RESPONSE_MAX)
        return len;
    for (size_t back = 1; back <= 3; back++) {
        unsigned char c = (unsigned char)text[RESPONSE_MAX - back];
        if ((c & 0xC0u) == 0x80u)
            continue;
        return c >= least_lead[back] ? RESPONSE_MAX - back : RESPONSE_MAX;
    }
    return RESPONSE_MAX;
}

static void write_error(struct writer *w, const struct outcome *o)
{
    put_head(w, o);
    put_bool(w, "success", false);
    put_key(w, "error");
    put_text(w, "{\"code\":");
    put_quoted(w, o->code, strlen(o->code));
    put_string(w, "message", o->message);
    put_status(w, o->http_status);
    put_bool(w, "retryable", o->retryable);
    put_key(w, "response");
    if (o->response)
        put_quoted(w, o->response, response_length(o->response, o->response_len));
    else
        put_text(w, "null");
    put_text(w, "}");
    put_tail(w, o);
}

static char *build(void (*compose)(struct writer *, const struct outcome *), const struct outcome *o,
                   size_t *len)
{
    struct writer w = {0};
    compose(&w, o);
    w.text = malloc(w.len + 1);
    if (!w.text)
        return NULL;
    w.len = 0;
    compose(&w, o);
    w.text[w.len] = '\0';
    *len = w.len;
    return w.text;
}

char *outcome_result(const struct outcome *o, size_t *len)
{
    return build(write_result, o, len);
}

char *outcome_error(const struct outcome *o, size_t *len)
{
    return build(write_error, o, len);
}

/* ---- reading back ---- */

/* The members every outcome has, whoever wrote its other fields. */
static bool scan_outcome(const char *text, size_t len, struct json_object *o)
{
    long long version;
    if (!json_scan_object(text, len, o))
        return false;
    const struct json_member *v = json_find(o, "version"), *job = json_find(o, "job");
    const struct json_member *success = json_find(o, "success");
    if (!v || !json_whole(v, &version) || version != OUTCOME_VERSION || !job || job->type != JSON_STRING)
        return false;
    return success && (success->type == JSON_TRUE || success->type == JSON_FALSE);
}

/* Absent and null are fine and leave hex empty; anything else must be a digest. */
static bool read_digest(const struct json_member *m, char hex[DIGEST_HEX])
{
    hex[0] = '\0';
    if (!m || m->type == JSON_NULL)
        return true;
    if (m->type != JSON_STRING || m->value_len != DIGEST_HEX + 1)
        return false;
    memcpy(hex, m->value + 1, DIGEST_HEX - 1);
    hex[DIGEST_HEX - 1] = '\0';
    if (strspn(hex, "0123456789abcdef") == DIGEST_HEX - 1)
        return true;
    hex[0] = '\0';
    return false;
}

static bool read_code(const struct json_object *o, char *code, size_t size)
{
    struct json_object error;
    const struct json_member *m = json_find(o, "error");
    if (!m || !json_scan_object(m->value, m->value_len, &error))
        return false;
    m = json_find(&error, "code");
    if (!m || m->type != JSON_STRING || m->value_len - 2 >= size || memchr(m->value, '\\', m->value_len))
        return false; /* codes are plain words */
    memcpy(code, m->value + 1, m->value_len - 2);
    code[m->value_len - 2] = '\0';
    return true;
}

static int read_ambiguous(const struct json_object *o)
{
    const struct json_member *m = json_find(o, "ambiguous");
    long long n;
    if (!m || !json_whole(m, &n) || n < 0)
        return 0;
    return n < INT_MAX ? (int)n : INT_MAX;
}

bool outcome_read(const char *text, size_t len, struct outcome_summary *out)
{
    struct json_object o;
    memset(out, 0, sizeof *out);
    if (!scan_outcome(text, len, &o))
        return false;
    bool success = json_find(&o, "success")->type == JSON_TRUE;
    if (!read_digest(json_find(&o, "request_sha256"), out->request_sha256))
        return false;
    if (!success && !read_code(&o, out->code, sizeof out->code)) {
        out->request_sha256[0] = '\0';
        return false;
    }
    const struct json_member *sandbox = json_find(&o, "sandbox"), *endpoint = json_find(&o, "endpoint");
    out->success = success;
    out->ambiguous = read_ambiguous(&o);
    out->sandbox = sandbox && sandbox->type == JSON_TRUE;
    out->endpoint = endpoint ? json_string(endpoint) : NULL;
    return true;
}

void outcome_summary_free(struct outcome_summary *s)
{
    free(s->endpoint);
    memset(s, 0, sizeof *s);
}

/* ---- renaming ---- */

struct rename_plan {
    const char *text, *end;
    const struct json_member *job, *document; /* document: NULL or behind job */
    const char *new_job;
    size_t new_document;
};

static void write_renamed(struct writer *w, const struct rename_plan *r)
{
    const char *rest = r->job->value + r->job->value_len;
    put(w, r->text, (size_t)(r->job->value - r->text));
    put_quoted(w, r->new_job, strlen(r->new_job));
    if (r->new_document != 0)
        put_number(w, "document", (int64_t)r->new_document);
    if (r->document) {
        const char *comma = r->document->key; /* the one before the old document's key */
        while (*comma != ',')
            comma--;
        put(w, rest, (size_t)(comma - rest));
        rest = r->document->value + r->document->value_len;
    }
    put(w, rest, (size_t)(r->end - rest));
}

char *outcome_rename(const char *text, size_t len, const char *job, size_t document, size_t *out_len)
{
    struct json_object o;
    if (!scan_outcome(text, len, &o))
        return NULL;
    struct rename_plan plan = {text, text + len, json_find(&o, "job"), json_find(&o, "document"),
                               job,  document};
    if (plan.document && plan.document->key < plan.job->key)
        return NULL; /* not our order of fields: not our file */
    struct writer w = {0};
    write_renamed(&w, &plan);
    w.text = malloc(w.len + 1);
    if (!w.text)
        return NULL;
    w.len = 0;
    write_renamed(&w, &plan);
    w.text[w.len] = '\0';
    *out_len = w.len;
    return w.text;
}
