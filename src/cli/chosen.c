#include "cli/chosen.h"

#include <stdlib.h>
#include <string.h>

#include "core/names.h"

/* More words than these are rather looked for all at once. */
#define LOOKUPS_MAX 64
#define PAGE        1000

struct chosen_file {
    struct file_row file;
    struct job_row *jobs;
    size_t njobs;
};

static bool is_refused(const struct file_row *f)
{
    return f->state == FILE_CONFLICT && f->missing_ms == 0;
}

/* A refused file is named as a job is. */
static struct job_row as_job(const struct file_row *f)
{
    return (struct job_row){.path = f->path, .stem = f->path};
}

bool chosen_refused(struct store *s, bool (*refused)(void *arg, const struct file_row *f), void *arg)
{
    struct store_counts counts;
    char *after = NULL;
    bool more = true;
    if (!store_counts(s, &counts) || counts.refused == 0)
        return store_error(s) == NULL;
    for (;;) {
        size_t count = 0;
        struct file_row *rows = store_files_page(s, after, PAGE, &count);
        for (size_t i = 0; more && i < count; i++)
            if (is_refused(&rows[i]))
                more = refused(arg, &rows[i]);
        free(after);
        after = more && count > 0 ? strdup(rows[count - 1].path) : NULL;
        file_rows_free(rows, count);
        if (count == 0 || !more)
            return store_error(s) == NULL;
        if (after == NULL)
            return false;
    }
}

/* ---- looking up ---- */

static bool known_already(const struct chosen *c, int64_t file)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->files[i].file.id == file)
            return true;
    return false;
}

static void see(struct chosen *c, const struct chosen_file *f)
{
    const struct job_row whole = as_job(&f->file);
    if (is_refused(&f->file))
        select_see(c->words, &whole);
    for (size_t i = 0; i < f->njobs; i++)
        if (job_row_is_current(&f->jobs[i]))
            select_see(c->words, &f->jobs[i]);
}

static void look_up_path(struct chosen *c, const char *path)
{
    struct chosen_file f = {0};
    if (!store_file_by_path(c->store, path, &f.file))
        return;
    struct chosen_file *grown = NULL;
    if (!known_already(c, f.file.id)) {
        f.jobs = store_file_jobs(c->store, f.file.id, &f.njobs);
        grown = reallocarray(c->files, c->count + 1, sizeof *grown);
        c->no_memory = c->no_memory || grown == NULL;
    }
    if (grown == NULL) {
        job_rows_free(f.jobs, f.njobs);
        file_row_free(&f.file);
        return;
    }
    c->files = grown;
    c->files[c->count++] = f;
    see(c, &f);
}

static void look_up_stem(struct chosen *c, const char *stem)
{
    char *path = store_stem_owner(c->store, stem, 0);
    if (path != NULL)
        look_up_path(c, path);
    free(path);
}

static void look_up_part(struct chosen *c, const char *text, size_t len,
                         void (*look)(struct chosen *c, const char *name))
{
    char *part = strndup(text, len);
    c->no_memory = c->no_memory || part == NULL;
    if (part != NULL)
        look(c, part);
    free(part);
}

/* As a job file, held or not, as an outcome file, and as a name without ending. */
static void look_up(struct chosen *c, const char *text)
{
    size_t job = name_job_len(text), outcome = name_outcome_stem_len(text);
    look_up_path(c, text);
    look_up_stem(c, text);
    if (job < strlen(text))
        look_up_part(c, text, job, look_up_path);
    if (outcome > 0)
        look_up_part(c, text, outcome, look_up_stem);
}

/* Only what looking up finds can fit a word that well. */
static bool is_settled(const struct select_word *w)
{
    return w->best == SELECT_PATH || w->best == SELECT_HERE ||
           (w->best == SELECT_STEM && strpbrk(w->given, "*?[") == NULL);
}

static bool look_up_all(struct chosen *c)
{
    if (c->words->count > LOOKUPS_MAX)
        return false;
    bool settled = true;
    for (size_t i = 0; i < c->words->count && !c->no_memory; i++) {
        const struct select_word *w = &c->words->words[i];
        look_up(c, w->text);
        if (w->here != NULL)
            look_up(c, w->here);
        settled = settled && is_settled(w);
    }
    return settled && !c->no_memory;
}

/* ---- looking at all ---- */

static bool on_job_seen(void *arg, const struct job_row *r)
{
    const struct chosen *c = arg;
    select_see(c->words, r);
    return true;
}

static bool on_refused_seen(void *arg, const struct file_row *f)
{
    const struct job_row r = as_job(f);
    return on_job_seen(arg, &r);
}

static int by_path(const void *a, const void *b)
{
    const struct chosen_file *x = a, *y = b;
    return strcmp(x->file.path, y->file.path);
}

bool chosen_open(struct chosen *c, struct store *s, struct selection *words)
{
    *c = (struct chosen){.store = s, .words = words};
    c->looked_up = look_up_all(c);
    if (c->count > 1)
        qsort(c->files, c->count, sizeof *c->files, by_path);
    if (c->looked_up || c->no_memory)
        return !c->no_memory && store_error(s) == NULL;
    return store_list(s, -1, NULL, on_job_seen, c) && chosen_refused(s, on_refused_seen, c);
}

void chosen_close(struct chosen *c)
{
    for (size_t i = 0; i < c->count; i++) {
        job_rows_free(c->files[i].jobs, c->files[i].njobs);
        file_row_free(&c->files[i].file);
    }
    free(c->files);
    *c = (struct chosen){0};
}

/* ---- each ---- */

struct taking {
    const struct chosen *chosen;
    const struct chosen_take *take;
    bool more;
};

static bool on_job(void *arg, const struct job_row *r)
{
    struct taking *t = arg;
    const struct select_word *by;
    if (select_job(t->chosen->words, r, &by))
        t->more = t->take->job(t->take->arg, r);
    return t->more;
}

static bool on_refused(void *arg, const struct file_row *f)
{
    struct taking *t = arg;
    const struct select_word *by;
    const struct job_row r = as_job(f);
    if (select_job(t->chosen->words, &r, &by))
        t->more = t->take->refused(t->take->arg, f);
    return t->more;
}

static void take_found(struct taking *t)
{
    const struct chosen *c = t->chosen;
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; t->more && k < c->files[i].njobs; k++)
            if (job_row_is_current(&c->files[i].jobs[k]))
                on_job(t, &c->files[i].jobs[k]);
    for (size_t i = 0; t->more && i < c->count; i++)
        if (is_refused(&c->files[i].file))
            on_refused(t, &c->files[i].file);
}

bool chosen_each(struct chosen *c, const struct chosen_take *take)
{
    struct taking t = {.chosen = c, .take = take, .more = true};
    if (!c->looked_up)
        return store_list(c->store, -1, NULL, on_job, &t) &&
               (!t.more || chosen_refused(c->store, on_refused, &t));
    take_found(&t);
    return store_error(c->store) == NULL;
}
