/* The last look at a job's file before its request: what is bought is what lies in the spool now, also where
 * events were lost, or while no daemon ran. The few system calls that it takes are nothing beside a request.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine.h"
#include "io/log.h"

/* Jobs of a directory whose files cannot be looked at wait this long; twice as long each time. */
#define PASS_OVER_MS     1000
#define PASS_OVER_MAX_MS (60 * 1000)

static size_t dir_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path);
}

static struct passed_dir *passed_find(struct engine *e, const char *path)
{
    size_t len = dir_len(path);
    for (size_t i = 0; i < e->npassed; i++) {
        const char *dir = e->passed[i].dir;
        if (strncmp(dir, path, len) == 0 && dir[len] == '\0')
            return &e->passed[i];
    }
    return NULL;
}

static void passed_remove(struct engine *e, struct passed_dir *p)
{
    free(p->dir);
    *p = e->passed[--e->npassed];
}

static struct passed_dir *passed_add(struct engine *e, const char *path)
{
    char *dir = e->npassed < PASSED_DIRS_MAX ? strndup(path, dir_len(path)) : NULL;
    if (dir == NULL)
        return NULL;
    log_line(LOG_WARN, path, "cannot be looked at: it is not sent, nor others of its directory; tried again");
    struct passed_dir *p = &e->passed[e->npassed++];
    *p = (struct passed_dir){.dir = dir, .wait_ms = PASS_OVER_MS / 2};
    return p;
}

/* No room to remember one more: then all wait. */
static void pass_over(struct engine *e, const char *path, int64_t now_ms)
{
    struct passed_dir *p = passed_find(e, path);
    if (p == NULL)
        p = passed_add(e, path);
    if (p == NULL) {
        e->passed_all_until_ms = now_ms + PASS_OVER_MS;
        return;
    }
    p->wait_ms = p->wait_ms * 2 < PASS_OVER_MAX_MS ? p->wait_ms * 2 : PASS_OVER_MAX_MS;
    p->until_ms = now_ms + p->wait_ms;
    p->asked = false;
}

bool precheck_waits(struct engine *e, const char *path, int64_t now_ms)
{
    const struct passed_dir *p = e->npassed > 0 ? passed_find(e, path) : NULL;
    return (p != NULL && p->until_ms > now_ms) || intake_is_busy(e->intake, path);
}

bool precheck_file(struct engine *e, struct live *l, int64_t now_ms)
{
    enum intake_file is = intake_check_file(e->intake, l->row.path, &l->row.sig);
    if (is == INTAKE_FILE_SAME) {
        struct passed_dir *p = e->npassed > 0 ? passed_find(e, l->row.path) : NULL;
        if (p != NULL)
            passed_remove(e, p);
        return true;
    }
    char *path = l->row.path; /* outlives the job: a look changes what is in memory */
    l->row.path = NULL;
    live_remove(&e->live, l);
    if (is == INTAKE_FILE_UNKNOWN || !intake_hint(e->intake, path))
        pass_over(e, path, now_ms);
    free(path);
    return false;
}

int64_t precheck_next(struct engine *e, int64_t now_ms)
{
    int64_t at = e->passed_all_until_ms > now_ms ? e->passed_all_until_ms : INT64_MAX;
    for (size_t i = 0; i < e->npassed; i++) {
        struct passed_dir *p = &e->passed[i];
        if (p->until_ms > now_ms) {
            at = p->until_ms < at ? p->until_ms : at;
        } else if (!p->asked) { /* the window passed over its jobs */
            p->asked = true;
            e->reload = true;
        }
    }
    return at;
}

void precheck_free(struct engine *e)
{
    while (e->npassed > 0)
        passed_remove(e, &e->passed[0]);
}
