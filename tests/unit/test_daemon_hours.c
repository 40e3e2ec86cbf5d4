/* The engine over hours, in seconds: its clocks go as fast as a test says. What waits for minutes or for an
 * hour is what nobody sees on a day on which all goes well. */
#include "http_peer.h"

#include <sys/syscall.h>
#include <time.h>

#include "daemon/engine.h"
#include "io/log.h"
#include "tempdir.h"

/* ---- the clocks: both go on together, so that the engine sees no jump of one of them ---- */

static _Atomic int64_t ahead_s;

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *t)
{
    long rc = syscall(SYS_clock_gettime, id, t);
    if (rc == 0 && (id == CLOCK_BOOTTIME || id == CLOCK_REALTIME)) {
        t->tv_sec += ahead_s;
    }
    return (int)rc;
}

/* ---- the far side ---- */

struct far_reply {
    int status;
    const char *body;
};
static const struct far_reply SUCCESS = {200, "{\"success\":true,\"result\":\"yes\"}"},
                              NOT_FOUND = {404, "{\"success\":false,\"error\":\"Workflow not found\"}"},
                              AWAY = {503, ""};
static const struct far_reply *_Atomic reply;

static void serve_reply(struct peer *p, int fd, int connection)
{
    char text[256];
    (void)connection;
    while (peer_read(p, fd, false)) {
        const struct far_reply *r = atomic_load(&reply);
        snprintf(text, sizeof text, "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n\r\n%s", r->status,
                 strlen(r->body), r->body);
        peer_say(fd, text);
    }
}

/* ---- an engine on a spool of its own ---- */

struct night {
    struct tempdir dir;
    struct peer *peer; /* listens when the test says so */
    uv_loop_t loop;
    struct engine *e;
    char config[128];
};

static void put_config(struct night *n)
{
    char text[512];
    snprintf(text, sizeof text,
             "spool: %s/spool\nendpoint: http://127.0.0.1:%d\napi_key_file: %s/key\nconfine: off\n",
             n->dir.path, n->peer->port, n->dir.path);
    put_file(&n->dir, "config.yaml", text);
    put_file(&n->dir, "key", KEY "\n");
    TEMPDIR_MUST(fchmodat(n->dir.fd, "key", 0600, 0) == 0);
    snprintf(n->config, sizeof n->config, "%s/config.yaml", n->dir.path);
}

static int begin(void **state)
{
    struct night *n = calloc(1, sizeof *n);
    atomic_store(&ahead_s, 0);
    tempdir_open(&n->dir, "/tmp");
    put_dir(&n->dir, "spool");
    n->peer = peer_bind(serve_reply);
    put_config(n);
    n->e = calloc(1, sizeof *n->e);
    assert_int_equal(uv_loop_init(&n->loop), 0);
    const struct engine_options o = {.config_path = n->config, .overrides.max_jobs = -1};
    assert_int_equal(engine_open(n->e, &n->loop, &o), -1);
    *state = n;
    return 0;
}

static int finish(void **state)
{
    struct night *n = *state;
    engine_stop(n->e, 0);
    assert_int_equal(engine_close(n->e), 0);
    assert_int_equal(uv_loop_close(&n->loop), 0);
    peer_stop(n->peer);
    tempdir_close(&n->dir);
    free(n->e);
    free(n);
    return 0;
}

/* The alarm goes by the true clock, so it is rung by hand. */
static void turn(struct night *n)
{
    engine_wake(n->e);
    (void)uv_run(&n->loop, UV_RUN_NOWAIT);
    (void)usleep(500);
}

static bool busy(const struct night *n)
{
    return live_busy(&n->e->live) > 0 || store_queued(n->e->store) > 0 || publish_queued(n->e->publish) > 0;
}

/* Lets so much time pass, and all that is due in it come to its end. */
static void pass(struct night *n, int64_t seconds)
{
    static const int64_t step_s = 5;
    for (; seconds > 0; seconds -= step_s) {
        ahead_s += seconds < step_s ? seconds : step_s;
        turn(n);
        turn(n);
        while (busy(n)) {
            turn(n);
        }
    }
}

static void drop(struct night *n, const char *name, const char *workflow)
{
    char text[256], path[64];
    snprintf(text, sizeof text, "workflow: %s\nmax_attempts: 1\ninputs: {name: %s}\n", workflow, name);
    snprintf(path, sizeof path, "spool/%s.yaml", name);
    put_file(&n->dir, "aside", text);
    TEMPDIR_MUST(renameat(n->dir.fd, "aside", n->dir.fd, path) == 0);
}

static bool has_outcome(const struct night *n, const char *name, const char *kind)
{
    char path[64];
    snprintf(path, sizeof path, "spool/%s.%s.json", name, kind);
    return has_name(&n->dir, path);
}

