#include "io/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t) != 0)
        abort(); /* both clocks exist since Linux 2.6.39 */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return read_ms(CLOCK_BOOTTIME);
}

int64_t clock_unix_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

void clock_sleep_ms(int64_t ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

uint64_t clock_random(void)
{
    uint64_t bits = 0;
    while (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits)
        if (errno != EINTR)
            abort();
    return bits;
}

struct alarm_clock {
    uv_poll_t poll;
    int fd;
    int64_t at_ms;
    alarm_fn fn;
    void *arg;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct alarm_clock *a = poll->data;
    uint64_t expirations;
    if (read(a->fd, &expirations, sizeof expirations) != (ssize_t)sizeof expirations)
        return;
    a->at_ms = INT64_MAX;
    a->fn(a->arg);
}

int alarm_open(struct alarm_clock **out, uv_loop_t *loop, alarm_fn fn, void *arg)
{
    struct alarm_clock *a = calloc(1, sizeof *a);
    if (a == NULL)
        return -ENOMEM;
    a->fn = fn;
    a->arg = arg;
    a->at_ms = INT64_MAX;
    a->fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (a->fd < 0) {
        int err = errno;
        free(a);
        return -err;
    }
    a->poll.data = a;
    int rc = uv_poll_init(loop, &a->poll, a->fd);
    if (rc == 0)
        rc = uv_poll_start(&a->poll, UV_READABLE, on_readable);
    if (rc != 0) {
        close(a->fd);
        free(a);
        return rc;
    }
    *out = a;
    return 0;
}

void alarm_set(struct alarm_clock *a, int64_t mono_ms)
{
    if (mono_ms == a->at_ms)
        return;
    a->at_ms = mono_ms;
    struct itimerspec t = {0};
    if (mono_ms != INT64_MAX) {
        int64_t at = mono_ms < 1 ? 1 : mono_ms; /* an all-zero time would disarm */
        t.it_value.tv_sec = (time_t)(at / 1000);
        t.it_value.tv_nsec = (long)(at % 1000) * 1000000;
    }
    if (timerfd_settime(a->fd, TFD_TIMER_ABSTIME, &t, NULL) != 0)
        abort(); /* only EINVAL or EBADF: a bug */
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

void alarm_close(struct alarm_clock *a)
{
    uv_poll_stop(&a->poll);
    close(a->fd);
    uv_close((uv_handle_t *)&a->poll, on_closed);
}
