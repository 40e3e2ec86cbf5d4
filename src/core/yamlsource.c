#include "core/yamlsource.h"

#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

/* Three disjoint blocks in the private-use area U+E000-F8FF; the first the input does not mention is
 * taken. In a block: 1,024 high surrogates, 1,024 low ones, then single characters. */
#define BLOCKS       3
#define BLOCK_SIZE   2112
#define BLOCK_FIRST  0xE000
#define SLOT_LOW     1024
#define SLOT_SINGLES 2048
_Static_assert(BLOCK_FIRST + BLOCKS * BLOCK_SIZE - 1 <= 0xF8FF, "the blocks fit in the private-use area");

#define PAIR_LEN 12 /* \uD83D\uDE00 */

/* %TAG lines cost libyaml quadratic time; a stream has no use for more than a few. */
#define MAX_TAG_DIRECTIVES 16

/* Slots of the single characters; 0 is not a slot. */
static uint32_t single_slot(uint32_t cp)
{
    if (cp >= 0x80 && cp <= 0x9F)
        return SLOT_SINGLES + 6 + (cp - 0x80);
    switch (cp) {
    case 0x7F:
        return SLOT_SINGLES;
    case 0x2028:
        return SLOT_SINGLES + 1;
    case 0x2029:
        return SLOT_SINGLES + 2;
    case 0xFEFF:
        return SLOT_SINGLES + 3;
    case 0xFFFE:
        return SLOT_SINGLES + 4;
    case 0xFFFF:
        return SLOT_SINGLES + 5;
    default:
        return 0;
    }
}

static uint32_t single_of_slot(uint32_t slot)
{
    static const uint32_t singles[] = {0x7F, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF};
    uint32_t i = slot - SLOT_SINGLES;
    return i < 6 ? singles[i] : 0x80 + (i - 6);
}

/* Whether cp, shielded, is what this scalar style may hold: a control character only where JSON has
 * it, in double quotes. U+0085, U+2028 and U+2029 are ordinary text in YAML 1.2. */
static bool single_allowed(uint32_t cp, enum yaml_style style)
{
    if (style == YAML_STYLE_DOUBLE || cp == 0x85 || cp == 0x2028 || cp == 0x2029)
        return true;
    return cp == 0xFEFF && style != YAML_STYLE_PLAIN;
}

static bool read_hex(const char *p, const char *end, size_t digits, uint32_t *value)
{
    uint32_t v = 0;
    if ((size_t)(end - p) < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        char c = p[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return false;
        v = (v << 4) | digit;
    }
    *value = v;
    return true;
}

/* \uXXXX at p. */
static bool read_escape(const char *p, const char *end, uint32_t *unit)
{
    return end - p >= 6 && p[0] == '\\' && p[1] == 'u' && read_hex(p + 2, end, 4, unit);
}

static bool read_pair(const char *p, const char *end, uint32_t *high, uint32_t *low)
{
    return end - p >= PAIR_LEN && read_escape(p, end, high) && *high >= 0xD800 && *high <= 0xDBFF &&
           read_escape(p + 6, end, low) && *low >= 0xDC00 && *low <= 0xDFFF;
}

/* The next pair at or after p whose backslash would begin an escape in double quotes (an even number of
 * backslashes before it), or end. p must not lie inside a run of backslashes. */
static const char *next_pair(const char *p, const char *end, uint32_t *high, uint32_t *low)
{
    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        const char *run = p;
        while (p < end && *p == '\\')
            p++;
        if ((p - run) % 2 == 1 && read_pair(p - 1, end, high, low))
            return p - 1;
    }
    return end;
}

static void note_private_use(struct yaml_source *src, uint32_t cp)
{
    if (cp >= BLOCK_FIRST && cp < BLOCK_FIRST + BLOCKS * BLOCK_SIZE)
        src->used |= 1u << ((cp - BLOCK_FIRST) / BLOCK_SIZE);
}

