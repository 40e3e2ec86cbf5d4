/* switch - pause and resume, which differ in words only: through the daemon, or in the state for its next
 * start. */
#ifndef FLOWSPOOL_CLI_SWITCH_H
#define FLOWSPOOL_CLI_SWITCH_H

#include "cli/cli.h"
#include "core/order.h"

struct switch_words {
    const char *command, *help;
    enum order_kind order;
    const char *done;       /* the daemon did it */
    const char *done_later; /* no daemon runs: what its next start does */
    void (*change)(struct store *s);
    bool tells_holds; /* what still holds sending is told */
};

int switch_run(struct cli *c, int argc, char **argv, const struct switch_words *w);

#endif
