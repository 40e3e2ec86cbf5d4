/* libflowspool - what a program needs to hand jobs to flowspoold(8) and to get their outcomes.
 *
 *     struct flowspool_job *job = flowspool_job_new("wf_story");
 *     flowspool_job_input(job, "story", "a dog named charlie");
 *     if (flowspool_submit(spool, job, NULL, &path, &error) == 0 &&
 *         flowspool_wait(spool, path, -1, &outcome, &error) == 1)
 *             puts(flowspool_outcome_result(outcome, NULL));
 *
 * Link with what `pkg-config --libs flowspool` says. contrib/examples/ has whole programs, libflowspool(3)
 * the same as here with more words.
 *
 * Names. Everything begins with flowspool_ or FLOWSPOOL_. A spool is the path of its directory. A job is
 * named by its file relative to the spool, with or without the ending: "story.yaml", "dir/story"; one
 * document of a file of several by its id or number, "copy.kettle"; or by the name of its outcome,
 * "story.result.json".
 *
 * Results. A function that returns int returns 0 or more, or a negative errno. Then, where the caller gave an
 * error pointer, it holds an object that says why, to be freed with flowspool_error_free(); otherwise NULL.
 * Pointers for results are set to NULL on failure. Every error pointer may be NULL. Text is UTF-8.
 *
 * Memory. What is handed out as char * is freed with flowspool_free(), objects with the function of their
 * type; both take NULL. What is handed out as const char * belongs to the object it was asked from.
 *
 * Threads. The library keeps no state of its own, writes to no stream, starts no thread, touches no signal
 * and does not change the environment, the umask or the working directory. Functions without an object, and
 * different objects, may be used from any threads at the same time. A finished error, outcome or status does
 * not change: any number of threads may read it. A job or a watch is for one thread at a time. Descriptors
 * are closed on exec; none outlives its call but those of a watch.
 */
#ifndef FLOWSPOOL_FLOWSPOOL_H
#define FLOWSPOOL_FLOWSPOOL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FLOWSPOOL_API __attribute__((visibility("default")))

/* ---- version, memory, errors ---- */

/* The version of the library that is running, such as "0.1.0". Never NULL. */
FLOWSPOOL_API const char *flowspool_version(void);

/* Frees text that was handed out as char *. */
FLOWSPOOL_API void flowspool_free(void *text);

struct flowspool_error;

/* The negative errno that the function returned. */
FLOWSPOOL_API int flowspool_error_code(const struct flowspool_error *error);
/* Of a job file's fault: lines and columns count from 1, columns in characters. 0: no place in particular. */
FLOWSPOOL_API size_t flowspool_error_line(const struct flowspool_error *error);
FLOWSPOOL_API size_t flowspool_error_column(const struct flowspool_error *error);
/* One sentence without a newline; control characters in it are escaped. */
FLOWSPOOL_API const char *flowspool_error_message(const struct flowspool_error *error);
FLOWSPOOL_API void flowspool_error_free(struct flowspool_error *error);

/* ---- job files ---- */

/* Checks the bytes of a job file exactly as flowspoold would read them; see flowspool-job(5).
 *
 * Returns the number of jobs in the file, at least 1. Returns 0 when the daemon would refuse the file; then
 * *error says why and where (code -EINVAL, or -ENOMEM when memory ran out).
 *
 * Not checked, because it depends on the daemon's configuration or on its spool: the size against
 * max_job_size, the file's name, and whether the workflow exists.
 */
FLOWSPOOL_API size_t flowspool_check(const char *bytes, size_t len, struct flowspool_error **error);

struct flowspool_job;

/* A job for this workflow, without inputs. NULL: no memory. A workflow that can be none (it may have 1 to 128
 * of A-Z a-z 0-9 _ -) is an error of flowspool_job_print() and flowspool_submit(). */
FLOWSPOOL_API struct flowspool_job *flowspool_job_new(const char *workflow);

/* Each of these sets a value: 0, or -EINVAL for one that cannot be, -EEXIST for an input that is there
 * already, -ENOMEM. A failure also sticks: the job is then refused by flowspool_job_print() and
 * flowspool_submit(), with words for it, so that a program may set everything and look once. */

