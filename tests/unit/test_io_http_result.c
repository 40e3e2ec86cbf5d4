/* io/http, its pure part: which end is which, the header block, the form of an endpoint. */
#include "http_peer.h"

#include "io/http_internal.h"

#define READY .ready = true, .sent = true, .head_whole = true

static const struct {
    const char *name;
    CURLcode code;
    struct http_facts facts;
    enum attempt_end end;
} ends[] = {
    {"whole reply", CURLE_OK, {READY, .status = 200}, ATTEMPT_REPLIED},
    {"whole refusal", CURLE_OK, {READY, .status = 429}, ATTEMPT_REPLIED},
    {"ended in its headers", CURLE_OK, {.ready = true, .sent = true, .status = 200}, ATTEMPT_CUT},
    {"redirect", CURLE_OK, {READY, .status = 302}, ATTEMPT_REPLIED},
    {"an interim status that is the last", CURLE_OK, {READY, .status = 101}, ATTEMPT_CUT},
    {"no status at all", CURLE_OK, {READY}, ATTEMPT_CUT},
    {"two lengths", CURLE_OK, {READY, .status = 200, .lengths_differ = true}, ATTEMPT_CUT},
    {"whole, then reset while uploading",
     CURLE_SEND_ERROR,
     {READY, .status = 413, .announced_all = true},
     ATTEMPT_REPLIED},
    {"whole, then time-out while uploading",
     CURLE_OPERATION_TIMEDOUT,
     {READY, .status = 200, .announced_all = true},
     ATTEMPT_REPLIED},
    {"all of two lengths",
     CURLE_RECV_ERROR,
     {READY, .status = 200, .announced_all = true, .lengths_differ = true},
     ATTEMPT_CUT},
    {"too large", CURLE_WRITE_ERROR, {READY, .status = 200, .too_large = true}, ATTEMPT_TOO_LARGE},
    {"no room", CURLE_WRITE_ERROR, {READY, .status = 200}, ATTEMPT_CUT},
    {"partial file", CURLE_PARTIAL_FILE, {READY, .status = 200}, ATTEMPT_CUT},
    {"reset", CURLE_RECV_ERROR, {READY}, ATTEMPT_CUT},
    {"reset after the status", CURLE_RECV_ERROR, {READY, .status = 500}, ATTEMPT_CUT},
    {"closed without a reply", CURLE_GOT_NOTHING, {READY}, ATTEMPT_CUT},
    {"garbage", CURLE_WEIRD_SERVER_REPLY, {READY}, ATTEMPT_CUT},
    {"HTTP/0.9", CURLE_UNSUPPORTED_PROTOCOL, {READY}, ATTEMPT_CUT},
    {"HTTP/2 framing", CURLE_HTTP2, {READY}, ATTEMPT_CUT},
    {"HTTP/2 stream reset", CURLE_HTTP2_STREAM, {READY, .status = 200}, ATTEMPT_CUT},
    {"curl wanted to send again", CURLE_ABORTED_BY_CALLBACK, {READY}, ATTEMPT_CUT},
    {"curl wanted to read again", CURLE_SEND_FAIL_REWIND, {READY}, ATTEMPT_CUT},
    {"connected again in vain, after sending", CURLE_COULDNT_CONNECT, {READY}, ATTEMPT_CUT},
    {"TLS again in vain, after sending", CURLE_SSL_CONNECT_ERROR, {READY}, ATTEMPT_CUT},
    {"body broke off", CURLE_SEND_ERROR, {READY}, ATTEMPT_CUT},
    {"time-out while waiting", CURLE_OPERATION_TIMEDOUT, {READY}, ATTEMPT_CUT},
    {"out of memory after sending", CURLE_OUT_OF_MEMORY, {READY}, ATTEMPT_CUT},
    {"content encoding", CURLE_BAD_CONTENT_ENCODING, {READY, .status = 200}, ATTEMPT_CUT},
    {"name lookup", CURLE_COULDNT_RESOLVE_HOST, {0}, ATTEMPT_NOT_SENT},
    {"proxy's name", CURLE_COULDNT_RESOLVE_PROXY, {0}, ATTEMPT_NOT_SENT},
    {"refused", CURLE_COULDNT_CONNECT, {0}, ATTEMPT_NOT_SENT},
    {"TLS", CURLE_SSL_CONNECT_ERROR, {0}, ATTEMPT_NOT_SENT},
    {"certificate", CURLE_PEER_FAILED_VERIFICATION, {0}, ATTEMPT_NOT_SENT},
    {"trust anchors", CURLE_SSL_CACERT_BADFILE, {0}, ATTEMPT_NOT_SENT},
    {"proxy", CURLE_PROXY, {0}, ATTEMPT_NOT_SENT},
    {"proxy said 407", CURLE_RECV_ERROR, {0}, ATTEMPT_NOT_SENT},
    {"time-out while connecting", CURLE_OPERATION_TIMEDOUT, {0}, ATTEMPT_NOT_SENT},
    {"out of memory before", CURLE_OUT_OF_MEMORY, {0}, ATTEMPT_NOT_SENT},
    {"bad URL", CURLE_URL_MALFORMAT, {0}, ATTEMPT_NOT_SENT},
    {"connected, first write failed", CURLE_SEND_ERROR, {.ready = true}, ATTEMPT_NOT_SENT},
};

