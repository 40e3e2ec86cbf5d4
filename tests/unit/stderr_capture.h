/* What a test's code writes to stderr, as text. */
#ifndef FLOWSPOOL_TESTS_STDERR_CAPTURE_H
#define FLOWSPOOL_TESTS_STDERR_CAPTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tempdir.h"

struct capture {
    FILE *file;
    int stderr_fd;
};

static inline struct capture capture_begin(void)
{
    struct capture c = {.file = tmpfile(), .stderr_fd = dup(STDERR_FILENO)};
    TEMPDIR_MUST(c.file != NULL && c.stderr_fd >= 0);
    TEMPDIR_MUST(fcntl(fileno(c.file), F_SETFL, O_APPEND) == 0); /* as a log file is opened */
    TEMPDIR_MUST(dup2(fileno(c.file), STDERR_FILENO) >= 0);
    return c;
}

/* The text is good until the next capture ends. */
static inline const char *capture_end(struct capture *c)
{
    static char text[1 << 16];
    TEMPDIR_MUST(dup2(c->stderr_fd, STDERR_FILENO) >= 0);
    close(c->stderr_fd);
    ssize_t n = pread(fileno(c->file), text, sizeof text - 1, 0);
    TEMPDIR_MUST(n >= 0);
    text[n] = '\0';
    fclose(c->file);
    return text;
}

#endif
