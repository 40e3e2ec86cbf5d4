/* request - what a job file asks for now, compared with what an outcome answers. */
#ifndef FLOWSPOOL_LIB_REQUEST_H
#define FLOWSPOOL_LIB_REQUEST_H

#include <stdbool.h>

#include "core/jobfile.h"

/* Reads the job file (or PATH.hold): 1, with *jobs to be freed; 0 with the digest of its bytes alone when it
 * does not parse; -ENOENT and others when it cannot be read. */
int request_read(int root, const char *path, struct jobfile *jobs, char job_sha256[DIGEST_HEX]);

/* Whether the job file at path, if there is one, still asks for what the outcome of this stem answers.
 * Digests are NULL where they are not known. True also where that cannot be told. */
bool request_is_answered(int root, const char *path, const char *stem, const char *request_sha256,
                         const char *job_sha256);

#endif
