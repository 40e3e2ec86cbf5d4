/* A job file put into the spool: as a whole, for good, replacing nothing; or nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/jobfile.h"
#include "core/names.h"
#include "io/beneath.h"
#include "io/clock.h"
#include "lib/error.h"
#include "lib/jobname.h"
#include "lib/spooldir.h"

#define ASIDE  ".flowspool-submit." /* the daemon sweeps names that begin with .flowspool. when it starts */
#define RANDOM 8
#define TRIES  16

struct submit {
    const char *bytes;
    size_t len;
    const struct jobfile *jobs;
    int root, dir;
    bool readable; /* the directory may be opened for reading, and so be synced by itself */
    char *path;    /* of the job, relative to the spool */
    const char *base;
    char aside[sizeof ASIDE + RANDOM];
    int file;
    struct flowspool_error **error;
};

/* A name in use is noticed, so bits of the clock do where the kernel has no better ones. */
static void random_letters(char out[RANDOM + 1])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32 that nobody mistakes */
    uint64_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits) {
        struct timespec now = {0};
        clock_gettime(CLOCK_MONOTONIC, &now);
        bits =
            (uint64_t)now.tv_nsec * UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)getpid() << 20 ^ (uintptr_t)out;
    }
    for (size_t i = 0; i < RANDOM; i++, bits >>= 5)
        out[i] = letters[bits & 31];
    out[RANDOM] = '\0';
}

/* ---- the name ---- */

static int refuse_name(const struct submit *s, int code, const char *name, const char *why)
{
    return error_set(s->error, code, "\"%s\" cannot be a job's name: %s", name, why);
}

static int name_fault(const struct submit *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    enum name_kind kind = name_classify(slash ? slash + 1 : path);
    if (!jobname_is_plain(path))
        return refuse_name(
            s, -EINVAL, path,
            "it is relative to the spool, has no . or .. in it, and no directory that begins with "
            ". _ @ # or ~");
    if (kind != NAME_JOB && kind != NAME_HELD_JOB)
        return refuse_name(s, -EINVAL, path, "flowspoold ignores such names");
    for (size_t i = 0; i < s->jobs->count; i++) {
        const struct job_spec *job = &s->jobs->jobs[i];
        const char *why = name_refusal(path, s->jobs->count > 1, job->id, job->document);
        if (why)
            return refuse_name(s, name_is_utf8(path, strlen(path)) ? -ENAMETOOLONG : -EINVAL, path, why);
    }
    return 0;
}

/* The name as it was given, with an ending. */
static int choose_given(struct submit *s, const char *name)
{
    bool ended = name_stem_len(name) < strlen(name);
    if (asprintf(&s->path, "%s%s", name, ended ? "" : ".yaml") >= 0)
        return name_fault(s, s->path);
    s->path = NULL;
    return error_memory(s->error);
}

/* WORKFLOW-20261123T220000Z-xxxxxxxx.yaml: sorted by time, and told apart by people. */
static int choose_new(struct submit *s)
{
    char when[32] = "", letters[RANDOM + 1];
    struct tm tm;
    time_t now = (time_t)(clock_unix_ms() / 1000);
    if (gmtime_r(&now, &tm))
        strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm);
    random_letters(letters);
    const char *workflow = s->jobs->jobs[0].workflow;
    for (int i = 0; i < 2; i++, workflow = "job") { /* a workflow can be called so that its name is ignored */
        if (asprintf(&s->path, "%.100s-%s-%s.yaml", workflow, when, letters) < 0) {
            s->path = NULL;
            return error_memory(s->error);
        }
        if (name_classify(s->path) == NAME_JOB)
            return 0;
        free(s->path);
        s->path = NULL;
    }
    return error_set(s->error, -EINVAL, "no name was found for the job");
}

static int open_directory(struct submit *s)
{
    const char *slash = strrchr(s->path, '/');
    char *dir = strndup(s->path, slash ? (size_t)(slash - s->path) : 0);
    if (!dir)
        return error_memory(s->error);
    s->base = slash ? slash + 1 : s->path;
    s->dir = beneath_open(s->root, dir, O_RDONLY | O_DIRECTORY);
    s->readable = s->dir >= 0;
    if (s->dir == -EACCES) /* one may put something into a directory that one may not list */
        s->dir = beneath_open(s->root, dir, O_PATH | O_DIRECTORY);
    int err = s->dir < 0 ? error_system(s->error, s->dir, "open the directory", dir[0] ? dir : ".") : 0;
    free(dir);
    return err;
}

static void close_directory(struct submit *s)
{
    if (s->dir >= 0)
        close(s->dir);
    s->dir = -1;
}

