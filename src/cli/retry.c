/* flowspool retry. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/jobwords.h"
#include "cli/offline.h"
#include "cli/select.h"

static const char help[] = "usage: flowspool retry [--force] JOB...\n"
                           "       flowspool retry --failed [--code C] [--workflow W]\n"
                           "Reads the job files again and runs the jobs again, their attempts counted from\n"
                           "zero. Where no daemon runs, the next one does it when it starts.\n"
                           "\n"
                           "      JOB           a file in the spool, an outcome file, a glob, or 6 or more\n"
                           "                    digits of the request's digest\n"
                           "      --failed      every job that failed\n"
                           "      --code C      of these only those with this code, such as server_error\n"
                           "      --workflow W  of these only those of this workflow\n"
                           "      --force       also jobs that have a result: it is bought again\n"
                           "\n"
                           "Exit: 0 all of them run again, 1 some cannot, 2 no job is called JOB.\n"
                           "\n"
                           "Examples: flowspool retry story.yaml\n"
                           "          flowspool retry --failed --code ambiguous\n";

/* Reasons are printed for so many jobs; the others are counted. */
#define REASONS_MAX 20
/* What may wait in the state for a start. */
#define PENDING_MAX ((size_t)64 << 20)
#define PENDING_KEY "retry.pending"

struct retry {
    bool failed, force;
    const char *code, *workflow;
    struct selection selection;
    int64_t *jobs;
    char **paths; /* beside jobs */
    size_t count, room;
    size_t ordered; /* of these, how many the daemon has been asked for */
    size_t refused; /* meant, but cannot run again; reasons were printed */
    size_t skipped; /* fell under a glob, and needs no other run */
    bool no_memory;
};

/* ---- which jobs ---- */

static void refuse(struct retry *r, const char *path, const char *why)
{
    if (r->refused++ < REASONS_MAX)
        cli_complain("%s: %s", path, why);
}

static bool make_room(struct retry *r)
{
    if (r->count < r->room)
        return true;
    size_t room = r->room == 0 ? 256 : r->room * 2;
    int64_t *jobs = reallocarray(r->jobs, room, sizeof *jobs);
    if (jobs != NULL)
        r->jobs = jobs;
    char **paths = reallocarray(r->paths, room, sizeof *paths);
    if (paths != NULL)
        r->paths = paths;
    if (jobs == NULL || paths == NULL)
        return false;
    r->room = room;
    return true;
}

static void take(struct retry *r, const struct job_row *row)
{
    char *path = strdup(row->path);
    if (path == NULL || !make_room(r)) {
        free(path);
        r->no_memory = true;
        return;
    }
    r->jobs[r->count] = row->id;
    r->paths[r->count++] = path;
}

static const char *why_not(const struct retry *r, const struct job_row *row)
{
    enum shown_state shown = shown_state(row);
    if (shown == SHOWN_DONE && !r->force)
        return "it has a result; --force buys it again";
    if (shown == SHOWN_IN_FLIGHT)
        return "it is on its way";
    if ((row->blocked & JOB_BLOCK_MISSING) != 0)
        return "its file is gone";
    if ((row->blocked & JOB_BLOCK_HOLD_FILE) != 0)
        return "it is held: rename its file back first";
    return shown == SHOWN_FAILED || shown == SHOWN_DONE ? NULL : "it is waiting already";
}

/* Several of them were asked for together: those that need no other run are no complaint. */
static bool is_only_skipped(const struct job_row *row, const struct select_word *by)
{
    return by != NULL && by->best == SELECT_GLOB && row->state != JOB_FAILED;
}

static bool on_job_seen(void *arg, const struct job_row *row)
{
    struct retry *r = arg;
    select_see(&r->selection, row);
    return true;
}

static bool on_job(void *arg, const struct job_row *row)
{
    struct retry *r = arg;
    const struct select_word *by = NULL;
    if (r->code != NULL && (row->code == NULL || strcmp(row->code, r->code) != 0))
        return true;
    if (!select_job(&r->selection, row, &by))
        return true;
    const char *why = why_not(r, row);
    if (why == NULL)
        take(r, row);
    else if (is_only_skipped(row, by))
        r->skipped++;
    else
        refuse(r, row->path, why);
    return !r->no_memory;
}

