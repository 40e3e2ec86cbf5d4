/* The scan as the truth, events as hints, and the one alarm that looks again. */
#include "daemon/intake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/intake_internal.h"
#include "io/log.h"

/* Names a slice, and how long one may take, so that the loop is never blocked by a large spool. */
#define SLICE_NAMES 64
#define SLICE_MS    5
/* A scan that took long is not repeated sooner than so many times its own duration. */
#define SCAN_REST           10
#define SPOOL_GONE_RETRY_MS 5000

void intake_wake_at(struct intake *in, int64_t mono_ms)
{
    /* The alarm rings early at worst: on_alarm works out the next time anew. */
    if (!in->stopped && mono_ms < in->alarm_ms) {
        in->alarm_ms = mono_ms;
        alarm_set(in->alarm, mono_ms);
    }
}

/* ---- the scan ---- */

static void note_failed_dir(struct intake *in, const char *path)
{
    char **grown = realloc(in->failed_dirs, (in->nfailed_dirs + 1) * sizeof *grown);
    char *copy = strdup(path);
    if (grown != NULL)
        in->failed_dirs = grown;
    if (grown == NULL || copy == NULL) {
        free(copy);
        return;
    }
    in->failed_dirs[in->nfailed_dirs++] = copy;
}

static void clear_failed_dirs(struct intake *in)
{
    for (size_t i = 0; i < in->nfailed_dirs; i++)
        free(in->failed_dirs[i]);
    free(in->failed_dirs);
    in->failed_dirs = NULL;
    in->nfailed_dirs = 0;
}

bool intake_tell_once(struct intake *in, const char *path)
{
    struct path_entry *t = pathmap_find(&in->told, path);
    bool first = t == NULL;
    if (first && in->told.count < INTAKE_CANDIDATES_MAX)
        t = pathmap_add(&in->told, path);
    if (t != NULL)
        t->met = in->pass;
    return first && t != NULL;
}

/* What one whole scan did not meet may still be on its way to be told; two are proof. */
static void forget_told(struct intake *in)
{
    for (struct path_entry *t = in->told.first, *next; t != NULL; t = next) {
        next = t->next;
        if (t->met + 1 < in->pass)
            pathmap_remove(&in->told, t);
    }
}

/* One line a directory, not one a file: a folder full of links must not fill the log. */
static void tell_ignored(struct intake *in, const char *path, const char *note)
{
    const char *slash = strrchr(path, '/');
    char dir[4096];
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    in->ignored++;
    if (len >= sizeof dir)
        return;
    memcpy(dir, path, len);
    dir[len] = '\0';
    if (intake_tell_once(in, dir))
        log_line(LOG_WARN, path, "ignored: %s (said once a directory)", note);
}

/* The publisher's thread is at work during a scan: what it has just written aside is not a left-over. */
static void sweep_left_over(const struct intake *in, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!publish_wrote(in->o.publish, slash == NULL ? path : slash + 1))
        spool_sweep(in->o.spool, path);
}

static void on_item(void *arg, enum scan_item item, const char *path, const char *note, int err)
{
    struct intake *in = arg;
    switch (item) {
    case SCAN_FILE:
        intake_look(in, path, false, in->scan_began_unix_ms);
        return;
    case SCAN_IGNORED:
        tell_ignored(in, path, note);
        return;
    case SCAN_OTHER_SPOOL:
        watch_drop(in->watch, path);
        tell_ignored(in, path, note);
        return;
    case SCAN_DIR_ENTER:
        if (watch_add(in->watch, path) == -ENOSPC)
            log_line(LOG_WARN, path,
                     "the kernel's limit of watches is reached: changes there are found by the rescan");
        return;
    case SCAN_DIR_FAILED:
        note_failed_dir(in, path);
        if (err != -ENOENT)
            log_line(LOG_WARN, path, "cannot be listed: %s", strerror(-err));
        return;
    case SCAN_TEMP:
        sweep_left_over(in, path);
        return;
    case SCAN_DIR_DONE:
        return;
    }
}

/* The name itself is asked, never a listing: that says what was, and a scan takes a while. */
static void look_for_pause(struct intake *in)
{
    int there = spool_exists(in->o.spool, "PAUSE");
    if (there >= 0)
        in->o.host.gate(in->o.host.arg, GATE_PAUSE_FILE, there > 0,
                        "a file PAUSE lies in the spool; to go on, remove it");
}

static void stop_slices(struct intake *in)
{
    if (in->slicing)
        uv_idle_stop(&in->slices);
    in->slicing = false;
}

