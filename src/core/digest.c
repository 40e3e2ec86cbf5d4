/* The EVP interface, which replaces these calls, allocates and so can fail; a digest that cannot fail
 * spares every caller a path that nobody can test. Both are in libcrypto. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "core/digest.h"

#include <openssl/sha.h>

_Static_assert(DIGEST_HEX == 2 * SHA256_DIGEST_LENGTH + 1, "two digits a byte, and a NUL");

void digest_hex(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[SHA256_DIGEST_LENGTH];
    SHA256_CTX ctx;

    SHA256_Init(&ctx);
    for (size_t i = 0; i < count; i++)
        if (parts[i].len > 0)
            SHA256_Update(&ctx, parts[i].bytes, parts[i].len);
    SHA256_Final(sum, &ctx);

    for (size_t i = 0; i < sizeof sum; i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 0x0F];
    }
    hex[DIGEST_HEX - 1] = '\0';
}
