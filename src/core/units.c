#include "core/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MS_PER_SECOND INT64_C(1000)
#define MS_PER_MINUTE (60 * MS_PER_SECOND)
#define MS_PER_HOUR   (60 * MS_PER_MINUTE)
#define MS_PER_DAY    (24 * MS_PER_HOUR)

/* strtoll() takes white space, signs and a locale's view of digits: none of that is wanted here. */
static bool read_whole(const char **text, int64_t *value)
{
    const char *p = *text;
    int64_t v = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        int64_t digit = *p - '0';
        if (v > (INT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *text = p;
    *value = v;
    return true;
}

struct unit {
    const char *name;
    int64_t factor;
};

static bool read_with_unit(const char *text, const struct unit *units, size_t count, int64_t *out)
{
    int64_t value;
    if (!read_whole(&text, &value))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, units[i].name) != 0)
            continue;
        if (value > INT64_MAX / units[i].factor)
            return false;
        *out = value * units[i].factor;
        return true;
    }
    return false;
}

bool units_parse_duration_ms(const char *text, int64_t *ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", MS_PER_SECOND}, {"m", MS_PER_MINUTE}, {"h", MS_PER_HOUR}};
    if (strcmp(text, "0") == 0) {
        *ms = 0;
        return true;
    }
    return read_with_unit(text, units, sizeof units / sizeof units[0], ms);
}

bool units_parse_size(const char *text, int64_t *bytes)
{
    static const struct unit units[] = {
        {"", 1}, {"KiB", INT64_C(1) << 10}, {"MiB", INT64_C(1) << 20}, {"GiB", INT64_C(1) << 30}};
    return read_with_unit(text, units, sizeof units / sizeof units[0], bytes);
}

bool units_parse_percent(const char *text, int *percent)
{
    static const struct unit units[] = {{"%", 1}};
    int64_t value;
    if (!read_with_unit(text, units, 1, &value) || value > 100)
        return false;
    *percent = (int)value;
    return true;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from 1 March, so that
 * the leap day is the last of its year. timegm() would need a struct tm and bring the C library's
 * liberality with it (month 13 is next January there). */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    if (month <= 2)
        year--;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2 ? 1 : 0));
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

struct civil {
    int year, month, day, hour, minute, second;
};

/* Second 60 is a leap second; it is read as the first moment of the next minute. */
static bool civil_to_ms(const struct civil *c, int64_t *ms)
{
    if (c->month < 1 || c->month > 12 || c->day < 1 || c->day > days_in_month(c->year, c->month))
        return false;
    if (c->hour > 23 || c->minute > 59 || c->second > 60)
        return false;
    *ms = days_from_civil(c->year, c->month, c->day) * MS_PER_DAY + c->hour * MS_PER_HOUR +
          c->minute * MS_PER_MINUTE + c->second * MS_PER_SECOND;
    return true;
}

/* Reads exactly n digits. */
static bool read_digits(const char **p, int n, int *value)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        char c = (*p)[i];
        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *p += n;
    *value = v;
    return true;
}

static bool read_char(const char **p, const char *allowed)
{
    if (**p == '\0' || !strchr(allowed, **p))
        return false;
    (*p)++;
    return true;
}

static bool read_clock(const char **p, struct civil *c)
{
    return read_digits(p, 2, &c->hour) && read_char(p, ":") && read_digits(p, 2, &c->minute) &&
           read_char(p, ":") && read_digits(p, 2, &c->second);
}

/* Digits beyond milliseconds are cut, not rounded. */
static bool read_fraction(const char **p, int64_t *ms)
{
    *ms = 0;
    if (**p != '.')
        return true;
    (*p)++;
    if (**p < '0' || **p > '9')
        return false;
    for (int64_t weight = 100; **p >= '0' && **p <= '9'; (*p)++, weight /= 10)
        *ms += (**p - '0') * weight;
    return true;
}

