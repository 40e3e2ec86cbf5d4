#include "sandbox/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptors that are not connections. */
#define OTHER_DESCRIPTORS 64

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t parse_address(const char *text, uint16_t port, union address *out)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return sizeof out->v4;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return sizeof out->v6;
    }
    return 0;
}

bool listen_is_address(const char *text)
{
    union address ignored;
    return parse_address(text, 0, &ignored) != 0;
}

static bool bind_and_listen(int fd, union address *address, socklen_t len, uint16_t *port)
{
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || bind(fd, &address->any, len) != 0 ||
        listen(fd, SOMAXCONN) != 0 || getsockname(fd, &address->any, &len) != 0) {
        return false;
    }
    *port = ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
    return true;
}

int listen_open(const char *address, uint16_t *port, struct fault *fault)
{
    union address where;
    socklen_t len = parse_address(address, *port, &where);
    if (len == 0) {
        fault_set(fault, 0, 0, "--listen: '%s' is no numeric IPv4 or IPv6 address", address);
        return -1;
    }
    int fd = socket(where.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !bind_and_listen(fd, &where, len, port)) {
        fault_set(fault, 0, 0, "cannot listen on %s port %u: %s", address, *port, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static bool write_port(const char *path, uint16_t port)
{
    FILE *file = fopen(path, "we");
    if (!file) {
        return false;
    }
    bool written = fprintf(file, "%u\n", port) > 0;
    return fclose(file) == 0 && written;
}

bool listen_write_port_file(const char *path, uint16_t port, struct fault *fault)
{
    char *aside;
    if (asprintf(&aside, "%s.%ld.tmp", path, (long)getpid()) < 0) {
        return fault_no_memory(fault);
    }
    bool ok = write_port(aside, port) && rename(aside, path) == 0;
    if (!ok) {
        fault_set(fault, 0, 0, "--port-file: cannot write %s: %s", path, strerror(errno));
        unlink(aside);
    }
    free(aside);
    return ok;
}

unsigned listen_allow_connections(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return wanted;
    }
    rlim_t need = (rlim_t)wanted + OTHER_DESCRIPTORS;
    if (limit.rlim_cur < need) {
        limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= need) {
        return wanted;
    }
    return limit.rlim_cur > OTHER_DESCRIPTORS ? (unsigned)(limit.rlim_cur - OTHER_DESCRIPTORS) : 1;
}
