#include "io/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/names.h"
#include "io/beneath.h"
#include "io/publish_internal.h"
#include "io/publish_prune.h"

struct op_list {
    struct op *first, **end;
};

struct publish {
    uv_async_t wake; /* results wait for the loop, or tasks for the end of its turn */
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t work;
    struct op_list queue, finished;
    bool stopping;
    /* the loop's own: */
    struct op_list
        submitted; /* in this turn: they go to the thread together, so that they share their syncs */
    bool closed;
    size_t queued; /* not yet reported */
    char *superseded_dir;
    struct batch batch; /* the thread's own */
};

/* ---- tasks ---- */

static void list_init(struct op_list *l)
{
    *l = (struct op_list){.end = &l->first};
}

/* Moves all that ops leads at the end of the list. */
static void list_append(struct op_list *l, struct op *ops)
{
    *l->end = ops;
    while (*l->end)
        l->end = &(*l->end)->next;
}

/* Cuts the list after last and returns what was before the cut. */
static struct op *list_cut(struct op_list *l, struct op *last)
{
    struct op *first = l->first;
    l->first = last->next;
    if (!l->first)
        l->end = &l->first;
    last->next = NULL;
    return first;
}

static void list_move(struct op_list *to, struct op_list *from)
{
    if (!from->first)
        return;
    *to->end = from->first;
    to->end = from->end;
    list_init(from);
}

static void op_free(struct op *op)
{
    if (!op)
        return;
    char *const owned[] = {
        op->stem,        op->superseded_name, op->body_file,   op->from_stem, op->from_superseded,
        op->job,         op->outcome.name,    op->body.name,   op->other,     op->source_name,
        op->source_body, op->source_text,     op->source_bytes};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
    free(op);
}

/* FNV-1a; 0 means no key. */
static uint64_t key_of(const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; name && *name; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return name ? h | 1 : 0;
}

static bool have_name_in_common(const struct op *a, const struct op *b)
{
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++)
            if (a->keys[i] != 0 && a->keys[i] == b->keys[j])
                return true;
    return false;
}

/* false: no memory. NULL stays NULL. */
static bool copy_string(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from;
}

static struct op *op_new(publish_fn done, void *arg)
{
    struct op *op = calloc(1, sizeof *op);
    if (!op)
        return NULL;
    op->done = done;
    op->arg = arg;
    op->outcome.fd = op->body.fd = -1;
    op->outcome.wanted = true;
    return op;
}

static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && !strchr(name, '/');
}

static bool is_stem(const char *stem)
{
    const char *slash = strrchr(stem, '/');
    return stem[0] != '/' && is_plain_name(slash ? slash + 1 : stem);
}

/* ---- the thread ---- */

/* Cuts a batch off the queue: as many as fit that have no name in common. A pruning goes alone. */
static struct op *take_batch(struct publish *p)
{
    struct op *first = p->queue.first, *last = first;
    for (size_t n = 1; !first->prune && last->next && !last->next->prune && n < BATCH_MAX;
         n++, last = last->next)
        for (const struct op *op = first; op != last->next; op = op->next)
            if (have_name_in_common(op, last->next))
                goto cut;
cut:
    return list_cut(&p->queue, last);
}

static void prune(const struct publish *p, struct op *op)
{
    struct publish_result *r = &op->result;
    int err = publish_prune_dir(p->superseded_dir, op->before_ms, op->dry_run, &r->pruned);
    if (err == 0)
        return;
    r->rc = PUBLISH_TRY_LATER;
    r->err = -err;
    snprintf(r->detail, sizeof r->detail, "%s: %s", p->superseded_dir, strerror(-err));
}

