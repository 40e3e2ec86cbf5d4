/* intake_internal - what the parts of intake share. See intake.h for what intake does. */
#ifndef FLOWSPOOL_DAEMON_INTAKE_INTERNAL_H
#define FLOWSPOOL_DAEMON_INTAKE_INTERNAL_H

#include "core/jobfile.h"
#include "daemon/intake.h"
#include "daemon/pathmap.h"
#include "io/alarm.h"
#include "io/clock.h"
#include "io/watch.h"

#define YOUNG_MS          (JOB_FILE_YOUNG_S * 1000)
#define NETWORK_SETTLE_MS 10000
/* Above this many writes on their way, looks wait for the writer. */
#define INTAKE_WRITING_MAX 1024

struct intake {
    struct intake_options o;
    struct watch *watch;
    struct alarm_clock *alarm;
    int64_t alarm_ms; /* what it is set to */
    uv_idle_t slices; /* active while a scan has more to list */
    bool slicing;
    bool stopped;
    bool network;

    /* All three by the job's path, without .hold: a look concerns the one job, whatever its file's name. */
    struct pathmap waiting; /* not complete yet, or to be looked at again */
    struct pathmap writing; /* their take is on its way to the store */
    struct pathmap marking; /* so is that they are missing, back, held or not */

    struct spool_scan *scan;
    int64_t scan_began_mono_ms, scan_began_unix_ms;
    int64_t next_scan_ms;
    bool scan_again; /* asked for while one was running */
    bool scanned;
    /* After the listing, the rows: which were not met, and which have been missing for long enough. */
    enum { SWEEP_NONE, SWEEP_MISSING, SWEEP_FORGET } sweep;
    char *sweep_path;          /* the last row of SWEEP_MISSING */
    struct file_row sweep_row; /* the last one of SWEEP_FORGET; no strings */
    bool forgetting;           /* a page of rows is on its way out of the store */
    uint64_t pass;             /* counts scans */
    uint8_t *seen;             /* one bit a file id: listed by the running scan */
    size_t seen_bytes;
    char **failed_dirs; /* could not be listed: nothing in them is believed missing */
    size_t nfailed_dirs;
    size_t ignored, ignored_last;
    struct pathmap told; /* directories whose ignored names were logged, and conflicts; as long as scans meet
                          * them */

    /* Settings that decide what a file means have changed: waiting and refused files are read again. */
    bool rereading;
    bool reread_pass;          /* the running scan began after that */
    bool reread_swept;         /* such a scan is over; what it took is not all stored yet */
    int64_t settings_since_ms; /* Unix ms: no file that was there since needs that */

    /* many files vanishing at once */
    int64_t vanish_base, vanish_count;
    int64_t vanish_last_ms; /* 0: no window open */
    bool vanish_gate;
};

/* ---- intake.c ---- */
void intake_wake_at(struct intake *in, int64_t mono_ms);
/* Runs a slice again soon: the writer has room. */
void intake_resume_scan(struct intake *in);
/* True the first time, and again once whole scans no longer met what is told about this path. */
bool intake_tell_once(struct intake *in, const char *path);

/* ---- intake_look.c ---- */
/* hint: a job file or NAME.yaml.hold. arrived: renamed in. seen_ms: when it was first seen, Unix ms, for the
 * order of jobs. */
void intake_look(struct intake *in, const char *hint, bool arrived, int64_t seen_ms);
/* The name has just appeared: linked in and complete, or being written. */
void intake_look_created(struct intake *in, const char *hint, int64_t seen_ms);
/* Looks at everything in `waiting` that is due; returns when the next is (monotonic ms). */
int64_t intake_look_due(struct intake *in, int64_t now_ms);
void intake_mark_seen(struct intake *in, int64_t file_id);
bool intake_was_seen(const struct intake *in, int64_t file_id);
/* The name the job's file has now: PATH or PATH.hold. -ENOENT: it has neither, or its directory is another
 * spool; another negative errno: that cannot be told now. */
int intake_find_file(struct intake *in, const char *path, char *buf, size_t size, struct spool_stat *st);

