/* http_reply - the bytes of one reply, wherever there is room for them.
 *
 * In memory, growing in geometric steps, while all replies together stay within the budget; else in a
 * file. Both can fail; then the other takes the reply, beyond the budget if need be: it has been paid for.
 */
#include "io/http_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_STEP = 4096 };

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool read_all(int fd, char *data, size_t len)
{
    off_t at = 0;
    while (len > 0) {
        ssize_t n = pread(fd, data, len, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static void remove_spill(const char *dir, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) >= 0) {
        (void)unlink(path); /* what stays is swept at the next start */
        free(path);
    }
}

void http_reply_init(struct http_reply *r, struct http_budget *budget, const char *spill_dir)
{
    *r = (struct http_reply){.budget = budget, .spill_dir = spill_dir, .fd = -1};
}

static void free_memory(struct http_reply *r)
{
    r->budget->used -= (int64_t)r->capacity;
    free(r->data);
    r->data = NULL;
    r->len = r->capacity = 0;
}

static void close_spill(struct http_reply *r)
{
    close(r->fd);
    r->fd = -1;
    remove_spill(r->spill_dir, r->spill);
    free(r->spill);
    r->spill = NULL;
}

static bool grow(struct http_reply *r, size_t need, bool within_budget)
{
    if (need <= r->capacity) {
        return true;
    }
    size_t capacity = r->capacity == 0 ? FIRST_STEP : r->capacity;
    while (capacity < need) {
        if (capacity > SIZE_MAX / 2) {
            return false;
        }
        capacity *= 2;
    }
    int64_t more = (int64_t)(capacity - r->capacity);
    if (within_budget && more > r->budget->max - r->budget->used) {
        return false;
    }
    char *data = realloc(r->data, capacity);
    if (data == NULL) {
        return false;
    }
    r->data = data;
    r->capacity = capacity;
    r->budget->used += more;
    return true;
}

/* Memory to file. False: it stays in memory, for good. */
static bool spill(struct http_reply *r)
{
    char *path = NULL;
    if (r->no_spill || r->spill_dir[0] == '\0') {
        return false;
    }
    r->no_spill = true;
    if (asprintf(&path, "%s/reply-XXXXXX", r->spill_dir) < 0) {
        return false;
    }
    r->fd = mkostemp(path, O_CLOEXEC);
    if (r->fd < 0) {
        free(path);
        return false;
    }
    r->spill = strdup(path + strlen(r->spill_dir) + 1);
    if (r->spill == NULL || !write_all(r->fd, r->data, r->len)) {
        (void)unlink(path);
        close(r->fd);
        r->fd = -1;
        free(r->spill);
        r->spill = NULL;
        free(path);
        return false;
    }
    free(path);
    free_memory(r);
    return true;
}

/* File to memory: the disk takes no more. */
static bool unspill(struct http_reply *r)
{
    size_t len = (size_t)r->total;
    if (!grow(r, len, false)) {
        return false;
    }
    if (!read_all(r->fd, r->data, len)) {
        free_memory(r);
        return false;
    }
    r->len = len;
    close_spill(r);
    return true;
}

static bool append_memory(struct http_reply *r, const char *data, size_t len, bool within_budget)
{
    if (len > SIZE_MAX - r->len || !grow(r, r->len + len, within_budget)) {
        return false;
    }
    memcpy(r->data + r->len, data, len);
    r->len += len;
    r->total += (int64_t)len;
    return true;
}

bool http_reply_append(struct http_reply *r, const char *data, size_t len)
{
    if (len == 0) {
        return true;
    }
    if (r->fd < 0) {
        if (append_memory(r, data, len, true)) {
            return true;
        }
        if (!spill(r)) {
            return append_memory(r, data, len, false);
        }
    }
    if (write_all(r->fd, data, len)) {
        r->total += (int64_t)len;
        return true;
    }
    return unspill(r) && append_memory(r, data, len, false);
}

void http_reply_keep_first(struct http_reply *r, size_t len)
{
    if (r->fd >= 0) {
        size_t there = (size_t)r->total;
        len = len < there ? len : there;
        if (grow(r, len, false) && read_all(r->fd, r->data, len)) {
            r->len = len;
        }
        close_spill(r);
    }
    r->len = len < r->len ? len : r->len;
}

void http_reply_take(struct http_reply *r, char **body, size_t *len)
{
    *body = NULL;
    *len = r->len;
    if (r->len > 0) {
        char *exact = realloc(r->data, r->len);
        *body = exact != NULL ? exact : r->data;
        r->data = NULL;
    }
    free_memory(r);
}

void http_reply_drop(struct http_reply *r)
{
    if (r->fd >= 0) {
        close_spill(r);
    }
    if (r->budget != NULL) {
        free_memory(r);
    }
}

bool http_reply_take_spill(struct http_reply *r, struct http_spill *s)
{
    char *dir = strdup(r->spill_dir);
    if (dir == NULL) {
        return false;
    }
    *s = (struct http_spill){.dir = dir, .name = r->spill, .fd = r->fd, .total = r->total};
    r->fd = -1;
    r->spill = NULL;
    return true;
}

static bool sync_directory(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

void http_spill_sync(struct http_spill *s)
{
    bool synced = fdatasync(s->fd) == 0 && sync_directory(s->dir);
    if (!synced) {
        /* Never a second sync of the same descriptor. Back to memory: the state will keep it. */
        s->body = malloc((size_t)s->total);
        if (s->body != NULL && read_all(s->fd, s->body, (size_t)s->total)) {
            s->body_len = (size_t)s->total;
        } else {
            free(s->body);
            s->body = NULL;
            s->lost = true;
        }
        remove_spill(s->dir, s->name);
        free(s->name);
        s->name = NULL;
    }
    close(s->fd);
    s->fd = -1;
}

void http_spill_drop(struct http_spill *s)
{
    if (s->fd >= 0) {
        close(s->fd);
    }
    free(s->dir);
    free(s->name);
    free(s->body);
    *s = (struct http_spill){.fd = -1};
}
