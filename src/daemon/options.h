/* options - the command line of flowspoold. */
#ifndef FLOWSPOOL_DAEMON_OPTIONS_H
#define FLOWSPOOL_DAEMON_OPTIONS_H

#include <stdbool.h>

#include "daemon/engine.h"
#include "io/log.h"

struct daemon_options {
    struct engine_options engine;
    enum log_level log_level;
    bool log_level_given;
    bool log_json;
    bool check_config;
};

/* -1: go on. Else the exit status (--help and --version are 0, wrong usage 2; both are said). */
int daemon_options_parse(int argc, char **argv, struct daemon_options *out);

#endif