/* An input that is sent as this string, whatever it looks like and whatever inputs_as the daemon has. */
FLOWSPOOL_API int flowspool_job_input(struct flowspool_job *job, const char *key, const char *text);
/* An input that is sent as this JSON value, every digit kept. A string in it may hold neither \u0000 nor half
 * of a surrogate pair. */
FLOWSPOOL_API int flowspool_job_input_json(struct flowspool_job *job, const char *key, const char *json);
/* -100 to 100; higher goes first; without it 0. */
FLOWSPOOL_API int flowspool_job_priority(struct flowspool_job *job, int priority);
/* Not sent before, or fails unsent after this time: Unix time in milliseconds, years 1970 to 9999. */
FLOWSPOOL_API int flowspool_job_not_before(struct flowspool_job *job, int64_t unix_ms);
FLOWSPOOL_API int flowspool_job_expires(struct flowspool_job *job, int64_t unix_ms);
/* 1 to 1000, in place of the daemon's retry.max_attempts. */
FLOWSPOOL_API int flowspool_job_max_attempts(struct flowspool_job *job, int attempts);
/* Not sent; another value makes the same request another job. */
FLOWSPOOL_API int flowspool_job_run(struct flowspool_job *job, const char *run);

/* The job as the bytes of a job file, valid until the job is changed or freed; a NUL follows that *len (which
 * may be NULL) does not count. NULL: *error says what the job is refused for. What it prints,
 * flowspool_check() accepts. */
FLOWSPOOL_API const char *flowspool_job_print(struct flowspool_job *job, size_t *len,
                                              struct flowspool_error **error);
FLOWSPOOL_API void flowspool_job_free(struct flowspool_job *job);

/* ---- submitting ---- */

/* Puts a job into the spool so that it is there as a whole, for good, or not at all: written aside under a
 * hidden name in the same directory, synced, put in place without replacing anything, and the directory
 * synced. After success a power cut does not lose it. After a failure nothing is left (a program that is
 * killed meanwhile may leave a file whose name begins with ".flowspool-submit.", which the daemon ignores).
 *
 * The name is relative to the spool. ".yaml" is added when it has no ending of a job file. Directories in it
 * must exist, are not followed where they are links, and are only looked into by a daemon with `recursive`.
 * NULL: one that is new and says workflow and time. The file gets mode 0666 without the bits of the umask.
 *
 * Returns 0, and in *path (which may be NULL) the job's name relative to the spool, for flowspool_free().
 *   -EEXIST        a job of that name is there, or one whose outcome would have the same name
 *   -EINVAL        the job is refused (a line is set if the bytes are), or no job may have that name
 *   -ENAMETOOLONG  nor such a long one
 *   -ENOENT, -ENOTDIR, -ELOOP   no such directory, or one behind a link
 *   -ENOSPC, -EACCES, -EROFS, …  from the file system
 */
FLOWSPOOL_API int flowspool_submit(const char *spool, struct flowspool_job *job, const char *name,
                                   char **path, struct flowspool_error **error);
/* The same with the bytes of a whole job file, of one or several documents, which are checked first. */
FLOWSPOOL_API int flowspool_submit_bytes(const char *spool, const char *bytes, size_t len, const char *name,
                                         char **path, struct flowspool_error **error);

/* ---- outcomes ---- */

struct flowspool_outcome;

/* Reads the outcome that lies beside a job. Returns 1 when there is one, 0 when there is none yet, or a
 * negative errno: -EBADMSG for a file that is no outcome, -EFBIG for one of more than 1 GiB, -EINVAL for a
 * name that no job can have, others from the file system.
 *
 * An outcome that answers another request than the job file beside it holds now is from before and is not
 * there yet; nor is the error of a file that was corrected since. So a name can be used again. Not so when
 * the job is named by its outcome file: that is read as it is. */
FLOWSPOOL_API int flowspool_outcome_read(const char *spool, const char *job,
                                         struct flowspool_outcome **outcome, struct flowspool_error **error);

