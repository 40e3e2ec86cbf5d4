/* explanation - why a job is not running now, in sentences, and what to do about it. Pure.
 *
 * The first reason is the one that has to go first; others that also stand in the way follow. Words of
 * reasons are kept: scripts compare them.
 */
#ifndef FLOWSPOOL_CLI_EXPLANATION_H
#define FLOWSPOOL_CLI_EXPLANATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/ask.h"
#include "core/arena.h"
#include "core/status.h"
#include "io/store.h"

/* Texts live in the arena; they are not escaped: names and what the far side said are in them. */
struct reason {
    const char *word; /* "done", "held", "turn", ... */
    const char *why;  /* a clause whose subject is the job ("it ...") or what stands in its way */
    const char *todo; /* a command, or what to do; or "" */
};

#define REASONS_MAX 16
struct explanation {
    struct arena *arena;
    struct reason reasons[REASONS_MAX];
    size_t count;
    int64_t before;  /* jobs that go first, -1: none are counted, since it does not wait for its turn */
    int64_t left_ms; /* until its turn, at the rate of the last minute; -1: not known */
    bool no_memory;
};

/* What is known of the daemon and of sending. */
struct explain_state {
    int64_t now_ms; /* Unix */
    int64_t forget_after_ms;
    enum ask_rc daemon;
    const char *daemon_reason;   /* why it did not answer */
    const struct status *status; /* only with ASK_ANSWERED */
    bool paused, lost_state;     /* as the state says */
    const char *account;         /* status with which the account refused work last, or NULL */
};

/* What is known of one job. */
struct explain_job {
    const struct job_row *row;
    int64_t missing_ms;  /* since when its file is gone, 0: not */
    int64_t sent_ms;     /* its last attempt, 0: none */
    const char *verdict; /* and how that ended, or "" */
    bool waits_for_old;  /* the request that its file held before is still on its way */
    int64_t before;      /* ready jobs that go first; -1: not known */
};

void explain_job(struct explanation *e, const struct explain_state *s, const struct explain_job *j);
/* A file that is refused because its outcome's name is taken or impossible. */
void explain_refused(struct explanation *e, const struct file_row *f);
/* Whether somebody is there who sends: added behind other reasons, or the only one. */
void explain_daemon(struct explanation *e, const struct explain_state *s);

/* why and todo are formats; todo may be "". */
void explain_add(struct explanation *e, const char *word, const char *todo, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
