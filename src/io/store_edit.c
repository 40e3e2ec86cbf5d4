#include "io/store_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct edit {
    uv_loop_t loop;
    bool failed;
    char *message;
    size_t size;
};

static void fail(struct edit *e, const char *message)
{
    if (!e->failed)
        snprintf(e->message, e->size, "%s", message);
    e->failed = true;
    uv_stop(&e->loop);
}

static void on_fatal(void *arg, const char *message)
{
    fail(arg, message);
}

/* The daemon waits for room; somebody in front of a terminal wants to know. */
static void on_full(void *arg, bool full)
{
    if (full)
        fail(arg, "the state cannot grow: the disk is full");
}

static enum store_edit_rc open_lock(const char *dir, int *fd, char *message, size_t size)
{
    char path[PATH_MAX], state[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/lock", dir) >= (int)sizeof path ||
        snprintf(state, sizeof state, "%s/state.db", dir) >= (int)sizeof state) {
        snprintf(message, size, "the path of the state directory is too long");
        return STORE_EDIT_FAILED;
    }
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (*fd >= 0 && access(state, F_OK) == 0)
        return STORE_EDIT_OK;
    int err = errno;
    if (*fd >= 0)
        close(*fd);
    snprintf(message, size, err == ENOENT ? "there is no state in %s" : "%s: %s", dir, strerror(err));
    return err == ENOENT ? STORE_EDIT_ABSENT : STORE_EDIT_FAILED;
}

static enum store_edit_rc take_lock(const char *dir, int *fd, char *message, size_t size)
{
    enum store_edit_rc rc = open_lock(dir, fd, message, size);
    if (rc != STORE_EDIT_OK || flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return rc;
    rc = errno == EWOULDBLOCK ? STORE_EDIT_LOCKED : STORE_EDIT_FAILED;
    snprintf(message, size, rc == STORE_EDIT_LOCKED ? "a flowspoold holds the state in %s" : "%s/lock: %s",
             dir, strerror(errno));
    close(*fd);
    return rc;
}

static void open_and_edit(struct edit *e, const char *dir, store_edit_fn edit, void *arg)
{
    struct store *s = NULL;
    bool created = false;
    if (store_open(&s, &e->loop, dir, on_fatal, e, &created, e->message, e->size) != STORE_OK) {
        e->failed = true;
        return;
    }
    store_on_full(s, on_full, e);
    if (!edit(arg, s, e->message, e->size))
        e->failed = true;
    else
        uv_run(&e->loop, UV_RUN_DEFAULT);
    store_close(s);
}

enum store_edit_rc store_edit(const char *dir, store_edit_fn edit, void *arg, char *message, size_t size)
{
    int fd = -1;
    enum store_edit_rc rc = take_lock(dir, &fd, message, size);
    if (rc != STORE_EDIT_OK)
        return rc;
    struct edit e = {.message = message, .size = size};
    int err = uv_loop_init(&e.loop);
    if (err == 0) {
        open_and_edit(&e, dir, edit, arg);
        uv_run(&e.loop, UV_RUN_DEFAULT); /* lets the handles close */
        uv_loop_close(&e.loop);
    } else {
        snprintf(message, size, "%s", strerror(-err));
        e.failed = true;
    }
    close(fd);
    return e.failed ? STORE_EDIT_FAILED : STORE_EDIT_OK;
}
