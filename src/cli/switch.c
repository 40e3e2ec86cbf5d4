#include "cli/switch.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/offline.h"
#include "core/holdwords.h"
#include "core/utf8.h"

static bool change(void *arg, struct store *s, char *message, size_t size)
{
    const struct switch_words *w = arg;
    (void)message;
    (void)size;
    w->change(s);
    return true;
}

/* Somebody who resumes believes that it sends now. */
static void tell_holds(const struct config *cfg, struct arena *a)
{
    struct order_reply reply;
    struct status status;
    const char *reason;
    const struct order o = {.kind = ORDER_STATUS};
    if (ask_daemon(cfg, &o, a, &reply, &reason) != ASK_ANSWERED || reply.status == NULL ||
        !status_parse(reply.status, a, &status))
        return;
    for (size_t i = 0; i < status.nholds; i++) {
        char words[HOLD_WORDS_SIZE], line[4 * HOLD_WORDS_SIZE];
        hold_words(&status.holds[i], words);
        printf("still held: %s\n", utf8_escape(words, strlen(words), line, sizeof line));
    }
}

static int switch_at(const struct config *cfg, struct switch_words *w)
{
    struct arena a = {0};
    struct order_reply reply;
    const char *reason = "";
    enum ask_rc rc = ask_daemon(cfg, &(struct order){.kind = w->order}, &a, &reply, &reason);
    int status = CLI_OK;
    if (rc == ASK_ANSWERED) {
        puts(w->done);
        if (w->tells_holds)
            tell_holds(cfg, &a);
    } else if (rc != ASK_NOBODY) {
        status = offline_refuse(rc, reason);
    } else if ((status = offline_change(cfg, change, w)) == CLI_OK) {
        puts(w->done_later);
    }
    arena_free(&a);
    return status;
}

int switch_run(struct cli *c, int argc, char **argv, const struct switch_words *w)
{
    static const struct option options[] = {CLI_COMMON_OPTIONS, {NULL, 0, NULL, 0}};
    struct switch_words words = *w;
    struct config cfg;
    int option;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        int rc = cli_common_option(c, option, w->help);
        if (rc >= 0)
            return rc;
    }
    if (optind < argc)
        return cli_misused(w->command, "unexpected argument \"%s\"", argv[optind]);
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    int status = switch_at(&cfg, &words);
    config_free(&cfg);
    return status;
}
