/* publish - outcome files: written aside, synced, renamed, the directory synced. On one thread of its own.
 *
 * Tasks that wait together are done together: all temporaries written and their write-back started, then all
 * synced side by side (one batch at 8 threads costs half of what it costs at one), renamed, and each
 * directory synced once. The done function runs on the loop thread, exactly once a task, in order, never from
 * inside the call. Never both outcomes of a job: after the new one exists the other kind is removed. A
 * *result* or a kept paid body (NAME.error.body) that would be replaced or removed is kept in superseded_dir
 * first, never destroyed; if the very bytes lie there already nothing is moved, so that recovery may repeat a
 * task. Names are replaced as names: a symlink is never followed, a directory in the way is an error. Files
 * are created O_EXCL as .flowspool.XXXXXX, mode never wider than the job file's (but always readable and
 * writable for their owner), owner the job file's where the daemon may, else the directory's group. A failed
 * sync is never repeated on the same descriptor: the task is written again to a new file once; a second
 * failure reports PUBLISH_SYNC_FAILED and the caller stops the program with status 5. So does EIO anywhere
 * else, and a directory that cannot be synced.
 */
#ifndef FLOWSPOOL_IO_PUBLISH_H
#define FLOWSPOOL_IO_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct publish;

enum publish_rc {
    PUBLISH_OK = 0,
    PUBLISH_TRY_LATER,   /* no space, quota, directory not writable or gone: keep it and try again */
    PUBLISH_SYNC_FAILED, /* stop: status 5 */
};

struct publish_task {
    const char *stem; /* relative to the spool: STEM.result.json or STEM.error.json */
    bool success;
    const char *text; /* outcome bytes */
    size_t len;
    const char *body; /* kept body -> STEM.error.body, or NULL */
    size_t body_len;
    const char *body_file;   /* or: spill file (absolute path) to copy it from */
    uint32_t uid, gid, mode; /* of the job file */
    /* Not NULL: goes to superseded_dir under this name instead (job was superseded while in flight); its body
     * under the name with ".body" after it. */
    const char *superseded_name;
};
struct publish_pruned {
    int64_t files, bytes;
    bool more; /* it was enough for one call */
};
struct publish_result {
    enum publish_rc rc;
    int err; /* errno when not OK */
    char detail[160];
    char moved[320];              /* name in superseded_dir of a result that had to make room; "" none */
    struct publish_pruned pruned; /* publish_prune() */
};
typedef void (*publish_fn)(void *arg, const struct publish_result *r);

/* 0 or a negative errno. superseded_dir (absolute) is created, mode 0700, when it is first needed. */
int publish_open(struct publish **out, uv_loop_t *loop, int spool_fd, const char *superseded_dir);
/* Copies the strings of the task but not text and body, which must live until done. 0, or -ENOMEM, or -EINVAL
 * for a name that cannot be: then nothing was queued and done is never called. The caller keeps the task and
 * tries later. */
int publish_outcome(struct publish *p, const struct publish_task *t, publish_fn done, void *arg)
    __attribute__((warn_unused_result));
/* A renamed job: the outcome at from_stem (result or error, whichever is there and belongs to request_sha256)
 * is published under to_stem with its "job" (and "document") changed, the old one removed; a kept body goes
 * along. from_superseded: read it from superseded_dir under this name instead (an identity that came back, or
 * publish_kept()); of from_stem, which may be NULL, then only goes what is the same file. Nothing there: OK
 * with detail "absent". Returns as publish_outcome does. */
int publish_renamed(struct publish *p, const char *from_stem, const char *from_superseded,
                    const char *to_stem, const char *job, size_t document, const char *request_sha256,
                    publish_fn done, void *arg) __attribute__((warn_unused_result));
/* Removes what lies in superseded_dir and was written before that time (Unix ms; 0: all), at most some
 * thousand files: publish_prune.h. In its turn among the tasks: a result on its way there or back is never
 * met halfway. Returns as publish_outcome does. */
int publish_prune(struct publish *p, int64_t before_ms, bool dry_run, publish_fn done, void *arg)
    __attribute__((warn_unused_result));
/* A file of the daemon's own in the spool, replaced whole (a link is not followed, a directory is an error),
 * as readable as the spool is. Nobody's promise: it is not synced, and written by the caller's thread. 0 or a
 * negative errno. */
int publish_note(const struct publish *p, const char *name, const char *text, size_t len);
/* The outcome at stem (chosen as publish_renamed does) is put into superseded_dir too, with its body under
 * the name with ".body" after it; moved is the name. Its own name stays, for another outcome to take. Nothing
 * there: OK with detail "absent". Returns as publish_outcome does. */
int publish_kept(struct publish *p, const char *stem, const char *request_sha256, publish_fn done, void *arg)
    __attribute__((warn_unused_result));
/* Whether a temporary of that name (without directories) is this publisher's: it may be about to be renamed.
 * One that an earlier start left behind is taken for ours once in 238,328 times, and then swept by the next.
 */
bool publish_wrote(const struct publish *p, const char *name);
size_t publish_queued(const struct publish *p); /* tasks not yet reported */
/* Finishes what is queued, without calling done; texts must live until it returns. The loop must turn once
 * more to free the memory. NULL is allowed. */
void publish_close(struct publish *p);

#endif