static void run(void *arg)
{
    struct publish *p = arg;
    sweep_temporaries(p->superseded_dir);
    uv_mutex_lock(&p->lock);
    for (;;) {
        while (!p->queue.first && !p->stopping)
            uv_cond_wait(&p->work, &p->lock);
        if (!p->queue.first)
            break;
        struct op *ops = take_batch(p);
        uv_mutex_unlock(&p->lock);
        if (ops->prune)
            prune(p, ops);
        else
            batch_run(&p->batch, ops);
        uv_mutex_lock(&p->lock);
        list_append(&p->finished, ops);
        uv_async_send(&p->wake);
    }
    uv_mutex_unlock(&p->lock);
}

/* ---- the loop's side ---- */

static struct op *next_finished(struct publish *p)
{
    uv_mutex_lock(&p->lock);
    struct op *op = p->finished.first;
    if (op)
        list_cut(&p->finished, op);
    uv_mutex_unlock(&p->lock);
    return op;
}

static void hand_over(struct publish *p)
{
    uv_mutex_lock(&p->lock);
    list_move(&p->queue, &p->submitted);
    uv_cond_signal(&p->work);
    uv_mutex_unlock(&p->lock);
}

static void on_wake(uv_async_t *wake)
{
    struct publish *p = wake->data;
    for (struct op *op; !p->closed && (op = next_finished(p)) != NULL;) { /* closed: by a done function */
        p->queued--;
        op->done(op->arg, &op->result);
        op_free(op);
    }
    if (!p->closed && p->submitted.first)
        hand_over(p);
}

static int submit(struct publish *p, struct op *op)
{
    if (!p->submitted.first)
        uv_async_send(&p->wake);
    list_append(&p->submitted, op);
    p->queued++;
    return 0;
}

int publish_outcome(struct publish *p, const struct publish_task *t, publish_fn done, void *arg)
{
    const char *stem = t->superseded_name ? t->superseded_name : t->stem;
    if (!is_stem(stem) || (t->superseded_name && !is_plain_name(stem)))
        return -EINVAL;
    struct op *op = op_new(done, arg);
    if (!op)
        return -ENOMEM;
    if (!copy_string(&op->stem, stem) || !copy_string(&op->superseded_name, t->superseded_name) ||
        !copy_string(&op->body_file, t->body ? NULL : t->body_file)) {
        op_free(op);
        return -ENOMEM;
    }
    op->success = t->success;
    op->uid = t->uid;
    op->gid = t->gid;
    op->mode = t->mode;
    op->outcome.bytes = t->text;
    op->outcome.len = t->len;
    op->body.wanted = t->body || t->body_file;
    op->body.bytes = t->body;
    op->body.len = t->body_len;
    op->body.file = op->body_file;
    op->keys[0] = key_of(stem);
    return submit(p, op);
}

int publish_renamed(struct publish *p, const char *from_stem, const char *from_superseded,
                    const char *to_stem, const char *job, size_t document, const char *request_sha256,
                    publish_fn done, void *arg)
{
    if (!is_stem(to_stem) || (from_superseded && !is_plain_name(from_superseded)) ||
        (from_stem ? !is_stem(from_stem) : !from_superseded))
        return -EINVAL;
    if (strlen(request_sha256) >= DIGEST_HEX)
        return -EINVAL;
    struct op *op = op_new(done, arg);
    if (!op)
        return -ENOMEM;
    if (!copy_string(&op->stem, to_stem) || !copy_string(&op->from_superseded, from_superseded) ||
        !copy_string(&op->from_stem, from_stem) || !copy_string(&op->job, job)) {
        op_free(op);
        return -ENOMEM;
    }
    op->renamed = true;
    op->document = document;
    memcpy(op->request_sha256, request_sha256, strlen(request_sha256) + 1);
    op->keys[0] = key_of(op->stem);
    op->keys[1] = key_of(op->from_stem);
    op->keys[2] = key_of(op->from_superseded);
    return submit(p, op);
}

int publish_prune(struct publish *p, int64_t before_ms, bool dry_run, publish_fn done, void *arg)
{
    struct op *op = op_new(done, arg);
    if (!op)
        return -ENOMEM;
    op->prune = true;
    op->before_ms = before_ms;
    op->dry_run = dry_run;
    return submit(p, op);
}

