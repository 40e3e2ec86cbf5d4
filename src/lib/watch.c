/* Waiting for outcomes: events say where to look, and the look is the truth. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/names.h"
#include "io/beneath.h"
#include "io/clock.h"
#include "io/filesystem.h"
#include "lib/error.h"
#include "lib/outcome.h"
#include "lib/request.h"
#include "lib/spooldir.h"
#include "lib/watchlist.h"

enum {
    FAST_LOOK_MS = 500,  /* where no events come from */
    SLOW_LOOK_MS = 5000, /* where they do: the spool may be removed, which no event tells */
    LOOK_MAX_MS = 60000,
    JOBS_PER_MS = 20, /* so many looks take about a millisecond: they may take a tenth of the time */
    EVENTS = IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_CLOSE_WRITE | IN_DELETE | IN_DELETE_SELF |
             IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK,
};

struct flowspool_watch {
    int root, epoll, timer;
    int inotify; /* -1: there are no events */
    bool remote; /* events of other machines do not come */
    struct watchlist list;
    struct watchdir **dirs; /* few */
    size_t ndirs;
    char *job;                /* that was reported last */
    int64_t fast_ms, slow_ms; /* when to look next without being told; by clock_mono_ms() */
};

/* ---- directories ---- */

static bool is_covered(const struct flowspool_watch *w, const struct watchdir *dir)
{
    return dir->wd >= 0 && !w->remote;
}

/* inotify would follow links in a path; the name of a descriptor in /proc leads to it alone. */
static void cover(struct flowspool_watch *w, struct watchdir *dir)
{
    char name[64];
    if (w->inotify < 0 || dir->wd >= 0)
        return;
    int fd = beneath_open(w->root, dir->path, O_PATH | O_DIRECTORY);
    if (fd < 0)
        return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    dir->wd = inotify_add_watch(w->inotify, name, EVENTS);
    close(fd);
}

static struct watchdir *directory(struct flowspool_watch *w, const char *stem)
{
    const char *slash = strrchr(stem, '/');
    size_t len = slash ? (size_t)(slash - stem) : 0;
    for (size_t i = 0; i < w->ndirs; i++)
        if (strncmp(w->dirs[i]->path, stem, len) == 0 && w->dirs[i]->path[len] == '\0')
            return w->dirs[i];
    struct watchdir **dirs = reallocarray(w->dirs, w->ndirs + 1, sizeof(struct watchdir *));
    if (!dirs)
        return NULL;
    w->dirs = dirs;
    struct watchdir *dir = calloc(1, sizeof *dir);
    char *path = dir ? strndup(stem, len) : NULL;
    if (!path) {
        free(dir);
        return NULL;
    }
    *dir = (struct watchdir){.path = path, .wd = -1};
    w->dirs[w->ndirs++] = dir;
    return dir;
}

static void uncover(struct flowspool_watch *w, struct watchdir *dir)
{
    if (dir->wd >= 0)
        inotify_rm_watch(w->inotify, dir->wd); /* fails when it is gone already */
    dir->wd = -1;
}

static void forget_empty_directories(struct flowspool_watch *w)
{
    for (size_t i = 0; i < w->ndirs;) {
        struct watchdir *dir = w->dirs[i];
        if (dir->jobs > 0) {
            i++;
            continue;
        }
        uncover(w, dir);
        free(dir->path);
        free(dir);
        w->dirs[i] = w->dirs[--w->ndirs];
    }
}

/* ---- when to look ---- */

static int64_t within(int64_t least_ms, size_t jobs)
{
    int64_t ms = least_ms + (int64_t)(jobs / JOBS_PER_MS) * 10;
    return ms < LOOK_MAX_MS ? ms : LOOK_MAX_MS;
}

static bool all_covered(const struct flowspool_watch *w)
{
    for (size_t i = 0; i < w->ndirs; i++)
        if (!is_covered(w, w->dirs[i]))
            return false;
    return true;
}

