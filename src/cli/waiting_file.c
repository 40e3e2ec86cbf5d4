/* Which file a job is in, and which jobs are in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/waiting_internal.h"
#include "core/jobfile.h"
#include "core/names.h"
#include "io/beneath.h"

/* ---- the jobs of a target ---- */

static bool same_job(const struct awaited *a, const struct awaited *b)
{
    return strcmp(a->stem, b->stem) == 0 && strcmp(a->request_sha256, b->request_sha256) == 0;
}

/* Takes jobs; what was told of those that stay is not told again. */
static void set_jobs(struct target *t, struct awaited *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < t->njobs && !same_job(&t->jobs[k], &jobs[i]))
            k++;
        jobs[i].told = k < t->njobs && t->jobs[k].told;
    }
    for (size_t i = 0; i < t->njobs; i++)
        free(t->jobs[i].stem);
    free(t->jobs);
    t->jobs = jobs;
    t->njobs = count;
}

/* Takes stem. */
static bool add_job(const struct target *t, struct awaited *jobs, size_t *count, char *stem,
                    const char *request)
{
    if (stem == NULL)
        return false;
    if (t->stem != NULL && strcmp(t->stem, stem) != 0) {
        free(stem);
        return true;
    }
    jobs[*count] = (struct awaited){.stem = stem};
    snprintf(jobs[(*count)++].request_sha256, DIGEST_HEX, "%s", request);
    return true;
}

static bool take_jobs_of_file(struct target *t, const struct jobfile *file)
{
    struct awaited *jobs = calloc(file->count + 1, sizeof *jobs);
    size_t count = 0;
    bool ok = jobs != NULL;
    for (size_t i = 0; ok && i < file->count; i++) {
        const struct job_spec *s = &file->jobs[i];
        ok = add_job(t, jobs, &count, name_outcome_stem(t->path, file->count > 1, s->id, s->document),
                     s->request_sha256);
    }
    if (jobs != NULL)
        set_jobs(t, jobs, count);
    t->watched = t->watched && file->count == 1; /* their outcomes have names of their own */
    return ok;
}

bool target_take_rows(struct target *t, const struct job_row *rows, size_t nrows)
{
    struct awaited *jobs = calloc(nrows + 1, sizeof *jobs);
    size_t count = 0;
    bool ok = jobs != NULL;
    for (size_t i = 0; ok && i < nrows; i++)
        if (job_row_is_current(&rows[i]))
            ok = add_job(t, jobs, &count, strdup(rows[i].stem), rows[i].request_sha256);
    if (jobs != NULL)
        set_jobs(t, jobs, count);
    return ok;
}

/* ---- the job file ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int open_job(const struct waiting *w, const char *path)
{
    char *held = NULL;
    int fd = beneath_open(w->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd != -ENOENT || asprintf(&held, "%s.hold", path) < 0)
        return fd;
    fd = beneath_open(w->root, held, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    free(held);
    return fd;
}

static char *read_whole(int fd, off_t size, size_t *len)
{
    char *bytes = size <= (off_t)JOB_FILE_MAX ? malloc((size_t)size + 1) : NULL;
    *len = 0;
    while (bytes != NULL && *len < (size_t)size) {
        ssize_t n = read(fd, bytes + *len, (size_t)size - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        *len += (size_t)n;
    }
    return bytes;
}

static void parse_file(struct looking *l, struct target *t, int fd)
{
    struct jobfile file;
    struct fault fault;
    size_t len;
    char *bytes = read_whole(fd, t->st.st_size, &len);
    if (bytes != NULL && jobfile_parse(bytes, len, INPUTS_TEXT, &file, &fault)) {
        t->file = FILE_READ;
        l->no_memory = !take_jobs_of_file(t, &file) || l->no_memory;
        jobfile_free(&file);
    }
    free(bytes);
}

/* Reads it when it is another one than at the last look. */
void target_read_file(struct looking *l, struct target *t)
{
    struct stat st;
    int fd = open_job(l->w, t->path);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        t->file = FILE_ABSENT;
    } else if (t->file == FILE_ABSENT || !same_file(&st, &t->st)) {
        t->st = st;
        t->file = FILE_BROKEN;
        parse_file(l, t, fd);
    }
    if (fd >= 0)
        close(fd);
}

/* ---- which file it is ---- */

static bool is_readable_job(const struct waiting *w, const char *path)
{
    int fd = open_job(w, path);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* A job without an ending: its own file, or a document of the file whose name is a beginning of it. */
static char *find_on_disk(const struct waiting *w, const char *stem)
{
    static const char *const endings[] = {".yaml", ".yml"};
    const char *slash = strrchr(stem, '/'), *base = slash != NULL ? slash + 1 : stem;
    for (size_t len = strlen(stem); len > (size_t)(base - stem); len--) {
        if (stem[len] != '\0' && stem[len] != '.')
            continue;
        for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
            char *path = NULL;
            if (asprintf(&path, "%.*s%s", (int)len, stem, endings[i]) < 0)
                return NULL;
            if (is_readable_job(w, path))
                return path;
            free(path);
        }
    }
    return NULL;
}

/* Of a file that does not have the job (yet) nothing is decided. */
bool target_find_file(struct looking *l, struct target *t)
{
    char *path = l->store != NULL ? store_stem_owner(l->store, t->stem, -1) : NULL;
    if (path == NULL)
        path = find_on_disk(l->w, t->stem);
    if (path == NULL)
        return false;
    bool own = name_stem_len(path) == strlen(t->stem);
    t->path = path;
    target_read_file(l, t);
    if (own && t->file == FILE_READ) { /* named without its ending: all of its documents */
        free(t->stem);
        t->stem = NULL;
        t->file = FILE_ABSENT;
        return true;
    }
    if (own || t->file == FILE_ABSENT || t->njobs > 0)
        return true;
    free(t->path);
    t->path = NULL;
    t->file = FILE_ABSENT;
    return false;
}
