/* pause - a pause in the state, for the next start of the daemon. */
#ifndef FLOWSPOOL_CLI_PAUSE_H
#define FLOWSPOOL_CLI_PAUSE_H

#include "io/store.h"

void pause_in_state(struct store *s);

#endif
