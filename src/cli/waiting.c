#include "cli/waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/waiting_internal.h"
#include "flowspool/flowspool.h"
#include "io/clock.h"

/* The state is looked at this often: right after an outcome came, when the state follows within a moment, and
 * then less and less; looks may take a tenth of the time. */
#define LOOK_FIRST_MS     20
#define LOOK_LAST_MS      1000
#define LOOK_SHARE        10
#define STATE_PATIENCE_MS 5000
/* So many names are said when time has run out. */
#define NAMED_MAX 10

struct waiting *waiting_open(const struct config *cfg)
{
    struct flowspool_error *error = NULL;
    struct waiting *w = calloc(1, sizeof *w);
    if (w == NULL) {
        cli_complain("out of memory");
        return NULL;
    }
    w->cfg = cfg;
    w->root = open(cfg->spool, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (flowspool_watch_open(cfg->spool, &w->watch, &error) == 0 && w->root >= 0)
        return w;
    cli_complain("%s", error != NULL ? flowspool_error_message(error) : strerror(errno));
    flowspool_error_free(error);
    waiting_close(w);
    return NULL;
}

static void free_target(struct target *t)
{
    for (size_t i = 0; i < t->njobs; i++)
        free(t->jobs[i].stem);
    free(t->jobs);
    free(t->path);
    free(t->stem);
}

void waiting_close(struct waiting *w)
{
    for (size_t i = 0; i < w->count; i++)
        free_target(&w->targets[i]);
    free(w->targets);
    flowspool_watch_close(w->watch);
    if (w->root >= 0)
        close(w->root);
    free(w);
}

bool waiting_add(struct waiting *w, char *path, char *stem, bool outcome)
{
    bool ok = path != NULL || stem != NULL;
    if (ok && w->count == w->room) {
        size_t room = w->room == 0 ? 16 : w->room * 2;
        struct target *targets = reallocarray(w->targets, room, sizeof *targets);
        ok = targets != NULL;
        if (ok) {
            w->targets = targets;
            w->room = room;
        }
    }
    if (!ok) {
        free(path);
        free(stem);
        return false;
    }
    w->targets[w->count++] = (struct target){.path = path, .stem = stem, .outcome = outcome};
    return true;
}

bool waiting_add_file(struct waiting *w, const char *path)
{
    return waiting_add(w, strdup(path), NULL, false);
}

/* ---- one look at all ---- */

/* A daemon that creates the state, or changes its form, locks it for a moment. */
bool waiting_open_state(const struct config *cfg, struct store **out)
{
    char message[512];
    int64_t until = clock_mono_ms() + STATE_PATIENCE_MS;
    for (;;) {
        enum store_rc rc = store_open_readonly(out, cfg->state_dir, message, sizeof message);
        if (rc == STORE_ABSENT)
            *out = NULL;
        if (rc == STORE_OK || rc == STORE_ABSENT)
            return true;
        if (rc == STORE_NEWER || clock_mono_ms() >= until)
            break;
        clock_sleep_ms(LOOK_FIRST_MS);
    }
    cli_complain("%s", message);
    return false;
}

/* An exit status. *told: how many have ended since. */
static int look_at_all(struct waiting *w, size_t *told)
{
    struct store *store = NULL;
    if (!waiting_open_state(w->cfg, &store))
        return CLI_USAGE;
    struct looking l = {.w = w, .store = store};
    for (size_t i = 0; i < w->count; i++)
        if (!w->targets[i].over)
            look_at(&l, &w->targets[i]);
    *told = l.told;
    if (l.no_memory)
        cli_complain("out of memory");
    bool read = store == NULL || cli_close(store);
    return read && !l.no_memory ? CLI_OK : CLI_USAGE;
}

static size_t left(const struct waiting *w)
{
    size_t count = 0;
    for (size_t i = 0; i < w->count; i++)
        count += !w->targets[i].over;
    return count;
}

static int say_what_is_missing(const struct waiting *w)
{
    size_t named = 0, missing = left(w);
    for (size_t i = 0; i < w->count && named < NAMED_MAX; i++) {
        const struct target *t = &w->targets[i];
        if (t->over)
            continue;
        cli_complain("%s has not ended", t->stem != NULL ? t->stem : t->path);
        named++;
    }
    if (missing > named)
        cli_complain("nor have %zu more", missing - named);
    return CLI_TIMEOUT;
}

/* ---- between two looks ---- */

/* Names that the library does not take are not waited for by events. */
static void watch_new_ones(struct waiting *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct target *t = &w->targets[i];
        if (t->watched || t->over)
            continue;
        flowspool_watch_add(w->watch, t->stem != NULL ? t->stem : t->path, NULL);
        t->watched = true;
    }
}

static bool one_came(struct waiting *w, int64_t ms)
{
    struct flowspool_outcome *outcome = NULL;
    const char *job = NULL;
    int rc = flowspool_watch_next(w->watch, ms < INT_MAX ? (int)ms : INT_MAX, &outcome, &job, NULL);
    flowspool_outcome_free(outcome);
    if (rc < 0 && job == NULL) /* every outcome has come, and the state does not say so yet */
        clock_sleep_ms(ms);
    return rc == 1 || job != NULL;
}

/* Until an outcome comes, but least_ms in any case. True: one came. */
static bool pass_time(struct waiting *w, int64_t least_ms, int64_t most_ms)
{
    int64_t begun = clock_mono_ms();
    if (!one_came(w, most_ms))
        return false;
    while (one_came(w, 0))
        ;
    int64_t passed = clock_mono_ms() - begun;
    if (passed < least_ms)
        clock_sleep_ms(least_ms - passed);
    return true;
}

static bool spool_is_there(const struct waiting *w)
{
    struct stat st;
    if (fstat(w->root, &st) != 0 || st.st_nlink > 0)
        return true;
    cli_complain("the spool %s was removed", w->cfg->spool);
    return false;
}

int waiting_run(struct waiting *w, int64_t timeout_ms, ended_fn ended, void *arg)
{
    int64_t begun = clock_mono_ms(), pause = LOOK_FIRST_MS;
    w->ended = ended;
    w->arg = arg;
    for (;;) {
        size_t told = 0;
        int64_t before = clock_mono_ms();
        watch_new_ones(w);
        int status = look_at_all(w, &told);
        if (status != CLI_OK || left(w) == 0)
            return status;
        if (!spool_is_there(w))
            return CLI_USAGE;
        int64_t now = clock_mono_ms(), least = (now - before) * LOOK_SHARE;
        if (timeout_ms >= 0 && now - begun >= timeout_ms)
            return say_what_is_missing(w);
        pause = told > 0 ? LOOK_FIRST_MS : pause;
        int64_t most = pause > least ? pause : least;
        if (timeout_ms >= 0 && most > timeout_ms - (now - begun))
            most = timeout_ms - (now - begun);
        bool came = pass_time(w, least < most ? least : most, most);
        pause = came ? LOOK_FIRST_MS : pause * 2 < LOOK_LAST_MS ? pause * 2 : LOOK_LAST_MS;
    }
}