/* The state is closed again before anything is changed: a process opens it once. */
static int choose(struct retry *r, const struct config *cfg)
{
    struct store *s;
    enum store_rc rc = cli_open(cfg, &s);
    if (rc == STORE_ABSENT)
        cli_no_state(cfg);
    if (rc != STORE_OK)
        return CLI_USAGE;
    if (r->selection.count > 0)
        store_list(s, -1, NULL, on_job_seen, r);
    bool meant = store_error(s) != NULL || select_check(&r->selection);
    if (meant)
        store_list(s, r->failed ? JOB_FAILED : -1, r->workflow, on_job, r);
    if (!cli_close(s) || !meant)
        return CLI_USAGE;
    if (r->no_memory)
        cli_complain("out of memory");
    return r->no_memory ? CLI_USAGE : CLI_OK;
}

/* ---- the order, in pieces that fit ---- */

static struct order piece(const struct retry *r, size_t from)
{
    size_t left = r->count - from;
    return (struct order){
        .kind = ORDER_RETRY,
        .jobs = r->jobs + from,
        .njobs = left < ORDER_JOBS_MAX ? left : ORDER_JOBS_MAX,
        .force = r->force,
    };
}

static const char *path_of(const struct retry *r, int64_t job)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->jobs[i] == job)
            return r->paths[i];
    return "a job";
}

static void note_refusals(struct retry *r, const struct order_reply *reply)
{
    for (size_t i = 0; i < reply->nrefused; i++) {
        if (r->refused < REASONS_MAX)
            cli_complain("%s: %s", path_of(r, reply->refused[i].job), reply->refused[i].why);
        r->refused++;
    }
}

struct text {
    char *bytes;
    size_t len;
};

static bool add_line(struct text *t, const char *line)
{
    size_t len = strlen(line);
    char *grown = realloc(t->bytes, t->len + len + 2);
    if (grown == NULL)
        return false;
    t->bytes = grown;
    memcpy(grown + t->len, line, len);
    memcpy(grown + t->len + len, "\n", 2);
    t->len += len + 1;
    return true;
}

static bool leave_orders(void *arg, struct store *s, char *message, size_t size)
{
    const struct retry *r = arg;
    struct text t = {0};
    char *before = store_get(s, PENDING_KEY);
    bool ok = before == NULL || add_line(&t, before);
    free(before);
    for (size_t from = r->ordered; ok && from < r->count; from += ORDER_JOBS_MAX) {
        const struct order o = piece(r, from);
        char *line = order_print(&o);
        ok = line != NULL && t.len < PENDING_MAX && add_line(&t, line);
        free(line);
    }
    if (ok)
        store_set(s, PENDING_KEY, t.bytes, NULL, NULL);
    else
        snprintf(message, size, "out of memory, or too many jobs wait for a start");
    free(t.bytes);
    return ok;
}

/* Through the daemon; *queued: how many run again. */
static enum ask_rc order_all(struct retry *r, const struct config *cfg, int64_t *queued, const char **reason)
{
    enum ask_rc rc = ASK_ANSWERED;
    while (r->ordered < r->count && rc == ASK_ANSWERED) {
        struct arena a = {0};
        struct order_reply reply;
        const struct order o = piece(r, r->ordered);
        rc = r->ordered == 0 ? ask_daemon(cfg, &o, &a, &reply, reason)
                             : ask_again(cfg, &o, &a, &reply, reason);
        if (rc == ASK_ANSWERED) {
            r->ordered += o.njobs;
            *queued += reply.queued > 0 ? reply.queued : 0;
            note_refusals(r, &reply);
        } else if (rc == ASK_FAILED) {
            cli_complain("flowspoold: %s", *reason); /* the words live in the arena */
            *reason = "the order was not carried out";
        }
        arena_free(&a);
    }
    return rc;
}

