#include "shop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 64
#define REQUEST_MAX 8192
#define SLOW_MS     6
#define FAT_BYTES   (100 * 1024)
#define HUGE_BYTES  (300 * 1024)

struct connection {
    int fd; /* -1: free */
    size_t len;
    char request[REQUEST_MAX + 1];
    struct shop_item *open; /* asked for and not answered */
    int64_t due_ms;         /* when it is answered; 0: never */
    int sale;
};

struct keeper {
    struct shop_count *count;
    int listener, ask, answer;
    struct connection connections[CONNECTIONS];
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct shop_item *item_of(struct shop_count *c, const char *key, size_t len)
{
    for (int i = 0; i < c->nitems; i++)
        if (strncmp(c->items[i].key, key, len) == 0 && c->items[i].key[len] == '\0')
            return &c->items[i];
    if (c->nitems == SHOP_ITEMS || len >= KEY_SIZE)
        abort(); /* a scenario with more than was meant */
    struct shop_item *item = &c->items[c->nitems];
    memcpy(item->key, key, len);
    c->nitems++;
    return item;
}

static void hang_up(struct connection *c)
{
    close(c->fd);
    *c = (struct connection){.fd = -1};
}

/* ---- answers ---- */

static void send_all(struct connection *c, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* the daemon is gone: its connection is closed when that is read */
        bytes += n;
        len -= (size_t)n;
    }
}

static void answer(struct connection *c, const char *status, const char *body, size_t len)
{
    char head[160];
    int n =
        snprintf(head, sizeof head,
                 "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", status, len);
    c->open = NULL;
    c->due_ms = 0;
    send_all(c, head, (size_t)n);
    send_all(c, body, len);
}

static void answer_text(struct connection *c, const char *status, const char *body)
{
    answer(c, status, body, strlen(body));
}

/* The words of the sale come last, so that a reply which was cut does not pass for a whole one. */
static void answer_sold(struct connection *c, size_t padding)
{
    static char body[HUGE_BYTES + 200];
    int head = snprintf(body, sizeof body, "{\"success\":true,\"padding\":\"");
    memset(body + head, 'x', padding);
    int tail = snprintf(body + (size_t)head + padding, sizeof body - (size_t)head - padding,
                        "\",\"result\":\"%s sale %d\"}", c->open->key, c->sale);
    answer(c, "200 OK", body, (size_t)head + padding + (size_t)tail);
}

/* ---- requests ---- */

/* One whose daemon is gone is not open any more, though that may not have been read yet. */
static bool is_alive(const struct connection *c)
{
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void count_post(struct keeper *k, struct connection *c, struct shop_item *item)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        const struct connection *other = &k->connections[i];
        if (other != c && other->fd >= 0 && other->open == item && is_alive(other))
            item->at_once++;
    }
    item->posts++;
    c->open = item;
    atomic_fetch_add(&k->count->posts, 1);
}

static void sell(struct connection *c, const char *workflow)
{
    c->sale = ++c->open->charged;
    if (strcmp(workflow, "wf_slow") == 0)
        c->due_ms = now_ms() + SLOW_MS;
    else if (strcmp(workflow, "wf_cut") == 0 && c->open->posts == 1)
        hang_up(c);
    else if (strcmp(workflow, "wf_never") == 0 && c->open->posts == 1)
        c->due_ms = 0;
    else
        answer_sold(c, strcmp(workflow, "wf_fat") == 0    ? FAT_BYTES
                       : strcmp(workflow, "wf_huge") == 0 ? HUGE_BYTES
                                                          : 0);
}

static void serve(struct connection *c, const char *workflow)
{
    bool first = c->open->posts == 1;
    if (strcmp(workflow, "wf_busy") == 0 && first)
        answer_text(c, "429 Too Many Requests", "{\"success\":false,\"error\":\"slow down\"}");
    else if (strcmp(workflow, "wf_broken") == 0 || (strcmp(workflow, "wf_fault") == 0 && first))
        answer_text(c, "500 Internal Server Error", "{\"success\":false,\"error\":\"broken\"}");
    else if (strcmp(workflow, "wf_gone") == 0)
        answer_text(c, "404 Not Found", "{\"success\":false,\"error\":\"Workflow not found\"}");
    else
        sell(c, workflow);
}

/* True: a whole request was taken out of the buffer. */
static bool take_request(struct keeper *k, struct connection *c)
{
    char workflow[32];
    c->request[c->len] = '\0';
    const char *end = strstr(c->request, "\r\n\r\n");
    const char *length = strcasestr(c->request, "\r\nContent-Length:");
    if (end == NULL || length == NULL || length > end)
        return false;
    size_t whole = (size_t)(end + 4 - c->request) + strtoul(length + 17, NULL, 10);
    if (c->len < whole)
        return false;
    const char *key = strstr(end, "\"key\":\"");
    const char *close_quote = key != NULL ? strchr(key + 7, '"') : NULL;
    if (sscanf(c->request, "POST /api/v1/run/%31[A-Za-z0-9_] ", workflow) != 1 || close_quote == NULL)
        abort(); /* this daemon asks for something else than jobs */
    count_post(k, c, item_of(k->count, key + 7, (size_t)(close_quote - key - 7)));
    c->len -= whole;
    memmove(c->request, c->request + whole, c->len);
    serve(c, workflow);
    return c->fd >= 0;
}

