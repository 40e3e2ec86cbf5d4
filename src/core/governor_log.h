/* governor_log - when requests of the account were sent, and how many of them counted.
 *
 * Exact for the newest SEND_LOG_EXACT sends; before that, counts in slots of time that are four times as
 * long per level, three days back. A refused request takes no quota and is taken out again. Times are ms,
 * never going back (the caller sees to that). Counts of the log are modulo 2^32; only differences mean
 * anything.
 */
#ifndef FLOWSPOOL_CORE_GOVERNOR_LOG_H
#define FLOWSPOOL_CORE_GOVERNOR_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define SEND_LOG_EXACT  8192
#define SEND_LOG_LEVELS 6
#define SEND_LOG_SLOTS  256

struct send_log {
    uint64_t next;                /* number of the next send */
    int64_t at[SEND_LOG_EXACT];   /* of send n in slot n % SEND_LOG_EXACT */
    uint32_t sum[SEND_LOG_EXACT]; /* of those that counted, this one included */
    bool refused[SEND_LOG_EXACT];
    uint32_t total;                    /* the newest sum */
    int64_t level_at[SEND_LOG_LEVELS]; /* the number of the level's newest slot */
    uint32_t slots[SEND_LOG_LEVELS][SEND_LOG_SLOTS];
};

void send_log_init(struct send_log *l, int64_t now_ms);
/* Returns the number of the send. */
uint64_t send_log_add(struct send_log *l, int64_t now_ms);
/* The send took no quota. Once at most for each; costs a step per later send. */
void send_log_refused(struct send_log *l, uint64_t number);
/* Whether the send is still known exactly. */
bool send_log_knows(const struct send_log *l, uint64_t number);
int64_t send_log_time(const struct send_log *l, uint64_t number);
/* The time of the newest send; INT64_MIN: none. */
int64_t send_log_newest(const struct send_log *l);
/* The sum of all that were sent at `ms` or before. */
uint32_t send_log_until(const struct send_log *l, int64_t ms);
/* How many counted that were sent after `from_ms` and not after `until_ms`. */
int32_t send_log_between(const struct send_log *l, int64_t from_ms, int64_t until_ms);

#endif
