/* inquiry - what show, explain and log share: one option, words that mean jobs, the state to read. */
#ifndef FLOWSPOOL_CLI_INQUIRY_H
#define FLOWSPOOL_CLI_INQUIRY_H

#include "cli/chosen.h"
#include "cli/cli.h"

struct inquiry {
    const struct config *cfg;
    bool json;
    int64_t now_ms; /* Unix */
    struct selection words;
    struct store *store; /* NULL: no daemon has run here */
    struct chosen chosen;
    FILE *out;   /* comes to stdout when all was read */
    bool failed; /* no memory: the answer is not whole */
};

struct inquiry_words {
    const char *command, *help;
    bool without_state; /* answers when there is none, too */
    /* An exit status; with CLI_USAGE nothing is printed. */
    int (*answer)(struct inquiry *q);
};

int inquiry_run(struct cli *c, int argc, char **argv, const struct inquiry_words *w);

#endif
