/* flowspool list. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/aside.h"
#include "cli/chosen.h"
#include "cli/cli.h"
#include "cli/jobjson.h"
#include "cli/jobwords.h"
#include "cli/jsonline.h"
#include "cli/select.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "core/utf8.h"
#include "io/clock.h"

static const char help[] =
    "usage: flowspool list [--state S] [--workflow W] [--json|--names [-0]] [JOB...]\n"
    "Lists jobs in the order of their files, one a line; at the end the files that\n"
    "are refused because their outcome's name is taken or impossible.\n"
    "\n"
    "      --state S     only waiting, later, held, missing, in-flight, done, failed\n"
    "                    or refused\n"
    "      --workflow W  only this workflow\n"
    "      --json        one JSON object a line; names of members in flowspool(1)\n"
    "      --names       nothing but the paths of the job files, as they are\n"
    "  -0, --null        a NUL behind each instead of a line's end\n"
    "      JOB           a file in the spool, an outcome file, a glob, or 6 or more\n"
    "                    digits of the request's digest; none: all\n"
    "\n"
    "Exit: 0, whether or not there are any; 2 no job is called JOB.\n"
    "\n"
    "Examples: flowspool list --state failed\n"
    "          flowspool list --json 'night-*.yaml' | jq -r .job\n"
    "          flowspool list -0 --state done | tar -C spool --null -T - -cf done.tar\n";

enum { COLUMN_STATE = 1, COLUMNS = 5 };
static const struct table_column columns[COLUMNS] = {
    {"JOB", 16}, {"STATE", 0}, {"WORKFLOW", 10}, {"TRIES", 0}, {"WHY", 16},
};

struct list {
    const char *workflow;
    bool filtered, json, names;
    bool terminal;  /* names go to one */
    char separator; /* behind a name */
    char *last;     /* the name before */
    enum shown_state state;
    struct selection selection;
    int64_t now_ms;
    FILE *out;
    struct table *table;
    bool colours;
    struct json_line line;
    bool no_memory;
};

/* ---- one job ---- */

static void row(struct list *l, const char *path, int document, enum shown_state state, const char *workflow,
                const char *tries, const char *why)
{
    char name[1000], job[1024], what[1024], id[512];
    utf8_escape(path, strlen(path), name, sizeof name);
    snprintf(job, sizeof job, document > 0 ? "%s #%d" : "%s", name, document);
    utf8_escape(why, strlen(why), what, sizeof what);
    utf8_escape(workflow, strlen(workflow), id, sizeof id);
    const char *const cells[COLUMNS] = {job, shown_name(state), id, tries, what};
    if (!table_row(l->table, cells, COLUMN_STATE, l->colours ? shown_colour(state) : NULL))
        l->no_memory = true;
}

static void job_row_text(struct list *l, const struct job_row *r)
{
    char why[1024], tries[16];
    snprintf(tries, sizeof tries, "%d", r->attempts);
    row(l, r->path, r->document, shown_state(r), r->workflow != NULL ? r->workflow : "", tries,
        shown_why(r, l->now_ms, why, sizeof why));
}

static void job_row_json(struct list *l, const struct job_row *r)
{
    json_open(&l->line, NULL);
    job_json(&l->line, r);
    json_close(&l->line);
    json_end_line(&l->line);
}

/* A path is said once, however many jobs its file holds: they follow one another. On a terminal it must not
 * do what its bytes say. */
static void name(struct list *l, const char *path)
{
    char shown[4 * PATH_MAX + 1];
    if (l->last != NULL && strcmp(l->last, path) == 0)
        return;
    free(l->last);
    l->last = strdup(path);
    l->no_memory = l->no_memory || l->last == NULL;
    fputs(l->terminal ? utf8_escape(path, strlen(path), shown, sizeof shown) : path, l->out);
    fputc(l->separator, l->out);
}

static bool on_job(void *arg, const struct job_row *r)
{
    struct list *l = arg;
    if (l->filtered && shown_state(r) != l->state)
        return true;
    if (l->workflow != NULL && (r->workflow == NULL || strcmp(l->workflow, r->workflow) != 0))
        return true;
    if (l->names)
        name(l, r->path);
    else if (l->json)
        job_row_json(l, r);
    else
        job_row_text(l, r);
    return !l->no_memory && !l->line.failed && !ferror(l->out);
}

/* ---- refused files ---- */

/* They have no workflow. */
static bool shows_refused(const struct list *l)
{
    return l->workflow == NULL && (!l->filtered || l->state == SHOWN_REFUSED);
}

