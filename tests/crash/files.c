#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATHS_AT_ONCE 8

static _Noreturn void give_up(const char *what, const char *path)
{
    fprintf(stderr, "flowspool-crash: %s %s: %s\n", what, path, strerror(errno));
    exit(2);
}

const char *path_of(const char *dir, const char *name)
{
    static char paths[PATHS_AT_ONCE][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % PATHS_AT_ONCE];
    snprintf(path, PATH_SIZE, "%s/%s", dir, name);
    return path;
}

void file_write(const char *path, const char *text)
{
    size_t len = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || close(fd) != 0)
        give_up("cannot write", path);
}

void file_put(const char *dir, const char *name, const char *text)
{
    const char *aside = path_of(dir, ".aside");
    file_write(aside, text);
    if (rename(aside, path_of(dir, name)) != 0)
        give_up("cannot rename", aside);
}

void file_rename(const char *dir, const char *from, const char *to)
{
    if (rename(path_of(dir, from), path_of(dir, to)) != 0)
        give_up("cannot rename", from);
}

char *file_read(const char *path, size_t *len)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    char *text = fstat(fd, &st) == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    if (text == NULL || read(fd, text, (size_t)st.st_size) != st.st_size)
        give_up("cannot read", path);
    close(fd);
    text[st.st_size] = '\0';
    if (len != NULL)
        *len = (size_t)st.st_size;
    return text;
}

bool file_copy(const char *from, const char *to)
{
    size_t len;
    char *bytes = file_read(from, &len);
    if (bytes == NULL)
        return false;
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || close(fd) != 0)
        give_up("cannot write", to);
    free(bytes);
    return true;
}

void directory_make(const char *path, unsigned mode)
{
    if (mkdir(path, (mode_t)mode) != 0 && errno != EEXIST)
        give_up("cannot make", path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void tree_remove(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        give_up("cannot remove", path);
}
