/* jobfile - the bytes of a job file to the jobs it holds, or the first fault with its place.
 *
 * Pure. Keys and bounds: flowspool-job(5). All or nothing: an error in any document refuses the
 * file. Two documents with the same identity, or that would share an outcome name, are a fault.
 */
#ifndef FLOWSPOOL_CORE_JOBFILE_H
#define FLOWSPOOL_CORE_JOBFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/fault.h"
#include "core/payload.h"

#define JOB_WORKFLOW_MAX 128
#define JOB_ID_MAX       64
/* Larger files no spool takes, whatever its max_job_size. */
#define JOB_FILE_MAX ((size_t)64 << 20)
/* A younger file that does not parse is looked at again, not refused. */
#define JOB_FILE_YOUNG_S 10

struct job_spec {
    size_t document;         /* from 1, empty documents not counted */
    char id[JOB_ID_MAX + 1]; /* "" when absent */
    char workflow[JOB_WORKFLOW_MAX + 1];
    char *run;                /* never NULL; "" when absent */
    enum inputs_as inputs_as; /* in effect: never INPUTS_DEFAULT */
    int priority;
    int64_t not_before_ms; /* Unix time, 0: absent */
    int64_t expires_ms;    /* Unix time, 0: absent */
    int max_attempts;      /* 0: absent */
    char *body;            /* JSON to send */
    size_t body_len;
    char request_sha256[DIGEST_HEX];
};

struct jobfile {
    struct job_spec *jobs;
    size_t count;                /* >= 1 after a successful parse; > 1: "a file of several documents" */
    char job_sha256[DIGEST_HEX]; /* of the file's bytes */
};

/* default_as: the configuration's inputs_as. False: *fault says why and *out is empty. */
bool jobfile_parse(const char *bytes, size_t len, enum inputs_as default_as, struct jobfile *out,
                   struct fault *fault);
void jobfile_free(struct jobfile *f);

#endif