static void end_pass(struct intake *in, bool there)
{
    int64_t now = clock_mono_ms();
    int64_t took = now - in->scan_began_mono_ms;
    intake_sweep_end(in);
    stop_slices(in);
    if (there) {
        forget_told(in);
        in->ignored_last = in->ignored;
        in->scanned = true;
        intake_reread_end(in, true);
    }
    int64_t rest = took * SCAN_REST > in->o.config->rescan_ms ? took * SCAN_REST : in->o.config->rescan_ms;
    in->next_scan_ms = now + (in->scan_again ? 0 : there ? rest : SPOOL_GONE_RETRY_MS);
    in->scan_again = false;
    intake_wake_at(in, in->next_scan_ms);
    in->o.host.changed(in->o.host.arg);
}

/* All names are listed; what they do not tell is in the rows. */
static void end_scan(struct intake *in, int result)
{
    spool_scan_end(in->scan);
    in->scan = NULL;
    bool there = result == 0 && spool_still_there(in->o.spool);
    in->o.host.gate(in->o.host.arg, GATE_SPOOL_GONE, !there,
                    "the spool directory cannot be listed or was replaced; put it back (a new directory "
                    "needs a restart)");
    if (there) {
        look_for_pause(in);
        intake_sweep_begin(in);
    } else {
        end_pass(in, false);
    }
}

static bool in_a_pass(const struct intake *in)
{
    return in->scan != NULL || in->sweep != SWEEP_NONE;
}

static void on_slice(uv_idle_t *handle)
{
    struct intake *in = handle->data;
    int64_t until = clock_mono_ms() + SLICE_MS;
    while (in_a_pass(in) && clock_mono_ms() < until) {
        if (in->writing.count + in->marking.count >= INTAKE_WRITING_MAX || in->forgetting) {
            stop_slices(in);
            return;
        }
        if (in->scan == NULL) {
            if (!intake_sweep_step(in))
                end_pass(in, true);
            continue;
        }
        int more = spool_scan_step(in->scan, SLICE_NAMES, on_item, in);
        if (more != 1)
            end_scan(in, more);
    }
}

void intake_resume_scan(struct intake *in)
{
    intake_reread_end(in, false);
    if (!in_a_pass(in) || in->slicing || in->stopped || in->forgetting ||
        in->writing.count + in->marking.count > INTAKE_WRITING_MAX / 2)
        return;
    in->slicing = true;
    uv_idle_start(&in->slices, on_slice);
}

static void begin_scan(struct intake *in)
{
    if (in_a_pass(in)) {
        in->scan_again = true;
        return;
    }
    int err = spool_scan_begin(in->o.spool, in->o.config->recursive, &in->scan);
    if (err != 0) {
        in->o.host.gate(in->o.host.arg, GATE_SPOOL_GONE, true, "the spool directory cannot be listed");
        in->next_scan_ms = clock_mono_ms() + SPOOL_GONE_RETRY_MS;
        intake_wake_at(in, in->next_scan_ms);
        return;
    }
    in->scan_began_mono_ms = clock_mono_ms();
    in->scan_began_unix_ms = clock_unix_ms();
    in->ignored = 0;
    in->pass++;
    in->reread_pass = in->rereading;
    look_for_pause(in);
    clear_failed_dirs(in);
    if (in->seen != NULL)
        memset(in->seen, 0, in->seen_bytes);
    intake_resume_scan(in);
}

/* ---- hints ---- */

static void on_event(void *arg, enum watch_event event, const char *path)
{
    struct intake *in = arg;
    if (in->stopped)
        return;
    switch (event) {
    case WATCH_OVERFLOW:
        log_line(LOG_INFO, NULL, "file events were lost: scanning");
        begin_scan(in);
        return;
    case WATCH_DIR:
        if (in->o.config->recursive)
            begin_scan(in);
        return;
    case WATCH_SELF_GONE:
        begin_scan(in);
        return;
    case WATCH_WRITTEN:
    case WATCH_ARRIVED:
    case WATCH_CREATED:
    case WATCH_GONE:
        break;
    }
    if (strcmp(path, "PAUSE") == 0)
        look_for_pause(in);
    else if (event == WATCH_CREATED)
        intake_look_created(in, path, clock_unix_ms());
    else
        intake_look(in, path, event == WATCH_ARRIVED, clock_unix_ms());
}

