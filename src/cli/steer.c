#include "cli/steer.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/joborder.h"

/* ---- which jobs ---- */

static bool make_room(struct steer *s)
{
    if (s->count < s->room)
        return true;
    size_t room = s->room == 0 ? 256 : s->room * 2;
    struct steer_job *grown = reallocarray(s->jobs, room, sizeof *grown);
    if (grown == NULL)
        return false;
    s->jobs = grown;
    s->room = room;
    return true;
}

static void take(struct steer *s, const struct job_row *row)
{
    char *path = strdup(row->path);
    if (path == NULL || !make_room(s)) {
        free(path);
        s->no_memory = true;
        return;
    }
    s->jobs[s->count++] = (struct steer_job){row->id, path};
}

/* Several were asked for together: those that the order does not fit are no complaint. For retry what failed
 * is what was meant. */
static bool is_only_skipped(const struct steer *s, const struct job_row *row, const struct select_word *by)
{
    bool glob = by != NULL && by->best == SELECT_GLOB;
    if (s->words->order == ORDER_RETRY)
        return glob && row->state != JOB_FAILED;
    bool one_of_file = by != NULL && by->best <= SELECT_HERE && row->document > 0;
    return by == NULL || glob || one_of_file;
}

static bool on_job_seen(void *arg, const struct job_row *row)
{
    struct steer *s = arg;
    select_see(&s->selection, row);
    return true;
}

static bool on_job(void *arg, const struct job_row *row)
{
    struct steer *s = arg;
    const struct select_word *by = NULL;
    if (s->code != NULL && (row->code == NULL || strcmp(row->code, s->code) != 0))
        return true;
    if (!select_job(&s->selection, row, &by))
        return true;
    const struct joborder_job job = {.state = row->state, .blocked = row->blocked};
    const struct joborder_effect effect = joborder_judge(s->words->order, s->force, &job);
    if (effect.why == NULL || effect.again)
        take(s, row);
    else if (is_only_skipped(s, row, by))
        s->skipped++;
    else
        steer_refuse(s, row->path, effect.why);
    return !s->no_memory;
}

/* The state is closed again before anything is changed: a process opens it once. */
static int choose(struct steer *s, const struct config *cfg)
{
    struct store *store;
    enum store_rc rc = cli_open(cfg, &store);
    if (rc == STORE_ABSENT)
        cli_no_state(cfg);
    if (rc != STORE_OK)
        return CLI_USAGE;
    if (s->selection.count > 0)
        store_list(store, -1, NULL, on_job_seen, s);
    bool meant = store_error(store) != NULL || select_check(&s->selection);
    if (meant)
        store_list(store, s->state, s->workflow, on_job, s);
    if (!cli_close(store) || !meant)
        return CLI_USAGE;
    if (s->no_memory)
        cli_complain("out of memory");
    return s->no_memory ? CLI_USAGE : CLI_OK;
}

/* ---- the order ---- */

static void tell(const struct steer *s, bool later)
{
    const struct steer_words *w = s->words;
    printf("%lld %s%s", (long long)s->changed, s->changed == 1 ? w->one : w->many, later ? w->later : "");
    if (s->in_flight > 0)
        printf("; %lld %s", (long long)s->in_flight, w->in_flight);
    if (s->skipped > 0)
        printf("; %zu left alone (%s)", s->skipped, w->left_alone);
    putchar('\n');
}

static int steer_at(struct steer *s, const struct config *cfg)
{
    bool later = false;
    int status = choose(s, cfg);
    if (status != CLI_OK)
        return status;
    status = steer_send(s, cfg, &later);
    if (status == CLI_OK || s->changed + s->in_flight > 0)
        tell(s, later);
    return status == CLI_OK && s->refused > 0 ? CLI_NOT_ALL : status;
}

static void close_all(struct steer *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->jobs[i].path);
    free(s->jobs);
    select_close(&s->selection);
}

int steer_jobs(struct cli *c, struct steer *s, int argc, char **argv)
{
    struct config cfg;
    int rc = CLI_USAGE;
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    if (select_open(&s->selection, argv, (size_t)argc, cfg.spool))
        rc = steer_at(s, &cfg);
    else
        cli_complain("out of memory");
    close_all(s);
    config_free(&cfg);
    return rc;
}

/* ---- options ---- */

enum { OPT_ALL = CLI_OPT_OWN, OPT_WORKFLOW };

static int parse(struct cli *c, struct steer *s, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"all", no_argument, NULL, OPT_ALL},
        {"workflow", required_argument, NULL, OPT_WORKFLOW},
        {NULL, 0, NULL, 0},
    };
    const struct steer_words *w = s->words;
    int option, rc = -1;
    bool all = false;
    while (rc < 0 && (option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == OPT_ALL)
            all = true;
        else if (option == OPT_WORKFLOW)
            s->workflow = optarg;
        else
            rc = cli_common_option(c, option, w->help);
    }
    if (rc >= 0)
        return rc;
    if (all && optind < argc)
        return cli_misused(w->command, "give either jobs or --all");
    if (!all && s->workflow == NULL && optind == argc)
        return cli_misused(w->command, "which jobs? Give JOB, --workflow W or --all");
    return -1;
}

int steer_run(struct cli *c, int argc, char **argv, const struct steer_words *w)
{
    struct steer s = {.words = w, .state = -1};
    int rc = parse(c, &s, argc, argv);
    return rc >= 0 ? rc : steer_jobs(c, &s, argc - optind, argv + optind);
}
