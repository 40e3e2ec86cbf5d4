#include "core/jsonspan.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

struct scanner {
    const char *p;
    const char *end;
};

static void skip_space(struct scanner *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool take(struct scanner *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

/* ---- strings ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* s->p stands behind the backslash. */
static bool scan_escape(struct scanner *s)
{
    if (s->p == s->end)
        return false;
    char c = *s->p++;
    if (c != 'u')
        return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
    for (int i = 0; i < 4; i++, s->p++) {
        if (s->p == s->end || hex_value(*s->p) < 0)
            return false;
    }
    return true;
}

static bool scan_string(struct scanner *s)
{
    if (!take(s, '"'))
        return false;
    while (s->p < s->end) {
        unsigned char c = (unsigned char)*s->p;
        uint32_t cp;
        size_t n = 1;
        if (c < 0x20)
            return false;
        if (c >= 0x80)
            n = utf8_decode(s->p, (size_t)(s->end - s->p), &cp);
        if (n == 0)
            return false;
        s->p += n;
        if (c == '"')
            return true;
        if (c == '\\' && !scan_escape(s))
            return false;
    }
    return false;
}

/* ---- other scalars ---- */

static bool scan_digits(struct scanner *s)
{
    const char *start = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > start;
}

static bool scan_number(struct scanner *s)
{
    take(s, '-');
    if (!take(s, '0') && !scan_digits(s))
        return false;
    if (take(s, '.') && !scan_digits(s))
        return false;
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+'))
            take(s, '-');
        return scan_digits(s);
    }
    return true; /* of 01 only the 0 was taken: what follows a value will not accept the 1 */
}

static bool scan_literal(struct scanner *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool scan_scalar(struct scanner *s)
{
    switch (*s->p) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_literal(s, "true");
    case 'f':
        return scan_literal(s, "false");
    case 'n':
        return scan_literal(s, "null");
    default:
        return scan_number(s);
    }
}

static enum json_type type_of(char first)
{
    switch (first) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

/* ---- values of any depth ---- */

/* Which of the open containers are objects: a bit each, so that a hostile text cannot use up the stack. */
struct nest {
    size_t depth, max;
    unsigned char objects[JSON_DEPTH_MAX / 8];
};

enum step { STEP_BAD, STEP_VALUE, STEP_AFTER };

static bool in_object(const struct nest *n)
{
    size_t i = n->depth - 1;
    return ((unsigned)n->objects[i / 8] >> (i % 8)) & 1u;
}

static bool push(struct nest *n, bool object)
{
    if (n->depth == n->max)
        return false;
    unsigned bit = 1u << (n->depth % 8);
    unsigned char *cell = &n->objects[n->depth / 8];
    *cell = (unsigned char)(object ? *cell | bit : *cell & ~bit);
    n->depth++;
    return true;
}

static bool scan_key(struct scanner *s)
{
    skip_space(s);
    if (!scan_string(s))
        return false;
    skip_space(s);
    return take(s, ':');
}

static enum step next_member(struct scanner *s, const struct nest *n)
{
    return !in_object(n) || scan_key(s) ? STEP_VALUE : STEP_BAD;
}

static enum step begin_value(struct scanner *s, struct nest *n)
{
    skip_space(s);
    if (s->p == s->end)
        return STEP_BAD;
    bool object = *s->p == '{';
    if (!object && *s->p != '[')
        return scan_scalar(s) ? STEP_AFTER : STEP_BAD;
    s->p++;
    if (!push(n, object))
        return STEP_BAD;
    skip_space(s);
    if (take(s, object ? '}' : ']')) {
        n->depth--;
        return STEP_AFTER;
    }
    return next_member(s, n);
}

static enum step after_value(struct scanner *s, struct nest *n)
{
    skip_space(s);
    if (take(s, ','))
        return next_member(s, n);
    if (!take(s, in_object(n) ? '}' : ']'))
        return STEP_BAD;
    n->depth--;
    return STEP_AFTER;
}

static bool scan_value(struct scanner *s, size_t max_depth)
{
    struct nest n = {.max = max_depth};
    enum step step = STEP_VALUE;
    for (;;) {
        if (step == STEP_VALUE)
            step = begin_value(s, &n);
        else if (step == STEP_AFTER && n.depth > 0)
            step = after_value(s, &n);
        else
            return step == STEP_AFTER;
    }
}

static bool at_end(struct scanner *s)
{
    skip_space(s);
    return s->p == s->end;
}

bool json_is_valid(const char *text, size_t len)
{
    if (len == 0) /* text may be NULL then */
        return false;
    struct scanner s = {text, text + len};
    return scan_value(&s, JSON_DEPTH_MAX) && at_end(&s);
}

/* ---- reading escapes of text that was scanned before ---- */

static uint32_t read_hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)hex_value(p[i]);
    return v;
}

