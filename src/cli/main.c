/* flowspool - the operator's command. See flowspool(1). */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/similar.h"
#include "flowspool_version.h"

/* In the order in which the help lists them; the first needs no heading. */
enum group { HAND_IN, LOOK, STEER };
static const char *const groups[] = {
    [LOOK] = "Look, whether or not a daemon runs:",
    [STEER] = "Steer:",
};

static const struct {
    enum group group;
    const char *name;
    int (*run)(struct cli *c, int argc, char **argv);
    const char *what;
} commands[] = {
    {HAND_IN, "submit", cli_submit, "puts a job into the spool"},
    {HAND_IN, "check", cli_check, "finds what is wrong with job files, and what they would buy"},
    {LOOK, "status", cli_status, "the daemon, the jobs, the rate, and why nothing is sent"},
    {LOOK, "tune", cli_tune, "what was learned about the rate limit, and how well it fits"},
    {LOOK, "list", cli_list, "the jobs, one a line"},
    {LOOK, "show", cli_show, "all about a job, and its attempts"},
    {LOOK, "explain", cli_explain, "why a job is not running now, and what to do about it"},
    {LOOK, "log", cli_log, "what happened to jobs, in the order of time"},
    {LOOK, "ledger", cli_ledger, "what was bought, perhaps bought, refused, saved"},
    {LOOK, "wait", cli_wait, "until jobs have ended"},
    {STEER, "retry", cli_retry, "runs failed jobs again"},
    {STEER, "cancel", cli_cancel, "fails waiting jobs, so that they are not sent"},
    {STEER, "hold", cli_hold, "sends these jobs not before release"},
    {STEER, "release", cli_release, "lets held jobs go"},
    {STEER, "pause", cli_pause, "sends nothing new until resume"},
    {STEER, "resume", cli_resume, "sends again; asks again where sending was refused"},
    {STEER, "drain", cli_drain, "pauses, and waits until nothing is in flight"},
    {STEER, "prune", cli_prune, "removes superseded results"},
};

/* With its last lines it fits a terminal of 24. */
static void print_help(FILE *out)
{
    fputs("usage: flowspool [--spool DIR | -c FILE] COMMAND [--help] [OPTION]...\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (i > 0 && commands[i].group != commands[i - 1].group)
            fprintf(out, "%s\n", groups[commands[i].group]);
        fprintf(out, "  %-7s  %s\n", commands[i].name, commands[i].what);
    }
    fputs("  --spool DIR, else that of -c, --config FILE, else $FLOWSPOOL_SPOOL; --version\n"
          "Exit: 0 done, 1 not all or a fault, 2 usage, 4 daemon silent, 124 time-out.\n"
          "Example: flowspool --spool /var/spool/flowspool explain story.yaml\n",
          out);
}

static int no_command(const char *name)
{
    const char *names[sizeof commands / sizeof commands[0]];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        names[i] = commands[i].name;
    const char *similar = similar_name(name, names, sizeof names / sizeof names[0]);
    if (similar != NULL)
        return cli_misused("", "there is no command \"%s\", perhaps \"%s\"", name, similar);
    return cli_misused("", "there is no command \"%s\"", name);
}

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
    return no_command(argv[0]);
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
    signal(SIGIO, SIG_IGN);  /* spool_read() takes read leases */
    if (argc > 0)
        argv[0] = called;
    while ((option = getopt_long(argc, argv, "+c:", options, NULL)) != -1) {
        if (option == CLI_OPT_VERSION) {
            puts("flowspool " FLOWSPOOL_VERSION);
            return finish(CLI_OK);
        }
        if (option == CLI_OPT_HELP) {
            print_help(stdout);
            return finish(CLI_OK);
        }
        int rc = cli_common_option(&c, option, "");
        if (rc >= 0)
            return finish(rc);
    }
    if (optind >= argc)
        return cli_misused("", "which command?");
    return finish(run_command(&c, argc - optind, argv + optind));
}
