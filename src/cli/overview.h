/* overview - all that flowspool status knows, from the store and from the daemon, and its two forms. */
#ifndef FLOWSPOOL_CLI_OVERVIEW_H
#define FLOWSPOOL_CLI_OVERVIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/ask.h"
#include "core/status.h"
#include "io/config.h"
#include "io/store.h"

struct overview {
    const struct config *cfg;
    int64_t now_ms; /* Unix */
    /* the store's */
    bool has_state; /* a daemon has run here */
    struct store_counts counts;
    int64_t next_due_ms;     /* of the jobs for later, Unix; 0: none */
    bool paused, lost_state; /* closed by the operator, or until the operator looks: outlives restarts */
    int64_t paused_ms;       /* since when, as far as it is known; else at most 1 */
    const char *account;     /* status with which the account refused work last, or NULL */
    int64_t learned_ms;      /* when the next was so, Unix; 0: nothing is known */
    struct learned learned;  /* the daemon's, or what the last one left */
    /* the daemon's: only with ASK_ANSWERED */
    enum ask_rc daemon;
    const char *reason;      /* why not */
    const char *status_json; /* as it said it */
    struct status status;
};

/* cfg and now_ms are set. Strings live in the arena. What the daemon says: */
void overview_ask(struct overview *o, struct arena *a);
/* What the state says; false: no memory, or store_error(). */
bool overview_stored(struct overview *o, struct store *s, struct arena *a);
/* Both, where there is a state. False: message says why. */
bool overview_read(struct overview *o, struct arena *a, char *message, size_t size);

/* Milliseconds until the jobs that may run are done at this rate; -1: not known. */
int64_t overview_left_ms(const struct overview *o);

void overview_text(const struct overview *o, FILE *out, bool colours, size_t width);
/* False: no memory. */
bool overview_json(const struct overview *o, FILE *out);

#endif
