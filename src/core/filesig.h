/* filesig - what a change of a file shows in. Pure. */
#ifndef FLOWSPOOL_CORE_FILESIG_H
#define FLOWSPOOL_CORE_FILESIG_H

#include <stdbool.h>
#include <stdint.h>

struct file_sig {
    uint64_t dev, ino;
    int64_t size, mtime_ns, btime_ns; /* btime 0: unknown */
};

/* The same file, and nobody has written to it. Btrfs, volumes and removable disks may have another number
 * after the next mount: where that differs, the same inode with the same time of birth is the same file. */
bool file_sig_same(const struct file_sig *a, const struct file_sig *b);

#endif
