/* steer - an order about jobs (retry, cancel, hold, release), from the words on the command line to what
 * became of each job.
 *
 * Which jobs are meant is found in the state (select.h), and those that the order does not fit are told at
 * once. The rest goes to the daemon in pieces that fit; what it refuses for a moment only is asked for again
 * for some seconds. Where no daemon runs, the same is written into the state, and the next one acts on it.
 */
#ifndef FLOWSPOOL_CLI_STEER_H
#define FLOWSPOOL_CLI_STEER_H

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/select.h"

/* How a subcommand speaks. */
struct steer_words {
    const char *command; /* "hold ", for complaints */
    const char *help;
    enum order_kind order;
    const char *one, *many; /* "job is held", "jobs are held" */
    const char *later;      /* no daemon runs: goes behind them */
    const char *in_flight;  /* "on the way: ..." */
    const char *left_alone; /* why a job that only fell under a glob may need nothing */
};

struct steer_job {
    int64_t id;
    char *path;
};

struct steer {
    const struct steer_words *words;
    /* which jobs: the words of the selection, or all with none; of these only */
    struct selection selection;
    int state; /* stored; -1: any */
    const char *code, *workflow;
    bool force;
    /* what is still to be done; what has been done has no path */
    struct steer_job *jobs;
    size_t count, room;
    bool no_memory;
    /* what has become of the others */
    int64_t changed, in_flight;
    size_t refused; /* reasons were printed for the first */
    size_t skipped; /* meant together with others, and the order does not fit */
};

/* cancel, hold and release: options, jobs, order. An exit status. */
int steer_run(struct cli *c, int argc, char **argv, const struct steer_words *w);
/* The same for a subcommand with options of its own, which fills in the first part but for the selection:
 * argv has the words for that. */
int steer_jobs(struct cli *c, struct steer *s, int argc, char **argv);

/* ---- steer_send.c ---- */
/* Gives the order for all of s->jobs; CLI_OK, or why nothing more was done (it was said). *later: no daemon
 * runs, and some of it is in the state for the next one. */
int steer_send(struct steer *s, const struct config *cfg, bool *later);
/* Counts it and prints why, for the first of them. */
void steer_refuse(struct steer *s, const char *path, const char *why);

#endif
