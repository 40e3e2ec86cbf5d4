/* Reading configuration and key again: whole or not at all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine.h"
#include "io/log.h"

#define KEY_CHECK_MS 2000

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool needs_restart(const struct config *old, const struct config *new)
{
    return !same(old->spool, new->spool) || !same(old->state_dir, new->state_dir) ||
           !same(old->state_group, new->state_group) || old->recursive != new->recursive ||
           !same(old->log_file, new->log_file) || old->confine != new->confine;
}

static void probe_all_now(struct engine *e)
{
    int64_t now = clock_mono_ms();
    hold_probe_now(&e->account, now);
    hold_probe_now(&e->endpoint_hold, now);
    for (size_t i = 0; i < e->workflows.count; i++)
        hold_probe_now(&e->workflows.items[i].hold, now);
    e->account_probe_refused = false;
    e->reload = true;
    engine_wake(e);
}

void engine_reopen_foreign_sandbox_jobs(struct engine *e)
{
    size_t count = 0;
    struct job_row *rows = store_load_foreign_sandbox(e->store, e->endpoint, SIZE_MAX, &count);
    for (size_t i = 0; i < count; i++)
        intake_look_again(e->intake, rows[i].path);
    if (count > 0)
        log_line(LOG_INFO, NULL, "%zu results came from a sandbox at another endpoint: their jobs run again",
                 count);
    job_rows_free(rows, count);
}

/* Takes both over, and frees what they replace; false: everything is as it was, and that is said. */
static bool switch_to(struct engine *e, const struct config *fresh, const struct api_key *key, bool *moved)
{
    char old_endpoint[ENDPOINT_SIZE];
    struct config old_cfg = e->cfg;
    struct api_key old_key = e->key;
    memcpy(old_endpoint, e->endpoint, sizeof old_endpoint);
    e->cfg = *fresh;
    e->key = *key;
    engine_normalise_endpoint(fresh->endpoint, e->endpoint);
    struct http_options o;
    char message[256];
    engine_fill_http_options(e, &o);
    if (http_configure(e->http, &o, message, sizeof message) != 0) {
        log_line(LOG_ERROR, NULL, "%s; the configuration stays as it was", message);
        e->cfg = old_cfg;
        e->key = old_key;
        memcpy(e->endpoint, old_endpoint, sizeof old_endpoint);
        return false;
    }
    *moved = !same(old_endpoint, e->endpoint);
    config_free(&old_cfg);
    api_key_free(&old_key);
    return true;
}

/* A file that is named now, cannot be read, and could after a restart. */
static void tell_confinement(const struct engine *e, const struct config *fresh)
{
    if (e->cfg.confine &&
        (!same(e->cfg.api_key_file, fresh->api_key_file) || !same(e->cfg.ca_file, fresh->ca_file)))
        log_line(LOG_ERROR, NULL,
                 "being confined, flowspoold reads files from /etc and from directories that it was "
                 "started with; others take a restart");
}

/* Whatever else SIGHUP finds: who rotates logs waits for this. */
static void open_log_anew(const struct engine *e)
{
    int err = e->cfg.log_file[0] != '\0' ? log_to(e->cfg.log_file) : 0;
    if (err != 0)
        log_line(LOG_ERROR, NULL, "%s cannot be opened anew: %s; the log stays where it was", e->cfg.log_file,
                 strerror(-err));
}

int engine_reload(struct engine *e)
{
    open_log_anew(e);
    struct config fresh = {0};
    struct api_key key = {0};
    struct fault f;
    if (!config_load(e->opt.config_path, &e->opt.overrides, &fresh, &f)) {
        engine_log_fault(e->opt.config_path, &f);
        log_line(LOG_ERROR, NULL, "the configuration stays as it was");
        return -EINVAL;
    }
    if (!api_key_load(e->opt.api_key_file_option, fresh.api_key_file, &key, &f)) {
        engine_log_fault(NULL, &f);
        log_line(LOG_ERROR, NULL, "configuration and key stay as they were");
        tell_confinement(e, &fresh);
        config_free(&fresh);
        return -EINVAL;
    }
    if (needs_restart(&e->cfg, &fresh)) {
        log_line(LOG_ERROR, NULL,
                 "spool, state_dir, state_group, recursive, log_file and confine change only with a restart; "
                 "the configuration stays as it was");
        config_free(&fresh);
        api_key_free(&key);
        return -EINVAL;
    }
    bool moved = false;
    if (!switch_to(e, &fresh, &key, &moved)) {
        tell_confinement(e, &fresh);
        config_free(&fresh);
        api_key_free(&key);
        return -EINVAL;
    }
    e->key_signature = api_key_signature(&e->key);
    engine_apply_config(e);
    rate_moved(e);
    intake_reconfigured(e->intake);
    if (moved)
        engine_reopen_foreign_sandbox_jobs(e);
    report_start(e);
    probe_all_now(e);
    intake_rescan(e->intake);
    return 0;
}

/* A changed key file is noticed by its signature; the first check after a change reads it. */
void engine_check_key(struct engine *e, int64_t now_ms)
{
    if (e->key.file == NULL || now_ms - e->key_checked_ms < KEY_CHECK_MS)
        return;
    e->key_checked_ms = now_ms;
    uint64_t signature = api_key_signature(&e->key);
    if (signature == e->key_signature || signature == 0)
        return;
    struct api_key fresh = {0};
    struct fault f;
    e->key_signature = signature;
    if (!api_key_load(e->opt.api_key_file_option, e->cfg.api_key_file, &fresh, &f)) {
        engine_log_fault(NULL, &f);
        log_line(LOG_ERROR, NULL, "the changed key cannot be used; the old one stays");
        return;
    }
    struct api_key old = e->key;
    struct http_options o;
    char message[256];
    e->key = fresh;
    engine_fill_http_options(e, &o);
    if (http_configure(e->http, &o, message, sizeof message) != 0) {
        e->key = old;
        api_key_free(&fresh);
        log_line(LOG_ERROR, NULL, "%s; the old key stays", message);
        return;
    }
    bool changed = !same(old.short_hash, fresh.short_hash);
    api_key_free(&old);
    if (!changed)
        return;
    log_line(LOG_WARN, NULL, "the key changed: now %s from %s", e->key.short_hash, e->key.source);
    rate_moved(e);
    probe_all_now(e);
}
