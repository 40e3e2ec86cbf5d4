/* cli - what the subcommands of flowspool share: exit statuses, common options, where the state is.
 *
 * One file per subcommand; main.c has the table. Complaints go to stderr, answers to stdout. What is only
 * read comes from the store, so that it works while the daemon is busy, stuck or dead (ask.h is for the
 * rest).
 */
#ifndef FLOWSPOOL_CLI_CLI_H
#define FLOWSPOOL_CLI_CLI_H

#include <stdbool.h>

#include "io/config.h"
#include "io/store.h"

enum cli_status {
    CLI_OK = 0,
    CLI_NOT_ALL =
        1,          /* something that was asked for could not be done, a job failed, or check found a fault */
    CLI_USAGE = 2,  /* wrong usage, or the spool or its state cannot be used */
    CLI_LOCKED = 4, /* a daemon has the state and does not answer */
    CLI_TIMEOUT = 124, /* what was waited for has not come in time */
};

/* What was given before or behind the subcommand. */
struct cli {
    const char *spool, *config; /* or NULL */
};

/* argv[0] is the subcommand. An exit status. */
int cli_submit(struct cli *c, int argc, char **argv);
int cli_check(struct cli *c, int argc, char **argv);
int cli_status(struct cli *c, int argc, char **argv);
int cli_tune(struct cli *c, int argc, char **argv);
int cli_list(struct cli *c, int argc, char **argv);
int cli_show(struct cli *c, int argc, char **argv);
int cli_explain(struct cli *c, int argc, char **argv);
int cli_log(struct cli *c, int argc, char **argv);
int cli_ledger(struct cli *c, int argc, char **argv);
int cli_wait(struct cli *c, int argc, char **argv);
int cli_retry(struct cli *c, int argc, char **argv);
int cli_cancel(struct cli *c, int argc, char **argv);
int cli_hold(struct cli *c, int argc, char **argv);
int cli_release(struct cli *c, int argc, char **argv);
int cli_pause(struct cli *c, int argc, char **argv);
int cli_resume(struct cli *c, int argc, char **argv);
int cli_drain(struct cli *c, int argc, char **argv);
int cli_prune(struct cli *c, int argc, char **argv);

/* ---- options ---- */

enum cli_option {
    CLI_OPT_SPOOL = 256,
    CLI_OPT_HELP,
    CLI_OPT_VERSION,
    CLI_OPT_OWN /* the subcommand's first */
};
#define CLI_COMMON_OPTIONS                                                                                   \
    {"config", required_argument, NULL, 'c'}, {"spool", required_argument, NULL, CLI_OPT_SPOOL},             \
    {                                                                                                        \
        "help", no_argument, NULL, CLI_OPT_HELP                                                              \
    }
/* Takes what getopt_long() returned: -1 when it was a common option, else the status to exit with (0: the
 * help was printed). */
int cli_common_option(struct cli *c, int option, const char *help);

/* ---- messages ---- */

/* "flowspool: ..." on stderr. Control characters in it are escaped. */
void cli_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, with a pointer to the help; returns CLI_USAGE. */
int cli_misused(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- where ---- */

/* The spool and its state: --spool, else the configuration, else $FLOWSPOOL_SPOOL. False: it was said why. */
bool cli_find(const struct cli *c, struct config *out);
/* STORE_OK, STORE_ABSENT (nothing was said: no daemon has run here), or another: it was said why. */
enum store_rc cli_open(const struct config *cfg, struct store **out);
/* Complains that no daemon has run here. */
void cli_no_state(const struct config *cfg);
/* Closes; false when a read had failed: it was said why. */
bool cli_close(struct store *s);

#endif
