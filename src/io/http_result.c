/* http_result - from what curl and its callbacks saw to what the engine decides by. Pure. */
#include "io/http_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/scrub.h"

/* The facts decide, not curl's code: the same code can mean a failed connect before the request, or a
 * failed second connect after it (curl tries one of its own accord and is refused). */
enum attempt_end http_classify(CURLcode code, const struct http_facts *f)
{
    if (f->too_large) {
        return ATTEMPT_TOO_LARGE;
    }
    if (!f->ready || !f->sent) {
        return ATTEMPT_NOT_SENT;
    }
    /* 1xx is never final: a 101 that nobody asked for ends as garbage does. */
    bool whole =
        f->status >= 200 && f->head_whole && !f->lengths_differ && (code == CURLE_OK || f->announced_all);
    return whole ? ATTEMPT_REPLIED : ATTEMPT_CUT;
}

/* ---- the header block ---- */

/* Longer lengths curl takes for none at all, and the reply for whole at its close. */
enum { LENGTH_DIGITS = 18 };

struct header {
    const char *name, *value;
    size_t name_len, value_len; /* the value may be folded over several lines */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next header from *at on; false at the end of the block. */
static bool next_header(const char *head, size_t len, size_t *at, struct header *h)
{
    while (*at < len) {
        size_t start = *at, end = start;
        do {
            const char *newline = memchr(head + end, '\n', len - end);
            end = newline == NULL ? len : (size_t)(newline - head) + 1;
        } while (end < len && (head[end] == ' ' || head[end] == '\t'));
        *at = end;
        const char *colon = memchr(head + start, ':', end - start);
        if (colon == NULL || start == 0) {
            continue; /* the status line, the empty line, nonsense */
        }
        *h = (struct header){.name = head + start, .name_len = (size_t)(colon - head) - start};
        h->value = colon + 1;
        h->value_len = end - (size_t)(h->value - head);
        while (h->value_len > 0 && is_blank(h->value[0])) {
            h->value++;
            h->value_len--;
        }
        while (h->value_len > 0 && is_blank(h->value[h->value_len - 1])) {
            h->value_len--;
        }
        return true;
    }
    return false;
}

static bool is_named(const struct header *h, const char *name)
{
    return h->name_len == strlen(name) && strncasecmp(h->name, name, h->name_len) == 0;
}

static bool is_length(const struct header *h)
{
    for (size_t i = 0; i < h->value_len; i++) {
        if (!isdigit((unsigned char)h->value[i])) {
            return false;
        }
    }
    return h->value_len > 0 && h->value_len <= LENGTH_DIGITS;
}

bool http_lengths_differ(const char *head, size_t len)
{
    struct header h, first = {0};
    bool differ = false;
    for (size_t at = 0; next_header(head, len, &at, &h);) {
        if (is_named(&h, "transfer-encoding")) {
            return false; /* then no length counts */
        }
        if (!is_named(&h, "content-length")) {
            continue;
        }
        if (first.name == NULL) {
            first = h;
        }
        bool same = h.value_len == first.value_len && memcmp(h.value, first.value, h.value_len) == 0;
        differ = differ || !same || !is_length(&h);
    }
    return differ;
}

enum { INTERESTS = 6, VALUE_MAX = 256 };

struct interest {
    const char *name;
    struct header header;
};

/* Control bytes and folds become one space or '?': these values end in logs and outcome files. */
static char *copy_value(char *to, const struct header *h)
{
    size_t n = h->value_len < VALUE_MAX ? h->value_len : VALUE_MAX;
    for (size_t i = 0; i < n; i++) {
        char c = h->value[i];
        if (is_blank(c)) {
            c = ' ';
        } else if (c < ' ' || c > '~') {
            c = '?';
        }
        to[i] = c;
    }
    to[n] = '\0';
    return to + n + 1;
}

void http_result_headers(struct http_result *r, const char *head, size_t len)
{
    struct interest wanted[INTERESTS] = {
        {.name = "x-ratelimit-limit"}, {.name = "x-ratelimit-remaining"}, {.name = "retry-after"},
        {.name = "x-vercel-id"},       {.name = "x-request-id"},          {.name = "x-flowspool-sandbox"},
    };
    char **slots[INTERESTS] = {&r->rate_limit, &r->rate_remaining, &r->retry_after,
                               &r->request_id, &r->request_id,     NULL};
    struct header h;
    if (len == 0) {
        return;
    }
    for (size_t at = 0; next_header(head, len, &at, &h);) {
        for (size_t i = 0; i < INTERESTS; i++) {
            if (is_named(&h, wanted[i].name)) {
                wanted[i].header = h; /* the last one counts */
            }
        }
    }
    /* One block: the raw lines, then the values. */
    char *block = malloc(len + 1 + (size_t)INTERESTS * (VALUE_MAX + 1));
    if (block == NULL) {
        return;
    }
    memcpy(block, head, len);
    block[len] = '\0';
    char *end = block + len + 1;
    for (size_t i = 0; i < INTERESTS; i++) {
        const struct header *found = &wanted[i].header;
        if (found->name == NULL || found->value_len == 0) {
            continue;
        }
        if (slots[i] == NULL) {
            r->sandbox = found->value_len == 1 && found->value[0] == '1';
        } else if (*slots[i] == NULL) {
            *slots[i] = end;
            end = copy_value(end, found);
        }
    }
    r->headers = block;
    r->headers_len = len;
}

void http_result_free(struct http_result *r)
{
    free(r->headers); /* the headers of interest live behind it */
    free(r->body);
    free(r->spill);
    *r = (struct http_result){0};
}

/* ---- the sentence ---- */

static const char *connect_words(long os_errno, char *buf, size_t size)
{
    switch (os_errno) {
    case ECONNREFUSED:
        return "connection refused";
    case EHOSTUNREACH:
        return "no route to host";
    case ENETUNREACH:
        return "network is unreachable";
    case ETIMEDOUT:
        return "connecting timed out";
    case EMFILE:
    case ENFILE:
        return "out of file descriptors";
    case 0:
        return "cannot connect";
    default:
        (void)snprintf(buf, size, "cannot connect: %s", strerror((int)os_errno));
        return buf;
    }
}

static const char *not_sent_words(const struct http_words *w, char *buf, size_t size)
{
    switch (w->code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "name lookup failed";
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "name lookup of the proxy failed";
    case CURLE_COULDNT_CONNECT:
        return connect_words(w->os_errno, buf, size);
    case CURLE_OPERATION_TIMEDOUT:
        return "no connection in time";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "the server's certificate was not accepted";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
        return "the TLS handshake failed";
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return "the trust anchors cannot be used";
    case CURLE_OUT_OF_MEMORY:
        return "out of memory";
    case CURLE_ABORTED_BY_CALLBACK:
        return "stopped before it was sent";
    default:
        if (w->proxy_status >= 300) {
            (void)snprintf(buf, size, "the proxy refused with status %ld", w->proxy_status);
            return buf;
        }
        return "the request could not be started";
    }
}

static const char *cut_words(const struct http_words *w)
{
    if (w->headers_too_large) {
        return "the reply's headers exceed 64 KiB";
    }
    if (w->facts->lengths_differ) {
        return "the reply announced two different lengths";
    }
    if (w->refused_again) {
        return "the connection ended without a reply after the request was sent";
    }
    switch (w->code) {
    case CURLE_OK:
        return w->facts->status != 0 ? "the connection ended before the reply was complete"
                                     : "the reply had no final status";
    case CURLE_OPERATION_TIMEDOUT:
        return w->facts->status != 0 ? "the reply was not complete in time" : "no reply in time";
    case CURLE_GOT_NOTHING:
        return "the connection ended without a reply";
    case CURLE_PARTIAL_FILE:
        return "the connection ended before the reply was complete";
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return "the reply is not HTTP";
    case CURLE_WRITE_ERROR:
        return "no memory and no disk space for the reply";
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return "the HTTP/2 stream ended before the reply was complete";
    case CURLE_ABORTED_BY_CALLBACK:
        return "stopped before the reply was complete";
    default:
        return w->facts->status != 0 ? "the connection broke before the reply was complete"
                                     : "the connection broke before the reply";
    }
}

/* The detail can quote the server, and the server knows the key; its end may have been cut by curl's buffer.
 */
static void clean(char *text, const struct http_words *w)
{
    scrub_cut(text, strlen(text), w->key);
    scrub_cut(text, strlen(text), w->proxy); /* which may hold a password */
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            *text = '?';
        }
    }
}