static uint32_t read_unicode_escape(const char **p, const char *end)
{
    uint32_t cp = read_hex4(*p);
    *p += 4;
    if (cp < 0xD800 || cp > 0xDFFF)
        return cp;
    if (cp > 0xDBFF || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return 0xFFFD;
    uint32_t low = read_hex4(*p + 2);
    if (low < 0xDC00 || low > 0xDFFF)
        return 0xFFFD;
    *p += 6;
    return 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
}

/* One byte that stands for itself, or all bytes of one escape; never more than it took. */
static size_t decode_step(const char **p, const char *end, char out[4])
{
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
    if (**p != '\\') {
        out[0] = *(*p)++;
        return 1;
    }
    char c = (*p)[1];
    *p += 2;
    if (c == 'u')
        return utf8_encode(read_unicode_escape(p, end), out);
    const char *name = strchr(names, c);
    out[0] = name ? meant[name - names] : c;
    return 1;
}

static bool key_is(const struct json_member *m, const char *key)
{
    size_t len = strlen(key);
    if (m->key_len < len || m->key_len > 6 * len) /* a byte is written in one to six */
        return false;
    if (memchr(m->key, '\\', m->key_len) == NULL)
        return m->key_len == len && memcmp(m->key, key, len) == 0;
    const char *p = m->key, *end = m->key + m->key_len;
    const char *wanted = key, *wanted_end = key + len;
    while (p < end) {
        char bytes[4];
        size_t n = decode_step(&p, end, bytes);
        if ((size_t)(wanted_end - wanted) < n || memcmp(wanted, bytes, n) != 0)
            return false;
        wanted += n;
    }
    return wanted == wanted_end;
}

/* ---- members of the top-level object ---- */

/* An object being listed, and where the members lie that are listed however many others there are. */
#define NAMED_COUNT 5
static const char *const named[NAMED_COUNT] = {"success", "result", "citations", "error", "code"};
struct listing {
    struct json_object *o;
    size_t place[NAMED_COUNT]; /* JSON_MEMBERS_MAX: not seen yet */
};

/* Index into named[]; NAMED_COUNT for any other member. */
static size_t name_of(const struct json_member *m)
{
    size_t i = 0;
    while (i < NAMED_COUNT && !key_is(m, named[i]))
        i++;
    return i;
}

/* A place for a named member in a full list: that of the last member without such a name. There is one,
 * because named members are listed once each. */
static size_t give_way(const struct json_object *o)
{
    size_t i = o->count - 1;
    while (name_of(&o->members[i]) < NAMED_COUNT)
        i--;
    return i;
}

static void list_member(struct listing *l, const struct json_member *m)
{
    struct json_object *o = l->o;
    size_t name = name_of(m);
    bool again = name < NAMED_COUNT && l->place[name] < JSON_MEMBERS_MAX;
    size_t place = again ? l->place[name] : o->count;
    if (place == JSON_MEMBERS_MAX) {
        o->dropped = true;
        if (name == NAMED_COUNT)
            return;
        place = give_way(o);
    }
    if (name < NAMED_COUNT)
        l->place[name] = place;
    o->members[place] = *m;
    if (place == o->count)
        o->count++;
}

static bool scan_member(struct scanner *s, struct listing *l)
{
    struct json_member m;
    skip_space(s);
    m.key = s->p + 1;
    if (!scan_string(s))
        return false;
    m.key_len = (size_t)(s->p - m.key) - 1;
    skip_space(s);
    if (!take(s, ':'))
        return false;
    skip_space(s);
    if (s->p == s->end)
        return false;
    m.value = s->p;
    m.type = type_of(*s->p);
    if (!scan_value(s, JSON_DEPTH_MAX - 1))
        return false;
    m.value_len = (size_t)(s->p - m.value);
    list_member(l, &m);
    return true;
}

static bool scan_members(struct scanner *s, struct listing *l)
{
    skip_space(s);
    if (!take(s, '{'))
        return false;
    skip_space(s);
    if (take(s, '}'))
        return at_end(s);
    do {
        if (!scan_member(s, l))
            return false;
        skip_space(s);
    } while (take(s, ','));
    return take(s, '}') && at_end(s);
}

bool json_scan_object(const char *text, size_t len, struct json_object *out)
{
    struct listing l = {.o = out};
    for (size_t i = 0; i < NAMED_COUNT; i++)
        l.place[i] = JSON_MEMBERS_MAX;
    out->count = 0;
    out->dropped = false;
    if (len == 0) /* text may be NULL then */
        return false;
    struct scanner s = {text, text + len};
    if (scan_members(&s, &l))
        return true;
    out->count = 0;
    out->dropped = false;
    return false;
}

const struct json_member *json_find(const struct json_object *o, const char *key)
{
    for (size_t i = o->count; i > 0; i--) {
        if (key_is(&o->members[i - 1], key))
            return &o->members[i - 1];
    }
    return NULL;
}

char *json_decode(const struct json_member *m, size_t *len)
{
    *len = 0;
    if (m->type != JSON_STRING)
        return NULL;
    char *text = malloc(m->value_len); /* two bytes for the quotes pay for the NUL */
    if (!text)
        return NULL;
    const char *p = m->value + 1, *end = m->value + m->value_len - 1;
    while (p < end) {
        char bytes[4];
        size_t n = decode_step(&p, end, bytes);
        memcpy(text + *len, bytes, n);
        *len += n;
    }
    text[*len] = '\0';
    return text;
}

char *json_string(const struct json_member *m)
{
    size_t len;
    char *text = json_decode(m, &len);
    if (!text || !memchr(text, '\0', len))
        return text;
    free(text);
    return NULL;
}

bool json_whole(const struct json_member *m, long long *out)
{
    if (m->type != JSON_NUMBER)
        return false;
    bool negative = m->value[0] == '-';
    long long v = 0; /* counted below zero, where there is room for one more */
    for (size_t i = negative ? 1 : 0; i < m->value_len; i++) {
        int digit = m->value[i] - '0';
        if (digit < 0 || digit > 9 || v < (LLONG_MIN + digit) / 10)
            return false;
        v = v * 10 - digit;
    }
    if (!negative && v == LLONG_MIN)
        return false;
    *out = negative ? v : -v;
    return true;
}
