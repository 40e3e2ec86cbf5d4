/* A reply: it gets one verdict, its outcome is JSON that is read back, and nothing of it is lost.
 *
 * The first byte of the input chooses the status, the second how the attempt ended; the rest is the body.
 */
#include "core/jsonspan.h"
#include "core/outcome.h"
#include "core/utf8.h"
#include "core/verdict.h"
#include "fuzz.h"

static const int statuses[] = {0,   100, 200, 201, 204, 299, 301, 307, 400, 401, 402, 403, 404, 407,
                               408, 413, 422, 429, 499, 500, 501, 502, 503, 504, 507, 599, 600, 999};

static const char sha[] = "ed7925e2e6402524301cf50c86e11e4e27178c6c27baece90457e2642d88b5b0";

static bool same_bytes(const struct json_member *a, const struct json_member *b)
{
    return a != NULL && b != NULL && a->value_len == b->value_len &&
           memcmp(a->value, b->value, a->value_len) == 0;
}

/* Members that flowspool does not know are under "extra", byte by byte as they came. */
static void check_nothing_lost(const struct json_object *reply, const struct json_object *outcome)
{
    static struct json_object extra;
    const struct json_member *e = json_find(outcome, "extra");
    FUZZ_CHECK(same_bytes(json_find(reply, "result"), json_find(outcome, "result")), "the result is another");
    if (json_find(reply, "citations") != NULL)
        FUZZ_CHECK(same_bytes(json_find(reply, "citations"), json_find(outcome, "citations")), "citations");
    if (e == NULL)
        extra.count = 0;
    else
        FUZZ_CHECK(json_scan_object(e->value, e->value_len, &extra), "extra is no object");
    for (size_t i = 0; i < reply->count; i++) {
        const struct json_member *m = &reply->members[i];
        char key[64];
        if (m->key_len >= sizeof key || memchr(m->key, '\\', m->key_len) != NULL)
            continue;
        memcpy(key, m->key, m->key_len);
        key[m->key_len] = '\0';
        if (strcmp(key, "success") == 0 || strcmp(key, "result") == 0 || strcmp(key, "citations") == 0)
            continue;
        FUZZ_CHECK(same_bytes(json_find(reply, key), json_find(&extra, key)), "%s is lost", key);
    }
}

static void check_read_back(const char *text, size_t len, const struct outcome *o, bool success)
{
    struct outcome_summary s;
    size_t renamed_len, back_len;
    FUZZ_CHECK(outcome_read(text, len, &s), "not read: %s", text);
    FUZZ_CHECK(s.success == success && strcmp(s.request_sha256, sha) == 0, "%s", text);
    FUZZ_CHECK(success || strcmp(s.code, o->code) == 0, "%s", s.code);
    outcome_summary_free(&s);
    char *renamed = outcome_rename(text, len, "b\"\n.yaml", 3, &renamed_len);
    FUZZ_CHECK(renamed != NULL && json_is_valid(renamed, renamed_len), "not renamed: %s", text);
    char *back = outcome_rename(renamed, renamed_len, o->job, o->document, &back_len);
    FUZZ_CHECK(back != NULL && back_len == len && memcmp(back, text, len) == 0, "%s became %s", text, back);
    free(renamed);
    free(back);
}

static void check_outcome(struct outcome *o, enum verdict v, const struct json_object *object)
{
    static struct json_object written;
    size_t len;
    bool success = v == VERDICT_SUCCESS;
    char *text = success ? outcome_result(o, &len) : outcome_error(o, &len);
    FUZZ_CHECK(text != NULL && strlen(text) == len && text[len - 1] == '\n', "no text");
    FUZZ_CHECK(utf8_is_valid(text, len) && json_scan_object(text, len, &written), "%s", text);
    if (success)
        check_nothing_lost(object, &written);
    check_read_back(text, len, o, success);
    free(text);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static struct json_object object;
    struct fuzz_bytes in = {.data = data, .size = size};
    struct attempt_result a = {.http_status =
                                   statuses[fuzz_byte(&in) % (sizeof statuses / sizeof statuses[0])]};
    a.end = (enum attempt_end)(fuzz_byte(&in) % (ATTEMPT_CRASHED + 1));
    const char *body = in.at < size ? (const char *)data + in.at : NULL;
    size_t len = size - in.at;
    enum verdict v = verdict_by_status(&a);
    object.count = 0;
    if (v == VERDICT_NEEDS_BODY) {
        v = verdict_by_body(a.http_status, body, len, &object);
        FUZZ_CHECK(v != VERDICT_NEEDS_BODY, "still no verdict");
    }
    FUZZ_CHECK(v < VERDICT_COUNT && verdict_name(v) != NULL, "%d", (int)v);
    FUZZ_CHECK(v != VERDICT_SUCCESS || (a.http_status == 200 && a.end == ATTEMPT_REPLIED), "%d",
               a.http_status);
    char *server = verdict_server_message(&object);
    char *message = verdict_message(v, a.http_status, "wf", server, "a.yaml");
    FUZZ_CHECK(v == VERDICT_SUCCESS || (message != NULL && utf8_is_valid(message, strlen(message))),
               "no words");
    struct outcome o = {.job = "a.yaml",
                        .request_sha256 = sha,
                        .endpoint = "https://host",
                        .workflow = "wf",
                        .http_status = a.http_status,
                        .attempts = 1,
                        .duration_ms = -1,
                        .reply = &object,
                        .code = verdict_code(v, a.http_status, &object),
                        .message = message,
                        .response = body,
                        .response_len = len};
    if (v == VERDICT_SUCCESS || o.code != NULL)
        check_outcome(&o, v, &object);
    free(server);
    free(message);
}
