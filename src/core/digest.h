/* digest - SHA-256 as lower-case hex, by libcrypto. The only module that sees it. */
#ifndef FLOWSPOOL_CORE_DIGEST_H
#define FLOWSPOOL_CORE_DIGEST_H

#include <stddef.h>

#define DIGEST_HEX 65 /* 64 digits and a NUL */

struct digest_part {
    const void *bytes;
    size_t len;
};

/* The digest of the parts laid end to end. Cannot fail and allocates nothing. */
void digest_hex(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX]);

#endif
