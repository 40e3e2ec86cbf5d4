/* flowspoold - runs the job files of a spool directory. See flowspoold(8). */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/engine.h"
#include "daemon/options.h"

/* Without a terminal, --once keeps to failures and one last line, so that cron mails only what matters. */
static void set_up_log(struct daemon_options *o)
{
    o->engine.quiet_once = o->engine.once && !isatty(STDERR_FILENO);
    enum log_level level = o->engine.once && !o->log_level_given ? LOG_WARN : o->log_level;
    log_set(level, o->log_json);
}

static int check_config(const struct daemon_options *o)
{
    struct engine *e = calloc(1, sizeof *e);
    if (e == NULL)
        return EXIT_BAD_USAGE;
    int rc = engine_check_config(e, &o->engine);
    free(e);
    if (rc == EXIT_OK)
        log_summary("the configuration is right");
    return rc;
}

static int run(const struct daemon_options *o)
{
    uv_loop_t loop;
    struct engine *e = calloc(1, sizeof *e);
    if (e == NULL || uv_loop_init(&loop) != 0) {
        free(e);
        log_line(LOG_ERROR, NULL, "cannot start: out of memory or descriptors");
        return EXIT_BAD_USAGE;
    }
    int rc = engine_open(e, &loop, &o->engine);
    if (rc < 0) {
        uv_run(&loop, UV_RUN_DEFAULT);
        report_last_line(e);
    } else {
        e->exit_status = rc;
    }
    rc = engine_close(e);
    uv_loop_close(&loop);
    free(e);
    return rc;
}

int main(int argc, char **argv)
{
    struct daemon_options options;
    int rc = daemon_options_parse(argc, argv, &options);
    if (rc >= 0)
        return rc;
    set_up_log(&options);
    return options.check_config ? check_config(&options) : run(&options);
}
