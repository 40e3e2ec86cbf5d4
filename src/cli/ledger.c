/* flowspool ledger. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/jobwords.h"
#include "cli/jsonline.h"
#include "core/ledger.h"
#include "core/units.h"
#include "io/clock.h"

static const char help[] = "usage: flowspool ledger [--since T] [--json]\n"
                           "What was paid for: runs (attempts) by how they ended, and outcomes by what they\n"
                           "cost.\n"
                           "  bought           a reply came that the service charges for\n"
                           "  possibly bought  sent, and no answer came: look at the service's account\n"
                           "  refused          not charged: the rate limit, a 4xx or 5xx, nothing was sent\n"
                           "  saved            not bought, because it was bought before\n"
                           "The outcomes add up to those done and failed in flowspool status. Runs of jobs\n"
                           "that are forgotten with their files are still counted.\n"
                           "\n"
                           "      --since T  what was sent, or ended, since: 24h ago, 2026-11-24 (UTC), or\n"
                           "                 2026-11-24T22:00:00+01:00\n"
                           "      --json     one JSON object; names of members in flowspool(1)\n"
                           "\n"
                           "Exit: 0; 1 the counts contradict each other.\n"
                           "\n"
                           "Example: flowspool ledger --since 24h\n";

static const char *const kinds[LEDGER_KINDS] = {
    [LEDGER_BOUGHT] = "bought", [LEDGER_POSSIBLY] = "possibly bought", [LEDGER_REFUSED] = "refused",
    [LEDGER_SAVED] = "saved",   [LEDGER_IN_FLIGHT] = "in flight",
};
static const char *const members[LEDGER_KINDS] = {
    [LEDGER_BOUGHT] = "bought", [LEDGER_POSSIBLY] = "possibly_bought", [LEDGER_REFUSED] = "refused",
    [LEDGER_SAVED] = "saved",   [LEDGER_IN_FLIGHT] = "in_flight",
};
static const char *const saved_words[LEDGER_SAVINGS] = {
    [LEDGER_RECOVERED] = "reply recovered after a crash",
    [LEDGER_SAME] = "same request written again",
    [LEDGER_ADOPTED] = "outcome found beside its job",
};

struct view {
    int64_t since_ms; /* 0: all */
    bool json;
};

/* ---- for people ---- */

/* "(not counted)" is said of max_attempts. */
static void print_verdict(size_t verdict, int64_t n)
{
    char words[40];
    snprintf(words, sizeof words, "%s", verdict_words(ledger_verdict_name(verdict)));
    char *aside = strstr(words, " (");
    if (aside != NULL)
        *aside = '\0';
    printf("  %-32s %10lld\n", words, (long long)n);
}

static void print_runs_of(const struct ledger *l, enum ledger_kind kind)
{
    for (size_t i = 0; i < LEDGER_VERDICTS; i++)
        if (ledger_verdict_kind(i) == kind && l->verdicts[i] > 0)
            print_verdict(i, l->verdicts[i]);
    for (int i = 0; kind == LEDGER_SAVED && i < LEDGER_SAVINGS; i++)
        if (l->savings[i] > 0)
            printf("  %-32s %10lld\n", saved_words[i], (long long)l->savings[i]);
    if (kind == LEDGER_POSSIBLY && l->other > 0)
        printf("  %-32s %10lld\n", "ended as this program does not know", (long long)l->other);
}

static void print_text(const struct ledger *l)
{
    printf("%-34s %10s %10s\n", "", "runs", "outcomes");
    for (int k = 0; k < LEDGER_KINDS; k++) {
        if (k == LEDGER_IN_FLIGHT)
            printf("%-34s %10lld\n", kinds[k], (long long)l->runs[k]);
        else
            printf("%-34s %10lld %10lld\n", kinds[k], (long long)l->runs[k], (long long)l->outcomes[k]);
        print_runs_of(l, (enum ledger_kind)k);
    }
    printf("%-34s %10s %10lld\n", "all outcomes", "", (long long)ledger_outcomes(l));
    if (ledger_replaced(l) > 0)
        printf("%lld of the runs bought have no outcome here any more:\n"
               "superseded, bought again, or forgotten with their files\n",
               (long long)ledger_replaced(l));
}

