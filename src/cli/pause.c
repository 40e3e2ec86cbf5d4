/* flowspool pause. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/pause.h"
#include "cli/switch.h"
#include "io/clock.h"

static const char help[] = "usage: flowspool pause\n"
                           "Sends nothing new until flowspool resume; requests in flight finish and their\n"
                           "outcomes are written. It outlives restarts. Without a daemon, the next one\n"
                           "starts paused. A file PAUSE in the spool does the same as long as it is there.\n"
                           "\n"
                           "Example: flowspool --spool /var/spool/flowspool pause\n";

/* The value is when: status shows it. */
void pause_in_state(struct store *s)
{
    char since[24];
    char *before = store_get(s, "gate.paused");
    snprintf(since, sizeof since, "%" PRId64, clock_unix_ms());
    if (before == NULL)
        store_set(s, "gate.paused", since, NULL, NULL);
    free(before);
}

int cli_pause(struct cli *c, int argc, char **argv)
{
    static const struct switch_words words = {
        .command = "pause ",
        .help = help,
        .order = ORDER_PAUSE,
        .done = "paused: nothing new is sent until flowspool resume",
        .done_later = "paused: the next flowspoold sends nothing until flowspool resume",
        .change = pause_in_state,
    };
    return switch_run(c, argc, argv, &words);
}
