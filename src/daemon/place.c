/* Outcomes on their way to where they belong: renamed, renumbered and restored jobs, and errors of refused
 * files.
 *
 * A take says in the store where each outcome belongs; here the rows whose outcome lies elsewhere are gone
 * through in rounds, one step each (core/placement.h). Each step is a task of the publisher, then a write
 * that records it; the next round finds what there is to do after it. Nothing but the rows says what is
 * pending: a start goes on where the last one ended, before it looks at the spool, so that a step that was
 * done but not recorded is done again while the names are those it was done for. What cannot be done now,
 * because of a directory in the way, a missing permission or a full disk, is tried again every RETRY_MS.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/outcome.h"
#include "core/placement.h"
#include "core/verdict.h"
#include "daemon/engine.h"
#include "io/log.h"

/* Steps at once: what the publisher takes in one batch. */
#define WINDOW   64
#define RETRY_MS 5000

struct placing {
    struct engine *engine;
    struct placing *prev, *next;
    int64_t job;   /* whose outcome it is */
    int64_t wants; /* for which job: the same, or one that needs the name */
    bool keep;     /* it is put aside, not to its stem */
    char *path, *stem;
    char *text; /* of an error that is written, or NULL */
    publish_fn done;
    void *arg;
};

bool place_is_under_way(const struct engine *e, int64_t job)
{
    for (const struct placing *m = e->places.under_way; m != NULL; m = m->next)
        if (m->job == job)
            return true;
    return false;
}

static struct stuck_place *find_stuck(struct places *p, int64_t job)
{
    for (size_t i = 0; i < p->nstuck; i++)
        if (p->stuck[i].job == job)
            return &p->stuck[i];
    return NULL;
}

void place_look(struct engine *e)
{
    e->places.look = true;
    engine_wake(e);
}

/* ---- one step, and its end ---- */

static struct placing *begin(struct engine *e, const struct job_row *row, int64_t wants)
{
    struct places *p = &e->places;
    struct placing *m = calloc(1, sizeof *m);
    char *stem = strdup(row->stem);
    if (m == NULL || stem == NULL) {
        free(m);
        free(stem);
        return NULL;
    }
    m->engine = e;
    m->job = row->id;
    m->wants = wants;
    m->path = strdup(row->path); /* for the log */
    m->stem = stem;
    m->next = p->under_way;
    if (m->next != NULL)
        m->next->prev = m;
    p->under_way = m;
    p->count++;
    return m;
}

static void free_placing(struct placing *m)
{
    free(m->path);
    free(m->stem);
    free(m->text);
    free(m);
}

static void end(struct placing *m)
{
    struct places *p = &m->engine->places;
    if (m->prev != NULL)
        m->prev->next = m->next;
    else
        p->under_way = m->next;
    if (m->next != NULL)
        m->next->prev = m->prev;
    p->count--;
    free_placing(m);
}

static void unstick(struct places *p, int64_t job)
{
    struct stuck_place *s = find_stuck(p, job);
    if (s != NULL)
        *s = p->stuck[--p->nstuck];
}

/* Said once; those that are too many are found again when the others are tried again. */
static void stick(struct engine *e, int64_t job, const char *path, const char *why)
{
    struct places *p = &e->places;
    p->retry_ms = clock_mono_ms() + RETRY_MS;
    if (find_stuck(p, job) != NULL || p->nstuck == STUCK_PLACES_MAX)
        return;
    p->stuck[p->nstuck++] = (struct stuck_place){job, true};
    log_line(LOG_WARN, path, "its outcome cannot be put in place (%s): tried again every %d s", why,
             RETRY_MS / 1000);
}

static void cannot(struct placing *m, const struct publish_result *r)
{
    struct engine *e = m->engine;
    publish_fn done = m->done;
    void *done_arg = m->arg;
    if (done == NULL)
        stick(e, m->wants, m->path, r->detail);
    end(m);
    if (done != NULL)
        done(done_arg, r);
    engine_wake(e);
}

static void on_recorded(void *arg, enum store_rc rc)
{
    struct placing *m = arg;
    struct engine *e = m->engine;
    publish_fn done = m->done;
    void *done_arg = m->arg;
    (void)rc;
    e->patience_since_ms = 0;
    if (!m->keep)
        unstick(&e->places, m->job);
    end(m);
    if (done != NULL)
        done(done_arg, &(struct publish_result){.rc = PUBLISH_OK});
    place_look(e);
}