/* ---- for programs ---- */

static bool print_json(const struct ledger *l, const struct view *v)
{
    struct json_line j = {.out = stdout};
    json_open(&j, NULL);
    json_instant(&j, "since", v->since_ms);
    json_open(&j, "runs");
    for (int k = 0; k < LEDGER_KINDS; k++)
        json_number(&j, members[k], l->runs[k]);
    json_number(&j, "forgotten", l->forgotten);
    json_close(&j);
    json_open(&j, "outcomes");
    for (int k = 0; k < LEDGER_IN_FLIGHT; k++)
        json_number(&j, members[k], l->outcomes[k]);
    json_number(&j, "all", ledger_outcomes(l));
    json_close(&j);
    json_open(&j, "verdicts");
    for (size_t i = 0; i < LEDGER_VERDICTS; i++)
        json_number(&j, ledger_verdict_name(i), l->verdicts[i]);
    json_number(&j, "other", l->other);
    json_close(&j);
    json_open(&j, "savings");
    for (int i = 0; i < LEDGER_SAVINGS; i++)
        json_number(&j, ledger_saving_name((enum ledger_saving)i), l->savings[i]);
    json_close(&j);
    json_bool(&j, "balanced", ledger_balanced(l));
    json_close(&j);
    json_end_line(&j);
    return !j.failed;
}

/* ---- the answer ---- */

static int show(const struct config *cfg, const struct view *v)
{
    struct store *s = NULL;
    struct ledger l = {0};
    enum store_rc rc = cli_open(cfg, &s);
    if (rc == STORE_ABSENT)
        cli_no_state(cfg);
    if (rc != STORE_OK)
        return CLI_USAGE;
    bool read = store_ledger(s, v->since_ms, &l);
    if (!cli_close(s) || !read)
        return CLI_USAGE;
    if (!v->json)
        print_text(&l);
    bool whole = !v->json || print_json(&l, v);
    if (!ledger_balanced(&l))
        cli_complain("the counts contradict each other: %lld attempts are recorded and %lld were sent; %lld "
                     "jobs have ended and %lld are counted so; please report this",
                     (long long)l.recorded, (long long)l.sent, (long long)l.ended, (long long)l.tallied);
    return whole && ledger_balanced(&l) ? CLI_OK : CLI_NOT_ALL;
}

/* ---- options ---- */

static bool parse_since(const char *text, int64_t *ms)
{
    char midnight[40];
    int64_t age_ms;
    if (units_parse_duration_ms(text, &age_ms) && age_ms >= 0) {
        *ms = clock_unix_ms() > age_ms ? clock_unix_ms() - age_ms : 1;
        return true;
    }
    if (strlen(text) == strlen("2026-11-24")) {
        snprintf(midnight, sizeof midnight, "%sT00:00:00Z", text);
        text = midnight;
    }
    return units_parse_instant_ms(text, ms) && *ms > 0;
}

enum { OPT_SINCE = CLI_OPT_OWN, OPT_JSON };

static int parse(struct cli *c, struct view *v, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"json", no_argument, NULL, OPT_JSON},
        {"since", required_argument, NULL, OPT_SINCE},
        {NULL, 0, NULL, 0},
    };
    int option, rc = -1;
    while (rc < 0 && (option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == OPT_JSON)
            v->json = true;
        else if (option != OPT_SINCE)
            rc = cli_common_option(c, option, help);
        else if (!parse_since(optarg, &v->since_ms))
            rc = cli_misused("ledger ",
                             "--since takes a duration such as 24h, a date, or a time with an offset or Z, "
                             "not \"%s\"",
                             optarg);
    }
    if (rc >= 0)
        return rc;
    return optind < argc ? cli_misused("ledger ", "unexpected argument \"%s\"", argv[optind]) : -1;
}

int cli_ledger(struct cli *c, int argc, char **argv)
{
    struct config cfg;
    struct view v = {0};
    int rc = parse(c, &v, argc, argv);
    if (rc >= 0)
        return rc;
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    rc = show(&cfg, &v);
    config_free(&cfg);
    return rc;
}
