/* scenario - what a daemon is given to do while it is killed, and what must come of it. */
#ifndef FLOWSPOOL_CRASH_SCENARIO_H
#define FLOWSPOOL_CRASH_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>

#define FILES_MAX 6
#define WANTS_MAX 8

struct job_file {
    const char *name, *text;
};

/* One job, and how it ends if no crash makes it ambiguous. */
struct want {
    const char *stem; /* of its outcome */
    const char *key;  /* at the shop; NULL: it is never asked for */
    const char *code; /* of its error; NULL: it has a result */
    int lost;         /* how many of its requests the shop cuts without a crash */
};

enum prepare {
    PREPARE_NOTHING,
    PREPARE_FINISHED, /* an earlier run did all that was there */
    PREPARE_KILLED, /* an earlier run was killed with requests out and a reply that could not be published */
};

struct scenario {
    const char *name, *about;
    struct job_file files[FILES_MAX];
    enum prepare prepare;
    /* What happens between the earlier run and the one that is struck. */
    const char *in_the_way;             /* a directory at the place of an outcome, until then */
    struct job_file renames[FILES_MAX]; /* from, to */
    struct job_file later[FILES_MAX];
    struct want wants[WANTS_MAX];
    const char *kept;     /* the words of a result that must lie in superseded/ then */
    const char *config;   /* more of it */
    int signal, at_posts; /* sent when so many requests have arrived; 0: none */
    bool stays;           /* without --once */
    bool reload;          /* the configuration changes before the signal */
    bool fill;            /* the disk is full from at_posts on, and during the next start */
    bool second;          /* instead of dying, it meets a second daemon; dies then */
    bool outcomes_move;   /* outcomes that were there may go */
};

extern const struct scenario scenarios[];
extern const size_t nscenarios;

/* NULL: there is none of that name. */
const struct scenario *scenario_find(const char *name);

#endif
