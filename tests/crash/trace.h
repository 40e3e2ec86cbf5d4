/* trace - runs a program and stops it for good at its Nth system call, whichever thread makes it.
 *
 * Every system call of every thread stops once, before it is done (ptrace with a seccomp filter that asks for
 * all of them: half the stops of PTRACE_SYSCALL). They are counted from the program's own execve, which is
 * number 1. The call at which it is struck is not done; other threads run on until SIGKILL reaches them, as
 * they do when the power goes.
 */
#ifndef FLOWSPOOL_CRASH_TRACE_H
#define FLOWSPOOL_CRASH_TRACE_H

#include <stdbool.h>
#include <sys/types.h>

enum trace_do { TRACE_GO_ON, TRACE_KILL };

struct trace_plan {
    char *const *argv;
    const char *log;           /* its stderr is added there */
    unsigned long kill_at;     /* 0: let it end by itself */
    void (*strike)(void *arg); /* just before SIGKILL; or NULL */
    /* At every stop, and every few ms without one; quiet_ms: how long no call was made. Or NULL. */
    enum trace_do (*watch)(void *arg, pid_t pid, int quiet_ms);
    void *arg;
};

struct trace_end {
    unsigned long calls;
    bool struck;    /* at kill_at */
    bool killed;    /* because watch said so */
    bool timed_out; /* it took longer than RUN_SECONDS and was killed */
    long call;      /* the number of the one at which it was struck */
    int status;     /* of waitpid(2) */
};

#define RUN_SECONDS 20

/* Set by SIGINT and SIGTERM: runs end at once, and so should the driver. */
extern volatile bool trace_interrupted;

void trace_prepare(void); /* once a process: signals and the clock */
struct trace_end trace_run(const struct trace_plan *p);
/* The same without counting, at full speed. */
struct trace_end trace_plain(const struct trace_plan *p);

#endif
