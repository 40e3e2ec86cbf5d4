#include "io/service.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct service {
    uv_timer_t watchdog;
    int fd;
};

static void tell(const struct service *s, const char *what)
{
    ssize_t n = send(s->fd, what, strlen(what), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n;
}

/* "@NAME" is an abstract one. -1: none. */
static int connect_to(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof to.sun_path)
        return -1;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, size) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* How often it wants to hear of us, in ms; 0: never. It may mean another process. */
static uint64_t watchdog_interval(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    uint64_t third = strtoull(usec, NULL, 10) / 1000 / 3;
    return third > 0 ? third : 1;
}

static void on_watchdog(uv_timer_t *timer)
{
    tell(timer->data, "WATCHDOG=1");
}

struct service *service_open(uv_loop_t *loop)
{
    const char *path = getenv("NOTIFY_SOCKET");
    int fd = path != NULL ? connect_to(path) : -1;
    struct service *s = fd >= 0 ? calloc(1, sizeof *s) : NULL;
    if (s == NULL) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    s->fd = fd;
    uv_timer_init(loop, &s->watchdog);
    s->watchdog.data = s;
    uint64_t every = watchdog_interval();
    if (every > 0)
        uv_timer_start(&s->watchdog, on_watchdog, every, every);
    uv_unref((uv_handle_t *)&s->watchdog);
    return s;
}

void service_ready(struct service *s)
{
    if (s != NULL)
        tell(s, "READY=1\nSTATUS=Sending as flowspool status tells");
}

void service_reloading(struct service *s)
{
    char text[80];
    struct timespec now;
    if (s == NULL)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
             (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    tell(s, text);
}

void service_stopping(struct service *s)
{
    if (s != NULL)
        tell(s, "STOPPING=1\nSTATUS=Requests in flight may finish");
}

static void on_closed(uv_handle_t *handle)
{
    struct service *s = handle->data;
    close(s->fd);
    free(s);
}

void service_close(struct service *s)
{
    if (s != NULL)
        uv_close((uv_handle_t *)&s->watchdog, on_closed);
}
