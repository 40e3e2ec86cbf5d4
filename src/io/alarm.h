/* alarm - the loop's one alarm, on the clock that counts suspend; libuv's own timers stand still while the
 * machine sleeps, so it is a timerfd.
 */
#ifndef FLOWSPOOL_IO_ALARM_H
#define FLOWSPOOL_IO_ALARM_H

#include <stdint.h>
#include <uv.h>

struct alarm_clock;
typedef void (*alarm_fn)(void *arg);
/* 0 or a negative errno. The alarm keeps the loop alive only while it is open. */
int alarm_open(struct alarm_clock **out, uv_loop_t *loop, alarm_fn fn, void *arg);
/* Rings once at that time of clock_mono_ms() (at once when it has passed); INT64_MAX: never. */
void alarm_set(struct alarm_clock *a, int64_t mono_ms);
void alarm_close(struct alarm_clock *a);

#endif