static bool on_file(void *arg, const struct file_row *f)
{
    struct list *l = arg;
    if (!shows_refused(l))
        return true;
    if (l->names) {
        name(l, f->path);
    } else if (!l->json) {
        row(l, f->path, 0, SHOWN_REFUSED, "", "", f->fault != NULL ? f->fault : "");
    } else {
        json_open(&l->line, NULL);
        job_json_refused(&l->line, f);
        json_close(&l->line);
        json_end_line(&l->line);
    }
    return !l->no_memory && !l->line.failed;
}

/* ---- all of it ---- */

static void list_all(struct list *l, struct store *s)
{
    if (!l->filtered || l->state != SHOWN_REFUSED)
        store_list(s, l->filtered ? shown_stored(l->state) : -1, l->workflow, on_job, l);
    if (shows_refused(l) && !chosen_refused(s, on_file, l))
        l->no_memory = true;
}

/* Words are looked for among all jobs, whatever the options leave out: that a job is in another state does
 * not make its name wrong. False: they mean nothing; it was said. */
static bool list_words(struct list *l, struct store *s)
{
    struct chosen c;
    const struct chosen_take take = {on_job, on_file, l};
    bool meant = true;
    if (chosen_open(&c, s, &l->selection)) {
        meant = select_check(&l->selection);
        if (meant && !chosen_each(&c, &take))
            l->no_memory = true;
    } else {
        l->no_memory = true;
    }
    chosen_close(&c);
    return meant;
}

static int list_store(struct list *l, struct store *s)
{
    bool table = !l->json && !l->names;
    l->out = aside_open();
    l->table = table && l->out != NULL ? table_open(l->out, columns, COLUMNS, terminal_width()) : NULL;
    if (l->out == NULL || (table && l->table == NULL)) {
        store_close(s);
        if (l->out != NULL)
            aside_close(l->out, false);
        return CLI_USAGE;
    }
    l->line.out = l->out;
    l->colours = terminal_colours();
    bool meant = true;
    if (l->selection.count > 0)
        meant = list_words(l, s);
    else
        list_all(l, s);
    bool whole = cli_close(s);
    whole = (l->table == NULL || table_close(l->table)) && whole && !l->no_memory && !l->line.failed;
    whole = aside_close(l->out, meant) && whole;
    free(l->last);
    if (!whole)
        cli_complain("the list is not whole");
    return meant && whole ? CLI_OK : CLI_USAGE;
}

static int list_at(struct list *l, const struct config *cfg)
{
    struct store *s;
    enum store_rc rc = cli_open(cfg, &s);
    if (rc == STORE_ABSENT)
        cli_no_state(cfg);
    if (rc != STORE_OK)
        return rc == STORE_ABSENT && l->selection.count == 0 ? CLI_OK : CLI_USAGE;
    return list_store(l, s);
}

enum { OPT_STATE = CLI_OPT_OWN, OPT_WORKFLOW, OPT_JSON, OPT_NAMES };

/* -1, or the status to exit with. */
static int parse(struct cli *c, struct list *l, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"state", required_argument, NULL, OPT_STATE},
        {"workflow", required_argument, NULL, OPT_WORKFLOW},
        {"json", no_argument, NULL, OPT_JSON},
        {"names", no_argument, NULL, OPT_NAMES},
        {"null", no_argument, NULL, '0'},
        {NULL, 0, NULL, 0},
    };
    int option, rc = -1;
    while (rc < 0 && (option = getopt_long(argc, argv, "c:0", options, NULL)) != -1) {
        if (option == OPT_STATE) {
            l->filtered = true;
            if (!shown_parse(optarg, &l->state))
                rc = cli_misused("list ",
                                 "--state takes waiting, later, held, missing, in-flight, done, failed or "
                                 "refused, not \"%s\"",
                                 optarg);
        } else if (option == OPT_WORKFLOW) {
            l->workflow = optarg;
        } else if (option == OPT_JSON) {
            l->json = true;
        } else if (option == OPT_NAMES) {
            l->names = true;
        } else if (option == '0') {
            l->names = true;
            l->separator = '\0';
        } else {
            rc = cli_common_option(c, option, help);
        }
    }
    if (rc < 0 && l->names && l->json)
        rc = cli_misused("list ", "either --names or --json");
    return rc;
}

int cli_list(struct cli *c, int argc, char **argv)
{
    struct list l = {.now_ms = clock_unix_ms(), .separator = '\n', .terminal = isatty(STDOUT_FILENO)};
    struct config cfg;
    int rc = parse(c, &l, argc, argv);
    if (rc >= 0)
        return rc;
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    rc = CLI_USAGE;
    if (select_open(&l.selection, argv + optind, (size_t)(argc - optind), cfg.spool))
        rc = list_at(&l, &cfg);
    else
        cli_complain("out of memory");
    select_close(&l.selection);
    config_free(&cfg);
    return rc;
}
