/* flowspool status. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/overview.h"
#include "cli/screen.h"
#include "cli/terminal.h"
#include "core/units.h"
#include "io/clock.h"

static const char help[] = "usage: flowspool status [--json | --watch [--interval D]]\n"
                           "Shows the daemon, how many jobs are where, the rate and what is left, what this\n"
                           "run has bought, and why nothing is sent. What only the daemon knows is shown as\n"
                           "unknown when it does not answer within a second.\n"
                           "\n"
                           "      --json        one JSON object; names of members in flowspool(1)\n"
                           "      --watch       on a terminal: again and again in place, until Ctrl-C\n"
                           "      --interval D  how often (300ms, 10s, 5m; default 2s)\n"
                           "\n"
                           "Exit: 0, whatever the state of the jobs.\n"
                           "\n"
                           "Examples: flowspool status --watch\n"
                           "          flowspool status --json | jq .jobs.waiting\n";

#define INTERVAL_MS       2000
#define INTERVAL_LEAST_MS 100
#define INTERVAL_MOST_MS  (24LL * 3600 * 1000)

/* ---- once ---- */

static int show(const struct config *cfg, bool json)
{
    struct arena a = {0};
    char message[512];
    struct overview o = {.cfg = cfg, .now_ms = clock_unix_ms()};
    bool ok = overview_read(&o, &a, message, sizeof message);
    if (!ok)
        cli_complain("%s", message);
    else if (json)
        ok = overview_json(&o, stdout);
    else
        overview_text(&o, stdout, terminal_colours(), terminal_width());
    arena_free(&a);
    return ok ? CLI_OK : CLI_USAGE;
}

/* ---- again and again ---- */

struct watch {
    const struct config *cfg;
    int64_t interval_ms;
    char *text; /* as it was shown last, malloc'd */
    char message[512];
};

/* The text in memory; NULL: message says why. */
static char *look(struct watch *w)
{
    struct arena a = {0};
    char *text = NULL, now[UNITS_INSTANT_SIZE];
    size_t size = 0;
    struct overview o = {.cfg = w->cfg, .now_ms = clock_unix_ms()};
    FILE *out = NULL;
    snprintf(w->message, sizeof w->message, "out of memory");
    if (overview_read(&o, &a, w->message, sizeof w->message))
        out = open_memstream(&text, &size);
    if (out != NULL) {
        units_format_instant(o.now_ms, now);
        /* Behind a line that fills the terminal, erasing its end would erase its last character. */
        overview_text(&o, out, terminal_colours(), terminal_width() - 1);
        fprintf(out, "%-10s%s\n", "as of", now);
    }
    arena_free(&a);
    if (out != NULL && fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static int watch(struct watch *w)
{
    struct screen s;
    bool readable = true, drawn = true;
    if (!screen_open(&s)) {
        cli_complain(
            "--watch redraws a terminal, and stdout is none that can be redrawn; without --watch it is "
            "shown once");
        return CLI_USAGE;
    }
    do {
        char *text = look(w);
        readable = text != NULL;
        if (!readable)
            break;
        free(w->text);
        w->text = text;
        drawn = screen_draw(text);
    } while (drawn && screen_wait(&s, w->interval_ms) != SCREEN_ENDED);
    screen_close(&s, w->text != NULL ? w->text : "");
    if (!readable)
        cli_complain("%s", w->message);
    return readable ? CLI_OK : CLI_USAGE;
}

/* ---- options ---- */

enum { OPT_JSON = CLI_OPT_OWN, OPT_WATCH, OPT_INTERVAL };

struct status_options {
    bool json, watch;
    int64_t interval_ms; /* 0: not given */
};

static int parse_interval(const char *text, int64_t *ms)
{
    if (units_parse_duration_ms(text, ms) && *ms >= INTERVAL_LEAST_MS && *ms <= INTERVAL_MOST_MS)
        return -1;
    return cli_misused("status ", "--interval takes 100ms to 24h, such as 2s, not \"%s\"", text);
}

/* -1, or the status to exit with. */
static int parse(struct cli *c, struct status_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"json", no_argument, NULL, OPT_JSON},
        {"watch", no_argument, NULL, OPT_WATCH},
        {"interval", required_argument, NULL, OPT_INTERVAL},
        {NULL, 0, NULL, 0},
    };
    int option, rc = -1;
    while (rc < 0 && (option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == OPT_JSON)
            o->json = true;
        else if (option == OPT_WATCH)
            o->watch = true;
        else if (option == OPT_INTERVAL)
            rc = parse_interval(optarg, &o->interval_ms);
        else
            rc = cli_common_option(c, option, help);
    }
    if (rc >= 0)
        return rc;
    if (optind < argc)
        return cli_misused("status ", "unexpected argument \"%s\"", argv[optind]);
    if (o->json && o->watch)
        return cli_misused("status ", "either --json or --watch");
    if (o->interval_ms != 0 && !o->watch)
        return cli_misused("status ", "--interval goes with --watch");
    return -1;
}

int cli_status(struct cli *c, int argc, char **argv)
{
    struct status_options o = {0};
    struct config cfg;
    int rc = parse(c, &o, argc, argv);
    if (rc >= 0)
        return rc;
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    struct watch w = {.cfg = &cfg, .interval_ms = o.interval_ms != 0 ? o.interval_ms : INTERVAL_MS};
    rc = o.watch ? watch(&w) : show(&cfg, o.json);
    free(w.text);
    config_free(&cfg);
    return rc;
}
