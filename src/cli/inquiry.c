#include "cli/inquiry.h"

#include <getopt.h>

#include "cli/aside.h"
#include "io/clock.h"

static int answer(struct inquiry *q, const struct inquiry_words *w)
{
    q->out = aside_open();
    if (q->out == NULL)
        return CLI_USAGE;
    int status = w->answer(q);
    if (!aside_close(q->out, status != CLI_USAGE) || q->failed) {
        cli_complain("the answer is not whole: no memory, or no room");
        status = CLI_USAGE;
    }
    return status;
}

static int with_state(struct inquiry *q, const struct inquiry_words *w)
{
    int status = CLI_USAGE;
    if (chosen_open(&q->chosen, q->store, &q->words))
        status = answer(q, w);
    else if (q->chosen.no_memory || store_error(q->store) == NULL)
        cli_complain("out of memory");
    chosen_close(&q->chosen);
    return cli_close(q->store) ? status : CLI_USAGE;
}

static int inquire(struct inquiry *q, const struct inquiry_words *w)
{
    enum store_rc rc = cli_open(q->cfg, &q->store);
    if (rc == STORE_OK)
        return with_state(q, w);
    q->store = NULL;
    if (rc == STORE_ABSENT && w->without_state)
        return answer(q, w);
    if (rc == STORE_ABSENT)
        cli_no_state(q->cfg);
    return CLI_USAGE;
}

enum { OPT_JSON = CLI_OPT_OWN };

int inquiry_run(struct cli *c, int argc, char **argv, const struct inquiry_words *w)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"json", no_argument, NULL, OPT_JSON},
        {NULL, 0, NULL, 0},
    };
    struct inquiry q = {.now_ms = clock_unix_ms()};
    struct config cfg;
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        int rc = option == OPT_JSON ? (q.json = true, -1) : cli_common_option(c, option, w->help);
        if (rc >= 0)
            return rc;
    }
    if (optind >= argc)
        return cli_misused(w->command, "which job?");
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    int status = CLI_USAGE;
    q.cfg = &cfg;
    if (select_open(&q.words, argv + optind, (size_t)(argc - optind), cfg.spool))
        status = inquire(&q, w);
    else
        cli_complain("out of memory");
    select_close(&q.words);
    config_free(&cfg);
    return status;
}
