/* flowspool - the operator's command. See flowspool(1). */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "flowspool_version.h"

static const char help[] =
    "usage: flowspool [--spool DIR | -c FILE] COMMAND [OPTION]...\n"
    "Looks at and steers a spool of flowspoold(8).\n"
    "\n"
    "  status   the daemon, the jobs, the rate, and why nothing is sent\n"
    "  list     the jobs, one a line\n"
    "  retry    runs failed jobs again\n"
    "  cancel   fails waiting jobs, so that they are not sent\n"
    "  hold     sends these jobs not before release\n"
    "  release  lets held jobs go\n"
    "  pause    sends nothing new until resume\n"
    "  resume   sends again; asks again where sending was refused\n"
    "  drain    pauses, and waits until nothing is in flight\n"
    "  prune    removes superseded results\n"
    "\n"
    "      --spool DIR    the spool; else the one in -c FILE, else $FLOWSPOOL_SPOOL\n"
    "  -c, --config FILE  the daemon's configuration (spool, state_dir)\n"
    "      --help         also behind a command; --version\n"
    "\n"
    "Exit: 0 done, 1 not all of it, 2 usage, no such spool or job, 4 a daemon has the\n"
    "state and does not answer.\n"
    "\n"
    "Example: flowspool --spool /var/spool/flowspool status\n";

static const struct {
    const char *name;
    int (*run)(struct cli *c, int argc, char **argv);
} commands[] = {
    {"status", cli_status}, {"list", cli_list},       {"retry", cli_retry}, {"cancel", cli_cancel},
    {"hold", cli_hold},     {"release", cli_release}, {"pause", cli_pause}, {"resume", cli_resume},
    {"drain", cli_drain},   {"prune", cli_prune},
};

static int run_command(struct cli *c, int argc, char **argv)
{
    char called[64]; /* as getopt's complaints begin */
    snprintf(called, sizeof called, "flowspool %s", argv[0]);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[0], commands[i].name) != 0)
            continue;
        optind = 0; /* starts getopt afresh */
        argv[0] = called;
        return commands[i].run(c, argc, argv);
    }
    return cli_misused("", "there is no command \"%s\"", argv[0]);
}

/* A full disk or a closed pipe shows only when the last bytes go out. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("flowspool: stdout");
    return status == CLI_OK ? CLI_NOT_ALL : status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"version", no_argument, NULL, CLI_OPT_VERSION},
        {NULL, 0, NULL, 0},
    };
    struct cli c = {0};
    int option;
    static char called[] = "flowspool";
    setlocale(LC_CTYPE, ""); /* for the width of characters */
    if (argc > 0)
        argv[0] = called;
    while ((option = getopt_long(argc, argv, "+c:", options, NULL)) != -1) {
        if (option == CLI_OPT_VERSION) {
            puts("flowspool " FLOWSPOOL_VERSION);
            return finish(CLI_OK);
        }
        int rc = cli_common_option(&c, option, help);
        if (rc >= 0)
            return finish(rc);
    }
    if (optind >= argc)
        return cli_misused("", "which command?");
    return finish(run_command(&c, argc - optind, argv + optind));
}
