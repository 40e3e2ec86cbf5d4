/* The engine as intake sees it: which jobs are in memory, and what a look changes about them. */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine.h"

static enum live_phase host_phase(void *arg, int64_t job)
{
    const struct engine *e = arg;
    const struct live *l = live_find(&e->live, job);
    if (place_is_under_way(e, job))
        return LIVE_PUBLISHING;
    if (l == NULL)
        return LIVE_NO;
    switch (l->step) {
    case STEP_CANDIDATE:
        return LIVE_CANDIDATE;
    case STEP_INTENT:
    case STEP_FLIGHT:
    case STEP_REPLY:
        return LIVE_IN_FLIGHT;
    case STEP_PUBLISH:
    case STEP_ROOM:
    case STEP_PARKED:
    case STEP_SETTLE:
        break;
    case STEP_BARRED:
        return LIVE_NO;
    }
    return LIVE_PUBLISHING;
}

static void host_drop(void *arg, int64_t job)
{
    struct engine *e = arg;
    struct live *l = live_find(&e->live, job);
    if (l != NULL && l->step == STEP_CANDIDATE)
        live_remove(&e->live, l);
    else if (l != NULL && l->step != STEP_BARRED)
        return;
    if (!live_bar(&e->live, job))
        engine_fatal(e, "out of memory while a job changed");
}

static void host_supersede(void *arg, int64_t job)
{
    struct engine *e = arg;
    struct live *l = live_find(&e->live, job);
    if (l != NULL && l->step != STEP_BARRED)
        l->superseded = true;
}

static void host_renamed(void *arg, int64_t job, const char *path, const char *stem, int document)
{
    struct engine *e = arg;
    struct live *l = live_find(&e->live, job);
    char *p = strdup(path);
    char *s = strdup(stem);
    if (l == NULL || l->step == STEP_BARRED || p == NULL || s == NULL) {
        free(p);
        free(s);
        return;
    }
    free(l->row.path);
    free(l->row.stem);
    l->row.path = p;
    l->row.stem = s;
    l->row.document = document;
    l->superseded = false;
}

static void host_changed(void *arg)
{
    struct engine *e = arg;
    e->reload = e->schedule_stale = true;
    place_look(e);
}

static void host_gate(void *arg, enum gate gate, bool closed, const char *why)
{
    engine_gate(arg, gate, closed, why);
}

static void host_refused(void *arg)
{
    struct engine *e = arg;
    e->run.refused++;
}

static void host_already_done(void *arg)
{
    struct engine *e = arg;
    e->run.already_done++;
}

struct intake_host engine_intake_host(struct engine *e)
{
    return (struct intake_host){
        e,         host_phase,   host_drop,        host_supersede, host_renamed, host_changed,
        host_gate, host_refused, host_already_done};
}
