/* flowspool list. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/jobwords.h"
#include "cli/jsonline.h"
#include "cli/select.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "core/utf8.h"
#include "io/clock.h"

static const char help[] = "usage: flowspool list [--state S] [--workflow W] [--json] [JOB...]\n"
                           "Lists jobs in the order of their files, one a line; at the end the files that\n"
                           "are refused because their outcome's name is taken or impossible.\n"
                           "\n"
                           "      --state S     only waiting, later, held, missing, in-flight, done, failed\n"
                           "                    or refused\n"
                           "      --workflow W  only this workflow\n"
                           "      --json        one JSON object a line; names of members in flowspool(1)\n"
                           "      JOB           a file in the spool, an outcome file, a glob, or 6 or more\n"
                           "                    digits of the request's digest; none: all\n"
                           "\n"
                           "Exit: 0, whether or not there are any; 2 no job is called JOB.\n"
                           "\n"
                           "Examples: flowspool list --state failed\n"
                           "          flowspool list --json 'night-*.yaml' | jq -r .job\n";

enum { COLUMN_STATE = 1, COLUMNS = 5 };
static const struct table_column columns[COLUMNS] = {
    {"JOB", 16}, {"STATE", 0}, {"WORKFLOW", 10}, {"TRIES", 0}, {"WHY", 16},
};

struct list {
    const char *workflow;
    bool filtered, json;
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

static const char *colour_of(const struct list *l, enum shown_state s)
{
    if (!l->colours)
        return NULL;
    switch (s) {
    case SHOWN_DONE:
        return TERMINAL_GREEN;
    case SHOWN_FAILED:
    case SHOWN_REFUSED:
        return TERMINAL_RED;
    case SHOWN_HELD:
    case SHOWN_MISSING:
        return TERMINAL_YELLOW;
    default:
        return NULL;
    }
}

static void row(struct list *l, const char *path, int document, enum shown_state state, const char *workflow,
                const char *tries, const char *why)
{
    char name[1000], job[1024], what[1024], id[512];
    utf8_escape(path, strlen(path), name, sizeof name);
    snprintf(job, sizeof job, document > 0 ? "%s #%d" : "%s", name, document);
    utf8_escape(why, strlen(why), what, sizeof what);
    utf8_escape(workflow, strlen(workflow), id, sizeof id);
    const char *const cells[COLUMNS] = {job, shown_name(state), id, tries, what};
    if (!table_row(l->table, cells, COLUMN_STATE, colour_of(l, state)))
        l->no_memory = true;
}

static void job_row_text(struct list *l, const struct job_row *r)
{
    char why[1024], tries[16];
    snprintf(tries, sizeof tries, "%d", r->attempts);
    row(l, r->path, r->document, shown_state(r), r->workflow != NULL ? r->workflow : "", tries,
        shown_why(r, l->now_ms, why, sizeof why));
}

static void json_outcome(struct json_line *j, const struct job_row *r)
{
    char *name = NULL;
    const char *ending = r->state == JOB_DONE ? ".result.json" : ".error.json";
    if ((r->state == JOB_DONE || r->state == JOB_FAILED) && asprintf(&name, "%s%s", r->stem, ending) < 0)
        j->failed = true;
    json_text(j, "outcome", name);
    free(name);
}

static void job_row_json(struct list *l, const struct job_row *r)
{
    struct json_line *j = &l->line;
    json_open(j, NULL);
    json_text(j, "job", r->path);
    json_known(j, "document", r->document > 0 ? r->document : -1);
    json_text(j, "id", r->doc_id);
    json_text(j, "state", shown_name(shown_state(r)));
    json_text(j, "workflow", r->workflow);
    json_text(j, "request_sha256", r->request_sha256[0] != '\0' ? r->request_sha256 : NULL);
    json_text(j, "job_sha256", r->job_sha256);
    json_int(j, "priority", r->priority);
    json_int(j, "attempts", r->attempts);
    json_int(j, "rate_limited", r->rate_limited);
    json_int(j, "ambiguous", r->ambiguous);
    json_known(j, "http_status", r->http_status > 0 ? r->http_status : -1);
    json_text(j, "code", r->code);
    json_text(j, "message", r->message);
    json_instant(j, "seen_at", r->seen_ms);
    json_instant(j, "queued_at", r->queued_ms);
    json_instant(j, "not_before", r->not_before_ms);
    json_instant(j, "expires", r->expires_ms);
    json_instant(j, "due_at", r->state == JOB_WAITING ? r->due_ms : 0);
    json_instant(j, "started_at", r->started_ms);
    json_instant(j, "finished_at", r->finished_ms);
    json_known(j, "duration_ms", r->duration_ms);
    json_text(j, "request_id", r->request_id);
    json_text(j, "endpoint", r->endpoint);
    json_bool(j, "sandbox", r->sandbox);
    json_outcome(j, r);
    json_close(j);
    json_end_line(j);
}

static bool on_job_seen(void *arg, const struct job_row *r)
{
    struct list *l = arg;
    select_see(&l->selection, r);
    return true;
}

static bool on_job(void *arg, const struct job_row *r)
{
    struct list *l = arg;
    const struct select_word *by;
    if (l->filtered && shown_state(r) != l->state)
        return true;
    if (!select_job(&l->selection, r, &by))
        return true;
    if (l->json)
        job_row_json(l, r);
    else
        job_row_text(l, r);
    return !l->no_memory && !l->line.failed && !ferror(l->out);
}

/* ---- refused files ---- */

