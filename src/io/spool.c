#include "io/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/names.h"
#include "io/beneath.h"
#include "io/filesystem.h"
#include "io/spool_internal.h"

/* Absolute, so that the path stays right whatever the working directory becomes. Links are kept: one that is
 * pointed elsewhere must show in spool_still_there. */
static char *absolute_path(const char *dir)
{
    if (dir[0] == '/')
        return strdup(dir);
    char *here = getcwd(NULL, 0);
    if (!here)
        return NULL;
    size_t size = strlen(here) + 1 + strlen(dir) + 1;
    char *path = malloc(size);
    if (path) {
        char *end = stpcpy(path, here);
        *end++ = '/';
        memcpy(end, dir, strlen(dir) + 1);
    }
    free(here);
    return path;
}

int spool_open(struct spool **out, const char *dir)
{
    struct spool *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->fd = -1;
    int err = -ENOMEM;
    s->dir = absolute_path(dir);
    if (!s->dir)
        goto fail;
    s->fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (s->fd < 0 || fstat(s->fd, &st) != 0) {
        err = -errno;
        goto fail;
    }
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    s->network = filesystem_network_kind(s->fd);
    *out = s;
    return 0;
fail:
    spool_close(s);
    return err;
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    free(s->dir);
    free(s);
}

int spool_fd(const struct spool *s)
{
    return s->fd;
}

bool spool_still_there(const struct spool *s)
{
    struct stat st;
    return stat(s->dir, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino;
}

bool spool_is_network(const struct spool *s, const char **kind)
{
    if (kind)
        *kind = s->network;
    return s->network != NULL;
}

static int64_t nanoseconds(const struct statx_timestamp *t)
{
    int64_t ns;
    if (__builtin_mul_overflow(t->tv_sec, INT64_C(1000000000), &ns) ||
        __builtin_add_overflow(ns, (int64_t)t->tv_nsec, &ns))
        return t->tv_sec < 0 ? INT64_MIN : INT64_MAX; /* a date beyond the years 1678 to 2261 */
    return ns;
}

/* name "": the descriptor itself. */
static int stat_at(int fd, const char *name, struct spool_stat *out)
{
    struct statx x;
    int flags = AT_SYMLINK_NOFOLLOW | (name[0] == '\0' ? AT_EMPTY_PATH : 0);
    if (statx(fd, name, flags, STATX_BASIC_STATS | STATX_BTIME, &x) != 0)
        return -errno;
    *out = (struct spool_stat){
        .dev = makedev(x.stx_dev_major, x.stx_dev_minor),
        .ino = x.stx_ino,
        .size = x.stx_size > INT64_MAX ? INT64_MAX : (int64_t)x.stx_size,
        .mtime_ns = nanoseconds(&x.stx_mtime),
        .ctime_ns = nanoseconds(&x.stx_ctime),
        .btime_ns = x.stx_mask & STATX_BTIME ? nanoseconds(&x.stx_btime) : 0,
        .uid = x.stx_uid,
        .gid = x.stx_gid,
        .mode = x.stx_mode,
        .nlink = x.stx_nlink,
    };
    return 0;
}

static int stat_beneath(struct spool *s, const char *path, struct spool_stat *out)
{
    if (path[0] != '\0' && !strchr(path, '/')) /* most paths: one system call */
        return stat_at(s->fd, path, out);
    int fd = beneath_open(s->fd, path, O_PATH);
    if (fd < 0)
        return fd;
    int err = stat_at(fd, "", out);
    close(fd);
    return err;
}

struct file_sig spool_sig(const struct spool_stat *st)
{
    return (struct file_sig){st->dev, st->ino, st->size, st->mtime_ns, st->btime_ns};
}

int spool_stat(struct spool *s, const char *path, struct spool_stat *out)
{
    struct spool_stat st;
    int err = stat_beneath(s, path, &st);
    if (err)
        return err;
    if (S_ISLNK(st.mode))
        return -ELOOP;
    if (!S_ISREG(st.mode))
        return -EINVAL;
    *out = st;
    return 0;
}

bool spool_is_gone(int err)
{
    return err == -ENOENT || err == -ENOTDIR || err == -ELOOP || err == -EINVAL || err == -ENAMETOOLONG;
}

int spool_exists(struct spool *s, const char *path)
{
    struct spool_stat st;
    int err = stat_beneath(s, path, &st);
    if (err != 0)
        return spool_is_gone(err) ? 0 : err;
    return !S_ISDIR(st.mode);
}

int spool_in_other(struct spool *s, const char *path)
{
    char state[PATH_MAX];
    struct spool_stat st;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        int len = snprintf(state, sizeof state, "%.*s/.flowspool", (int)(slash - path), path);
        if (len < 0 || (size_t)len >= sizeof state)
            return -ENAMETOOLONG;
        int err = stat_beneath(s, state, &st);
        if (err == 0 && S_ISDIR(st.mode))
            return 1;
        if (err != 0 && !spool_is_gone(err))
            return err;
    }
    return 0;
}

