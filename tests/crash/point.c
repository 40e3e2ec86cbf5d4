#include "point.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "trace.h"

/* A daemon that makes no system call for so long waits for somebody. */
#define QUIET_MS 40

static const char common_config[] = "settle: 0\n"
                                    "probe: 100ms\n"
                                    "connect_timeout: 2s\n"
                                    "request_timeout: 10s\n"
                                    "once_patience: 10s\n";

struct job { /* one point at work */
    struct bench *b;
    const struct point *p;
    struct place place;
    char spool[PATH_SIZE], config[PATH_SIZE], log[PATH_SIZE], scratch[PATH_SIZE], endpoint[64];
    bool signalled, filled, leaves; /* what watch() did */
    bool first_holds;               /* when the second daemon came */
    int second;                     /* its wait status */
    struct point_end *end;
    struct witness witnesses[3]; /* of the run before, the first, and the start after it */
    int count;
};

/* ---- the bench ---- */

static const char *scratch_root(void)
{
    const char *given = getenv("TMPDIR");
    if (given != NULL && given[0] != '\0')
        return given;
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

bool bench_open(struct bench *b, enum disk_kind kind, const char *daemon, char *why, size_t size)
{
    *b = (struct bench){.daemon = strdup(daemon)};
    snprintf(b->base, sizeof b->base, "%.90s/flowspool-crash-XXXXXX", scratch_root());
    if (b->daemon == NULL || mkdtemp(b->base) == NULL) {
        snprintf(why, size, "a directory in %s: %s", scratch_root(), strerror(errno));
        free(b->daemon);
        return false;
    }
    const char *mount_point = path_of(b->base, "disk");
    directory_make(mount_point, 0700);
    file_write(path_of(b->base, "key"), "a-key");
    if (!disk_open(&b->disk, kind, mount_point, why, size)) {
        tree_remove(b->base);
        free(b->daemon);
        return false;
    }
    if (shop_open(&b->shop))
        return true;
    snprintf(why, size, "the shop cannot be opened: %s", strerror(errno));
    disk_close(&b->disk);
    tree_remove(b->base);
    free(b->daemon);
    return false;
}

void bench_close(struct bench *b)
{
    shop_close(&b->shop);
    disk_close(&b->disk);
    tree_remove(b->base);
    free(b->daemon);
}

/* ---- daemons ---- */

static void write_config(const struct job *j, bool reloaded)
{
    char text[1024];
    const char *more = j->p->scenario->config;
    snprintf(text, sizeof text,
             "%s%sretry: {base: 1ms, cap: 2ms, max_attempts: 3, max_ambiguous: %d, on_ambiguous: %s}\n",
             common_config,
             reloaded       ? "max_concurrency: 8\nrescan: 30s\nstatus_file: true\n"
             : more != NULL ? more
                            : "",
             MAX_AMBIGUOUS, j->p->policy == POLICY_HOLD ? "hold" : "retry");
    file_write(j->config, text);
}

struct command {
    char *argv[16];
};

static struct command command(const struct job *j, bool once)
{
    static char key[PATH_SIZE];
    snprintf(key, sizeof key, "%s", path_of(j->b->base, "key"));
    return (struct command){{j->b->daemon, "-c", (char *)j->config, "--spool", (char *)j->spool, "--endpoint",
                             (char *)j->endpoint, "--api-key-file", key, once ? "--once" : NULL}};
}

static void check_end(struct job *j, const struct trace_end *e, const char *which, bool may_wait)
{
    struct report *r = &j->end->report;
    if (trace_interrupted)
        return;
    if (e->timed_out)
        breach(r, &r->other, "%s did not end in %d s", which, RUN_SECONDS);
    else if (WIFSIGNALED(e->status) && !e->struck && !e->killed)
        breach(r, &r->other, "%s died of signal %d", which, WTERMSIG(e->status));
    else if (WIFEXITED(e->status) && WEXITSTATUS(e->status) > 1 && !may_wait)
        breach(r, &r->other, "%s ended with status %d", which, WEXITSTATUS(e->status));
}

/* ---- what happens while it runs ---- */

static enum trace_do watch(void *arg, pid_t pid, int quiet_ms)
{
    struct job *j = arg;
    const struct scenario *s = j->p->scenario;
    bool time_has_come = s->at_posts > 0 && atomic_load(&j->b->shop.count->posts) >= s->at_posts;
    if (time_has_come && s->fill && !j->filled)
        j->filled = disk_fill(&j->b->disk, "ballast", 0) || true;
    if (time_has_come && s->signal != 0 && !j->signalled) {
        if (s->reload)
            write_config(j, true);
        j->signalled = kill(pid, s->signal) == 0;
    }
    return j->leaves && quiet_ms >= QUIET_MS ? TRACE_KILL : TRACE_GO_ON;
}

/* The first has come so far that nobody else may begin, and not so far that somebody may: it has the lock, or
 * the state open, for which it needs it. */
static bool is_locked(const struct job *j)
{
    if (access(path_of(j->spool, ".flowspool/state.db-wal"), F_OK) == 0)
        return true;
    int fd = open(path_of(j->spool, ".flowspool/lock"), O_RDWR | O_CLOEXEC);
    bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (fd >= 0)
        close(fd);
    return locked;
}

static void meet_second(struct job *j)
{
    struct command c = command(j, true);
    const struct trace_plan plan = {.argv = c.argv, .log = j->log};
    j->first_holds = is_locked(j);
    j->second = trace_plain(&plan).status;
    if (j->first_holds && !(WIFEXITED(j->second) && WEXITSTATUS(j->second) == 4) && !trace_interrupted)
        breach(&j->end->report, &j->end->report.other, "a second daemon at work beside the first: status %d",
               WIFEXITED(j->second) ? WEXITSTATUS(j->second) : -1);
}

static void strike(void *arg)
{
    const struct job *j = arg;
    disk_cut(&j->b->disk);
}

static void strike_first(void *arg)
{
    struct job *j = arg;
    if (j->p->scenario->second)
        meet_second(j);
    disk_cut(&j->b->disk);
}

/* ---- the steps of a point ---- */

static void prepare(struct job *j)
{
    const struct scenario *s = j->p->scenario;
    struct command c = command(j, true);
    struct trace_plan plan = {.argv = c.argv, .log = j->log, .watch = watch, .arg = j};
    if (s->prepare == PREPARE_NOTHING)
        return;
    if (s->in_the_way != NULL)
        directory_make(path_of(j->spool, s->in_the_way), 0700);
    j->leaves = s->prepare == PREPARE_KILLED;
    struct trace_end e = s->prepare == PREPARE_KILLED ? trace_run(&plan) : trace_plain(&plan);
    check_end(j, &e, "the run before", false);
    j->leaves = false;
    if (s->in_the_way != NULL && rmdir(path_of(j->spool, s->in_the_way)) != 0)
        breach(&j->end->report, &j->end->report.other, "%s was in the way and is not", s->in_the_way);
    if (e.killed && shop_settle(&j->b->shop))
        witness_take(&j->witnesses[j->count++], &j->place, &j->end->report);
    for (size_t i = 0; i < FILES_MAX && s->renames[i].name != NULL; i++)
        file_rename(j->spool, s->renames[i].name, s->renames[i].text);
    for (size_t i = 0; i < FILES_MAX && s->later[i].name != NULL; i++)
        file_put(j->spool, s->later[i].name, s->later[i].text);
}

static void set_up(struct job *j)
{
    const struct scenario *s = j->p->scenario;
    shop_settle(&j->b->shop);
    shop_reset(&j->b->shop);
    tree_remove(j->spool);
    unlink(path_of(j->b->disk.path, "ballast"));
    unlink(j->log);
    directory_make(j->spool, 0700);
    write_config(j, false);
    for (size_t i = 0; i < FILES_MAX && s->files[i].name != NULL; i++)
        file_put(j->spool, s->files[i].name, s->files[i].text);
    prepare(j);
    disk_sync(&j->b->disk);
}

/* The power is back. */
static void after_strike(struct job *j, const struct trace_end *e)
{
    struct report *r = &j->end->report;
    if (e->struck) {
        j->end->call = e->call;
        if (!disk_back(&j->b->disk)) {
            fprintf(stderr, "flowspool-crash: %s cannot be mounted again: %s\n", disk_name(j->b->disk.kind),
                    strerror(errno));
            exit(2);
        }
    }
    shop_settle(&j->b->shop);
    if (e->struck || e->killed)
        witness_take(&j->witnesses[j->count++], &j->place, r);
}

static void first_run(struct job *j)
{
    const struct scenario *s = j->p->scenario;
    struct command c = command(j, !s->stays);
    const struct trace_plan plan = {
        .argv = c.argv, .log = j->log, .kill_at = j->p->n, .strike = strike_first, .watch = watch, .arg = j};
    j->leaves = s->fill;
    struct trace_end e = trace_run(&plan);
    j->end->reached_n = e.struck;
    check_end(j, &e, "the run that was not struck", false);
    after_strike(j, &e);
}

/* The start after it: struck too, or on a disk that is full still. */
static void second_run(struct job *j)
{
    struct command c = command(j, true);
    const struct trace_plan plan = {
        .argv = c.argv, .log = j->log, .kill_at = j->p->m, .strike = strike, .watch = watch, .arg = j};
    if (j->p->m == 0 && !j->p->scenario->fill)
        return;
    if (j->p->scenario->fill)
        disk_fill(&j->b->disk, "ballast", 0);
    struct trace_end e = trace_run(&plan);
    j->end->reached_m = e.struck;
    check_end(j, &e, "the start that was not struck", j->p->scenario->fill);
    after_strike(j, &e);
}

static void last_run(struct job *j)
{
    struct command c = command(j, true);
    const struct trace_plan plan = {.argv = c.argv, .log = j->log};
    unlink(path_of(j->b->disk.path, "ballast"));
    struct trace_end e = trace_plain(&plan);
    check_end(j, &e, "the last start", false);
}

void point_run(struct bench *b, const struct point *p, struct point_end *end)
{
    struct job j = {.b = b, .p = p, .end = end};
    *end = (struct point_end){.call = -1};
    snprintf(j.spool, sizeof j.spool, "%s/spool", b->disk.path);
    snprintf(j.config, sizeof j.config, "%s/config.yaml", b->base);
    snprintf(j.log, sizeof j.log, "%s/log", b->base);
    snprintf(j.scratch, sizeof j.scratch, "%s/scratch", b->base);
    snprintf(j.endpoint, sizeof j.endpoint, "http://127.0.0.1:%d", b->shop.port);
    j.place = (struct place){j.spool, j.scratch, p->scenario, &b->shop, p->policy};
    set_up(&j);
    first_run(&j);
    j.signalled = true;
    second_run(&j);
    last_run(&j);
    if (trace_interrupted || !shop_settle(&b->shop))
        return;
    promises_check(&j.place, j.witnesses, j.count, &end->report);
}
