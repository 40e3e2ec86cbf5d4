#include "daemon/live.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int compare_ids(const void *a, const void *b)
{
    const struct live *x = a;
    const struct live *y = b;
    return (x->row.id > y->row.id) - (x->row.id < y->row.id);
}

static int compare_numbers(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static struct live_list *list_of(struct live_table *t, enum live_step step)
{
    return step == STEP_CANDIDATE ? &t->candidates : &t->busy;
}

static void append(struct live_list *list, struct live *l)
{
    l->prev = list->last;
    l->next = NULL;
    if (list->last != NULL)
        list->last->next = l;
    else
        list->first = l;
    list->last = l;
}

static void unlink_from(struct live_list *list, struct live *l)
{
    if (l->prev != NULL)
        l->prev->next = l->next;
    else
        list->first = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    else
        list->last = l->prev;
}

struct live *live_add(struct live_table *t, struct engine *e, struct job_row *row)
{
    struct live *l = calloc(1, sizeof *l);
    if (l == NULL) {
        job_row_free(row);
        return NULL;
    }
    l->engine = e;
    l->row = *row;
    memset(row, 0, sizeof *row);
    if (tsearch(l, &t->by_id, compare_ids) == NULL) {
        job_row_free(&l->row);
        free(l);
        return NULL;
    }
    append(&t->candidates, l);
    t->count++;
    t->steps[l->step]++;
    return l;
}

struct live *live_find(const struct live_table *t, int64_t id)
{
    static struct live barred = {.step = STEP_BARRED};
    struct live key = {.row.id = id};
    void *node = tfind(&key, (void *const *)&t->by_id, compare_ids);
    if (node != NULL)
        return *(struct live **)node;
    bool is_barred = tfind(&id, (void *const *)&t->barred_new, compare_numbers) != NULL ||
                     tfind(&id, (void *const *)&t->barred, compare_numbers) != NULL;
    return is_barred ? &barred : NULL;
}

bool live_bar(struct live_table *t, int64_t id)
{
    int64_t *number = malloc(sizeof *number);
    if (number == NULL)
        return false;
    *number = id;
    int64_t **node = tsearch(number, &t->barred_new, compare_numbers);
    if (node == NULL || *node != number)
        free(number);
    return node != NULL;
}

bool live_bar_round(struct live_table *t)
{
    if (t->barred != NULL || t->barred_new == NULL)
        return false;
    t->barred = t->barred_new;
    t->barred_new = NULL;
    return true;
}

void live_unbar(struct live_table *t)
{
    tdestroy(t->barred, free);
    t->barred = NULL;
}

void live_step_to(struct live_table *t, struct live *l, enum live_step step)
{
    struct live_list *from = list_of(t, l->step), *to = list_of(t, step);
    t->steps[l->step]--;
    l->step = step;
    t->steps[step]++;
    if (from == to)
        return;
    unlink_from(from, l);
    append(to, l);
}

void live_park(struct live_table *t, struct live *l, int64_t retry_ms)
{
    t->stuck += !l->stuck;
    l->stuck = true;
    l->retry_ms = retry_ms;
    live_step_to(t, l, STEP_PARKED);
}

void live_unpark(struct live_table *t, struct live *l)
{
    t->stuck -= l->stuck;
    l->stuck = false;
    l->retry_ms = 0;
}

void live_clear_attempt(struct live *l)
{
    http_result_free(&l->reply);
    memset(&l->reply, 0, sizeof l->reply);
    l->ended = false;
    if (l->mapped != NULL)
        munmap(l->mapped, l->mapped_len);
    l->mapped = NULL;
    free(l->text);
    free(l->kept_body);
    l->text = l->kept_body = NULL;
    free(l->owned_code);
    free(l->owned_message);
    l->owned_code = l->owned_message = NULL;
}

void live_remove(struct live_table *t, struct live *l)
{
    tdelete(l, &t->by_id, compare_ids);
    live_unpark(t, l);
    unlink_from(list_of(t, l->step), l);
    t->count--;
    t->steps[l->step]--;
    live_clear_attempt(l);
    job_row_free(&l->row);
    free(l);
}

void live_drop_candidates(struct live_table *t)
{
    while (t->candidates.first != NULL)
        live_remove(t, t->candidates.first);
}

size_t live_busy(const struct live_table *t)
{
    return t->count - t->steps[STEP_CANDIDATE];
}

size_t live_stuck(const struct live_table *t)
{
    return t->stuck;
}

size_t live_in_flight(const struct live_table *t)
{
    return t->steps[STEP_INTENT] + t->steps[STEP_FLIGHT];
}
