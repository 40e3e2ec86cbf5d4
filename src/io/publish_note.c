/* A file of the daemon's own in the spool: written aside and renamed, and that is all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "io/publish_internal.h"

static int fill(int fd, int dir, const char *text, size_t len)
{
    struct stat st;
    if (fstat(dir, &st) != 0 || fchmod(fd, 0600 | (st.st_mode & 0044)) != 0)
        return -errno;
    return write_all(fd, text, len);
}

int note_write(int dir, const char tag[TEMP_TAG], const char *name, const char *text, size_t len)
{
    char temp[TEMP_SIZE];
    int fd = temp_create(dir, tag, 0600, temp);
    if (fd < 0)
        return fd;
    int err = fill(fd, dir, text, len);
    close(fd);
    if (err == 0 && renameat(dir, temp, dir, name) != 0)
        err = -errno;
    if (err != 0)
        unlinkat(dir, temp, 0);
    return err;
}