int publish_kept(struct publish *p, const char *stem, const char *request_sha256, publish_fn done, void *arg)
{
    if (!is_stem(stem) || strlen(request_sha256) >= DIGEST_HEX)
        return -EINVAL;
    struct op *op = op_new(done, arg);
    if (!op)
        return -ENOMEM;
    if (!copy_string(&op->stem, stem) || !copy_string(&op->from_stem, stem)) {
        op_free(op);
        return -ENOMEM;
    }
    op->keep = true;
    op->outcome.wanted = false;
    memcpy(op->request_sha256, request_sha256, strlen(request_sha256) + 1);
    op->keys[0] = key_of(op->stem);
    return submit(p, op);
}

size_t publish_queued(const struct publish *p)
{
    return p->queued;
}

/* ---- life ---- */

static void free_publish(struct publish *p)
{
    sync_pool_close(p->batch.pool);
    if (p->batch.spool_fd >= 0)
        close(p->batch.spool_fd);
    free(p->superseded_dir);
    free(p);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static int open_resources(struct publish *p, int spool_fd, const char *superseded_dir)
{
    p->batch.spool_fd = beneath_open(spool_fd, "", O_RDONLY | O_DIRECTORY);
    if (p->batch.spool_fd < 0)
        return p->batch.spool_fd;
    p->superseded_dir = strdup(superseded_dir);
    p->batch.superseded_dir = p->superseded_dir;
    p->batch.pool = sync_pool_open();
    return p->superseded_dir && p->batch.pool ? 0 : -ENOMEM;
}

/* The handle comes last of what can be undone at once: closing one needs a turn of the loop. */
static int start(struct publish *p, uv_loop_t *loop)
{
    int err = uv_mutex_init(&p->lock);
    if (err)
        return err;
    err = uv_cond_init(&p->work);
    if (!err) {
        err = uv_async_init(loop, &p->wake, on_wake);
        if (!err)
            return 0;
        uv_cond_destroy(&p->work);
    }
    uv_mutex_destroy(&p->lock);
    return err;
}

static void close_all(struct publish *p)
{
    uv_cond_destroy(&p->work);
    uv_mutex_destroy(&p->lock);
    sync_pool_close(p->batch.pool);
    close(p->batch.spool_fd);
    free(p->superseded_dir);
    uv_close((uv_handle_t *)&p->wake, on_closed);
}

int publish_open(struct publish **out, uv_loop_t *loop, int spool_fd, const char *superseded_dir)
{
    struct publish *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->wake.data = p;
    list_init(&p->queue);
    list_init(&p->finished);
    list_init(&p->submitted);
    p->batch.spool_fd = -1;
    int err = temp_random(p->batch.tag, TEMP_TAG);
    if (!err)
        err = open_resources(p, spool_fd, superseded_dir);
    if (!err)
        err = start(p, loop);
    if (err) {
        free_publish(p);
        return err;
    }
    err = uv_thread_create(&p->thread, run, p);
    if (err) {
        close_all(p);
        return err;
    }
    *out = p;
    return 0;
}

int publish_note(const struct publish *p, const char *name, const char *text, size_t len)
{
    return note_write(p->batch.spool_fd, p->batch.tag, name, text, len);
}

bool publish_wrote(const struct publish *p, const char *name)
{
    return name_classify(name) == NAME_OURS_TEMP &&
           memcmp(name + TEMP_SIZE - 1 - TEMP_DIGITS, p->batch.tag, TEMP_TAG) == 0;
}

void publish_close(struct publish *p)
{
    if (!p || p->closed)
        return;
    p->closed = true;
    uv_mutex_lock(&p->lock);
    list_move(&p->queue, &p->submitted);
    p->stopping = true;
    uv_cond_signal(&p->work);
    uv_mutex_unlock(&p->lock);
    uv_thread_join(&p->thread);
    for (struct op *op; (op = next_finished(p)) != NULL;)
        op_free(op);
    close_all(p);
}
