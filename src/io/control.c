/* The daemon's half of the control socket. */
#include "io/control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/control_client.h"
#include "io/log.h"

#define REQUEST_MAX (64 * 1024)
#define CLIENTS_MAX 16
#define IDLE_MS     10000

struct client {
    uv_poll_t poll;
    uv_timer_t idle;
    struct control *control;
    int fd, open_handles;
    char *in, *out;
    size_t in_len, out_len, out_sent;
    uint64_t held; /* the ticket of its reply, which is kept back; 0: none is */
    struct client *prev, *next;
};

struct control {
    uv_poll_t poll;
    uv_loop_t *loop;
    int fd, dir_fd;
    gid_t group;
    control_fn fn;
    void *arg;
    struct client *clients;
    size_t nclients;
    uint64_t hold; /* the ticket of the request that is being answered, when its reply is to be kept back */
    uint64_t tickets;
};

/* ---- one client ---- */

static void on_handle_closed(uv_handle_t *h)
{
    struct client *c = h->data;
    if (--c->open_handles > 0)
        return;
    free(c->in);
    free(c->out);
    free(c);
}

static void drop(struct client *c)
{
    struct control *s = c->control;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        s->clients = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    s->nclients--;
    uv_poll_stop(&c->poll);
    close(c->fd);
    uv_close((uv_handle_t *)&c->poll, on_handle_closed);
    uv_close((uv_handle_t *)&c->idle, on_handle_closed);
}

static void on_io(uv_poll_t *poll, int status, int events);

/* True when the whole reply is sent; false when it goes on later, or the client is gone. */
static bool send_some(struct client *c)
{
    while (c->out_sent < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            uv_poll_start(&c->poll, UV_WRITABLE, on_io);
            return false;
        }
        if (n < 0) {
            drop(c);
            return false;
        }
        c->out_sent += (size_t)n;
    }
    free(c->out);
    c->out = NULL;
    c->out_len = c->out_sent = 0;
    uv_poll_start(&c->poll, UV_READABLE, on_io);
    return true;
}

static bool set_reply(struct client *c, const char *text)
{
    size_t len = strlen(text);
    c->out = malloc(len + 1);
    if (c->out == NULL)
        return false;
    memcpy(c->out, text, len);
    c->out[len] = '\n';
    c->out_len = len + 1;
    return true;
}

/* True when the reply is kept back; the client is not listened to meanwhile. */
static bool keep_back(struct client *c)
{
    struct control *s = c->control;
    if (s->hold == 0)
        return false;
    c->held = s->hold;
    s->hold = 0;
    uv_timer_stop(&c->idle); /* it waits for us */
    uv_poll_stop(&c->poll);
    return true;
}

/* Answers whole lines, one after the other, until a reply has to wait for the client to read, or is kept
 * back. */
static void answer_lines(struct client *c)
{
    for (;;) {
        char *end = memchr(c->in, '\n', c->in_len);
        if (end == NULL)
            break;
        *end = '\0';
        char *reply = c->control->fn(c->control->arg, c->in);
        size_t line = (size_t)(end - c->in) + 1;
        memmove(c->in, c->in + line, c->in_len - line);
        c->in_len -= line;
        bool set = set_reply(c, reply != NULL ? reply : "{\"ok\":false,\"error\":\"out of memory\"}");
        free(reply);
        if (!set) {
            c->control->hold = 0;
            drop(c);
            return;
        }
        if (keep_back(c) || !send_some(c))
            return;
    }
    if (c->in_len == REQUEST_MAX)
        drop(c); /* no request is that long */
}

uint64_t control_hold_reply(struct control *s)
{
    s->hold = ++s->tickets;
    return s->hold;
}

void control_unhold_reply(struct control *s)
{
    s->hold = 0;
}

static bool replace_reply(struct client *c, const char *text)
{
    free(c->out);
    c->out = NULL;
    return set_reply(c, text);
}

void control_release_reply(struct control *s, uint64_t ticket, const char *text)
{
    struct client *c = s->clients;
    while (c != NULL && c->held != ticket)
        c = c->next;
    if (c == NULL)
        return; /* it left */
    c->held = 0;
    if (text != NULL && !replace_reply(c, text)) {
        drop(c);
        return;
    }
    uv_timer_again(&c->idle);
    if (send_some(c))
        answer_lines(c);
}

