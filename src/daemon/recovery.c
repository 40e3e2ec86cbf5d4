/* After a start: what was on its way when the last daemon stopped. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine.h"
#include "io/log.h"

#define RECOVERY_BATCH 32
/* Replies in memory at once while they are delivered again. */
#define RECOVERY_WINDOW 64

void recovery_begin(struct engine *e)
{
    e->recovering = true;
    e->recover_after = 0;
}

/* A request was sent, or was about to be, and nothing durable says how it ended. */
static void recover_sent(struct live *l)
{
    live_step_to(&l->engine->live, l, STEP_REPLY);
    attempt_crashed(l);
}

static void recover_replied(struct live *l)
{
    struct engine *e = l->engine;
    struct reply_row r = {0};
    if (!store_load_reply(e->store, l->row.id, &r)) {
        engine_fatal(e, "a stored reply cannot be read");
        return;
    }
    l->attempt = l->row.sends;
    l->ended = l->recovered = true;
    l->end.ended_ms =
        r.received_ms; /* the outcome is then, to the byte, the one that may lie there already */
    l->reply.end = r.too_large ? ATTEMPT_TOO_LARGE : ATTEMPT_REPLIED;
    if (r.too_large)
        snprintf(l->reply.error, sizeof l->reply.error, "%s", HTTP_TOO_LARGE_WORDS);
    l->reply.http_status = r.http_status;
    l->reply.duration_ms = r.duration_ms;
    l->reply.body = r.body;
    l->reply.body_len = r.body_len;
    l->reply.spill = r.spill;
    r.body = r.spill = NULL;
    http_result_headers(&l->reply, r.headers, r.headers_len);
    reply_row_free(&r);
    live_step_to(&e->live, l, STEP_REPLY);
    attempt_judge(l);
}

/* Spilled replies that no row names are left-overs of requests that never became durable. */
static void sweep_replies(struct engine *e)
{
    DIR *dir = opendir(e->replies_dir);
    if (dir == NULL)
        return;
    for (const struct dirent *d; (d = readdir(dir)) != NULL;)
        if (d->d_name[0] != '.' && !store_names_spill(e->store, d->d_name))
            unlinkat(dirfd(dir), d->d_name, 0);
    closedir(dir);
}

void recovery_step(struct engine *e)
{
    if (!e->recovering || live_busy(&e->live) >= RECOVERY_WINDOW)
        return;
    size_t count = 0;
    struct job_row *rows = store_load_open(e->store, e->recover_after, RECOVERY_BATCH, &count);
    for (size_t i = 0; i < count && !e->stopped; i++) {
        e->recover_after = rows[i].id;
        bool superseded = !job_row_is_current(&rows[i]);
        struct live *l = live_add(&e->live, e, &rows[i]);
        if (l == NULL) {
            engine_fatal(e, "out of memory during recovery");
            break;
        }
        l->superseded = superseded;
        if (l->row.state == JOB_REPLIED)
            recover_replied(l);
        else
            recover_sent(l);
    }
    job_rows_free(rows, count);
    if (count > 0)
        return;
    e->recovering = false;
    if (e->recover_after != 0)
        log_line(LOG_INFO, NULL, "recovered what was on its way when the last daemon stopped");
    sweep_replies(e);
}
