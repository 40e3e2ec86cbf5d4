/* libflowspool - what a program needs to feed a flowspool spool. Link with -lflowspool.
 *
 * Every function may be called from any thread; the library keeps no state between calls, opens no
 * file and writes to no stream. Objects that it hands out belong to the caller, who frees them with
 * the function named beside the type. Names begin with flowspool_ or FLOWSPOOL_.
 */
#ifndef FLOWSPOOL_FLOWSPOOL_H
#define FLOWSPOOL_FLOWSPOOL_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FLOWSPOOL_API __attribute__((visibility("default")))

/* The version of the library that is running, such as "0.1.0". Never NULL, never freed. */
FLOWSPOOL_API const char *flowspool_version(void);

/* Why a job file is refused, and where. Free with flowspool_error_free(). */
struct flowspool_error;

/* Lines and columns count from 1, columns in characters; 0: no place in particular. */
FLOWSPOOL_API size_t flowspool_error_line(const struct flowspool_error *error);
FLOWSPOOL_API size_t flowspool_error_column(const struct flowspool_error *error);
/* One sentence, UTF-8, without a newline, valid as long as the error. */
FLOWSPOOL_API const char *flowspool_error_message(const struct flowspool_error *error);
/* NULL is fine. */
FLOWSPOOL_API void flowspool_error_free(struct flowspool_error *error);

/* Checks the bytes of a job file exactly as flowspoold would read them; see flowspool-job(5).
 *
 * Returns the number of jobs in the file, at least 1. Returns 0 when the daemon would refuse the
 * file; then, where error is not NULL, *error is an object that says why (also when memory ran out).
 * After success *error is NULL.
 *
 * Not checked, because it depends on the daemon's configuration or on its spool: the size against
 * max_job_size, the file's name, and whether the workflow exists.
 */
FLOWSPOOL_API size_t flowspool_check(const char *bytes, size_t len, struct flowspool_error **error);

#ifdef __cplusplus
}
#endif

#endif
