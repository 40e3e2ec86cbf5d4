/* flowspool hold. */
#include "cli/steer.h"

static const char help[] =
    "usage: flowspool hold JOB...\n"
    "       flowspool hold --all | --workflow W\n"
    "Waiting jobs are not sent until flowspool release. What is on its way is\n"
    "finished first; what would be tried again is held. A hold outlives restarts, and\n"
    "that the file is renamed or edited. NAME.yaml.hold does it without a command.\n"
    "\n"
    "      JOB           a file in the spool, an outcome file, a glob, or 6 or more\n"
    "                    digits of the request's digest\n"
    "      --all         every job that has not ended; those that come later go on\n"
    "                    (to stop them too: flowspool pause)\n"
    "      --workflow W  only jobs of this workflow\n"
    "\n"
    "Exit: 0 all of them, 1 some cannot be held, 2 no job is called JOB.\n"
    "\n"
    "Example: flowspool hold --workflow wf_abc123\n";

int cli_hold(struct cli *c, int argc, char **argv)
{
    static const struct steer_words words = {
        .command = "hold ",
        .help = help,
        .order = ORDER_HOLD,
        .one = "job is held",
        .many = "jobs are held",
        .later = "",
        .in_flight = "on the way: the attempt is finished first",
        .left_alone = "ended, or the file is gone",
    };
    return steer_run(c, argc, argv, &words);
}
