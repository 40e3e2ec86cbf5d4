#include "cli/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/control_client.h"

/* An answer takes the daemon about a millisecond. For a look, one that is too busy for a second is a finding;
 * who wants something done would rather wait. An order may mean some thousand files to find, and its answer a
 * sync of a busy disk. */
#define LOOK_PATIENCE_MS  1000
#define PROBE_PATIENCE_MS 3000
#define ORDER_PATIENCE_MS 10000

static enum ask_rc why_not(int err, const char **reason)
{
    switch (err) {
    case -ENOENT:
    case -ECONNREFUSED:
        *reason = "not running";
        return ASK_NOBODY;
    case -ETIMEDOUT:
        *reason = "does not answer";
        return ASK_SILENT;
    case -EACCES:
    case -EPERM:
        *reason = "no permission to ask it";
        return ASK_REFUSED;
    case -ECONNRESET:
    case -EPIPE:
        *reason = "hung up: it is stopping, or does not take orders from this user";
        return ASK_REFUSED;
    default:
        *reason = strerror(-err);
        return ASK_FAILED;
    }
}

static enum ask_rc call(const struct config *cfg, const struct order *o, int patience_ms, struct arena *a,
                        struct order_reply *reply, const char **reason)
{
    int err = -ENOMEM;
    char *request = order_print(o);
    char *text = request != NULL ? control_call(cfg->state_dir, request, patience_ms, &err) : NULL;
    free(request);
    if (text == NULL)
        return why_not(err, reason);
    bool ours = order_reply_parse(text, a, reply);
    free(text);
    *reason = ours ? reply->error : "its answer makes no sense";
    return ours && reply->ok ? ASK_ANSWERED : ASK_FAILED;
}

const char *ask_word(enum ask_rc rc)
{
    switch (rc) {
    case ASK_ANSWERED:
        return "running";
    case ASK_NOBODY:
        return "not_running";
    case ASK_SILENT:
    case ASK_UNSURE:
        return "no_answer";
    case ASK_REFUSED:
        return "refused";
    case ASK_FAILED:
        break;
    }
    return "unknown";
}

enum ask_rc ask_again(const struct config *cfg, const struct order *o, struct arena *a,
                      struct order_reply *reply, const char **reason)
{
    enum ask_rc rc = call(cfg, o, ORDER_PATIENCE_MS, a, reply, reason);
    return rc == ASK_SILENT ? ASK_UNSURE : rc;
}

enum ask_rc ask_daemon(const struct config *cfg, const struct order *o, struct arena *a,
                       struct order_reply *reply, const char **reason)
{
    const struct order probe = {.kind = ORDER_STATUS};
    if (o->kind == ORDER_STATUS || o->kind == ORDER_TUNE)
        return call(cfg, o, LOOK_PATIENCE_MS, a, reply, reason);
    enum ask_rc rc = call(cfg, &probe, PROBE_PATIENCE_MS, a, reply, reason);
    return rc == ASK_ANSWERED ? ask_again(cfg, o, a, reply, reason) : rc;
}
