/* flowspool prune. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/offline.h"
#include "core/units.h"
#include "io/clock.h"
#include "io/publish_prune.h"

static const char help[] =
    "usage: flowspool prune [--older-than D] [--dry-run]\n"
    "Removes superseded results for good: what state_dir/superseded keeps when a job\n"
    "file was changed, or a result was bought again. Results beside job files are not\n"
    "touched, and what is removed is still known as bought.\n"
    "\n"
    "      --older-than D  only results written more than D ago, such as 720h\n"
    "      --dry-run       removes nothing, says how much it would be\n"
    "\n"
    "Exit: 0 done, 1 not all of it, 4 a daemon has the state and does not answer.\n"
    "\n"
    "Example: flowspool prune --older-than 720h --dry-run\n";

struct prune {
    const struct config *cfg;
    struct order order;
    struct publish_pruned done;
};

/* ---- who does it ---- */

static bool prune_here(void *arg, struct store *s, char *message, size_t size)
{
    struct prune *p = arg;
    char dir[PATH_MAX];
    int err = -ENAMETOOLONG;
    (void)s; /* its lock keeps a daemon away */
    if (snprintf(dir, sizeof dir, "%s/superseded", p->cfg->state_dir) < (int)sizeof dir)
        do
            err = publish_prune_dir(dir, p->order.before_ms, p->order.dry_run, &p->done);
        while (err == 0 && p->done.more);
    if (err != 0)
        snprintf(message, size, "%s/superseded: %s", p->cfg->state_dir, strerror(-err));
    return err == 0;
}

/* One order removes a bounded number. */
static enum ask_rc prune_there(struct prune *p, const char **reason)
{
    enum ask_rc rc = ASK_ANSWERED;
    bool first = true;
    do {
        struct arena a = {0};
        struct order_reply reply;
        rc = first ? ask_daemon(p->cfg, &p->order, &a, &reply, reason)
                   : ask_again(p->cfg, &p->order, &a, &reply, reason);
        first = false;
        p->done.more = rc == ASK_ANSWERED && reply.more;
        if (rc == ASK_ANSWERED) {
            p->done.files += reply.changed;
            p->done.bytes += reply.bytes > 0 ? reply.bytes : 0;
        } else if (rc == ASK_FAILED) {
            cli_complain("flowspoold: %s", *reason); /* the words live in the arena */
            *reason = "not all was removed";
        }
        arena_free(&a);
    } while (p->done.more);
    return rc;
}

static void tell(const struct prune *p)
{
    printf("%lld %s%s removed, %lld %s\n", (long long)p->done.files,
           p->done.files == 1 ? "superseded file" : "superseded files", p->order.dry_run ? " would be" : "",
           (long long)p->done.bytes, p->done.bytes == 1 ? "byte" : "bytes");
}

static int prune_at(struct prune *p)
{
    const char *reason = "";
    enum ask_rc rc = prune_there(p, &reason);
    int status = CLI_OK;
    if (rc == ASK_NOBODY)
        status = offline_change(p->cfg, prune_here, p);
    else if (rc != ASK_ANSWERED)
        status = offline_refuse(rc, reason);
    if (status == CLI_OK || p->done.files > 0)
        tell(p);
    return status != CLI_OK && p->done.files > 0 ? CLI_NOT_ALL : status;
}

/* ---- options ---- */

enum { OPT_OLDER_THAN = CLI_OPT_OWN, OPT_DRY_RUN };

static int parse(struct cli *c, struct order *o, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"dry-run", no_argument, NULL, OPT_DRY_RUN},
        {"older-than", required_argument, NULL, OPT_OLDER_THAN},
        {NULL, 0, NULL, 0},
    };
    int option, rc = -1;
    while (rc < 0 && (option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        int64_t age_ms;
        if (option == OPT_DRY_RUN)
            o->dry_run = true;
        else if (option != OPT_OLDER_THAN)
            rc = cli_common_option(c, option, help);
        else if (!units_parse_duration_ms(optarg, &age_ms))
            rc =
                cli_misused("prune ", "--older-than takes a duration such as 8h or 720h, not \"%s\"", optarg);
        else
            o->before_ms = clock_unix_ms() > age_ms ? clock_unix_ms() - age_ms : 1;
    }
    if (rc >= 0)
        return rc;
    return optind < argc ? cli_misused("prune ", "unexpected argument \"%s\"", argv[optind]) : -1;
}

int cli_prune(struct cli *c, int argc, char **argv)
{
    struct config cfg;
    struct prune p = {.cfg = &cfg, .order = {.kind = ORDER_PRUNE}};
    int rc = parse(c, &p.order, argc, argv);
    if (rc >= 0)
        return rc;
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    rc = prune_at(&p);
    config_free(&cfg);
    return rc;
}
