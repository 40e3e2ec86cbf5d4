#include "core/filesig.h"

bool file_sig_same(const struct file_sig *a, const struct file_sig *b)
{
    bool born_alike = a->btime_ns == 0 || b->btime_ns == 0 || a->btime_ns == b->btime_ns;
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           born_alike;
}
