/* flowspool wait. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/waiting.h"
#include "core/units.h"
#include "core/utf8.h"

static const char help[] =
    "usage: flowspool wait [--timeout D] JOB...\n"
    "Waits until the jobs have ended, and prints a line for each that does: its name,\n"
    "\"done\" or \"failed\", and for one that failed the code and the message. Waited for\n"
    "is also what is not there yet, is held, or has no daemon.\n"
    "\n"
    "      JOB          a file in the spool, an outcome file, a glob, or 6 or more\n"
    "                   digits of the request's digest\n"
    "      --timeout D  at most so long, such as 90s or 8h\n"
    "\n"
    "Exit: 0 all succeeded, 1 one failed, 2 no such spool, or a glob that matches\n"
    "nothing, 124 time ran out.\n"
    "\n"
    "Example: flowspool wait --timeout 8h 'night-*.yaml' && echo all done\n";

struct wait {
    bool failed;
};

static void on_ended(void *arg, const struct ended_job *job)
{
    struct wait *w = arg;
    char name[4096], line[4096];
    utf8_escape(job->name, strlen(job->name), name, sizeof name);
    w->failed = w->failed || !job->done;
    if (job->done) {
        printf("%s done\n", name);
    } else {
        snprintf(line, sizeof line, "%s: %s", job->code, job->message);
        char shown[4096];
        printf("%s failed %s\n", name, utf8_escape(line, strlen(line), shown, sizeof shown));
    }
    fflush(stdout); /* a script reads along */
}

static int wait_at(const struct config *cfg, char *const *words, size_t count, int64_t timeout_ms)
{
    struct wait w = {0};
    struct waiting *waiting = waiting_open(cfg);
    if (waiting == NULL)
        return CLI_USAGE;
    int status = waiting_add_words(waiting, words, count);
    if (status == CLI_OK)
        status = waiting_run(waiting, timeout_ms, on_ended, &w);
    waiting_close(waiting);
    return status == CLI_OK && w.failed ? CLI_NOT_ALL : status;
}

enum { OPT_TIMEOUT = CLI_OPT_OWN };

int cli_wait(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"timeout", required_argument, NULL, OPT_TIMEOUT},
        {NULL, 0, NULL, 0},
    };
    struct config cfg;
    int64_t timeout_ms = -1;
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == OPT_TIMEOUT && !units_parse_duration_ms(optarg, &timeout_ms))
            return cli_misused("wait ", "\"%s\" is no duration such as 90s, 5m or 8h", optarg);
        int rc = option == OPT_TIMEOUT ? -1 : cli_common_option(c, option, help);
        if (rc >= 0)
            return rc;
    }
    if (optind == argc)
        return cli_misused("wait ", "which jobs?");
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    int rc = wait_at(&cfg, argv + optind, (size_t)(argc - optind), timeout_ms);
    config_free(&cfg);
    return rc;
}
