/* Opening and closing the engine, and reading the configuration again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/engine.h"
#include "daemon/state_dir.h"
#include "flowspool_version.h"
#include "io/log.h"

/* Descriptors besides one per request in flight: database, sockets, scans, outcome files. */
#define SPARE_DESCRIPTORS 128

void engine_log_fault(const char *file, const struct fault *f)
{
    if (f->line != 0 && file != NULL)
        log_line(LOG_ERROR, NULL, "%s:%zu:%zu: %s", file, f->line, f->column, f->text);
    else
        log_line(LOG_ERROR, NULL, "%s", f->text);
}

void engine_normalise_endpoint(const char *text, char out[ENDPOINT_SIZE])
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    snprintf(out, ENDPOINT_SIZE, "%.*s", (int)len, text);
}

/* The key must not leave through a core dump or another process of this user. */
static void harden(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is a disk that is full */
    signal(SIGIO, SIG_IGN);   /* spool_read() takes read leases */
}

static void fit_descriptors(struct engine *e)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    rlim_t want = (rlim_t)e->cfg.max_concurrency + SPARE_DESCRIPTORS;
    if (r.rlim_cur < want) {
        r.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
        setrlimit(RLIMIT_NOFILE, &r);
        getrlimit(RLIMIT_NOFILE, &r);
    }
    if (r.rlim_cur >= want)
        return;
    int fits = r.rlim_cur > SPARE_DESCRIPTORS ? (int)(r.rlim_cur - SPARE_DESCRIPTORS) : 1;
    log_line(LOG_WARN, NULL,
             "the limit of open files (%llu) allows %d requests in flight, not %d (max_concurrency)",
             (unsigned long long)r.rlim_cur, fits, e->cfg.max_concurrency);
    e->cfg.max_concurrency = fits;
}

void engine_fill_http_options(const struct engine *e, struct http_options *o)
{
    *o = (struct http_options){
        .endpoint = e->endpoint,
        .key = e->key.text,
        .ca_file = e->cfg.ca_file,
        .proxy = e->cfg.proxy,
        .request_timeout_ms = e->cfg.request_timeout_ms,
        .connect_timeout_ms = e->cfg.connect_timeout_ms,
        .max_concurrency = e->cfg.max_concurrency,
        .max_response_size = e->cfg.max_response_size,
        .max_response_memory = e->cfg.max_response_memory,
        .spill_dir = e->replies_dir,
        .user_agent = "flowspool/" FLOWSPOOL_VERSION,
    };
}

void engine_apply_config(struct engine *e)
{
    fit_descriptors(e);
    e->retry = (struct retry_policy){
        .max_attempts = e->cfg.retry_max_attempts,
        .base_ms = e->cfg.retry_base_ms,
        .cap_ms = e->cfg.retry_cap_ms,
        .ambiguous_retry = e->cfg.retry_on_ambiguous,
        .max_ambiguous = e->cfg.retry_max_ambiguous,
    };
    const struct governor_options g = {
        .max_concurrency = e->cfg.max_concurrency,
        .max_per_second = e->cfg.rate_max_per_second,
        .hint_limit = e->cfg.rate_limit,
        .hint_window_ms = e->cfg.rate_window_ms,
        .leave_percent = e->cfg.rate_leave_percent,
        .hold_base_ms = e->cfg.retry_base_ms,
        .hold_cap_ms = e->cfg.retry_cap_ms,
    };
    governor_set_options(&e->governor, &g);
}

/* ---- opening ---- */

static void on_fatal(void *arg, const char *message)
{
    engine_fatal(arg, message);
}

static void on_full(void *arg, bool full)
{
    struct engine *e = arg;
    e->store_full = full;
    e->disk_checked_ms = 0;
    engine_gate(e, GATE_DISK, full, "the state cannot grow: the disk is full");
}

static void on_alarm(void *arg)
{
    (void)arg; /* waking is enough: the step runs before the loop sleeps again */
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct engine *e = handle->data;
    switch (number) {
    case SIGTERM:
    case SIGINT:
        engine_drain(e);
        return;
    case SIGHUP:
        log_line(LOG_INFO, NULL, "SIGHUP: reading configuration and key again");
        service_reloading(e->service);
        engine_reload(e);
        service_ready(e->service);
        return;
    case SIGUSR1:
        report_status_line(e);
        return;
    default:
        return;
    }
}

/* First of all: a signal that comes during the start waits for the loop instead of ending the program. */
static void start_signals(struct engine *e)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < 4; i++) {
        uv_signal_init(e->loop, &e->signals[i]);
        e->signals[i].data = e;
        uv_signal_start(&e->signals[i], on_signal, numbers[i]);
    }
}

static int open_intake(struct engine *e, char *message, size_t size)
{
    const struct intake_options o = {
        .config = &e->cfg,
        .endpoint = e->endpoint,
        .loop = e->loop,
        .spool = e->spool,
        .store = e->store,
        .publish = e->publish,
        .host = engine_intake_host(e),
    };
    return intake_open(&e->intake, &o, message, size);
}