/* ---- intake_take.c ---- */
/* What one look found. bytes NULL: the file is too large to be read. */
struct look {
    const char *job_path; /* without .hold */
    bool held;
    const char *bytes;
    size_t len;
    struct spool_stat st;
    int64_t seen_ms;
    bool written;               /* signature differs from the row's */
    bool asked;                 /* flowspool retry wants it read */
    struct file_row *row;       /* id 0: unknown path */
    const struct jobfile *jobs; /* NULL: it does not parse */
    const struct fault *fault;
};
/* 0: handed to the store; -EAGAIN: look again in a moment (an outcome is being written, or what is known of
 * the file is just changing). */
int intake_take(struct intake *in, struct look *k);

/* ---- intake_names.c ---- */
/* Everything one take gathers before it is handed over. */
struct take_plan {
    struct job_row *known;
    size_t nknown;
    size_t nstrays; /* the last of them are of other files */
    struct take_job *jobs;
    char **stems;
    size_t njobs;
    int64_t *drop, *supersede;
    int64_t *displace; /* files that give way: they have another name, or none, by now */
    size_t ndrop, nsupersede, ndisplace;
    struct file_row renamed_from; /* id 0: not a rename */
    bool again;                   /* what it would change is just changing: look again in a moment */
    char message[640];            /* why the file was refused */
};
/* Finds p->renamed_from. False: a row of this inode is just changing; look again in a moment. */
bool take_find_rename(struct intake *in, const struct look *k, struct take_plan *p);
/* Adds jobs to those known: superseded ones that this file brings along under a new name, because another
 * file took its old name before it was found. False: no memory. */
bool take_find_strays(struct intake *in, const struct look *k, struct take_plan *p);
/* The outcome names, and room for the rest of the plan. False: no memory. */
bool take_stems(const struct look *k, struct take_plan *p);
/* Why the jobs cannot have their outcome names, or NULL. Who only seems to have one of them, because its file
 * is gone or was renamed, is displaced. */
const char *take_name_fault(struct intake *in, const struct look *k, struct take_plan *p, char *buf,
                            size_t size);
void take_displace(struct intake *in, struct take_plan *p, int64_t file_id);
/* The jobs of a displaced file, as far as they are in memory. */
void take_give_way(struct intake *in, int64_t file_id);

/* ---- intake_outcomes.c ---- */
/* A new job whose result, or ambiguous error, lies beside it: t becomes DONE or FAILED and is not bought. */
void intake_adopt_beside(struct intake *in, const struct look *k, const char *stem, struct take_job *t);

/* ---- intake_missing.c ---- */
void intake_gone(struct intake *in, const char *job_path);
/* The file is as it was taken, and there again (its row says that it is missing), or held or free now. */
void intake_back_or_held(struct intake *in, const struct file_row *row, bool held,
                         const struct file_sig *sig);
/* Another file wants the outcome name of this one: the id of its row if it is gone, 0 if it is still there,
 * or a job of it on its way. */
int64_t intake_find_gone(struct intake *in, const char *job_path);
/* After a whole scan: rows that were not listed, and rows that have been missing for long enough. */
void intake_sweep_begin(struct intake *in);
/* A page of them; false: it was the last. */
bool intake_sweep_step(struct intake *in);
void intake_sweep_end(struct intake *in);
/* Decides about the gate when a burst of vanishing has calmed down; returns when to ask again. */
int64_t intake_judge_vanished(struct intake *in, int64_t now_ms);
/* At the start: the gate as the last daemon left it. */
void intake_restore_vanished(struct intake *in);

/* ---- intake_reread.c ---- */
/* Whether the settings under which the known files were read are still these; if not, they are read again. */
void intake_compare_settings(struct intake *in);
/* A file that has not changed since it was taken means something else now, perhaps. */
bool intake_wants_reread(struct intake *in, const struct file_row *row);
/* Such a file says nothing better than before: its row stays as it is. */
bool intake_reread_in_vain(const struct look *k);
/* A scan is over (whole), or a take is stored: was that the last of it? */
void intake_reread_end(struct intake *in, bool swept);

#endif
