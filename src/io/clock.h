/* clock - the two clocks, the loop's one alarm, and random bits: the outside world policy is not allowed to
 * see.
 *
 * Intervals use CLOCK_BOOTTIME, which goes on during suspend and never jumps; libuv's own timers stand
 * still while the machine sleeps, so the engine's alarm is a timerfd on that clock. Wall-clock time is only
 * for what people wrote as dates and for what outlives a boot.
 */
#ifndef FLOWSPOOL_IO_CLOCK_H
#define FLOWSPOOL_IO_CLOCK_H

#include <stdint.h>
#include <uv.h>

int64_t clock_mono_ms(void);
int64_t clock_unix_ms(void);
uint64_t clock_random(void);
void clock_sleep_ms(int64_t ms); /* for commands that ask again; a signal may end it early */

struct alarm_clock;
typedef void (*alarm_fn)(void *arg);
/* 0 or a negative errno. The alarm keeps the loop alive only while it is open. */
int alarm_open(struct alarm_clock **out, uv_loop_t *loop, alarm_fn fn, void *arg);
/* Rings once at that time (at once when it has passed); INT64_MAX: never. */
void alarm_set(struct alarm_clock *a, int64_t mono_ms);
void alarm_close(struct alarm_clock *a);

#endif