static void on_alarm(void *arg)
{
    struct intake *in = arg;
    int64_t now = clock_mono_ms();
    if (in->stopped || in->next_scan_ms == INT64_MAX) /* or not yet started */
        return;
    in->alarm_ms = INT64_MAX;
    int64_t due = intake_look_due(in, now);
    int64_t vanished = intake_judge_vanished(in, now);
    if (now >= in->next_scan_ms) {
        in->next_scan_ms = now + in->o.config->rescan_ms;
        begin_scan(in);
    }
    if (vanished < due)
        due = vanished;
    intake_wake_at(in, due < in->next_scan_ms ? due : in->next_scan_ms);
}

/* ---- life ---- */

int intake_open(struct intake **out, const struct intake_options *o, char *message, size_t size)
{
    struct intake *in = calloc(1, sizeof *in);
    if (in == NULL)
        return -ENOMEM;
    in->o = *o;
    in->alarm_ms = INT64_MAX;
    in->next_scan_ms = INT64_MAX;
    const char *kind = NULL;
    in->network = spool_is_network(o->spool, &kind);
    if (in->network)
        log_line(LOG_WARN, NULL,
                 "the spool is on %s: files settle for at least 10 s, and only the rescan sees files that "
                 "other hosts write",
                 kind);
    int err = watch_open(&in->watch, o->loop, o->config->spool, on_event, in);
    if (err == 0)
        err = alarm_open(&in->alarm, o->loop, on_alarm, in);
    if (err != 0) {
        snprintf(message, size, "cannot watch the spool: %s", strerror(-err));
        if (in->watch != NULL)
            watch_close(in->watch);
        free(in);
        return err;
    }
    uv_idle_init(o->loop, &in->slices);
    in->slices.data = in;
    *out = in;
    return 0;
}

void intake_start(struct intake *in)
{
    if (watch_add(in->watch, "") != 0)
        log_line(LOG_WARN, NULL, "the spool cannot be watched: new files are found by the rescan");
    in->next_scan_ms = clock_mono_ms() + in->o.config->rescan_ms;
    in->alarm_ms = INT64_MAX;
    intake_wake_at(in, 0);
    intake_restore_vanished(in);
    intake_compare_settings(in);
    begin_scan(in);
}

void intake_reconfigured(struct intake *in)
{
    if (in->stopped)
        return;
    intake_compare_settings(in);
    begin_scan(in);
}

void intake_rescan(struct intake *in)
{
    if (!in->stopped)
        begin_scan(in);
}

int intake_look_again(struct intake *in, const char *path)
{
    char found[4096];
    struct spool_stat st;
    if (in->stopped)
        return -ESHUTDOWN;
    struct path_entry *busy = pathmap_find(&in->writing, path);
    if (busy != NULL) {
        busy->again = busy->force = true;
        return 0;
    }
    if (intake_find_file(in, path, found, sizeof found, &st) == -ENOENT)
        return -ENOENT;
    if (in->waiting.count >= INTAKE_CANDIDATES_MAX && pathmap_find(&in->waiting, path) == NULL)
        return -EAGAIN;
    struct path_entry *w = pathmap_add(&in->waiting, path);
    if (w == NULL)
        return -ENOMEM;
    w->force = true;
    w->due_ms = 0;
    intake_wake_at(in, 0);
    return 0;
}

bool intake_is_reading(const struct intake *in, const char *path)
{
    return pathmap_find(&in->writing, path) != NULL;
}

/* Files that nobody may read, or that somebody keeps open: they may stay so for ever. */
static bool only_in_vain(const struct intake *in)
{
    for (const struct path_entry *w = in->waiting.first; w != NULL; w = w->next)
        if (w->in_vain < 2)
            return false;
    return true;
}

bool intake_is_stuck(const struct intake *in)
{
    return in->waiting.count > 0 && only_in_vain(in);
}

bool intake_idle(const struct intake *in)
{
    return in->scanned && !in_a_pass(in) && !in->rereading && in->writing.count == 0 &&
           in->marking.count == 0 && only_in_vain(in);
}

bool intake_scanned(const struct intake *in)
{
    return in->scanned;
}

size_t intake_ignored(const struct intake *in)
{
    return in->ignored_last;
}

void intake_stop(struct intake *in)
{
    if (in->stopped)
        return;
    in->stopped = true;
    stop_slices(in);
    if (in->scan != NULL)
        spool_scan_end(in->scan);
    in->scan = NULL;
    intake_sweep_end(in);
    watch_close(in->watch);
    alarm_close(in->alarm);
    uv_close((uv_handle_t *)&in->slices, NULL);
}

void intake_free(struct intake *in)
{
    pathmap_clear(&in->waiting);
    pathmap_clear(&in->writing);
    pathmap_clear(&in->marking);
    pathmap_clear(&in->told);
    clear_failed_dirs(in);
    free(in->seen);
    free(in);
}
