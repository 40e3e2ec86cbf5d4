#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024)
/* FS_IOC_SHUTDOWN is the same for ext4, XFS and others; 2: without a flush of the log. */
#define SHUT_DOWN       _IOR('X', 125, uint32_t)
#define WITHOUT_A_FLUSH 2U
#define DEVICES_TRIED   16
#define UMOUNTS_TRIED   1000

static const struct {
    const char *name, *make;
    const char *options[6];
    long mib;
} kinds[DISK_KINDS] = {
    [DISK_KILL] = {.name = "kill", .mib = 40},
    [DISK_EXT4] = {"ext4", "mkfs.ext4", {"-q", "-F", "-m0", "-Elazy_itable_init=0,lazy_journal_init=0"}, 40},
    [DISK_XFS] = {"xfs", "mkfs.xfs", {"-q", "-f"}, 300},
    [DISK_BTRFS] = {"btrfs", "mkfs.btrfs", {"-q", "-f", "-msingle"}, 128},
};

static bool may_mount;

const char *disk_name(enum disk_kind kind)
{
    return kinds[kind].name;
}

bool disk_namespace(void)
{
    may_mount = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return may_mount;
}

bool disk_may_mount(void)
{
    return may_mount;
}

/* ---- the device ---- */

static int attach_free(struct disk *d)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;
    if (control >= 0)
        close(control);
    if (number < 0)
        return -1;
    snprintf(d->device, sizeof d->device, "/dev/loop%d", number);
    int fd = open(d->device, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -1;
    const struct loop_config c = {.fd = (uint32_t)d->image, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
    if (ioctl(fd, LOOP_CONFIGURE, &c) == 0)
        return fd;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

/* Others look for a free device too. */
static bool attach(struct disk *d)
{
    d->loop = -1;
    for (int i = 0; i < DEVICES_TRIED && d->loop < 0; i++) {
        d->loop = attach_free(d);
        if (d->loop < 0 && errno != EBUSY)
            break;
    }
    return d->loop >= 0;
}

static bool make(const struct disk *d)
{
    char path[64], *argv[10] = {0};
    int n = 0, status;
    pid_t pid;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), d->image);
    argv[n++] = (char *)kinds[d->kind].make;
    for (size_t i = 0; i < 6 && kinds[d->kind].options[i] != NULL; i++)
        argv[n++] = (char *)kinds[d->kind].options[i];
    argv[n] = d->kind == DISK_EXT4 ? path : (char *)d->device;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    int err = posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&quiet);
    if (err != 0)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool take_on(struct disk *d)
{
    d->mounted = mount(d->device, d->path, kinds[d->kind].name, 0, NULL) == 0;
    return d->mounted;
}

/* The kernel lets go of what a killed process had open a moment after its end was reported. */
static bool take_off(struct disk *d)
{
    const struct timespec moment = {.tv_nsec = 1000 * 1000};
    for (int i = 0; i < UMOUNTS_TRIED && d->mounted; i++) {
        d->mounted = umount2(d->path, 0) != 0;
        if (d->mounted)
            nanosleep(&moment, NULL);
    }
    return !d->mounted;
}

/* ---- life ---- */

static bool refuse(struct disk *d, const char *what, char *why, size_t size)
{
    snprintf(why, size, "%s: %s", what, strerror(errno));
    disk_close(d);
    return false;
}

static bool open_memory(struct disk *d, char *why, size_t size)
{
    char option[32];
    snprintf(option, sizeof option, "size=%ldm", kinds[DISK_KILL].mib);
    if (!may_mount)
        return true;
    d->mounted = mount("flowspool-crash", d->path, "tmpfs", 0, option) == 0;
    return d->mounted || refuse(d, "tmpfs", why, size);
}

bool disk_open(struct disk *d, enum disk_kind kind, const char *path, char *why, size_t size)
{
    *d = (struct disk){.kind = kind, .image = -1, .saved = -1, .loop = -1};
    snprintf(d->path, sizeof d->path, "%s", path);
    if (kind == DISK_KILL)
        return open_memory(d, why, size);
    errno = EPERM;
    if (!may_mount)
        return refuse(d, "mounting", why, size);
    d->size = (size_t)(kinds[kind].mib * MIB);
    d->image = memfd_create("flowspool-crash", MFD_CLOEXEC);
    if (d->image < 0 || ftruncate(d->image, (off_t)d->size) != 0)
        return refuse(d, "memory for a disk", why, size);
    if (kind == DISK_BTRFS)
        d->saved = memfd_create("flowspool-crash-saved", MFD_CLOEXEC);
    if (!attach(d))
        return refuse(d, "loop device", why, size);
    errno = ENOENT;
    if (!make(d))
        return refuse(d, kinds[kind].make, why, size);
    if (kind == DISK_EXT4)
        ioctl(d->loop, BLKFLSBUF, 0); /* it was made behind the device's back */
    return take_on(d) || refuse(d, "mount", why, size);
}

void disk_close(struct disk *d)
{
    if (d->mounted && umount2(d->path, 0) != 0)
        umount2(d->path, MNT_DETACH);
    d->mounted = false;
    if (d->loop >= 0)
        close(d->loop);
    if (d->image >= 0)
        close(d->image);
    if (d->saved >= 0)
        close(d->saved);
    d->loop = d->image = d->saved = -1;
}

/* ---- the power ---- */

void disk_cut(struct disk *d)
{
    uint32_t how = WITHOUT_A_FLUSH;
    if (d->kind != DISK_EXT4 && d->kind != DISK_XFS)
        return;
    int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, SHUT_DOWN, &how) != 0) {
        perror("flowspool-crash: FS_IOC_SHUTDOWN");
        abort();
    }
    close(fd);
}

/* Only what is there: the rest are holes in both. */
static bool copy_image(int from, int to, size_t size)
{
    off_t at = 0;
    if (ftruncate(to, 0) != 0 || ftruncate(to, (off_t)size) != 0)
        return false;
    for (;;) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO;
        at = lseek(from, data, SEEK_HOLE);
        off_t in = data, out = data;
        while (in < at)
            if (copy_file_range(from, &in, to, &out, (size_t)(at - in), 0) <= 0)
                return false;
    }
}

bool disk_back(struct disk *d)
{
    bool ok = true;
    if (d->kind == DISK_KILL)
        return true;
    if (d->kind == DISK_BTRFS)
        ok = copy_image(d->image, d->saved, d->size);
    ok = ok && take_off(d);
    if (d->kind == DISK_BTRFS)
        ok = ok && copy_image(d->saved, d->image, d->size) && ioctl(d->loop, BLKFLSBUF, 0) == 0;
    return ok && take_on(d);
}

void disk_sync(const struct disk *d)
{
    if (d->kind == DISK_KILL)
        return;
    int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0)
        abort();
    close(fd);
}

bool disk_fill(const struct disk *d, const char *name, unsigned long leave_kib)
{
    char path[256];
    struct statvfs v;
    if (!d->mounted || statvfs(d->path, &v) != 0)
        return false;
    long long room = (long long)v.f_bfree * (long long)v.f_frsize - (long long)leave_kib * 1024;
    snprintf(path, sizeof path, "%s/%s", d->path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    /* Metadata of the file needs room too: what does not fit is left. */
    bool ok = false;
    for (; room > 0 && !ok; room -= 64 * 1024)
        ok = fallocate(fd, 0, 0, room) == 0;
    close(fd);
    return ok;
}
