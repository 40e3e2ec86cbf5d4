/* Files that are gone: their waiting jobs stop at once and are forgotten later, if nobody brings them back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/intake_internal.h"
#include "io/log.h"

#define PAGE 256
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

struct missing_write {
    struct intake *in;
    struct path_entry *entry;
    char *path;
};

static void on_missing_written(void *arg, enum store_rc rc)
{
    struct missing_write *m = arg;
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

/* Until it is durable the store still says the opposite: what looks meanwhile would count the file twice. */
static bool write_missing(struct intake *in, const struct file_row *row, int64_t missing_ms)
{
    struct missing_write *m = calloc(1, sizeof *m);
    if (m == NULL)
        return false;
    m->in = in;
    m->path = strdup(row->path);
    m->entry = m->path != NULL ? pathmap_add(&in->marking, row->path) : NULL;
    if (m->entry == NULL) {
        free(m->path);
        free(m);
        return false;
    }
    store_files_missing(in->o.store, &row->id, 1, missing_ms, on_missing_written, m);
    return true;
}

static void mark_missing(struct intake *in, const struct file_row *row)
{
    if (!write_missing(in, row, clock_unix_ms()))
        return; /* no memory: the next scan finds it */
    int64_t jobs = drop_candidates(in, row->id);
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

void intake_back(struct intake *in, const struct file_row *row)
{
    size_t count = 0;
    if (!write_missing(in, row, 0))
        return;
    struct job_row *jobs = store_file_jobs(in->o.store, row->id, &count);
    for (size_t i = 0; i < count; i++)
        if (jobs[i].state == JOB_WAITING && in->vanish_count > 0)
            in->vanish_count--;
    job_rows_free(jobs, count);
    if (in->vanish_gate)
        intake_wake_at(in, clock_mono_ms());
}

int64_t intake_judge_vanished(struct intake *in, int64_t now_ms)
{
    if (in->vanish_last_ms == 0)
        return INT64_MAX;
    if (now_ms - in->vanish_last_ms < VANISH_CALM_MS)
        return in->vanish_last_ms + VANISH_CALM_MS;
    bool many = in->vanish_base >= VANISH_MIN_JOBS && in->vanish_count * 2 > in->vanish_base;
    if (many != in->vanish_gate) {
        in->vanish_gate = many;
        in->o.host.gate(
            in->o.host.arg, GATE_VANISHED, many,
            "more than half of the unfinished jobs vanished at once; put the files back, or accept it with: "
            "flowspool resume");
    }
    return INT64_MAX;
}

void intake_accept_vanished(struct intake *in)
{
    in->vanish_count = in->vanish_base = 0;
    in->vanish_last_ms = 0;
    if (!in->vanish_gate)
        return;
    in->vanish_gate = false;
    in->o.host.gate(in->o.host.arg, GATE_VANISHED, false, "");
}

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
    return !intake_find_file(in, job_path, path, sizeof path, &st);
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

static void forget_old(struct intake *in)
{
    if (in->vanish_gate)
        return;
    size_t count = 0;
    int64_t before = clock_unix_ms() - in->o.config->forget_after_ms;
    struct file_row *rows = store_files_missing_since(in->o.store, before, PAGE, &count);
    for (size_t i = 0; i < count; i++)
        if (really_absent(in, rows[i].path) && !on_its_way(in, rows[i].id) && !may_turn_up(in, &rows[i]))
            store_files_forget(in->o.store, &rows[i].id, 1, NULL, NULL);
    file_rows_free(rows, count);
}

/* Every row is visited, but only those that the scan did not list are looked for on the disk. */
void intake_find_missing(struct intake *in)
{
    char *after = NULL;
    for (;;) {
        size_t count = 0;
        struct file_row *rows = store_files_page(in->o.store, after, PAGE, &count);
        free(after);
        after = count > 0 ? strdup(rows[count - 1].path) : NULL;
        for (size_t i = 0; i < count; i++) {
            const struct file_row *row = &rows[i];
            bool busy = pathmap_find(&in->writing, row->path) != NULL ||
                        pathmap_find(&in->marking, row->path) != NULL || intake_changes(in, row->id);
            if (row->missing_ms == 0 && !busy && !intake_was_seen(in, row->id) &&
                really_absent(in, row->path))
                mark_missing(in, row);
        }
        file_rows_free(rows, count);
        if (after == NULL)
            break;
    }
    forget_old(in);
}
