/* flowspool tune. */
#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/terminal.h"
#include "cli/tuneview.h"
#include "io/clock.h"

static const char help[] = "usage: flowspool tune [--json]\n"
                           "Explains the rate: what was learned about the account's limit, the best guesses\n"
                           "at the server's window and how well each fits, and for the newest requests what\n"
                           "of the limit was used, beside what the best guess predicted. Without a daemon:\n"
                           "what the last one kept.\n"
                           "\n"
                           "      --json  one JSON object; names of members in flowspool(1)\n"
                           "\n"
                           "How it came to be so: the log of a flowspoold that is run with the log level\n"
                           "debug has a line for each decision.\n"
                           "\n"
                           "Exit: 0, whatever is known.\n"
                           "\n"
                           "Examples: flowspool tune\n"
                           "          flowspool tune --json | jq .learned\n";

enum { OPT_JSON = CLI_OPT_OWN };

/* -1, or the status to exit with. */
static int parse(struct cli *c, bool *json, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"json", no_argument, NULL, OPT_JSON},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        int rc = option == OPT_JSON ? (*json = true, -1) : cli_common_option(c, option, help);
        if (rc >= 0)
            return rc;
    }
    return optind < argc ? cli_misused("tune ", "unexpected argument \"%s\"", argv[optind]) : -1;
}

static int show(const struct config *cfg, bool json)
{
    struct arena a = {0};
    char message[512] = "out of memory";
    struct tune_view v = {.cfg = cfg, .now_ms = clock_unix_ms()};
    bool ok = tuneview_read(&v, &a, message, sizeof message);
    if (ok)
        ok = json ? tuneview_json(&v, stdout)
                  : tuneview_text(&v, stdout, terminal_colours(), terminal_width());
    if (!ok)
        cli_complain("%s", message);
    arena_free(&a);
    return ok ? CLI_OK : CLI_USAGE;
}

int cli_tune(struct cli *c, int argc, char **argv)
{
    bool json = false;
    struct config cfg;
    int rc = parse(c, &json, argc, argv);
    if (rc >= 0)
        return rc;
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    rc = show(&cfg, json);
    config_free(&cfg);
    return rc;
}
