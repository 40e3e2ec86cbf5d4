#include "core/placement.h"

#include <string.h>

static bool in_place(const struct placement *p)
{
    return p->placed != NULL && p->kept == NULL && strcmp(p->placed, p->stem) == 0;
}

size_t placement_in_way(const struct placement *there, size_t nthere)
{
    size_t i = 0;
    while (i < nthere &&
           (there[i].kept != NULL || !(there[i].current || there[i].result || there[i].lasting)))
        i++;
    return i;
}

enum placement_step placement_next(const struct placement *p, const struct placement *there, size_t nthere,
                                   size_t *in_way)
{
    if (!p->current || in_place(p))
        return PLACEMENT_NONE;
    bool nowhere = p->placed == NULL && p->kept == NULL;
    if (nowhere && p->result)
        return PLACEMENT_RECORD;
    *in_way = placement_in_way(there, nthere);
    if (*in_way < nthere)
        return PLACEMENT_KEEP;
    return nowhere ? PLACEMENT_WRITE : PLACEMENT_MOVE;
}
