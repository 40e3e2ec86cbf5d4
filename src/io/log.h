/* log - lines for people or JSON lines for programs, on stderr or in a file. Nothing else writes there.
 *
 * One line a call, written with one write(2). Text: "2026-11-23T22:00:00.123Z warn story.yaml: message".
 * JSON: {"time":…,"level":…,"job":…,"message":…}. Names and far-side text are escaped (control bytes,
 * bad UTF-8), so that a job's name cannot forge a line. Secrets never come here: the key has no accessor
 * that prints. Called from the loop thread and from worker threads.
 */
#ifndef FLOWSPOOL_IO_LOG_H
#define FLOWSPOOL_IO_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* The log goes to this file from now on, appended, or to the same one opened anew (it was rotated away). 0 or
 * a negative errno: it goes where it went. The progress line stays on stderr. */
int log_to(const char *path);

/* What keeps to itself unless asked: one line per finished job is debug, per failed job warn. */
void log_set(enum log_level max, bool json);
enum log_level log_level(void);
bool log_level_parse(const char *text, enum log_level *out); /* error, warn, info, debug */

/* job: the job's path relative to the spool, or NULL. */
void log_line(enum log_level level, const char *job, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A refused job file. Text: "… warn story.yaml:4:3: refused: reason", line and column left out where they are
 * 0; JSON: "line" and "column" after "job". */
void log_refused(const char *job, size_t line, size_t column, const char *reason);

/* A line that was asked for (SIGUSR1, the last line of --once): printed whatever the level. */
void log_summary(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The progress line of --once on a terminal: redrawn in place; a log line pushes it down. NULL erases it. */
void log_progress(const char *line);

#endif
