/* The outcome of a job that was renamed, or that is to be kept: found, proved to be the job's own, and given
 * its new name in the text. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/outcome.h"
#include "io/publish_internal.h"

/* Reads a regular file whole. -ENOENT also for what is no file of ours: a link, a directory, something
 * endless. */
static int read_file(int dir, const char *name, char **bytes, size_t *len, struct stat *st)
{
    int fd = open_for_reading(dir, name);
    if (fd < 0)
        return fd == -ELOOP || fd == -ENXIO || fd == -ENODEV ? -ENOENT : fd;
    int err = fstat(fd, st) == 0 ? 0 : -errno;
    if (!err && (!S_ISREG(st->st_mode) || st->st_size > INT_MAX))
        err = -ENOENT;
    size_t size = err ? 0 : (size_t)st->st_size, n = 0;
    char *buf = err ? NULL : malloc(size + 1);
    if (!err && !buf)
        err = -ENOMEM;
    while (!err && n < size) {
        ssize_t got = read(fd, buf + n, size - n);
        if (got == 0)
            err = -EAGAIN; /* cut while it was read */
        else if (got > 0)
            n += (size_t)got;
        else if (errno != EINTR)
            err = -errno;
    }
    close(fd);
    if (err) {
        free(buf);
        return err;
    }
    buf[size] = '\0';
    *bytes = buf;
    *len = size;
    return 0;
}

static struct publish_dir *source_dir(struct batch *b, struct op *op)
{
    int err;
    struct publish_dir *dir;
    if (op->from_superseded) {
        dir = batch_superseded_dir(b, false, &err);
    } else {
        const char *slash = strrchr(op->from_stem, '/');
        dir = batch_dir(b, op->from_stem, slash ? (size_t)(slash - op->from_stem) : 0, &err);
    }
    if (!dir && err != -ENOENT && err != -ENOTDIR)
        op_fail(op, err, "cannot open the directory of",
                op->from_superseded ? op->from_superseded : op->from_stem);
    return dir;
}

/* Of an outcome that was kept a second name may be left. A directory that cannot be opened is no matter. */
static struct publish_dir *stale_dir(struct batch *b, const struct op *op)
{
    int err;
    if (!op->from_superseded || !op->from_stem)
        return NULL;
    const char *slash = strrchr(op->from_stem, '/');
    return batch_dir(b, op->from_stem, slash ? (size_t)(slash - op->from_stem) : 0, &err);
}

static bool rename_text(struct op *op, const char *text, size_t len)
{
    struct outcome_summary summary;
    if (!outcome_read(text, len, &summary))
        return false;
    bool own = strcmp(summary.request_sha256, op->request_sha256) == 0;
    op->success = summary.success;
    outcome_summary_free(&summary);
    if (!own || op->keep)
        return own;
    op->source_text = outcome_rename(text, len, op->job, op->document, &op->outcome.len);
    op->outcome.bytes = op->source_text;
    if (!op->source_text)
        op_fail(op, -ENOMEM, "cannot rename", op->source_name);
    return true;
}

/* true: this name is the outcome (or the task has failed). Takes name over. */
static bool try_name(struct op *op, char *name)
{
    char *text;
    size_t len;
    op->source_name = name;
    if (!name)
        return true; /* no memory: has failed */
    int err = read_file(op->source_dir->fd, name, &text, &len, &op->source_stat);
    if (!err) {
        bool taken = rename_text(op, text, len);
        free(text);
        if (taken)
            return true;
    } else if (err != -ENOENT) {
        op_fail(op, err, "cannot read", name);
        return true;
    }
    free(op->source_name);
    op->source_name = NULL;
    return false;
}

static bool find_outcome(struct op *op, const char *base)
{
    if (op->from_superseded)
        return try_name(op, op_name(op, op->from_superseded, ""));
    return try_name(op, op_name(op, base, ".result.json")) || try_name(op, op_name(op, base, ".error.json"));
}

static int look_at_file(int dir, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    return S_ISREG(st.st_mode) ? 0 : -ENOENT;
}

/* What is only kept is linked, whatever its bytes. */
static void load_body(struct op *op, const char *base)
{
    char *name = op->from_superseded ? op_name(op, op->from_superseded, BODY_SUFFIX)
                                     : op_name(op, base, ".error.body");
    struct stat st;
    if (!name)
        return;
    int err = op->keep ? look_at_file(op->source_dir->fd, name)
                       : read_file(op->source_dir->fd, name, &op->source_bytes, &op->body.len, &st);
    if (!err) {
        op->body.wanted = !op->keep;
        op->body.bytes = op->source_bytes;
        op->source_body = name;
        return;
    }
    if (err != -ENOENT)
        op_fail(op, err, "cannot read", name);
    free(name);
}

void source_load(struct batch *b, struct op *op)
{
    op->source_dir = source_dir(b, op);
    if (op->over)
        return;
    const char *slash = op->from_stem ? strrchr(op->from_stem, '/') : NULL;
    const char *base = slash ? slash + 1 : op->from_stem;
    if (!op->source_dir || !find_outcome(op, base)) {
        snprintf(op->result.detail, sizeof op->result.detail, "absent");
        op->over = true;
        return;
    }
    if (op->over)
        return;
    op->uid = op->source_stat.st_uid;
    op->gid = op->source_stat.st_gid;
    op->mode = op->source_stat.st_mode;
    op->stale_dir = stale_dir(b, op);
    if (!op->success)
        load_body(op, base);
}
