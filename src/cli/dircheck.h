/* dircheck - all job files of a directory, found as the daemon finds them, and what they would buy. Memory
 * does not grow with the number of files. */
#ifndef FLOWSPOOL_CLI_DIRCHECK_H
#define FLOWSPOOL_CLI_DIRCHECK_H

#include "cli/jobcheck.h"
#include "cli/purchase.h"
#include "io/config.h"

struct dircheck {
    struct jobcheck *check;
    const struct config *cfg;
    const char *dir; /* as it is told */
    bool recursive;
    struct purchases purchases;
    int64_t files, ignored;
    int64_t held; /* jobs that would be bought once their file is released */
    int64_t jobs[PURCHASE_COUNT];
    bool paused; /* a file PAUSE lies there */
};

/* state_dir: where the daemon of this directory keeps its state. False: the directory cannot be read; it was
 * said why. */
bool dircheck_run(struct dircheck *d, const char *state_dir);

#endif
