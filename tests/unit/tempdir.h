/* A directory of its own for a test, and short ways to fill it and to look at it. */
#ifndef FLOWSPOOL_TESTS_TEMPDIR_H
#define FLOWSPOOL_TESTS_TEMPDIR_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tempdir {
    char path[64];
    int fd;
};

#define TEMPDIR_MUST(condition)                                                                              \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno));             \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static inline void tempdir_open(struct tempdir *t, const char *below)
{
    snprintf(t->path, sizeof t->path, "%s/flowspool-test-XXXXXX", below);
    TEMPDIR_MUST(mkdtemp(t->path));
    t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    TEMPDIR_MUST(t->fd >= 0);
}

static inline int tempdir_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void tempdir_close(struct tempdir *t)
{
    close(t->fd);
    nftw(t->path, tempdir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void put_bytes(const struct tempdir *t, const char *name, const void *bytes, size_t len)
{
    int fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    TEMPDIR_MUST(fd >= 0);
    TEMPDIR_MUST(write(fd, bytes, len) == (ssize_t)len);
    close(fd);
}

static inline void put_file(const struct tempdir *t, const char *name, const char *text)
{
    put_bytes(t, name, text, strlen(text));
}

static inline void put_dir(const struct tempdir *t, const char *name)
{
    TEMPDIR_MUST(mkdirat(t->fd, name, 0755) == 0);
}

static inline bool has_name(const struct tempdir *t, const char *name)
{
    struct stat st;
    return fstatat(t->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The text of a file, in one of a few buffers that are used in turn; "(none)" when it cannot be read. */
static inline const char *file_text(const struct tempdir *t, const char *name)
{
    static char buffers[4][4096];
    static unsigned int turn;
    char *text = buffers[turn++ % 4];
    int fd = openat(t->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return "(none)";
    ssize_t n = read(fd, text, sizeof buffers[0] - 1);
    close(fd);
    if (n < 0)
        return "(none)";
    text[n] = '\0';
    return text;
}

#endif
