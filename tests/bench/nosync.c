/* flowspool-nosync - preloaded, makes every sync a success that does nothing: the same engine without
 * durability, for tests/bench/throughput.py to compare with. */
#include <fcntl.h>
#include <unistd.h>

int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int sync_file_range(int fd, off_t offset, off_t count, unsigned int flags)
{
    (void)fd;
    (void)offset;
    (void)count;
    (void)flags;
    return 0;
}
