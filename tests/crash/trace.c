#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 5

volatile bool trace_interrupted;

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_interrupt(int number)
{
    (void)number;
    trace_interrupted = true;
}

/* Waking waitpid(2) is all it is for. */
static void on_tick(int number)
{
    (void)number;
}

void trace_prepare(void)
{
    struct sigaction a = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    a.sa_handler = on_tick;
    sigaction(SIGALRM, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Again and again: one that came just before a wait must not be the last. */
static void tick(int ms)
{
    const struct timeval every = {.tv_usec = ms * 1000};
    const struct itimerval t = {.it_interval = every, .it_value = every};
    setitimer(ITIMER_REAL, &t, NULL);
}

/* ---- the child ---- */

static void trace_all_calls(void)
{
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)};
    const struct sock_fprog program = {.len = 1, .filter = all};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) != 0 ||
        prctl(PR_SET_SECCOMP, (unsigned long)SECCOMP_MODE_FILTER, &program) != 0)
        _exit(126);
}

static void become(const struct trace_plan *p, bool traced)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0); /* an interrupt of a terminal is for the driver */
    signal(SIGPIPE, SIG_DFL);
    int nothing = open("/dev/null", O_RDWR);
    int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (nothing < 0 || log < 0 || dup2(nothing, 0) < 0 || dup2(nothing, 1) < 0 || dup2(log, 2) < 0)
        _exit(126);
    close(nothing);
    close(log);
    if (traced) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(126); /* somebody traces us: a stop would be for ever */
        raise(SIGSTOP);
        trace_all_calls();
    }
    execv(p->argv[0], p->argv);
    _exit(127);
}

/* ---- the stops ---- */

static bool is_event(int status, int event)
{
    return status >> 8 == (SIGTRAP | event << 8);
}

/* What has to be handed on to the thread so that it goes on. */
static int signal_to_deliver(int status)
{
    int number = WSTOPSIG(status);
    bool ours = status >> 16 != 0 || number == SIGTRAP || number == SIGSTOP; /* SIGSTOP: a thread begins */
    return ours ? 0 : number;
}

static long call_at(pid_t tid)
{
    struct __ptrace_syscall_info info;
    long n = ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof info, &info);
    return n > 0 && info.op == PTRACE_SYSCALL_INFO_SECCOMP ? (long)info.seccomp.nr : -1;
}

struct run {
    const struct trace_plan *plan;
    struct trace_end end;
    pid_t pid;
    int64_t until_ms, last_call_ms;
};

/* True: it is being killed. */
static bool look(struct run *r)
{
    int64_t now = now_ms();
    r->end.timed_out = now > r->until_ms;
    if (r->plan->watch != NULL && !r->end.timed_out)
        r->end.killed = r->plan->watch(r->plan->arg, r->pid, (int)(now - r->last_call_ms)) == TRACE_KILL;
    return r->end.timed_out || r->end.killed || trace_interrupted;
}

/* True: it is being killed. */
static bool on_call(struct run *r, pid_t tid)
{
    r->last_call_ms = now_ms();
    if (++r->end.calls != r->plan->kill_at)
        return false;
    r->end.struck = true;
    r->end.call = call_at(tid);
    if (r->plan->strike != NULL)
        r->plan->strike(r->plan->arg);
    return true;
}

/* Until every thread is gone, and with it its sockets and locks. */
static void reap(struct run *r)
{
    kill(r->pid, SIGKILL);
    for (;;) {
        pid_t tid = waitpid(-1, &r->end.status, __WALL);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0 || (tid == r->pid && !WIFSTOPPED(r->end.status)))
            return;
        if (WIFSTOPPED(r->end.status))
            ptrace(PTRACE_CONT, tid, NULL, NULL);
    }
}

static void follow(struct run *r)
{
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno != EINTR)
            return;
        bool ends = tid > 0 && !WIFSTOPPED(status);
        if (ends && tid == r->pid) {
            r->end.status = status;
            return;
        }
        if (!ends && tid > 0 && is_event(status, PTRACE_EVENT_SECCOMP) && on_call(r, tid))
            break;
        if (look(r))
            break;
        if (tid > 0 && !ends)
            ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signal_to_deliver(status));
    }
    reap(r);
}

struct trace_end trace_run(const struct trace_plan *p)
{
    struct run r = {.plan = p, .until_ms = now_ms() + RUN_SECONDS * 1000, .last_call_ms = now_ms()};
    int status;
    r.pid = fork();
    if (r.pid == 0)
        become(p, true);
    while (waitpid(r.pid, &status, __WALL) < 0 && errno == EINTR) {}
    if (!WIFSTOPPED(status)) {
        r.end.status = status;
        return r.end;
    }
    ptrace(PTRACE_SETOPTIONS, r.pid, NULL,
           (void *)(PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
                    PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL));
    ptrace(PTRACE_CONT, r.pid, NULL, NULL);
    tick(TICK_MS);
    follow(&r);
    tick(0);
    return r.end;
}

struct trace_end trace_plain(const struct trace_plan *p)
{
    struct run r = {.plan = p, .until_ms = now_ms() + RUN_SECONDS * 1000, .last_call_ms = now_ms()};
    r.pid = fork();
    if (r.pid == 0)
        become(p, false);
    tick(TICK_MS);
    while (waitpid(r.pid, &r.end.status, 0) < 0) {
        if (errno != EINTR || !look(&r))
            continue;
        kill(r.pid, SIGKILL);
        while (waitpid(r.pid, &r.end.status, 0) < 0 && errno == EINTR) {}
        break;
    }
    tick(0);
    return r.end;
}
