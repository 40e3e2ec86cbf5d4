#include "cli/dircheck.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"

#define STEP 1000

/* ---- one file ---- */

static void judge(struct dircheck *d, const char *shown, const char *path, bool held,
                  const struct spool_stat *st, const struct jobfile *jobs)
{
    enum purchase *found = calloc(jobs->count, sizeof *found);
    if (found == NULL || !purchase_judge(&d->purchases, path, st, jobs, found)) {
        d->check->failed = true;
        free(found);
        return;
    }
    for (size_t i = 0; i < jobs->count; i++) {
        bool bought = found[i] == PURCHASE_BUY;
        if (bought && held)
            d->held++;
        else
            d->jobs[found[i]]++;
        if (found[i] == PURCHASE_EXPIRED)
            findings_warning(d->check->findings, shown, "it has expired: it fails, and is not sent");
        jobcheck_request(d->check, shown, jobs, i, bought);
    }
    free(found);
}

static void check_content(struct dircheck *d, const char *shown, const char *path, bool held,
                          const char *bytes, size_t len, const struct spool_stat *st)
{
    struct jobfile jobs;
    if (!jobcheck_file(d->check, shown, path, bytes, len, &jobs))
        return;
    judge(d, shown, path, held, st, &jobs);
    jobfile_free(&jobs);
}

static void cannot_read(struct dircheck *d, const char *shown, int err)
{
    struct findings *f = d->check->findings;
    if (err == -EFBIG)
        findings_fault_text(f, shown, "larger than max_job_size (%lld bytes)",
                            (long long)d->cfg->max_job_size);
    else if (err == -EAGAIN)
        findings_warning(f, shown, "somebody is still writing it: not checked");
    else if (err != -ENOENT) /* gone again */
        findings_fault_text(f, shown, "cannot be read: %s", strerror(-err));
}

/* The daemon looks at NAME.yaml first, and at NAME.yaml.hold only without. */
static bool is_hidden(struct dircheck *d, const char *path, const char *job_path)
{
    return strcmp(path, job_path) != 0 && spool_exists(d->purchases.spool, job_path) == 1;
}

static void check_file(struct dircheck *d, const char *shown, const char *path, const char *job_path)
{
    char *bytes = NULL;
    size_t len = 0;
    struct spool_stat st;
    bool writer = false;
    if (is_hidden(d, path, job_path)) {
        d->ignored++;
        findings_warning(d->check->findings, shown, "ignored as long as %s is there", job_path);
        return;
    }
    d->files++;
    int err = spool_read(d->purchases.spool, path, d->cfg->max_job_size, &bytes, &len, &st, &writer);
    if (err == 0 && !writer)
        check_content(d, shown, job_path, strcmp(path, job_path) != 0, bytes, len, &st);
    else
        cannot_read(d, shown, writer ? -EAGAIN : err);
    free(bytes);
}

static void on_file(struct dircheck *d, const char *path)
{
    char *shown = NULL, *job_path = strndup(path, name_job_len(path));
    if (job_path != NULL && asprintf(&shown, "%s/%s", d->dir, path) >= 0) {
        check_file(d, shown, path, job_path);
        free(shown);
    } else {
        d->check->failed = true;
    }
    free(job_path);
}

/* ---- all of them ---- */

static void on_item(void *arg, enum scan_item item, const char *path, const char *note, int err)
{
    struct dircheck *d = arg;
    char *shown = NULL;
    if (item == SCAN_FILE)
        on_file(d, path);
    bool ignored = item == SCAN_IGNORED || item == SCAN_OTHER_SPOOL;
    if (!ignored && item != SCAN_DIR_FAILED)
        return;
    if (asprintf(&shown, "%s/%s", d->dir, path) < 0) {
        d->check->failed = true;
        return;
    }
    if (ignored)
        d->ignored++, findings_warning(d->check->findings, shown, "ignored: %s", note);
    else
        findings_fault_text(d->check->findings, shown, "cannot be listed: %s", strerror(-err));
    free(shown);
}

static int scan(struct dircheck *d)
{
    struct spool_scan *c;
    int rc = spool_scan_begin(d->purchases.spool, d->recursive, &c);
    if (rc != 0)
        return rc;
    while ((rc = spool_scan_step(c, STEP, on_item, d)) > 0 && !d->check->failed) {}
    spool_scan_end(c);
    return rc < 0 ? rc : 0;
}

static void open_state(struct dircheck *d, const char *state_dir)
{
    char message[512];
    enum store_rc rc = store_open_readonly(&d->purchases.store, state_dir, message, sizeof message);
    if (rc != STORE_OK)
        d->purchases.store = NULL;
    if (rc != STORE_OK && rc != STORE_ABSENT)
        findings_warning(d->check->findings, d->dir,
                         "%s; a job whose result was moved away counts as a purchase", message);
}

static void close_state(struct dircheck *d)
{
    struct store *s = d->purchases.store;
    if (s == NULL)
        return;
    if (store_error(s) != NULL)
        findings_fault_text(d->check->findings, d->dir, "%s", store_error(s));
    store_close(s);
}

bool dircheck_run(struct dircheck *d, const char *state_dir)
{
    int err = spool_open(&d->purchases.spool, d->dir);
    if (err == 0) {
        open_state(d, state_dir);
        err = scan(d);
        d->paused = spool_exists(d->purchases.spool, "PAUSE") == 1;
        close_state(d);
        spool_close(d->purchases.spool);
    }
    if (err != 0)
        findings_fault_text(d->check->findings, d->dir, "cannot be listed: %s", strerror(-err));
    return err == 0;
}
