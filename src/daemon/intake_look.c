/* One look at one file: is it there, has it changed, is it complete, what does it say. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "daemon/intake_internal.h"
#include "io/log.h"

#define MS_NS 1000000
/* How soon a look is repeated that met an outcome being written; twice as late each time, because one that
 * cannot be written stays so for a while. */
#define SOON_MS  50
#define LATER_MS 5000
/* How long one turn of the loop may look at what is due. */
#define TURN_MS 5

/* ---- which rows the running scan has met ---- */

void intake_mark_seen(struct intake *in, int64_t file_id)
{
    size_t byte = (size_t)file_id / 8;
    if (byte >= in->seen_bytes) {
        size_t want = byte + 4096;
        uint8_t *grown = realloc(in->seen, want);
        if (grown == NULL)
            return; /* not marked only means that the disk is asked again */
        memset(grown + in->seen_bytes, 0, want - in->seen_bytes);
        in->seen = grown;
        in->seen_bytes = want;
    }
    in->seen[byte] |= (uint8_t)(1U << (file_id % 8));
}

bool intake_was_seen(const struct intake *in, int64_t file_id)
{
    size_t byte = (size_t)file_id / 8;
    return byte < in->seen_bytes && (in->seen[byte] & (1U << (file_id % 8))) != 0;
}

/* ---- finding it ---- */

/* spool_stat(), but what lies in another spool is not there. */
static int stat_ours(struct intake *in, const char *path, struct spool_stat *st)
{
    int err = spool_stat(in->o.spool, path, st);
    int other = err == 0 ? spool_in_other(in->o.spool, path) : 0;
    if (other != 0)
        return other < 0 ? other : -ENOENT;
    return spool_is_gone(err) ? -ENOENT : err;
}

int intake_find_file(struct intake *in, const char *path, char *buf, size_t size, struct spool_stat *st)
{
    static const char *const endings[] = {"", ".hold"};
    int err = -ENOENT;
    for (size_t i = 0; i < 2 && err == -ENOENT; i++)
        if (snprintf(buf, size, "%s%s", path, endings[i]) < (int)size)
            err = stat_ours(in, buf, st);
    return err;
}

static bool same_signature(const struct file_sig *a, const struct spool_stat *b)
{
    const struct file_sig sig = spool_sig(b);
    return file_sig_same(a, &sig);
}

