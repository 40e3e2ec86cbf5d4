/* The order of the steps, which is the promise (a crash may come between any two):
 *
 *   1. write all temporaries        nothing has changed
 *   2. sync them                    nothing has changed
 *   3. keep the old results, sync   they have two names
 *   4. rename, sync the directories the new outcomes are there for good
 *   5. remove what is left, sync    the other kind, a renamed job's old names
 *
 * Each step is taken for the whole batch before the next; a task that fails takes no further step. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/names.h"
#include "io/beneath.h"
#include "io/publish_internal.h"

/* A disk that loses what it accepted stops the program; all else may get better. */
void op_fail(struct op *op, int err, const char *what, const char *name)
{
    char shown[80], reason[64];
    const char *text = err == -EISDIR ? "a directory is in the way" : strerror_r(-err, reason, sizeof reason);
    op->over = true;
    op->result.rc = err == -EIO ? PUBLISH_SYNC_FAILED : PUBLISH_TRY_LATER;
    op->result.err = -err;
    op->result.moved[0] = '\0';
    snprintf(op->result.detail, sizeof op->result.detail, "%s %s: %s", what,
             name_escape(name, shown, sizeof shown), text);
}

static void op_sync_failed(struct op *op, int err, const char *name)
{
    op_fail(op, err, "cannot sync", name);
    op->result.rc = PUBLISH_SYNC_FAILED;
}

char *op_name(struct op *op, const char *prefix, const char *suffix)
{
    size_t size = strlen(prefix) + strlen(suffix) + 1;
    char *name = malloc(size);
    if (!name) {
        op_fail(op, -ENOMEM, "cannot publish", prefix);
        return NULL;
    }
    snprintf(name, size, "%s%s", prefix, suffix);
    return name;
}

/* ---- directories ---- */

/* Takes fd and path over. */
static struct publish_dir *add_dir(struct batch *b, int fd, char *path, int *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        *err = -errno;
        close(fd);
        free(path);
        return NULL;
    }
    struct publish_dir *dir = &b->dirs[b->ndirs++];
    *dir = (struct publish_dir){.path = path, .fd = fd, .tag = b->tag, .gid = st.st_gid};
    return dir;
}

struct publish_dir *batch_dir(struct batch *b, const char *path, size_t len, int *err)
{
    for (size_t i = 0; i < b->ndirs; i++) {
        const char *known = b->dirs[i].path;
        if (known && strncmp(known, path, len) == 0 && known[len] == '\0')
            return &b->dirs[i];
    }
    *err = -ENOMEM;
    char *copy = strndup(path, len);
    if (!copy)
        return NULL;
    int fd = beneath_open(b->spool_fd, copy, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        *err = fd;
        free(copy);
        return NULL;
    }
    return add_dir(b, fd, copy, err);
}

static int open_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Some file systems have no sync for directories, and need none. */
static bool is_sync_failure(int err)
{
    return err && err != -EINVAL && err != -ENOSYS && err != -EOPNOTSUPP;
}

static int sync_directory(int fd)
{
    int err = fsync(fd) == 0 ? 0 : -errno;
    return is_sync_failure(err) ? err : 0;
}

/* The new directory's own name must last too: results are about to be moved below it. */
static int make_superseded_dir(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    const char *slash = strrchr(path, '/');
    size_t len = slash && slash > path ? (size_t)(slash - path) : 0;
    char *parent = len > 0 ? strndup(path, len) : strdup(slash ? "/" : ".");
    if (!parent)
        return -ENOMEM;
    int fd = open_directory(parent);
    free(parent);
    if (fd < 0)
        return fd;
    int err = sync_directory(fd);
    close(fd);
    return err;
}

struct publish_dir *batch_superseded_dir(struct batch *b, bool create, int *err)
{
    for (size_t i = 0; i < b->ndirs; i++)
        if (!b->dirs[i].path)
            return &b->dirs[i];
    int fd = open_directory(b->superseded_dir);
    if (fd == -ENOENT && create) {
        fd = make_superseded_dir(b->superseded_dir);
        if (!fd)
            fd = open_directory(b->superseded_dir);
    }
    if (fd < 0) {
        *err = fd;
        return NULL;
    }
    return add_dir(b, fd, NULL, err);
}

