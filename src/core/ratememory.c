#include "core/ratememory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"

#define VERSION 1
#define FIELDS  11
#define MOST    1e15

void rate_memory_name(const char *endpoint, const char *key_hash, char name[RATE_NAME_SIZE])
{
    char hex[DIGEST_HEX];
    const struct digest_part part = {endpoint, strlen(endpoint)};
    digest_hex(&part, 1, hex);
    snprintf(name, RATE_NAME_SIZE, "rate.%.12s.%.12s", hex, key_hash);
}

bool rate_memory_says(const struct governor_memory *m)
{
    return m->limit > 0 || m->last_429_unix_ms > 0 || m->closed_until_unix_ms > 0;
}

/* Thousandths are all that a rate or a latency is worth. */
static long long thousandths(double value)
{
    return isfinite(value) && value > 0 && value < MOST / 1000 ? llround(value * 1000) : 0;
}

void rate_memory_print(const struct governor_memory *m, char text[RATE_MEMORY_SIZE])
{
    snprintf(text, RATE_MEMORY_SIZE, "%d %lld %lld %d %lld %lld %lld %lld %lld %lld %lld", VERSION,
             (long long)m->unix_ms, m->limit, m->kind, (long long)m->window_ms, m->used,
             thousandths(m->per_second), thousandths(m->latency_ms), thousandths(m->refusal_ms),
             (long long)m->last_429_unix_ms, (long long)m->closed_until_unix_ms);
}

static bool read_numbers(const char *text, long long n[FIELDS])
{
    for (int i = 0; i < FIELDS; i++) {
        char *end;
        errno = 0;
        n[i] = strtoll(text, &end, 10);
        if (end == text || errno != 0 || n[i] < 0 || (double)n[i] > MOST ||
            *end != (i == FIELDS - 1 ? '\0' : ' '))
            return false;
        text = end + 1;
    }
    return true;
}

bool rate_memory_parse(const char *text, struct governor_memory *m)
{
    long long n[FIELDS];
    *m = (struct governor_memory){0};
    if (!read_numbers(text, n) || n[0] != VERSION || n[3] >= BANK_KINDS)
        return false;
    *m = (struct governor_memory){
        .unix_ms = n[1],
        .limit = n[2],
        .kind = (int)n[3],
        .window_ms = n[4],
        .used = n[5],
        .per_second = (double)n[6] / 1000,
        .latency_ms = (double)n[7] / 1000,
        .refusal_ms = (double)n[8] / 1000,
        .last_429_unix_ms = n[9],
        .closed_until_unix_ms = n[10],
    };
    return true;
}
