#include "sandbox/faults.h"

#include <stdlib.h>
#include <string.h>

#include "core/units.h"

enum argument { ARGUMENT_NONE, ARGUMENT_CHARGED, ARGUMENT_DURATION, ARGUMENT_SIZE };

static const struct {
    const char *name;
    enum argument argument;
    bool charged;
    int64_t usual; /* the argument when none is given */
} kinds[FAULT_KIND_COUNT] = {
    [FAULT_NONE] = {"none", ARGUMENT_NONE, false, 0},
    [FAULT_RESET_BEFORE] = {"reset-before", ARGUMENT_NONE, false, 0},
    [FAULT_503] = {"503", ARGUMENT_NONE, false, 0},
    [FAULT_REDIRECT] = {"redirect", ARGUMENT_NONE, false, 0},
    [FAULT_401] = {"401", ARGUMENT_NONE, false, 0},
    [FAULT_429] = {"429", ARGUMENT_NONE, false, 0},
    [FAULT_402] = {"402", ARGUMENT_NONE, false, 0},
    [FAULT_404] = {"404", ARGUMENT_NONE, false, 0},
    [FAULT_500] = {"500", ARGUMENT_CHARGED, false, 0},
    [FAULT_502] = {"502", ARGUMENT_CHARGED, false, 0},
    [FAULT_504] = {"504", ARGUMENT_CHARGED, false, 0},
    [FAULT_RESET_AFTER] = {"reset-after", ARGUMENT_NONE, true, 0},
    [FAULT_CUT] = {"cut", ARGUMENT_NONE, true, 0},
    [FAULT_GARBAGE] = {"garbage", ARGUMENT_NONE, true, 0},
    [FAULT_NOT_HTTP] = {"not-http", ARGUMENT_NONE, true, 0},
    [FAULT_DRIP] = {"drip", ARGUMENT_DURATION, true, 30000},
    [FAULT_HUGE] = {"huge", ARGUMENT_SIZE, true, INT64_C(128) << 20},
    [FAULT_HUGE_CHUNKED] = {"huge-chunked", ARGUMENT_SIZE, true, INT64_C(128) << 20},
};

#define PART_SIZE   32
#define HUGE_MAX    (INT64_C(1) << 40)
#define DRIP_MAX_MS (INT64_C(24) * 3600 * 1000)
#define EVERY_MAX   1000000000

const char *fault_kind_name(enum fault_kind kind)
{
    return kinds[kind].name;
}

static bool parse_share(const char *text, struct fault_rule *out)
{
    char *end;
    double percent = strtod(text, &end);
    if (end == text || strcmp(end, "%") != 0 || !(percent >= 0 && percent <= 100)) {
        return false;
    }
    out->share = percent / 100;
    return true;
}

static bool parse_count(const char *text, char after, int64_t *count, const char **rest)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != after || value > EVERY_MAX) {
        return false;
    }
    *count = value;
    *rest = end + 1;
    return true;
}

static bool parse_beat(const char *text, struct fault_rule *out)
{
    const char *rest;
    return parse_count(text, '/', &out->times, &rest) && parse_count(rest, '\0', &out->every, &rest) &&
           out->every >= 1 && out->times <= out->every;
}

static bool parse_argument(const char *text, struct fault_rule *out)
{
    switch (kinds[out->kind].argument) {
    case ARGUMENT_CHARGED:
        out->charged = true;
        return strcmp(text, "charged") == 0;
    case ARGUMENT_DURATION:
        return units_parse_duration_ms(text, &out->argument) && out->argument >= 1 &&
               out->argument <= DRIP_MAX_MS;
    case ARGUMENT_SIZE:
        return units_parse_size(text, &out->argument) && out->argument >= 1 && out->argument <= HUGE_MAX;
    case ARGUMENT_NONE:
        break;
    }
    return false;
}

/* Everything up to the next colon; *text moves behind it. False: too long or empty. */
static bool next_part(const char **text, char part[PART_SIZE])
{
    size_t len = strcspn(*text, ":");
    if (len == 0 || len >= PART_SIZE) {
        return false;
    }
    memcpy(part, *text, len);
    part[len] = '\0';
    *text += len;
    if (**text == ':') {
        (*text)++;
        return **text != '\0';
    }
    return true;
}

static bool parse_kind(const char *name, struct fault_rule *out)
{
    for (int i = FAULT_NONE + 1; i < FAULT_KIND_COUNT; i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            *out = (struct fault_rule){.kind = (enum fault_kind)i,
                                       .charged = kinds[i].charged,
                                       .argument = kinds[i].usual,
                                       .share = 1};
            return true;
        }
    }
    return false;
}

static bool parse_rest(const char *text, struct fault_rule *out)
{
    char part[PART_SIZE];
    bool has_argument = false, has_rate = false;
    while (*text) {
        if (!next_part(&text, part)) {
            return false;
        }
        bool is_rate = strchr(part, '%') || strchr(part, '/');
        if (is_rate ? has_rate : has_argument) {
            return false;
        }
        if (is_rate) {
            has_rate = true;
            if (!(strchr(part, '%') ? parse_share(part, out) : parse_beat(part, out))) {
                return false;
            }
        } else {
            has_argument = true;
            if (!parse_argument(part, out)) {
                return false;
            }
        }
    }
    return true;
}

bool fault_rule_parse(const char *text, struct fault_rule *out, struct fault *fault)
{
    char name[PART_SIZE];
    const char *rest = text;
    if (!next_part(&rest, name) || !parse_kind(name, out)) {
        fault_set(fault, 0, 0,
                  "'%s' names no fault; there are 401, 402, 404, 429, 500, 502, 503, 504, redirect, "
                  "reset-before, reset-after, cut, garbage, not-http, drip, huge and huge-chunked",
                  text);
        return false;
    }
    if (!parse_rest(rest, out)) {
        fault_set(fault, 0, 0,
                  "'%s': after the kind come an argument (drip: a duration; huge: a size; 500, 502, 504: "
                  "'charged') and a rate such as 5%% or 1/20, both optional",
                  text);
        return false;
    }
    return true;
}

bool fault_rule_fires(struct fault_rule *r, double u)
{
    if (r->every == 0) {
        r->seen++;
        return u < r->share;
    }
    /* The n-th fires when n * times / every reaches a new whole number. */
    int64_t place = r->seen % r->every;
    r->seen++;
    return (place + 1) * r->times / r->every > place * r->times / r->every;
}
