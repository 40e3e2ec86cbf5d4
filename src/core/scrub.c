#include "core/scrub.h"

#include <string.h>

void scrub(char *bytes, size_t len, const char *secret)
{
    size_t n = secret != NULL ? strlen(secret) : 0;
    if (n < SCRUB_MIN || bytes == NULL)
        return;
    for (char *at = bytes, *hit; (hit = memmem(at, len - (size_t)(at - bytes), secret, n)) != NULL;
         at = hit + n)
        memset(hit, '*', n);
}

void scrub_cut(char *bytes, size_t len, const char *secret)
{
    size_t n = secret != NULL ? strlen(secret) : 0;
    if (n < SCRUB_MIN || bytes == NULL)
        return;
    scrub(bytes, len, secret);
    for (size_t part = n < len ? n : len; part >= SCRUB_MIN; part--) {
        if (memcmp(bytes + len - part, secret, part) != 0)
            continue;
        memset(bytes + len - part, '*', part);
        return;
    }
}