int spool_sweep(struct spool *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (name_classify(name) != NAME_OURS_TEMP)
        return -EINVAL;
    if (!slash)
        return unlinkat(s->fd, name, 0) == 0 ? 0 : -errno;
    char *parent = strndup(path, (size_t)(slash - path));
    if (!parent)
        return -ENOMEM;
    int dir = beneath_open(s->fd, parent, O_PATH | O_DIRECTORY);
    free(parent);
    if (dir < 0)
        return dir;
    int err = unlinkat(dir, name, 0) == 0 ? 0 : -errno;
    close(dir);
    return err;
}

/* Non-blocking, so that a FIFO or a device put there since the scan cannot stop us. */
static int open_regular(struct spool *s, const char *path, struct spool_stat *st)
{
    int fd = beneath_open(s->fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd == -ENXIO || fd == -ENODEV) /* a socket, a device without a driver */
        return -EINVAL;
    if (fd < 0)
        return fd;
    int err = stat_at(fd, "", st);
    if (!err && !S_ISREG(st->mode))
        err = -EINVAL;
    if (err) {
        close(fd);
        return err;
    }
    return fd;
}

/* Reads at most size bytes, until the end of the file. */
static ssize_t read_until_end(int fd, char *buf, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, buf + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

/* A read lease is granted only while nobody has the file open for writing. Network file systems answer by
 * what their server knows, so they are not asked; neither is another file system mounted below the spool. */
static bool lease_take(const struct spool *s, int fd, const struct spool_stat *st, bool *writer)
{
    *writer = false;
    if (s->network || st->dev != s->dev)
        return false;
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
        return true;
    *writer = errno == EAGAIN;
    return false;
}

/* The lease is held for the one look that proves the bytes: nobody had the file open for writing when its
 * size and times were still those from before the read. A writer that comes meanwhile waits for microseconds.
 */
static int stat_again(struct spool *s, int fd, const struct spool_stat *before, struct spool_stat *after,
                      bool *writer)
{
    bool leased = writer && lease_take(s, fd, before, writer);
    int err = stat_at(fd, "", after);
    if (leased)
        fcntl(fd, F_SETLEASE, F_UNLCK);
    if (err)
        return err;
    return after->size == before->size && after->mtime_ns == before->mtime_ns ? 0 : -EAGAIN;
}

static int read_open_file(struct spool *s, int fd, const struct spool_stat *before, char **bytes, size_t *len,
                          struct spool_stat *after, bool *writer)
{
    size_t size = (size_t)before->size;
    char *buf = malloc(size + 2); /* a byte to notice growth, and the NUL */
    if (!buf)
        return -ENOMEM;
    ssize_t n = read_until_end(fd, buf, size + 1);
    int err = n < 0 ? (int)n : stat_again(s, fd, before, after, writer);
    if (!err && (size_t)n != size)
        err = -EAGAIN;
    if (err) {
        free(buf);
        return err;
    }
    buf[size] = '\0';
    *bytes = buf;
    *len = size;
    return 0;
}

static int read_regular(struct spool *s, const char *path, int64_t max, char **bytes, size_t *len,
                        struct spool_stat *after, bool *writer)
{
    struct spool_stat before = {0};
    int fd = open_regular(s, path, &before);
    if (fd < 0)
        return fd;
    int err = -EFBIG;
    if (before.size <= max && (uint64_t)before.size < SIZE_MAX - 2)
        err = read_open_file(s, fd, &before, bytes, len, after, writer);
    close(fd);
    return err;
}

int spool_read(struct spool *s, const char *path, int64_t max, char **bytes, size_t *len,
               struct spool_stat *st, bool *writer)
{
    return read_regular(s, path, max, bytes, len, st, writer);
}

int spool_read_outcome(struct spool *s, const char *path, int64_t max, char **bytes, size_t *len)
{
    struct spool_stat st = {0};
    /* Mostly there is none, and to be told so costs less this way than by opening it. */
    int err = strchr(path, '/') ? 0 : stat_at(s->fd, path, &st);
    return err != 0 ? err : read_regular(s, path, max, bytes, len, &st, NULL);
}
