/* Writes that concern files as such: gone or back, held, another signature, forgotten. */
#include "io/store_internal.h"

struct files_op {
    struct op op;
    int64_t missing_ms;
    size_t count;
    int64_t ids[];
};

static void submit_files(struct store *s, int (*exec)(struct writer *, struct op *), const int64_t *ids,
                         size_t count, int64_t missing_ms, store_done_fn done, void *arg)
{
    struct files_op *op = store_op(s, sizeof *op + count * sizeof *ids, exec, done, arg);
    if (op == NULL)
        return;
    op->missing_ms = missing_ms;
    op->count = count;
    for (size_t i = 0; i < count; i++)
        op->ids[i] = ids[i];
    store_submit(s, &op->op);
}

/* All jobs of the file, whatever their state: one in flight that comes back to the queue must find itself
 * blocked. */
static int set_block(struct writer *w, int64_t file, int bit, bool on)
{
    struct query q = query_on(&w->c, "UPDATE jobs SET blocked = (blocked & ~?1) | ?2"
                                     " WHERE file_id = ?3 AND (blocked & ?1) <> ?2");
    query_int(&q, bit);
    query_int(&q, on ? bit : 0);
    query_int(&q, file);
    return query_run(&q);
}

static int missing_exec(struct writer *w, struct op *base)
{
    const struct files_op *op = (const struct files_op *)base;
    int rc = SQLITE_OK;
    for (size_t i = 0; i < op->count && rc == SQLITE_OK; i++) {
        struct query q = query_on(&w->c, "UPDATE files SET missing_ms = ? WHERE id = ?");
        query_int(&q, op->missing_ms);
        query_int(&q, op->ids[i]);
        rc = query_run(&q);
        if (rc == SQLITE_OK)
            rc = set_block(w, op->ids[i], JOB_BLOCK_MISSING, op->missing_ms != 0);
    }
    return rc;
}

void store_files_missing(struct store *s, const int64_t *file_ids, size_t count, int64_t missing_ms,
                         store_done_fn done, void *arg)
{
    submit_files(s, missing_exec, file_ids, count, missing_ms, done, arg);
}

#define SQL_ENDED_JOBS "(SELECT id FROM jobs WHERE file_id = ? AND state NOT IN (1, 2))"

static int forget_file(struct writer *w, int64_t file)
{
    static const char *const deletions[] = {
        "DELETE FROM bodies WHERE job_id IN " SQL_ENDED_JOBS,
        "DELETE FROM attempts WHERE job_id IN " SQL_ENDED_JOBS,
        "DELETE FROM jobs WHERE id IN " SQL_ENDED_JOBS, /* others go when they end: store_settle */
        "DELETE FROM files WHERE id = ?",
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof deletions / sizeof deletions[0] && rc == SQLITE_OK; i++) {
        struct query q = query_on(&w->c, deletions[i]);
        query_int(&q, file);
        rc = query_run(&q);
    }
    return rc;
}

static int forget_exec(struct writer *w, struct op *base)
{
    const struct files_op *op = (const struct files_op *)base;
    int rc = SQLITE_OK;
    for (size_t i = 0; i < op->count && rc == SQLITE_OK; i++)
        rc = forget_file(w, op->ids[i]);
    return rc;
}

void store_files_forget(struct store *s, const int64_t *file_ids, size_t count, store_done_fn done, void *arg)
{
    submit_files(s, forget_exec, file_ids, count, 0, done, arg);
}

struct file_op {
    struct op op;
    int64_t file;
    bool set_held, held;
    struct file_sig sig;
};

static int file_exec(struct writer *w, struct op *base)
{
    const struct file_op *op = (const struct file_op *)base;
    struct query q =
        query_on(&w->c, "UPDATE files SET dev = ?, ino = ?, btime_ns = ?, size = ?, mtime_ns = ?,"
                        " held = coalesce(?, held) WHERE id = ?");
    query_int(&q, (int64_t)op->sig.dev);
    query_int(&q, (int64_t)op->sig.ino);
    query_int(&q, op->sig.btime_ns);
    query_int(&q, op->sig.size);
    query_int(&q, op->sig.mtime_ns);
    if (op->set_held)
        query_int(&q, op->held);
    else
        query_text(&q, NULL);
    query_int(&q, op->file);
    int rc = query_run(&q);
    if (rc == SQLITE_OK && op->set_held)
        rc = set_block(w, op->file, JOB_BLOCK_HOLD_FILE, op->held);
    return rc;
}

static void submit_file(struct store *s, const struct file_op *what, store_done_fn done, void *arg)
{
    struct file_op *op = store_op(s, sizeof *op, file_exec, done, arg);
    if (op == NULL)
        return;
    struct op head = op->op;
    *op = *what;
    op->op = head;
    store_submit(s, &op->op);
}

void store_file_held(struct store *s, int64_t file_id, bool held, const struct file_sig *sig,
                     store_done_fn done, void *arg)
{
    const struct file_op op = {.file = file_id, .set_held = true, .held = held, .sig = *sig};
    submit_file(s, &op, done, arg);
}

void store_file_sig(struct store *s, int64_t file_id, const struct file_sig *sig, store_done_fn done,
                    void *arg)
{
    const struct file_op op = {.file = file_id, .sig = *sig};
    submit_file(s, &op, done, arg);
}
