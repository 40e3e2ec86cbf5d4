#include "sandbox/template.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct piece {
    bool is_variable;
    size_t variable;
    char *text; /* escaped; owned */
    size_t len;
};

struct template
{
    size_t piece_count, piece_room;
    struct piece *pieces;
    size_t variable_count;
    char *variables[TEMPLATE_VARIABLES_MAX];
};

/* Writes when there is room to write to, counts in any case. */
struct sink {
    char *out;
    size_t len;
};

static void put(struct sink *s, const char *bytes, size_t len)
{
    if (s->out) {
        memcpy(s->out + s->len, bytes, len);
    }
    s->len += len;
}

static void put_control(struct sink *s, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    put(s, escape, sizeof escape);
}

static void put_escaped(struct sink *s, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            put(s, "\\", 1);
            put(s, text + i, 1);
        } else if (c == '\n') {
            put(s, "\\n", 2);
        } else if (c < 0x20) {
            put_control(s, c);
        } else {
            put(s, text + i, 1);
        }
    }
}

size_t template_escape(const char *text, size_t len, char *out)
{
    struct sink s = {.out = out};
    put_escaped(&s, text, len);
    return s.len;
}

static bool add_piece(struct template *t, struct piece piece)
{
    if (t->piece_count == t->piece_room) {
        size_t room = t->piece_room ? 2 * t->piece_room : 8;
        struct piece *grown = realloc(t->pieces, room * sizeof *grown);
        if (!grown) {
            return false;
        }
        t->pieces = grown;
        t->piece_room = room;
    }
    t->pieces[t->piece_count++] = piece;
    return true;
}

static bool add_text(struct template *t, const char *text, size_t len)
{
    if (len == 0) {
        return true;
    }
    size_t escaped = template_escape(text, len, NULL);
    struct piece piece = {.text = malloc(escaped), .len = escaped};
    if (!piece.text) {
        return false;
    }
    template_escape(text, len, piece.text);
    if (!add_piece(t, piece)) {
        free(piece.text);
        return false;
    }
    return true;
}

/* The index of a variable, new or known; TEMPLATE_VARIABLES_MAX when it cannot be added. */
static size_t variable_index(struct template *t, const char *name, size_t len)
{
    for (size_t i = 0; i < t->variable_count; i++) {
        if (strlen(t->variables[i]) == len && memcmp(t->variables[i], name, len) == 0) {
            return i;
        }
    }
    if (t->variable_count == TEMPLATE_VARIABLES_MAX) {
        return TEMPLATE_VARIABLES_MAX;
    }
    char *copy = strndup(name, len);
    if (!copy) {
        return TEMPLATE_VARIABLES_MAX;
    }
    t->variables[t->variable_count] = copy;
    return t->variable_count++;
}

/* At "{{": whether a {{name}} starts here; white space around the name is not part of it. */
static bool match_variable(const char *text, size_t len, const char **name, size_t *name_len, size_t *taken)
{
    size_t start = 2, end;
    for (end = start; end < len && text[end] != '{' && text[end] != '}'; end++) {}
    if (end + 1 >= len || text[end] != '}' || text[end + 1] != '}') {
        return false;
    }
    *taken = end + 2;
    while (start < end && strchr(" \t\r\n", text[start])) {
        start++;
    }
    while (end > start && strchr(" \t\r\n", text[end - 1])) {
        end--;
    }
    *name = text + start;
    *name_len = end - start;
    return end > start && !memchr(*name, '\0', *name_len);
}

static bool split(struct template *t, const char *text, size_t len)
{
    size_t literal = 0, i = 0;
    while (i + 1 < len) {
        const char *name;
        size_t name_len, taken;
        if (text[i] != '{' || text[i + 1] != '{' ||
            !match_variable(text + i, len - i, &name, &name_len, &taken)) {
            i++;
            continue;
        }
        size_t index = variable_index(t, name, name_len);
        if (index == TEMPLATE_VARIABLES_MAX || !add_text(t, text + literal, i - literal) ||
            !add_piece(t, (struct piece){.is_variable = true, .variable = index})) {
            return false;
        }
        i += taken;
        literal = i;
    }
    return add_text(t, text + literal, len - literal);
}

struct template *template_parse(const char *text, size_t len, struct fault *fault)
{
    struct template *t = calloc(1, sizeof *t);
    if (!t || !split(t, text, len)) {
        fault_set(fault, 0, 0, "a template may use %d variables; this one uses more, or memory is out",
                  TEMPLATE_VARIABLES_MAX);
        template_free(t);
        return NULL;
    }
    return t;
}