static void tell(const struct retry *r, int64_t queued, const char *when)
{
    if (r->refused > REASONS_MAX)
        cli_complain("and %zu more cannot run again", r->refused - REASONS_MAX);
    printf("%lld %s again%s", (long long)queued, queued == 1 ? "job runs" : "jobs run", when);
    if (r->skipped > 0)
        printf("; %zu left alone (done already, or on the way)", r->skipped);
    putchar('\n');
}

static int carry_out(struct retry *r, const struct config *cfg)
{
    int64_t queued = 0;
    const char *reason = "", *when = "";
    enum ask_rc rc = order_all(r, cfg, &queued, &reason);
    int status = CLI_OK;
    if (rc == ASK_NOBODY) {
        status = offline_change(cfg, leave_orders, r);
        queued += status == CLI_OK ? (int64_t)(r->count - r->ordered) : 0;
        when = status == CLI_OK ? " when flowspoold starts" : "";
    } else if (rc != ASK_ANSWERED) {
        status = offline_refuse(rc, reason);
    }
    if (status == CLI_OK || queued > 0)
        tell(r, queued, when);
    return status;
}

static int retry_at(struct retry *r, const struct config *cfg)
{
    int status = choose(r, cfg);
    if (status == CLI_OK)
        status = carry_out(r, cfg);
    return status == CLI_OK && r->refused > 0 ? CLI_NOT_ALL : status;
}

/* ---- options ---- */

enum { OPT_FAILED = CLI_OPT_OWN, OPT_CODE, OPT_WORKFLOW, OPT_FORCE };

static bool is_code(const char *text)
{
    static const char *const codes[] = {
        CODE_INVALID_JOB,  CODE_MISSING_INPUT, CODE_WORKFLOW_NOT_FOUND, CODE_REJECTED,
        CODE_SERVER_ERROR, CODE_UNREACHABLE,   CODE_INVALID_RESPONSE,   CODE_RESPONSE_TOO_LARGE,
        CODE_EXPIRED,      CODE_CANCELLED,     CODE_AMBIGUOUS,
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(text, codes[i]) == 0)
            return true;
    return false;
}

static int parse(struct cli *c, struct retry *r, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"failed", no_argument, NULL, OPT_FAILED},
        {"code", required_argument, NULL, OPT_CODE},
        {"workflow", required_argument, NULL, OPT_WORKFLOW},
        {"force", no_argument, NULL, OPT_FORCE},
        {NULL, 0, NULL, 0},
    };
    int option, rc = -1;
    while (rc < 0 && (option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == OPT_FAILED)
            r->failed = true;
        else if (option == OPT_CODE)
            r->code = optarg;
        else if (option == OPT_WORKFLOW)
            r->workflow = optarg;
        else if (option == OPT_FORCE)
            r->force = true;
        else
            rc = cli_common_option(c, option, help);
    }
    if (rc >= 0)
        return rc;
    if (r->failed == (optind < argc))
        return cli_misused("retry ", "give either jobs or --failed");
    if (!r->failed && (r->code != NULL || r->workflow != NULL))
        return cli_misused("retry ", "--code and --workflow go with --failed");
    if (r->code != NULL && !is_code(r->code))
        return cli_misused("retry ", "no job fails with the code \"%s\"; see flowspool-job(5)", r->code);
    return -1;
}

int cli_retry(struct cli *c, int argc, char **argv)
{
    struct retry r = {0};
    struct config cfg;
    int rc = parse(c, &r, argc, argv);
    if (rc >= 0)
        return rc;
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    rc = CLI_USAGE;
    if (select_open(&r.selection, argv + optind, (size_t)(argc - optind), cfg.spool))
        rc = retry_at(&r, &cfg);
    else
        cli_complain("out of memory");
    for (size_t i = 0; i < r.count; i++)
        free(r.paths[i]);
    free(r.paths);
    free(r.jobs);
    select_close(&r.selection);
    config_free(&cfg);
    return rc;
}
