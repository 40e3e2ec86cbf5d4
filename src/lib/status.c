/* What the daemon says of itself, through its control socket. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/holdwords.h"
#include "core/order.h"
#include "core/status.h"
#include "core/utf8.h"
#include "io/control_client.h"
#include "lib/error.h"

struct flowspool_status {
    struct arena arena;
    const char *json;
    struct status said;
    char **held;
    size_t nheld;
};

void flowspool_status_free(struct flowspool_status *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->nheld; i++)
        free(s->held[i]);
    free(s->held);
    arena_free(&s->arena);
    free(s);
}

/* ---- what it said ---- */

static bool read_holds(struct flowspool_status *s)
{
    s->held = calloc(s->said.nholds + 1, sizeof(char *));
    if (!s->held)
        return false;
    for (size_t i = 0; i < s->said.nholds; i++) {
        char words[HOLD_WORDS_SIZE], escaped[2 * HOLD_WORDS_SIZE];
        hold_words(&s->said.holds[i], words);
        s->held[i] = strdup(utf8_escape(words, strlen(words), escaped, sizeof escaped));
        if (!s->held[i])
            return false;
        s->nheld++;
    }
    return true;
}

static int read_reply(struct flowspool_status *s, const char *reply, struct flowspool_error **error)
{
    struct order_reply r;
    if (!order_reply_parse(reply, &s->arena, &r))
        return error_set(error, -EBADMSG, "what answers is no flowspoold");
    if (!r.ok)
        return error_set(error, -EBADMSG, "flowspoold: %s", r.error);
    s->json = r.status;
    if (!r.status || !status_parse(r.status, &s->arena, &s->said))
        return error_set(error, -EBADMSG, "flowspoold answers without a status");
    return read_holds(s) ? 0 : error_memory(error);
}

/* ---- asking ---- */

static int explain(struct flowspool_error **error, int err, const char *spool, const char *state_dir)
{
    struct stat st;
    switch (err) {
    case -ENOMEM:
        return error_memory(error);
    case -ENOENT:
        if (stat(spool, &st) != 0)
            return error_system(error, -errno, "find the spool", spool);
        return error_set(error, err, "no flowspoold runs on %s (there is no socket in %s)", spool, state_dir);
    case -ECONNREFUSED:
        return error_set(error, err, "no flowspoold runs on %s", spool);
    case -ETIMEDOUT:
        return error_set(error, err, "flowspoold runs on %s but does not answer: it is stuck or very busy",
                         spool);
    case -ECONNRESET:
    case -EPIPE:
        return error_set(error, -ECONNRESET,
                         "flowspoold hung up: it is stopping, or does not answer this user");
    default:
        return error_system(error, err, "ask flowspoold in", state_dir);
    }
}

static int ask(struct flowspool_status *s, const char *spool, const char *state_dir, int timeout_ms,
               struct flowspool_error **error)
{
    const struct order order = {.kind = ORDER_STATUS};
    int err = -ENOMEM;
    char *request = order_print(&order);
    char *reply =
        request ? control_call(state_dir, request, timeout_ms < 0 ? INT_MAX : timeout_ms, &err) : NULL;
    free(request);
    if (!reply)
        return explain(error, err, spool, state_dir);
    err = read_reply(s, reply, error);
    free(reply);
    return err;
}

int flowspool_status_read(const char *spool, const char *state_dir, int timeout_ms,
                          struct flowspool_status **status, struct flowspool_error **error)
{
    char *usual = NULL;
    *status = NULL;
    if (error)
        *error = NULL;
    if (!state_dir && asprintf(&usual, "%s/.flowspool", spool) < 0)
        return error_memory(error);
    struct flowspool_status *s = calloc(1, sizeof *s);
    int err = s ? ask(s, spool, state_dir ? state_dir : usual, timeout_ms, error) : error_memory(error);
    free(usual);
    if (err == 0)
        *status = s;
    else
        flowspool_status_free(s);
    return err;
}

/* ---- what is in it ---- */

int64_t flowspool_status_pid(const struct flowspool_status *status)
{
    return status->said.pid;
}

int64_t flowspool_status_uptime_ms(const struct flowspool_status *status)
{
    return status->said.uptime_ms;
}

int flowspool_status_running(const struct flowspool_status *status)
{
    return !status->said.draining;
}

const char *flowspool_status_endpoint(const struct flowspool_status *status)
{
    return status->said.endpoint;
}

int64_t flowspool_status_in_flight(const struct flowspool_status *status)
{
    return status->said.in_flight;
}

int64_t flowspool_status_cap(const struct flowspool_status *status)
{
    return status->said.cap;
}

const char *flowspool_status_cap_reason(const struct flowspool_status *status)
{
    return status->said.cap_reason;
}

double flowspool_status_per_second(const struct flowspool_status *status)
{
    return status->said.per_second;
}

int64_t flowspool_status_count(const struct flowspool_status *status, enum flowspool_count which)
{
    const struct status_counts *c = &status->said.counts; /* of older daemons there are none */
    const int64_t counts[] = {
        [FLOWSPOOL_WAITING] = c->waiting, [FLOWSPOOL_LATER] = c->later,         [FLOWSPOOL_HELD] = c->held,
        [FLOWSPOOL_MISSING] = c->missing, [FLOWSPOOL_IN_FLIGHT] = c->in_flight, [FLOWSPOOL_DONE] = c->done,
        [FLOWSPOOL_FAILED] = c->failed,   [FLOWSPOOL_REFUSED] = c->refused,
    };
    return (unsigned)which < sizeof counts / sizeof counts[0] ? counts[which] : -1;
}

const char *flowspool_status_held(const struct flowspool_status *status, size_t index)
{
    return index < status->nheld ? status->held[index] : NULL;
}

const char *flowspool_status_json(const struct flowspool_status *status)
{
    return status->json;
}