static const char *wait_outcome(struct night *n, const char *name, const char *kind)
{
    static char path[64];
    snprintf(path, sizeof path, "spool/%s.%s.json", name, kind);
    while (!has_outcome(n, name, "result") && !has_outcome(n, name, "error")) {
        turn(n);
    }
    while (busy(n)) {
        turn(n);
    }
    return file_text(&n->dir, path);
}

static void expect(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("no %s in %s", part, text);
    }
}

/* ---- away ---- */

static void drop_three(struct night *n)
{
    drop(n, "a", "wf_a");
    drop(n, "b", "wf_b");
    drop(n, "c", "wf_a");
    struct store_counts c = {0};
    while (c.waiting < 3) {
        turn(n);
        assert_true(store_counts(n->e->store, &c));
    }
    while (!hold_active(&n->e->endpoint_hold) || busy(n)) {
        turn(n);
    }
}

/* Half of it nobody listens, half of it somebody else does. Every job may have one attempt, and still has it;
 * and no more is asked than one job a probe, the waits between which double up to a quarter of an hour. */
static void an_hour_away_costs_no_attempt(void **state)
{
    struct night *n = *state;
    drop_three(n);
    pass(n, 1800);
    assert_true(hold_active(&n->e->endpoint_hold));
    int64_t refused = n->e->run.requests;
    assert_in_range(refused, 4, 8); /* up to three at once; 1, 3, 7, 15 minutes later and a tenth more each */
    atomic_store(&reply, &AWAY);
    peer_listen(n->peer);
    pass(n, 1800);
    assert_int_equal(n->e->run.requests - refused, n->peer->posts);
    assert_in_range(n->peer->posts, 1, 3);
    assert_true(hold_active(&n->e->endpoint_hold));
    assert_false(has_outcome(n, "a", "error") || has_outcome(n, "b", "error") ||
                 has_outcome(n, "c", "error"));
    atomic_store(&reply, &SUCCESS);
    pass(n, 1000);
    assert_false(hold_active(&n->e->endpoint_hold));
    for (const char *name = "a\0b\0c\0"; *name != '\0'; name += 2) {
        expect(wait_outcome(n, name, "result"), "\"attempts\":1,\"rate_limited\":0,\"ambiguous\":0");
    }
}

/* ---- 404 of the service ---- */

static void not_found_is_remembered_for_a_minute(void **state)
{
    struct night *n = *state;
    atomic_store(&reply, &NOT_FOUND);
    peer_listen(n->peer);
    drop(n, "first", "wf_gone");
    expect(wait_outcome(n, "first", "error"), "\"code\":\"workflow_not_found\"");
    assert_int_equal(n->peer->posts, 1);
    atomic_store(&reply, &SUCCESS);
    pass(n, 30);
    drop(n, "soon", "wf_gone");
    expect(wait_outcome(n, "soon", "error"), "\"attempts\":0");
    assert_int_equal(n->peer->posts, 1);
    pass(n, 31);
    drop(n, "later", "wf_gone");
    expect(wait_outcome(n, "later", "result"), "\"attempts\":1");
    assert_int_equal(n->peer->posts, 2);
}

/* The workflow of "second" has worked for "first". */
static void works_and_is_gone(struct night *n)
{
    atomic_store(&reply, &SUCCESS);
    peer_listen(n->peer);
    drop(n, "first", "wf_a");
    (void)wait_outcome(n, "first", "result");
    atomic_store(&reply, &NOT_FOUND);
    drop(n, "second", "wf_a");
}

/* Somebody publishes it anew, perhaps; after an hour it is gone like any other. */
static void what_has_worked_before_is_waited_for_an_hour(void **state)
{
    struct night *n = *state;
    works_and_is_gone(n);
    while (n->peer->posts < 2 || busy(n)) {
        turn(n);
    }
    pass(n, 3550);
    assert_false(has_outcome(n, "second", "error"));
    assert_in_range(n->peer->posts, 5, 10);
    pass(n, 1100); /* the first probe after the hour: a quarter of one and a tenth more at most */
    assert_true(has_outcome(n, "second", "error"));
    expect(wait_outcome(n, "second", "error"), "\"code\":\"workflow_not_found\"");
}

static void what_comes_back_within_the_hour_goes_on(void **state)
{
    struct night *n = *state;
    works_and_is_gone(n);
    pass(n, 2400);
    atomic_store(&reply, &SUCCESS);
    pass(n, 1100);
    assert_true(has_outcome(n, "second", "result"));
    expect(wait_outcome(n, "second", "result"), "\"attempts\":1,");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_hour_away_costs_no_attempt, begin, finish),
        cmocka_unit_test_setup_teardown(not_found_is_remembered_for_a_minute, begin, finish),
        cmocka_unit_test_setup_teardown(what_has_worked_before_is_waited_for_an_hour, begin, finish),
        cmocka_unit_test_setup_teardown(what_comes_back_within_the_hour_goes_on, begin, finish),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(100); /* a hang is a failure */
    log_set(LOG_ERROR, false);
    return cmocka_run_group_tests_name("daemon_hours", tests, NULL, NULL);
}
