/* offline - changes for the next start of the daemon, and what is said when there can be none. */
#ifndef FLOWSPOOL_CLI_OFFLINE_H
#define FLOWSPOOL_CLI_OFFLINE_H

#include "cli/ask.h"
#include "cli/cli.h"
#include "io/store_edit.h"

/* An exit status; what went wrong was said. */
int offline_change(const struct config *cfg, store_edit_fn edit, void *arg);
/* Says why the daemon did not do it; the exit status. */
int offline_refuse(enum ask_rc rc, const char *reason);

#endif