static void on_published(void *arg, const struct publish_result *r)
{
    struct placing *m = arg;
    struct engine *e = m->engine;
    if (r->rc == PUBLISH_SYNC_FAILED) {
        char message[320];
        snprintf(message, sizeof message, "the outcome of %s could not be synced: %s", m->path, r->detail);
        engine_fatal(e, message);
        return;
    }
    if (r->rc == PUBLISH_TRY_LATER) {
        cannot(m, r);
        return;
    }
    if (strcmp(r->detail, "absent") == 0) { /* somebody collected it, or it is there since before a crash */
        store_collected(e->store, m->job, on_recorded, m);
        return;
    }
    if (!m->keep) {
        store_placed(e->store, m->job, m->stem, r->moved[0] != '\0' ? r->moved : NULL, on_recorded, m);
        return;
    }
    log_line(LOG_DEBUG, m->path, "its outcome makes room, kept as superseded/%s", r->moved);
    store_kept(e->store, m->job, r->moved, on_recorded, m);
}

static void begun(struct placing *m, int err)
{
    struct publish_result r = {.rc = PUBLISH_TRY_LATER, .err = -err};
    if (err == 0)
        return;
    snprintf(r.detail, sizeof r.detail, "%s", strerror(-err));
    cannot(m, &r);
}

/* ---- the steps ---- */

static void keep(struct engine *e, const struct job_row *row, int64_t wants, publish_fn done, void *arg)
{
    struct placing *m = begin(e, row, wants);
    if (m == NULL) {
        engine_fatal(e, "out of memory while an outcome had to make room");
        return;
    }
    m->keep = true;
    m->done = done;
    m->arg = arg;
    begun(m, publish_kept(e->publish, row->placed, row->request_sha256, on_published, m));
}

static void move(struct placing *m, const struct job_row *row)
{
    begun(m, publish_renamed(m->engine->publish, row->placed, row->outcome, row->stem, row->path,
                             (size_t)row->document, row->request_sha256, on_published, m));
}

/* What the row has: all of the outcome but the excerpt of a reply. */
static char *error_text(struct engine *e, const struct job_row *row, size_t *len)
{
    int ambiguous = deliver_ambiguous(e, row, 0);
    if (ambiguous < row->ambiguous) /* adopted: its attempts were another state's */
        ambiguous = row->ambiguous;
    const struct outcome o = {
        .job = row->path,
        .document = (size_t)row->document,
        .job_sha256 = row->job_sha256[0] != '\0' ? row->job_sha256 : NULL,
        .request_sha256 = row->request_sha256[0] != '\0' ? row->request_sha256 : NULL,
        .endpoint = row->endpoint,
        .workflow = row->workflow,
        .sandbox = row->sandbox,
        .http_status = row->http_status,
        .attempts = row->attempts,
        .rate_limited = row->rate_limited,
        .ambiguous = ambiguous,
        .queued_ms = row->queued_ms,
        .started_ms = row->started_ms,
        .finished_ms = row->finished_ms,
        .duration_ms = row->duration_ms,
        .request_id = row->request_id,
        .code = row->code != NULL ? row->code : "",
        .message = row->message != NULL ? row->message : "",
        .retryable = row->code != NULL && code_is_retryable(row->code),
    };
    return outcome_error(&o, len);
}

static void write_error(struct placing *m, const struct job_row *row)
{
    size_t len = 0;
    m->text = error_text(m->engine, row, &len);
    const struct publish_task task = {
        .stem = row->stem,
        .text = m->text,
        .len = len,
        .uid = row->uid,
        .gid = row->gid,
        .mode = row->mode,
    };
    begun(m, m->text != NULL ? publish_outcome(m->engine->publish, &task, on_published, m) : -ENOMEM);
}

static struct placement placement_of(const struct job_row *r)
{
    return (struct placement){
        .stem = r->stem,
        .placed = r->placed,
        .kept = r->outcome,
        .current = job_row_is_current(r),
        .result = r->state == JOB_DONE,
        /* One whose file is gone may turn up under another name. */
        .lasting = code_if_charged(r->code, r->ambiguous) != NULL || (r->blocked & JOB_BLOCK_MISSING) != 0,
    };
}

/* The jobs that have ended whose outcome lies at this stem; NULL with *count 0 when there is none, or no
 * memory. */
static struct placement *find_there(struct engine *e, const char *stem, int64_t job, struct job_row **rows,
                                    size_t *count)
{
    size_t all = 0, n = 0;
    *rows = store_load_astray(e->store, stem, job, &all);
    for (size_t i = 0; i < all; i++) {
        if ((*rows)[i].state == JOB_DONE || (*rows)[i].state == JOB_FAILED)
            (*rows)[n++] = (*rows)[i];
        else
            job_row_free(&(*rows)[i]);
    }
    struct placement *there = n > 0 ? calloc(n, sizeof *there) : NULL;
    for (size_t i = 0; i < n && there != NULL; i++)
        there[i] = placement_of(&(*rows)[i]);
    if (n > 0 && there == NULL)
        engine_fatal(e, "out of memory while an outcome had to make room");
    *count = n;
    return there;
}

