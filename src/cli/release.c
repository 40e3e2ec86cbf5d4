/* flowspool release. */
#include "cli/steer.h"

static const char help[] = "usage: flowspool release JOB...\n"
                           "       flowspool release --all | --workflow W\n"
                           "Lets jobs go that flowspool hold holds. One that its file's name holds\n"
                           "(NAME.yaml.hold) is released by renaming the file back.\n"
                           "\n"
                           "      JOB           a file in the spool, an outcome file, a glob, or 6 or more\n"
                           "                    digits of the request's digest\n"
                           "      --all         every job that is held\n"
                           "      --workflow W  only jobs of this workflow\n"
                           "\n"
                           "Exit: 0 all of them, 1 some are not held, 2 no job is called JOB.\n"
                           "\n"
                           "Example: flowspool release --all\n";

int cli_release(struct cli *c, int argc, char **argv)
{
    static const struct steer_words words = {
        .command = "release ",
        .help = help,
        .order = ORDER_RELEASE,
        .one = "job is released",
        .many = "jobs are released",
        .later = "",
        .in_flight = "on the way",
        .left_alone = "not held, or by the name of the file",
    };
    return steer_run(c, argc, argv, &words);
}
