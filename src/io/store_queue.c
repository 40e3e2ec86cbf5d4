/* Writes to the times of waiting jobs, orders about jobs, and the small values. */
#include <string.h>

#include "io/store_internal.h"

/* A night's not_before may make a million jobs due at once: in pieces, so that replies are not kept waiting.
 */
#define PROMOTE_MAX "4096"

struct times_op {
    struct op op;
    int64_t now_ms, jump_ms, latest_ms;
};

static int promote_exec(struct writer *w, struct op *base)
{
    const struct times_op *op = (const struct times_op *)base;
    struct query q = query_on(&w->c, "UPDATE jobs SET due_ms = 0 WHERE id IN"
                                     " (SELECT id FROM jobs INDEXED BY jobs_due WHERE " SQL_DUE
                                     "  AND due_ms <= ? ORDER BY due_ms LIMIT " PROMOTE_MAX ")");
    query_int(&q, op->now_ms);
    return query_run(&q);
}

void store_promote(struct store *s, int64_t now_ms, store_done_fn done, void *arg)
{
    struct times_op *op = store_op(s, sizeof *op, promote_exec, done, arg);
    if (op == NULL)
        return;
    op->now_ms = now_ms;
    store_submit(s, &op->op);
}

static int shift_exec(struct writer *w, struct op *base)
{
    const struct times_op *op = (const struct times_op *)base;
    struct query q = query_on(&w->c, "UPDATE jobs SET due_ms = max(1, min(due_ms + ?, ?)) WHERE id IN"
                                     " (SELECT id FROM jobs INDEXED BY jobs_backoff WHERE " SQL_BACKOFF ")");
    query_int(&q, op->jump_ms);
    query_int(&q, op->latest_ms);
    return query_run(&q);
}

void store_shift_backoff(struct store *s, int64_t jump_ms, int64_t latest_ms, store_done_fn done, void *arg)
{
    struct times_op *op = store_op(s, sizeof *op, shift_exec, done, arg);
    if (op == NULL)
        return;
    op->jump_ms = jump_ms;
    op->latest_ms = latest_ms;
    store_submit(s, &op->op);
}

struct mark_op {
    struct op op;
    int set, clear;
    size_t count;
    int64_t jobs[];
};

static int mark_exec(struct writer *w, struct op *base)
{
    const struct mark_op *op = (const struct mark_op *)base;
    int rc = SQLITE_OK;
    for (size_t i = 0; i < op->count && rc == SQLITE_OK; i++) {
        struct query q = query_on(&w->c, "UPDATE jobs SET blocked = (blocked & ~?1) |"
                                         " iif(state > 2, ?2 & 32, ?2 & 20) WHERE id = ?3");
        query_int(&q, op->clear);
        query_int(&q, op->set);
        query_int(&q, op->jobs[i]);
        rc = query_run(&q);
    }
    return rc;
}

void store_jobs_mark(struct store *s, const int64_t *jobs, size_t count, int set, int clear,
                     store_done_fn done, void *arg)
{
    struct mark_op *op = store_op(s, sizeof *op + count * sizeof *jobs, mark_exec, done, arg);
    if (op == NULL)
        return;
    op->set = set;
    op->clear = clear;
    op->count = count;
    memcpy(op->jobs, jobs, count * sizeof *jobs);
    store_submit(s, &op->op);
}

struct set_op {
    struct op op;
    const char *key, *value;
};

static int set_exec(struct writer *w, struct op *base)
{
    const struct set_op *op = (const struct set_op *)base;
    if (op->value == NULL) {
        struct query q = query_on(&w->c, "DELETE FROM meta WHERE key = ?");
        query_text(&q, op->key);
        return query_run(&q);
    }
    struct query q = query_on(&w->c, "INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)");
    query_text(&q, op->key);
    query_text(&q, op->value);
    return query_run(&q);
}

void store_set(struct store *s, const char *key, const char *value, store_done_fn done, void *arg)
{
    struct set_op *op = store_op(s, sizeof *op + packed_size(key) + packed_size(value), set_exec, done, arg);
    if (op == NULL)
        return;
    char *at = (char *)(op + 1);
    op->key = pack_text(&at, key);
    op->value = pack_text(&at, value);
    store_submit(s, &op->op);
}
