/* The store when the disk fails, when the program dies, and when a caller has a bug; and what its commits
 * cost.
 *
 * Disk faults come from a file system between SQLite and the real one, for databases and logs of the store.
 */
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include "test_io_store.h"

/* ---- the file system that fails ---- */

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

static int install_faulty_disk(void **state)
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

static int mend(void **state)
{
    disk.log_write = disk.log_sync = disk.database_sync = disk.read = FAULT_NONE;
    return tear_down(state);
}

/* ---- commits ---- */

static void all_that_waits_shares_one_sync(void **state)
{
    enum { WRITES = 500 };
    struct fixture *f = *state;
    struct answer a[WRITES];
    memset(a, 0, sizeof a);
    disk.log_syncs = 0;
    disk.hold = true;
    int before = answers;
    store_set(f->s, "k", "v", on_done, &a[0]);
    sem_wait(&disk.held); /* the first is being synced: the others queue up behind it */
    for (int i = 1; i < WRITES; i++)
        store_set(f->s, "k", "v", on_done, &a[i]);
    disk.hold = false;
    assert_int_equal(store_queued(f->s), WRITES);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(a[0].calls, 0); /* nothing is reported before it is durable */
    sem_post(&disk.go);
    wait_for_writes(f);
    assert_int_equal(disk.log_syncs, 2);
    for (int i = 0; i < WRITES; i++)
        assert_true(a[i].calls == 1 && a[i].order == before + i + 1);
}

static void write_log_pages(struct fixture *f, int jobs)
{
    static char body[64 * 1024];
    for (int i = 0; i < jobs; i++) {
        char stem[16], path[24];
        snprintf(stem, sizeof stem, "big%d", i);
        snprintf(path, sizeof path, "big%d.yaml", i);
        struct take_job j = waiting_job(stem);
        j.body = body;
        j.body_len = sizeof body;
        const struct store_take t = {.file = file_at(path, 1), .jobs = &j, .njobs = 1};
        store_take(f->s, &t, NULL, NULL);
    }
}

static bool has_failed(struct fixture *f)
{
    return f->fatals > 0;
}

static void on_tick(uv_timer_t *tick)
{
    (void)tick;
}

/* Runs the loop until fn says yes; the alarm of the test is the bound. The timer also keeps the loop alive:
 * an idle store does not, and what it reports would never be heard. */
