/* jobname - what callers call a job, and the names of its files. Paths are relative to the spool. */
#ifndef FLOWSPOOL_LIB_JOBNAME_H
#define FLOWSPOOL_LIB_JOBNAME_H

#include <stdbool.h>

#include "flowspool/flowspool.h"

enum jobname_kind {
    JOBNAME_FILE,   /* a job file: dir/NAME.yaml */
    JOBNAME_STEM,   /* without an ending: dir/NAME, dir/NAME.ID */
    JOBNAME_RESULT, /* an outcome file */
    JOBNAME_ERROR,
};

/* 0, with the malloc'd stem of its outcome files; -EINVAL for what no job is called, -ENOMEM. */
int jobname_read(const char *job, enum jobname_kind *kind, char **stem, struct flowspool_error **error);

/* No part of a path is empty, "." or "..", and no directory is one that the daemon passes over. */
bool jobname_is_plain(const char *path);

#endif