void http_result_error(struct http_result *r, const struct http_words *w)
{
    char buf[96], detail[CURL_ERROR_SIZE] = "", where[80] = "";
    const char *words = w->end == ATTEMPT_TOO_LARGE  ? HTTP_TOO_LARGE_WORDS
                        : w->end == ATTEMPT_NOT_SENT ? not_sent_words(w, buf, sizeof buf)
                                                     : cut_words(w);
    if (w->end == ATTEMPT_REPLIED) {
        r->error[0] = '\0';
        return;
    }
    if (w->end == ATTEMPT_TOO_LARGE) {
        (void)snprintf(r->error, sizeof r->error, "%s", words);
        return;
    }
    if (w->ip != NULL && w->ip[0] != '\0') {
        const char *form = strchr(w->ip, ':') != NULL ? " ([%.60s]:%ld)" : " (%.60s:%ld)";
        (void)snprintf(where, sizeof where, form, w->ip, w->port);
    } else if (w->base != NULL) {
        const char *host = strstr(w->base, "//") + 2;
        size_t len = strcspn(host, "/");
        (void)snprintf(where, sizeof where, " (%.*s)", len < 70 ? (int)len : 70, host);
    }
    /* Scrubbed before it is shortened: half a key is still a secret. */
    /* Curl would speak of its callbacks, or say the same again. */
    bool plain =
        w->refused_again || w->headers_too_large || (w->code == CURLE_COULDNT_CONNECT && w->os_errno != 0);
    if (!plain && w->detail != NULL && w->detail[0] != '\0') {
        (void)snprintf(detail, sizeof detail, "%s", w->detail);
        clean(detail, w);
    }
    size_t at = (size_t)snprintf(r->error, sizeof r->error, "%.90s%s", words, where);
    if (detail[0] != '\0') {
        (void)snprintf(r->error + at, sizeof r->error - at, ": %.*s", (int)(sizeof r->error - at - 3),
                       detail);
    }
}