static void take_step(struct engine *e, const struct job_row *row)
{
    struct job_row *rows;
    size_t count, in_way = 0;
    struct placement *there = find_there(e, row->stem, row->id, &rows, &count);
    const struct placement p = placement_of(row);
    enum placement_step step =
        there != NULL || count == 0 ? placement_next(&p, there, count, &in_way) : PLACEMENT_NONE;
    struct placing *m = NULL;
    if (step == PLACEMENT_KEEP) {
        if (!place_is_under_way(e, rows[in_way].id))
            keep(e, &rows[in_way], row->id, NULL, NULL);
    } else if (step != PLACEMENT_NONE && (m = begin(e, row, row->id)) == NULL) {
        stick(e, row->id, row->path, "out of memory");
    }
    if (m != NULL && step == PLACEMENT_RECORD)
        store_collected(e->store, m->job, on_recorded, m);
    else if (m != NULL && step == PLACEMENT_WRITE)
        write_error(m, row);
    else if (m != NULL)
        move(m, row);
    free(there);
    job_rows_free(rows, count);
}

/* ---- rounds ---- */

static bool may_look(const struct places *p)
{
    return p->look && p->nstuck < STUCK_PLACES_MAX;
}

static void begin_round(struct places *p, int64_t now_ms)
{
    bool due = p->retry_ms != 0 && now_ms >= p->retry_ms;
    if (p->in_round || !(due || may_look(p)))
        return;
    p->in_round = true;
    p->retrying = due;
    p->look = false;
    p->after = 0;
    if (!due)
        return;
    p->retry_ms = 0;
    for (size_t i = 0; i < p->nstuck; i++)
        p->stuck[i].met = false;
}

/* What was stuck and did not show up any more need not go there now. */
static void end_round(struct places *p)
{
    p->in_round = false;
    p->first_over = true;
    for (size_t i = 0; p->retrying && i < p->nstuck;) {
        if (p->stuck[i].met)
            i++;
        else
            p->stuck[i] = p->stuck[--p->nstuck];
    }
    p->retrying = false;
}

static void consider(struct engine *e, const struct job_row *row)
{
    struct places *p = &e->places;
    struct stuck_place *s = find_stuck(p, row->id);
    if (s != NULL)
        s->met = true;
    if (s != NULL && !p->retrying)
        return;
    /* Where it belongs must not change between a step and its record: a crash would lose where the outcome
     * is. So takes wait for steps (host_phase()), and steps for takes, after which there is another round. */
    if (!place_is_under_way(e, row->id) && !intake_changes(e->intake, row->file_id))
        take_step(e, row);
}

int64_t place_step(struct engine *e, int64_t now_ms)
{
    struct places *p = &e->places;
    if (e->draining)
        return INT64_MAX;
    begin_round(p, now_ms);
    while (p->in_round && p->count < WINDOW && !e->stopped) {
        size_t count = 0;
        struct job_row *rows = store_load_unplaced(e->store, p->after, WINDOW - p->count, &count);
        for (size_t i = 0; i < count && !e->stopped; i++) {
            p->after = rows[i].id;
            consider(e, &rows[i]);
        }
        job_rows_free(rows, count);
        if (count == 0)
            end_round(p);
    }
    if (!p->in_round && may_look(p))
        return now_ms;
    return p->retry_ms != 0 ? p->retry_ms : INT64_MAX;
}

bool place_has_started(const struct engine *e)
{
    return e->places.first_over && e->places.count == 0;
}

bool place_busy(const struct engine *e)
{
    const struct places *p = &e->places;
    return p->in_round || p->count > 0 || may_look(p);
}

enum place_room place_make_room(struct engine *e, const char *stem, int64_t job, publish_fn done, void *arg)
{
    struct job_row *rows;
    size_t count;
    struct placement *there = find_there(e, stem, job, &rows, &count);
    enum place_room room = there == NULL && count > 0 ? ROOM_LATER : ROOM_IS_THERE;
    size_t in_way = there != NULL ? placement_in_way(there, count) : count;
    if (in_way < count)
        room = place_is_under_way(e, rows[in_way].id) ? ROOM_LATER : ROOM_IS_MADE;
    if (room == ROOM_IS_MADE)
        keep(e, &rows[in_way], job, done, arg);
    free(there);
    job_rows_free(rows, count);
    return room;
}

void place_free(struct engine *e)
{
    for (struct placing *m = e->places.under_way, *next; m != NULL; m = next) {
        next = m->next;
        free_placing(m);
    }
    e->places.under_way = NULL;
}
