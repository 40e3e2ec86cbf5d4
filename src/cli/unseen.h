/* unseen - a file in the spool of which the state knows nothing: why flowspoold has not taken it. */
#ifndef FLOWSPOOL_CLI_UNSEEN_H
#define FLOWSPOOL_CLI_UNSEEN_H

#include <stdbool.h>

#include "cli/explanation.h"
#include "io/config.h"

/* path: relative to the spool. False: there is no such file. */
bool explain_unseen(struct explanation *e, const struct explain_state *s, const struct config *cfg,
                    const char *path);

#endif
