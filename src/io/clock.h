/* clock - the two clocks and random bits: the outside world policy is not allowed to see.
 *
 * Intervals use CLOCK_BOOTTIME, which goes on during suspend and never jumps. Wall-clock time is only for
 * what people wrote as dates and for what outlives a boot. The library has this module too, so it knows no
 * event loop; alarm.h does.
 */
#ifndef FLOWSPOOL_IO_CLOCK_H
#define FLOWSPOOL_IO_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ms(void);
int64_t clock_unix_ms(void);
uint64_t clock_random(void);
void clock_sleep_ms(int64_t ms); /* for commands that ask again; a signal may end it early */

#endif
