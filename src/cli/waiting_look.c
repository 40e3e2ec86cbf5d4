/* Whether a job has ended: by its file, by the state, and where that knows nothing, by its outcome file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/waiting_internal.h"
#include "core/arena.h"
#include "core/jobfile.h"
#include "core/names.h"
#include "core/order.h"
#include "core/verdict.h"
#include "flowspool/flowspool.h"
#include "io/beneath.h"

#define JOB_FILE_MAX ((off_t)64 << 20)

/* ---- what retry leaves for the next start ---- */

static bool note_again(struct looking *l, const struct order *o)
{
    int64_t *again = reallocarray(l->again, l->nagain + o->njobs, sizeof *again);
    if (again == NULL)
        return false;
    memcpy(again + l->nagain, o->jobs, o->njobs * sizeof *again);
    l->again = again;
    l->nagain += o->njobs;
    return true;
}

void looking_begin(struct looking *l, struct waiting *w, struct store *store)
{
    *l = (struct looking){.w = w, .store = store};
    char *orders = store != NULL ? store_get(store, "retry.pending") : NULL, *rest = orders;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        struct arena arena = {0};
        struct order o;
        if (line[0] != '\0' && order_parse(line, &arena, &o) == NULL && o.kind == ORDER_RETRY && o.njobs > 0)
            l->no_memory = !note_again(l, &o) || l->no_memory;
        arena_free(&arena);
    }
    free(orders);
}

void looking_end(struct looking *l)
{
    free(l->again);
}

static bool runs_again(const struct looking *l, int64_t job)
{
    for (size_t i = 0; i < l->nagain; i++)
        if (l->again[i] == job)
            return true;
    return false;
}

/* ---- the jobs of a target ---- */

/* Takes jobs; what was told stays so. */
static void set_jobs(struct target *t, struct awaited *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < t->njobs && !jobs[i].told; k++)
            jobs[i].told = t->jobs[k].told && strcmp(t->jobs[k].stem, jobs[i].stem) == 0 &&
                           strcmp(t->jobs[k].request_sha256, jobs[i].request_sha256) == 0;
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

static bool is_current(const struct job_row *r)
{
    return (r->blocked & JOB_BLOCK_SUPERSEDED) == 0;
}

