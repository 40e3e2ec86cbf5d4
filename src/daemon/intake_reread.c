/* Settings that decide what a job file means: when they are others than those under which the known files
 * were read, what waits and what was refused is read again in the next scan, and nothing is sent until that
 * is stored. A file that cannot be read or listed just then keeps what it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/intake_internal.h"
#include "io/log.h"

#define SETTINGS_KEY "intake.settings"

static void describe(const struct intake *in, char *buf, size_t size)
{
    snprintf(buf, size, "inputs_as=%d max_job_size=%lld", (int)in->o.config->inputs_as,
             (long long)in->o.config->max_job_size);
}

static void store_settings(struct intake *in)
{
    char settings[80], value[120];
    describe(in, settings, sizeof settings);
    snprintf(value, sizeof value, "%s since=%lld", settings, (long long)in->settings_since_ms);
    store_set(in->o.store, SETTINGS_KEY, value, NULL, NULL);
}

static bool are_the_stored(struct intake *in)
{
    static const char since[] = " since=";
    char settings[80];
    char *stored = store_get(in->o.store, SETTINGS_KEY);
    describe(in, settings, sizeof settings);
    size_t len = strlen(settings);
    bool same = stored != NULL && strncmp(stored, settings, len) == 0 &&
                strncmp(stored + len, since, sizeof since - 1) == 0;
    if (same)
        in->settings_since_ms = strtoll(stored + len + sizeof since - 1, NULL, 10);
    free(stored);
    return same;
}

void intake_compare_settings(struct intake *in)
{
    struct store_counts counts;
    in->rereading = in->reread_pass = in->reread_swept = false;
    if (are_the_stored(in))
        return;
    in->settings_since_ms = clock_unix_ms();
    if (store_counts(in->o.store, &counts) && counts.files == 0) {
        store_settings(in);
        return;
    }
    in->rereading = true;
    log_line(LOG_INFO, NULL, "inputs_as or max_job_size changed: what waits or was refused is read again");
}

bool intake_wants_reread(struct intake *in, const struct file_row *row)
{
    size_t count = 0;
    bool waits = false;
    if (row->state == FILE_REFUSED)
        return true;
    struct job_row *jobs = store_file_jobs(in->o.store, row->id, &count);
    for (size_t i = 0; i < count && !waits; i++)
        waits = jobs[i].state == JOB_WAITING && jobs[i].sends == 0;
    job_rows_free(jobs, count);
    return waits;
}

/* The same words again, or a file whose jobs were accepted and would be no more. */
bool intake_reread_in_vain(const struct look *k)
{
    char fault[640];
    if (k->jobs != NULL || k->written || k->asked || k->row->state == FILE_CONFLICT)
        return false;
    if (k->row->state == FILE_OK)
        return true;
    fault_describe(k->fault, fault, sizeof fault);
    return k->row->fault != NULL && strcmp(k->row->fault, fault) == 0;
}

bool intake_rereading(const struct intake *in)
{
    return in->rereading;
}

void intake_reread_end(struct intake *in, bool swept)
{
    if (swept && in->reread_pass)
        in->reread_swept = true;
    if (!in->reread_swept || in->writing.count > 0)
        return;
    in->rereading = in->reread_pass = in->reread_swept = false;
    store_settings(in); /* behind what was read again: writes are in order */
    in->o.host.changed(in->o.host.arg);
}
