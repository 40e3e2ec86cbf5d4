#include "io/publish_prune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Some tenths of a second: outcomes wait for it, and somebody for the answer. */
#define FILES_MAX 20000

static bool is_ours(const char *name)
{
    static const char *const endings[] = {".result.json", ".error.json", ".error.body", ".json.body"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0] && name[0] != '.'; i++) {
        size_t ending = strlen(endings[i]);
        if (len > ending && strcmp(name + len - ending, endings[i]) == 0)
            return true;
    }
    return false;
}

static bool is_due(const struct stat *st, int64_t before_ms)
{
    int64_t written_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
    return S_ISREG(st->st_mode) && (before_ms == 0 || written_ms < before_ms);
}

/* 0, also when it went by itself. */
static int prune_one(int dir, const char *name, int64_t before_ms, bool dry_run, struct publish_pruned *out)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!is_due(&st, before_ms))
        return 0;
    if (!dry_run && unlinkat(dir, name, 0) != 0)
        return errno == ENOENT ? 0 : -errno;
    out->files++;
    out->bytes += st.st_size;
    return 0;
}

static int prune_all(DIR *d, int64_t before_ms, bool dry_run, struct publish_pruned *out)
{
    int err = 0;
    int64_t until = out->files + FILES_MAX;
    for (const struct dirent *e; err == 0 && (errno = 0, e = readdir(d)) != NULL;) {
        if (!is_ours(e->d_name))
            continue;
        if (!dry_run && out->files == until) {
            out->more = true;
            return 0;
        }
        err = prune_one(dirfd(d), e->d_name, before_ms, dry_run, out);
    }
    return err != 0 ? err : -errno;
}

int publish_prune_dir(const char *dir, int64_t before_ms, bool dry_run, struct publish_pruned *out)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    DIR *d = fdopendir(fd);
    if (d == NULL) {
        close(fd);
        return -ENOMEM;
    }
    out->more = false;
    int err = prune_all(d, before_ms, dry_run, out);
    closedir(d);
    return err;
}
