/* point - one crash: a fresh spool, a daemon that is struck at its Nth system call, the starts after it, and
 * what they kept. */
#ifndef FLOWSPOOL_CRASH_POINT_H
#define FLOWSPOOL_CRASH_POINT_H

#include "disk.h"
#include "promises.h"

struct bench { /* one process works at it */
    char base[128];
    char *daemon; /* the program */
    struct disk disk;
    struct shop shop;
};

struct point {
    const struct scenario *scenario;
    enum policy policy;
    unsigned long n; /* of the first run */
    unsigned long m; /* of the start after it; 0: that one is not struck */
};

struct point_end {
    bool reached_n, reached_m;
    long call; /* the one at which it was struck last */
    struct report report;
};

/* base: a directory of its own, which it removes. False: why tells the reason, and nothing is left. */
bool bench_open(struct bench *b, enum disk_kind kind, const char *daemon, char *why, size_t size);
void bench_close(struct bench *b);
void point_run(struct bench *b, const struct point *p, struct point_end *end);

#endif
