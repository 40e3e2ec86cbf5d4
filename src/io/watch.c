#include "io/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/names.h"
#include "io/beneath.h"
#include "io/watch_table.h"

enum {
    BUFFER_SIZE = 64 * 1024, /* about 1,500 events */
    READS_PER_TURN = 4,
    WATCH_MASK = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB |
                 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK,
};

struct watch {
    uv_poll_t poll;
    int inotify; /* -1: closed */
    int root;
    char *spool_dir;
    watch_fn fn;
    void *arg;
    struct watch_table table;
    char *path; /* of the event being reported */
    size_t path_size;
    _Alignas(struct inotify_event) char buffer[BUFFER_SIZE];
};

static void free_watch(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    watch_table_free(&w->table);
    free(w->path);
    free(w->spool_dir);
    free(w);
}

/* An event whose path cannot be told (no memory) is a lost one. */
static void report(struct watch *w, enum watch_event event, const char *dir, const char *name)
{
    size_t dir_len = strlen(dir);
    size_t need = dir_len + 1 + strlen(name) + 1;
    if (need > w->path_size) {
        char *grown = realloc(w->path, need + 256);
        if (!grown) {
            w->fn(w->arg, WATCH_OVERFLOW, "");
            return;
        }
        w->path = grown;
        w->path_size = need + 256;
    }
    char *end = stpcpy(w->path, dir);
    if (dir_len > 0 && name[0] != '\0')
        *end++ = '/';
    memcpy(end, name, strlen(name) + 1);
    w->fn(w->arg, event, w->path);
}

/* A directory that was moved keeps its watches and those of all below it, with paths that are wrong now; if
 * it left the spool nothing would ever correct them. The scan adds again what is still here. */
static void drop_watches_below(struct watch *w, const char *dir)
{
    int wd;
    for (size_t from = 0; (wd = watch_table_take_below(&w->table, dir, &from)) >= 0;)
        inotify_rm_watch(w->inotify, wd);
}

static void see_self_gone(struct watch *w, const struct inotify_event *e, const char *dir)
{
    if (dir[0] != '\0' && (e->mask & IN_MOVE_SELF)) { /* the spool itself may be moved back */
        drop_watches_below(w, dir);
        inotify_rm_watch(w->inotify, e->wd);
    }
    report(w, WATCH_SELF_GONE, dir, "");
}

static void see_directory(struct watch *w, const struct inotify_event *e, const char *dir)
{
    bool makes_a_spool = dir[0] != '\0' && strcmp(e->name, ".flowspool") == 0;
    if ((e->mask & (IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM)) &&
        (makes_a_spool || name_is_scanned_dir(e->name)))
        report(w, WATCH_DIR, dir, e->name);
}

static bool concerns_us(const char *dir, const char *name)
{
    enum name_kind kind = name_classify(name);
    return kind == NAME_JOB || kind == NAME_HELD_JOB || (dir[0] == '\0' && strcmp(name, "PAUSE") == 0);
}

static void see_file(struct watch *w, const struct inotify_event *e, const char *dir)
{
    if (!concerns_us(dir, e->name))
        return;
    if (e->mask & IN_MOVED_TO)
        report(w, WATCH_ARRIVED, dir, e->name);
    else if (e->mask & (IN_DELETE | IN_MOVED_FROM))
        report(w, WATCH_GONE, dir, e->name);
    else if (e->mask & IN_CREATE)
        report(w, WATCH_CREATED, dir, e->name);
    else if (e->mask & (IN_CLOSE_WRITE | IN_ATTRIB))
        report(w, WATCH_WRITTEN, dir, e->name);
}

static void see_event(struct watch *w, const struct inotify_event *e)
{
    if (e->mask & IN_Q_OVERFLOW) {
        report(w, WATCH_OVERFLOW, "", "");
        return;
    }
    const char *dir = watch_table_find(&w->table, e->wd);
    if (!dir)
        return; /* from before its watch was dropped */
    if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
        see_self_gone(w, e, dir);
    else if (e->mask & IN_IGNORED)
        watch_table_remove(&w->table, e->wd);
    else if (e->len == 0)
        return; /* attributes of the directory itself */
    else if (e->mask & IN_ISDIR)
        see_directory(w, e, dir);
    else
        see_file(w, e, dir);
}