static void run_until(struct fixture *f, bool (*fn)(struct fixture *f))
{
    uv_timer_t tick;
    assert_int_equal(uv_timer_init(&f->loop, &tick), 0);
    while (!fn(f)) {
        assert_int_equal(uv_timer_start(&tick, on_tick, 1, 0), 0);
        uv_run(&f->loop, UV_RUN_ONCE);
        if (f->fatals != 0 && fn != has_failed)
            fail_msg("fatal: %s", f->fatal);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

static bool log_is_small(struct fixture *f)
{
    struct stat st;
    store_set(f->s, "k", "v", NULL, NULL); /* the log begins anew with the next write */
    wait_for_writes(f);
    return stat(in_dir(f, "state.db-wal"), &st) == 0 && st.st_size <= 33554432;
}

static void the_log_does_not_grow_for_ever(void **state)
{
    struct fixture *f = *state;
    write_log_pages(f, 900); /* 56 MiB */
    wait_for_writes(f);
    run_until(f, log_is_small);
}

static bool freed(struct fixture *f)
{
    return number(f, "PRAGMA freelist_count") <= 1200;
}

static void space_is_given_back(void **state)
{
    struct fixture *f = *state;
    write_log_pages(f, 500);
    wait_for_writes(f);
    int64_t pages = number(f, "PRAGMA page_count");
    size_t count;
    struct file_row *files = store_files_page(f->s, NULL, 500, &count);
    int64_t ids[500];
    for (size_t i = 0; i < count; i++)
        ids[i] = files[i].id;
    file_rows_free(files, count);
    store_files_forget(f->s, ids, count, NULL, NULL);
    wait_for_writes(f);
    run_until(f, freed);
    assert_true(number(f, "PRAGMA page_count") < pages / 4);
}

/* ---- a disk that fails ---- */

static void write_enough_for_a_checkpoint(struct fixture *f, const char *stem)
{
    static char body[6 * 1024 * 1024];
    struct take_job j = waiting_job(stem);
    j.body = body;
    j.body_len = sizeof body;
    const struct store_take t = {.file = file_at(stem, 1), .jobs = &j, .njobs = 1};
    store_take(f->s, &t, NULL, NULL);
}

static void a_failed_disk_ends_it_and_is_not_synced_again(void **state)
{
    static const struct {
        const char *name;
        enum fault write, log_sync, database_sync;
    } cases[] = {
        {"write", FAULT_IO, FAULT_NONE, FAULT_NONE},
        {"sync", FAULT_NONE, FAULT_IO, FAULT_NONE},
        {"no room, but only at the sync", FAULT_NONE, FAULT_NO_ROOM_AT_SYNC, FAULT_NONE},
        {"sync of the database at a checkpoint", FAULT_NONE, FAULT_NONE, FAULT_IO},
        {"no room at a checkpoint's sync", FAULT_NONE, FAULT_NONE, FAULT_NO_ROOM_AT_SYNC},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char stem[16];
        snprintf(stem, sizeof stem, "job%zu", i);
        int64_t id = add_job(f, stem);
        bool at_checkpoint = cases[i].database_sync != FAULT_NONE;
        struct answer intent = {.f = f}, late = {.f = f};
        disk.log_write = (int)cases[i].write;
        disk.log_sync = (int)cases[i].log_sync;
        disk.database_sync = (int)cases[i].database_sync;
        store_intent(f->s, id, 1, 1, "beef", "boot", on_done, &intent);
        if (at_checkpoint)
            write_enough_for_a_checkpoint(f, cases[i].name);
        run_until(f, has_failed);
        int log_syncs = disk.log_syncs, database_syncs = disk.database_syncs;
        assert_non_null(strstr(f->fatal, "state.db"));
        if (!at_checkpoint)
            assert_int_equal(intent.calls, 0);
        store_set(f->s, "late", "1", on_done, &late);
        uv_run(&f->loop, UV_RUN_NOWAIT);
        close_state(f);
        if (late.calls != 0 || f->fatals != 1 || disk.log_syncs != log_syncs ||
            disk.database_syncs != database_syncs)
            fail_msg("%s: something went on after the failure", cases[i].name);

        disk.log_write = disk.log_sync = disk.database_sync = FAULT_NONE;
        f->fatals = 0;
        open_state(f);
        struct job_row r = job(f, id);
        assert_true(r.state == JOB_SENT || (r.state == JOB_WAITING && intent.calls == 0));
        job_row_free(&r);
        assert_null(store_get(f->s, "late"));
    }
}

static void a_failed_read_stops_the_writes(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_job(f, "a");
    close_state(f);
    open_state(f);
    struct answer a = {.f = f};
    struct job_row r;
    disk.read = FAULT_IO;
    assert_false(store_job(f->s, id, true, &r));
    assert_non_null(strstr(store_error(f->s), "disk I/O error"));
    assert_int_equal(f->fatals, 0); /* never from inside */
    store_intent(f->s, id, 1, 1, "beef", "boot", on_done, &a);
    run_until(f, has_failed);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    disk.read = FAULT_NONE;
    close_state(f);
    assert_int_equal(a.calls, 0);
    assert_int_equal(f->fatals, 1);
    f->fatals = 0;
    open_state(f);
    assert_state(f, id, JOB_WAITING);
}

static int full_reports;
static bool full_now;

static void on_full(void *arg, bool full)
{
    (void)arg;
    full_reports++;
    full_now = full;
}

static bool is_full(struct fixture *f)
{
    (void)f;
    return full_now;
}

static void a_full_disk_is_waited_out(void **state)
{
    static const enum fault faults[] = {FAULT_FULL, FAULT_QUOTA};
    struct fixture *f = *state;
    store_on_full(f->s, on_full, NULL);
    for (size_t i = 0; i < 2; i++) {
        char stem[16];
        snprintf(stem, sizeof stem, "a%zu", i);
        int64_t id = add_job(f, stem);
        struct answer a = {.f = f}, b = {.f = f};
        full_reports = 0;
        disk.log_write = (int)faults[i];
        store_intent(f->s, id, 1, 1, "beef", "boot", on_done, &a);
        run_until(f, is_full);
        store_set(f->s, "k", "v", on_done, &b); /* waits behind it */
        uv_run(&f->loop, UV_RUN_NOWAIT);
        assert_true(a.calls == 0 && b.calls == 0 && full_reports == 1);
        assert_state(f, id, JOB_WAITING);
        disk.log_write = FAULT_NONE;
        wait_for_writes(f);
        assert_true(a.calls == 1 && b.calls == 1 && a.order < b.order);
        assert_true(full_reports == 2 && !full_now);
        assert_state(f, id, JOB_SENT);
    }
}

static void a_full_disk_is_not_asked_all_the_time(void **state)
{
    struct fixture *f = *state;
    store_on_full(f->s, on_full, NULL);
    full_reports = 0;
    disk.log_write = FAULT_FULL;
    store_set(f->s, "k", "v", NULL, NULL);
    run_until(f, is_full);
    disk.log_writes = 0;
    struct timespec wait = {.tv_nsec = 300 * 1000 * 1000};
    nanosleep(&wait, NULL);
    assert_true(disk.log_writes <= 2);
    disk.log_writes = 0;
    close_state(f); /* one more try, and no waiting */
    assert_true(disk.log_writes > 0);
    disk.log_write = FAULT_NONE;
    full_now = false;
    open_state(f);
    assert_null(store_get(f->s, "k"));
}

/* ---- callers with a bug ---- */

static void bug_intent_twice(struct store *s, int64_t id)
{
    store_intent(s, id, 1, 1, "beef", "boot", NULL, NULL);
    store_intent(s, id, 2, 1, "beef", "boot", NULL, NULL);
}

static void bug_intent_number(struct store *s, int64_t id)
{
    store_intent(s, id, 2, 1, "beef", "boot", NULL, NULL);
}

static void bug_void_unsent(struct store *s, int64_t id)
{
    store_intent_void(s, id, 0, NULL, NULL);
}

static void bug_reply_unsent(struct store *s, int64_t id)
{
    const struct store_reply r = {.http_status = 200};
    store_reply(s, id, &r, NULL, NULL);
}

static void bug_settle_unsent(struct store *s, int64_t id)
{
    const struct store_settle e = {.job = id, .attempt = 1, .state = JOB_DONE};
    store_settle(s, &e, NULL, NULL);
}

static void bug_done_without_reply(struct store *s, int64_t id)
{
    const struct store_settle e = {.job = id, .attempt = 1, .state = JOB_DONE};
    store_intent(s, id, 1, 1, "beef", "boot", NULL, NULL);
    store_settle(s, &e, NULL, NULL);
}

static void bug_settle_to_sent(struct store *s, int64_t id)
{
    const struct store_settle e = {.job = id, .state = JOB_SENT};
    store_settle(s, &e, NULL, NULL);
}

static void bug_settle_unknown(struct store *s, int64_t id)
{
    const struct store_settle e = {.job = id + 1, .attempt = 1, .state = JOB_FAILED};
    store_settle(s, &e, NULL, NULL);
}

static void bug_reopen_sent(struct store *s, int64_t id)
{
    store_intent(s, id, 1, 1, "beef", "boot", NULL, NULL);
    store_reopen(s, id, "{}", 2, NULL, NULL);
}

static void bug_drop_sent(struct store *s, int64_t id)
{
    const struct store_take t = {.file = file_at("b.yaml", 1), .drop = &id, .ndrop = 1};
    store_intent(s, id, 1, 1, "beef", "boot", NULL, NULL);
    store_take(s, &t, NULL, NULL);
}

static void bug_rerun_sent(struct store *s, int64_t id)
{
    struct take_job j = {.what = TAKE_RERUN, .id = id, .stem = "a"};
    struct store_take t = {.file = file_at("a.yaml", 1), .jobs = &j, .njobs = 1};
    t.file.id = 1;
    store_intent(s, id, 1, 1, "beef", "boot", NULL, NULL);
    store_take(s, &t, NULL, NULL);
}

static void bug_insert_sent(struct store *s, int64_t id)
{
    struct take_job j = {.what = TAKE_INSERT, .stem = "z", .state = JOB_SENT};
    const struct store_take t = {.file = file_at("z.yaml", 1), .jobs = &j, .njobs = 1};
    (void)id;
    store_take(s, &t, NULL, NULL);
}

static void bug_unknown_file(struct store *s, int64_t id)
{
    struct store_take t = {.file = file_at("z.yaml", 1)};
    t.file.id = id + 1000;
    store_take(s, &t, NULL, NULL);
}

static void bug_supersede_unknown(struct store *s, int64_t id)
{
    const int64_t unknown = id + 1000;
    const struct store_take t = {.file = file_at("z.yaml", 1), .supersede = &unknown, .nsupersede = 1};
    store_take(s, &t, NULL, NULL);
}

/* Going on could buy twice: the batch is rolled back, and that is the end. */
static void a_bug_ends_it(void **state)
{
    static const struct {
        const char *name;
        void (*fn)(struct store *s, int64_t id);
    } cases[] = {
        {"intent of a job in flight", bug_intent_twice},
        {"an attempt's number is skipped", bug_intent_number},
        {"void of what was not sent", bug_void_unsent},
        {"reply to nothing", bug_reply_unsent},
        {"end of an attempt that never was", bug_settle_unsent},
        {"result without a stored reply", bug_done_without_reply},
        {"end in flight", bug_settle_to_sent},
        {"end of an unknown job", bug_settle_unknown},
        {"reopened in flight", bug_reopen_sent},
        {"dropped in flight", bug_drop_sent},
        {"run again in flight", bug_rerun_sent},
        {"new and in flight", bug_insert_sent},
        {"unknown file", bug_unknown_file},
        {"unknown job superseded", bug_supersede_unknown},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *fresh = NULL;
        set_up(&fresh);
        struct fixture *f = fresh;
        int64_t id = add_job(f, "a");
        cases[i].fn(f->s, id);
        run_until(f, has_failed);
        if (strncmp(f->fatal, "bug: ", 5) != 0)
            fail_msg("%s: %s", cases[i].name, f->fatal);
        close_state(f);
        f->fatals = 0;
        open_state(f);
        struct job_row r = job(f, id);
        if (r.state != JOB_WAITING && r.state != JOB_SENT)
            fail_msg("%s: %s", cases[i].name, job_state_name(r.state));
        job_row_free(&r);
        tear_down(&fresh);
    }
    (void)state;
}

/* ---- sudden death ---- */

struct told { /* by the child, through a pipe: this is durable */
    int64_t job;
    char what; /* 'i' intent, 'r' reply, 'd' done */
};
struct life {
    struct store *s;
    int pipe, n;
    int64_t job;
    char stem[24], path[32];
};

static void live_begin(struct life *l);

static void tell(const struct life *l, char what)
{
    struct told t = {.job = l->job, .what = what};
    if (write(l->pipe, &t, sizeof t) != sizeof t)
        _exit(3);
}

static void live_done(void *arg, enum store_rc rc)
{
    struct life *l = arg;
    (void)rc;
    tell(l, 'd');
    l->n++;
    live_begin(l);
}

static void live_reply(void *arg, enum store_rc rc)
{
    struct life *l = arg;
    (void)rc;
    tell(l, 'r');
    if (l->n % 3 == 2) { /* every third stays there */
        l->n++;
        live_begin(l);
        return;
    }
    const struct store_settle e = {.job = l->job, .attempt = 1, .state = JOB_DONE, .verdict = "success"};
    store_settle(l->s, &e, live_done, l);
}

static void live_intent(void *arg, enum store_rc rc)
{
    struct life *l = arg;
    static const char body[3000] = "paid";
    const struct store_reply r = {.http_status = 200, .body = body, .body_len = sizeof body};
    (void)rc;
    tell(l, 'i');
    store_reply(l->s, l->job, &r, live_reply, l);
}

static void live_taken(void *arg, enum store_rc rc)
{
    struct life *l = arg;
    struct file_row file;
    size_t count = 0;
    if (rc != STORE_OK || !store_file_by_path(l->s, l->path, &file))
        _exit(4);
    struct job_row *rows = store_file_jobs(l->s, file.id, &count);
    l->job = rows[0].id;
    job_rows_free(rows, count);
    file_row_free(&file);
    store_intent(l->s, l->job, 1, 1, "beef", "boot", live_intent, l);
}

static void live_begin(struct life *l)
{
    snprintf(l->path, sizeof l->path, "%s-%d.yaml", l->stem, l->n);
    char stem[32];
    snprintf(stem, sizeof stem, "%s-%d", l->stem, l->n);
    struct take_job j = waiting_job(stem);
    const struct store_take t = {.file = file_at(l->path, 1), .jobs = &j, .njobs = 1};
    store_take(l->s, &t, live_taken, l);
}

static void child_works(const struct fixture *f, int round, int out)
{
    enum { LIVES = 20 };
    static struct life lives[LIVES];
    uv_loop_t loop;
    struct store *s;
    bool created;
    char message[256];
    uv_loop_init(&loop);
    if (store_open(&s, &loop, f->dir, on_fatal, NULL, &created, message, sizeof message) != STORE_OK)
        _exit(5);
    for (int i = 0; i < LIVES; i++) {
        lives[i] = (struct life){.s = s, .pipe = out};
        snprintf(lives[i].stem, sizeof lives[i].stem, "r%d-%d", round, i);
        live_begin(&lives[i]);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(6);
}

static void assert_kept(struct fixture *f, const struct told *t)
{
    struct job_row r = job(f, t->job);
    enum job_state least = t->what == 'i' ? JOB_SENT : t->what == 'r' ? JOB_REPLIED : JOB_DONE;
    if (r.state < least)
        fail_msg("job %lld was told to be %s and is %s", (long long)t->job, job_state_name(least),
                 job_state_name(r.state));
    struct reply_row reply;
    bool has_reply = store_load_reply(f->s, t->job, &reply);
    assert_int_equal(has_reply, r.state == JOB_REPLIED);
    if (has_reply) {
        assert_true(reply.body_len == 3000 && memcmp(reply.body, "paid", 4) == 0);
        reply_row_free(&reply);
    }
    job_row_free(&r);
}

static void what_was_told_survives_a_kill(void **state)
{
    struct fixture *f = *state;
    struct told *told = calloc(4000, sizeof *told);
    assert_non_null(told);
    close_state(f);
    for (int round = 0; round < 8; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            child_works(f, round, ends[1]);
        }
        close(ends[1]);
        size_t count = 0, enough = (size_t)(1 + 37 * round * round);
        for (; count < enough && read(ends[0], &told[count], sizeof *told) == sizeof *told; count++) {}
        kill(pid, SIGKILL);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        for (; count < 4000 && read(ends[0], &told[count], sizeof *told) == sizeof *told; count++) {}
        close(ends[0]);
        assert_true(count >= enough);

        open_state(f);
        for (size_t i = 0; i < count; i++)
            assert_kept(f, &told[i]);
        assert_int_equal(
            number(f, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
        assert_int_equal(number(f, "SELECT count(*) FROM tally t WHERE class < 5 AND n <>"
                                   " (SELECT count(*) FROM jobs WHERE state = t.class)"),
                         0);
        close_state(f);
    }
    free(told);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, mend)
    const struct CMUnitTest tests[] = {
        STORE_TEST(all_that_waits_shares_one_sync),
        STORE_TEST(the_log_does_not_grow_for_ever),
        STORE_TEST(space_is_given_back),
        STORE_TEST(a_failed_disk_ends_it_and_is_not_synced_again),
        STORE_TEST(a_failed_read_stops_the_writes),
        STORE_TEST(a_full_disk_is_waited_out),
        STORE_TEST(a_full_disk_is_not_asked_all_the_time),
        cmocka_unit_test(a_bug_ends_it),
        STORE_TEST(what_was_told_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, install_faulty_disk, NULL);
}
