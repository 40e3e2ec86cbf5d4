/* flowspool drain. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/offline.h"
#include "cli/overview.h"
#include "cli/pause.h"
#include "core/units.h"
#include "io/clock.h"

static const char help[] =
    "usage: flowspool drain [--timeout D]\n"
    "Pauses (see flowspool pause) and returns when nothing is in flight any more:\n"
    "every request has ended, and every reply is an outcome file. It stays paused,\n"
    "over restarts too; to go on: flowspool resume. Without a daemon it pauses the\n"
    "next one, and says what was in flight when the last one ended.\n"
    "\n"
    "      --timeout D  waits no longer than D, such as 5m; what is in flight goes on\n"
    "\n"
    "Exit: 0 nothing is in flight, 1 resumed meanwhile, or no daemon finishes it,\n"
    "4 a daemon has the state and does not answer, 124 time-out.\n"
    "\n"
    "Example: flowspool drain --timeout 6m && systemctl restart flowspoold\n";

#define POLL_MS 100
/* A daemon that does not answer for so long is stuck. */
#define SILENT_MS 10000

struct drain {
    const struct config *cfg;
    const char *timeout; /* as it was given, or NULL */
    int64_t until_ms;    /* INT64_MAX: for ever */
    int64_t answered_ms;
    int64_t left; /* in flight, as last heard */
};

/* ---- without a daemon ---- */

static bool pause_next(void *arg, struct store *s, char *message, size_t size)
{
    (void)arg;
    (void)message;
    (void)size;
    pause_in_state(s);
    return true;
}

/* Nobody finishes it before the next start. */
static int tell_left_over(const struct config *cfg)
{
    struct store *s;
    struct store_counts c = {0};
    if (cli_open(cfg, &s) != STORE_OK)
        return CLI_USAGE;
    store_counts(s, &c);
    if (!cli_close(s))
        return CLI_USAGE;
    puts("paused: the next flowspoold sends nothing until flowspool resume");
    if (c.in_flight + c.replied == 0)
        return CLI_OK;
    cli_complain("no flowspoold runs; %lld in flight when it stopped: the next one finds out what became of "
                 "them (flowspool list --state in-flight)",
                 (long long)(c.in_flight + c.replied));
    return CLI_NOT_ALL;
}

static int drain_offline(const struct drain *d)
{
    int status = offline_change(d->cfg, pause_next, NULL);
    return status == CLI_OK ? tell_left_over(d->cfg) : status;
}

/* ---- with one ---- */

static bool is_paused(const struct status *s)
{
    for (size_t i = 0; i < s->nholds; i++)
        if (strcmp(s->holds[i].kind, STATUS_GATE) == 0 && strcmp(s->holds[i].cause, "paused") == 0)
            return true;
    return s->holds_omitted > 0;
}

/* -1: not yet; else the status to exit with. */
static int judge(struct drain *d, const struct status *s)
{
    d->answered_ms = clock_mono_ms();
    d->left = s->in_flight > s->counts.in_flight ? s->in_flight : s->counts.in_flight;
    if (!is_paused(s)) {
        cli_complain("sending was resumed meanwhile");
        return CLI_NOT_ALL;
    }
    if (d->left > 0)
        return -1;
    puts("paused, and nothing is in flight; to go on: flowspool resume");
    return CLI_OK;
}

/* Busy, or it ended in the middle of the question: the next one tells. */
static bool may_pass(enum ask_rc rc)
{
    return rc == ASK_SILENT || rc == ASK_REFUSED;
}

static int look(struct drain *d)
{
    struct arena a = {0};
    struct overview o = {.cfg = d->cfg, .reason = ""};
    int status = -1;
    overview_ask(&o, &a);
    if (o.daemon == ASK_ANSWERED)
        status = judge(d, &o.status);
    else if (o.daemon == ASK_NOBODY)
        status = tell_left_over(d->cfg);
    else if (!may_pass(o.daemon) || clock_mono_ms() - d->answered_ms > SILENT_MS)
        status = offline_refuse(o.daemon == ASK_SILENT ? ASK_UNSURE : o.daemon, o.reason);
    arena_free(&a);
    return status;
}

static int wait_until_empty(struct drain *d)
{
    d->answered_ms = clock_mono_ms();
    for (;;) {
        int status = look(d);
        if (status >= 0)
            return status;
        if (clock_mono_ms() >= d->until_ms) {
            cli_complain("%lld still in flight after %s; it stays paused; to go on: flowspool resume",
                         (long long)d->left, d->timeout);
            return CLI_TIMEOUT;
        }
        clock_sleep_ms(POLL_MS);
    }
}

static int drain_at(struct drain *d)
{
    struct arena a = {0};
    struct order_reply reply;
    const char *reason = "";
    enum ask_rc rc = ask_daemon(d->cfg, &(struct order){.kind = ORDER_PAUSE}, &a, &reply, &reason);
    int status = rc == ASK_ANSWERED ? wait_until_empty(d)
                 : rc == ASK_NOBODY ? drain_offline(d)
                                    : offline_refuse(rc, reason);
    arena_free(&a);
    return status;
}

enum { OPT_TIMEOUT = CLI_OPT_OWN };

static int parse(struct cli *c, struct drain *d, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"timeout", required_argument, NULL, OPT_TIMEOUT},
        {NULL, 0, NULL, 0},
    };
    int option, rc = -1;
    while (rc < 0 && (option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        int64_t wait_ms;
        if (option != OPT_TIMEOUT) {
            rc = cli_common_option(c, option, help);
        } else if (!units_parse_duration_ms(optarg, &wait_ms)) {
            rc = cli_misused("drain ", "--timeout takes a duration such as 30s or 5m, not \"%s\"", optarg);
        } else {
            d->timeout = optarg;
            d->until_ms = wait_ms < INT64_MAX / 2 ? clock_mono_ms() + wait_ms : INT64_MAX;
        }
    }
    if (rc >= 0)
        return rc;
    return optind < argc ? cli_misused("drain ", "unexpected argument \"%s\"", argv[optind]) : -1;
}

int cli_drain(struct cli *c, int argc, char **argv)
{
    struct config cfg;
    struct drain d = {.cfg = &cfg, .until_ms = INT64_MAX};
    int rc = parse(c, &d, argc, argv);
    if (rc >= 0)
        return rc;
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    rc = drain_at(&d);
    config_free(&cfg);
    return rc;
}
