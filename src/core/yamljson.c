#include "core/yamljson.h"

#include <stdint.h>
#include <string.h>

#include "core/payload.h"
#include "core/utf8.h"

struct reader {
    const char *p, *end;
    size_t line;
    const char *counted; /* column is that of this place */
    size_t column;
    struct yaml_builder *b;
    struct fault *fault;
};

static enum yaml_json read_value(struct reader *r);

static enum yaml_json built(bool ok)
{
    return ok ? YAML_JSON_READ : YAML_JSON_FAULT;
}

/* Counts on from the last place that was asked for: asking is linear in all. */
static struct yaml_head head_here(struct reader *r)
{
    for (; r->counted < r->p; r->counted++)
        r->column += ((unsigned char)*r->counted & 0xC0u) != 0x80u;
    return (struct yaml_head){.tag = YAML_TAG_NONE, .line = r->line, .column = r->column};
}

static void skip_space(struct reader *r)
{
    for (; r->p < r->end; r->p++) {
        char c = *r->p;
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        if (c == ' ' || c == '\t')
            continue;
        if (c == '\r' && r->end - r->p > 1 && r->p[1] == '\n')
            r->p++;
        r->line++;
        r->counted = r->p + 1;
        r->column = 1;
    }
}

static bool next_is(struct reader *r, char c)
{
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static bool read_unit(struct reader *r, uint32_t *unit)
{
    uint32_t v = 0;
    if (r->end - r->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *digit = memchr(digits, *r->p++, sizeof digits - 1);
        if (!digit)
            return false;
        uint32_t value = (uint32_t)(digit - digits);
        v = v << 4 | (value < 16 ? value : value - 6);
    }
    *unit = v;
    return true;
}

/* After "\u". NUL and lone surrogates count as not JSON: libyaml's way has the words for them. */
static bool read_unicode_escape(struct reader *r, char **out)
{
    uint32_t cp, low;
    if (!read_unit(r, &cp) || cp == 0 || (cp >= 0xDC00 && cp <= 0xDFFF))
        return false;
    if (cp >= 0xD800 && cp <= 0xDBFF) {
        if (!next_is(r, '\\') || !next_is(r, 'u') || !read_unit(r, &low) || low < 0xDC00 || low > 0xDFFF)
            return false;
        cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
    }
    *out += utf8_encode(cp, *out);
    return true;
}

static bool read_escape(struct reader *r, char **out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (r->p == r->end)
        return false;
    char c = *r->p++;
    if (c == 'u')
        return read_unicode_escape(r, out);
    const char *name = memchr(names, c, sizeof names - 1);
    if (!name)
        return false;
    *(*out)++ = values[name - names];
    return true;
}

/* Where the string that began before p ends: at its closing quote, or NULL. */
static const char *find_quote(const char *p, const char *end)
{
    for (; p < end && *p != '"'; p++) {
        if (*p == '\n' || *p == '\r' || *p == '\t')
            return NULL;
        if (*p == '\\' && ++p == end)
            return NULL;
    }
    return p < end ? p : NULL;
}

static enum yaml_json read_string(struct reader *r)
{
    struct yaml_head head = head_here(r);
    r->p++;
    const char *quote = find_quote(r->p, r->end);
    if (!quote)
        return YAML_JSON_OTHER;
    char *text = yaml_build_text(r->b, (size_t)(quote - r->p) + 1);
    if (!text) {
        fault_no_memory(r->fault);
        return YAML_JSON_FAULT;
    }
    char *out = text;
    while (r->p < quote) {
        if (*r->p != '\\')
            *out++ = *r->p++;
        else if (r->p++, !read_escape(r, &out))
            return YAML_JSON_OTHER;
    }
    r->p = quote + 1;
    *out = '\0';
    return built(yaml_build_scalar(r->b, &head, false, text, (size_t)(out - text), r->fault));
}

/* true, false, null or a number; as text, because every digit is kept. */
static enum yaml_json read_word(struct reader *r)
{
    struct yaml_head head = head_here(r);
    const char *start = r->p;
    while (r->p < r->end && *r->p && strchr("+-.0123456789Eaeflnrstu", *r->p))
        r->p++;
    size_t len = (size_t)(r->p - start);
    bool name = (len == 4 && (memcmp(start, "true", 4) == 0 || memcmp(start, "null", 4) == 0)) ||
                (len == 5 && memcmp(start, "false", 5) == 0);
    if (!name && !payload_is_json_number(start, len))
        return YAML_JSON_OTHER;
    char *text = yaml_build_text(r->b, len + 1);
    if (!text) {
        fault_no_memory(r->fault);
        return YAML_JSON_FAULT;
    }
    memcpy(text, start, len);
    text[len] = '\0';
    return built(yaml_build_scalar(r->b, &head, true, text, len, r->fault));
}

static enum yaml_json read_member(struct reader *r, bool is_map)
{
    if (is_map) {
        if (r->p == r->end || *r->p != '"')
            return YAML_JSON_OTHER;
        enum yaml_json key = read_string(r);
        if (key != YAML_JSON_READ)
            return key;
        skip_space(r);
        if (!next_is(r, ':'))
            return YAML_JSON_OTHER;
        skip_space(r);
    }
    return read_value(r);
}

static enum yaml_json read_collection(struct reader *r, bool is_map)
{
    struct yaml_head head = head_here(r);
    char close = is_map ? '}' : ']';
    if (!yaml_build_open(r->b, &head, is_map ? YAML_NODE_MAP : YAML_NODE_LIST, r->fault))
        return YAML_JSON_FAULT;
    r->p++;
    skip_space(r);
    if (next_is(r, close))
        return built(yaml_build_close(r->b, r->fault));
    for (;;) {
        enum yaml_json member = read_member(r, is_map);
        if (member != YAML_JSON_READ)
            return member;
        skip_space(r);
        if (next_is(r, close))
            return built(yaml_build_close(r->b, r->fault));
        if (!next_is(r, ','))
            return YAML_JSON_OTHER;
        skip_space(r);
    }
}

/* Recursion ends at the builder's bound on nesting. */
static enum yaml_json read_value(struct reader *r)
{
    if (r->p == r->end)
        return YAML_JSON_OTHER;
    switch (*r->p) {
    case '{':
        return read_collection(r, true);
    case '[':
        return read_collection(r, false);
    case '"':
        return read_string(r);
    default:
        return read_word(r);
    }
}

enum yaml_json yaml_json_read(const char *bytes, size_t len, struct yaml_builder *b, struct fault *fault)
{
    struct reader r = {
        .p = bytes, .end = bytes + len, .line = 1, .counted = bytes, .column = 1, .b = b, .fault = fault};
    skip_space(&r);
    if (r.p == r.end || (*r.p != '{' && *r.p != '['))
        return YAML_JSON_OTHER;
    yaml_build_document(b);
    enum yaml_json reading = read_value(&r);
    if (reading != YAML_JSON_READ)
        return reading;
    skip_space(&r);
    if (r.p < r.end)
        return YAML_JSON_OTHER;
    return built(yaml_build_document_end(b, fault));
}
