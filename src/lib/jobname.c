#include "lib/jobname.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "lib/error.h"

bool jobname_is_plain(const char *path)
{
    char dir[256];
    for (;;) {
        size_t len = strcspn(path, "/");
        if (path[len] == '\0') /* the last: a file */
            return len > 0 && strcmp(path, ".") != 0 && strcmp(path, "..") != 0;
        if (len >= sizeof dir)
            return false;
        memcpy(dir, path, len);
        dir[len] = '\0';
        if (!name_is_scanned_dir(dir))
            return false;
        path += len + 1;
    }
}

static size_t stem_len(const char *job, enum jobname_kind *kind)
{
    size_t len = name_outcome_stem_len(job);
    if (len > 0) {
        *kind = strcmp(job + len, ".result.json") == 0 ? JOBNAME_RESULT : JOBNAME_ERROR;
        return len;
    }
    len = name_stem_len(job);
    *kind = job[len] != '\0' ? JOBNAME_FILE : JOBNAME_STEM;
    return len;
}

int jobname_read(const char *job, enum jobname_kind *kind, char **stem, struct flowspool_error **error)
{
    *stem = NULL;
    if (!job || !jobname_is_plain(job))
        return error_set(
            error, -EINVAL,
            "\"%s\" is no job: a job is named by its file, relative to the spool, without . or .. in it",
            job ? job : "");
    *stem = strndup(job, stem_len(job, kind));
    return *stem ? 0 : error_memory(error);
}
