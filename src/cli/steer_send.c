/* The order on its way: to the daemon in pieces, again where it was only refused for a moment, or into the
 * state.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/offline.h"
#include "cli/steer.h"
#include "core/joborder.h"
#include "io/clock.h"

/* Reasons are printed for so many jobs; the others are counted. */
#define REASONS_MAX 20
/* What is refused for a moment only: a file that is read, an outcome that is written. */
#define AGAIN_FOR_MS   5000
#define AGAIN_EVERY_MS 100

void steer_refuse(struct steer *s, const char *path, const char *why)
{
    if (s->refused++ < REASONS_MAX)
        cli_complain("%s: %s", path, why);
}

static void refuse_and_drop(struct steer *s, struct steer_job *job, const char *why)
{
    steer_refuse(s, job->path, why);
    free(job->path);
    job->path = NULL;
}

/* ---- through the daemon ---- */

/* One pass over what is left: `sent` went out, of which the first `again` are to be asked for once more. */
struct pass {
    size_t sent, again;
    bool last; /* nothing is asked for once more */
    bool answered_before;
};

/* What a piece of the order has come to; the refusals are in its order. */
static void note_reply(struct steer *s, struct pass *p, size_t count, const struct order_reply *reply)
{
    size_t r = 0;
    for (size_t i = p->sent; i < p->sent + count; i++) {
        struct steer_job *job = &s->jobs[i];
        const struct order_refusal *refusal = r < reply->nrefused ? &reply->refused[r] : NULL;
        bool refused = refusal != NULL && refusal->job == job->id;
        r += refused;
        if (refused && refusal->again && !p->last) {
            const struct steer_job kept = *job;
            job->path = NULL;
            s->jobs[p->again++] = kept;
        } else if (refused) {
            refuse_and_drop(s, job, refusal->why);
        } else {
            free(job->path);
            job->path = NULL;
        }
    }
    p->sent += count;
    s->changed += reply->changed;
    s->in_flight += reply->in_flight;
}

static enum ask_rc send_piece(struct steer *s, struct pass *p, const struct config *cfg, const char **reason)
{
    int64_t ids[ORDER_JOBS_MAX];
    size_t left = s->count - p->sent, count = left < ORDER_JOBS_MAX ? left : ORDER_JOBS_MAX;
    for (size_t i = 0; i < count; i++)
        ids[i] = s->jobs[p->sent + i].id;
    const struct order o = {.kind = s->words->order, .jobs = ids, .njobs = count, .force = s->force};
    struct arena a = {0};
    struct order_reply reply;
    enum ask_rc rc =
        p->answered_before ? ask_again(cfg, &o, &a, &reply, reason) : ask_daemon(cfg, &o, &a, &reply, reason);
    p->answered_before = rc == ASK_ANSWERED;
    if (rc == ASK_ANSWERED) {
        note_reply(s, p, count, &reply);
    } else if (rc == ASK_FAILED) {
        cli_complain("flowspoold: %s", *reason); /* the words live in the arena */
        *reason = "the order was not carried out";
    }
    arena_free(&a);
    return rc;
}

/* What was not sent follows what is to be asked for again. */
static void end_pass(struct steer *s, struct pass *p)
{
    size_t unsent = s->count - p->sent;
    memmove(s->jobs + p->again, s->jobs + p->sent, unsent * sizeof *s->jobs);
    s->count = p->again + unsent;
    p->sent = p->again = 0;
}

static enum ask_rc send_all(struct steer *s, const struct config *cfg, const char **reason)
{
    struct pass p = {0};
    enum ask_rc rc = ASK_ANSWERED;
    int64_t until = clock_mono_ms() + AGAIN_FOR_MS;
    while (s->count > 0 && rc == ASK_ANSWERED) {
        p.last = clock_mono_ms() >= until;
        while (p.sent < s->count && rc == ASK_ANSWERED)
            rc = send_piece(s, &p, cfg, reason);
        end_pass(s, &p);
        if (s->count > 0 && rc == ASK_ANSWERED)
            clock_sleep_ms(AGAIN_EVERY_MS);
    }
    return rc;
}

/* ---- into the state ---- */

static const char *why_not(const struct joborder_effect *effect)
{
    return effect->again ? "it runs again when flowspoold starts: tell that one" : effect->why;
}

static bool write_orders(void *arg, struct store *store, char *message, size_t size)
{
    struct steer *s = arg;
    const struct joborder_bits bits = joborder_bits(s->words->order);
    int64_t *ids = calloc(s->count + 1, sizeof *ids);
    size_t count = 0;
    for (size_t i = 0; i < s->count && ids != NULL; i++) {
        struct job_row row;
        if (!store_job(store, s->jobs[i].id, false, &row)) {
            refuse_and_drop(s, &s->jobs[i], "its job file is gone");
            continue;
        }
        const struct joborder_job job = {.state = row.state, .blocked = row.blocked};
        const struct joborder_effect effect = joborder_judge(s->words->order, s->force, &job);
        job_row_free(&row);
        if (effect.why != NULL) {
            refuse_and_drop(s, &s->jobs[i], why_not(&effect));
            continue;
        }
        ids[count++] = s->jobs[i].id;
        s->changed += !effect.in_flight;
        s->in_flight += effect.in_flight;
    }
    bool ok = ids != NULL && store_error(store) == NULL;
    if (!ok)
        snprintf(message, size, "%s", ids == NULL ? "out of memory" : store_error(store));
    else if (count > 0)
        store_jobs_mark(store, ids, count, bits.set, bits.clear, NULL, NULL);
    free(ids);
    return ok;
}

int steer_send(struct steer *s, const struct config *cfg, bool *later)
{
    const char *reason = "";
    enum ask_rc rc = send_all(s, cfg, &reason);
    int status = CLI_OK;
    if (rc == ASK_NOBODY) {
        int64_t changed = s->changed, in_flight = s->in_flight;
        status = offline_change(cfg, write_orders, s);
        *later = status == CLI_OK;
        if (status != CLI_OK) {
            s->changed = changed;
            s->in_flight = in_flight;
        }
    } else if (rc != ASK_ANSWERED) {
        status = offline_refuse(rc, reason);
    }
    if (s->refused > REASONS_MAX)
        cli_complain("and %zu more cannot", s->refused - REASONS_MAX);
    return status;
}
