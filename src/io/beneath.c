#include "io/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* RESOLVE_BENEATH alone would allow a/../b. */
static bool path_is_plain(const char *path)
{
    for (;;) {
        size_t len = strcspn(path, "/");
        if (len == 0 || (len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}

static int open_once(int dir, const char *name, int flags)
{
    int fd;
    do
        fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static int open_directory_step(int dir, const char *name)
{
    int fd = open_once(dir, name, O_PATH | O_DIRECTORY);
    struct stat st;
    /* Says what openat2 says of a link. */
    if (fd == -ENOTDIR && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        return -ELOOP;
    return fd;
}

/* For kernels without openat2 (before 5.6) and system call filters that do not know it. */
static int open_step_by_step(int root, const char *path, int flags)
{
    int dir = root;
    for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        char name[256];
        size_t len = (size_t)(slash - path);
        int next = -ENAMETOOLONG;
        if (len < sizeof name) {
            memcpy(name, path, len);
            name[len] = '\0';
            next = open_directory_step(dir, name);
        }
        if (dir != root)
            close(dir);
        if (next < 0)
            return next;
        dir = next;
    }
    int fd = open_once(dir, path, flags);
    if (dir != root)
        close(dir);
    return fd;
}

int beneath_open(int root, const char *path, int flags)
{
    if (path[0] == '\0')
        return open_once(root, ".", flags);
    if (!path_is_plain(path))
        return -EINVAL;
    struct open_how how = {
        .flags = (unsigned int)(flags | O_NOFOLLOW | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    do
        fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        return (int)fd;
    if (errno == ENOSYS || errno == EPERM) /* EPERM: what older container filters answer to unknown calls */
        return open_step_by_step(root, path, flags);
    return -errno;
}
