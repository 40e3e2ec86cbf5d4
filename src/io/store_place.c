/* Where outcomes lie. */
#include "io/store_internal.h"

int writer_vacate(struct writer *w, int64_t job, const char *stem, const char *moved)
{
    struct query q = query_on(&w->c, "UPDATE jobs SET placed = NULL,"
                                     " outcome = iif(state = 3, coalesce(outcome, ?3), outcome)"
                                     " WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_astray"
                                     "  WHERE " SQL_ASTRAY " AND placed = ?1) AND id <> ?2");
    query_name(&q, stem);
    query_int(&q, job);
    query_text(&q, moved);
    return query_run(&q);
}

struct place_op {
    struct op op;
    int64_t job;
    const char *name, *moved;
};

static int placed_exec(struct writer *w, struct op *base)
{
    const struct place_op *op = (const struct place_op *)base;
    int rc = writer_vacate(w, op->job, op->name, op->moved);
    if (rc != SQLITE_OK)
        return rc;
    struct query q = query_on(&w->c, "UPDATE jobs SET placed = ?, outcome = NULL WHERE id = ?");
    query_name(&q, op->name);
    query_int(&q, op->job);
    return query_run(&q);
}

static int kept_exec(struct writer *w, struct op *base)
{
    const struct place_op *op = (const struct place_op *)base;
    struct query q = query_on(&w->c, "UPDATE jobs SET outcome = ? WHERE id = ?");
    query_text(&q, op->name);
    query_int(&q, op->job);
    return query_run(&q);
}

/* A current job counts as placed where it belongs: it is not to be looked for again. */
static int collected_exec(struct writer *w, struct op *base)
{
    const struct place_op *op = (const struct place_op *)base;
    struct query q = query_on(&w->c, "UPDATE jobs SET placed = iif(" SQL_CURRENT
                                     ", stem, NULL), outcome = NULL WHERE id = ?");
    query_int(&q, op->job);
    return query_run(&q);
}

static void submit_place(struct store *s, int (*exec)(struct writer *, struct op *), int64_t job,
                         const char *name, const char *moved, store_done_fn done, void *arg)
{
    struct place_op *op = store_op(s, sizeof *op + packed_size(name) + packed_size(moved), exec, done, arg);
    if (op == NULL)
        return;
    char *at = (char *)(op + 1);
    op->job = job;
    op->name = pack_text(&at, name);
    op->moved = pack_text(&at, moved);
    store_submit(s, &op->op);
}

void store_placed(struct store *s, int64_t job, const char *stem, const char *moved, store_done_fn done,
                  void *arg)
{
    submit_place(s, placed_exec, job, stem, moved, done, arg);
}

void store_kept(struct store *s, int64_t job, const char *name, store_done_fn done, void *arg)
{
    submit_place(s, kept_exec, job, name, NULL, done, arg);
}

void store_collected(struct store *s, int64_t job, store_done_fn done, void *arg)
{
    submit_place(s, collected_exec, job, NULL, NULL, done, arg);
}
