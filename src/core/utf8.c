#include "core/utf8.h"

#include <string.h>

static bool is_tail(unsigned char c)
{
    return (c & 0xC0u) == 0x80u;
}

static size_t decode_tail(const unsigned char *p, size_t len, size_t need, uint32_t first, uint32_t least,
                          uint32_t *cp)
{
    if (len < need)
        return 0;
    uint32_t value = first;
    for (size_t i = 1; i < need; i++) {
        if (!is_tail(p[i]))
            return 0;
        value = (value << 6) | (p[i] & 0x3Fu);
    }
    if (value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *cp = value;
    return need;
}

size_t utf8_decode(const char *s, size_t len, uint32_t *cp)
{
    const unsigned char *p = (const unsigned char *)s;
    if (len == 0)
        return 0;
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    if ((p[0] & 0xE0u) == 0xC0u)
        return decode_tail(p, len, 2, p[0] & 0x1Fu, 0x80, cp);
    if ((p[0] & 0xF0u) == 0xE0u)
        return decode_tail(p, len, 3, p[0] & 0x0Fu, 0x800, cp);
    if ((p[0] & 0xF8u) == 0xF0u)
        return decode_tail(p, len, 4, p[0] & 0x07u, 0x10000, cp);
    return 0;
}

size_t utf8_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0u | (cp >> 6));
        out[1] = (char)(0x80u | (cp & 0x3Fu));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0u | (cp >> 12));
        out[1] = (char)(0x80u | ((cp >> 6) & 0x3Fu));
        out[2] = (char)(0x80u | (cp & 0x3Fu));
        return 3;
    }
    out[0] = (char)(0xF0u | (cp >> 18));
    out[1] = (char)(0x80u | ((cp >> 12) & 0x3Fu));
    out[2] = (char)(0x80u | ((cp >> 6) & 0x3Fu));
    out[3] = (char)(0x80u | (cp & 0x3Fu));
    return 4;
}

bool utf8_is_valid(const char *s, size_t len)
{
    uint32_t cp;
    for (size_t i = 0; i < len;) {
        size_t n = utf8_decode(s + i, len - i, &cp);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

/* What could move the cursor, end a log line or turn text around when a terminal shows it. */
static bool is_unsafe(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7F && cp <= 0x9F) || cp == 0x2028 || cp == 0x2029 ||
           (cp >= 0x202A && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0xFEFF;
}

/* The shown form of the character at s: at most 16 bytes (four bytes, four characters each). */
static size_t show_character(const char *s, size_t len, char out[16], size_t *taken)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t cp;
    size_t n = utf8_decode(s, len, &cp);
    *taken = n ? n : 1;
    if (n && !is_unsafe(cp)) {
        memcpy(out, s, n);
        return n;
    }
    size_t used = 0;
    for (size_t i = 0; i < *taken; i++) {
        unsigned char byte = (unsigned char)s[i];
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = digits[byte >> 4];
        out[used++] = digits[byte & 0x0Fu];
    }
    return used;
}

char *utf8_escape(const char *s, size_t len, char *buf, size_t size)
{
    static const char ellipsis[] = "...";
    const size_t dots = sizeof ellipsis - 1;
    if (size == 0)
        return buf;
    size_t used = 0, keep = 0; /* keep: the longest prefix after which the dots still fit */
    for (size_t i = 0, taken; i < len; i += taken) {
        char shown[16];
        size_t n = show_character(s + i, len - i, shown, &taken);
        if (n > size - 1 - used) {
            size_t room = size - 1 - keep;
            memcpy(buf + keep, ellipsis, room < dots ? room : dots);
            used = keep + (room < dots ? room : dots);
            break;
        }
        memcpy(buf + used, shown, n);
        used += n;
        if (used + dots <= size - 1)
            keep = used;
    }
    buf[used] = '\0';
    return buf;
}
