/* Which jobs are meant. A name that nobody has yet is waited for; a glob stands for what fits it now. */
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/select.h"
#include "cli/waiting_internal.h"
#include "core/names.h"
#include "io/beneath.h"

/* A pattern of so many directories is no spool's. */
#define DEPTH_MAX 16

struct naming {
    struct waiting *w;
    struct selection selection;
    bool choosing; /* all were seen: now they are taken */
    bool no_memory;
};

static bool is_glob(const char *text)
{
    return strpbrk(text, "*?[") != NULL;
}

/* ---- what is there ---- */

/* The word means the whole file, not one document of it. */
static bool means_file(const struct select_word *word, const struct job_row *r)
{
    const char *const texts[] = {word->text, word->here};
    for (size_t i = 0; i < 2; i++)
        if (texts[i] != NULL && strncmp(texts[i], r->path, strlen(r->path)) == 0)
            return true;
    return fnmatch(word->text, r->path, FNM_PATHNAME) == 0;
}

static bool on_job(void *arg, const struct job_row *r)
{
    struct naming *n = arg;
    const struct select_word *by;
    if (!n->choosing) {
        select_see(&n->selection, r);
        return true;
    }
    if (!select_job(&n->selection, r, &by) || by == NULL)
        return true;
    char *stem = r->document > 0 && !means_file(by, r) ? strdup(r->stem) : NULL;
    bool copied = stem != NULL || r->document == 0 || means_file(by, r);
    if (!copied || !waiting_add(n->w, strdup(r->path), stem, false))
        n->no_memory = true;
    return !n->no_memory;
}

/* Refused files have no rows, and what the daemon has not seen yet is only there. */
static void on_file(struct naming *n, const char *path)
{
    char *stem = strndup(path, name_stem_len(path)), *job = strndup(path, name_job_len(path));
    if (stem != NULL && job != NULL)
        on_job(n, &(struct job_row){.path = job, .stem = stem});
    else
        n->no_memory = true;
    free(stem);
    free(job);
}

static void on_directory(struct naming *n, const char *path, int depth);

static void on_entry(struct naming *n, const char *path, const struct dirent *e, int depth)
{
    char *inside = NULL;
    if (asprintf(&inside, "%s%s%s", path, path[0] != '\0' ? "/" : "", e->d_name) < 0) {
        n->no_memory = true;
        return;
    }
    enum name_kind kind = name_classify(e->d_name);
    if (kind == NAME_JOB || kind == NAME_HELD_JOB)
        on_file(n, inside);
    else if (depth > 0 && name_is_scanned_dir(e->d_name) && (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN))
        on_directory(n, inside, depth - 1);
    free(inside);
}

static void on_directory(struct naming *n, const char *path, int depth)
{
    int fd = beneath_open(n->w->root, path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (const struct dirent *e; !n->no_memory && (e = readdir(dir)) != NULL;)
        on_entry(n, path, e, depth);
    closedir(dir);
}

/* Only globs ask what is there: how deep, or -1 for not at all. */
static int depth_of(const struct selection *s)
{
    int depth = -1;
    for (size_t i = 0; i < s->count; i++) {
        int slashes = 0;
        for (const char *p = s->words[i].text; *p != '\0'; p++)
            slashes += *p == '/';
        if (is_glob(s->words[i].text) && slashes > depth)
            depth = slashes;
    }
    return depth < DEPTH_MAX ? depth : DEPTH_MAX;
}

/* False: it was said why. */
static bool see_all(struct naming *n)
{
    struct store *store = NULL;
    if (!waiting_open_state(n->w->cfg, &store))
        return false;
    for (int pass = 0; pass < 2 && !n->no_memory; pass++) {
        n->choosing = pass == 1;
        if (store != NULL)
            store_list(store, -1, NULL, on_job, n);
        int depth = depth_of(&n->selection);
        if (depth >= 0)
            on_directory(n, "", depth);
    }
    return store == NULL || cli_close(store);
}

/* ---- what is not there yet ---- */

static bool is_there(const struct waiting *w, const char *path)
{
    int fd = beneath_open(w->root, path, O_PATH);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool add_unseen(struct naming *n, const struct select_word *word)
{
    bool here = word->here != NULL && (is_there(n->w, word->here) || !is_there(n->w, word->text));
    const char *name = here ? word->here : word->text;
    size_t outcome = name_outcome_stem_len(name), file = name_job_len(name);
    if (outcome > 0)
        return waiting_add(n->w, NULL, strndup(name, outcome), true);
    if (name_stem_len(name) < strlen(name))
        return waiting_add(n->w, strndup(name, file), NULL, false);
    return waiting_add(n->w, NULL, strdup(name), false);
}

/* False: it was said why. */
static bool add_word(struct naming *n, const struct select_word *word)
{
    if (word->best == SELECT_DIGEST && word->ambiguous) {
        cli_complain("\"%s\" begins the digests of different requests: give more digits", word->given);
        return false;
    }
    if (word->best != SELECT_NOTHING)
        return true;
    if (is_glob(word->text)) {
        cli_complain("no job matches \"%s\"", word->given);
        return false;
    }
    n->no_memory = !add_unseen(n, word) || n->no_memory;
    return true;
}

/* ---- each once ---- */

static int compare(const void *a, const void *b)
{
    const struct target *x = a, *y = b;
    int order = strcmp(x->path != NULL ? x->path : "", y->path != NULL ? y->path : "");
    return order != 0 ? order : strcmp(x->stem != NULL ? x->stem : "", y->stem != NULL ? y->stem : "");
}

/* A whole file comes before its documents, and makes up for them. */
static bool is_in(const struct target *t, const struct target *before)
{
    if (compare(t, before) == 0)
        return true;
    return t->path != NULL && before->path != NULL && strcmp(t->path, before->path) == 0 &&
           before->stem == NULL;
}

static void drop_doubles(struct waiting *w)
{
    size_t kept = 0;
    if (w->count > 1)
        qsort(w->targets, w->count, sizeof *w->targets, compare);
    for (size_t i = 0; i < w->count; i++) {
        struct target *t = &w->targets[i];
        if (kept > 0 && is_in(t, &w->targets[kept - 1])) {
            free(t->path);
            free(t->stem);
        } else {
            w->targets[kept++] = *t;
        }
    }
    w->count = kept;
}

int waiting_add_words(struct waiting *w, char *const *words, size_t count)
{
    struct naming n = {.w = w};
    bool ok = true;
    if (!select_open(&n.selection, words, count, w->cfg->spool))
        n.no_memory = true;
    else
        ok = see_all(&n);
    for (size_t i = 0; ok && !n.no_memory && i < n.selection.count; i++)
        ok = add_word(&n, &n.selection.words[i]);
    select_close(&n.selection);
    if (n.no_memory)
        cli_complain("out of memory");
    drop_doubles(w);
    return ok && !n.no_memory ? CLI_OK : CLI_USAGE;
}
