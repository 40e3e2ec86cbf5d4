#include "cli/unseen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/namewords.h"
#include "core/jobfile.h"
#include "io/spool.h"

/* It says what it is wrong with it, or is found sound. */
static bool explain_content(struct explanation *e, const struct config *cfg, struct spool *spool,
                            const char *path)
{
    char *bytes = NULL;
    size_t len = 0;
    struct spool_stat st;
    bool writer = false;
    struct jobfile jobs;
    struct fault fault;
    int err = spool_read(spool, path, cfg->max_job_size, &bytes, &len, &st, &writer);
    if (err == -EAGAIN || writer) {
        explain_add(e, "incomplete", "", "somebody is still writing its file");
    } else if (err == -EFBIG) {
        explain_add(e, "too_large", "split it, or raise max_job_size",
                    "its file is larger than max_job_size (%lld bytes)", (long long)cfg->max_job_size);
    } else if (err != 0) {
        explain_add(e, "unreadable", "", "its file cannot be read: %s", strerror(-err));
    } else if (jobfile_parse(bytes, len, cfg->inputs_as, &jobs, &fault)) {
        jobfile_free(&jobs);
    } else if (fault.line != 0) {
        explain_add(
            e, "fault", "correct the job file",
            "its file does not parse (line %zu, column %zu: %s), and is refused when it has been left "
            "alone for %d s",
            fault.line, fault.column, fault.text, JOB_FILE_YOUNG_S);
    } else {
        explain_add(e, "fault", "correct the job file",
                    "its file does not parse (%s), and is refused when it has been left alone for %d s",
                    fault.text, JOB_FILE_YOUNG_S);
    }
    bool sound = e->count == 0;
    free(bytes);
    return sound;
}

static void explain_file(struct explanation *e, const struct explain_state *s, const struct config *cfg,
                         struct spool *spool, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    const char *ignored = name_ignored_words(name);
    if (ignored == NULL)
        ignored = path_ignored_words(path);
    if (ignored != NULL) {
        explain_add(e, "ignored", "rename it, if it is a job", "it is ignored: %s", ignored);
        return;
    }
    bool sound = explain_content(e, cfg, spool, path);
    if (sound && s->daemon == ASK_ANSWERED)
        explain_add(
            e, "unseen", "",
            "flowspoold has not taken it yet: it does when the file has been left alone for `settle`, "
            "at the latest after the next `rescan`");
    else if (sound)
        explain_add(e, "unseen", "", "flowspoold has not seen it yet");
    if (slash != NULL && !cfg->recursive)
        explain_add(e, "subdirectory", "set recursive: true in flowspoold's configuration",
                    "it lies in a subdirectory, and those are watched with `recursive` only");
    explain_daemon(e, s);
}

bool explain_unseen(struct explanation *e, const struct explain_state *s, const struct config *cfg,
                    const char *path)
{
    struct spool *spool;
    struct spool_stat st;
    e->before = e->left_ms = -1;
    if (spool_open(&spool, cfg->spool) != 0)
        return false;
    int err = spool_stat(spool, path, &st);
    if (err == -ELOOP)
        explain_add(e, "ignored", "put the file itself there", "it is ignored: a symbolic link leads to it");
    else if (err == -EINVAL && spool_exists(spool, path) == 1)
        explain_add(e, "ignored", "", "it is ignored: it is not a regular file");
    else if (err == 0)
        explain_file(e, s, cfg, spool, path);
    spool_close(spool);
    return e->count > 0 || err == 0;
}
