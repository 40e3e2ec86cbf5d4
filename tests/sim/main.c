/* flowspool-sim - the governor and what scripts commonly do, against limiters, in virtual time. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

#define EXIT_BAD_USAGE 2

struct choice {
    int first_seed, seeds;
    const char *match; /* NULL: all */
    bool json, references, check, smoke, refusals_tell, list;
    const char *policy;
};

/* Over all seeds. */
struct summary {
    double mean, worst, refused, refused_count, found, gap, oracle_gap;
    int worst_job, most_flying, seeds;
};

static void usage(FILE *to)
{
    fputs("usage: flowspool-sim [OPTION]...\n\n"
          "Runs the governor against simulated rate limiters and prints, over all seeds, the\n"
          "share of a greedy all-knowing client's throughput (mean and worst), the share of\n"
          "requests that were refused, when the window was found, the longest time without an\n"
          "admission, and the most refusals of one job.\n\n"
          "  --case TEXT      rows whose name or group holds TEXT\n"
          "  --seeds N[:M]    M seeds from N on (default 5001:12)\n"
          "  --references     naive, cookbook-like, AIMD and other clients beside it\n"
          "  --policy NAME    only this client\n"
          "  --refusals-tell  429s carry headers too\n"
          "  --check          status 1 if a row misses its target\n"
          "  --smoke          one seed, and status 1 if a row is far off its target\n"
          "  --json           one JSON object a line\n"
          "  --list           names of the rows\n"
          "  --help\n\n"
          "Example: flowspool-sim --case 10/1s --references\n",
          to);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double efficiency(const struct scenario *c, const struct result *r, const struct result *best)
{
    if (c->jobs > 0)
        return r->finished > 0 ? best->finished / r->finished : 0;
    return (double)(r->done + r->foreign) / fmax(1, (double)(best->done + best->foreign));
}

static struct summary measure(const struct scenario *c, const struct policy *p, const struct choice *o)
{
    struct summary s = {.worst = INFINITY, .seeds = o->seeds};
    double found[1024];

    for (int i = 0; i < o->seeds; i++) {
        uint64_t seed = (uint64_t)(o->first_seed + i);
        struct result best = sim_run(c, &policy_oracle, seed), r = sim_run(c, p, seed);
        double e = efficiency(c, &r, &best);

        s.mean += e / o->seeds;
        s.worst = fmin(s.worst, e);
        s.refused += 100 * (double)r.refused / fmax(1, (double)r.sent) / o->seeds;
        s.refused_count += (double)r.refused / o->seeds;
        s.gap = fmax(s.gap, r.longest_gap);
        s.oracle_gap = fmax(s.oracle_gap, best.longest_gap);
        if (r.worst_job > s.worst_job)
            s.worst_job = r.worst_job;
        if (r.most_flying > s.most_flying)
            s.most_flying = r.most_flying;
        found[i] = r.found < 0 ? INFINITY : r.found;
    }
    qsort(found, (size_t)o->seeds, sizeof found[0], by_value);
    s.found = found[o->seeds / 2];
    return s;
}

/* What a row misses, in words of one letter: mean, worst, refused, stall, job. */
static void judge(const struct row *row, const struct summary *s, char *out)
{
    const struct target *t = &row->target;
    double window = row->scenario.window;

    if (t->mean > 0 && s->mean < t->mean - 5e-4)
        *out++ = 'm';
    if (t->worst > 0 && s->worst < t->worst - 5e-4)
        *out++ = 'w';
    if (t->refused >= 0 && s->refused > t->refused + 5e-3)
        *out++ = 'r';
    if (t->mean > 0 && window >= 10 && s->gap > 1.2 * fmax(window, s->oracle_gap))
        *out++ = 's';
    if (t->mean > 0 && s->worst_job > 8)
        *out++ = 'j';
    *out = '\0';
}

static void print_text(const struct row *row, const char *policy, const struct summary *s, bool ours,
                       const char *missed)
{
    char found[16] = "-", target[40] = "";

    if (s->found < INFINITY)
        snprintf(found, sizeof found, "%.0f", s->found);
    if (ours && row->target.mean > 0)
        snprintf(target, sizeof target, "%.3f/%.2f %4.1f%%", row->target.mean, row->target.worst,
                 row->target.refused);
    printf("%-30s %-9s %.3f %.3f %6.2f%% %7.1f %5s %6.1f %4d %5d  %-17s %s\n", row->name, policy, s->mean,
           s->worst, s->refused, s->refused_count, found, s->gap, s->worst_job, s->most_flying, target,
           !ours || row->target.mean <= 0 ? ""
           : *missed                      ? missed
                                          : "ok");
    fflush(stdout);
}

static void print_json(const struct row *row, const char *policy, const struct summary *s, const char *missed)
{
    printf("{\"case\":\"%s\",\"group\":\"%s\",\"policy\":\"%s\",\"seeds\":%d,\"mean\":%.4f,\"worst\":%.4f,"
           "\"refused_percent\":%.3f,\"refused\":%.1f,\"found_s\":%.1f,\"longest_gap_s\":%.1f,"
           "\"worst_job\":%d,\"most_in_flight\":%d,\"cap\":%d,\"missed\":\"%s\"}\n",
           row->name, row->group, policy, s->seeds, s->mean, s->worst, s->refused, s->refused_count,
           s->found < INFINITY ? s->found : -1, s->gap, s->worst_job, s->most_flying, row->scenario.cap,
           missed);
    fflush(stdout);
}

/* Generous: what fails it is broken, not unlucky. */
static bool far_off(const struct row *row, const struct summary *s)
{
    const struct target *t = &row->target;

    return s->most_flying > row->scenario.cap || s->mean < t->mean - 0.2 || s->worst_job > 20 ||
           (t->refused >= 0 && s->refused > 2 * t->refused + 8);
}

static bool run_one(const struct row *row, const struct policy *p, const struct choice *o)
{
    struct scenario c = row->scenario;
    bool ours = p == &policy_governor;
    struct summary s;
    char missed[8];

    c.refusals_tell |= o->refusals_tell;
    s = measure(&c, p, o);
    judge(row, &s, missed);
    if (o->json)
        print_json(row, p->name, &s, ours ? missed : "");
    else
        print_text(row, p->name, &s, ours, missed);
    if (o->smoke)
        return !ours || !far_off(row, &s);
    return !ours || *missed == '\0';
}

static bool wanted(const struct policy *p, const struct choice *o)
{
    if (o->policy != NULL)
        return strcmp(p->name, o->policy) == 0;
    return p == &policy_governor || o->references;
}

static bool run_row(const struct row *row, const struct choice *o)
{
    bool ok = true;

    if (wanted(&policy_governor, o))
        ok = run_one(row, &policy_governor, o);
    for (const struct policy *p = reference_policies; p->name != NULL; p++)
        if (wanted(p, o))
            run_one(row, p, o);
    return ok;
}

static bool parse_seeds(const char *text, struct choice *o)
{
    char *end;
    long first = strtol(text, &end, 10), count = 12;

    if (*end == ':')
        count = strtol(end + 1, &end, 10);
    if (*end != '\0' || end == text || first < 0 || first > 1000000000 || count < 1 || count > 1024)
        return false;
    o->first_seed = (int)first;
    o->seeds = (int)count;
    return true;
}

/* The status to end with, or -1. */
static int parse(int argc, char **argv, struct choice *o)
{
    static const struct option options[] = {
        {"case", required_argument, NULL, 'c'},
        {"seeds", required_argument, NULL, 's'},
        {"references", no_argument, NULL, 'r'},
        {"policy", required_argument, NULL, 'p'},
        {"refusals-tell", no_argument, NULL, 't'},
        {"check", no_argument, NULL, 'k'},
        {"smoke", no_argument, NULL, 'm'},
        {"json", no_argument, NULL, 'j'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            o->match = optarg;
            break;
        case 's':
            if (!parse_seeds(optarg, o)) {
                fprintf(stderr, "flowspool-sim: not seeds: %s\n", optarg);
                return EXIT_BAD_USAGE;
            }
            break;
        case 'r':
            o->references = true;
            break;
        case 'p':
            o->policy = optarg;
            break;
        case 't':
            o->refusals_tell = true;
            break;
        case 'k':
            o->check = true;
            break;
        case 'm':
            o->smoke = o->check = true;
            o->seeds = 1;
            break;
        case 'j':
            o->json = true;
            break;
        case 'l':
            o->list = true;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return EXIT_BAD_USAGE;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct choice o = {.first_seed = 5001, .seeds = 12};
    int status = parse(argc, argv, &o);
    bool ok = true;

    if (status >= 0)
        return status;
    if (!o.json && !o.list)
        printf("%-30s %-9s %5s %5s %7s %7s %5s %6s %4s %5s  %-17s %s\n", "case", "client", "mean", "worst",
               "429", "429s", "found", "gap", "job", "fly", "target", "");
    for (int i = 0; i < row_count; i++) {
        if (o.match != NULL && strstr(rows[i].name, o.match) == NULL &&
            strstr(rows[i].group, o.match) == NULL)
            continue;
        if (o.list)
            puts(rows[i].name);
        else
            ok = run_row(&rows[i], &o) && ok;
    }
    return o.check && !ok;
}
