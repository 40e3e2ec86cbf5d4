/* reconcile - pairs documents with known jobs by sorting both by identity. */
#include "core/reconcile.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    const char *identity;
    size_t index;
    int rank;   /* lower is the better match */
    int64_t id; /* the newer row wins a tie */
};

static bool has_result(const struct known_job *k)
{
    return k->state == JOB_DONE && !k->elsewhere;
}

/* A result comes first even when it is superseded: passing it over would buy the same thing twice.
 * Then rows of the present file before history, and what may have cost money before what has not. */
static int rank_of(const struct known_job *k)
{
    static const int by_state[JOB_NSTATES] = {
        [JOB_REPLIED] = 1, [JOB_SENT] = 2, [JOB_WAITING] = 3, [JOB_FAILED] = 5, [JOB_DONE] = 6,
    };
    int rank;

    if (has_result(k) || k->asked)
        return k->superseded ? 1 : 0;
    rank = 10 + by_state[k->state];
    if (k->state == JOB_FAILED && k->charged_failure)
        rank--;
    return k->superseded ? rank + 10 : rank;
}

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strncmp(x->identity, y->identity, DIGEST_HEX);

    if (order != 0)
        return order;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->id != y->id)
        return x->id > y->id ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static enum reconcile_action action_for(const struct known_job *k, bool written)
{
    switch (k->state) {
    case JOB_DONE:
        return k->elsewhere || k->asked ? RECONCILE_RERUN : RECONCILE_ALREADY;
    case JOB_FAILED:
        return k->asked || (written && !k->charged_failure) ? RECONCILE_RERUN : RECONCILE_SETTLED;
    default:
        return RECONCILE_KEEP;
    }
}

static enum reconcile_leftover leftover_for(const struct known_job *k)
{
    if (k->request_sha256[0] == '\0')
        return LEFTOVER_DROP;
    if (k->superseded)
        return LEFTOVER_NONE;
    return k->state == JOB_WAITING ? LEFTOVER_DROP : LEFTOVER_SUPERSEDE;
}

/* Walks both sorted lists; equal identities pair off one to one, best row first. */
static void pair(const struct entry *docs, size_t ndocs, const struct entry *rows, size_t nrows,
                 const struct known_job *known, bool written, struct reconcile_match *matches,
                 enum reconcile_leftover *leftovers)
{
    size_t d = 0, r = 0;

    while (d < ndocs && r < nrows) {
        int order = strncmp(docs[d].identity, rows[r].identity, DIGEST_HEX);

        if (order < 0) {
            d++;
        } else if (order > 0 || rows[r].identity[0] == '\0') {
            r++;
        } else {
            const struct known_job *k = &known[rows[r].index];

            matches[docs[d].index] = (struct reconcile_match){action_for(k, written), k->id};
            leftovers[rows[r].index] = LEFTOVER_NONE;
            d++;
            r++;
        }
    }
}

/* What to do when nothing can be decided: leave everything as it is. */
static void leave_all(size_t ndocs, size_t nknown, struct reconcile_match *matches,
                      enum reconcile_leftover *leftovers)
{
    for (size_t i = 0; i < ndocs; i++)
        matches[i] = (struct reconcile_match){RECONCILE_SETTLED, 0};
    for (size_t k = 0; k < nknown; k++)
        leftovers[k] = LEFTOVER_NONE;
}

bool reconcile(const struct jobfile *f, const struct known_job *known, size_t nknown, bool written,
               struct reconcile_match *matches, enum reconcile_leftover *leftovers)
{
    struct entry *docs = calloc(f->count + 1, sizeof docs[0]); /* + 1: none of size 0 */
    struct entry *rows = calloc(nknown + 1, sizeof rows[0]);

    if (!docs || !rows) {
        free(docs);
        free(rows);
        leave_all(f->count, nknown, matches, leftovers);
        return false;
    }
    for (size_t i = 0; i < f->count; i++) {
        docs[i] = (struct entry){.identity = f->jobs[i].request_sha256, .index = i};
        matches[i] = (struct reconcile_match){RECONCILE_NEW, 0};
    }
    for (size_t k = 0; k < nknown; k++) {
        rows[k] = (struct entry){known[k].request_sha256, k, rank_of(&known[k]), known[k].id};
        leftovers[k] = leftover_for(&known[k]);
    }
    qsort(docs, f->count, sizeof docs[0], compare);
    qsort(rows, nknown, sizeof rows[0], compare);
    pair(docs, f->count, rows, nknown, known, written, matches, leftovers);
    free(docs);
    free(rows);
    return true;
}