/* 1: a result; 0: the job failed for good. */
FLOWSPOOL_API int flowspool_outcome_success(const struct flowspool_outcome *outcome);
/* The service's result: its text where it is a string, else its JSON. *len (may be NULL) is its length, which
 * matters where the text holds NULs. NULL for a failure. */
FLOWSPOOL_API const char *flowspool_outcome_result(const struct flowspool_outcome *outcome, size_t *len);
/* JSON, unchanged; NULL when the service sent none. */
FLOWSPOOL_API const char *flowspool_outcome_citations(const struct flowspool_outcome *outcome);
/* Why it failed: one of the codes in flowspool-job(5), and a sentence for people. NULL for a result. */
FLOWSPOOL_API const char *flowspool_outcome_error_code(const struct flowspool_outcome *outcome);
FLOWSPOOL_API const char *flowspool_outcome_error_message(const struct flowspool_outcome *outcome);
/* Whether `flowspool retry` can help without any other change. */
FLOWSPOOL_API int flowspool_outcome_retryable(const struct flowspool_outcome *outcome);
/* Numbers; -1 where they are not known. Attempts that count, answers 429, attempts that may have been charged
 * without an answer reaching us, and the duration of the last attempt. */
FLOWSPOOL_API int flowspool_outcome_http_status(const struct flowspool_outcome *outcome);
FLOWSPOOL_API int64_t flowspool_outcome_attempts(const struct flowspool_outcome *outcome);
FLOWSPOOL_API int64_t flowspool_outcome_rate_limited(const struct flowspool_outcome *outcome);
FLOWSPOOL_API int64_t flowspool_outcome_ambiguous(const struct flowspool_outcome *outcome);
FLOWSPOOL_API int64_t flowspool_outcome_duration_ms(const struct flowspool_outcome *outcome);
/* The job file relative to the spool (never NULL), the workflow, the request's identity and the service's
 * name for the last request; NULL where they are not known. */
FLOWSPOOL_API const char *flowspool_outcome_job(const struct flowspool_outcome *outcome);
FLOWSPOOL_API const char *flowspool_outcome_workflow(const struct flowspool_outcome *outcome);
FLOWSPOOL_API const char *flowspool_outcome_request_sha256(const struct flowspool_outcome *outcome);
FLOWSPOOL_API const char *flowspool_outcome_request_id(const struct flowspool_outcome *outcome);
/* 1: flowspool-sandbox(1) answered, and no model was asked. */
FLOWSPOOL_API int flowspool_outcome_sandbox(const struct flowspool_outcome *outcome);
/* The outcome file's own text, one JSON object, for all that is not here. *len may be NULL. */
FLOWSPOOL_API const char *flowspool_outcome_json(const struct flowspool_outcome *outcome, size_t *len);
FLOWSPOOL_API void flowspool_outcome_free(struct flowspool_outcome *outcome);

/* ---- waiting ---- */

/* Waits for one job's outcome: 1 and *outcome, 0 when timeout_ms passed (negative: no limit), or a negative
 * errno as flowspool_outcome_read() and flowspool_watch_open() have them; -EINVAL also for a file of several
 * documents (use a watch). A job that waits for room, for its time or behind a hold is simply not there yet,
 * and so is one that is not submitted yet. No daemon is asked. */
FLOWSPOOL_API int flowspool_wait(const char *spool, const char *job, int timeout_ms,
                                 struct flowspool_outcome **outcome, struct flowspool_error **error);

/* Waits for many. An outcome that is there when its job is added, or comes meanwhile, is not missed. Events
 * of the file system (inotify) wake a watch; where there are none (network file systems, no watches left, a
 * directory that does not exist yet) it looks every half second, with thousands of jobs less often. */
struct flowspool_watch;

FLOWSPOOL_API int flowspool_watch_open(const char *spool, struct flowspool_watch **watch,
                                       struct flowspool_error **error);
/* Waits for this job too; of a file of several documents, for each. Returns how many outcomes that adds: 0
 * when they are waited for already. */
