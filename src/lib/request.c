#include "lib/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "lib/spooldir.h"

static int read_job(int root, const char *path, char **bytes, size_t *len)
{
    char *held = NULL;
    int err = spool_read(root, path, JOB_FILE_MAX, bytes, len);
    if (err != -ENOENT)
        return err;
    if (asprintf(&held, "%s.hold", path) < 0)
        return -ENOMEM;
    err = spool_read(root, held, JOB_FILE_MAX, bytes, len);
    free(held);
    return err;
}

int request_read(int root, const char *path, struct jobfile *jobs, char job_sha256[DIGEST_HEX])
{
    char *bytes;
    size_t len;
    struct fault fault;
    int err = read_job(root, path, &bytes, &len);
    if (err != 0)
        return err;
    const struct digest_part whole = {bytes, len};
    digest_hex(&whole, 1, job_sha256);
    bool parsed = jobfile_parse(bytes, len, INPUTS_TEXT, jobs, &fault);
    free(bytes);
    return parsed ? 1 : 0;
}

static bool is_asked_for(const struct jobfile *jobs, const char *path, const char *stem, const char *request)
{
    bool found = false;
    for (size_t i = 0; i < jobs->count && !found; i++) {
        const struct job_spec *job = &jobs->jobs[i];
        char *theirs = name_outcome_stem(path, jobs->count > 1, job->id, job->document);
        found = theirs == NULL || (strcmp(theirs, stem) == 0 && strcmp(job->request_sha256, request) == 0);
        free(theirs);
    }
    return found;
}

/* The path comes out of the outcome: it must be that of a job whose outcome can have this stem. */
static bool is_of_stem(const char *path, const char *stem)
{
    size_t len = name_stem_len(path);
    return strncmp(path, stem, len) == 0 && (stem[len] == '\0' || stem[len] == '.') &&
           strchr(stem + len, '/') == NULL;
}

bool request_is_answered(int root, const char *path, const char *stem, const char *request_sha256,
                         const char *job_sha256)
{
    struct jobfile jobs = {0};
    char now[DIGEST_HEX];
    if (!is_of_stem(path, stem))
        return true;
    int parsed = request_read(root, path, &jobs, now);
    if (parsed < 0)
        return true;
    bool same_file = job_sha256 == NULL || strcmp(job_sha256, now) == 0;
    if (parsed == 0)
        return request_sha256 == NULL && same_file;
    bool answered = request_sha256 != NULL ? is_asked_for(&jobs, path, stem, request_sha256) : same_file;
    jobfile_free(&jobs);
    return answered;
}
