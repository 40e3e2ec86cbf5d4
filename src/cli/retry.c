/* flowspool retry. */
#include <getopt.h>
#include <string.h>

#include "cli/steer.h"

static const char help[] = "usage: flowspool retry [--force] JOB...\n"
                           "       flowspool retry --failed [--code C] [--workflow W]\n"
                           "Reads the job files again and runs the jobs again, their attempts counted from\n"
                           "zero. Where no daemon runs, the next one does it when it starts.\n"
                           "\n"
                           "      JOB           a file in the spool, an outcome file, a glob, or 6 or more\n"
                           "                    digits of the request's digest\n"
                           "      --failed      every job that failed\n"
                           "      --code C      of these only those with this code, such as server_error\n"
                           "      --workflow W  of these only those of this workflow\n"
                           "      --force       also jobs that have a result: it is bought again\n"
                           "\n"
                           "Exit: 0 all of them run again, 1 some cannot, 2 no job is called JOB.\n"
                           "\n"
                           "Examples: flowspool retry story.yaml\n"
                           "          flowspool retry --failed --code ambiguous\n";

enum { OPT_FAILED = CLI_OPT_OWN, OPT_CODE, OPT_WORKFLOW, OPT_FORCE };

static bool is_code(const char *text)
{
    static const char *const codes[] = {
        CODE_INVALID_JOB,  CODE_MISSING_INPUT, CODE_WORKFLOW_NOT_FOUND, CODE_REJECTED,
        CODE_SERVER_ERROR, CODE_UNREACHABLE,   CODE_INVALID_RESPONSE,   CODE_RESPONSE_TOO_LARGE,
        CODE_EXPIRED,      CODE_CANCELLED,     CODE_AMBIGUOUS,
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(text, codes[i]) == 0)
            return true;
    return false;
}

static int parse(struct cli *c, struct steer *s, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"failed", no_argument, NULL, OPT_FAILED},
        {"code", required_argument, NULL, OPT_CODE},
        {"workflow", required_argument, NULL, OPT_WORKFLOW},
        {"force", no_argument, NULL, OPT_FORCE},
        {NULL, 0, NULL, 0},
    };
    int option, rc = -1;
    while (rc < 0 && (option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == OPT_FAILED)
            s->state = JOB_FAILED;
        else if (option == OPT_CODE)
            s->code = optarg;
        else if (option == OPT_WORKFLOW)
            s->workflow = optarg;
        else if (option == OPT_FORCE)
            s->force = true;
        else
            rc = cli_common_option(c, option, help);
    }
    if (rc >= 0)
        return rc;
    bool failed = s->state == JOB_FAILED;
    if (failed == (optind < argc))
        return cli_misused("retry ", "give either jobs or --failed");
    if (!failed && (s->code != NULL || s->workflow != NULL))
        return cli_misused("retry ", "--code and --workflow go with --failed");
    if (s->code != NULL && !is_code(s->code))
        return cli_misused("retry ", "no job fails with the code \"%s\"; see flowspool-job(5)", s->code);
    return -1;
}

int cli_retry(struct cli *c, int argc, char **argv)
{
    static const struct steer_words words = {
        .command = "retry ",
        .help = help,
        .order = ORDER_RETRY,
        .one = "job runs again",
        .many = "jobs run again",
        .later = " when flowspoold starts",
        .in_flight = "on the way",
        .left_alone = "done already, or on the way",
    };
    struct steer s = {.words = &words, .state = -1};
    int rc = parse(c, &s, argc, argv);
    return rc >= 0 ? rc : steer_jobs(c, &s, argc - optind, argv + optind);
}