static void receive(struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, REQUEST_MAX - c->in_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    c->in_len += (size_t)n;
    uv_timer_again(&c->idle);
    answer_lines(c);
}

static void on_io(uv_poll_t *poll, int status, int events)
{
    struct client *c = poll->data;
    if (status < 0) {
        drop(c);
    } else if (c->out != NULL) {
        if (send_some(c))
            answer_lines(c);
    } else if ((events & UV_READABLE) != 0) {
        receive(c);
    }
}

static void on_idle(uv_timer_t *t)
{
    drop(t->data);
}

/* ---- who may talk ---- */

static bool in_group(uid_t uid, gid_t primary, gid_t group)
{
    if (group == (gid_t)-1)
        return false;
    if (primary == group)
        return true;
    gid_t groups[256];
    int count = 256;
    const struct passwd *p = getpwuid(uid);
    if (p == NULL || getgrouplist(p->pw_name, primary, groups, &count) < 0)
        return false;
    for (int i = 0; i < count; i++)
        if (groups[i] == group)
            return true;
    return false;
}

static bool allowed(const struct control *s, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    if (peer.uid == 0 || peer.uid == geteuid() || in_group(peer.uid, peer.gid, s->group))
        return true;
    log_line(LOG_WARN, NULL, "control: uid %lld is not allowed to give orders", (long long)peer.uid);
    return false;
}

static void add_client(struct control *s, int fd)
{
    struct client *c = calloc(1, sizeof *c);
    if (c != NULL)
        c->in = malloc(REQUEST_MAX);
    if (c == NULL || c->in == NULL || uv_poll_init(s->loop, &c->poll, fd) != 0) {
        if (c != NULL)
            free(c->in);
        free(c);
        close(fd);
        return;
    }
    c->control = s;
    c->fd = fd;
    c->open_handles = 2;
    c->poll.data = c->idle.data = c;
    c->next = s->clients;
    if (s->clients != NULL)
        s->clients->prev = c;
    s->clients = c;
    s->nclients++;
    uv_timer_init(s->loop, &c->idle);
    uv_timer_start(&c->idle, on_idle, IDLE_MS, IDLE_MS);
    uv_poll_start(&c->poll, UV_READABLE, on_io);
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
    struct control *s = poll->data;
    (void)events;
    if (status < 0)
        return;
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (s->nclients >= CLIENTS_MAX || !allowed(s, fd)) {
        close(fd);
        return;
    }
    add_client(s, fd);
}

/* ---- life ---- */

static int listen_at(struct control *s)
{
    struct sockaddr_un a;
    int err = control_address(s->dir_fd, &a);
    if (err != 0)
        return err;
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return -errno;
    unlinkat(s->dir_fd, "control", 0); /* we hold the lock: whatever is there is a left-over */
    mode_t before = umask(s->group == (gid_t)-1 ? 0177 : 0117);
    int rc = bind(s->fd, (const struct sockaddr *)&a, sizeof a);
    err = errno;
    umask(before);
    if (rc != 0)
        return -err;
    if (s->group != (gid_t)-1 &&
        fchownat(s->dir_fd, "control", (uid_t)-1, s->group, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    return listen(s->fd, CLIENTS_MAX) == 0 ? 0 : -errno;
}

int control_open(struct control **out, uv_loop_t *loop, const char *state_dir, gid_t group, control_fn fn,
                 void *arg)
{
    struct control *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    *s = (struct control){.loop = loop, .fd = -1, .group = group, .fn = fn, .arg = arg};
    s->dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = s->dir_fd < 0 ? -errno : listen_at(s);
    if (err == 0)
        err = uv_poll_init(loop, &s->poll, s->fd);
    if (err != 0) {
        if (s->fd >= 0)
            close(s->fd);
        if (s->dir_fd >= 0)
            close(s->dir_fd);
        free(s);
        return err;
    }
    s->poll.data = s;
    uv_poll_start(&s->poll, UV_READABLE, on_connect);
    *out = s;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

void control_close(struct control *s)
{
    while (s->clients != NULL)
        drop(s->clients);
    uv_poll_stop(&s->poll);
    unlinkat(s->dir_fd, "control", 0);
    close(s->fd);
    close(s->dir_fd);
    uv_close((uv_handle_t *)&s->poll, on_closed);
}
