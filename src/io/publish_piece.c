/* One file: compared with what lies there, else written aside with the right owner and mode. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/names.h"
#include "io/publish_internal.h"

enum {
    TEMP_TRIES = 16,
    CHUNK = 16 * 1024,
};

int temp_random(char *out, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t bits;
    ssize_t n;
    do
        n = getrandom(&bits, sizeof bits, 0);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof bits)
        return n < 0 ? -errno : -EAGAIN;
    for (size_t i = 0; i < count; i++, bits /= sizeof digits - 1)
        out[i] = digits[bits % (sizeof digits - 1)];
    return 0;
}

int temp_create(int dir, const char tag[TEMP_TAG], mode_t mode, char name[TEMP_SIZE])
{
    char candidate[TEMP_SIZE] = ".flowspool.XXXXXX";
    char *digits = candidate + TEMP_SIZE - 1 - TEMP_DIGITS;
    memcpy(digits, tag, TEMP_TAG);
    for (int i = 0; i < TEMP_TRIES; i++) {
        int err = temp_random(digits + TEMP_TAG, TEMP_DIGITS - TEMP_TAG);
        if (err)
            return err;
        int fd = openat(dir, candidate, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd >= 0) {
            memcpy(name, candidate, TEMP_SIZE);
            return fd;
        }
        if (errno != EEXIST && errno != EINTR)
            return -errno;
    }
    return -EEXIST;
}

int open_for_reading(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static ssize_t read_chunk(int fd, char *buf, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, buf + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

int copy_all(int from, int to)
{
    char buf[CHUNK];
    for (;;) {
        ssize_t n = read_chunk(from, buf, sizeof buf);
        if (n <= 0)
            return (int)n;
        int err = write_all(to, buf, (size_t)n);
        if (err)
            return err;
    }
}

bool same_content(int a, int b)
{
    char left[CHUNK], right[CHUNK];
    for (;;) {
        ssize_t n = read_chunk(a, left, sizeof left);
        if (n < 0 || read_chunk(b, right, sizeof right) != n || memcmp(left, right, (size_t)n) != 0)
            return false;
        if (n == 0)
            return true;
    }
}

static bool holds_bytes(int fd, const char *bytes, size_t len)
{
    char buf[CHUNK];
    for (;;) {
        ssize_t n = read_chunk(fd, buf, sizeof buf);
        if (n < 0 || (size_t)n > len || memcmp(buf, bytes, (size_t)n) != 0)
            return false;
        if (n == 0)
            return len == 0;
        bytes += n;
        len -= (size_t)n;
    }
}

static bool holds_piece(int fd, const struct piece *p)
{
    if (p->bytes)
        return holds_bytes(fd, p->bytes, p->len);
    int file = open(p->file, O_RDONLY | O_CLOEXEC);
    bool same = file >= 0 && same_content(fd, file);
    if (file >= 0)
        close(file);
    return same;
}

int piece_look(struct piece *p, int dir)
{
    struct stat st;
    if (fstatat(dir, p->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    p->replaces = true;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode) || (p->bytes && (uint64_t)st.st_size != p->len))
        return 0;
    int fd = open_for_reading(dir, p->name);
    if (fd < 0)
        return 0; /* not ours to read: replaced, after it was kept */
    p->present = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && holds_piece(fd, p);
    if (p->present)
        p->fd = fd;
    else
        close(fd);
    return 0;
}

/* The owner's group bits are for that group or the directory's; another group is everybody. */
static mode_t mode_for(uint32_t job_mode, bool group_fits)
{
    mode_t mode = (job_mode & 0666) | 0600;
    if (!group_fits)
        mode = (mode & ~(mode_t)0070) | (mode & ((mode & 0007) << 3));
    return mode;
}

/* A refusal is no error: the file then stays ours. */
static int give_to_owner(int fd, const struct publish_dir *dir, const struct op *owner)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    gid_t gid = st.st_gid;
    if (st.st_uid == owner->uid && gid == owner->gid)
        ;
    else if (fchown(fd, owner->uid, owner->gid) == 0)
        gid = owner->gid;
    else if (gid != dir->gid && fchown(fd, (uid_t)-1, dir->gid) == 0)
        gid = dir->gid;
    mode_t mode = mode_for(owner->mode, gid == owner->gid || gid == dir->gid);
    if (mode != (st.st_mode & 07777) && fchmod(fd, mode) != 0)
        return -errno;
    return 0;
}

static int write_content(const struct piece *p)
{
    if (p->bytes)
        return write_all(p->fd, p->bytes, p->len);
    int file = open(p->file, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    int err = copy_all(file, p->fd);
    close(file);
    return err;
}

int piece_write(struct piece *p, const struct publish_dir *dir, const struct op *owner)
{
    int fd = temp_create(dir->fd, dir->tag, mode_for(owner->mode, false), p->temp);
    if (fd < 0)
        return fd;
    p->fd = fd;
    int err = give_to_owner(fd, dir, owner);
    return err ? err : write_content(p);
}

void piece_start_sync(const struct piece *p)
{
    if (p->wanted && !p->present)
        sync_file_range(p->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a failure shows in the sync */
}

int piece_put(struct piece *p, struct publish_dir *dir)
{
    if (!p->present && renameat(dir->fd, p->temp, dir->fd, p->name) != 0)
        return -errno;
    p->temp[0] = '\0';
    dir->dirty = true; /* also when present: its rename may not have been synced */
    return 0;
}

void piece_drop(struct piece *p, int dir)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    p->present = false;
    if (p->temp[0] != '\0')
        unlinkat(dir, p->temp, 0);
    p->temp[0] = '\0';
}

void sweep_temporaries(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        if (name_classify(e->d_name) == NAME_OURS_TEMP)
            unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
}
