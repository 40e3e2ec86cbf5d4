/* What spool.c and spool_scan.c share. */
#ifndef FLOWSPOOL_IO_SPOOL_INTERNAL_H
#define FLOWSPOOL_IO_SPOOL_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

struct spool {
    int fd;
    char *dir; /* absolute, links in it as the operator wrote them */
    dev_t dev;
    ino_t ino;
    const char *network; /* kind of network file system, or NULL */
};

#endif
