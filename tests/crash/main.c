/* flowspool-crash - ends the daemon at every system call, and looks at what it kept. See tests/README.md. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "options.h"
#include "point.h"
#include "trace.h"

#define SKIPPED 77
/* The number of calls differs a little from run to run: so many runs in a row must end by themselves. */
#define ENDS_IN_A_ROW  3
#define WORKERS_MAX    16
#define BREACHES_SHOWN 5

/* What the workers count, in memory that all see. */
struct tally {
    _Atomic unsigned long next; /* index of the next point of the first run */
    _Atomic unsigned long points, pairs, calls, lost, twice, other, ambiguous, shown;
    _Atomic bool failed, out_of_time;
    char why[200];
};

struct sweep {
    const struct options *o;
    const struct scenario *scenario;
    enum policy policy;
    struct tally *tally;
    time_t until; /* 0: none */
};

static void show_breach(const struct sweep *s, const struct point *p, const struct point_end *e)
{
    if (s->o->first)
        s->tally->out_of_time = true;
    if (atomic_fetch_add(&s->tally->shown, 1) >= BREACHES_SHOWN)
        return;
    char again[80] = "";
    if (p->m != 0)
        snprintf(again, sizeof again, " --recovery --again-from %lu --again-to %lu", p->m, p->m);
    printf("BREACH at call %lu (system call %ld):\n%s  to see it again (threads differ from run to run; try "
           "it several "
           "times):\n  flowspool-crash --scenario %s --policy %s%s%s --from %lu --to %lu%s\n",
           p->n, e->call, e->report.breaches, p->scenario->name, p->policy == POLICY_HOLD ? "hold" : "retry",
           s->o->kind == DISK_KILL ? "" : " --power-cut ",
           s->o->kind == DISK_KILL ? "" : disk_name(s->o->kind), p->n, p->n, again);
    fflush(stdout);
}

static void count(const struct sweep *s, const struct point *p, const struct point_end *e)
{
    struct tally *t = s->tally;
    atomic_fetch_add(&t->lost, (unsigned long)e->report.lost);
    atomic_fetch_add(&t->twice, (unsigned long)e->report.twice);
    atomic_fetch_add(&t->other, (unsigned long)e->report.other);
    atomic_fetch_add(&t->ambiguous, (unsigned long)e->report.ambiguous);
    if (e->reached_n)
        atomic_fetch_add(&t->points, 1);
    if (e->reached_n && e->reached_m)
        atomic_fetch_add(&t->pairs, 1);
    if (!report_is_clean(&e->report))
        show_breach(s, p, e);
}

static bool is_over(const struct sweep *s)
{
    if (s->until != 0 && time(NULL) >= s->until)
        s->tally->out_of_time = true;
    return trace_interrupted || s->tally->out_of_time;
}

/* All starts after a run that was struck at p->n; true: that call was reached. */
static bool sweep_again(const struct sweep *s, struct bench *b, struct point p)
{
    const struct options *o = s->o;
    bool reached = false;
    int ends = 0;
    for (p.m = o->again_from + (p.n + o->seed) % o->again_stride;
         p.m <= o->again_to && ends < ENDS_IN_A_ROW && !is_over(s); p.m += o->again_stride) {
        struct point_end e;
        point_run(b, &p, &e);
        count(s, &p, &e);
        if (!e.reached_n)
            break;
        reached = true;
        ends = e.reached_m ? 0 : ends + 1;
    }
    return reached;
}

static bool sweep_one(const struct sweep *s, struct bench *b, unsigned long n)
{
    struct point p = {.scenario = s->scenario, .policy = s->policy, .n = n};
    struct point_end e;
    if (s->o->pairs)
        return sweep_again(s, b, p);
    point_run(b, &p, &e);
    count(s, &p, &e);
    return e.reached_n;
}

/* Handing over between us and what we trace is twice as fast on one processor. */
static void stay_on_one_processor(unsigned worker)
{
    cpu_set_t allowed, one;
    unsigned skip = worker;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    skip %= (unsigned)CPU_COUNT(&allowed);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &allowed) && skip-- == 0) {
            CPU_SET(i, &one);
            break;
        }
    sched_setaffinity(0, sizeof one, &one);
}

static int work(const struct sweep *s, unsigned worker)
{
    struct bench b;
    int ends = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    trace_prepare();
    stay_on_one_processor(worker);
    if (!bench_open(&b, s->o->kind, s->o->daemon, s->tally->why, sizeof s->tally->why)) {
        s->tally->failed = true;
        return SKIPPED;
    }
    while (ends < ENDS_IN_A_ROW && !is_over(s)) {
        unsigned long n =
            s->o->from + s->o->seed % s->o->stride + atomic_fetch_add(&s->tally->next, 1) * s->o->stride;
        if (n > s->o->to)
            break;
        ends = sweep_one(s, &b, n) ? 0 : ends + 1;
    }
    bench_close(&b);
    return 0;
}

