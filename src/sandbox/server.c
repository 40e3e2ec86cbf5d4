#include "sandbox/server.h"

#include "sandbox/exchange.h"
#include "sandbox/handler.h"

/* The head of a request and the blocks of a reply live in this much memory per connection. */
#define CONNECTION_MEMORY ((size_t)16384)
#define IDLE_SECONDS      600U
/* Turns of the library in a row before the loop may look at its timers again. */
#define TURNS_MAX 16

static void on_busy(uv_idle_t *handle);
static void on_wake(uv_timer_t *handle);

static unsigned open_connections(const struct server *s)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info ? info->num_connections : 0;
}

/* True when the library wants another turn at once. At the limit of connections it stops listening, and takes
 * that up again at the start of the turn after the one in which a connection ended; no event announces that
 * turn, and what waits in the backlog would wait for the idle time-out. */
static bool turn(struct server *s, bool *has_timeout, MHD_UNSIGNED_LONG_LONG *timeout)
{
    bool full = open_connections(s) >= s->service->options->max_connections;
    MHD_run(s->daemon);
    *has_timeout = MHD_get_timeout(s->daemon, timeout) == MHD_YES;
    if (full && open_connections(s) < s->service->options->max_connections) {
        *has_timeout = true;
        *timeout = 0;
    }
    return *has_timeout && *timeout == 0;
}

/* Lets the library work off what is there, and arranges to be called when there is more. */
static void drive(struct server *s)
{
    MHD_UNSIGNED_LONG_LONG timeout = 0;
    bool has_timeout = false;
    bool more = true;
    for (int turns = 0; turns < TURNS_MAX && more; turns++) {
        more = turn(s, &has_timeout, &timeout);
    }
    if (more) {
        uv_idle_start(&s->busy, on_busy);
        return;
    }
    uv_idle_stop(&s->busy);
    if (has_timeout) {
        uv_timer_start(&s->wake, on_wake, timeout, 0);
    } else {
        uv_timer_stop(&s->wake);
    }
}

static void on_wake(uv_timer_t *handle)
{
    drive(handle->data);
}

static void on_busy(uv_idle_t *handle)
{
    drive(handle->data);
}

void server_kick(struct server *s)
{
    uv_idle_start(&s->busy, on_busy);
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    drive(handle->data);
}

static struct MHD_Daemon *start_daemon(struct server *s, int listen_fd, struct server_tls tls)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (tls.cert ? MHD_USE_TLS : 0);
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem secure[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)tls.cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)tls.key},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(flags, 0, NULL, NULL, handler_access, s, MHD_OPTION_LISTEN_SOCKET, listen_fd,
                            MHD_OPTION_NOTIFY_COMPLETED, handler_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
                            handler_connection, s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
                            MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_CONNECTION_LIMIT,
                            s->service->options->max_connections, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
                            MHD_OPTION_ARRAY, tls.cert ? secure : plain, MHD_OPTION_END);
}

/* Handles that are initialised have to be closed, so all of them are before anything can fail. */
static int open_handles(struct server *s)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info) {
        return UV_ENOTSUP;
    }
    int error = uv_poll_init(s->loop, &s->poll, info->epoll_fd);
    if (error) {
        return error;
    }
    uv_idle_init(s->loop, &s->busy);
    uv_timer_init(s->loop, &s->wake);
    s->poll.data = s->busy.data = s->wake.data = s;
    error = uv_poll_start(&s->poll, UV_READABLE, on_ready);
    if (error) {
        uv_close((uv_handle_t *)&s->poll, NULL);
        uv_close((uv_handle_t *)&s->busy, NULL);
        uv_close((uv_handle_t *)&s->wake, NULL);
    }
    return error;
}

bool server_start(struct server *s, uv_loop_t *loop, struct service *service, int listen_fd,
                  struct server_tls tls, struct fault *fault)
{
    *s = (struct server){.loop = loop, .service = service, .started_ms = uv_now(loop)};
    s->daemon = start_daemon(s, listen_fd, tls);
    if (!s->daemon) {
        fault_set(fault, 0, 0, "the HTTP library does not start%s",
                  tls.cert ? "; do --tls-cert and --tls-key name PEM files that belong together?" : "");
        return false;
    }
    int error = open_handles(s);
    if (error) {
        fault_set(fault, 0, 0, "the event loop does not start: %s", uv_strerror(error));
        MHD_stop_daemon(s->daemon);
        return false;
    }
    return true;
}

void server_stop(struct server *s)
{
    s->stopping = true;
    uv_close((uv_handle_t *)&s->poll, NULL);
    uv_close((uv_handle_t *)&s->busy, NULL);
    uv_close((uv_handle_t *)&s->wake, NULL);
    exchange_abandon_all(s);
    MHD_run(s->daemon); /* the library must not be stopped while a connection is suspended */
    MHD_stop_daemon(s->daemon);
}

char *server_stats(const struct server *s, bool with_requests, size_t *len)
{
    struct stats_context context = {
        .uptime_ms = (int64_t)(uv_now(s->loop) - s->started_ms),
        .credits = s->service->credits,
        .open_connections = open_connections(s),
    };
    return stats_json(&s->service->stats, &context, with_requests, len);
}
