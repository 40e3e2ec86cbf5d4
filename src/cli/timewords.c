#include "cli/timewords.h"

#include <stdio.h>

#include "core/units.h"

const char *span_words(int64_t ms, char buf[TIME_WORDS_SIZE])
{
    units_format_duration(ms < 1000 ? 1000 : ms, buf, TIME_WORDS_SIZE);
    return buf;
}

const char *time_words(int64_t unix_ms, int64_t now_ms, char buf[TIME_WORDS_SIZE])
{
    char instant[UNITS_INSTANT_SIZE], span[48];
    int64_t away = unix_ms > now_ms ? unix_ms - now_ms : now_ms - unix_ms;
    units_format_instant(unix_ms, instant);
    units_format_duration(away, span, sizeof span);
    if (away < 1000)
        snprintf(buf, TIME_WORDS_SIZE, "%s, now", instant);
    else
        snprintf(buf, TIME_WORDS_SIZE, unix_ms > now_ms ? "%s, in %s" : "%s, %s ago", instant, span);
    return buf;
}