/* Of two jobs that would share an outcome's name the daemon refuses one. */
static int look_for_twin(const struct submit *s)
{
    static const char *const endings[] = {".yaml", ".yml", ".yaml.hold", ".yml.hold"};
    size_t stem = name_stem_len(s->base);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char *twin = NULL;
        struct stat st;
        if (asprintf(&twin, "%.*s%s", (int)stem, s->base, endings[i]) < 0)
            return error_memory(s->error);
        bool there = fstatat(s->dir, twin, &st, AT_SYMLINK_NOFOLLOW) == 0;
        int err = there ? error_set(s->error, -EEXIST, "%s is there already%s", twin,
                                    strcmp(twin, s->base) == 0 ? "" : ", and its outcome has the same name")
                        : 0;
        free(twin);
        if (err != 0)
            return err;
    }
    return 0;
}

/* ---- the file ---- */

static int create_aside(struct submit *s)
{
    char letters[RANDOM + 1];
    for (int i = 0; i < TRIES; i++) {
        random_letters(letters);
        snprintf(s->aside, sizeof s->aside, ASIDE "%s", letters);
        s->file = openat(s->dir, s->aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (s->file >= 0)
            return 0;
        if (errno != EEXIST && errno != EINTR)
            break;
    }
    return error_system(s->error, -errno, "create a file for", s->path);
}

static int write_file(const struct submit *s)
{
    for (size_t done = 0; done < s->len;) {
        ssize_t n = write(s->file, s->bytes + done, s->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_system(s->error, n < 0 ? -errno : -EIO, "write", s->path);
        done += (size_t)n;
    }
    int rc;
    do
        rc = fsync(s->file);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : error_system(s->error, -errno, "sync", s->path);
}

/* Where a file system cannot rename without replacing (NFS), a second name does it: the daemon takes what was
 * linked in as whole, too. */
static int put_in_place(const struct submit *s)
{
    if (renameat2(s->dir, s->aside, s->dir, s->base, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (linkat(s->dir, s->aside, s->dir, s->base, 0) != 0)
        return -errno;
    unlinkat(s->dir, s->aside, 0); /* left behind it is ignored */
    return 0;
}

static int sync_directory(const struct submit *s)
{
    int rc;
    do
        rc = s->readable ? fsync(s->dir) : syncfs(s->file);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : -errno;
}

/* What is not sure to stay must not run either: the caller is told that it failed, and will try again. */
static void take_back(const struct submit *s)
{
    struct stat ours, there;
    if (fstat(s->file, &ours) == 0 && fstatat(s->dir, s->base, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
        unlinkat(s->dir, s->base, 0);
}

static int place(const struct submit *s)
{
    int err = write_file(s);
    if (err == 0) {
        err = put_in_place(s);
        if (err == 0) {
            err = sync_directory(s);
            if (err == 0)
                return 0;
            take_back(s);
            return error_system(s->error, err, "sync the directory of", s->path);
        }
        err = err == -EEXIST ? error_set(s->error, err, "%s is there already", s->path)
                             : error_system(s->error, err, "put in place", s->path);
    }
    unlinkat(s->dir, s->aside, 0);
    return err;
}

static int submit_once(struct submit *s)
{
    int err = open_directory(s);
    if (err == 0)
        err = look_for_twin(s);
    if (err == 0)
        err = create_aside(s);
    if (err == 0) {
        err = place(s);
        close(s->file);
    }
    close_directory(s);
    return err;
}

static int submit_as(struct submit *s, const char *name)
{
    int err = name ? choose_given(s, name) : 0;
    if (name)
        return err == 0 && s->path ? submit_once(s) : err;
    for (int i = 0; i < TRIES; i++) {
        free(s->path);
        s->path = NULL;
        err = choose_new(s);
        if (s->path)
            err = submit_once(s);
        if (err != -EEXIST)
            return err;
        if (s->error && i < TRIES - 1) {
            flowspool_error_free(*s->error);
            *s->error = NULL;
        }
    }
    return err;
}

int flowspool_submit_bytes(const char *spool, const char *bytes, size_t len, const char *name, char **path,
                           struct flowspool_error **error)
{
    struct jobfile jobs;
    struct fault fault = {0};
    if (error)
        *error = NULL;
    if (path)
        *path = NULL;
    if (!jobfile_parse(bytes, len, INPUTS_TEXT, &jobs, &fault))
        return error_parse(error, &fault);
    struct submit s = {.bytes = bytes, .len = len, .jobs = &jobs, .dir = -1, .file = -1, .error = error};
    s.root = spool_root(spool, error);
    int err = s.root < 0 ? s.root : submit_as(&s, name);
    if (s.root >= 0)
        close(s.root);
    if (err == 0 && s.path && path) {
        s.path[name_job_len(s.path)] = '\0'; /* the name that it is known by */
        *path = s.path;
    } else {
        free(s.path);
    }
    jobfile_free(&jobs);
    return err;
}

int flowspool_submit(const char *spool, struct flowspool_job *job, const char *name, char **path,
                     struct flowspool_error **error)
{
    size_t len;
    struct flowspool_error *own = NULL;
    if (path)
        *path = NULL;
    const char *bytes = flowspool_job_print(job, &len, &own);
    if (bytes)
        return flowspool_submit_bytes(spool, bytes, len, name, path, error);
    int code = flowspool_error_code(own);
    if (error)
        *error = own;
    else
        flowspool_error_free(own);
    return code;
}