static bool read_offset(const char **p, int64_t *ms)
{
    char sign = **p;
    int hours, minutes;
    *ms = 0;
    if (read_char(p, "Zz"))
        return true;
    if (!read_char(p, "+-") || !read_digits(p, 2, &hours) || !read_char(p, ":") ||
        !read_digits(p, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ms = hours * MS_PER_HOUR + minutes * MS_PER_MINUTE;
    if (sign == '-')
        *ms = -*ms;
    return true;
}

bool units_parse_instant_ms(const char *text, int64_t *unix_ms)
{
    const char *p = text;
    struct civil c;
    int64_t base, fraction, offset;
    if (!read_digits(&p, 4, &c.year) || !read_char(&p, "-") || !read_digits(&p, 2, &c.month) ||
        !read_char(&p, "-") || !read_digits(&p, 2, &c.day) || !read_char(&p, "Tt "))
        return false;
    if (!read_clock(&p, &c) || !read_fraction(&p, &fraction) || !read_offset(&p, &offset) || *p != '\0')
        return false;
    if (!civil_to_ms(&c, &base))
        return false;
    *unix_ms = base + fraction - offset;
    return true;
}

/* The 1-based place of the three letters at *p in names, which lists three letters each. */
static bool read_name(const char **p, const char *names, int *place)
{
    for (int i = 0; names[3 * i]; i++) {
        if (strncmp(*p, names + 3 * i, 3) != 0)
            continue;
        *p += 3;
        *place = i + 1;
        return true;
    }
    return false;
}

bool units_parse_http_date_ms(const char *text, int64_t *unix_ms)
{
    const char *p = text;
    struct civil c;
    int weekday; /* not compared with the date: a wrong one harms nobody */
    if (!read_name(&p, "MonTueWedThuFriSatSun", &weekday) || !read_char(&p, ",") || !read_char(&p, " "))
        return false;
    if (!read_digits(&p, 2, &c.day) || !read_char(&p, " ") ||
        !read_name(&p, "JanFebMarAprMayJunJulAugSepOctNovDec", &c.month) || !read_char(&p, " ") ||
        !read_digits(&p, 4, &c.year) || !read_char(&p, " "))
        return false;
    if (!read_clock(&p, &c) || strcmp(p, " GMT") != 0)
        return false;
    return civil_to_ms(&c, unix_ms);
}

/* The years that four digits can name, which is all the format allows. */
#define INSTANT_MIN_MS (-INT64_C(62167219200000))
#define INSTANT_MAX_MS INT64_C(253402300799999)

void units_format_instant(int64_t unix_ms, char buf[UNITS_INSTANT_SIZE])
{
    if (unix_ms < INSTANT_MIN_MS)
        unix_ms = INSTANT_MIN_MS;
    if (unix_ms > INSTANT_MAX_MS)
        unix_ms = INSTANT_MAX_MS;
    int64_t days = unix_ms / MS_PER_DAY;
    int64_t rest = unix_ms % MS_PER_DAY;
    if (rest < 0) {
        rest += MS_PER_DAY;
        days--;
    }
    int year, month, day;
    civil_from_days(days, &year, &month, &day);
    int clock = (int)rest; /* fits: less than a day */
    /* The moduli change nothing; they show the compiler how long the text can get. */
    snprintf(buf, UNITS_INSTANT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)year % 10000,
             (unsigned)month % 100, (unsigned)day % 100, (unsigned)clock / 3600000 % 24,
             (unsigned)clock / 60000 % 60, (unsigned)clock / 1000 % 60, (unsigned)clock % 1000);
}

void units_format_duration(int64_t ms, char *buf, size_t size)
{
    static const struct {
        int64_t ms;
        const char *name, *lesser_name;
        int64_t lesser_ms;
    } steps[] = {
        {MS_PER_DAY, "d", "h", MS_PER_HOUR},
        {MS_PER_HOUR, "h", "m", MS_PER_MINUTE},
        {MS_PER_MINUTE, "m", "s", MS_PER_SECOND},
    };
    if (ms < 0)
        ms = 0; /* clocks may step back between two readings; nobody wants to read "-3s ago" */
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (ms < steps[i].ms)
            continue;
        int64_t lesser = ms % steps[i].ms / steps[i].lesser_ms;
        if (lesser == 0)
            snprintf(buf, size, "%" PRId64 "%s", ms / steps[i].ms, steps[i].name);
        else
            snprintf(buf, size, "%" PRId64 "%s %" PRId64 "%s", ms / steps[i].ms, steps[i].name, lesser,
                     steps[i].lesser_name);
        return;
    }
    if (ms >= MS_PER_SECOND)
        snprintf(buf, size, "%" PRId64 "s", ms / MS_PER_SECOND);
    else
        snprintf(buf, size, "%" PRId64 "ms", ms);
}
