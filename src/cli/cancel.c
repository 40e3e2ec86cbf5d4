/* flowspool cancel. */
#include "cli/steer.h"

static const char help[] = "usage: flowspool cancel JOB...\n"
                           "       flowspool cancel --all | --workflow W\n"
                           "Waiting jobs fail as `cancelled`, held ones and those for later too. What is on\n"
                           "its way is finished first, because it may have been charged: a result is kept,\n"
                           "and what would be tried again is cancelled. The job files stay where they are;\n"
                           "retry runs the jobs after all. Without a daemon, the next one writes the\n"
                           "outcomes.\n"
                           "\n"
                           "      JOB           a file in the spool, an outcome file, a glob, or 6 or more\n"
                           "                    digits of the request's digest\n"
                           "      --all         every job that has not ended\n"
                           "      --workflow W  only jobs of this workflow\n"
                           "\n"
                           "Exit: 0 all of them, 1 some cannot be cancelled, 2 no job is called JOB.\n"
                           "\n"
                           "Example: flowspool cancel 'night-*.yaml'\n";

int cli_cancel(struct cli *c, int argc, char **argv)
{
    static const struct steer_words words = {
        .command = "cancel ",
        .help = help,
        .order = ORDER_CANCEL,
        .one = "job is cancelled",
        .many = "jobs are cancelled",
        .later = "; what says so is written when flowspoold starts",
        .in_flight = "on the way: the attempt is finished first",
        .left_alone = "ended, or the file is gone",
    };
    return steer_run(c, argc, argv, &words);
}
