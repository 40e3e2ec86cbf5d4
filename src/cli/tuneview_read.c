/* Where the view comes from: the daemon's answer, else the state. */
#include <stdio.h>

#include "cli/ratewords.h"
#include "cli/tuneview.h"

static void ask(struct tune_view *v, struct arena *a)
{
    struct order_reply reply;
    v->daemon = ask_daemon(v->cfg, &(struct order){.kind = ORDER_TUNE}, a, &reply, &v->reason);
    if (v->daemon != ASK_ANSWERED)
        return;
    v->known = reply.tuning != NULL && tuning_parse(reply.tuning, a, &v->tuning) &&
               v->tuning.learned.mode[0] != '\0';
    if (v->known)
        return;
    v->daemon = ASK_FAILED;
    v->reason = "its answer makes no sense";
}

bool tuneview_read(struct tune_view *v, struct arena *a, char *message, size_t size)
{
    struct store *s;
    ask(v, a);
    v->has_state = v->known;
    if (v->known)
        return true;
    enum store_rc rc = store_open_readonly(&s, v->cfg->state_dir, message, size);
    if (rc != STORE_OK)
        return rc == STORE_ABSENT;
    v->has_state = true;
    v->known = rate_stored(s, v->now_ms, a, &v->tuning);
    const char *error = store_error(s);
    if (error != NULL)
        snprintf(message, size, "%s", error);
    store_close(s);
    return error == NULL;
}