/* ---- step 1: write ---- */

static void open_target(struct batch *b, struct op *op, size_t len)
{
    int err;
    op->dir = op->superseded_name ? batch_superseded_dir(b, true, &err) : batch_dir(b, op->stem, len, &err);
    if (!op->dir)
        op_fail(op, err, "cannot open the directory of", op->stem);
}

static void name_pieces(struct op *op, const char *base)
{
    if (op->superseded_name) {
        op->outcome.name = op_name(op, base, "");
        op->body.name = op_name(op, base, BODY_SUFFIX);
        return;
    }
    op->outcome.name = op_name(op, base, op->success ? ".result.json" : ".error.json");
    op->other = op_name(op, base, op->success ? ".error.json" : ".result.json");
    op->body.name = op_name(op, base, ".error.body");
}

/* Closes and removes what is not in place yet. */
static void drop_pieces(struct op *op)
{
    int dir = op->dir ? op->dir->fd : -1;
    piece_drop(&op->outcome, dir);
    piece_drop(&op->body, dir);
}

/* Half a file on a full disk goes at once: the rest of the batch may fit. */
static void write_one(struct op *op, struct piece *p)
{
    int err = piece_write(p, op->dir, op);
    if (!err)
        return;
    op_fail(op, err, "cannot write", p->name);
    drop_pieces(op);
}

static void look_and_write(struct op *op, struct piece *p)
{
    if (op->over || !p->wanted)
        return;
    int err = piece_look(p, op->dir->fd);
    if (err)
        op_fail(op, err, "cannot replace", p->name);
    else if (!p->present)
        write_one(op, p);
}

static void write_op(struct batch *b, struct op *op)
{
    if (op->renamed || op->keep)
        source_load(b, op);
    if (op->over)
        return;
    if (op->keep) {
        op->dir = op->source_dir;
        return;
    }
    const char *slash = strrchr(op->stem, '/');
    open_target(b, op, slash ? (size_t)(slash - op->stem) : 0);
    if (!op->over)
        name_pieces(op, slash ? slash + 1 : op->stem);
    look_and_write(op, &op->outcome);
    look_and_write(op, &op->body);
}

/* ---- step 2: sync ---- */

/* After a failed sync the kernel may have dropped the bytes and say so only once: they go to a new file. */
static int write_again(struct op *op, struct piece *p)
{
    piece_drop(p, op->dir->fd);
    int err = piece_write(p, op->dir, op);
    if (!err && fsync(p->fd) != 0)
        err = -errno;
    return err;
}

static bool is_full(int err)
{
    return err == -ENOSPC || err == -EDQUOT;
}

static void after_sync(struct op *op, struct piece *p, int err)
{
    if (err && !op->over && !is_full(err))
        err = write_again(op, p);
    if (!err || op->over)
        return;
    if (is_full(err))
        op_fail(op, err, "cannot write", p->name);
    else
        op_sync_failed(op, err, p->name);
}

static void start_syncs(struct op *op)
{
    piece_start_sync(&op->outcome);
    piece_start_sync(&op->body);
}

static void sync_pieces(struct batch *b)
{
    int fds[SYNCS_MAX] = {0}, errs[SYNCS_MAX];
    struct piece *pieces[SYNCS_MAX];
    struct op *owners[SYNCS_MAX];
    size_t n = 0;
    for (struct op *op = b->ops; op; op = op->next) {
        struct piece *both[] = {&op->outcome, &op->body};
        for (size_t i = 0; i < 2 && !op->over; i++) {
            if (!both[i]->wanted)
                continue;
            owners[n] = op;
            pieces[n] = both[i];
            fds[n++] = both[i]->fd;
        }
    }
    sync_pool_run(b->pool, fds, errs, n);
    for (size_t i = 0; i < n; i++)
        after_sync(owners[i], pieces[i], errs[i]);
}

/* ---- steps 3 to 5 ---- */

