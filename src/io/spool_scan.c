/* The scan: names only. A million waiting files are listed without one stat where the file system tells
 * types, and what does not concern us costs a look at its name.
 *
 * A file system may list names by their hashes. Job files are reported by name, some thousand at a time: in
 * that order they were mostly written, and are sent, so that neighbours here are neighbours on the disk and
 * in the store, where otherwise every job would be on a page of its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/names.h"
#include "io/beneath.h"
#include "io/spool.h"
#include "io/spool_internal.h"

enum {
    MAX_DEPTH = 64,      /* directories below the spool, one in the other */
    MAX_PENDING = 65536, /* directories seen and not yet listed */
    NAMES_PER_ITEM = 16, /* names passed over that weigh as much as one report */
    SORTED_MAX = 8192,   /* job files that are sorted together; it takes some 2 ms */
};

struct spool_scan {
    struct spool *spool;
    bool recursive;
    char **pending; /* paths of directories still to list, last first */
    size_t npending, pending_size;
    DIR *dir; /* being listed, NULL: none */
    char *dir_path;
    size_t dir_len, depth;
    char *path; /* of the entry: dir_path, '/', its name */
    size_t path_size;
    /* Job files of the directory that are not yet reported. */
    char **files;
    size_t nfiles, next_file; /* next_file: only while they are reported */
    bool reporting;
    bool listed; /* no more names come in this directory; err of the last readdir */
    int list_err;
    spool_scan_fn fn; /* during a step */
    void *arg;
    size_t reported, passed;
};

static void report(struct spool_scan *c, enum scan_item item, const char *path, const char *note, int err)
{
    c->reported++;
    c->fn(c->arg, item, path, note, err);
}

