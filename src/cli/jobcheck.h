/* jobcheck - one job file as the daemon would read it, and what it shares with those before it. */
#ifndef FLOWSPOOL_CLI_JOBCHECK_H
#define FLOWSPOOL_CLI_JOBCHECK_H

#include "cli/findings.h"
#include "cli/firsts.h"
#include "core/jobfile.h"

struct jobcheck {
    struct findings *findings;
    enum inputs_as inputs_as;
    struct firsts requests, outcomes;
    int64_t jobs; /* in files without a fault */
    bool failed;  /* no memory, or no room for what is remembered */
};

bool jobcheck_open(struct jobcheck *c, struct findings *f, enum inputs_as inputs_as);
void jobcheck_close(struct jobcheck *c);
/* shown: the file as it is told. path: the same as the daemon would know it; NULL: it is no file, and has no
 * outcome. True: it is without fault, and *out holds its jobs, to be freed. */
bool jobcheck_file(struct jobcheck *c, const char *shown, const char *path, const char *bytes, size_t len,
                   struct jobfile *out);
/* Job i of them: whether it is the same request as one before it is told when it would be bought. */
void jobcheck_request(struct jobcheck *c, const char *shown, const struct jobfile *jobs, size_t i,
                      bool bought);

#endif
