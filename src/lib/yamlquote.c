#include "lib/yamlquote.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/jsonspan.h"
#include "core/utf8.h"

/* Longer keys need the mark '?': a YAML reader looks for the colon only so many characters ahead (1,024). */
#define PLAIN_KEY_MAX 1000

/* ---- strings ---- */

static bool is_written_as_number(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7F && cp <= 0x9F) || cp == 0x200E || cp == 0x200F ||
           (cp >= 0x2028 && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0xFEFF || cp == 0xFFFE ||
           cp == 0xFFFF;
}

static void put_character(struct text *t, const char *s, size_t n, uint32_t cp)
{
    static const char names[] = "nrt\"\\", meant[] = "\n\r\t\"\\";
    const char *special = cp != 0 && cp < 0x80 ? strchr(meant, (int)cp) : NULL;
    if (special)
        text_printf(t, "\\%c", names[special - meant]);
    else if (is_written_as_number(cp))
        text_printf(t, "\\u%04X", (unsigned)cp);
    else
        text_put(t, s, n);
}

/* A backslash before the line's end joins the lines again; white space that begins the next one would be
 * dropped, so a space is escaped (a tab is always). */
static void break_line(struct text *t, int indent, char next)
{
    text_printf(t, "\\\n%*s", indent, "");
    if (next == ' ')
        text_puts(t, "\\");
}

/* indent < 0: in one line. */
static void put_string(struct text *t, const char *s, size_t len, int indent)
{
    text_puts(t, "\"");
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t cp = 0;
        n = utf8_decode(s + i, len - i, &cp);
        n = n > 0 ? n : 1; /* cannot be: the text was checked */
        put_character(t, s + i, n, cp);
        if (cp == '\n' && indent >= 0 && i + n < len)
            break_line(t, indent, s[i + n]);
    }
    text_puts(t, "\"");
}

void yaml_put_text(struct text *t, const char *s, size_t len, int indent)
{
    put_string(t, s, len, indent);
}

static void put_key(struct text *t, const char *key, size_t len, const char *separator)
{
    struct text quoted = {0};
    put_string(&quoted, key, len, -1);
    t->failed = t->failed || quoted.failed;
    bool is_long = quoted.len > PLAIN_KEY_MAX;
    if (is_long)
        text_puts(t, "? ");
    if (!quoted.failed)
        text_put(t, quoted.bytes, quoted.len);
    text_puts(t, is_long ? separator : "");
    text_puts(t, ": ");
    free(quoted.bytes);
}

void yaml_put_key(struct text *t, const char *key, size_t len)
{
    put_key(t, key, len, "\n  ");
}

/* ---- JSON ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The end of the token at p: a string, a mark, or a number or word. */
static const char *token_end(const char *p, const char *end)
{
    if (*p == '"') {
        for (p++; *p != '"'; p++)
            p += *p == '\\';
        return p + 1;
    }
    if (strchr("{}[],:", *p))
        return p + 1;
    while (p < end && !is_space(*p) && !strchr("{}[],:", *p))
        p++;
    return p;
}

static long unit_at(const char *p)
{
    char digits[5] = {0};
    memcpy(digits, p + 2, 4);
    return strtol(digits, NULL, 16);
}

/* JSON's grammar allows half of a surrogate pair; no text has one. */
static bool has_half_pair(const char *p, const char *end)
{
    for (; p < end; p++) {
        if (*p != '\\')
            continue;
        long unit = p[1] == 'u' ? unit_at(p) : 0;
        bool high = unit >= 0xD800 && unit <= 0xDBFF;
        bool paired =
            high && p[6] == '\\' && p[7] == 'u' && unit_at(p + 6) >= 0xDC00 && unit_at(p + 6) <= 0xDFFF;
        if (unit >= 0xD800 && unit <= 0xDFFF && !paired)
            return true;
        p += paired ? 11 : 1;
    }
    return false;
}

static const char *put_json_string(struct text *t, const char *p, const char *end, bool is_key)
{
    const struct json_member m = {.value = p, .value_len = (size_t)(end - p), .type = JSON_STRING};
    size_t len;
    if (has_half_pair(p, end))
        return "has a string that holds half of a surrogate pair";
    char *s = json_decode(&m, &len);
    const char *why = s && memchr(s, '\0', len) ? "has a string that holds a NUL character" : NULL;
    t->failed = t->failed || !s;
    if (s && !why && is_key)
        put_key(t, s, len, " ");
    else if (s && !why)
        put_string(t, s, len, -1);
    free(s);
    return why;
}

const char *yaml_put_json(struct text *t, const char *json, size_t len)
{
    const char *p = json, *end = json + len, *why = NULL;
    while (p < end && !why) {
        if (is_space(*p) || *p == ':') { /* the colon was written with its key */
            p++;
            continue;
        }
        const char *next = token_end(p, end), *after = next;
        while (after < end && is_space(*after))
            after++;
        if (*p == '"')
            why = put_json_string(t, p, next, after < end && *after == ':');
        else if (*p == ',')
            text_puts(t, ", ");
        else
            text_put(t, p, (size_t)(next - p));
        p = next;
    }
    return why;
}
