/* A disk that fails when a test says so, and counts what it is asked for: a file system between SQLite and
 * the real one, for the databases and logs of the store. */
#ifndef FLOWSPOOL_FAULTY_DISK_H
#define FLOWSPOOL_FAULTY_DISK_H

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "test_io_store.h"

enum fault { FAULT_NONE, FAULT_FULL, FAULT_QUOTA, FAULT_IO, FAULT_NO_ROOM_AT_SYNC };

static struct {
    _Atomic int log_write, log_sync, database_sync, read; /* enum fault */
    _Atomic int log_syncs, database_syncs, log_writes;    /* how many were asked for */
    _Atomic bool hold;                                    /* a sync of the log waits for go */
    sem_t held, go;
} disk;

struct faulty_file {
    sqlite3_file base;
    bool log;
    int last_errno;
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;

static sqlite3_file *real(sqlite3_file *f)
{
    return ((struct faulty_file *)f)->real;
}

static bool is_log(sqlite3_file *f)
{
    return ((struct faulty_file *)f)->log;
}

static int ff_close(sqlite3_file *f)
{
    return real(f)->pMethods->xClose(real(f));
}

static int ff_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
    if (disk.read == FAULT_IO)
        return SQLITE_IOERR_READ;
    return real(f)->pMethods->xRead(real(f), to, n, at);
}

static int ff_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    if (is_log(f)) {
        disk.log_writes++;
        switch ((enum fault)disk.log_write) {
        case FAULT_FULL:
            return SQLITE_FULL;
        case FAULT_QUOTA:
            ((struct faulty_file *)f)->last_errno = EDQUOT;
            return SQLITE_IOERR_WRITE;
        case FAULT_IO:
            ((struct faulty_file *)f)->last_errno = EIO;
            return SQLITE_IOERR_WRITE;
        default:
            break;
        }
    }
    return real(f)->pMethods->xWrite(real(f), from, n, at);
}

static int ff_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return real(f)->pMethods->xTruncate(real(f), size);
}

static int ff_sync(sqlite3_file *f, int flags)
{
    (*(is_log(f) ? &disk.log_syncs : &disk.database_syncs))++;
    if (is_log(f) && disk.hold) {
        sem_post(&disk.held);
        sem_wait(&disk.go);
    }
    switch ((enum fault)(is_log(f) ? disk.log_sync : disk.database_sync)) {
    case FAULT_IO:
        errno = EIO;
        return SQLITE_IOERR_FSYNC;
    case FAULT_NO_ROOM_AT_SYNC:
        errno = ENOSPC;
        return SQLITE_IOERR_FSYNC;
    default:
        return real(f)->pMethods->xSync(real(f), flags);
    }
}

static int ff_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}

static int ff_lock(sqlite3_file *f, int lock)
{
    return real(f)->pMethods->xLock(real(f), lock);
}

static int ff_unlock(sqlite3_file *f, int lock)
{
    return real(f)->pMethods->xUnlock(real(f), lock);
}

static int ff_reserved(sqlite3_file *f, int *out)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int ff_control(sqlite3_file *f, int op, void *arg)
{
    if (op == SQLITE_FCNTL_LAST_ERRNO) {
        *(int *)arg = ((struct faulty_file *)f)->last_errno;
        return SQLITE_OK;
    }
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int ff_sector(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int ff_device(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int ff_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}

static int ff_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void ff_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int ff_shm_unmap(sqlite3_file *f, int delete)
{
    return real(f)->pMethods->xShmUnmap(real(f), delete);
}

static const sqlite3_io_methods faulty_methods = {
    2,           ff_close,       ff_read,      ff_write,   ff_truncate, ff_sync,   ff_size,
    ff_lock,     ff_unlock,      ff_reserved,  ff_control, ff_sector,   ff_device, ff_shm_map,
    ff_shm_lock, ff_shm_barrier, ff_shm_unmap, NULL,       NULL,
};

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct faulty_file *f = (struct faulty_file *)file;
    (void)vfs;
    f->real = (sqlite3_file *)(f + 1);
    f->log = (flags & SQLITE_OPEN_WAL) != 0;
    f->last_errno = 0;
    int rc = real_vfs->xOpen(real_vfs, name, f->real, flags, out_flags);
    f->base.pMethods = f->real->pMethods != NULL ? &faulty_methods : NULL;
    return rc;
}

UNUSED static int install_faulty_disk(void **state)
{
    static sqlite3_vfs vfs;
    (void)state;
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "faulty";
    vfs.szOsFile = (int)sizeof(struct faulty_file) + real_vfs->szOsFile;
    vfs.xOpen = faulty_open;
    sem_init(&disk.held, 0, 0);
    sem_init(&disk.go, 0, 0);
    return sqlite3_vfs_register(&vfs, 1);
}

UNUSED static int mend(void **state)
{
    disk.log_write = disk.log_sync = disk.database_sync = disk.read = FAULT_NONE;
    return tear_down(state);
}

#endif