/* A new state in a spool that is not new. What is noted is queued before any intent, and so durable before
 * it. */
static void notice_lost_state(struct engine *e)
{
    size_t jobs = 0;
    bool outcomes = false;
    char *new_state = store_get(e->store, STORE_NEW);
    if (new_state == NULL)
        return;
    free(new_state);
    spool_census(e->spool, e->cfg.recursive, 100, &jobs, &outcomes);
    if (jobs >= 100 && outcomes) {
        store_set(e->store, "gate.lost_state", "1", NULL, NULL);
        engine_gate(e, GATE_LOST_STATE, true,
                    "there is no state, but 100 or more jobs and outcomes are there; if that is right, run: "
                    "flowspool resume");
    }
    store_set(e->store, STORE_NEW, NULL, NULL, NULL);
}

static int open_log(const struct engine *e)
{
    int err = e->cfg.log_file[0] != '\0' ? log_to(e->cfg.log_file) : 0;
    if (err == 0)
        return -1;
    log_line(LOG_ERROR, NULL, "log_file %s: %s", e->cfg.log_file,
             err == -EINVAL ? "is not a regular file" : strerror(-err));
    return EXIT_BAD_USAGE;
}

static int open_store(struct engine *e)
{
    bool created = false;
    char message[256];
    enum store_rc rc =
        store_open(&e->store, e->loop, e->state_dir, on_fatal, e, &created, message, sizeof message);
    if (rc != STORE_OK) {
        log_line(LOG_ERROR, NULL, "%s", message);
        return EXIT_UNTRUSTED_STATE;
    }
    store_on_full(e->store, on_full, e);
    notice_lost_state(e);
    return -1;
}

/* What was closed by the operator, or by the account, outlives a restart. */
static void restore_gates(struct engine *e)
{
    char *paused = store_get(e->store, "gate.paused");
    if (paused != NULL)
        engine_gate(e, GATE_PAUSED, true, "paused by the operator; to go on: flowspool resume");
    free(paused);
    char *lost = store_get(e->store, "gate.lost_state");
    if (lost != NULL)
        engine_gate(e, GATE_LOST_STATE, true, "the state was lost; to go on: flowspool resume");
    free(lost);
    char *account = store_get(e->store, "hold.account");
    if (account != NULL) {
        int64_t now = clock_mono_ms();
        enum hold_cause cause = strcmp(account, "401") == 0 ? HOLD_UNAUTHORIZED : HOLD_NO_CREDITS;
        hold_refused(&e->account, cause, "refused before the restart", 0, e->cfg.probe_ms, now,
                     clock_random());
        hold_probe_now(&e->account, now);
        log_line(LOG_WARN, NULL, "the account refused work (%s) before the restart: one job probes now",
                 account);
    }
    free(account);
}

static int load_settings(struct engine *e)
{
    struct fault f;
    if (!config_load(e->opt.config_path, &e->opt.overrides, &e->cfg, &f)) {
        engine_log_fault(e->opt.config_path, &f);
        return EXIT_BAD_USAGE;
    }
    if (!api_key_load(e->opt.api_key_file_option, e->cfg.api_key_file, &e->key, &f)) {
        engine_log_fault(NULL, &f);
        return EXIT_BAD_USAGE;
    }
    e->key_signature = api_key_signature(&e->key);
    engine_normalise_endpoint(e->cfg.endpoint, e->endpoint);
    return -1;
}

/* What the edges alone can judge: the trust anchors, the group. */
static int check_edges(struct engine *e)
{
    char message[512] = "";
    uv_loop_t loop;
    struct http_options http;
    int rc = state_dir_check(&e->cfg, message, sizeof message);
    if (rc < 0 && uv_loop_init(&loop) == 0) {
        engine_fill_http_options(e, &http);
        if (http_open(&e->http, &loop, &http, message, sizeof message) == 0)
            http_close(e->http);
        else
            rc = EXIT_BAD_USAGE;
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_loop_close(&loop);
    }
    if (rc >= 0)
        log_line(LOG_ERROR, NULL, "%s", message);
    return rc;
}

int engine_check_config(struct engine *e, const struct engine_options *o)
{
    *e = (struct engine){.opt = *o};
    int rc = load_settings(e);
    if (rc < 0)
        rc = check_edges(e);
    config_free(&e->cfg);
    api_key_free(&e->key);
    return rc < 0 ? EXIT_OK : rc;
}

static int open_directories(struct engine *e)
{
    char message[512];
    int err = spool_open(&e->spool, e->cfg.spool);
    if (err != 0) {
        log_line(LOG_ERROR, NULL, "spool %s: %s", e->cfg.spool, strerror(-err));
        return EXIT_BAD_USAGE;
    }
    int rc = state_dir_open(&e->cfg, &e->state, message, sizeof message);
    if (rc >= 0) {
        log_line(LOG_ERROR, NULL, "%s", message);
        return rc;
    }
    e->state_dir = e->state.path;
    e->replies_dir = e->state.replies;
    e->superseded_dir = e->state.superseded;
    return -1;
}

