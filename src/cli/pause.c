/* flowspool pause. */
#include "cli/switch.h"

static const char help[] =
    "usage: flowspool pause\n"
    "Sends nothing new until flowspool resume; requests in flight finish and their\n"
    "outcomes are written. It outlives restarts. Without a daemon, the next one starts\n"
    "paused. A file PAUSE in the spool does the same as long as it is there.\n"
    "\n"
    "Example: flowspool --spool /var/spool/flowspool pause\n";

static void change(struct store *s)
{
    store_set(s, "gate.paused", "1", NULL, NULL);
}

int cli_pause(struct cli *c, int argc, char **argv)
{
    static const struct switch_words words = {
        .command = "pause ",
        .help = help,
        .order = ORDER_PAUSE,
        .done = "paused: nothing new is sent until flowspool resume",
        .done_later = "paused: the next flowspoold sends nothing until flowspool resume",
        .change = change,
    };
    return switch_run(c, argc, argv, &words);
}
