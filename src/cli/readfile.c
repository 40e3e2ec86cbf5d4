#include "cli/readfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/jobfile.h"

static char *read_all(int fd, const char *name, size_t *len)
{
    char *bytes = NULL;
    size_t room = 0;
    *len = 0;
    for (;;) {
        if (*len + 1 >= room) {
            room = room == 0 ? 64 * 1024 : room * 2;
            char *grown = room <= 4 * JOB_FILE_MAX ? realloc(bytes, room) : NULL;
            if (grown == NULL)
                break;
            bytes = grown;
        }
        ssize_t n = read(fd, bytes + *len, room - *len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            cli_complain("%s: %s", name, strerror(errno));
            free(bytes);
            return NULL;
        }
        *len += (size_t)n;
        bytes[*len] = '\0';
        if (n == 0 && *len <= JOB_FILE_MAX)
            return bytes;
        if (*len > JOB_FILE_MAX)
            break;
    }
    cli_complain("%s: more than the 64 MiB that a job can have, or out of memory", name);
    free(bytes);
    return NULL;
}

char *read_file(const char *name, size_t *len)
{
    bool standard = strcmp(name, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        cli_complain("%s: %s", name, strerror(errno));
        return NULL;
    }
    char *bytes = read_all(fd, standard ? "standard input" : name, len);
    if (!standard)
        close(fd);
    return bytes;
}
