/* Files that are gone: their waiting jobs stop at once and are forgotten later, if nobody brings them back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/intake_internal.h"
#include "io/log.h"

/* Rows that are looked at in one go. */
#define PAGE         256
#define VANISHED_KEY "gate.vanished"
/* More than half of at least this many jobs at once is more likely an accident than a wish. */
#define VANISH_MIN_JOBS 20
/* A burst is over when nothing vanished for so long; a rename inside the spool shows as gone, then back. */
#define VANISH_CALM_MS   300
#define VANISH_WINDOW_MS 5000

static int64_t unfinished_jobs(struct intake *in)
{
    struct store_counts c = {0};
    if (!store_counts(in->o.store, &c))
        return 0;
    return c.waiting + c.deferred + c.held + c.in_flight + c.replied;
}

static int64_t drop_candidates(struct intake *in, int64_t file_id)
{
    size_t count = 0;
    int64_t unfinished = 0;
    struct job_row *jobs = store_file_jobs(in->o.store, file_id, &count);
    for (size_t i = 0; i < count; i++) {
        if (jobs[i].state == JOB_WAITING || jobs[i].state == JOB_SENT)
            unfinished++;
        in->o.host.drop(in->o.host.arg, jobs[i].id);
    }
    job_rows_free(jobs, count);
    return unfinished;
}

static void count_vanished(struct intake *in, int64_t jobs)
{
    int64_t now = clock_mono_ms();
    if (jobs == 0)
        return;
    if (!in->vanish_gate && (in->vanish_last_ms == 0 || now - in->vanish_last_ms > VANISH_WINDOW_MS)) {
        in->vanish_base = unfinished_jobs(in);
        in->vanish_count = 0;
    }
    in->vanish_count += jobs;
    in->vanish_last_ms = now;
    intake_wake_at(in, now + VANISH_CALM_MS);
}

/* That a file is gone, back, held or no longer held, on its way to the store. */
struct mark {
    struct intake *in;
    struct path_entry *entry;
    char *path;
};

static void on_marked(void *arg, enum store_rc rc)
{
    struct mark *m = arg;
    struct intake *in = m->in;
    bool again = m->entry->again, arrived = m->entry->arrived;
    (void)rc;
    pathmap_remove(&in->marking, m->entry);
    if (again && !in->stopped)
        intake_look(in, m->path, arrived, clock_unix_ms());
    intake_resume_scan(in);
    in->o.host.changed(in->o.host.arg);
    free(m->path);
    free(m);
}

/* Until it is durable the store still says the opposite: what looks meanwhile would count the file twice, or
 * miss that it changed back. NULL: no memory. */
static struct mark *begin_mark(struct intake *in, const char *path)
{
    struct mark *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->in = in;
    m->path = strdup(path);
    m->entry = m->path != NULL ? pathmap_add(&in->marking, path) : NULL;
    if (m->entry != NULL)
        return m;
    free(m->path);
    free(m);
    return NULL;
}

static void mark_missing(struct intake *in, const struct file_row *row)
{
    struct mark *m = begin_mark(in, row->path);
    if (m == NULL)
        return; /* the next scan finds it */
    store_files_missing(in->o.store, &row->id, 1, clock_unix_ms(), on_marked, m);
    int64_t jobs = drop_candidates(in, row->id);
    if (spool_in_other(in->o.spool, row->path) == 1) {
        log_line(LOG_INFO, row->path, "its directory is another spool now: what was waiting is left to that");
        return;
    }
    count_vanished(in, jobs);
    if (jobs > 0)
        log_line(LOG_INFO, row->path, "its file is gone: what was waiting will not be sent");
}

void intake_gone(struct intake *in, const char *job_path)
{
    struct file_row row = {0};
    if (!store_file_by_path(in->o.store, job_path, &row))
        return;
    if (row.missing_ms == 0 && !intake_changes(in, row.id)) /* else it is about to have another name */
        mark_missing(in, &row);
    file_row_free(&row);
}

static void count_back(struct intake *in, int64_t file_id)
{
    size_t count = 0;
    struct job_row *jobs = store_file_jobs(in->o.store, file_id, &count);
    for (size_t i = 0; i < count; i++)
        if (jobs[i].state == JOB_WAITING && in->vanish_count > 0)
            in->vanish_count--;
    job_rows_free(jobs, count);
    if (in->vanish_gate)
        intake_wake_at(in, clock_mono_ms());
}

void intake_back_or_held(struct intake *in, const struct file_row *row, bool held, const struct file_sig *sig)
{
    struct mark *m = begin_mark(in, row->path);
    bool back = row->missing_ms != 0;
    if (m == NULL)
        return; /* the next scan finds it */
    if (back)
        count_back(in, row->id);
    if (held)
        drop_candidates(in, row->id);
    if (back && row->held != held)
        store_files_missing(in->o.store, &row->id, 1, 0, NULL, NULL);
    if (row->held != held)
        store_file_held(in->o.store, row->id, held, sig, on_marked, m);
    else
        store_files_missing(in->o.store, &row->id, 1, 0, on_marked, m);
}

/* ---- many at once ---- */

static void hold_vanished(struct intake *in, bool closed)
{
    in->vanish_gate = closed;
    in->o.host.gate(
        in->o.host.arg, GATE_VANISHED, closed,
        "more than half of the unfinished jobs vanished at once; put the files back, or accept it with: "
        "flowspool resume");
}

/* What it is decided by outlives a restart, so that the files may be put back afterwards too. */
static void store_vanished(struct intake *in)
{
    char counts[48];
    snprintf(counts, sizeof counts, "%lld %lld", (long long)in->vanish_count, (long long)in->vanish_base);
    store_set(in->o.store, VANISHED_KEY, in->vanish_gate ? counts : NULL, NULL, NULL);
}