static void read_some(struct keeper *k, struct connection *c)
{
    ssize_t n = recv(c->fd, c->request + c->len, REQUEST_MAX - c->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        hang_up(c);
        return;
    }
    c->len += (size_t)n;
    while (c->open == NULL && take_request(k, c)) {}
}

static void welcome(struct keeper *k)
{
    int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);
    int one = 1;
    for (size_t i = 0; fd >= 0 && i < CONNECTIONS; i++) {
        if (k->connections[i].fd >= 0)
            continue;
        k->connections[i].fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        return;
    }
    if (fd >= 0)
        close(fd);
}

/* ---- the process ---- */

static int until_next_due(const struct keeper *k)
{
    int64_t now = now_ms(), next = INT64_MAX;
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (k->connections[i].due_ms != 0 && k->connections[i].due_ms < next)
            next = k->connections[i].due_ms;
    return next == INT64_MAX ? -1 : next > now ? (int)(next - now) : 0;
}

static void answer_due(struct keeper *k)
{
    int64_t now = now_ms();
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (k->connections[i].due_ms != 0 && k->connections[i].due_ms <= now)
            answer_sold(&k->connections[i], 0);
}

static void keep_shop(struct keeper *k)
{
    struct pollfd fds[CONNECTIONS + 2];
    bool asked = false;
    for (;;) {
        for (size_t i = 0; i < CONNECTIONS; i++)
            fds[i] = (struct pollfd){.fd = k->connections[i].fd, .events = POLLIN};
        fds[CONNECTIONS] = (struct pollfd){.fd = k->listener, .events = POLLIN};
        fds[CONNECTIONS + 1] = (struct pollfd){.fd = asked ? -1 : k->ask, .events = POLLIN};
        int ready = poll(fds, CONNECTIONS + 2, asked ? 0 : until_next_due(k));
        if (ready == 0 && asked) {
            asked = false;
            if (write(k->answer, "", 1) != 1)
                return;
        }
        answer_due(k);
        char byte;
        if (fds[CONNECTIONS + 1].revents != 0) {
            if (read(k->ask, &byte, 1) != 1)
                return; /* the driver is gone */
            asked = true;
        }
        if (fds[CONNECTIONS].revents != 0)
            welcome(k);
        for (size_t i = 0; i < CONNECTIONS; i++)
            if (fds[i].fd >= 0 && fds[i].revents != 0 && k->connections[i].fd == fds[i].fd)
                read_some(k, &k->connections[i]);
    }
}

static int listen_somewhere(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, CONNECTIONS) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(a.sin_port);
    return fd;
}

bool shop_open(struct shop *s)
{
    static struct keeper k;
    int ask[2], answers[2];
    k.listener = listen_somewhere(&s->port);
    k.count = mmap(NULL, sizeof *k.count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (k.listener < 0 || k.count == MAP_FAILED || pipe2(ask, O_CLOEXEC) != 0 ||
        pipe2(answers, O_CLOEXEC) != 0)
        return false;
    s->count = k.count;
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_IGN); /* of a terminal: the driver ends us */
        close(ask[1]);
        close(answers[0]);
        k.ask = ask[0];
        k.answer = answers[1];
        for (size_t i = 0; i < CONNECTIONS; i++)
            k.connections[i].fd = -1;
        keep_shop(&k);
        _exit(0);
    }
    close(k.listener);
    close(ask[0]);
    close(answers[1]);
    s->ask = ask[1];
    s->answer = answers[0];
    return s->pid > 0;
}

void shop_close(struct shop *s)
{
    close(s->ask);
    close(s->answer);
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    munmap(s->count, sizeof *s->count);
}

bool shop_settle(struct shop *s)
{
    char byte;
    ssize_t n = write(s->ask, "", 1);
    do
        n = n == 1 || (n < 0 && errno == EINTR) ? read(s->answer, &byte, 1) : 0;
    while (n < 0 && errno == EINTR);
    return n == 1;
}

void shop_reset(struct shop *s)
{
    memset(s->count, 0, sizeof *s->count);
}

struct shop_item shop_item(const struct shop *s, const char *key)
{
    for (int i = 0; i < s->count->nitems; i++)
        if (strcmp(s->count->items[i].key, key) == 0)
            return s->count->items[i];
    return (struct shop_item){0};
}
