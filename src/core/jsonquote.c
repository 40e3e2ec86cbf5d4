#include "core/jsonquote.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

/* The quoted form of the character at s: at most 6 bytes. */
static size_t quote_step(const char *s, size_t len, char out[6], size_t *taken)
{
    static const char names[] = "bfnrt\"\\", meant[] = "\b\f\n\r\t\"\\", digits[] = "0123456789abcdef";
    uint32_t cp;
    *taken = utf8_decode(s, len, &cp);
    if (*taken == 0) {
        *taken = 1;
        return utf8_encode(0xFFFD, out);
    }
    const char *special = cp != 0 && cp < 0x80 ? strchr(meant, (int)cp) : NULL;
    out[0] = '\\';
    if (special) {
        out[1] = names[special - meant];
        return 2;
    }
    if (cp < 0x20) {
        memcpy(out + 1, "u00", 3);
        out[4] = digits[cp >> 4];
        out[5] = digits[cp & 0x0Fu];
        return 6;
    }
    memcpy(out, s, *taken);
    return *taken;
}

/* How many bytes stand for themselves: most of most texts. */
static size_t plain_run(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
        n++;
    return n;
}

size_t json_quote_to(char *out, const char *s, size_t len)
{
    size_t used = 1;
    if (out)
        out[0] = '"';
    for (size_t i = 0, taken; i < len; i += taken) {
        char bytes[6];
        const char *from = s + i;
        size_t n = taken = plain_run(from, len - i);
        if (n == 0) {
            n = quote_step(from, len - i, bytes, &taken);
            from = bytes;
        }
        if (out)
            memcpy(out + used, from, n);
        used += n;
    }
    if (out)
        out[used] = '"';
    return used + 1;
}

char *json_quote(const char *s, size_t len)
{
    if (len > (SIZE_MAX - 3) / 6)
        return NULL;
    size_t n = json_quote_to(NULL, s, len);
    char *text = malloc(n + 1);
    if (!text)
        return NULL;
    json_quote_to(text, s, len);
    text[n] = '\0';
    return text;
}