void intake_restore_vanished(struct intake *in)
{
    char *counts = store_get(in->o.store, VANISHED_KEY);
    if (counts != NULL) {
        char *rest;
        in->vanish_count = strtoll(counts, &rest, 10);
        in->vanish_base = strtoll(rest, NULL, 10);
        in->vanish_last_ms = clock_mono_ms();
        hold_vanished(in, true);
    }
    free(counts);
}

int64_t intake_judge_vanished(struct intake *in, int64_t now_ms)
{
    if (in->vanish_last_ms == 0)
        return INT64_MAX;
    if (now_ms - in->vanish_last_ms < VANISH_CALM_MS)
        return in->vanish_last_ms + VANISH_CALM_MS;
    bool many = in->vanish_base >= VANISH_MIN_JOBS && in->vanish_count * 2 > in->vanish_base;
    if (many != in->vanish_gate) {
        hold_vanished(in, many);
        store_vanished(in);
    }
    return INT64_MAX;
}

void intake_accept_vanished(struct intake *in)
{
    in->vanish_count = in->vanish_base = 0;
    in->vanish_last_ms = 0;
    if (!in->vanish_gate)
        return;
    hold_vanished(in, false);
    store_vanished(in);
}

/* ---- absent for good ---- */

static bool in_failed_dir(const struct intake *in, const char *path)
{
    for (size_t i = 0; i < in->nfailed_dirs; i++) {
        size_t len = strlen(in->failed_dirs[i]);
        if (len == 0 || (strncmp(path, in->failed_dirs[i], len) == 0 && path[len] == '/'))
            return true;
    }
    return false;
}

static bool really_absent(struct intake *in, const char *job_path)
{
    char path[4096];
    struct spool_stat st;
    if (in_failed_dir(in, job_path))
        return false;
    return intake_find_file(in, job_path, path, sizeof path, &st) == -ENOENT;
}

static bool on_its_way(struct intake *in, int64_t file_id)
{
    size_t count = 0;
    bool busy = false;
    struct job_row *jobs = store_file_jobs(in->o.store, file_id, &count);
    for (size_t i = 0; i < count; i++) {
        enum live_phase p = in->o.host.phase(in->o.host.arg, jobs[i].id);
        busy = busy || p == LIVE_IN_FLIGHT || p == LIVE_PUBLISHING;
    }
    job_rows_free(jobs, count);
    return busy;
}

int64_t intake_find_gone(struct intake *in, const char *job_path)
{
    struct file_row row = {0};
    if (in->vanish_gate || !store_file_by_path(in->o.store, job_path, &row))
        return 0;
    int64_t id = really_absent(in, job_path) && !on_its_way(in, row.id) ? row.id : 0;
    file_row_free(&row);
    return id;
}

/* A file that lost its path may be one that has to be looked at again. */
static bool may_turn_up(const struct intake *in, const struct file_row *row)
{
    return row->path[0] == '\0' && in->waiting.count + in->writing.count > 0;
}

/* ---- the sweep ---- */

void intake_sweep_begin(struct intake *in)
{
    in->sweep = SWEEP_MISSING;
}

void intake_sweep_end(struct intake *in)
{
    in->sweep = SWEEP_NONE;
    free(in->sweep_path);
    in->sweep_path = NULL;
    in->sweep_row = (struct file_row){0};
}

/* Every row is visited, but only those that the scan did not list are looked for on the disk. */
static bool find_missing(struct intake *in)
{
    size_t count = 0;
    struct file_row *rows = store_files_page(in->o.store, in->sweep_path, PAGE, &count);
    free(in->sweep_path);
    in->sweep_path = count > 0 ? strdup(rows[count - 1].path) : NULL;
    for (size_t i = 0; i < count; i++) {
        const struct file_row *row = &rows[i];
        if (row->missing_ms != 0 || intake_was_seen(in, row->id)) /* nearly all: nothing dearer is asked */
            continue;
        bool busy = pathmap_find(&in->writing, row->path) != NULL ||
                    pathmap_find(&in->marking, row->path) != NULL || intake_changes(in, row->id);
        if (!busy && really_absent(in, row->path))
            mark_missing(in, row);
    }
    file_rows_free(rows, count);
    return in->sweep_path != NULL;
}

static void on_forgotten(void *arg, enum store_rc rc)
{
    struct intake *in = arg;
    (void)rc;
    in->forgetting = false;
    intake_resume_scan(in);
}

/* A page at a time is on its way out: replies need not wait behind more. */
static bool forget_old(struct intake *in)
{
    size_t count = 0, nids = 0;
    int64_t ids[PAGE];
    int64_t before = clock_unix_ms() - in->o.config->forget_after_ms;
    struct file_row *rows =
        in->vanish_gate ? NULL : store_files_missing_since(in->o.store, before, &in->sweep_row, PAGE, &count);
    for (size_t i = 0; i < count; i++)
        if (really_absent(in, rows[i].path) && !on_its_way(in, rows[i].id) && !may_turn_up(in, &rows[i]))
            ids[nids++] = rows[i].id;
    if (count > 0) {
        in->sweep_row.missing_ms = rows[count - 1].missing_ms;
        in->sweep_row.id = rows[count - 1].id;
    }
    file_rows_free(rows, count);
    in->forgetting = nids > 0;
    if (nids > 0)
        store_files_forget(in->o.store, ids, nids, on_forgotten, in);
    return count > 0;
}

bool intake_sweep_step(struct intake *in)
{
    if (in->sweep == SWEEP_FORGET)
        return forget_old(in);
    if (!find_missing(in))
        in->sweep = SWEEP_FORGET;
    return true;
}