static int open_edges(struct engine *e)
{
    char message[512] = "";
    struct http_options http;
    engine_fill_http_options(e, &http);
    int err = http_open(&e->http, e->loop, &http, message, sizeof message);
    if (err != 0) {
        log_line(LOG_ERROR, NULL, "%s", message[0] != '\0' ? message : strerror(-err));
        return EXIT_BAD_USAGE;
    }
    err = publish_open(&e->publish, e->loop, spool_fd(e->spool), e->superseded_dir);
    if (err == 0)
        err = control_open(&e->control, e->loop, e->state_dir, e->state.group, operator_request, e);
    if (err == 0)
        err = open_intake(e, message, sizeof message);
    if (err == 0)
        return -1;
    log_line(LOG_ERROR, NULL, "cannot start: %s", message[0] != '\0' ? message : strerror(-err));
    return EXIT_BAD_USAGE;
}

int engine_open(struct engine *e, uv_loop_t *loop, const struct engine_options *o)
{
    *e =
        (struct engine){.opt = *o, .loop = loop, .schedule_stale = true, .reload = true, .state.lock_fd = -1};
    e->started_ms = clock_mono_ms();
    e->wall_offset_ms = clock_unix_ms() - e->started_ms;
    e->rate_second = e->started_ms / 1000;
    harden();
    start_signals(e);
    e->service = service_open(loop);
    int rc = load_settings(e);
    if (rc < 0)
        rc = open_log(e);
    if (rc < 0)
        rc = open_directories(e);
    if (rc >= 0)
        return rc;
    engine_confine(e); /* before any thread is started: none may stay as it was */
    const struct governor_options none = {.max_concurrency = 1};
    governor_init(&e->governor, &none);
    governor_set_wall(&e->governor, e->wall_offset_ms);
    engine_apply_config(e);
    int err = alarm_open(&e->alarm, loop, on_alarm, e);
    if (err != 0) {
        log_line(LOG_ERROR, NULL, "cannot start: %s", strerror(-err));
        return EXIT_BAD_USAGE;
    }
    rc = open_store(e);
    if (rc < 0)
        rc = open_edges(e);
    if (rc >= 0)
        return rc;
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC); /* libcurl's, and what we were started with */
    report_start(e);
    engine_tell_confinement(e);
    rate_start(e);
    restore_gates(e);
    uv_prepare_init(loop, &e->prepare);
    e->prepare.data = e;
    uv_prepare_start(&e->prepare, engine_before_sleep);
    recovery_begin(e);
    place_look(e);
    service_ready(e->service);
    return -1;
}

/* ---- closing ---- */

static void on_walk(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void free_memory(struct engine *e)
{
    live_drop_candidates(&e->live);
    while (e->live.busy.first != NULL)
        live_remove(&e->live, e->live.busy.first);
    do
        live_unbar(&e->live);
    while (live_bar_round(&e->live));
    for (size_t i = 0; i < e->nblocked; i++)
        free(e->blocked[i].dir);
    operator_free_replies(e);
    precheck_free(e);
    workflow_holds_free(&e->workflows);
    config_free(&e->cfg);
    api_key_free(&e->key);
}

/* Order matters: transfers end first (nothing may call back into a closed engine), then what was already on
 * its way to the disk becomes durable, then the lock goes. */
int engine_close(struct engine *e)
{
    int status = e->exit_status;
    if (e->prepare.data != NULL)
        statusfile_end(e);
    if (e->prepare.data != NULL)
        rate_end(e);
    e->stopped = e->abandoned = true;
    if (e->control != NULL)
        control_close(e->control);
    if (e->intake != NULL)
        intake_stop(e->intake);
    if (e->http != NULL) {
        http_abort_all(e->http);
        http_close(e->http);
    }
    if (e->publish != NULL)
        publish_close(e->publish);
    if (e->store != NULL && !store_close(e->store))
        status = EXIT_UNTRUSTED_STATE;
    place_free(e);
    if (e->alarm != NULL)
        alarm_close(e->alarm);
    service_close(e->service);
    if (e->prepare.data != NULL)
        uv_close((uv_handle_t *)&e->prepare, NULL);
    for (size_t i = 0; i < 4; i++)
        uv_close((uv_handle_t *)&e->signals[i], NULL);
    uv_run(e->loop, UV_RUN_DEFAULT);
    uv_walk(e->loop, on_walk, NULL); /* nothing should be left; a forgotten handle must not keep us alive */
    uv_run(e->loop, UV_RUN_DEFAULT);
    if (e->intake != NULL)
        intake_free(e->intake);
    if (e->spool != NULL)
        spool_close(e->spool);
    state_dir_close(&e->state);
    free_memory(e);
    return status;
}
