#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: flowspool-crash [options]\n"
    "Ends flowspoold at its Nth system call, for every N, and checks what it promises\n"
    "after the next start. See tests/README.md.\n"
    "\n"
    "      --daemon FILE        the program (default: bin/flowspoold of this build)\n"
    "      --scenario NAME      only this one (--list names them)\n"
    "      --policy P           on_ambiguous: hold, retry or both (default)\n"
    "      --power-cut FS       not a kill but a power cut on ext4, xfs or btrfs; root only\n"
    "      --recovery           the start after it is struck as well: pairs\n"
    "      --from N, --to N     which calls (default: all)\n"
    "      --stride N           every Nth of them; --seed S: from which on\n"
    "      --again-from, --again-to, --again-stride N   the same of the start after it\n"
    "  -j, --jobs-in-parallel N\n"
    "      --seconds N          end each sweep after so long\n"
    "      --first              end at the first breach\n"
    "      --list, --help\n"
    "\n"
    "Exit: 0 all promises held, 1 a breach, 2 it could not be tried, 77 not allowed here.\n"
    "\n"
    "Example: flowspool-crash --scenario plain --power-cut ext4 --stride 10\n";

enum {
    OPT_DAEMON = 256,
    OPT_SCENARIO,
    OPT_POLICY,
    OPT_POWER_CUT,
    OPT_RECOVERY,
    OPT_FROM,
    OPT_TO,
    OPT_STRIDE,
    OPT_AGAIN_FROM,
    OPT_AGAIN_TO,
    OPT_AGAIN_STRIDE,
    OPT_SECONDS,
    OPT_SEED,
    OPT_FIRST,
    OPT_LIST,
    OPT_HELP
};

static const struct option long_options[] = {
    {"daemon", required_argument, NULL, OPT_DAEMON},
    {"scenario", required_argument, NULL, OPT_SCENARIO},
    {"policy", required_argument, NULL, OPT_POLICY},
    {"power-cut", required_argument, NULL, OPT_POWER_CUT},
    {"recovery", no_argument, NULL, OPT_RECOVERY},
    {"from", required_argument, NULL, OPT_FROM},
    {"to", required_argument, NULL, OPT_TO},
    {"stride", required_argument, NULL, OPT_STRIDE},
    {"again-from", required_argument, NULL, OPT_AGAIN_FROM},
    {"again-to", required_argument, NULL, OPT_AGAIN_TO},
    {"again-stride", required_argument, NULL, OPT_AGAIN_STRIDE},
    {"jobs-in-parallel", required_argument, NULL, 'j'},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"first", no_argument, NULL, OPT_FIRST},
    {"list", no_argument, NULL, OPT_LIST},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int usage(const char *what, const char *value)
{
    fprintf(stderr, "flowspool-crash: %s \"%s\"\nTry: flowspool-crash --help\n", what, value);
    return 2;
}

static int number(const char *text, unsigned long min, unsigned long max, unsigned long *out)
{
    char *end;
    errno = 0;
    *out = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || *out < min || *out > max)
        return usage("no such number:", text);
    return -1;
}

static int small_number(const char *text, unsigned long min, unsigned *out)
{
    unsigned long n = 0;
    int rc = number(text, min, 1000000, &n);
    *out = (unsigned)n;
    return rc;
}

static int policy(const char *text, struct options *o)
{
    bool both = strcmp(text, "both") == 0;
    o->policies[POLICY_HOLD] = both || strcmp(text, "hold") == 0;
    o->policies[POLICY_RETRY] = both || strcmp(text, "retry") == 0;
    return o->policies[0] || o->policies[1] ? -1 : usage("hold, retry or both, not", text);
}

static int power_cut(const char *text, struct options *o)
{
    for (int k = DISK_EXT4; k < DISK_KINDS; k++)
        if (strcmp(disk_name((enum disk_kind)k), text) == 0) {
            o->kind = (enum disk_kind)k;
            return -1;
        }
    return usage("ext4, xfs or btrfs, not", text);
}

static int scenario(const char *text, struct options *o)
{
    o->only = scenario_find(text);
    return o->only != NULL ? -1 : usage("there is no scenario", text);
}

static int parse_one(int c, struct options *o)
{
    switch (c) {
    case OPT_DAEMON:
        o->daemon = optarg;
        return -1;
    case OPT_SCENARIO:
        return scenario(optarg, o);
    case OPT_POLICY:
        return policy(optarg, o);
    case OPT_POWER_CUT:
        return power_cut(optarg, o);
    case OPT_RECOVERY:
        o->pairs = true;
        return -1;
    case OPT_FROM:
        return number(optarg, 1, ULONG_MAX, &o->from);
    case OPT_TO:
        return number(optarg, 1, ULONG_MAX, &o->to);
    case OPT_STRIDE:
        return number(optarg, 1, 1000000, &o->stride);
    case OPT_AGAIN_FROM:
        return number(optarg, 1, ULONG_MAX, &o->again_from);
    case OPT_AGAIN_TO:
        return number(optarg, 1, ULONG_MAX, &o->again_to);
    case OPT_AGAIN_STRIDE:
        return number(optarg, 1, 1000000, &o->again_stride);
    case 'j':
        return small_number(optarg, 1, &o->workers);
    case OPT_SECONDS:
        return small_number(optarg, 0, &o->seconds);
    case OPT_SEED:
        return number(optarg, 0, ULONG_MAX, &o->seed);
    case OPT_FIRST:
        o->first = true;
        return -1;
    case OPT_LIST:
        o->list = true;
        return -1;
    case OPT_HELP:
        fputs(help, stdout);
        return 0;
    default:
        fprintf(stderr, "Try: flowspool-crash --help\n");
        return 2;
    }
}

int options_parse(int argc, char **argv, struct options *o)
{
    int c, rc = -1;
    *o = (struct options){.policies = {true, true},
                          .from = 1,
                          .to = ULONG_MAX,
                          .stride = 1,
                          .again_from = 1,
                          .again_to = ULONG_MAX,
                          .again_stride = 1,
                          .workers = 1};
    while (rc < 0 && (c = getopt_long(argc, argv, "j:", long_options, NULL)) != -1)
        rc = parse_one(c, o);
    if (rc < 0 && optind < argc)
        return usage("unexpected argument", argv[optind]);
    return rc;
}