static bool is_refused(const struct file_row *f)
{
    return f->state == FILE_CONFLICT && f->missing_ms == 0;
}

static void on_file_seen(struct list *l, const struct file_row *f)
{
    const struct job_row as_job = {.path = f->path, .stem = f->path};
    select_see(&l->selection, &as_job);
}

static void on_file(struct list *l, const struct file_row *f)
{
    const struct job_row as_job = {.path = f->path, .stem = f->path};
    const struct select_word *by;
    if (!select_job(&l->selection, &as_job, &by))
        return;
    const char *fault = f->fault != NULL ? f->fault : "";
    if (!l->json) {
        row(l, f->path, 0, SHOWN_REFUSED, "", "", fault);
        return;
    }
    json_open(&l->line, NULL);
    json_text(&l->line, "job", f->path);
    json_text(&l->line, "state", shown_name(SHOWN_REFUSED));
    json_text(&l->line, "job_sha256", f->job_sha256);
    json_text(&l->line, "message", fault);
    json_instant(&l->line, "seen_at", f->seen_ms);
    json_close(&l->line);
    json_end_line(&l->line);
}

static void refused_files(struct list *l, struct store *s,
                          void (*on)(struct list *l, const struct file_row *f))
{
    char *after = NULL;
    for (;;) {
        size_t count = 0;
        struct file_row *rows = store_files_page(s, after, 1000, &count);
        for (size_t i = 0; i < count; i++)
            if (is_refused(&rows[i]))
                on(l, &rows[i]);
        free(after);
        after = count > 0 ? strdup(rows[count - 1].path) : NULL;
        file_rows_free(rows, count);
        if (count == 0)
            return;
        if (after == NULL) {
            l->no_memory = true;
            return;
        }
    }
}

/* ---- all of it ---- */

/* Every job is looked at for the words, whatever the options leave out: that a job is in another state does
 * not make its name wrong. */
static void see_all(struct list *l, struct store *s, bool refused)
{
    store_list(s, -1, NULL, on_job_seen, l);
    if (refused)
        refused_files(l, s, on_file_seen);
}

static bool read_all(struct list *l, struct store *s)
{
    struct store_counts counts = {0};
    bool refused = store_counts(s, &counts) && counts.refused > 0;
    if (l->selection.count > 0)
        see_all(l, s, refused);
    if (!select_check(&l->selection))
        return false;
    if (!l->filtered || l->state != SHOWN_REFUSED)
        store_list(s, l->filtered ? shown_stored(l->state) : -1, l->workflow, on_job, l);
    if (refused && l->workflow == NULL && (!l->filtered || l->state == SHOWN_REFUSED))
        refused_files(l, s, on_file);
    return true;
}

static bool copy(FILE *from, FILE *to)
{
    char buf[1 << 16];
    size_t n;
    rewind(from);
    while ((n = fread(buf, 1, sizeof buf, from)) > 0)
        if (fwrite(buf, 1, n, to) != n)
            return false;
    return !ferror(from);
}

/* The list goes aside first: while it is read, the state's log cannot shrink, and a pager may stand still for
 * a night. */
static int list_store(struct list *l, struct store *s)
{
    l->out = tmpfile();
    l->table = l->json || l->out == NULL ? NULL : table_open(l->out, columns, COLUMNS, terminal_width());
    if (l->out == NULL || (!l->json && l->table == NULL)) {
        cli_complain("no temporary file, or no memory, for the list");
        store_close(s);
        if (l->out != NULL)
            fclose(l->out);
        return CLI_USAGE;
    }
    l->line.out = l->out;
    l->colours = terminal_colours();
    bool meant = read_all(l, s);
    bool whole = cli_close(s);
    whole = (l->table == NULL || table_close(l->table)) && whole && !l->no_memory && !l->line.failed;
    bool shown = !meant || copy(l->out, stdout);
    fclose(l->out);
    if (!whole)
        cli_complain("the list is not whole");
    return meant && whole && shown ? CLI_OK : CLI_USAGE;
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

enum { OPT_STATE = CLI_OPT_OWN, OPT_WORKFLOW, OPT_JSON };

/* -1, or the status to exit with. */
static int parse(struct cli *c, struct list *l, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"state", required_argument, NULL, OPT_STATE},
        {"workflow", required_argument, NULL, OPT_WORKFLOW},
        {"json", no_argument, NULL, OPT_JSON},
        {NULL, 0, NULL, 0},
    };
    int option, rc = -1;
    while (rc < 0 && (option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
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
        } else {
            rc = cli_common_option(c, option, help);
        }
    }
    return rc;
}

int cli_list(struct cli *c, int argc, char **argv)
{
    struct list l = {.now_ms = clock_unix_ms()};
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
