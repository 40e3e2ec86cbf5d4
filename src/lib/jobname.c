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

static size_t length_before(const char *job, const char *ending)
{
    size_t len = strlen(job), n = strlen(ending);
    return len > n && strcmp(job + len - n, ending) == 0 ? len - n : 0;
}

static size_t stem_len(const char *job, enum jobname_kind *kind)
{
    static const struct {
        const char *ending;
        enum jobname_kind kind;
    } outcomes[] = {
        {".result.json", JOBNAME_RESULT}, {".error.json", JOBNAME_ERROR}, {".error.body", JOBNAME_ERROR}};
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        size_t len = length_before(job, outcomes[i].ending);
        *kind = outcomes[i].kind;
        if (len > 0)
            return len;
    }
    size_t len = name_stem_len(job);
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