static void each_end_has_its_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        print_message("%s\n", ends[i].name);
        assert_int_equal(http_classify(ends[i].code, &ends[i].facts), ends[i].end);
    }
}

static const struct {
    const char *head;
    bool differ;
} lengths[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length:5 \r\n\r\n", false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n", true},
    {"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", true},
    {"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n",
     false},
    {"HTTP/1.1 200 OK\r\n\r\n", false},
    {"HTTP/1.1 200 OK", false},
    {"", false},
};

static void two_lengths_are_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        print_message("%s\n", lengths[i].head);
        assert_int_equal(http_lengths_differ(lengths[i].head, strlen(lengths[i].head)), lengths[i].differ);
    }
}

#define STATUS "HTTP/1.1 200 OK\r\n"

static const struct {
    const char *head, *limit, *retry_after, *id;
    bool sandbox;
} heads[] = {
    {STATUS "X-RateLimit-Limit: 10\r\nRETRY-AFTER:  3 \r\n\r\n", "10", "3", NULL, false},
    {STATUS "x-ratelimit-limit: 10\r\nx-ratelimit-limit: 20\r\n\r\n", "20", NULL, NULL, false},
    {STATUS "x-request-id: a\r\nx-vercel-id: b\r\n\r\n", NULL, NULL, "b", false},
    {STATUS "x-vercel-id: b\r\nx-request-id: a\r\n\r\n", NULL, NULL, "b", false},
    {STATUS "x-request-id: a\r\n\r\n", NULL, NULL, "a", false},
    {STATUS "x-vercel-id:\r\nx-request-id: a\r\n\r\n", NULL, NULL, "a", false},
    {STATUS "x-request-id: a\x01\xff\x7f z\r\n\r\n", NULL, NULL, "a??? z", false},
    {STATUS "x-request-id: a\r\n\tb\r\n\r\n", NULL, NULL, "a   b", false},
    {STATUS "x-flowspool-sandbox: 1\r\n\r\n", NULL, NULL, NULL, true},
    {STATUS "x-flowspool-sandbox: 10\r\n\r\n", NULL, NULL, NULL, false},
    {STATUS "no colon\r\n: no name\r\nx-ratelimit-limit : 9\r\n\r\n", NULL, NULL, NULL, false},
    {"x-ratelimit-limit: 9\r\n\r\n", NULL, NULL, NULL, false}, /* where the status line belongs */
    {STATUS "x-ratelimit-limit: 9", "9", NULL, NULL, false},
};

static void assert_text(const char *found, const char *expected)
{
    if (expected == NULL) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_string_equal(found, expected);
    }
}

static void headers_of_interest_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct http_result r = {0};
        print_message("%s\n", heads[i].head);
        http_result_headers(&r, heads[i].head, strlen(heads[i].head));
        assert_text(r.rate_limit, heads[i].limit);
        assert_text(r.retry_after, heads[i].retry_after);
        assert_text(r.request_id, heads[i].id);
        assert_int_equal(r.sandbox, heads[i].sandbox);
        assert_int_equal(r.headers_len, strlen(heads[i].head));
        assert_memory_equal(r.headers, heads[i].head, r.headers_len);
        http_result_free(&r);
        assert_null(r.headers);
    }
}

