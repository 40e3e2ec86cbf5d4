/* A renamed job's outcome: found, proved to be the job's own, and given its new name in the text. */
#include <errno.h>
#include <fcntl.h>
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

static bool rename_text(struct op *op, const char *text, size_t len)
{
    struct outcome_summary summary;
    if (!outcome_read(text, len, &summary))
        return false;
    bool own = strcmp(summary.request_sha256, op->request_sha256) == 0;
    op->success = summary.success;
    outcome_summary_free(&summary);
    if (!own)
        return false;
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

static void load_body(struct op *op, const char *base)
{
    char *name =
        op->from_superseded ? op_name(op, op->from_superseded, ".body") : op_name(op, base, ".error.body");
    struct stat st;
    if (!name)
        return;
    int err = read_file(op->source_dir->fd, name, &op->source_bytes, &op->body.len, &st);
    if (!err) {
        op->body.wanted = true;
        op->body.bytes = op->source_bytes;
        op->source_body = name;
        return;
    }
    if (err != -ENOENT)
        op_fail(op, err, "cannot read", name);
    free(name);
}

static void forget(char **owned)
{
    free(*owned);
    *owned = NULL;
}

/* Loaded early: where another task took the name since, what has it now is not for this one to remove. */
static void look_again(struct op *op)
{
    struct stat st;
    if (op->source_dir && fstatat(op->source_dir->fd, op->source_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_dev == op->source_stat.st_dev && st.st_ino == op->source_stat.st_ino)
        return;
    forget(&op->source_name);
    forget(&op->source_body);
}

void source_load(struct batch *b, struct op *op)
{
    op->source_dir = source_dir(b, op);
    if (op->over)
        return;
    if (op->loaded) {
        look_again(op);
        return;
    }
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
    if (!op->success)
        load_body(op, base);
    op->loaded = !op->over;
}

/* What cannot be loaded now is tried again at its turn. */
void source_load_early(struct batch *b, struct op *op)
{
    source_load(b, op);
    op->source_dir = NULL; /* the batch's */
    if (!op->over)
        return;
    forget(&op->source_name);
    forget(&op->source_text);
    op->outcome.bytes = NULL;
    op->result = (struct publish_result){0};
    op->over = false;
}
