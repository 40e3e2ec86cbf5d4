/* A spool to publish in, on a disk that is watched and can fail. For the tests of publish alone: it takes the
 * place of some of the C library's calls in the whole program. */
#ifndef FLOWSPOOL_TESTS_PUBLISH_FIXTURE_H
#define FLOWSPOOL_TESTS_PUBLISH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "io/publish.h"
#include "tempdir.h"

/* ---- the disk ---- */

static struct {
    pthread_mutex_t lock;
    char trace[1 << 16];         /* one call a line */
    int file_errors, file_error; /* so many syncs of files fail, with this */
    int dir_errors, dir_error;
    int rename_errors, rename_error;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void trace(const char *call, const char *name)
{
    const char *slash = strrchr(name, '/');
    name = slash ? slash + 1 : name;
    if (strncmp(name, ".flowspool.", 11) == 0)
        name = "TEMP";
    size_t len = strlen(disk.trace);
    snprintf(disk.trace + len, sizeof disk.trace - len, "%s %s\n", call, name);
}

static inline int take_error(int *errors, int error)
{
    if (*errors == 0)
        return 0;
    --*errors;
    return error;
}

static inline int finish(int error)
{
    pthread_mutex_unlock(&disk.lock);
    errno = error;
    return error ? -1 : 0;
}

int fsync(int fd)
{
    char link[64], name[512];
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, name, sizeof name - 1);
    TEMPDIR_MUST(len > 0 && fstat(fd, &st) == 0);
    name[len] = '\0';
    pthread_mutex_lock(&disk.lock);
    trace("sync", name);
    int error = S_ISDIR(st.st_mode) ? take_error(&disk.dir_errors, disk.dir_error)
                                    : take_error(&disk.file_errors, disk.file_error);
    finish(0);
    if (error) {
        errno = error;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    pthread_mutex_lock(&disk.lock);
    trace("rename to", to);
    int error = take_error(&disk.rename_errors, disk.rename_error);
    if (!error && syscall(SYS_renameat2, from_dir, from, to_dir, to, 0) != 0)
        error = errno;
    return finish(error);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    pthread_mutex_lock(&disk.lock);
    trace("link", from);
    return finish(syscall(SYS_linkat, from_dir, from, to_dir, to, flags) == 0 ? 0 : errno);
}

int unlinkat(int dir, const char *name, int flags)
{
    pthread_mutex_lock(&disk.lock);
    trace("unlink", name);
    return finish(syscall(SYS_unlinkat, dir, name, flags) == 0 ? 0 : errno);
}

/* What was done since the last time this was asked. */
static inline const char *disk_trace(void)
{
    static char copy[sizeof disk.trace];
    pthread_mutex_lock(&disk.lock);
    memcpy(copy, disk.trace, sizeof copy);
    disk.trace[0] = '\0';
    pthread_mutex_unlock(&disk.lock);
    return copy;
}

static inline void disk_fails_syncs(int files, int file_error, int dirs, int dir_error)
{
    pthread_mutex_lock(&disk.lock);
    disk.file_errors = files;
    disk.file_error = file_error;
    disk.dir_errors = dirs;
    disk.dir_error = dir_error;
    pthread_mutex_unlock(&disk.lock);
}

/* ---- the spool ---- */

enum { PATIENCE_MS = 60000 };

struct fixture {
    struct tempdir base, spool, kept; /* kept.fd: -1 until superseded_dir is looked at */
    uv_loop_t loop;
    uv_timer_t patience;
    struct publish *publish;
    struct publish_result last;
    size_t reported;
    size_t order[1024]; /* arguments of the reports, as they came */
    bool out_of_patience;
};

struct report {
    struct fixture *f;
    size_t number;
};
static struct report reports[1024];

static inline void on_done(void *arg, const struct publish_result *r)
{
    const struct report *report = arg;
    struct fixture *f = report->f;
    f->last = *r;
    f->order[f->reported++] = report->number;
}

static inline void on_patience(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    f->out_of_patience = true;
}

static inline void make_fixture(struct fixture *f, const char *kept_path)
{
    put_dir(&f->base, "spool");
    put_dir(&f->base, "state");
    TEMPDIR_MUST(snprintf(f->spool.path, sizeof f->spool.path, "%s/spool", f->base.path) <
                 (int)sizeof f->spool.path);
    f->spool.fd = open(f->spool.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    TEMPDIR_MUST(f->spool.fd >= 0);
    snprintf(f->kept.path, sizeof f->kept.path, "%s", kept_path);
    f->kept.fd = -1;
    TEMPDIR_MUST(uv_loop_init(&f->loop) == 0 && uv_timer_init(&f->loop, &f->patience) == 0);
    f->patience.data = f;
    uv_timer_start(&f->patience, on_patience, PATIENCE_MS, 0);
    disk_fails_syncs(0, 0, 0, 0);
    TEMPDIR_MUST(publish_open(&f->publish, &f->loop, f->spool.fd, f->kept.path) == 0);
    disk_trace();
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char kept[64];
    tempdir_open(&f->base, "/tmp");
    TEMPDIR_MUST(snprintf(kept, sizeof kept, "%s/state/kept", f->base.path) < (int)sizeof kept);
    make_fixture(f, kept);
    *state = f;
    return 0;
}

static inline void close_fixture(struct fixture *f)
{
    publish_close(f->publish);
    uv_close((uv_handle_t *)&f->patience, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    TEMPDIR_MUST(uv_loop_close(&f->loop) == 0);
    close(f->spool.fd);
    if (f->kept.fd >= 0)
        close(f->kept.fd);
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    close_fixture(f);
    tempdir_close(&f->base);
    free(f);
    return 0;
}

static inline const struct tempdir *kept(struct fixture *f)
{
    if (f->kept.fd < 0)
        f->kept.fd = open(f->kept.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return &f->kept;
}

static inline int count_names(const char *path, const char *part)
{
    DIR *dir = opendir(path);
    int count = 0;
    if (!dir)
        return 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        count +=
            e->d_name[0] != '.' || strstr(e->d_name, ".flowspool.") ? strstr(e->d_name, part) != NULL : 0;
    closedir(dir);
    return count;
}

static inline int count_temporaries(struct fixture *f)
{
    return count_names(f->spool.path, ".flowspool.") + count_names(f->kept.path, ".flowspool.");
}

static inline void *next_report(struct fixture *f)
{
    static size_t next;
    size_t i = next++ % (sizeof reports / sizeof *reports);
    reports[i] = (struct report){f, i};
    return &reports[i];
}

static inline void wait_for(struct fixture *f, size_t count)
{
    while (f->reported < count && !f->out_of_patience)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_false(f->out_of_patience);
    assert_int_equal(f->reported, count);
    assert_int_equal(publish_queued(f->publish), 0);
}

static inline struct publish_task task(const char *stem, bool success, const char *text, const char *body)
{
    return (struct publish_task){
        .stem = stem,
        .success = success,
        .text = text,
        .len = strlen(text),
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .uid = geteuid(),
        .gid = getegid(),
        .mode = 0100644,
    };
}

static inline enum publish_rc publish_now(struct fixture *f, const struct publish_task *t)
{
    f->reported = 0;
    assert_int_equal(publish_outcome(f->publish, t, on_done, next_report(f)), 0);
    assert_int_equal(f->reported, 0);
    wait_for(f, 1);
    return f->last.rc;
}

static inline enum publish_rc publish_text(struct fixture *f, const char *stem, bool success,
                                           const char *text)
{
    struct publish_task t = task(stem, success, text, NULL);
    return publish_now(f, &t);
}

static inline struct stat stat_of(const struct tempdir *d, const char *name)
{
    struct stat st = {0};
    TEMPDIR_MUST(fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
    return st;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
