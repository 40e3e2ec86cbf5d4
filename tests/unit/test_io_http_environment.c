/* io/http and its surroundings: what libcurl would take from the environment and from files of the user, and
 * the proxy that was configured. */
#include "http_peer.h"

#include <fcntl.h>

static const char *const proxies[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                      "all_proxy",  "ALL_PROXY",  NULL};
static const char *const exceptions[] = {"no_proxy", "NO_PROXY", NULL};

static void set_all(const char *const *names, const char *value)
{
    for (; *names != NULL; names++) {
        assert_int_equal(setenv(*names, value, 1), 0);
    }
}

static void unset_all(const char *const *names)
{
    for (; *names != NULL; names++) {
        (void)unsetenv(*names);
    }
}

static void serve_ok(struct peer *p, int fd, int connection)
{
    (void)connection;
    while (peer_read(p, fd, false)) {
        peer_ok(fd);
    }
}

/* ---- the environment ---- */

static void the_environment_s_proxy_is_not_used(void **state)
{
    (void)state;
    struct peer *p = peer_start(serve_ok), *proxy = peer_start(serve_ok);
    struct client c;
    struct answer a;
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", proxy->port);
    set_all(proxies, url);
    client_open(&c, p->port);
    client_ask(&c, &a);
    assert_int_equal(a.r.end, ATTEMPT_REPLIED);
    http_result_free(&a.r);
    /* With TLS another variable would count. Nothing listens there. */
    c.options.endpoint = "https://127.0.0.1:1";
    client_configure(&c);
    client_ask(&c, &a);
    print_message("%s\n", a.r.error);
    assert_int_equal(a.r.end, ATTEMPT_NOT_SENT);
    assert_non_null(strstr(a.r.error, "connection refused (127.0.0.1:1)"));
    http_result_free(&a.r);
    client_close(&c);
    assert_int_equal(p->posts, 1);
    assert_int_equal(proxy->connections, 0);
    peer_stop(p);
    peer_stop(proxy);
    unset_all(proxies);
}

static void no_password_is_taken_from_a_netrc(void **state)
{
    (void)state;
    static const char entry[] = "machine 127.0.0.1 login eve password pw\ndefault login eve password pw\n";
    char home[] = "/tmp/flowspool-home-XXXXXX", path[64];
    const char *before = getenv("HOME");
    char *home_before = before != NULL ? strdup(before) : NULL;
    assert_non_null(mkdtemp(home));
    (void)snprintf(path, sizeof path, "%s/.netrc", home);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, entry, strlen(entry)), strlen(entry));
    close(fd);
    assert_int_equal(setenv("HOME", home, 1), 0);
    struct peer *p = peer_start(serve_ok);
    struct client c;
    struct answer a;
    client_open(&c, p->port);
    for (int with_key = 1; with_key >= 0; with_key--) {
        c.options.key = with_key ? KEY : "";
        client_configure(&c);
        client_ask(&c, &a);
        assert_int_equal(a.r.end, ATTEMPT_REPLIED);
        const char *request = peer_request(p);
        assert_null(strstr(request, "Basic"));
        assert_int_equal(strstr(request, "Authorization: Bearer " KEY "\r\n") != NULL, with_key);
        assert_int_equal(strcasestr(request, "Authorization:") != NULL, with_key);
        http_result_free(&a.r);
    }
    client_close(&c);
    peer_stop(p);
    if (home_before != NULL) {
        (void)setenv("HOME", home_before, 1);
    } else {
        (void)unsetenv("HOME");
    }
    free(home_before);
    (void)unlink(path);
    (void)rmdir(home);
}

/* ---- the proxy that was configured ---- */

/* As a proxy: answers CONNECT with the script; after a 200 it is the server itself. */
static void serve_proxy(struct peer *p, int fd, int connection)
{
    char text[4096] = "";
    size_t len = 0;
    while (strstr(text, "\r\n\r\n") == NULL && len < sizeof text - 1) {
        ssize_t n = read(fd, text + len, sizeof text - 1 - len);
        if (n <= 0) {
            return;
        }
        len += (size_t)n;
    }
    peer_keep_request(p, text, sizeof text);
    peer_write(fd, p->script, p->script_len);
    if (strstr(p->script, " 200 ") != NULL) {
        serve_ok(p, fd, connection);
    }
}

static void a_proxy_gets_a_tunnel_and_no_key(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *error;
        enum attempt_end end;
    } cases[] = {
        {"HTTP/1.1 200 Connected\r\nx-request-id: proxy\r\n\r\n", NULL, ATTEMPT_REPLIED},
        {"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", "407",
         ATTEMPT_NOT_SENT},
        {"HTTP/1.1 502 Bad\r\nContent-Length: 2\r\n\r\nno", "502", ATTEMPT_NOT_SENT},
        {"", NULL, ATTEMPT_NOT_SENT},
        {"garbage\r\n\r\n", NULL, ATTEMPT_NOT_SENT},
    };
    set_all(exceptions, "*");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer *p = peer_start(serve_proxy);
        struct client c;
        struct answer a;
        char proxy[64];
        p->script = cases[i].reply;
        p->script_len = strlen(cases[i].reply);
        client_open(&c, 1); /* nobody there: only the proxy can answer */
        (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", p->port);
        c.options.proxy = proxy;
        client_configure(&c);
        client_ask(&c, &a);
        print_message("%s\n", a.r.error);
        assert_int_equal(a.r.end, cases[i].end);
        if (cases[i].error != NULL) {
            assert_non_null(strstr(a.r.error, cases[i].error));
        }
        if (cases[i].end == ATTEMPT_NOT_SENT) {
            assert_memory_equal(peer_request(p), "CONNECT 127.0.0.1:1 ", 20);
            assert_null(strstr(peer_request(p), "Bearer"));
            assert_int_equal(a.r.http_status, 0);
        }
        assert_null(a.r.request_id);
        http_result_free(&a.r);
        client_close(&c);
        peer_stop(p);
    }
    unset_all(exceptions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_s_proxy_is_not_used),
        cmocka_unit_test(no_password_is_taken_from_a_netrc),
        cmocka_unit_test(a_proxy_gets_a_tunnel_and_no_key),
    };
    (void)alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests_name("io_http_environment", tests, NULL, NULL);
}
