#include "sandbox/latency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/units.h"

#define PART_SIZE 64
#define TWO_PI    6.283185307179586

static bool duration(const char *text, int64_t *ms, struct fault *fault)
{
    if (!units_parse_duration_ms(text, ms) || *ms < 0 || *ms > LATENCY_MAX_MS) {
        fault_set(fault, 0, 0, "'%s' is no duration from 0 to 24h (such as 300ms, 8s or 5m)", text);
        return false;
    }
    return true;
}

/* Copies the text up to the next comma and moves *text behind it; false at the end. */
static bool next_part(const char **text, char part[PART_SIZE], bool *too_long)
{
    if (!**text) {
        return false;
    }
    size_t len = strcspn(*text, ",");
    *too_long = len >= PART_SIZE;
    if (!*too_long) {
        memcpy(part, *text, len);
        part[len] = '\0';
    }
    *text += len + ((*text)[len] == ',' ? 1 : 0);
    return true;
}

static bool parse_uniform(const char *text, struct latency *out, struct fault *fault)
{
    char low[PART_SIZE], high[PART_SIZE];
    bool low_long = false, high_long = false;
    if (!next_part(&text, low, &low_long) || !next_part(&text, high, &high_long) || *text || low_long ||
        high_long) {
        fault_set(fault, 0, 0, "uniform takes two durations, as in uniform:1s,3s");
        return false;
    }
    out->shape = LATENCY_UNIFORM;
    if (!duration(low, &out->low_ms, fault) || !duration(high, &out->high_ms, fault)) {
        return false;
    }
    if (out->low_ms > out->high_ms) {
        fault_set(fault, 0, 0, "uniform: the first duration is longer than the second");
        return false;
    }
    return true;
}

static bool parse_sigma(const char *text, double *sigma, struct fault *fault)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= 5)) {
        fault_set(fault, 0, 0, "sigma is a number from 0 to 5, not '%s'", text);
        return false;
    }
    *sigma = value;
    return true;
}

static bool lognormal_part(const char *part, struct latency *out, int64_t *median, struct fault *fault)
{
    if (strncmp(part, "median=", 7) == 0) {
        return duration(part + 7, median, fault);
    }
    if (strncmp(part, "sigma=", 6) == 0) {
        return parse_sigma(part + 6, &out->sigma, fault);
    }
    if (strncmp(part, "min=", 4) == 0) {
        return duration(part + 4, &out->low_ms, fault);
    }
    if (strncmp(part, "max=", 4) == 0) {
        return duration(part + 4, &out->high_ms, fault);
    }
    fault_set(fault, 0, 0, "lognormal knows median=, sigma=, min= and max=, not '%s'", part);
    return false;
}

static bool parse_lognormal(const char *text, struct latency *out, struct fault *fault)
{
    char part[PART_SIZE];
    bool too_long = false;
    int64_t median = 0;
    *out = (struct latency){.shape = LATENCY_LOGNORMAL, .high_ms = INT64_C(300) * 1000, .sigma = 0.6};
    while (next_part(&text, part, &too_long)) {
        if (too_long) {
            fault_set(fault, 0, 0, "lognormal: a part is too long");
            return false;
        }
        if (!lognormal_part(part, out, &median, fault)) {
            return false;
        }
    }
    if (median == 0 || out->low_ms > out->high_ms) {
        fault_set(fault, 0, 0, "lognormal needs a median above 0 and min not above max");
        return false;
    }
    out->median_ms = (double)median;
    return true;
}

bool latency_parse(const char *text, struct latency *out, struct fault *fault)
{
    *out = (struct latency){.shape = LATENCY_FIXED};
    if (strncmp(text, "uniform:", 8) == 0) {
        return parse_uniform(text + 8, out, fault);
    }
    if (strncmp(text, "lognormal:", 10) == 0) {
        return parse_lognormal(text + 10, out, fault);
    }
    if (!duration(strncmp(text, "fixed:", 6) == 0 ? text + 6 : text, &out->low_ms, fault)) {
        return false;
    }
    out->high_ms = out->low_ms;
    return true;
}

/* Two uniforms to one standard normal (Box and Muller). */
static double normal(double u1, double u2)
{
    return sqrt(-2 * log(1 - u1)) * cos(TWO_PI * u2);
}

int64_t latency_sample_ms(const struct latency *l, double u1, double u2)
{
    double ms = (double)l->low_ms;
    if (l->shape == LATENCY_UNIFORM) {
        ms += u1 * (double)(l->high_ms - l->low_ms + 1);
    } else if (l->shape == LATENCY_LOGNORMAL) {
        ms = l->median_ms * exp(l->sigma * normal(u1, u2));
    }
    if (!(ms > (double)l->low_ms)) {
        return l->low_ms;
    }
    return ms < (double)l->high_ms ? (int64_t)ms : l->high_ms;
}