static bool unchanged(const struct spool_stat *a, const struct spool_stat *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

enum intake_file intake_check_file(struct intake *in, const char *path, const struct file_sig *sig)
{
    struct spool_stat st;
    int err = stat_ours(in, path, &st);
    if (err != 0)
        return err == -ENOENT ? INTAKE_FILE_CHANGED : INTAKE_FILE_UNKNOWN;
    return same_signature(sig, &st) ? INTAKE_FILE_SAME : INTAKE_FILE_CHANGED;
}

/* ---- waiting for it to be complete ---- */

static struct path_entry *wait_for(struct intake *in, const char *path, int64_t due_ms)
{
    struct path_entry *w = pathmap_find(&in->waiting, path);
    if (w == NULL && in->waiting.count >= INTAKE_CANDIDATES_MAX)
        return NULL; /* the next scan finds it */
    w = pathmap_add(&in->waiting, path);
    if (w == NULL)
        return NULL;
    w->due_ms = due_ms;
    intake_wake_at(in, due_ms);
    return w;
}

static int64_t settle_ms(const struct intake *in)
{
    int64_t settle = in->o.config->settle_ms;
    return in->network && settle < NETWORK_SETTLE_MS ? NETWORK_SETTLE_MS : settle;
}

/* How long ago the file last changed, as its change time proves; -1 where that proves nothing (another
 * machine's clock, a time in the future). The change time cannot be set by a writer, unlike mtime. */
static int64_t proven_age_ms(const struct intake *in, const struct spool_stat *st)
{
    if (in->network)
        return -1;
    return clock_unix_ms() - st->ctime_ns / MS_NS;
}

/* True when complete. Else it is in `waiting` with the time of the next look. */
static bool settled(struct intake *in, const char *path, const struct spool_stat *st, bool arrived)
{
    struct path_entry *w = pathmap_find(&in->waiting, path);
    int64_t now = clock_mono_ms();
    if (arrived || (w != NULL && w->arrived && unchanged(&w->seen, st)))
        return true;
    int64_t settle = settle_ms(in);
    if (proven_age_ms(in, st) >= settle)
        return true;
    if (w != NULL && w->since_ms != 0 && unchanged(&w->seen, st)) {
        if (now - w->since_ms >= settle)
            return true;
        wait_for(in, path, w->since_ms + settle);
        return false;
    }
    w = wait_for(in, path, now + settle);
    if (w != NULL) {
        w->seen = *st;
        w->since_ms = now;
        w->arrived = false;
    }
    return false;
}

/* ---- reading it ---- */

static bool too_young_to_refuse(struct intake *in, const char *path, const struct spool_stat *st,
                                int64_t *due)
{
    int64_t now = clock_mono_ms();
    int64_t age = proven_age_ms(in, st);
    struct path_entry *w = pathmap_find(&in->waiting, path);
    int64_t watched = w != NULL && w->since_ms != 0 && unchanged(&w->seen, st) ? now - w->since_ms : 0;
    if (watched > age)
        age = watched;
    *due = now + (age < 0 ? YOUNG_MS : YOUNG_MS - age);
    return age < YOUNG_MS;
}

static void wait_until_older(struct intake *in, const char *path, const struct spool_stat *st, int64_t due,
                             const struct fault *fault)
{
    struct path_entry *w = pathmap_find(&in->waiting, path);
    bool known = w != NULL && w->since_ms != 0 && unchanged(&w->seen, st);
    w = wait_for(in, path, due);
    if (w == NULL || known)
        return;
    w->seen = *st;
    w->since_ms = clock_mono_ms();
    w->arrived = true; /* complete as it is; it only has to grow older */
    log_line(LOG_DEBUG, path, "does not parse yet (line %zu, column %zu: %s): looked at again", fault->line,
             fault->column, fault->text);
}

/* Its jobs were passed over meanwhile. */
static void forget_waiting(struct intake *in, const char *path)
{
    struct path_entry *w = pathmap_find(&in->waiting, path);
    if (w == NULL)
        return;
    pathmap_remove(&in->waiting, w);
    in->o.host.changed(in->o.host.arg);
}

/* Complete as it is: it only has to be looked at again. */
static void look_again_soon(struct intake *in, const struct look *k)
{
    const char *path = k->job_path;
    int64_t now = clock_mono_ms();
    const struct path_entry *before = pathmap_find(&in->waiting, path);
    int64_t delay = before == NULL || before->delay_ms == 0 ? SOON_MS : before->delay_ms * 2;
    if (delay > LATER_MS)
        delay = LATER_MS;
    struct path_entry *w = wait_for(in, path, now + delay);
    if (w == NULL)
        return;
    w->delay_ms = delay;
    w->seen = k->st;
    w->since_ms = now;
    w->arrived = true;
}

static void take(struct intake *in, struct look *k)
{
    const char *path = k->job_path;
    struct jobfile jobs = {0};
    struct fault fault;
    bool parsed = false;
    if (k->bytes != NULL)
        parsed = jobfile_parse(k->bytes, k->len, in->o.config->inputs_as, &jobs, &fault);
    else
        fault_set(&fault, 0, 0,
                  "the job file is larger than max_job_size (%lld bytes); split it or raise max_job_size",
                  (long long)in->o.config->max_job_size);
    int64_t due;
    if (!parsed && k->bytes != NULL && too_young_to_refuse(in, path, &k->st, &due)) {
        wait_until_older(in, path, &k->st, due, &fault);
        return;
    }
    k->jobs = parsed ? &jobs : NULL;
    k->fault = parsed ? NULL : &fault;
    if (!intake_reread_in_vain(k) && intake_take(in, k) == -EAGAIN)
        look_again_soon(in, k);
    else
        forget_waiting(in, path);
    jobfile_free(&jobs);
}

/* A read that met a link, a FIFO or a vanished file: nothing to take. */
static void cannot_read(struct intake *in, const char *path, int err)
{
    if (err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -EACCES || err == -EIO) {
        log_line(LOG_WARN, path, "cannot be read: %s; looked at again", strerror(-err));
        struct path_entry *w = wait_for(in, path, clock_mono_ms() + YOUNG_MS);
        if (w != NULL)
            w->in_vain++;
        return;
    }
    forget_waiting(in, path);
}

/* path: the name it has now. arrived: renamed in, complete whoever still has it open. */
static void read_and_take(struct intake *in, const char *path, struct look *k, bool arrived)
{
    char *bytes = NULL;
    bool writer = false;
    int err = spool_read(in->o.spool, path, in->o.config->max_job_size, &bytes, &k->len, &k->st, &writer);
    if (err == -EFBIG) {
        take(in, k);
        return;
    }
    if (err == -EAGAIN || (err == 0 && writer && !arrived)) {
        free(bytes);
        int64_t now = clock_mono_ms();
        struct path_entry *w = wait_for(in, k->job_path, now + settle_ms(in));
        if (w != NULL) {
            w->seen = k->st;
            w->since_ms = now;
            w->in_vain++;
        }
        return;
    }
    if (err != 0) {
        cannot_read(in, k->job_path, err);
        return;
    }
    k->bytes = bytes;
    take(in, k);
    free(bytes);
}

/* ---- the look ---- */

/* What is said to have happened. A link counts as complete only where nothing else is known of the path: a
 * file with two names is written in place like any other. */
enum look_cause { LOOK_AGAIN, LOOK_CREATED, LOOK_ARRIVED };

/* It is to be read, although nothing about it has changed. */
static void force_look(struct path_entry *w)
{
    if (w != NULL)
        w->force = true;
}

/* Nothing about it has changed since it was taken. */
static void unchanged_file(struct intake *in, const struct file_row *row, bool held,
                           const struct spool_stat *st)
{
    forget_waiting(in, row->path);
    if (row->missing_ms != 0)
        log_line(LOG_INFO, row->path, "its file is back");
    if (row->held != held)
        log_line(LOG_INFO, row->path, held ? "held" : "no longer held");
    if (row->missing_ms == 0 && row->held == held)
        return;
    const struct file_sig sig = spool_sig(st);
    intake_back_or_held(in, row, held, &sig);
    if (row->missing_ms != 0 && row->missing_ms <= in->settings_since_ms && intake_wants_reread(in, row))
        force_look(wait_for(in, row->path, 0));
}

/* flowspool retry wants it read; perhaps it was gone when it was asked for. */
static bool was_asked_for(struct intake *in, int64_t file_id)
{
    size_t count = 0;
    bool asked = false;
    struct job_row *jobs = store_file_jobs(in->o.store, file_id, &count);
    for (size_t i = 0; i < count; i++)
        asked = asked || (jobs[i].blocked & (JOB_ASKED_AGAIN | JOB_BLOCK_SUPERSEDED)) == JOB_ASKED_AGAIN;
    job_rows_free(jobs, count);
    return asked;
}

static void look_at_row(struct intake *in, const char *path, const char *job_path,
                        const struct spool_stat *st, enum look_cause cause, int64_t seen_ms)
{
    const struct path_entry *w = pathmap_find(&in->waiting, job_path);
    bool force = w != NULL && w->force;
    struct file_row row = {0};
    bool known = store_file_by_path(in->o.store, job_path, &row);
    bool asked = known && (force || row.missing_ms != 0) && was_asked_for(in, row.id);
    force = force || asked;
    struct look k = {
        .job_path = job_path,
        .held = strcmp(path, job_path) != 0,
        .st = *st,
        .seen_ms = seen_ms,
        .written = !known || !same_signature(&row.sig, st),
        .asked = asked,
        .row = &row,
    };
    if (known)
        intake_mark_seen(in, row.id);
    bool linked = cause == LOOK_CREATED && !known && w == NULL && st->nlink > 1;
    bool conflict = known && row.state == FILE_CONFLICT && row.missing_ms == 0;
    bool reread = known && !k.written && in->rereading && intake_wants_reread(in, &row);
    if (known && !k.written && !force && !conflict && !reread)
        unchanged_file(in, &row, k.held, st);
    else if (((force || reread || conflict) && !k.written) ||
             settled(in, job_path, st, cause == LOOK_ARRIVED || linked))
        read_and_take(in, path, &k, cause == LOOK_ARRIVED);
    if (reread) /* if it waits, it could not be read or not be taken: its turn is not over */
        force_look(pathmap_find(&in->waiting, job_path));
    file_row_free(&row);
}

static void look(struct intake *in, const char *hint, enum look_cause cause, int64_t seen_ms)
{
    char job_path[4096], path[4096];
    struct spool_stat st;
    size_t len = name_job_len(hint);
    if (len >= sizeof job_path)
        return;
    memcpy(job_path, hint, len);
    job_path[len] = '\0';
    struct path_entry *busy = pathmap_find(&in->writing, job_path);
    if (busy == NULL)
        busy = pathmap_find(&in->marking, job_path);
    if (busy != NULL) {
        busy->again = true;
        busy->arrived = busy->arrived || cause == LOOK_ARRIVED;
        return;
    }
    int err = intake_find_file(in, job_path, path, sizeof path, &st);
    if (err == -ENOENT) {
        forget_waiting(in, job_path);
        intake_gone(in, job_path);
    } else if (err == 0) {
        if (cause == LOOK_ARRIVED && strcmp(path, hint) != 0)
            cause = LOOK_AGAIN;
        look_at_row(in, path, job_path, &st, cause, seen_ms);
    } else { /* what waits is looked at again, and all of them by the next scan */
        log_line(LOG_DEBUG, job_path, "cannot be looked at: %s", strerror(-err));
    }
}

void intake_look(struct intake *in, const char *hint, bool arrived, int64_t seen_ms)
{
    look(in, hint, arrived ? LOOK_ARRIVED : LOOK_AGAIN, seen_ms);
}

void intake_look_created(struct intake *in, const char *hint, int64_t seen_ms)
{
    look(in, hint, LOOK_CREATED, seen_ms);
}

/* Many may be due together: the rest is for the next turn. */
static bool turn_is_over(const struct intake *in, int64_t began_ms)
{
    return clock_mono_ms() - began_ms >= TURN_MS || in->writing.count >= INTAKE_WRITING_MAX;
}

/* A look adds entries and may remove its own, no other: the next one stays. */
int64_t intake_look_due(struct intake *in, int64_t now_ms)
{
    int64_t next_due = INT64_MAX;
    for (struct path_entry *w = in->waiting.first, *next; w != NULL; w = next) {
        next = w->next;
        if (w->due_ms > now_ms) {
            next_due = w->due_ms < next_due ? w->due_ms : next_due;
            continue;
        }
        if (turn_is_over(in, now_ms))
            return in->writing.count >= INTAKE_WRITING_MAX ? now_ms + SOON_MS : now_ms + TURN_MS;
        char *path = strdup(w->path);
        if (path == NULL)
            return now_ms + YOUNG_MS;
        w->due_ms = now_ms + settle_ms(in); /* moved on by the look itself where it matters */
        intake_look(in, path, false, clock_unix_ms());
        free(path);
        next_due = next_due < now_ms + SOON_MS ? next_due : now_ms + SOON_MS;
    }
    return next_due;
}

bool intake_is_busy(const struct intake *in, const char *path)
{
    return pathmap_find(&in->waiting, path) != NULL || pathmap_find(&in->writing, path) != NULL ||
           pathmap_find(&in->marking, path) != NULL;
}

bool intake_hint(struct intake *in, const char *path)
{
    if (in->stopped)
        return false;
    intake_look(in, path, false, clock_unix_ms());
    return intake_is_busy(in, path);
}
