#include "core/governor_log.h"

#include <string.h>

#define FIRST_SLOT_MS 1000

static int64_t slot_ms(int level)
{
    return (int64_t)FIRST_SLOT_MS << (2 * level);
}

static int64_t slot_of(int64_t ms, int level)
{
    int64_t length = slot_ms(level), n = ms / length;

    return ms % length < 0 ? n - 1 : n;
}

static uint32_t *slot(struct send_log *l, int level, int64_t number)
{
    return &l->slots[level][(uint64_t)number % SEND_LOG_SLOTS];
}

void send_log_init(struct send_log *l, int64_t now_ms)
{
    memset(l, 0, sizeof *l);
    for (int k = 0; k < SEND_LOG_LEVELS; k++)
        l->level_at[k] = slot_of(now_ms, k);
}

/* Empties the slots that time has passed over. */
static void advance(struct send_log *l, int level, int64_t number)
{
    if (number - l->level_at[level] >= SEND_LOG_SLOTS)
        memset(l->slots[level], 0, sizeof l->slots[level]);
    else
        for (int64_t n = l->level_at[level] + 1; n <= number; n++)
            *slot(l, level, n) = 0;
    l->level_at[level] = number;
}

uint64_t send_log_add(struct send_log *l, int64_t now_ms)
{
    uint64_t number = l->next++;
    uint64_t i = number % SEND_LOG_EXACT;

    l->at[i] = now_ms;
    l->sum[i] = ++l->total;
    l->refused[i] = false;
    for (int k = 0; k < SEND_LOG_LEVELS; k++) {
        int64_t n = slot_of(now_ms, k);

        if (n > l->level_at[k])
            advance(l, k, n);
        ++*slot(l, k, n);
    }
    return number;
}

bool send_log_knows(const struct send_log *l, uint64_t number)
{
    return number < l->next && l->next - number <= SEND_LOG_EXACT;
}

int64_t send_log_time(const struct send_log *l, uint64_t number)
{
    return l->at[number % SEND_LOG_EXACT];
}

int64_t send_log_newest(const struct send_log *l)
{
    return l->next > 0 ? send_log_time(l, l->next - 1) : INT64_MIN;
}

void send_log_refused(struct send_log *l, uint64_t number)
{
    int64_t at = send_log_time(l, number);

    l->refused[number % SEND_LOG_EXACT] = true;
    for (uint64_t n = number; n < l->next; n++)
        l->sum[n % SEND_LOG_EXACT]--;
    l->total--;
    for (int k = 0; k < SEND_LOG_LEVELS; k++) {
        int64_t n = slot_of(at, k);
        uint32_t *count = slot(l, k, n);

        if (n > l->level_at[k] - SEND_LOG_SLOTS)
            --*count;
    }
}

/* The first exact send that is later than `ms`. */
static uint64_t first_after(const struct send_log *l, uint64_t oldest, int64_t ms)
{
    uint64_t low = oldest, high = l->next;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (send_log_time(l, middle) <= ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* So many counted after `ms`, by the finest level that reaches back so far; the slot that `ms` falls into
 * is shared out evenly. */
static uint32_t count_since(const struct send_log *l, int64_t ms)
{
    int k = 0;
    int64_t n = slot_of(ms, 0);
    uint32_t count = 0;

    while (k < SEND_LOG_LEVELS - 1 && l->level_at[k] - n >= SEND_LOG_SLOTS)
        n = slot_of(ms, ++k);
    if (l->level_at[k] - n >= SEND_LOG_SLOTS)
        return l->total;
    for (int64_t m = n + 1; m <= l->level_at[k]; m++)
        count += l->slots[k][(uint64_t)m % SEND_LOG_SLOTS];
    return count + (uint32_t)((int64_t)l->slots[k][(uint64_t)n % SEND_LOG_SLOTS] *
                              ((n + 1) * slot_ms(k) - 1 - ms) / slot_ms(k));
}

uint32_t send_log_until(const struct send_log *l, int64_t ms)
{
    uint64_t oldest = l->next > SEND_LOG_EXACT ? l->next - SEND_LOG_EXACT : 0;
    uint64_t n;

    if (l->next == 0)
        return 0;
    n = first_after(l, oldest, ms);
    if (n > oldest)
        return l->sum[(n - 1) % SEND_LOG_EXACT];
    return oldest == 0 ? 0 : l->total - count_since(l, ms);
}

int32_t send_log_between(const struct send_log *l, int64_t from_ms, int64_t until_ms)
{
    return (int32_t)(send_log_until(l, until_ms) - send_log_until(l, from_ms));
}
