#include "limiters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define JUST_AFTER 1e-6

void server_open(struct server *s, enum server_kind kind, int limit, double window, double phase)
{
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->limit = limit;
    s->window = window;
    s->phase = phase;
    if (kind == SERVER_LOG) {
        s->log_size = limit * 16 + 16; /* room for a limit that grows */
        s->log = calloc((size_t)s->log_size, sizeof s->log[0]);
        if (s->log == NULL)
            abort();
    }
    server_forget(s);
}

void server_close(struct server *s)
{
    free(s->log);
    s->log = NULL;
}

void server_forget(struct server *s)
{
    s->number = -1e18;
    s->start = -1e18;
    s->current = s->previous = 0;
    s->log_count = 0;
    s->tokens = s->limit;
}

void server_set_limit(struct server *s, int limit)
{
    s->limit = limit < 1 ? 1 : limit;
    if (s->tokens > s->limit)
        s->tokens = s->limit;
}

static void move_on(struct server *s, double now)
{
    double number = floor((now - s->phase) / s->window);

    switch (s->kind) {
    case SERVER_FIXED:
    case SERVER_SLIDING:
        if (number != s->number) {
            s->previous = number == s->number + 1 ? s->current : 0;
            s->current = 0;
            s->number = number;
        }
        break;
    case SERVER_FIRST:
        break;
    case SERVER_LOG:
        while (s->log_count > 0 && s->log[s->log_first] <= now - s->window) {
            s->log_first = (s->log_first + 1) % s->log_size;
            s->log_count--;
        }
        break;
    case SERVER_TOKEN:
        s->tokens = fmin(s->limit, s->tokens + (now - s->filled) * s->limit / s->window);
        s->filled = now;
        break;
    case SERVER_NONE:
    case SERVER_SLOTS:
        break;
    }
}

static int used(struct server *s, double now)
{
    move_on(s, now);
    switch (s->kind) {
    case SERVER_FIXED:
    case SERVER_SLOTS:
        return s->current;
    case SERVER_FIRST:
        return now >= s->start + s->window ? 0 : s->current;
    case SERVER_SLIDING: {
        double into = (now - s->phase) / s->window;

        return s->current + (int)floor((1 - (into - floor(into))) * s->previous);
    }
    case SERVER_LOG:
        return s->log_count;
    case SERVER_TOKEN:
        return s->limit - (int)floor(s->tokens + 1e-9);
    case SERVER_NONE:
        break;
    }
    return 0;
}

bool server_peek(struct server *s, double now)
{
    return s->kind == SERVER_NONE || used(s, now) < s->limit;
}

bool server_take(struct server *s, double now)
{
    if (!server_peek(s, now))
        return false;
    if (s->kind == SERVER_FIRST && now >= s->start + s->window) {
        s->start = now;
        s->current = 0;
    }
    s->current++;
    s->tokens -= 1;
    if (s->kind == SERVER_LOG && s->log_count < s->log_size)
        s->log[(s->log_first + s->log_count++) % s->log_size] = now;
    return true;
}

void server_leave(struct server *s)
{
    if (s->kind == SERVER_SLOTS && s->current > 0)
        s->current--;
}

int server_remaining(struct server *s, double now)
{
    int left = s->limit - used(s, now);

    return left > 0 ? left : 0;
}

double server_next(struct server *s, double now)
{
    if (server_peek(s, now))
        return now;
    switch (s->kind) {
    case SERVER_FIXED:
        return s->phase + (floor((now - s->phase) / s->window) + 1) * s->window + JUST_AFTER;
    case SERVER_FIRST:
        return s->start + s->window;
    case SERVER_SLIDING:
        return now + fmin(0.05, s->window / s->limit / 10);
    case SERVER_LOG:
        return s->log[(s->log_first + s->log_count - s->limit) % s->log_size] + s->window + JUST_AFTER;
    case SERVER_TOKEN:
        return now + (1 - s->tokens) * s->window / s->limit + JUST_AFTER;
    case SERVER_SLOTS:
    case SERVER_NONE:
        break;
    }
    return now + 0.01;
}
