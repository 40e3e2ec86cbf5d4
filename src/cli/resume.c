/* flowspool resume. */
#include "cli/switch.h"

static const char help[] = "usage: flowspool resume\n"
                           "Ends a pause, and accepts what sending is held for until somebody says that it\n"
                           "is right: a state that was lost, job files that vanished. Where the account or\n"
                           "the endpoint refuses work, one job asks again at once. Says what still holds\n"
                           "sending. Without a daemon, the next one starts like this.\n"
                           "\n"
                           "Example: flowspool --spool /var/spool/flowspool resume\n";

static void change(struct store *s)
{
    store_set(s, "gate.paused", NULL, NULL, NULL);
    store_set(s, "gate.lost_state", NULL, NULL, NULL);
}

int cli_resume(struct cli *c, int argc, char **argv)
{
    static const struct switch_words words = {
        .command = "resume ",
        .help = help,
        .order = ORDER_RESUME,
        .done = "resumed",
        .done_later = "resumed: the next flowspoold sends",
        .change = change,
        .tells_holds = true,
    };
    return switch_run(c, argc, argv, &words);
}