void template_free(struct template *t)
{
    if (!t) {
        return;
    }
    for (size_t i = 0; i < t->piece_count; i++) {
        free(t->pieces[i].text);
    }
    for (size_t i = 0; i < t->variable_count; i++) {
        free(t->variables[i]);
    }
    free(t->pieces);
    free(t);
}

size_t template_variable_count(const struct template *t)
{
    return t->variable_count;
}

const char *template_variable_name(const struct template *t, size_t index)
{
    return t->variables[index];
}

/* The scanners below walk JSON that is known to be valid; `end` only guards against a caller's mistake. */

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) {
        p++;
    }
    return p;
}

static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\') {
            p++;
        }
    }
    return p < end ? p + 1 : end;
}

static const char *skip_value(const char *p, const char *end)
{
    size_t depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if (*p == '}' || *p == ']') {
            if (depth == 0) {
                return p; /* a bare number or literal ends with its container */
            }
            depth--;
            p++;
        } else if (depth == 0 && (*p == ',' || *p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) {
            return p;
        } else {
            p++;
            continue;
        }
        if (depth == 0) {
            return p;
        }
    }
    return end;
}

static uint32_t hex4(const char *p)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static size_t utf8(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(lead[more] | c >> (6 * more));
    for (size_t i = 1; i <= more; i++) {
        out[i] = (char)(0x80 | (c >> (6 * (more - i)) & 0x3f));
    }
    return more + 1;
}

/* At a backslash inside a valid string: the character it stands for, as UTF-8. */
static size_t unescape(const char **p, const char *end, char out[4])
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = (*p)[1];
    *p += 2;
    if (c != 'u') {
        const char *found = strchr(from, c);
        out[0] = found ? to[found - from] : c;
        return 1;
    }
    uint32_t unit = hex4(*p);
    *p += 4;
    if ((unit & 0xfc00) == 0xd800 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        uint32_t low = hex4(*p + 2);
        if ((low & 0xfc00) == 0xdc00) {
            *p += 6;
            unit = 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff);
        }
    }
    return utf8(unit, out);
}

static bool key_is(const char *key, size_t len, const char *name)
{
    const char *p = key, *end = key + len;
    size_t left = strlen(name);
    while (p < end) {
        char character[4] = {*p};
        size_t n = 1;
        if (*p == '\\') {
            n = unescape(&p, end, character);
        } else {
            p++;
        }
        if (n > left || memcmp(name, character, n) != 0) {
            return false;
        }
        name += n;
        left -= n;
    }
    return left == 0;
}

static void bind_member(const struct template *t, const char *key, size_t key_len,
                        struct template_value value, struct template_value *values)
{
    for (size_t i = 0; i < t->variable_count; i++) {
        if (key_is(key, key_len, t->variables[i])) {
            values[i] = value;
            return;
        }
    }
}

void template_bind(const struct template *t, const char *object, size_t len, struct template_value *values)
{
    const char *end = object + len;
    for (size_t i = 0; i < t->variable_count; i++) {
        values[i] = (struct template_value){0};
    }
    const char *p = skip_space(object, end);
    while (p < end && *p != '}') {
        const char *key = skip_space(p + 1, end); /* behind the brace or the comma */
        if (key >= end || *key != '"') {
            return;
        }
        const char *key_end = skip_string(key, end);
        const char *colon = skip_space(key_end, end);
        const char *raw = skip_space(colon < end ? colon + 1 : end, end);
        p = skip_value(raw, end);
        if (p >= end) {
            return; /* cut short: its strings may have no end */
        }
        struct template_value value = {.raw = raw, .len = (size_t)(p - raw)};
        bind_member(t, key + 1, (size_t)(key_end - key) - 2, value, values);
        p = skip_space(p, end);
    }
}

size_t template_render(const struct template *t, const struct template_value *values, char *out)
{
    struct sink s = {.out = out};
    for (size_t i = 0; i < t->piece_count; i++) {
        const struct piece *piece = &t->pieces[i];
        if (!piece->is_variable) {
            put(&s, piece->text, piece->len);
            continue;
        }
        const struct template_value *value = &values[piece->variable];
        if (!value->raw) {
            put(&s, "undefined", strlen("undefined"));
        } else if (*value->raw == '"') {
            put(&s, value->raw + 1, value->len - 2);
        } else {
            put_escaped(&s, value->raw, value->len);
        }
    }
    return s.len;
}