/* A textual escape of a private-use character; whether it is really an escape does not matter. */
static void note_escape(struct yaml_source *src, const char *p, const char *end)
{
    uint32_t value;
    if (end - p < 6 || (p[1] != 'u' && p[1] != 'U'))
        return;
    if (read_hex(p + 2, end, p[1] == 'u' ? 4 : 8, &value))
        note_private_use(src, value);
}

/* NUL in every other byte of the beginning: ASCII text in UTF-16 without a byte order mark. */
static bool looks_like_utf16(const char *bytes, size_t len)
{
    size_t looked = (len < 64 ? len : 64) & ~(size_t)1;
    size_t even = 0, odd = 0;
    for (size_t i = 0; i < looked; i += 2) {
        even += bytes[i] == 0;
        odd += bytes[i + 1] == 0;
    }
    size_t most = even > odd ? even : odd;
    return looked >= 4 && (even == 0 || odd == 0) && most * 4 >= looked;
}

static bool check_encoding(const char *bytes, size_t len, struct fault *fault)
{
    if (len >= 4 && (memcmp(bytes, "\xFF\xFE\0\0", 4) == 0 || memcmp(bytes, "\0\0\xFE\xFF", 4) == 0)) {
        fault_set(fault, 1, 1, "the file is UTF-32; only UTF-8 is read: save it as UTF-8");
        return false;
    }
    bool marked = len >= 2 && (memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0);
    if (!marked && !looks_like_utf16(bytes, len))
        return true;
    fault_set(fault, 1, 1, "the file is UTF-16; only UTF-8 is read: save it as UTF-8");
    return false;
}

struct walk {
    struct yaml_source *src;
    const char *p, *end;
    size_t line, column;
    size_t tag_directives;
};

static bool check_line_start(struct walk *w, struct fault *fault)
{
    if (w->end - w->p < 4 || memcmp(w->p, "%TAG", 4) != 0 || ++w->tag_directives <= MAX_TAG_DIRECTIVES)
        return true;
    fault_set(fault, w->line, 1,
              "more than %d lines begin with %%TAG; tags of one's own are not used here: "
              "remove these lines",
              MAX_TAG_DIRECTIVES);
    return false;
}

static bool check_newline(struct walk *w, struct fault *fault)
{
    if (*w->p == '\r' && w->end - w->p > 1 && w->p[1] == '\n')
        w->p++;
    w->p++;
    w->line++;
    w->column = 1;
    return check_line_start(w, fault);
}

static bool refuse_control(const struct walk *w, uint32_t cp, struct fault *fault)
{
    if (cp == 0)
        fault_set(fault, w->line, w->column, "a NUL character; text cannot hold one: remove it");
    else
        fault_set(fault, w->line, w->column,
                  "a control character (U+%04X); remove it, or write it as \\x%02X in double quotes",
                  (unsigned)cp, (unsigned)cp);
    return false;
}

static void note_character(struct yaml_source *src, uint32_t cp, size_t n)
{
    if (single_slot(cp)) {
        src->special = true;
        src->growth += 3 - n; /* a private-use character has 3 bytes */
    }
    note_private_use(src, cp);
}

static bool check_character(struct walk *w, struct fault *fault)
{
    uint32_t cp;
    if (*w->p == '\n' || *w->p == '\r')
        return check_newline(w, fault);
    size_t n = utf8_decode(w->p, (size_t)(w->end - w->p), &cp);
    if (n == 0) {
        fault_set(fault, w->line, w->column, "the byte 0x%02X is not UTF-8; save the file as UTF-8",
                  (unsigned)(unsigned char)*w->p);
        return false;
    }
    if (cp < 0x20 && cp != '\t')
        return refuse_control(w, cp, fault);
    if (cp == '\\')
        note_escape(w->src, w->p, w->end);
    else if (cp >= 0x7F)
        note_character(w->src, cp, n);
    w->p += n;
    w->column++;
    return true;
}

