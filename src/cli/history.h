/* history - what happened to a job, as events with their times, from its row and its attempts. Pure. */
#ifndef FLOWSPOOL_CLI_HISTORY_H
#define FLOWSPOOL_CLI_HISTORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/jsonline.h"
#include "io/store.h"

enum event_kind {
    EVENT_SEEN,
    EVENT_QUEUED, /* later than seen: it was put back, or follows another request of its file */
    EVENT_SENT,
    EVENT_ENDED, /* an attempt */
    EVENT_DUE,   /* what it waits for now */
    EVENT_DONE,
    EVENT_FAILED,
    EVENT_SUPERSEDED, /* when is not kept: right behind what happened to it last */
};

struct event {
    int64_t at_ms; /* Unix */
    enum event_kind kind;
    const struct attempt_row *attempt; /* SENT, ENDED */
};

/* In the order of time. At most 2 * count + 5 of them. */
size_t history_events(const struct job_row *r, const struct attempt_row *attempts, size_t count,
                      struct event *out);
/* One line for people, without time and job; not escaped. */
void history_words(const struct job_row *r, const struct event *e, FILE *out);
/* Its members behind "time" and "job". */
void history_json(const struct job_row *r, const struct event *e, struct json_line *j);

#endif