/* Makes the descriptor readable when there is something to do; setting the timer also clears it. */
static void arm(struct flowspool_watch *w)
{
    struct itimerspec t = {0};
    int64_t at = all_covered(w) || w->slow_ms < w->fast_ms ? w->slow_ms : w->fast_ms;
    if (w->list.due)
        at = 1; /* long past */
    if (w->list.count > 0) {
        t.it_value.tv_sec = (time_t)(at / 1000);
        t.it_value.tv_nsec = (long)(at % 1000) * 1000000;
    }
    timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void look_when_due(struct flowspool_watch *w)
{
    int64_t now = clock_mono_ms();
    if (now >= w->fast_ms) {
        for (size_t i = 0; i < w->ndirs; i++) {
            bool covered = is_covered(w, w->dirs[i]);
            cover(w, w->dirs[i]);
            if (!covered) /* also where events come from now on: it may have come before them */
                watchlist_mark_all(&w->list, w->dirs[i]);
        }
        w->fast_ms = now + within(FAST_LOOK_MS, w->list.count);
    }
    if (now >= w->slow_ms) {
        watchlist_mark_all(&w->list, NULL);
        w->slow_ms = now + within(SLOW_LOOK_MS, w->list.count);
    }
}

/* ---- events ---- */

static void see_name(struct flowspool_watch *w, const struct watchdir *dir, const char *name)
{
    char path[PATH_MAX];
    enum jobname_kind kind;
    char *stem;
    int n = snprintf(path, sizeof path, "%s%s%s", dir->path, dir->path[0] ? "/" : "", name);
    if (n < 0 || (size_t)n >= sizeof path || jobname_read(path, &kind, &stem, NULL) != 0)
        return;
    struct watched *entry = watchlist_find(&w->list, stem, strlen(stem));
    if (entry)
        watchlist_mark(&w->list, entry);
    free(stem);
}

static void see_event(struct flowspool_watch *w, const struct inotify_event *e)
{
    if (e->mask & IN_Q_OVERFLOW)
        watchlist_mark_all(&w->list, NULL);
    for (size_t i = 0; i < w->ndirs; i++) {
        struct watchdir *dir = w->dirs[i];
        if (dir->wd < 0 || dir->wd != e->wd)
            continue;
        if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
            uncover(w, dir);
            watchlist_mark_all(&w->list, dir);
            w->fast_ms = 0; /* perhaps there is another one already */
        } else if (e->len > 0) {
            see_name(w, dir, e->name);
        }
    }
}

static void read_events(struct flowspool_watch *w)
{
    _Alignas(struct inotify_event) char buffer[16 * 1024];
    ssize_t n;
    while (w->inotify >= 0 && (n = read(w->inotify, buffer, sizeof buffer)) > 0)
        for (size_t at = 0; at < (size_t)n;) {
            const struct inotify_event *e = (const struct inotify_event *)(const void *)(buffer + at);
            at += sizeof *e + e->len;
            see_event(w, e);
        }
}

/* ---- life ---- */

static bool add_to_epoll(const struct flowspool_watch *w, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

static bool open_descriptors(struct flowspool_watch *w)
{
    w->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    w->epoll = w->timer >= 0 ? epoll_create1(EPOLL_CLOEXEC) : -1;
    if (w->epoll < 0 || !add_to_epoll(w, w->timer))
        return false;
    w->remote = filesystem_network_kind(w->root) != NULL;
    w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC); /* without one it looks again and again */
    return w->inotify < 0 || add_to_epoll(w, w->inotify);
}

int flowspool_watch_open(const char *spool, struct flowspool_watch **watch, struct flowspool_error **error)
{
    *watch = NULL;
    if (error)
        *error = NULL;
    struct flowspool_watch *w = calloc(1, sizeof *w);
    if (!w)
        return error_memory(error);
    w->epoll = w->timer = w->inotify = -1;
    w->root = spool_root(spool, error);
    int err = w->root < 0 ? w->root : 0;
    if (err == 0 && !open_descriptors(w))
        err = error_system(error, -errno, "wait for outcomes in", spool);
    if (err != 0) {
        flowspool_watch_close(w);
        return err;
    }
    w->slow_ms = clock_mono_ms() + SLOW_LOOK_MS;
    *watch = w;
    return 0;
}

void flowspool_watch_close(struct flowspool_watch *watch)
{
    if (!watch)
        return;
    const int fds[] = {watch->epoll, watch->timer, watch->inotify, watch->root};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    watchlist_free(&watch->list);
    for (size_t i = 0; i < watch->ndirs; i++) {
        free(watch->dirs[i]->path);
        free(watch->dirs[i]);
    }
    free(watch->dirs);
    free(watch->job);
    free(watch);
}

int flowspool_watch_fd(const struct flowspool_watch *watch)
{
    return watch->epoll;
}

/* ---- jobs ---- */

/* 1: added; 0: was there. */
static int add_one(struct flowspool_watch *w, const char *job, const char *stem, enum jobname_kind kind,
                   struct flowspool_error **error)
{
    if (watchlist_find(&w->list, stem, strlen(stem)))
        return 0;
    struct watched *entry = calloc(1, sizeof *entry);
    struct watchdir *dir = directory(w, stem);
    if (entry) {
        *entry = (struct watched){.job = strdup(job), .stem = strdup(stem), .kind = kind, .dir = dir};
        if (dir && entry->job && entry->stem && watchlist_add(&w->list, entry)) {
            cover(w, dir); /* before the first look */
            watchlist_mark(&w->list, entry);
            return 1;
        }
        watched_free(entry);
    }
    forget_empty_directories(w);
    return error_memory(error);
}