/* Nearly all text is this; going through it quickly halves the time of a whole parse. */
static void skip_ordinary(struct walk *w)
{
    const char *p = w->p;
    while (p < w->end && *p >= 0x20 && *p < 0x7F && *p != '\\')
        p++;
    w->column += (size_t)(p - w->p);
    w->p = p;
}

bool yaml_source_check(const char *bytes, size_t len, struct yaml_source *src, struct fault *fault)
{
    memset(src, 0, sizeof *src);
    if (!check_encoding(bytes, len, fault))
        return false;
    if (len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3;
        len -= 3;
    }
    src->bytes = bytes;
    src->len = len;
    struct walk w = {.src = src, .p = bytes, .end = bytes + len, .line = 1, .column = 1};
    if (!check_line_start(&w, fault))
        return false;
    while (w.p < w.end) {
        skip_ordinary(&w);
        if (w.p < w.end && !check_character(&w, fault))
            return false;
    }
    uint32_t high, low;
    if (len > 0 && next_pair(bytes, w.end, &high, &low) < w.end)
        src->special = true;
    return true;
}

/* ---- shielding ---- */

static char *write_escape(char *out, uint32_t cp)
{
    static const char digits[] = "0123456789ABCDEF";
    *out++ = '\\';
    *out++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4)
        *out++ = digits[(cp >> shift) & 0xF];
    return out;
}

static char *shield_singles(uint32_t base, const char *p, const char *end, char *out)
{
    while (p < end) {
        uint32_t cp;
        size_t n = utf8_decode(p, (size_t)(end - p), &cp);
        uint32_t slot = n > 0 ? single_slot(cp) : 0;
        if (slot) {
            out += utf8_encode(base + slot, out);
        } else {
            n = n ? n : 1; /* cannot be: the text was checked */
            memcpy(out, p, n);
            out += n;
        }
        p += n;
    }
    return out;
}

bool yaml_source_shield(struct yaml_source *src, struct fault *fault)
{
    unsigned block = 0;
    if (!src->special)
        return true;
    while (block < BLOCKS && (src->used & (1u << block)))
        block++;
    if (block == BLOCKS) {
        fault_set(
            fault, 0, 0,
            "the file uses private-use characters from all of U+E000-F8BF together with characters that "
            "need them as stand-ins (such as \\ud83d\\ude00 or U+2028); write those as \\U0001F600 or "
            "\\u2028");
        return false;
    }
    src->base = BLOCK_FIRST + block * BLOCK_SIZE;
    src->shielded = malloc(src->len + src->growth + 1);
    if (!src->shielded) {
        return fault_no_memory(fault);
    }
    const char *p = src->bytes, *end = src->bytes + src->len;
    char *out = src->shielded;
    while (p < end) {
        uint32_t high, low;
        const char *pair = next_pair(p, end, &high, &low);
        out = shield_singles(src->base, p, pair, out);
        if (pair < end) {
            out = write_escape(out, src->base + (high - 0xD800));
            out = write_escape(out, src->base + SLOT_LOW + (low - 0xDC00));
            pair += PAIR_LEN;
        }
        p = pair;
    }
    src->shielded_len = (size_t)(out - src->shielded);
    return true;
}

/* ---- restoring ---- */

static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

static size_t skip_characters(const struct yaml_source *src, size_t byte, size_t count)
{
    uint32_t cp;
    while (count > 0 && byte < src->len) {
        size_t n = utf8_decode(src->bytes + byte, src->len - byte, &cp);
        byte += n ? n : 1;
        count--;
    }
    return byte;
}

size_t yaml_source_offset(const struct yaml_source *src, size_t index)
{
    return skip_characters(src, 0, index);
}

