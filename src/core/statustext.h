/* statustext - the status as the text of SPOOL/STATUS.txt, for people who have no shell where the daemon
 * runs. Pure.
 *
 * Only what stays true until the next change is in it: times of day instead of "3 minutes ago", and the rate
 * only while something is sent. So a daemon that has nothing to do has nothing to write.
 */
#ifndef FLOWSPOOL_CORE_STATUSTEXT_H
#define FLOWSPOOL_CORE_STATUSTEXT_H

#include "core/status.h"

#define STATUS_TEXT_SIZE 16384

struct status_text_about {
    int64_t written_ms,
        changed_ms;    /* Unix ms; 0: not said, nor the rate: what is left is what changes are of */
    const char *ended; /* NULL: the daemon runs; else what it says last, such as "stopped" */
};

/* Returns the length; what does not fit is cut. */
size_t status_text(const struct status *s, const struct status_text_about *about, char buf[STATUS_TEXT_SIZE]);

/* How long so many jobs take at this rate, in ms; -1: not known. */
int64_t status_time_for(const struct status *s, int64_t jobs);
/* Milliseconds until the jobs that may run are done at this rate; -1: not known. */
int64_t status_left_ms(const struct status *s);

#endif
