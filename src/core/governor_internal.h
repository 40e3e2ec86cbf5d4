/* governor_internal - what the files of the governor share. */
#ifndef FLOWSPOOL_CORE_GOVERNOR_INTERNAL_H
#define FLOWSPOOL_CORE_GOVERNOR_INTERNAL_H

#include "core/governor.h"
#include "core/retry.h"

#define GOVERNOR_LIMIT_MAX   1000000000LL
#define GOVERNOR_HOLD_MAX_MS (RETRY_AFTER_MAX_MS / 10 * 11) /* with a tenth of jitter */
#define GOVERNOR_PACED_ROW   4 /* flights refused in a row before a pace that is learned pauses */

int64_t governor_clock(struct governor *g, int64_t now_ms);
/* From a time of the governor's own to a caller's, 0 at least. */
int64_t governor_elapsed(const struct governor *g, int64_t then, int64_t now_ms);
double governor_interval(const struct governor *g);
/* The part of a limit that is ours. */
double governor_usable(const struct governor *g, double limit);
/* So long after its send, a request that was not refused was admitted. */
int64_t governor_proof_ms(const struct governor *g);
void governor_choose_mode(struct governor *g, int64_t now);
void governor_admitted(struct governor *g, uint64_t seq);
/* Paces at what was admitted lately, of requests sent up to `sent_ms`. */
void governor_learn_rate(struct governor *g, int64_t sent_ms, int64_t now);
bool governor_ramp_is_full(const struct governor *g);
void governor_ramp_up(struct governor *g);
void governor_end_slot(struct governor *g);

#endif