static int push(struct spool_scan *c, const char *path)
{
    if (c->npending == MAX_PENDING)
        return -EOVERFLOW;
    if (c->npending == c->pending_size) {
        size_t size = c->pending_size ? c->pending_size * 2 : 16;
        char **grown = realloc(c->pending, size * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        c->pending = grown;
        c->pending_size = size;
    }
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    c->pending[c->npending++] = copy;
    return 0;
}

int spool_scan_begin(struct spool *s, bool recursive, struct spool_scan **out)
{
    struct spool_scan *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->spool = s;
    c->recursive = recursive;
    if (push(c, "") != 0) {
        spool_scan_end(c);
        return -ENOMEM;
    }
    *out = c;
    return 0;
}

static void forget_files(struct spool_scan *c)
{
    for (size_t i = c->next_file; i < c->nfiles; i++)
        free(c->files[i]);
    c->nfiles = c->next_file = 0;
    c->reporting = false;
}

static void leave_directory(struct spool_scan *c)
{
    forget_files(c);
    c->listed = false;
    if (c->dir)
        closedir(c->dir);
    c->dir = NULL;
    free(c->dir_path);
    c->dir_path = NULL;
}

void spool_scan_end(struct spool_scan *c)
{
    if (!c)
        return;
    leave_directory(c);
    while (c->npending > 0)
        free(c->pending[--c->npending]);
    free(c->pending);
    free(c->files);
    free(c->path);
    free(c);
}

/* The directory is over without a whole listing. Returns what the step returns: only the spool itself ends
 * it. */
static int fail_directory(struct spool_scan *c, int err)
{
    bool top = c->dir_len == 0;
    if (!top)
        report(c, SCAN_DIR_FAILED, c->dir_path, NULL, err);
    leave_directory(c);
    return top ? err : 0;
}

static size_t depth_of(const char *path)
{
    size_t depth = path[0] != '\0';
    for (; *path; path++)
        depth += *path == '/';
    return depth;
}

static bool has_own_state(int dir)
{
    struct stat st;
    return fstatat(dir, ".flowspool", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int enter_directory(struct spool_scan *c)
{
    c->dir_path = c->pending[--c->npending];
    c->dir_len = strlen(c->dir_path);
    c->depth = depth_of(c->dir_path);
    int fd = beneath_open(c->spool->fd, c->dir_path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fail_directory(c, fd);
    if (c->dir_len > 0 && has_own_state(fd)) {
        close(fd);
        report(c, SCAN_OTHER_SPOOL, c->dir_path, "another spool: it has a .flowspool of its own", 0);
        leave_directory(c);
        return 0;
    }
    c->dir = fdopendir(fd);
    if (!c->dir) {
        int err = -errno;
        close(fd);
        return fail_directory(c, err);
    }
    report(c, SCAN_DIR_ENTER, c->dir_path, NULL, 0);
    return 0;
}

static bool join(struct spool_scan *c, const char *name)
{
    size_t need = c->dir_len + 1 + strlen(name) + 1;
    if (need > c->path_size) {
        char *grown = realloc(c->path, need + 256);
        if (!grown)
            return false;
        c->path = grown;
        c->path_size = need + 256;
    }
    char *end = c->path;
    if (c->dir_len > 0) {
        end = stpcpy(end, c->dir_path);
        *end++ = '/';
    }
    memcpy(end, name, strlen(name) + 1);
    return true;
}

static unsigned char type_of(struct spool_scan *c, const struct dirent *e)
{
    struct stat st;
    if (e->d_type != DT_UNKNOWN)
        return e->d_type;
    if (fstatat(dirfd(c->dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return DT_UNKNOWN; /* gone again */
    return (unsigned char)IFTODT(st.st_mode);
}

static void see_directory(struct spool_scan *c)
{
    if (!c->recursive) {
        report(c, SCAN_IGNORED, c->path, "subdirectory; set recursive: true to watch it", 0);
        return;
    }
    if (c->depth == MAX_DEPTH) {
        report(c, SCAN_IGNORED, c->path, "more than 64 directories deep", 0);
        return;
    }
    int err = push(c, c->path);
    if (err)
        report(c, SCAN_DIR_FAILED, c->path, NULL, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void begin_reporting(struct spool_scan *c)
{
    if (c->nfiles > 1)
        qsort(c->files, c->nfiles, sizeof *c->files, by_name);
    c->next_file = 0;
    c->reporting = true;
}

static int keep_file(struct spool_scan *c, const char *name)
{
    if (!c->files)
        c->files = calloc(SORTED_MAX, sizeof *c->files);
    char *copy = c->files ? strdup(name) : NULL;
    if (!copy)
        return -ENOMEM;
    c->files[c->nfiles++] = copy;
    if (c->nfiles == SORTED_MAX)
        begin_reporting(c);
    return 0;
}

static void see_file(struct spool_scan *c, enum name_kind kind)
{
    if (kind == NAME_JOB_LIKE)
        report(c, SCAN_IGNORED, c->path, "its name does not end in .yaml or .yml", 0);
    else if (kind == NAME_CONFLICT)
        report(c, SCAN_IGNORED, c->path, "a copy that a synchroniser set aside; to run it, rename it", 0);
    else if (kind == NAME_OURS_TEMP)
        report(c, SCAN_TEMP, c->path, NULL, 0);
}

/* 0, or -ENOMEM: then the listing is not whole. */
static int see_entry(struct spool_scan *c, const struct dirent *e)
{
    enum name_kind kind = name_classify(e->d_name);
    bool may_be_dir = (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN) && name_is_scanned_dir(e->d_name);
    if (kind == NAME_OTHER && !may_be_dir)
        return 0;
    unsigned char type = type_of(c, e);
    if (type == DT_UNKNOWN)
        return 0;
    if (type == DT_REG && (kind == NAME_JOB || kind == NAME_HELD_JOB))
        return keep_file(c, e->d_name);
    if (!join(c, e->d_name))
        return -ENOMEM;
    if (type == DT_DIR) {
        if (may_be_dir)
            see_directory(c);
    } else if (type == DT_REG) {
        see_file(c, kind);
    } else if (kind != NAME_OTHER && kind != NAME_OURS_TEMP) {
        report(c, SCAN_IGNORED, c->path, type == DT_LNK ? "symbolic link" : "not a regular file", 0);
    }
    return 0;
}

/* The end of a listing, or an error. The C library reports a directory removed meanwhile as a plain end. */
static int end_directory(struct spool_scan *c, int err)
{
    struct stat st;
    if (!err && (fstat(dirfd(c->dir), &st) != 0 || st.st_nlink == 0))
        err = -ENOENT;
    if (err)
        return fail_directory(c, err);
    report(c, SCAN_DIR_DONE, c->dir_path, NULL, 0);
    leave_directory(c);
    return 0;
}

static int report_next_file(struct spool_scan *c)
{
    if (c->next_file == c->nfiles) {
        forget_files(c);
        return 0;
    }
    char *name = c->files[c->next_file++];
    bool joined = join(c, name);
    free(name);
    if (!joined)
        return fail_directory(c, -ENOMEM);
    report(c, SCAN_FILE, c->path, NULL, 0);
    return 0;
}

/* What was listed before an error is there all the same. */
static int end_listing(struct spool_scan *c, int err)
{
    c->listed = true;
    c->list_err = err;
    begin_reporting(c);
    return 0;
}

static int next_entry(struct spool_scan *c)
{
    if (c->reporting)
        return report_next_file(c);
    if (c->listed)
        return end_directory(c, c->list_err);
    errno = 0;
    const struct dirent *e = readdir(c->dir);
    if (!e)
        return end_listing(c, -errno);
    c->passed++;
    int err = see_entry(c, e);
    return err ? fail_directory(c, err) : 0;
}

int spool_scan_step(struct spool_scan *c, size_t max, spool_scan_fn fn, void *arg)
{
    c->fn = fn;
    c->arg = arg;
    c->reported = c->passed = 0;
    while (c->reported < max && c->passed / NAMES_PER_ITEM < max) {
        int err = 0;
        if (c->dir)
            err = next_entry(c);
        else if (c->npending > 0)
            err = enter_directory(c);
        else
            return 0;
        if (err)
            return err;
    }
    return c->dir || c->npending > 0;
}
