/* live - the jobs in memory: a bounded window of candidates, and those on their way.
 *
 * A job in memory is ahead of its row in the store: whoever decides asks here first. Everything else
 * about 1.4 million jobs stays on disk.
 *
 * A job whose row is about to change (its file was edited or went, or an order is about it) is barred: what
 * the store still says of it is old until that write is durable, and must not be loaded again meanwhile.
 */
#ifndef FLOWSPOOL_DAEMON_LIVE_H
#define FLOWSPOOL_DAEMON_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/http.h"
#include "io/store.h"

enum live_step {
    STEP_CANDIDATE, /* in the window; nothing stored or sent yet */
    STEP_INTENT,    /* its intent is on its way to the disk */
    STEP_FLIGHT,    /* request out */
    STEP_REPLY,     /* its reply is on its way to the disk */
    STEP_PUBLISH,   /* its outcome is being written */
    STEP_ROOM,      /* what has its outcome's name is just leaving; asked again at retry_ms */
    STEP_PARKED,    /* its outcome could not be written; tried again at retry_ms */
    STEP_SETTLE,    /* its end is on its way to the disk */
    STEP_BARRED,    /* not in memory, and not to be loaded: see live_bar() */
};

struct engine;

struct live {
    struct engine *engine;
    struct job_row row;
    enum live_step step;
    uint64_t seq;     /* the governor's number, from STEP_FLIGHT on */
    bool governed;    /* holds a slot of the governor ... */
    unsigned account; /* ... of this endpoint and key: rate_keeping.account then */
    bool superseded;  /* its file holds another identity now: the outcome goes to superseded/ */
    bool recovered;   /* its reply was stored by a daemon before this one */
    bool cancelled;   /* its outcome is what flowspool cancel asked for */
    bool probe_account, probe_endpoint, probe_workflow;
    int64_t sent_unix_ms;
    /* the end of its attempt */
    struct http_result reply;
    bool ended;              /* reply is filled */
    int attempt;             /* row.sends of the attempt that ended, 0: none */
    struct store_settle end; /* what will be stored once the outcome is there */
    char *text, *kept_body;  /* outcome bytes and body, until published */
    size_t text_len, kept_len;
    void *mapped; /* a spilled reply */
    size_t mapped_len;
    char superseded_name[256];
    char moved[320];                  /* behind end.moved */
    char *owned_code, *owned_message; /* behind end.code, end.message */
    int64_t retry_ms;         /* STEP_ROOM, STEP_PARKED; after that one it stays while it is tried again */
    bool stuck;               /* parked, or tried again after that */
    struct live *prev, *next; /* of its list */
};

struct live_list {
    struct live *first, *last;
};

struct live_table {
    void *by_id;                 /* tsearch(3) tree */
    struct live_list candidates; /* in the order they were loaded */
    struct live_list busy;       /* all others, in the order they ceased to be candidates */
    size_t count;
    size_t stuck;                  /* how many are that */
    size_t steps[STEP_SETTLE + 1]; /* how many are in each step */
    void *barred_new, *barred;     /* tsearch(3) trees of ids */
};

/* Takes over row's strings. NULL: no memory (row is freed). */
struct live *live_add(struct live_table *t, struct engine *e, struct job_row *row);
/* NULL: not in memory. For a barred job a stand-in in STEP_BARRED, of which nothing else may be used. */
struct live *live_find(const struct live_table *t, int64_t id);
/* The job is not loaded until live_unbar(). false: no memory. */
bool live_bar(struct live_table *t, int64_t id);
/* Starts a round of those barred since the last one; false: there is none, or a round is under way. */
bool live_bar_round(struct live_table *t);
/* Ends the round: what was barred before it began may be loaded again. */
void live_unbar(struct live_table *t);
void live_step_to(struct live_table *t, struct live *l, enum live_step step);
/* To STEP_PARKED until then (monotonic ms); and its outcome was written after all. */
void live_park(struct live_table *t, struct live *l, int64_t retry_ms);
void live_unpark(struct live_table *t, struct live *l);
void live_remove(struct live_table *t, struct live *l); /* frees it and all it owns */
/* Forgets every candidate. */
void live_drop_candidates(struct live_table *t);
/* Neither candidates nor finished: what a drain waits for. */
size_t live_busy(const struct live_table *t);
/* Jobs whose outcome could not be written, those that try again just now included. */
size_t live_stuck(const struct live_table *t);
/* Requests out or about to be: what counts as in flight. */
size_t live_in_flight(const struct live_table *t);
/* Drops what the last attempt left behind (reply, texts), keeps the row. */
void live_clear_attempt(struct live *l);

#endif
