/* What the daemon may still read and write once it runs: see confine.h.
 *
 * A file that may be replaced, like the key, is read anew from its directory, so that is what stays readable:
 * of the name that was given, and of what it is a link to. Another directory, after SIGHUP, can be one of
 * these or beneath /etc; else the reload says that it cannot be read, and everything stays as it was.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine.h"
#include "io/confine.h"
#include "io/log.h"

#define READABLE_MAX 12

struct readable {
    char *paths[READABLE_MAX];
    size_t count;
};

static void add(struct readable *r, char *path)
{
    if (path != NULL && r->count < READABLE_MAX)
        r->paths[r->count++] = path;
    else
        free(path);
}

/* The directory; of what lies in the root directory, the file itself. */
static char *directory_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL)
        return strdup(".");
    return slash == file ? strdup(file) : strndup(file, (size_t)(slash - file));
}

static void add_directory_of(struct readable *r, const char *file)
{
    if (file == NULL || file[0] == '\0')
        return;
    add(r, directory_of(file));
    char *target = realpath(file, NULL);
    if (target != NULL)
        add(r, directory_of(target));
    free(target);
}

void engine_tell_confinement(const struct engine *e)
{
    if (e->confined[0] != '\0')
        log_line(LOG_INFO, NULL, "confined: %s", e->confined);
    else
        log_line(LOG_INFO, NULL, "not confined (confine: off)");
}

void engine_confine(struct engine *e)
{
    if (!e->cfg.confine)
        return;
    struct readable r = {0};
    add_directory_of(&r, e->opt.config_path);
    add_directory_of(&r, e->opt.api_key_file_option);
    add_directory_of(&r, e->cfg.api_key_file);
    add_directory_of(&r, e->cfg.ca_file);
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    if (credentials != NULL && credentials[0] != '\0')
        add(&r, strdup(credentials));
    char *logs = e->cfg.log_file[0] != '\0' ? directory_of(e->cfg.log_file) : NULL;
    const char *const writable[] = {e->cfg.spool, e->state_dir, logs};
    const struct confine c = {writable, sizeof writable / sizeof writable[0], (const char *const *)r.paths,
                              r.count};
    confine_self(&c, e->confined);
    for (size_t i = 0; i < r.count; i++)
        free(r.paths[i]);
    free(logs);
}
