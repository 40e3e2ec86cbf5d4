/* What the files of waiting share: waiting.c waits, waiting_names.c finds out which jobs are meant,
 * waiting_file.c what is in their files, waiting_look.c whether they have ended. */
#ifndef FLOWSPOOL_CLI_WAITING_INTERNAL_H
#define FLOWSPOOL_CLI_WAITING_INTERNAL_H

#include <sys/stat.h>

#include "cli/waiting.h"
#include "core/digest.h"
#include "io/store.h"

/* A job as its file has it now; or, where the file is gone, as the state has it. */
struct awaited {
    char *stem;
    char request_sha256[DIGEST_HEX]; /* "": of a file that is refused */
    bool told;
};

enum file_look { FILE_ABSENT, FILE_BROKEN, FILE_READ };

struct target {
    char *path;   /* of the job file; NULL: not known yet, only: */
    char *stem;   /* of the one job in it that is meant; NULL: all of them */
    bool outcome; /* named by its outcome file, which then counts as it is */
    enum file_look file;
    struct stat st; /* of the file when it was read last */
    int64_t file_id;
    struct awaited *jobs;
    size_t njobs;
    bool watched;
    bool over;
};

struct waiting {
    const struct config *cfg;
    int root; /* of the spool */
    struct flowspool_watch *watch;
    struct target *targets;
    size_t count, room;
    ended_fn ended;
    void *arg;
};

/* waiting.c */
/* *out is NULL where there is no state. False: it was said why. */
bool waiting_open_state(const struct config *cfg, struct store **out);
/* Takes path and stem, also when it fails (false: no memory). */
bool waiting_add(struct waiting *w, char *path, char *stem, bool outcome);

/* waiting_look.c */
struct looking {
    struct waiting *w;
    struct store *store; /* NULL: there is no state */
    size_t told;
    bool no_memory;
};
void look_at(struct looking *l, struct target *t);

/* waiting_file.c */
/* False: the job is in no file yet. */
bool target_find_file(struct looking *l, struct target *t);
/* Reads it when it is another one than at the last look. */
void target_read_file(struct looking *l, struct target *t);
/* The jobs that the state knows, where there is no file. False: no memory. */
bool target_take_rows(struct target *t, const struct job_row *rows, size_t count);

#endif