/* Moves the cursor to where a scalar's text begins; pairs in comments on the way are passed over. */
static void seek(struct yaml_source *src, const struct yaml_origin *origin)
{
    if (origin->index > src->cursor_index) {
        src->cursor_byte = skip_characters(src, src->cursor_byte, origin->index - src->cursor_index);
        src->cursor_index = origin->index;
    }
    if (origin->style != YAML_STYLE_BLOCK)
        return;
    while (src->cursor_byte < src->len && !is_newline(src->bytes[src->cursor_byte])) {
        src->cursor_byte = skip_characters(src, src->cursor_byte, 1);
        src->cursor_index++;
    }
}

/* Outside double quotes a shielded pair is still text: put back what was written, hex digits in the
 * case they had, which only the input knows. */
static void put_back_pair(struct yaml_source *src, char *out)
{
    uint32_t high, low;
    const char *from = src->bytes + src->cursor_byte, *end = src->bytes + src->len;
    const char *pair = next_pair(from, end, &high, &low);
    if (pair == end)
        return; /* cannot be: there was one to shield */
    memcpy(out, pair, PAIR_LEN);
    src->cursor_index += PAIR_LEN;
    for (const char *p = from; p < pair; p++)
        src->cursor_index += ((unsigned char)*p & 0xC0u) != 0x80u;
    src->cursor_byte = (size_t)(pair - src->bytes) + PAIR_LEN;
}

static bool is_shielded_pair(const struct yaml_source *src, const char *p, const char *end)
{
    uint32_t high, low;
    return end - p >= PAIR_LEN && read_escape(p, end, &high) && read_escape(p + 6, end, &low) &&
           high - src->base < SLOT_LOW && low - src->base - SLOT_LOW < SLOT_SINGLES - SLOT_LOW;
}

static bool refuse_single(const struct yaml_origin *origin, uint32_t cp, struct fault *fault)
{
    if (cp == 0xFEFF)
        fault_set(fault, origin->line, origin->column,
                  "a byte order mark (U+FEFF) inside this text; it belongs only at the very start of a file "
                  "(were files joined?): remove it, or put the text in double quotes");
    else
        fault_set(
            fault, origin->line, origin->column,
            "a control character (U+%04X) inside this text; remove it, or put the text in double quotes",
            (unsigned)cp);
    return false;
}

/* The character that a shielding one stands for; surrogates come as their halves. */
static uint32_t unshield(const struct yaml_source *src, uint32_t cp)
{
    uint32_t slot = cp - src->base;
    if (slot >= BLOCK_SIZE)
        return cp;
    if (slot < SLOT_SINGLES)
        return 0xD800 + slot;
    return single_of_slot(slot);
}

bool yaml_source_restore(struct yaml_source *src, const struct yaml_origin *origin, char *text, size_t *len,
                         struct fault *fault)
{
    if (!src->base)
        return true;
    const char *p = text, *end = text + *len;
    char *out = text;
    uint32_t high = 0;
    bool sought = false;
    while (p < end) {
        if (origin->style != YAML_STYLE_DOUBLE && *p == '\\' && is_shielded_pair(src, p, end)) {
            if (!sought)
                seek(src, origin);
            sought = true;
            put_back_pair(src, out);
            out += PAIR_LEN;
            p += PAIR_LEN;
            continue;
        }
        uint32_t cp;
        size_t n = utf8_decode(p, (size_t)(end - p), &cp);
        if (n == 0)
            break; /* cannot be: libyaml gives UTF-8 */
        p += n;
        uint32_t real = unshield(src, cp);
        if (real != cp && real >= 0xD800 && real <= 0xDBFF) {
            high = real;
            continue;
        }
        if (real != cp && real >= 0xDC00 && real <= 0xDFFF)
            real = 0x10000 + ((high - 0xD800) << 10) + (real - 0xDC00);
        else if (real != cp && !single_allowed(real, origin->style))
            return refuse_single(origin, real, fault);
        out += utf8_encode(real, out);
    }
    *len = (size_t)(out - text);
    *out = '\0';
    return true;
}

void yaml_source_free(struct yaml_source *src)
{
    free(src->shielded);
    src->shielded = NULL;
}