static void fail_users(struct batch *b, const struct publish_dir *dir, int err)
{
    for (struct op *op = b->ops; op; op = op->next) {
        bool uses =
            op->dir == dir || op->source_dir == dir || op->stale_dir == dir || (op->kept && !dir->path);
        if (uses && !op->over)
            op_sync_failed(op, err, dir->path ? dir->path : b->superseded_dir);
    }
}

static void sync_dirs(struct batch *b)
{
    int fds[DIRS_MAX] = {0}, errs[DIRS_MAX];
    struct publish_dir *dirs[DIRS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->ndirs; i++) {
        if (!b->dirs[i].dirty)
            continue;
        b->dirs[i].dirty = false;
        dirs[n] = &b->dirs[i];
        fds[n++] = b->dirs[i].fd;
    }
    sync_pool_run(b->pool, fds, errs, n);
    for (size_t i = 0; i < n; i++)
        if (is_sync_failure(errs[i]))
            fail_users(b, dirs[i], errs[i]);
}

/* The body first: who sees the outcome finds it there. */
static void put_pieces(struct op *op)
{
    struct piece *both[] = {&op->body, &op->outcome};
    for (size_t i = 0; i < 2 && !op->over; i++) {
        int err = both[i]->wanted ? piece_put(both[i], op->dir) : 0;
        if (err)
            op_fail(op, err, "cannot replace", both[i]->name);
    }
}

static void remove_name(struct op *op, struct publish_dir *dir, const char *name)
{
    if (op->over)
        return;
    if (unlinkat(dir->fd, name, 0) == 0)
        dir->dirty = true;
    else if (errno != ENOENT && errno != EISDIR)
        op_fail(op, -errno, "cannot remove", name);
}

/* The name where an outcome lay before it was kept goes with it, if nothing else has taken it. */
static void remove_stale(struct op *op, const char *suffix, const char *kept, const char *new_name)
{
    const char *slash = strrchr(op->from_stem, '/');
    char *name = op->over ? NULL : op_name(op, slash ? slash + 1 : op->from_stem, suffix);
    struct stat st;
    if (!name)
        return;
    bool taken = op->stale_dir == op->dir && strcmp(name, new_name) == 0;
    if (!taken && fstatat(op->stale_dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        kept_before(op->stale_dir->fd, name, &st, op->source_dir->fd, kept) == 0)
        remove_name(op, op->stale_dir, name);
    free(name);
}

static void remove_leftovers(struct op *op)
{
    if (op->keep)
        return;
    if (op->stale_dir)
        remove_stale(op, op->success ? ".result.json" : ".error.json", op->source_name, op->outcome.name);
    if (op->stale_dir && op->source_body)
        remove_stale(op, ".error.body", op->source_body, op->body.name);
    if (op->remove_other)
        remove_name(op, op->dir, op->other);
    if (op->remove_body)
        remove_name(op, op->dir, op->body.name);
    bool in_place = op->source_dir == op->dir;
    if (op->source_body && !(in_place && strcmp(op->source_body, op->body.name) == 0))
        remove_name(op, op->source_dir, op->source_body);
    if (op->source_name && !(in_place && strcmp(op->source_name, op->outcome.name) == 0))
        remove_name(op, op->source_dir, op->source_name);
}

/* ---- the whole ---- */

static void close_dirs(struct batch *b)
{
    for (size_t i = 0; i < b->ndirs; i++) {
        close(b->dirs[i].fd);
        free(b->dirs[i].path);
    }
    b->ndirs = 0;
}

static void each_open(struct batch *b, void (*step)(struct op *op))
{
    for (struct op *op = b->ops; op; op = op->next)
        if (!op->over)
            step(op);
}

void batch_run(struct batch *b, struct op *ops)
{
    b->ops = ops;
    for (struct op *op = ops; op; op = op->next)
        write_op(b, op);
    each_open(b, start_syncs);
    sync_pieces(b);
    for (struct op *op = ops; op; op = op->next)
        if (!op->over)
            (op->keep ? keep_source : keep_old)(b, op);
    sync_dirs(b);
    each_open(b, put_pieces);
    sync_dirs(b);
    each_open(b, remove_leftovers);
    sync_dirs(b);
    for (struct op *op = ops; op; op = op->next)
        drop_pieces(op);
    close_dirs(b);
}
