#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flowspool_version.h"

enum long_only {
    OPT_SPOOL = 256,
    OPT_ENDPOINT,
    OPT_KEY_FILE,
    OPT_MAX_CONCURRENCY,
    OPT_MAX_JOBS,
    OPT_ONCE,
    OPT_LOG_LEVEL,
    OPT_LOG_FORMAT,
    OPT_CHECK_CONFIG,
    OPT_DESCRIBE_CONFIG,
    OPT_HELP,
    OPT_VERSION
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"spool", required_argument, NULL, OPT_SPOOL},
    {"endpoint", required_argument, NULL, OPT_ENDPOINT},
    {"api-key-file", required_argument, NULL, OPT_KEY_FILE},
    {"max-concurrency", required_argument, NULL, OPT_MAX_CONCURRENCY},
    {"max-jobs", required_argument, NULL, OPT_MAX_JOBS},
    {"once", no_argument, NULL, OPT_ONCE},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"check-config", no_argument, NULL, OPT_CHECK_CONFIG},
    {"describe-config", no_argument, NULL, OPT_DESCRIBE_CONFIG},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: flowspoold [-c FILE] [--spool DIR] [--endpoint URL] [options]\n"
    "Runs the YAML job files of a spool directory through a workflow service and\n"
    "writes NAME.result.json or NAME.error.json beside each NAME.yaml.\n"
    "\n"
    "  -c, --config FILE        configuration, see flowspool.yaml(5)\n"
    "      --spool DIR          directory to watch\n"
    "      --endpoint URL       service, such as https://host; /api/v1/run/ID follows\n"
    "      --api-key-file FILE  key; else the service manager's credential api_key,\n"
    "                           $FLOWSPOOL_API_KEY, or api_key_file\n"
    "      --max-concurrency N  most requests in flight\n"
    "      --max-jobs N         most runs this start may buy\n"
    "      --once               work until nothing is runnable, then exit\n"
    "      --log-level LEVEL    error, warn, info (default) or debug\n"
    "      --log-format FORMAT  text (default) or json\n"
    "      --check-config       check configuration and key, then exit\n"
    "      --describe-config    list every key: default, range, meaning\n"
    "      --help, --version\n"
    "\n"
    "Exit: 0 clean, 1 a job failed, 2 usage or configuration, 3 the account refuses\n"
    "work, 4 another daemon holds the spool, 5 state not to be trusted, 6 jobs left.\n"
    "\n"
    "Example: flowspoold --spool jobs --endpoint http://127.0.0.1:8787 \\\n"
    "             --api-key-file key --once\n";

static int usage(const char *format, const char *what)
{
    fprintf(stderr, "flowspoold: ");
    fprintf(stderr, format, what);
    fprintf(stderr, "\nTry: flowspoold --help\n");
    return EXIT_BAD_USAGE;
}

static bool parse_number(const char *text, long long min, long long max, long long *out)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out >= min && *out <= max;
}

static void print_key(void *arg, const char *text)
{
    (void)arg;
    puts(text);
}

static int parse_one(int c, struct daemon_options *o)
{
    long long n;
    switch (c) {
    case 'c':
        o->engine.config_path = optarg;
        return -1;
    case OPT_SPOOL:
        o->engine.overrides.spool = optarg;
        return -1;
    case OPT_ENDPOINT:
        o->engine.overrides.endpoint = optarg;
        return -1;
    case OPT_KEY_FILE:
        o->engine.api_key_file_option = o->engine.overrides.api_key_file = optarg;
        return -1;
    case OPT_MAX_CONCURRENCY:
        if (!parse_number(optarg, 1, 100000, &n))
            return usage("--max-concurrency takes a number from 1 to 100000, not \"%s\"", optarg);
        o->engine.overrides.max_concurrency = (int)n;
        return -1;
    case OPT_MAX_JOBS:
        if (!parse_number(optarg, 0, INT64_MAX, &n))
            return usage("--max-jobs takes a number, 0 for no limit, not \"%s\"", optarg);
        o->engine.overrides.max_jobs = n;
        return -1;
    case OPT_ONCE:
        o->engine.once = true;
        return -1;
    case OPT_LOG_LEVEL:
        o->log_level_given = true;
        if (!log_level_parse(optarg, &o->log_level))
            return usage("--log-level takes error, warn, info or debug, not \"%s\"", optarg);
        return -1;
    case OPT_LOG_FORMAT:
        o->log_json = strcmp(optarg, "json") == 0;
        if (!o->log_json && strcmp(optarg, "text") != 0)
            return usage("--log-format takes text or json, not \"%s\"", optarg);
        return -1;
    case OPT_CHECK_CONFIG:
        o->check_config = true;
        return -1;
    case OPT_DESCRIBE_CONFIG:
        config_describe(print_key, NULL);
        return EXIT_OK;
    case OPT_HELP:
        fputs(help, stdout);
        return EXIT_OK;
    case OPT_VERSION:
        puts("flowspoold " FLOWSPOOL_VERSION);
        return EXIT_OK;
    default:
        fprintf(stderr, "Try: flowspoold --help\n"); /* getopt has said what is wrong */
        return EXIT_BAD_USAGE;
    }
}

int daemon_options_parse(int argc, char **argv, struct daemon_options *out)
{
    *out = (struct daemon_options){
        .log_level = LOG_INFO, .engine.overrides = {.max_jobs = -1, .endpoint_fault = http_endpoint_fault}};
    int c;
    while ((c = getopt_long(argc, argv, "c:", long_options, NULL)) != -1) {
        int rc = parse_one(c, out);
        if (rc >= 0)
            return rc;
    }
    if (optind < argc)
        return usage("unexpected argument \"%s\"", argv[optind]);
    return -1;
}
