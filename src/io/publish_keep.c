/* What was paid for is kept: before a result or a body is replaced or removed, superseded_dir gets a link to
 * it, or a copy where it lies on another file system. The old name stays until the new outcome takes it.
 *
 * The name there follows from the file itself (its time and inode), not from chance: a task that is tried
 * again, also after a crash, finds what it kept before. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/publish_internal.h"

enum {
    NAME_SIZE = 256,
    NAME_TRIES = 16,
};

/* dir%story.20261123T220000Z-1a2b3c.result.json */
static void kept_name(char name[NAME_SIZE], const char *stem, const struct stat *st, int n,
                      const char *suffix)
{
    char tail[96], when[40] = "0";
    struct tm tm;
    if (gmtime_r(&st->st_mtime, &tm))
        strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm);
    int len = snprintf(tail, sizeof tail, ".%s-%llx", when, (unsigned long long)st->st_ino);
    if (n > 0)
        len += snprintf(tail + len, sizeof tail - (size_t)len, ".%d", n);
    snprintf(tail + len, sizeof tail - (size_t)len, "%s", suffix);

    size_t room = NAME_SIZE - sizeof BODY_SUFFIX - strlen(tail), stem_len = strlen(stem);
    if (stem_len > room) {
        stem_len = room;
        while (stem_len > 0 && ((unsigned char)stem[stem_len] & 0xC0) == 0x80)
            stem_len--; /* not through a character */
    }
    for (size_t i = 0; i < stem_len; i++)
        name[i] = stem[i] == '/' ? '%' : stem[i];
    memcpy(name + stem_len, tail, strlen(tail) + 1);
}

int kept_before(int dir, const char *name, const struct stat *st, int kept_dir, const char *kept)
{
    struct stat there;
    if (fstatat(kept_dir, kept, &there, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    if (there.st_dev == st->st_dev && there.st_ino == st->st_ino)
        return 0;
    if (!S_ISREG(there.st_mode) || there.st_size != st->st_size)
        return -EEXIST;
    int a = open_for_reading(dir, name), b = open_for_reading(kept_dir, kept);
    bool same = a >= 0 && b >= 0 && same_content(a, b);
    if (a >= 0)
        close(a);
    if (b >= 0)
        close(b);
    return same ? 0 : -EEXIST;
}

static int fill_copy(int from, int to)
{
    struct stat st;
    if (fstat(from, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EAGAIN; /* changed under our hands */
    int err = copy_all(from, to);
    if (err)
        return err;
    /* As the link would have it, as far as we may; superseded_dir lets nobody in. */
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (fchown(to, st.st_uid, st.st_gid) == 0)
        fchmod(to, (st.st_mode & 0666) | 0600);
    futimens(to, times);
    return fsync(to) == 0 ? 0 : -errno;
}

/* The names in superseded_dir are taken by this thread alone: a free one stays free. */
static int keep_copy(int dir, const char *name, const struct publish_dir *to_dir, const char *kept)
{
    char temp[TEMP_SIZE];
    int from = open_for_reading(dir, name);
    if (from < 0)
        return from;
    int to = temp_create(to_dir->fd, to_dir->tag, 0600, temp);
    if (to < 0) {
        close(from);
        return to;
    }
    int err = fill_copy(from, to);
    close(from);
    close(to);
    if (!err && renameat(to_dir->fd, temp, to_dir->fd, kept) != 0)
        err = -errno;
    if (err)
        unlinkat(to_dir->fd, temp, 0);
    return err;
}

static int keep_as(int dir, const char *name, const struct stat *st, const struct publish_dir *to,
                   const char *kept)
{
    int err = kept_before(dir, name, st, to->fd, kept);
    if (err != -ENOENT)
        return err;
    if (linkat(dir, name, to->fd, kept, 0) == 0)
        return 0;
    if (errno == EEXIST || errno == ENOENT)
        return -errno;
    return keep_copy(dir, name, to, kept); /* another file system, or one without links */
}

/* Whether it is there under some name: an outcome that was kept took its body along under its own. Only what
 * has a second name is looked for, and that is rare. */
static bool is_there(const struct publish_dir *to, const struct stat *st)
{
    if (st->st_nlink < 2)
        return false;
    int fd = openat(to->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(d)) != NULL;) {
        struct stat there;
        found = entry->d_ino == st->st_ino &&
                fstatat(to->fd, entry->d_name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
                there.st_dev == st->st_dev && there.st_ino == st->st_ino;
    }
    closedir(d);
    return found;
}

/* Puts the file into superseded_dir; moved (may be NULL) gets its name there. */
static int keep(struct batch *b, struct op *op, const char *name, const struct stat *st, const char *suffix,
                char *moved)
{
    int err = 0;
    struct publish_dir *to = batch_superseded_dir(b, true, &err);
    if (!to)
        return err;
    char kept[NAME_SIZE];
    bool there = !moved && is_there(to, st); /* a body: nobody asks for its name */
    for (int n = 0; !there && n < NAME_TRIES; n++) {
        kept_name(kept, op->stem, st, n, suffix);
        err = keep_as(op->dir->fd, name, st, to, kept);
        if (err != -EEXIST)
            break;
    }
    if (err)
        return err;
    to->dirty = true; /* also when kept before: that may not have been synced */
    op->kept = true;
    if (moved)
        memcpy(moved, kept, strlen(kept) + 1);
    return 0;
}

/* Whether something with this name must go (it is no directory); what was paid for is kept before. */
static bool make_way(struct batch *b, struct op *op, const char *name, bool paid, const char *suffix,
                     char *moved)
{
    struct stat st;
    if (fstatat(op->dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT)
            op_fail(op, -errno, "cannot look at", name);
        return false;
    }
    if (S_ISDIR(st.st_mode))
        return false;
    bool source =
        op->source_name && st.st_dev == op->source_stat.st_dev && st.st_ino == op->source_stat.st_ino;
    if (!paid || source || !S_ISREG(st.st_mode))
        return true;
    int err = keep(b, op, name, &st, suffix, moved);
    if (!err)
        return true;
    /* Gone by itself needs no keeping; but the place to keep it may be what is gone. */
    if (err != -ENOENT || fstatat(op->dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        op_fail(op, err, "cannot keep the old", name);
    return false;
}

static int keep_body(struct batch *b, struct op *op)
{
    struct stat st;
    int err;
    struct publish_dir *to = batch_superseded_dir(b, true, &err);
    if (!to)
        return err;
    if (fstatat(op->dir->fd, op->source_body, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    char *kept = op_name(op, op->result.moved, BODY_SUFFIX);
    if (!kept)
        return -ENOMEM;
    err = keep_as(op->dir->fd, op->source_body, &st, to, kept);
    free(kept);
    return err;
}

void keep_source(struct batch *b, struct op *op)
{
    int err = keep(b, op, op->source_name, &op->source_stat, op->success ? ".result.json" : ".error.json",
                   op->result.moved);
    if (!err && op->source_body)
        err = keep_body(b, op);
    if (err)
        op_fail(op, err, "cannot keep", op->source_name);
}

void keep_old(struct batch *b, struct op *op)
{
    bool aside = op->superseded_name != NULL;
    if (op->outcome.replaces && !op->outcome.present && (op->success || aside))
        make_way(b, op, op->outcome.name, true, ".result.json", op->result.moved);
    if (!op->over && op->other)
        op->remove_other = make_way(b, op, op->other, !op->success, ".result.json", op->result.moved);
    if (!op->over && !op->body.present && (op->body.replaces || !op->body.wanted))
        op->remove_body = make_way(b, op, op->body.name, true, ".error.body", NULL) && !op->body.wanted;
}
