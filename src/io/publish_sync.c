/* Syncs side by side: each sync waits for a flush of the disk, and flushes asked for together are one. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/publish_internal.h"

enum {
    HELPERS = 7, /* and the thread that asks */
    STACK = 128 * 1024,
};

struct sync_pool {
    uv_thread_t threads[HELPERS];
    int nthreads;
    uv_mutex_t lock;
    uv_cond_t work, idle;
    const int *fds;
    int *errs;
    size_t next, count, running;
    bool stopping;
};

static int sync_one(int fd)
{
    while (fsync(fd) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

/* Takes descriptors until none is left. Called and left with the lock held. */
static void sync_some(struct sync_pool *pool)
{
    while (pool->next < pool->count) {
        size_t i = pool->next++;
        pool->running++;
        uv_mutex_unlock(&pool->lock);
        int err = sync_one(pool->fds[i]);
        uv_mutex_lock(&pool->lock);
        pool->errs[i] = err;
        pool->running--;
    }
}

static void help(void *arg)
{
    struct sync_pool *pool = arg;
    uv_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        sync_some(pool);
        if (pool->running == 0)
            uv_cond_signal(&pool->idle);
        uv_cond_wait(&pool->work, &pool->lock);
    }
    uv_mutex_unlock(&pool->lock);
}

static bool init_locks(struct sync_pool *pool)
{
    if (uv_mutex_init(&pool->lock) != 0)
        return false;
    if (uv_cond_init(&pool->work) == 0) {
        if (uv_cond_init(&pool->idle) == 0)
            return true;
        uv_cond_destroy(&pool->work);
    }
    uv_mutex_destroy(&pool->lock);
    return false;
}

struct sync_pool *sync_pool_open(void)
{
    static const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = STACK};
    struct sync_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    if (!init_locks(pool)) {
        free(pool);
        return NULL;
    }
    while (pool->nthreads < HELPERS &&
           uv_thread_create_ex(&pool->threads[pool->nthreads], &options, help, pool) == 0)
        pool->nthreads++;
    return pool;
}

void sync_pool_run(struct sync_pool *pool, const int *fds, int *errs, size_t count)
{
    uv_mutex_lock(&pool->lock);
    pool->fds = fds;
    pool->errs = errs;
    pool->next = 0;
    pool->count = count;
    for (size_t i = 1; i < count && i <= (size_t)pool->nthreads; i++)
        uv_cond_signal(&pool->work);
    sync_some(pool);
    while (pool->running > 0)
        uv_cond_wait(&pool->idle, &pool->lock);
    pool->next = pool->count = 0;
    uv_mutex_unlock(&pool->lock);
}

void sync_pool_close(struct sync_pool *pool)
{
    if (!pool)
        return;
    uv_mutex_lock(&pool->lock);
    pool->stopping = true;
    uv_cond_broadcast(&pool->work);
    uv_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->nthreads; i++)
        uv_thread_join(&pool->threads[i]);
    uv_cond_destroy(&pool->idle);
    uv_cond_destroy(&pool->work);
    uv_mutex_destroy(&pool->lock);
    free(pool);
}
