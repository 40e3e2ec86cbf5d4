#include "core/filesig.h"

bool file_sig_same(const struct file_sig *a, const struct file_sig *b)
{
    bool known = a->btime_ns != 0 && b->btime_ns != 0, born_alike = a->btime_ns == b->btime_ns;
    return (a->dev == b->dev ? born_alike || !known : born_alike && known) && a->ino == b->ino &&
           a->size == b->size && a->mtime_ns == b->mtime_ns;
}
