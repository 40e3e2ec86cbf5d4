#include "core/similar.h"

#include <string.h>

#define CHANGES_MAX 2

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's distance, one row at a time; known has at most SIMILAR_NAME_MAX letters. */
static size_t edit_distance(const char *written, const char *known)
{
    size_t row[SIMILAR_NAME_MAX + 1];
    size_t n = strlen(known);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; written[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t above = row[j + 1];
            row[j + 1] = least(above + 1, row[j] + 1, diagonal + (written[i] != known[j]));
            diagonal = above;
        }
    }
    return row[n];
}

const char *similar_name(const char *written, const char *const *known, size_t count)
{
    const char *best = NULL;
    size_t best_distance = CHANGES_MAX + 1;
    if (strnlen(written, SIMILAR_NAME_MAX + CHANGES_MAX + 1) > SIMILAR_NAME_MAX + CHANGES_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(known[i]);
        if (len > SIMILAR_NAME_MAX)
            continue;
        size_t distance = edit_distance(written, known[i]);
        /* A short name becomes any other with as many changes as it has letters. */
        if (distance >= best_distance || distance >= len)
            continue;
        best = known[i];
        best_distance = distance;
    }
    return best;
}
