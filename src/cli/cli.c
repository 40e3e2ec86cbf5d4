#include "cli/cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

/* ---- messages ---- */

static void complain(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));

/* Names of files and texts of services are in it: what they hold must not drive the terminal. */
static void complain(const char *format, va_list ap)
{
    char raw[2048], text[4096];
    vsnprintf(raw, sizeof raw, format, ap);
    fprintf(stderr, "flowspool: %s\n", utf8_escape(raw, strlen(raw), text, sizeof text));
}

void cli_complain(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    complain(format, ap);
    va_end(ap);
}

int cli_misused(const char *command, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    complain(format, ap);
    va_end(ap);
    fprintf(stderr, "Try: flowspool %s--help\n", command);
    return CLI_USAGE;
}

/* ---- options ---- */

int cli_common_option(struct cli *c, int option, const char *help)
{
    switch (option) {
    case 'c':
        c->config = optarg;
        return -1;
    case CLI_OPT_SPOOL:
        c->spool = optarg;
        return -1;
    case CLI_OPT_HELP:
        fputs(help, stdout);
        return CLI_OK;
    default: /* getopt has said what is wrong */
        fputs("Try: flowspool --help\n", stderr);
        return CLI_USAGE;
    }
}

/* ---- where ---- */

bool cli_find(const struct cli *c, struct config *out)
{
    struct config_overrides o = {.spool = c->spool, .max_jobs = -1};
    struct fault f;
    const char *usual = getenv("FLOWSPOOL_SPOOL");
    if (c->spool == NULL && c->config == NULL && usual != NULL && usual[0] != '\0')
        o.spool = usual;
    if (o.spool == NULL && c->config == NULL) {
        cli_misused("", "which spool? Give --spool DIR, -c FILE or $FLOWSPOOL_SPOOL");
        return false;
    }
    if (config_load(c->config, &o, out, &f))
        return true;
    if (f.line != 0)
        cli_complain("%s:%zu:%zu: %s", c->config, f.line, f.column, f.text);
    else
        cli_complain("%s", f.text);
    return false;
}

enum store_rc cli_open(const struct config *cfg, struct store **out)
{
    char message[512];
    enum store_rc rc = store_open_readonly(out, cfg->state_dir, message, sizeof message);
    if (rc != STORE_OK && rc != STORE_ABSENT)
        cli_complain("%s", message);
    return rc;
}

void cli_no_state(const struct config *cfg)
{
    cli_complain(
        "there is no state in %s: no flowspoold has run on this spool yet, or its state_dir is elsewhere "
        "(give -c FILE)",
        cfg->state_dir);
}

bool cli_close(struct store *s)
{
    const char *error = store_error(s);
    if (error != NULL)
        cli_complain("%s", error);
    store_close(s);
    return error == NULL;
}
