#include "io/control_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/clock.h"

#define REPLY_MAX (8 << 20)

int control_address(int dir_fd, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/control", dir_fd);
    return n > 0 && (size_t)n < sizeof a->sun_path ? 0 : -ENAMETOOLONG;
}

static int wait_ready(int fd, short events, int64_t until_ms)
{
    for (;;) {
        int64_t left = until_ms - clock_mono_ms();
        if (left <= 0)
            return -ETIMEDOUT;
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, (int)left);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

static int connect_to(const char *state_dir, int *out)
{
    int dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    struct sockaddr_un a;
    int err = control_address(dir_fd, &a);
    int fd = err == 0 ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (err == 0 && fd < 0)
        err = -errno;
    if (err == 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) != 0)
        err = errno == EAGAIN ? -ETIMEDOUT : -errno;
    close(dir_fd);
    if (err == 0)
        *out = fd;
    else if (fd >= 0)
        close(fd);
    return err;
}

static int send_all(int fd, const char *text, size_t len, int64_t until_ms)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
            continue;
        }
        int err = wait_ready(fd, POLLOUT, until_ms);
        if (err != 0)
            return err;
    }
    return 0;
}

static int receive_line(int fd, char **out, int64_t until_ms)
{
    size_t used = 0, size = 0;
    char *buf = NULL;
    int err = 0;
    while (err == 0) {
        if (used == size) {
            size = size == 0 ? 4096 : size * 2;
            char *grown = size <= REPLY_MAX ? realloc(buf, size) : NULL;
            if (grown == NULL) {
                err = -ENOMEM;
                break;
            }
            buf = grown;
        }
        err = wait_ready(fd, POLLIN, until_ms);
        ssize_t n = err == 0 ? recv(fd, buf + used, size - used, 0) : -1;
        if (err == 0 && n == 0)
            err = -ECONNRESET;
        if (err == 0 && n < 0 && errno != EAGAIN && errno != EINTR)
            err = -errno;
        if (n <= 0)
            continue;
        char *end = memchr(buf + used, '\n', (size_t)n);
        used += (size_t)n;
        if (end == NULL)
            continue;
        *end = '\0';
        *out = buf;
        return 0;
    }
    free(buf);
    return err;
}

char *control_call(const char *state_dir, const char *request, int timeout_ms, int *err)
{
    int fd = -1;
    char *reply = NULL;
    int64_t until = clock_mono_ms() + timeout_ms;
    *err = connect_to(state_dir, &fd);
    if (*err != 0)
        return NULL;
    *err = send_all(fd, request, strlen(request), until);
    if (*err == 0)
        *err = send_all(fd, "\n", 1, until);
    if (*err == 0)
        *err = receive_line(fd, &reply, until);
    close(fd);
    return reply;
}