/* false: nothing more to read now, or closed meanwhile. */
static bool read_events(struct watch *w)
{
    ssize_t n = read(w->inotify, w->buffer, sizeof w->buffer);
    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0)
        return false;
    for (size_t at = 0; at < (size_t)n && w->inotify >= 0;) {
        const struct inotify_event *e = (const struct inotify_event *)(const void *)(w->buffer + at);
        at += sizeof *e + e->len;
        see_event(w, e);
    }
    return w->inotify >= 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    (void)events;
    if (status < 0) {
        w->fn(w->arg, WATCH_OVERFLOW, "");
        return;
    }
    for (int i = 0; i < READS_PER_TURN && read_events(w); i++)
        ;
}

static void close_descriptors(struct watch *w)
{
    if (w->inotify >= 0)
        close(w->inotify);
    if (w->root >= 0)
        close(w->root);
    w->inotify = w->root = -1;
}

static int open_descriptors(struct watch *w, uv_loop_t *loop, const char *spool_dir)
{
    w->spool_dir = strdup(spool_dir);
    if (!w->spool_dir)
        return -ENOMEM;
    w->root = open(spool_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->root < 0)
        return -errno;
    w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->inotify < 0)
        return -errno;
    return uv_poll_init(loop, &w->poll, w->inotify);
}

int watch_open(struct watch **out, uv_loop_t *loop, const char *spool_dir, watch_fn fn, void *arg)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->inotify = w->root = -1;
    w->fn = fn;
    w->arg = arg;
    w->poll.data = w;
    int err = open_descriptors(w, loop, spool_dir);
    if (err) {
        close_descriptors(w);
        free_watch((uv_handle_t *)&w->poll);
        return err;
    }
    err = uv_poll_start(&w->poll, UV_READABLE, on_readable);
    if (err) {
        watch_close(w);
        return err;
    }
    *out = w;
    return 0;
}

/* inotify takes paths and would follow links in them; the descriptor's own name in /proc leads to it alone.
 */
static int add_by_descriptor(struct watch *w, int dir)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", dir);
    int wd = inotify_add_watch(w->inotify, name, WATCH_MASK);
    return wd < 0 ? -errno : wd;
}

/* Without /proc: by path. A link put in the way meanwhile costs false hints, no more. */
static int add_by_path(struct watch *w, const char *rel)
{
    char name[PATH_MAX];
    int len = snprintf(name, sizeof name, "%s/%s", w->spool_dir, rel);
    if (len < 0 || (size_t)len >= sizeof name)
        return -ENAMETOOLONG;
    int wd = inotify_add_watch(w->inotify, name, WATCH_MASK | IN_DONT_FOLLOW);
    return wd < 0 ? -errno : wd;
}

int watch_add(struct watch *w, const char *rel)
{
    int dir = rel[0] == '\0' ? w->root : beneath_open(w->root, rel, O_PATH | O_DIRECTORY);
    if (dir < 0)
        return dir;
    int wd = add_by_descriptor(w, dir);
    if (wd == -ENOENT)
        wd = add_by_path(w, rel);
    if (dir != w->root)
        close(dir);
    if (wd < 0)
        return wd;
    int err = watch_table_put(&w->table, wd, rel);
    if (err && !watch_table_find(&w->table, wd))
        inotify_rm_watch(w->inotify, wd);
    return err;
}

void watch_drop(struct watch *w, const char *rel)
{
    drop_watches_below(w, rel);
    int wd = watch_table_find_path(&w->table, rel);
    if (wd < 0)
        return;
    watch_table_remove(&w->table, wd);
    inotify_rm_watch(w->inotify, wd);
}

void watch_close(struct watch *w)
{
    if (!w || w->inotify < 0)
        return;
    uv_poll_stop(&w->poll);
    close_descriptors(w);
    uv_close((uv_handle_t *)&w->poll, free_watch);
}