static void a_long_value_is_cut(void **state)
{
    (void)state;
    char head[1200] = STATUS "x-request-id: ";
    size_t at = strlen(head);
    memset(head + at, 'i', 1000);
    (void)snprintf(head + at + 1000, 8, "\r\n\r\n");
    struct http_result r = {0};
    http_result_headers(&r, head, strlen(head));
    assert_int_equal(strlen(r.request_id), 256);
    http_result_free(&r);
}

static const struct {
    const char *endpoint;
    const char *fault; /* part of the sentence, NULL: fine */
} endpoints[] = {
    {"https://host", NULL},
    {"https://host/", NULL},
    {"http://127.0.0.1:8080", NULL},
    {"https://[::1]:8443/base/path", NULL},
    {"HTTPS://Host", NULL},
    {"", "empty"},
    {"host", "must start with"},
    {"ftp://host", "must start with"},
    {"file:///etc/passwd", "must start with"},
    {"https://", "not a URL"},
    {"https://host:99999", "not a URL"},
    {"https://host:x", "not a URL"},
    {"https://user@host", "user name"},
    {"https://user:pw@host", "user name"},
    {"https://host/api/v1", "/api/v1"},
    {"https://host/api/v1/run/x", "/api/v1"},
    {"https://host?x=1", "query"},
    {"https://host#f", "query"},
    {"https://host/a b", "space"},
    {"https://host/\r\nX: y", "space"},
    {"https://host\\x", "backslash"},
};

static void an_endpoint_has_one_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        const char *fault = http_endpoint_fault(endpoints[i].endpoint);
        print_message("%s: %s\n", endpoints[i].endpoint, fault == NULL ? "fine" : fault);
        assert_int_equal(fault == NULL, endpoints[i].fault == NULL);
        if (fault != NULL) {
            assert_non_null(strstr(fault, endpoints[i].fault));
        }
    }
}

static void the_key_is_never_quoted(void **state)
{
    (void)state;
    static const char *const details[] = {"server said " KEY " twice " KEY, "cut at its end: canary-ke"};
    for (size_t i = 0; i < 2; i++) {
        struct http_facts facts = {READY};
        struct http_words w = {.code = CURLE_RECV_ERROR, .end = ATTEMPT_CUT, .facts = &facts, .key = KEY};
        struct http_result r = {0};
        w.detail = details[i];
        http_result_error(&r, &w);
        print_message("%s\n", r.error);
        assert_null(strstr(r.error, "canary"));
    }
}

static void bad_options_are_refused_with_a_sentence(void **state)
{
    (void)state;
    struct http_options o = {.endpoint = "https://host/api/v1", .key = "", .spill_dir = "/tmp"};
    struct http_settings *s = NULL;
    char message[256];
    assert_int_equal(http_settings_new(&s, &o, 0, message, sizeof message), -EINVAL);
    assert_non_null(strstr(message, "endpoint: "));
    o.endpoint = "https://host";
    o.key = "a\r\nb";
    assert_int_equal(http_settings_new(&s, &o, 0, message, sizeof message), -EINVAL);
    o.key = "k";
    o.ca_file = "/nonexistent/ca.pem";
    assert_int_equal(http_settings_new(&s, &o, 0, message, sizeof message), -ENOENT);
    assert_non_null(strstr(message, "/nonexistent/ca.pem"));
    o.ca_file = "/dev/null";
    assert_int_equal(http_settings_new(&s, &o, 0, message, sizeof message), -EINVAL);
    o.ca_file = "/proc/self/status"; /* a file, no certificate */
    assert_int_equal(http_settings_new(&s, &o, 0, message, sizeof message), -EINVAL);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_has_its_class),
        cmocka_unit_test(two_lengths_are_noticed),
        cmocka_unit_test(headers_of_interest_are_found),
        cmocka_unit_test(a_long_value_is_cut),
        cmocka_unit_test(an_endpoint_has_one_form),
        cmocka_unit_test(the_key_is_never_quoted),
        cmocka_unit_test(bad_options_are_refused_with_a_sentence),
    };
    return cmocka_run_group_tests_name("io_http_result", tests, NULL, NULL);
}
