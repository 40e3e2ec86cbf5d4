/* What the files of publish share: publish.c queues and reports, publish_batch.c has the order of the steps,
 * publish_piece.c writes one file, publish_keep.c makes room for it, publish_prune.c empties superseded_dir,
 * publish_note.c writes what is no outcome,
 * publish_source.c reads a renamed job's outcome, publish_sync.c syncs many descriptors side by side. */
#ifndef FLOWSPOOL_IO_PUBLISH_INTERNAL_H
#define FLOWSPOOL_IO_PUBLISH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/digest.h"
#include "io/publish.h"

/* Behind the name of an outcome that is kept: the body kept beside it. */
#define BODY_SUFFIX ".body"

enum {
    BATCH_MAX = 64,
    DIRS_MAX = BATCH_MAX * 2 + 1, /* a target and a source each, and superseded_dir */
    SYNCS_MAX = BATCH_MAX * 2,    /* an outcome and a body each */
    TEMP_SIZE = sizeof ".flowspool.XXXXXX",
    TEMP_DIGITS = 6,
    TEMP_TAG = 3, /* the first of them say which start of the program wrote it */
};

struct publish_dir {
    char *path; /* relative to the spool; NULL: superseded_dir */
    int fd;
    const char *tag; /* the batch's */
    gid_t gid;
    bool dirty; /* a name in it changed since it was last synced */
};

/* One file that a task puts in place. */
struct piece {
    bool wanted;
    char *name;        /* final, in the task's directory */
    const char *bytes; /* content, or NULL: */
    size_t len;
    const char *file;     /* the file to copy it from */
    bool replaces;        /* something has the name */
    bool present;         /* these very bytes lie there already: only sync them */
    int fd;               /* of the temporary, or of what is present; -1: none */
    char temp[TEMP_SIZE]; /* "": none */
};

struct op {
    struct op *next;
    publish_fn done;
    void *arg;
    struct publish_result result;
    uint64_t
        keys[3]; /* of the names it touches; 0: none. Two tasks with a name in common never share a batch. */
    /* what is asked */
    bool prune, dry_run;
    int64_t before_ms;
    bool renamed;
    bool keep; /* the source is only to be kept */
    bool success;
    char *stem, *superseded_name, *body_file;
    char *from_stem, *from_superseded, *job;
    size_t document;
    char request_sha256[DIGEST_HEX];
    uint32_t uid, gid, mode;
    /* how far it is */
    bool over; /* nothing more is to be done but to clean up and report */
    bool kept; /* something was put into superseded_dir */
    struct publish_dir *dir;
    struct piece outcome, body;
    char *other;                      /* name of the other kind of outcome, or NULL */
    bool remove_other, remove_body;   /* they are there and must go */
    struct publish_dir *source_dir;   /* of a renamed (or kept) job's outcome: */
    char *source_name, *source_body;  /* NULL: none */
    struct publish_dir *stale_dir;    /* where it was before it was kept, or NULL */
    char *source_text, *source_bytes; /* owned memory behind the pieces */
    struct stat source_stat;
};

struct sync_pool;
struct batch {
    int spool_fd;
    const char *superseded_dir;
    char tag[TEMP_TAG]; /* drawn at the start, then only read */
    struct sync_pool *pool;
    struct op *ops;
    struct publish_dir dirs[DIRS_MAX];
    size_t ndirs;
};

/* publish_batch.c */
void batch_run(struct batch *b, struct op *ops);
/* The directory at path, opened once a batch. NULL: *err is a negative errno. */
struct publish_dir *batch_dir(struct batch *b, const char *path, size_t len, int *err);
/* create: makes it if need be. */
struct publish_dir *batch_superseded_dir(struct batch *b, bool create, int *err);
/* Ends a task: err is a negative errno, what says what was tried with the name. */
void op_fail(struct op *op, int err, const char *what, const char *name);
/* prefix and suffix as one name; NULL: no memory, the task has failed. */
char *op_name(struct op *op, const char *prefix, const char *suffix);

/* publish_piece.c; all return 0 or a negative errno */
/* Looks at what has the final name: -EISDIR, or sets replaces and present. */
int piece_look(struct piece *p, int dir);
int piece_write(struct piece *p, const struct publish_dir *dir, const struct op *owner);
/* Starts the write-back without waiting. After all of a batch are written: one by one it costs twice as much.
 */
void piece_start_sync(const struct piece *p);
int piece_put(struct piece *p, struct publish_dir *dir);
void piece_drop(struct piece *p, int dir); /* closes, and removes the temporary */
int temp_create(int dir, const char tag[TEMP_TAG], mode_t mode, char name[TEMP_SIZE]); /* the descriptor */
int temp_random(char *out, size_t count);
int write_all(int fd, const char *bytes, size_t len);
int copy_all(int from, int to);
bool same_content(int a, int b);
int open_for_reading(int dir, const char *name);
void sweep_temporaries(const char *path);

/* publish_keep.c */
/* Keeps what the task replaces or removes; the names are durable once superseded_dir was synced. */
void keep_old(struct batch *b, struct op *op);
/* Keeps the source of the task, and its body. */
void keep_source(struct batch *b, struct op *op);
/* Whether the name there is this file, or a copy of it: 0. -ENOENT: the name is free; -EEXIST: another file
 * has it. */
int kept_before(int dir, const char *name, const struct stat *st, int kept_dir, const char *kept);

/* publish_note.c */
int note_write(int dir, const char tag[TEMP_TAG], const char *name, const char *text, size_t len);

/* publish_source.c */
/* Reads the outcome to rename; the task fails, or is over with "absent", or its pieces have content. */
void source_load(struct batch *b, struct op *op);

/* publish_sync.c */
struct sync_pool *sync_pool_open(void); /* NULL: no memory; with fewer threads it works too */
/* fsync of each descriptor; errs[i] is 0 or a negative errno. */
void sync_pool_run(struct sync_pool *pool, const int *fds, int *errs, size_t count);
void sync_pool_close(struct sync_pool *pool);

#endif
