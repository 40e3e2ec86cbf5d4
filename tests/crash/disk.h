/* disk - where the spool of a point lies, and the power cut.
 *
 * For kills a tmpfs (a plain directory where mounting is not allowed). For power cuts a real file system in a
 * loop device over memory: the cut is FS_IOC_SHUTDOWN without a flush of the log, and after it only what
 * reached the device is there. Btrfs has no such call in older kernels: there the daemon is killed, and what
 * the device held at that moment is put back after the file system was taken off.
 *
 * All mounts are in a namespace of the driver's own and all devices clear themselves: whatever ends the
 * driver, nothing stays behind.
 */
#ifndef FLOWSPOOL_CRASH_DISK_H
#define FLOWSPOOL_CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>

enum disk_kind { DISK_KILL, DISK_EXT4, DISK_XFS, DISK_BTRFS, DISK_KINDS };

struct disk {
    enum disk_kind kind;
    char path[128]; /* where it is mounted */
    bool mounted;
    int image, saved; /* memory; -1: none */
    int loop;
    char device[32];
    size_t size;
};

const char *disk_name(enum disk_kind kind);
/* Once a process, before any disk: false where mounting is not allowed. */
bool disk_namespace(void);
bool disk_may_mount(void);
/* path: an empty directory. False: why tells the reason, and nothing is left. */
bool disk_open(struct disk *d, enum disk_kind kind, const char *path, char *why, size_t size);
void disk_close(struct disk *d);
/* The power goes. The daemon is to be killed right after. */
void disk_cut(struct disk *d);
/* And comes back; no process may use the disk. False: it could not be mounted again. */
bool disk_back(struct disk *d);
/* All that lies there is durable. */
void disk_sync(const struct disk *d);
/* Leaves so many KiB free, by a file of that name at the top; false where that cannot be done. */
bool disk_fill(const struct disk *d, const char *name, unsigned long leave_kib);

#endif
