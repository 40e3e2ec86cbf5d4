/* jobwords - the states of jobs as people and programs are told. The words are kept: scripts compare them. */
#ifndef FLOWSPOOL_CLI_JOBWORDS_H
#define FLOWSPOOL_CLI_JOBWORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "io/store.h"

enum shown_state {
    SHOWN_WAITING,   /* may be sent as soon as there is room */
    SHOWN_LATER,     /* waits for its not_before, or to be tried again */
    SHOWN_HELD,      /* NAME.yaml.hold, flowspool hold; or being cancelled */
    SHOWN_MISSING,   /* its file is gone; forgotten after forget_after */
    SHOWN_IN_FLIGHT, /* sent, or its reply is being written */
    SHOWN_DONE,
    SHOWN_FAILED,
    SHOWN_REFUSED, /* a file, not a job: its outcome's name is taken or impossible */
    SHOWN_COUNT
};

enum shown_state shown_state(const struct job_row *r);
const char *shown_name(enum shown_state s);
bool shown_parse(const char *name, enum shown_state *out);
/* The stored state that jobs shown so have, or -1. */
int shown_stored(enum shown_state s);
/* Why it is where it is, or "": for one column of a table. */
const char *shown_why(const struct job_row *r, int64_t now_ms, char *buf, size_t size);

#endif