static bool take_jobs_of_state(struct target *t, const struct job_row *rows, size_t nrows)
{
    struct awaited *jobs = calloc(nrows + 1, sizeof *jobs);
    size_t count = 0;
    bool ok = jobs != NULL;
    for (size_t i = 0; ok && i < nrows; i++)
        if (is_current(&rows[i]))
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
    char *bytes = size <= JOB_FILE_MAX ? malloc((size_t)size + 1) : NULL;
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
static void look_at_file(struct looking *l, struct target *t)
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
static bool find_path(struct looking *l, struct target *t)
{
    char *path = l->store != NULL ? store_stem_owner(l->store, t->stem, -1) : NULL;
    if (path == NULL)
        path = find_on_disk(l->w, t->stem);
    if (path == NULL)
        return false;
    bool own = name_stem_len(path) == strlen(t->stem);
    t->path = path;
    look_at_file(l, t);
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

/* ---- what is told ---- */

static void tell(struct looking *l, struct target *t, struct awaited *job, const struct ended_job *how)
{
    struct ended_job e = *how;
    size_t own = t->path != NULL ? name_stem_len(t->path) : 0;
    e.stem = job->stem;
    e.name = t->path != NULL && strlen(job->stem) == own ? t->path : job->stem;
    job->told = true;
    l->told++;
    l->w->ended(l->w->arg, &e);
}

static bool all_told(const struct target *t)
{
    for (size_t i = 0; i < t->njobs; i++)
        if (!t->jobs[i].told)
            return false;
    return t->njobs > 0;
}

/* ---- by the outcome file ---- */

/* Without a state it is all that there is; beside one, it is what a start would take over as it is. */
static void look_at_outcome(struct looking *l, struct target *t, struct awaited *job, const char *name)
{
    struct flowspool_outcome *o;
    if (flowspool_outcome_read(l->w->cfg->spool, name, &o, NULL) != 1)
        return;
    if (t->path != NULL &&
        strcmp(flowspool_outcome_job(o), t->path) != 0) { /* of another file, see is_refused() */
        flowspool_outcome_free(o);
        return;
    }
    const struct ended_job e = {
        .done = flowspool_outcome_success(o),
        .code = flowspool_outcome_error_code(o),
        .message = flowspool_outcome_error_message(o),
    };
    bool taken_over = e.done ? !flowspool_outcome_sandbox(o) : strcmp(e.code, CODE_AMBIGUOUS) == 0;
    if (l->store == NULL || t->outcome || taken_over)
        tell(l, t, job, &e);
    flowspool_outcome_free(o);
}

/* ---- by the state ---- */

struct known {
    struct file_row file;
    struct job_row *rows;
    size_t nrows;
    bool same; /* the file is as the state knows it */
};

static void find_rows(struct looking *l, struct target *t, struct known *k)
{
    *k = (struct known){0};
    if (l->store == NULL)
        return;
    if (store_file_by_path(l->store, t->path, &k->file))
        t->file_id = k->file.id;
    k->rows = t->file_id != 0 ? store_file_jobs(l->store, t->file_id, &k->nrows) : NULL;
    if (k->rows == NULL)
        k->nrows = 0;
    k->same = k->file.id != 0 && t->file != FILE_ABSENT && k->file.sig.ino == t->st.st_ino &&
              k->file.sig.size == t->st.st_size &&
              k->file.sig.mtime_ns == t->st.st_mtim.tv_sec * INT64_C(1000000000) + t->st.st_mtim.tv_nsec;
}

/* A job that is renamed within the spool stays the same one. */
static bool follow_rename(struct target *t, const struct known *k)
{
    if (k->file.id != 0 || k->nrows == 0 || t->stem != NULL || t->file != FILE_ABSENT ||
        k->rows[0].path[0] == '\0' || strcmp(k->rows[0].path, t->path) == 0)
        return false;
    char *path = strdup(k->rows[0].path);
    if (path == NULL)
        return false;
    free(t->path);
    t->path = path;
    t->watched = false;
    return true;
}

static const struct job_row *row_of(const struct known *k, const char *request)
{
    for (size_t i = 0; i < k->nrows; i++)
        if (is_current(&k->rows[i]) && strcmp(k->rows[i].request_sha256, request) == 0)
            return &k->rows[i];
    return NULL;
}

/* A failed job whose file was written or touched runs again, but for what may have been charged. */
static bool has_ended(const struct looking *l, const struct target *t, const struct known *k,
                      const struct job_row *r)
{
    if (r->state == JOB_DONE)
        return !runs_again(l, r->id);
    if (r->state != JOB_FAILED || runs_again(l, r->id))
        return false;
    return t->file == FILE_ABSENT || k->same || (r->code != NULL && code_if_charged(r->code) != NULL);
}

static void look_at_row(struct looking *l, struct target *t, const struct known *k, struct awaited *job,
                        const struct job_row *r)
{
    if (!has_ended(l, t, k, r))
        return;
    tell(l, t, job,
         &(struct ended_job){.done = r->state == JOB_DONE,
                             .code = r->code != NULL ? r->code : "?",
                             .message = r->message != NULL ? r->message : ""});
}

/* The whole file: it does not parse, is too large, or its outcome can have no name. */
static bool is_refused(struct looking *l, struct target *t, const struct known *k)
{
    const struct job_row *r = row_of(k, "");
    bool conflict = k->same && k->file.state == FILE_CONFLICT;
    if (!conflict && (r == NULL || !k->same || !has_ended(l, t, k, r)))
        return false;
    struct awaited job = {.stem = conflict ? t->path : r->stem};
    const struct ended_job e = {
        .code = conflict ? "refused" : r->code,
        .message = conflict ? k->file.fault : r->message,
    };
    tell(l, t, &job, &e);
    t->over = true;
    return true;
}

static void look_at_jobs(struct looking *l, struct target *t, const struct known *k)
{
    for (size_t i = 0; i < t->njobs; i++) {
        struct awaited *job = &t->jobs[i];
        if (job->told)
            continue;
        const struct job_row *r = row_of(k, job->request_sha256);
        if (r != NULL)
            look_at_row(l, t, k, job, r);
        else
            look_at_outcome(l, t, job, job->stem);
    }
    t->over = all_told(t);
}

/* Neither a file nor a row: only an outcome that was named itself. */
static void look_at_name(struct looking *l, struct target *t)
{
    struct awaited job = {.stem = t->stem};
    char *name = NULL;
    if (!t->outcome || t->stem == NULL)
        return;
    if (asprintf(&name, "%s.result.json", t->stem) < 0) {
        l->no_memory = true;
        return;
    }
    look_at_outcome(l, t, &job, name);
    free(name);
    t->over = job.told;
}

/* Only where there is no state: it would know whether the file was looked at since it was written. */
static void look_at_broken(struct looking *l, struct target *t)
{
    struct awaited job = {.stem = t->path};
    if (l->store != NULL)
        return;
    look_at_outcome(l, t, &job, t->path);
    t->over = job.told;
}

void look_at(struct looking *l, struct target *t)
{
    struct known k;
    if (t->path == NULL && !find_path(l, t)) {
        look_at_name(l, t);
        return;
    }
    look_at_file(l, t);
    find_rows(l, t, &k);
    if (follow_rename(t, &k))
        look_at_file(l, t);
    if (t->file == FILE_ABSENT)
        l->no_memory = !take_jobs_of_state(t, k.rows, k.nrows) || l->no_memory;
    if (t->file != FILE_ABSENT && is_refused(l, t, &k))
        ;
    else if (t->file == FILE_BROKEN)
        look_at_broken(l, t);
    else if (t->njobs > 0)
        look_at_jobs(l, t, &k);
    else
        look_at_name(l, t);
    file_row_free(&k.file);
    job_rows_free(k.rows, k.nrows);
}