static int add_documents(struct flowspool_watch *w, const char *path, const struct jobfile *jobs,
                         struct flowspool_error **error)
{
    int added = 0;
    for (size_t i = 0; i < jobs->count; i++) {
        char *stem = name_outcome_stem(path, true, jobs->jobs[i].id, jobs->jobs[i].document);
        int rc = stem ? add_one(w, stem, stem, JOBNAME_STEM, error) : error_memory(error);
        free(stem);
        if (rc < 0)
            return rc;
        added += rc;
    }
    return added;
}

/* A file of several documents has no outcome of its own. *several: it is one, and they were added. */
static int add_if_several(struct flowspool_watch *w, const char *path, bool *several,
                          struct flowspool_error **error)
{
    struct jobfile jobs;
    char job_sha256[DIGEST_HEX];
    if (request_read(w->root, path, &jobs, job_sha256) != 1)
        return 0;
    *several = jobs.count > 1;
    int added = *several ? add_documents(w, path, &jobs, error) : 0;
    jobfile_free(&jobs);
    return added;
}

static int add_job(struct flowspool_watch *w, const char *job, const char *stem, enum jobname_kind kind,
                   struct flowspool_error **error)
{
    static const char *const endings[] = {".yaml", ".yml"};
    bool several = false;
    int added = kind == JOBNAME_FILE ? add_if_several(w, job, &several, error) : 0;
    for (size_t i = 0; kind == JOBNAME_STEM && added == 0 && !several && i < 2; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s%s", stem, endings[i]) < 0)
            return error_memory(error);
        added = add_if_several(w, path, &several, error);
        free(path);
    }
    return several || added < 0 ? added : add_one(w, job, stem, kind, error);
}

int flowspool_watch_add(struct flowspool_watch *watch, const char *job, struct flowspool_error **error)
{
    enum jobname_kind kind;
    char *stem;
    if (error)
        *error = NULL;
    int rc = jobname_read(job, &kind, &stem, error);
    if (rc != 0)
        return rc;
    rc = add_job(watch, job, stem, kind, error);
    free(stem);
    arm(watch);
    return rc;
}

/* ---- the next outcome ---- */

static bool is_ours_to_mend(int err)
{
    return err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

/* 0: of none that is due there is an outcome. */
static int take_due(struct flowspool_watch *w, struct flowspool_outcome **outcome, const char **job,
                    struct flowspool_error **error)
{
    for (struct watched *entry; (entry = watchlist_next_due(&w->list)) != NULL;) {
        int found = outcome_look(w->root, entry->job, entry->stem, entry->kind, outcome, error);
        if (found == 0)
            continue;
        if (found < 0 && is_ours_to_mend(found)) {
            watchlist_mark(&w->list, entry);
            return found;
        }
        watchlist_remove(&w->list, entry);
        w->job = entry->job;
        entry->job = NULL;
        watched_free(entry);
        forget_empty_directories(w);
        if (job)
            *job = w->job;
        return found;
    }
    return 0;
}

static int nothing_to_wait_for(const struct flowspool_watch *w, struct flowspool_error **error)
{
    struct stat st;
    if (w->list.count == 0)
        return error_set(error, -ENOENT, "no job is waited for");
    if (fstat(w->root, &st) == 0 && st.st_nlink == 0)
        return error_set(error, -ENOENT, "the spool was removed");
    return 0;
}

static int wait_some(struct flowspool_watch *w, int64_t until_ms)
{
    struct epoll_event e;
    int64_t left = until_ms == INT64_MAX ? -1 : until_ms - clock_mono_ms();
    if (until_ms != INT64_MAX && left <= 0)
        return 0;
    arm(w);
    int n = epoll_wait(w->epoll, &e, 1, left > INT_MAX ? INT_MAX : (int)left);
    return n >= 0 || errno == EINTR ? 1 : -errno;
}

static int next(struct flowspool_watch *w, int64_t until_ms, struct flowspool_outcome **outcome,
                const char **job, struct flowspool_error **error)
{
    for (;;) {
        read_events(w);
        look_when_due(w);
        int rc = take_due(w, outcome, job, error);
        if (rc == 0)
            rc = nothing_to_wait_for(w, error);
        if (rc != 0)
            return rc;
        rc = wait_some(w, until_ms);
        if (rc < 0)
            return error_system(error, rc, "wait for", "outcomes");
        if (rc == 0)
            return 0;
    }
}

int flowspool_watch_next(struct flowspool_watch *watch, int timeout_ms, struct flowspool_outcome **outcome,
                         const char **job, struct flowspool_error **error)
{
    *outcome = NULL;
    if (error)
        *error = NULL;
    if (job)
        *job = NULL;
    free(watch->job);
    watch->job = NULL;
    int rc = next(watch, timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms, outcome, job, error);
    arm(watch);
    return rc;
}
