/* spool_census - a look at the names only, before the state is trusted. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/names.h"
#include "io/spool.h"

#define CENSUS_DEPTH 16

static bool ends_with(const char *name, const char *ending)
{
    size_t a = strlen(name);
    size_t b = strlen(ending);
    return a >= b && strcmp(name + a - b, ending) == 0;
}

static void census(int fd, bool recursive, int depth, size_t enough, size_t *jobs, bool *outcomes)
{
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return;
    }
    for (const struct dirent *d; (*jobs < enough || !*outcomes) && (d = readdir(dir)) != NULL;) {
        if (name_classify(d->d_name) == NAME_JOB)
            ++*jobs;
        if (ends_with(d->d_name, ".result.json") || ends_with(d->d_name, ".error.json"))
            *outcomes = true;
        bool enter =
            recursive && depth < CENSUS_DEPTH && d->d_type == DT_DIR && name_is_scanned_dir(d->d_name);
        int sub = enter ? openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (sub >= 0)
            census(sub, recursive, depth + 1, enough, jobs, outcomes);
    }
    closedir(dir);
}

void spool_census(struct spool *s, bool recursive, size_t enough, size_t *jobs, bool *outcomes)
{
    *jobs = 0;
    *outcomes = false;
    int fd = openat(spool_fd(s), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        census(fd, recursive, 0, enough, jobs, outcomes);
}