FLOWSPOOL_API int flowspool_watch_add(struct flowspool_watch *watch, const char *job,
                                      struct flowspool_error **error);
/* A descriptor that is readable when flowspool_watch_next() should be called with timeout 0 until it returns
 * 0: for poll(2) in a loop of one's own. It stays the same and belongs to the watch. */
FLOWSPOOL_API int flowspool_watch_fd(const struct flowspool_watch *watch);
/* The next outcome, in the order in which they come. Returns
 *   1   *outcome is that of *job (may be NULL), the name that was added, or NAME.ID of a document; valid
 * until the next call. The job is not waited for any more. 0   timeout_ms (negative: no limit) passed
 *   negative errno: -ENOENT when nothing is waited for, or the spool is gone. When *job is set, the outcome
 * of this job cannot be read, and it is not waited for any more; the others are.
 */
FLOWSPOOL_API int flowspool_watch_next(struct flowspool_watch *watch, int timeout_ms,
                                       struct flowspool_outcome **outcome, const char **job,
                                       struct flowspool_error **error);
FLOWSPOOL_API void flowspool_watch_close(struct flowspool_watch *watch);

/* ---- status ---- */

struct flowspool_status;

/* Asks the daemon of a spool how it is. state_dir: where the configuration has it, or NULL for its default,
 * .flowspool in the spool. Returns 0, or
 *   -ENOENT, -ECONNREFUSED   no daemon runs
 *   -ETIMEDOUT               one runs and did not answer within timeout_ms: it is stuck or very busy
 *   -EACCES, -ECONNRESET     it does not answer this user; or it is just stopping
 *   -EBADMSG                 what answers is no flowspoold
 */
FLOWSPOOL_API int flowspool_status_read(const char *spool, const char *state_dir, int timeout_ms,
                                        struct flowspool_status **status, struct flowspool_error **error);

FLOWSPOOL_API int64_t flowspool_status_pid(const struct flowspool_status *status);
FLOWSPOOL_API int64_t flowspool_status_uptime_ms(const struct flowspool_status *status);
/* 1: it takes on new requests; 0: it is stopping. */
FLOWSPOOL_API int flowspool_status_running(const struct flowspool_status *status);
FLOWSPOOL_API const char *flowspool_status_endpoint(const struct flowspool_status *status);
/* Requests on their way, the most there may be at the moment, and what that depends on. */
FLOWSPOOL_API int64_t flowspool_status_in_flight(const struct flowspool_status *status);
FLOWSPOOL_API int64_t flowspool_status_cap(const struct flowspool_status *status);
FLOWSPOOL_API const char *flowspool_status_cap_reason(const struct flowspool_status *status);
/* Jobs that ended in a second, over the last minute. */
FLOWSPOOL_API double flowspool_status_per_second(const struct flowspool_status *status);

enum flowspool_count {
    FLOWSPOOL_WAITING,   /* may be sent as soon as there is room */
    FLOWSPOOL_LATER,     /* wait for their time, or to be tried again */
    FLOWSPOOL_HELD,      /* held by the operator */
    FLOWSPOOL_MISSING,   /* their file is gone */
    FLOWSPOOL_IN_FLIGHT, /* sent, or their reply is being written */
    FLOWSPOOL_DONE,
    FLOWSPOOL_FAILED,
    FLOWSPOOL_REFUSED /* files whose outcome's name is taken or impossible */
};
/* How many jobs are so; -1: not known. */
FLOWSPOOL_API int64_t flowspool_status_count(const struct flowspool_status *status,
                                             enum flowspool_count which);
/* Why sending is held, one reason after the other from index 0, in words that say what to do; NULL behind the
 * last. None: sending is open. */
FLOWSPOOL_API const char *flowspool_status_held(const struct flowspool_status *status, size_t index);
/* What the daemon said, one JSON object; its members are in flowspool(1), under `live` of status. */
FLOWSPOOL_API const char *flowspool_status_json(const struct flowspool_status *status);
FLOWSPOOL_API void flowspool_status_free(struct flowspool_status *status);

#ifdef __cplusplus
}
#endif

#endif
