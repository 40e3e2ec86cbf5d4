#include "lib/spooldir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/beneath.h"
#include "lib/error.h"

int spool_root(const char *spool, struct flowspool_error **error)
{
    int fd = open(spool, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : error_system(error, -errno, "open the spool", spool);
}

/* A file that grows meanwhile is read as far as it reached before. */
static int read_all(int fd, char *bytes, size_t size, size_t *len)
{
    *len = 0;
    while (*len < size) {
        ssize_t n = read(fd, bytes + *len, size - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    bytes[*len] = '\0';
    return 0;
}

static int read_open(int fd, size_t max, char **bytes, size_t *len)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if ((uint64_t)st.st_size > max)
        return -EFBIG;
    *bytes = malloc((size_t)st.st_size + 1);
    if (!*bytes)
        return -ENOMEM;
    int err = read_all(fd, *bytes, (size_t)st.st_size, len);
    if (err == 0)
        return 0;
    free(*bytes);
    *bytes = NULL;
    return err;
}

int spool_read(int root, const char *path, size_t max, char **bytes, size_t *len)
{
    *bytes = NULL;
    *len = 0;
    int fd = beneath_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fd;
    int err = read_open(fd, max, bytes, len);
    close(fd);
    return err;
}
