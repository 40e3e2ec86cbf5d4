/* units - durations, sizes, percentages and instants as people write them. Pure.
 * Durations: 300ms, 10s, 5m, 8h (whole numbers, one unit; a bare 0 is allowed). Sizes: 64KiB, 8MiB, 1GiB,
 * or plain bytes. Instants: RFC 3339 with an offset or Z, seconds may have a fraction; a date alone is
 * refused because it names no instant. All return false on bad form or overflow.
 */
#ifndef FLOWSPOOL_CORE_UNITS_H
#define FLOWSPOOL_CORE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool units_parse_duration_ms(const char *text, int64_t *ms);
bool units_parse_size(const char *text, int64_t *bytes);
bool units_parse_percent(const char *text, int *percent); /* "20%", 0..100 */
bool units_parse_instant_ms(const char *text, int64_t *unix_ms);
/* HTTP-date (IMF-fixdate, as in Retry-After) to Unix ms. */
bool units_parse_http_date_ms(const char *text, int64_t *unix_ms);

#define UNITS_INSTANT_SIZE 32
/* "2026-11-23T22:00:00.123Z" */
void units_format_instant(int64_t unix_ms, char buf[UNITS_INSTANT_SIZE]);
/* "8h 12m", "43s", "350ms": two units at most, for people. */
void units_format_duration(int64_t ms, char *buf, size_t size);

#endif