/* True: all of them did their part. An interrupt ends them early. */
static bool wait_for_workers(const pid_t *workers, unsigned count)
{
    const struct timespec moment = {.tv_nsec = 20 * 1000 * 1000};
    bool told = false, ok = true;
    for (unsigned i = 0; i < count;) {
        int status = 0;
        pid_t pid = workers[i] > 0 ? waitpid(workers[i], &status, WNOHANG) : -1;
        for (unsigned k = i; trace_interrupted && !told && k < count; k++)
            if (workers[k] > 0)
                kill(workers[k], SIGTERM);
        told = trace_interrupted;
        if (pid == 0 || (pid < 0 && errno == EINTR)) {
            nanosleep(&moment, NULL);
            continue;
        }
        ok = ok && pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        i++;
    }
    return ok;
}

/* False: it could not be tried. */
static bool sweep(const struct sweep *s)
{
    pid_t workers[WORKERS_MAX];
    fflush(stdout);
    for (unsigned i = 0; i < s->o->workers; i++) {
        workers[i] = fork();
        if (workers[i] == 0)
            _exit(work(s, i));
    }
    return wait_for_workers(workers, s->o->workers);
}

struct sums {
    unsigned long points, pairs, lost, twice, other, ambiguous;
};

static void print_row(const char *name, const char *policy, const struct sums *t, double seconds,
                      const char *note)
{
    printf("%-10s %-6s %8lu %8lu %6lu %7lu %6lu %10lu %8.1f s%s\n", name, policy, t->points, t->pairs,
           t->lost, t->twice, t->other, t->ambiguous, seconds, note);
    fflush(stdout);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Returns an exit status. */
static int sweep_and_print(const struct options *o, const struct scenario *sc, enum policy policy,
                           struct tally *t, struct sums *all)
{
    memset(t, 0, sizeof *t);
    double began = now();
    const struct sweep s = {o, sc, policy, t, o->seconds != 0 ? time(NULL) + (time_t)o->seconds : 0};
    if (!sweep(&s)) {
        printf("%-10s could not be tried: %s\n", sc->name, t->failed ? t->why : "a worker failed");
        return t->failed ? SKIPPED : 2;
    }
    const struct sums row = {t->points, t->pairs, t->lost, t->twice, t->other, t->ambiguous};
    print_row(sc->name, policy == POLICY_HOLD ? "hold" : "retry", &row, now() - began,
              t->out_of_time ? "  (cut short)" : "");
    all->points += row.points;
    all->pairs += row.pairs;
    all->lost += row.lost;
    all->twice += row.twice;
    all->other += row.other;
    all->ambiguous += row.ambiguous;
    return row.lost + row.twice + row.other > 0 ? 1 : 0;
}

/* A full Btrfs of this size does not give room back for what was removed. */
static bool is_possible(const struct options *o, const struct scenario *s)
{
    return !s->fill || (disk_may_mount() && o->kind != DISK_BTRFS);
}

static int worst(int a, int b)
{
    static const int order[] = {1, 2, SKIPPED, 0};
    for (size_t i = 0; i < 4; i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return 2;
}

static int sweep_all(const struct options *o)
{
    struct sums all = {0};
    double began = now();
    int status = 0;
    struct tally *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED)
        return 2;
    printf("%s%s, every %lu. call\n%-10s %-6s %8s %8s %6s %7s %6s %10s %10s\n",
           o->kind == DISK_KILL ? "" : "power cut on ", disk_name(o->kind), o->stride, "scenario", "policy",
           "points", "pairs", "lost", "twice", "other", "ambiguous", "time");
    for (size_t i = 0; i < nscenarios; i++)
        for (int p = 0; p < 2; p++) {
            const struct scenario *s = &scenarios[i];
            if (trace_interrupted || !o->policies[p] || (o->only != NULL && o->only != s))
                continue;
            if (!is_possible(o, s))
                printf("%-10s is left out: no disk that can be filled may be mounted here\n", s->name);
            else
                status = worst(status, sweep_and_print(o, s, (enum policy)p, t, &all));
        }
    print_row("all", "", &all, now() - began, trace_interrupted ? "  (interrupted)" : "");
    munmap(t, sizeof *t);
    return trace_interrupted && status == 0 ? 2 : status;
}

/* FLOWSPOOL_BIN_DIR/flowspoold, as for the other tests; else that of the build this program is of. */
static const char *default_daemon(char *path, size_t size)
{
    const char *dir = getenv("FLOWSPOOL_BIN_DIR");
    char self[400];
    if (dir != NULL) {
        snprintf(path, size, "%s/flowspoold", dir);
        return path;
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    snprintf(path, size, "%s/../bin/flowspoold", self);
    return path;
}

int main(int argc, char **argv)
{
    struct options o;
    char daemon[500];
    int rc = options_parse(argc, argv, &o);
    if (rc >= 0)
        return rc;
    for (size_t i = 0; o.list && i < nscenarios; i++)
        printf("%-10s %s\n", scenarios[i].name, scenarios[i].about);
    if (o.list)
        return 0;
    if (o.workers > WORKERS_MAX)
        o.workers = WORKERS_MAX;
    if (o.daemon == NULL)
        o.daemon = default_daemon(daemon, sizeof daemon);
    if (access(o.daemon, X_OK) != 0) {
        fprintf(stderr, "flowspool-crash: %s: %s\n", o.daemon, strerror(errno));
        return 2;
    }
    trace_prepare();
    disk_namespace();
    return sweep_all(&o);
}
