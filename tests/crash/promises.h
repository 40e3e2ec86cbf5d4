/* promises - what must hold whenever the daemon died, read from the disk and from the shop's count.
 *
 * A witness is what lay on the disk right after a crash, before anything was started on it; it is compared
 * with how it ended. Of the state a copy is read, so that looking changes nothing.
 */
#ifndef FLOWSPOOL_CRASH_PROMISES_H
#define FLOWSPOOL_CRASH_PROMISES_H

#include <stdbool.h>

#include "core/digest.h"
#include "scenario.h"
#include "shop.h"

enum policy { POLICY_HOLD, POLICY_RETRY };
#define MAX_AMBIGUOUS 1 /* of the configuration, under POLICY_RETRY */

struct witness_job {
    char outcome[DIGEST_HEX]; /* "": none */
    char code[32];            /* of an error; "": it is a result */
    int state;                /* enum job_state; -1: not known */
    bool answered;            /* its last reply is durable, or its outcome */
    int ambiguous, charged;
};
struct witness {
    struct witness_job jobs[WANTS_MAX];
};

#define BREACHES_SIZE 1500

struct report {
    int lost, twice, other;
    int ambiguous; /* jobs that ended as such: no breach */
    char breaches[BREACHES_SIZE];
};

struct place {
    const char *spool, *scratch; /* scratch: a directory for the copy */
    const struct scenario *scenario;
    const struct shop *shop;
    enum policy policy;
};

void breach(struct report *r, int *kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool report_is_clean(const struct report *r);
void witness_take(struct witness *w, const struct place *p, struct report *r);
void promises_check(const struct place *p, const struct witness *witnesses, int count, struct report *r);

#endif
