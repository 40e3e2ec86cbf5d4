#include "daemon/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/filesystem.h"

#define NOT_USABLE 2
#define TAKEN      4

static int refuse(int status, char *message, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int refuse(int status, char *message, size_t size, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(message, size, format, ap);
    va_end(ap);
    return status;
}

static bool is_ours_or_empty(const char *path)
{
    DIR *dir = opendir(path);
    bool ours = false, empty = true;
    if (dir == NULL)
        return false;
    for (const struct dirent *d; (d = readdir(dir)) != NULL;) {
        bool self = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0;
        empty = empty && self;
        ours = ours || strcmp(d->d_name, "state.db") == 0 || strcmp(d->d_name, "lock") == 0;
    }
    closedir(dir);
    return ours || empty;
}

static char *join(const char *dir, const char *name)
{
    char *s = NULL;
    return asprintf(&s, "%s/%s", dir, name) < 0 ? NULL : s;
}

/* A directory that somebody prepared, or that an earlier start gave to a group. Inputs and replies lie in it:
 * it must not stay open to others. One that holds other things than a state is left alone. */
static int narrow_directory(const char *path, mode_t mode)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if ((st.st_mode & 07777 & ~mode) == 0)
        return 0;
    if (!is_ours_or_empty(path))
        return -ENOTEMPTY;
    return chmod(path, mode) == 0 ? 0 : -errno;
}

static int make_directory(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0)
        return chmod(path, mode) == 0 ? 0 : -errno;
    if (errno != EEXIST)
        return -errno;
    return narrow_directory(path, mode);
}

static bool inside(const char *dir, const char *spool)
{
    size_t len = strlen(spool);
    return strncmp(dir, spool, len) == 0 && dir[len] == '/';
}

/* So that a spool kept in git does not swallow the state. */
static void write_gitignore(const char *dir)
{
    char *path = join(dir, ".gitignore");
    if (path == NULL)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    free(path);
    if (fd < 0)
        return;
    if (write(fd, "*\n", 2) != 2)
        errno = 0; /* cosmetic: nothing depends on it */
    close(fd);
}

static int lock(struct state_dir *s, char *message, size_t size)
{
    char *path = join(s->path, "lock");
    if (path == NULL)
        return refuse(NOT_USABLE, message, size, "out of memory");
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    free(path);
    if (s->lock_fd < 0)
        return refuse(NOT_USABLE, message, size, "state_dir %s: lock: %s", s->path, strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return -1;
    if (errno == EWOULDBLOCK)
        return refuse(TAKEN, message, size, "another flowspoold holds this spool (lock in %s)", s->path);
    return refuse(NOT_USABLE, message, size, "state_dir %s: lock: %s", s->path, strerror(errno));
}

static int find_group(const struct config *c, struct state_dir *s, char *message, size_t size)
{
    s->group = (gid_t)-1;
    if (c->state_group[0] == '\0')
        return -1;
    const struct group *g = getgrnam(c->state_group);
    if (g == NULL)
        return refuse(NOT_USABLE, message, size, "state_group: there is no group \"%s\"", c->state_group);
    s->group = g->gr_gid;
    return -1;
}

static const char *network_kind(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *kind = fd >= 0 ? filesystem_network_kind(fd) : NULL;
    if (fd >= 0)
        close(fd);
    return kind;
}

static int refuse_network(const char *path, const char *kind, char *message, size_t size)
{
    return refuse(NOT_USABLE, message, size,
                  "state_dir %s is on %s; locks and syncs need a local disk: set state_dir to one", path,
                  kind);
}

static int make_directories(const struct config *c, struct state_dir *s, char *message, size_t size)
{
    bool shared = s->group != (gid_t)-1;
    int err = make_directory(s->path, shared ? 0750 : 0700);
    if (err == -ENOTEMPTY)
        return refuse(NOT_USABLE, message, size,
                      "state_dir %s: others may look into it, and it holds other things than a state; name a "
                      "directory of its own, or make it mode %s",
                      s->path, shared ? "0750" : "0700");
    if (err != 0)
        return refuse(NOT_USABLE, message, size, "state_dir %s: %s", s->path, strerror(-err));
    const char *kind = network_kind(s->path);
    if (kind != NULL)
        return refuse_network(s->path, kind, message, size);
    if (shared && (chown(s->path, (uid_t)-1, s->group) != 0 || chmod(s->path, 0750) != 0))
        return refuse(NOT_USABLE, message, size, "state_dir %s: cannot be given to group %s: %s", s->path,
                      c->state_group, strerror(errno));
    if (inside(s->path, c->spool))
        write_gitignore(s->path);
    err = make_directory(s->replies, 0700);
    if (err == 0)
        err = make_directory(s->superseded, 0700);
    if (err != 0)
        return refuse(NOT_USABLE, message, size, "state_dir %s: %s", s->path, strerror(-err));
    return -1;
}

int state_dir_check(const struct config *c, char *message, size_t size)
{
    struct state_dir s = {.lock_fd = -1};
    int rc = find_group(c, &s, message, size);
    const char *kind = rc < 0 ? network_kind(c->state_dir) : NULL;
    return kind != NULL ? refuse_network(c->state_dir, kind, message, size) : rc;
}

int state_dir_open(const struct config *c, struct state_dir *out, char *message, size_t size)
{
    struct state_dir s = {.lock_fd = -1, .group = (gid_t)-1};
    s.path = strdup(c->state_dir);
    s.replies = join(c->state_dir, "replies");
    s.superseded = join(c->state_dir, "superseded");
    int rc = NOT_USABLE;
    if (s.path == NULL || s.replies == NULL || s.superseded == NULL)
        refuse(rc, message, size, "out of memory");
    else
        rc = find_group(c, &s, message, size);
    if (rc < 0)
        rc = make_directories(c, &s, message, size);
    if (rc < 0)
        rc = lock(&s, message, size);
    if (rc >= 0) {
        state_dir_close(&s);
        return rc;
    }
    *out = s;
    return -1;
}

void state_dir_close(struct state_dir *s)
{
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->path);
    free(s->replies);
    free(s->superseded);
    *s = (struct state_dir){.lock_fd = -1, .group = (gid_t)-1};
}
