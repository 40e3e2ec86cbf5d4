/* ask - one order to the daemon, and what became of it. */
#ifndef FLOWSPOOL_CLI_ASK_H
#define FLOWSPOOL_CLI_ASK_H

#include "core/order.h"
#include "io/config.h"

enum ask_rc {
    ASK_ANSWERED,
    ASK_NOBODY,  /* no daemon runs */
    ASK_SILENT,  /* it does not answer in time; it got no order */
    ASK_UNSURE,  /* it did not answer the order in time, and may still carry it out */
    ASK_REFUSED, /* we may not talk to it, or it hung up */
    ASK_FAILED,  /* its answer makes no sense, or something else broke */
};

/* For programs: running, not_running, no_answer, refused or unknown. */
const char *ask_word(enum ask_rc rc);
/* The reply lives in the arena. reason is for people. Whether the daemon answers is found out before it gets
 * an order that changes something: one that hangs must not carry out an hour later what was given up long
 * ago. */
enum ask_rc ask_daemon(const struct config *cfg, const struct order *o, struct arena *a,
                       struct order_reply *reply, const char **reason);
/* Another order, right after one that was answered. */
enum ask_rc ask_again(const struct config *cfg, const struct order *o, struct arena *a,
                      struct order_reply *reply, const char **reason);

#endif
