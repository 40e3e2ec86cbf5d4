/* flowspool-instant - answers every HTTP/1.1 request on the loopback address with the same success, at once.
 *
 *     flowspool-instant PORT_FILE [HEADER]...
 *
 * What a benchmark of a client asks: one thread, epoll, connections that stay open, nothing done per request
 * but finding its end. It believes whoever connects, and knows of requests only their Content-Length. The
 * port goes to PORT_FILE; each HEADER ("Name: value") into every reply. It ends by a signal.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 64 * 1024, EVENTS_MAX = 256, REPLY_MAX = 4096 };

static const char body[] =
    "{\"success\":true,\"workflowId\":\"bench\",\"result\":{\"text\":\"A reply of some "
    "words, as short ones are.\"}}";

struct client {
    int fd;
    size_t have, skip; /* bytes in buf; bytes of a body still to come */
    char buf[REQUEST_MAX];
};

static char reply[REPLY_MAX];
static size_t reply_len;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void make_reply(char **headers, int count)
{
    int n = snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n");
    for (int i = 0; i < count && n < REPLY_MAX; i++)
        n += snprintf(reply + n, sizeof reply - (size_t)n, "%s\r\n", headers[i]);
    if (n < REPLY_MAX)
        n += snprintf(reply + n, sizeof reply - (size_t)n, "Content-Length: %zu\r\n\r\n%s", sizeof body - 1,
                      body);
    if (n >= REPLY_MAX) {
        fprintf(stderr, "too many headers\n");
        exit(2);
    }
    reply_len = (size_t)n;
}

static void close_client(struct client *c)
{
    close(c->fd);
    free(c);
}

static bool send_reply(const struct client *c)
{
    return send(c->fd, reply, reply_len, MSG_NOSIGNAL) == (ssize_t)reply_len;
}

static size_t content_length(const char *head, const char *end)
{
    static const char name[] = "\r\nContent-Length:";
    for (const char *at = head; at + sizeof name <= end; at++)
        if (strncasecmp(at, name, sizeof name - 1) == 0)
            return strtoul(at + sizeof name - 1, NULL, 10);
    return 0;
}

static void drop(struct client *c, size_t count)
{
    c->have -= count;
    memmove(c->buf, c->buf + count, c->have);
}

/* Answers all whole requests in the buffer; false: the connection is over. */
static bool answer(struct client *c)
{
    for (;;) {
        size_t skipped = c->skip < c->have ? c->skip : c->have;
        if (skipped > 0) {
            drop(c, skipped);
            c->skip -= skipped;
            if (c->skip == 0 && !send_reply(c))
                return false;
        }
        char *end = c->have > 0 ? memmem(c->buf, c->have, "\r\n\r\n", 4) : NULL;
        if (end == NULL)
            return c->have < REQUEST_MAX;
        size_t head = (size_t)(end - c->buf) + 4;
        if (memmem(c->buf, head, "100-continue", 12) != NULL &&
            send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) != 25)
            return false;
        c->skip = content_length(c->buf, end + 2);
        drop(c, head);
        if (c->skip == 0 && !send_reply(c))
            return false;
    }
}

static void serve(struct client *c)
{
    ssize_t n = recv(c->fd, c->buf + c->have, REQUEST_MAX - c->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close_client(c);
        return;
    }
    c->have += (size_t)n;
    if (!answer(c))
        close_client(c);
}

static void accept_all(int epoll, int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
        struct client *c = calloc(1, sizeof *c);
        if (c == NULL)
            die("calloc");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0)
            die("epoll_ctl");
    }
}

static int listen_somewhere(const char *port_file)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    FILE *file = fopen(port_file, "w");
    if (file == NULL || fprintf(file, "%d\n", ntohs(address.sin_port)) < 0 || fclose(file) != 0)
        die(port_file);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: flowspool-instant PORT_FILE [HEADER]...\n");
        return 2;
    }
    make_reply(argv + 2, argc - 2);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_somewhere(argv[1]);
    struct epoll_event listening = {.events = EPOLLIN};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening) != 0)
        die("epoll");
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++)
            if (events[i].data.ptr == NULL)
                accept_all(epoll, listener);
            else
                serve(events[i].data.ptr);
    }
}
