/* flowspool status. */
#include <getopt.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/overview.h"
#include "cli/terminal.h"
#include "io/clock.h"

static const char help[] =
    "usage: flowspool status [--json]\n"
    "Shows the daemon, how many jobs are where, the rate and what is left, and why\n"
    "nothing is sent. What only the daemon knows is shown as unknown when it does not\n"
    "answer within a second.\n"
    "\n"
    "      --json  one JSON object; names of members in flowspool(1)\n"
    "\n"
    "Exit: 0, whatever the state of the jobs.\n"
    "\n"
    "Example: flowspool status --json | jq .jobs.waiting\n";

/* False: it was said why. */
static bool read_store(struct overview *o, char **account)
{
    struct store *s;
    enum store_rc rc = cli_open(o->cfg, &s);
    if (rc != STORE_OK)
        return rc == STORE_ABSENT;
    o->has_state = store_counts(s, &o->counts);
    char *paused = store_get(s, "gate.paused"), *lost = store_get(s, "gate.lost_state");
    o->paused = paused != NULL;
    o->paused_ms = paused != NULL ? strtoll(paused, NULL, 10) : 0;
    o->lost_state = lost != NULL;
    o->account = *account = store_get(s, "hold.account");
    free(paused);
    free(lost);
    return cli_close(s);
}

static void ask(struct overview *o, struct arena *a)
{
    struct order_reply reply;
    o->daemon = ask_daemon(o->cfg, &(struct order){.kind = ORDER_STATUS}, a, &reply, &o->reason);
    if (o->daemon != ASK_ANSWERED)
        return;
    o->status_json = reply.status;
    if (reply.status != NULL && status_parse(reply.status, a, &o->status))
        return;
    o->daemon = ASK_FAILED;
    o->reason = "its answer makes no sense";
}

static int show(struct overview *o, bool json)
{
    struct arena a = {0};
    char *account = NULL;
    ask(o, &a);
    bool ok = read_store(o, &account);
    if (ok && json)
        ok = overview_json(o, stdout);
    else if (ok)
        overview_text(o, stdout, terminal_colours(), terminal_width());
    free(account);
    arena_free(&a);
    return ok ? CLI_OK : CLI_USAGE;
}

enum { OPT_JSON = CLI_OPT_OWN };

int cli_status(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"json", no_argument, NULL, OPT_JSON},
        {NULL, 0, NULL, 0},
    };
    struct config cfg;
    bool json = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        int rc = option == OPT_JSON ? (json = true, -1) : cli_common_option(c, option, help);
        if (rc >= 0)
            return rc;
    }
    if (optind < argc)
        return cli_misused("status ", "unexpected argument \"%s\"", argv[optind]);
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    struct overview o = {.cfg = &cfg, .now_ms = clock_unix_ms()};
    int rc = show(&o, json);
    config_free(&cfg);
    return rc;
}
