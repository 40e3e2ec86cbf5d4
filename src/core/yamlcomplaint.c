#include "core/yamlcomplaint.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

enum place { AT_PROBLEM, AT_CONTEXT };

#define AT_END '\x04' /* as the character found: the end of the file; no control character gets here */

/* The first row that fits counts. found: the character at the problem, 0 for any. In the sentence %f is
 * what stands there and %l the line of the context. */
struct row {
    const char *problem;
    const char *context; /* NULL: any */
    char found;
    enum place place;
    const char *sentence;
};

#define QUOTE_IT     "put the text in quotes"
#define NO_DIRECTIVE "a line that begins with %% is a directive, and this is none; remove it, or " QUOTE_IT
#define NO_VERSION   "%%YAML is followed by a version; write %%YAML 1.2, or leave the line out"
#define NO_HANDLE                                                                                            \
    "%%TAG is followed by a handle between '!' and a prefix; tags of one's own are not used here: remove "   \
    "this line"

static const struct row rows[] = {
    {"found character that cannot start any token", NULL, '\t', AT_PROBLEM,
     "a tab stands where YAML wants spaces; indent with spaces"},
    {"found character that cannot start any token", NULL, 0, AT_PROBLEM,
     "%f cannot begin an unquoted text; " QUOTE_IT},
    {"found a tab character that violates indentation", NULL, 0, AT_PROBLEM,
     "a tab stands where YAML wants spaces; indent with spaces"},
    {"found a tab character where an indentation space is expected", NULL, 0, AT_PROBLEM,
     "a tab indents this text block; indent with spaces"},
    {"found unexpected end of stream", "while scanning a quoted scalar", 0, AT_CONTEXT,
     "the quote that opens here is never closed; close it, or remove it"},
    {"found unexpected document indicator", "while scanning a quoted scalar", 0, AT_CONTEXT,
     "the quote that opens here is not closed before the next document (--- or ...); close it"},
    {"found unknown escape character", NULL, 0, AT_PROBLEM,
     "%f is not an escape that YAML knows in double quotes; write \\\\ for a backslash, or use single "
     "quotes"},
    {"did not find expected hexdecimal number", NULL, 0, AT_PROBLEM,
     "hexadecimal digits are missing here (two after \\x, four after \\u, eight after \\U); write them, or "
     "\\\\ for a backslash"},
    {"found invalid Unicode character escape code", NULL, 0, AT_PROBLEM,
     "this escape is no character: half of a surrogate pair (\\ud83d\\ude00) or above U+10FFFF; write the "
     "character itself"},
    {"could not find expected ':'", NULL, 0, AT_CONTEXT,
     "this line has no ':' after its key; write 'key: value' (a key and its ':' stand on one line, in at "
     "most "
     "1024 characters), and indent the further lines of a long text"},
    {"mapping values are not allowed in this context", NULL, 0, AT_PROBLEM,
     "no key fits this ':'; either an unquoted value holds a ':' (put it in quotes), or the line above has "
     "none, "
     "or this line is indented too far"},
    {"mapping keys are not allowed in this context", NULL, 0, AT_PROBLEM,
     "a '?' stands where a value was expected; " QUOTE_IT},
    {"block sequence entries are not allowed in this context", NULL, 0, AT_PROBLEM,
     "a list item ('- ') stands where a value was expected; begin the list on a line of its own, "
     "or " QUOTE_IT},
    {"did not find expected key", NULL, ':', AT_PROBLEM,
     "the key before ':' is missing; write one, or \"\" for an empty key"},
    {"did not find expected key", NULL, 0, AT_PROBLEM,
     "a new 'key: value' line was expected and %f was found; check the indentation, and quote a value as a "
     "whole"},
    {"did not find expected '-' indicator", NULL, 0, AT_PROBLEM,
     "a list item ('- ') was expected and %f was found; check the indentation"},
    {"did not find expected ',' or ']'", NULL, AT_END, AT_CONTEXT,
     "the list that '[' opens here is never closed; close it with ']', or " QUOTE_IT},
    {"did not find expected ',' or '}'", NULL, AT_END, AT_CONTEXT,
     "the mapping that '{' opens here is never closed; close it with '}', or " QUOTE_IT},
    {"did not find expected ',' or ']'", NULL, 0, AT_PROBLEM,
     "',' or ']' was expected and %f was found; close the list that '[' opens in line %l, or " QUOTE_IT},
    {"did not find expected ',' or '}'", NULL, ':', AT_PROBLEM,
     "',' or '}' was expected and ':' was found; a key and its ':' stand on one line, in at most 1024 "
     "characters"},
    {"did not find expected ',' or '}'", NULL, 0, AT_PROBLEM,
     "',' or '}' was expected and %f was found; close the mapping that '{' opens in line %l, or " QUOTE_IT},
    {"did not find expected node content", NULL, ':', AT_PROBLEM,
     "a key was expected before ':'; write one, or \"\" for an empty key"},
    {"did not find expected node content", NULL, 0, AT_PROBLEM,
     "a value was expected and %f was found; write a value, or " QUOTE_IT},
    {"did not find expected alphabetic or numeric character", "while scanning an alias", 0, AT_CONTEXT,
     "'*' begins an alias, and no usable name follows; for text that begins with '*', " QUOTE_IT},
    {"did not find expected alphabetic or numeric character", NULL, 0, AT_CONTEXT,
     "'&' begins an anchor, and no usable name follows; for text that begins with '&', " QUOTE_IT},
    {"found undefined tag handle", NULL, 0, AT_PROBLEM,
     "'!' begins a tag, and this one is not known; for text that begins with '!', " QUOTE_IT},
    {"did not find expected whitespace or line break", "while scanning a tag", 0, AT_CONTEXT,
     "'!' begins a tag, and this is none; for text that begins with '!', " QUOTE_IT},
    {"did not find expected tag URI", NULL, 0, AT_CONTEXT,
     "'!' begins a tag, and this is none; for text that begins with '!', " QUOTE_IT},
    {"did not find the expected '>'", NULL, 0, AT_CONTEXT, "the tag that '!<' begins has no '>'; close it"},
    {"found an indentation indicator equal to 0", NULL, 0, AT_PROBLEM,
     "0 is no indentation for a text block; write a digit from 1 to 9, or none"},
    {"did not find expected comment or line break", "while scanning a block scalar", 0, AT_PROBLEM,
     "%f follows the '|' or '>' of a text block, which goes on in the next line; for text that begins with "
     "it, " QUOTE_IT},
    {"did not find expected <document start>", NULL, 0, AT_PROBLEM,
     "a new document ('---') was expected and %f was found; a file holds 'key: value' lines: check the "
     "indentation and stray brackets"},
    {"found incompatible YAML document", NULL, 0, AT_PROBLEM,
     "this YAML version is not known; write %%YAML 1.2, or leave the line out"},
    {"found unknown directive name", NULL, 0, AT_PROBLEM,
     "a line that begins with %% is a directive, and this one is not known; remove it, or " QUOTE_IT},
    {"found unexpected non-alphabetical character", "while scanning a directive", 0, AT_CONTEXT,
     NO_DIRECTIVE},
    {"could not find expected directive name", "while scanning a directive", 0, AT_CONTEXT, NO_DIRECTIVE},
    {"did not find expected comment or line break", "while scanning a directive", 0, AT_CONTEXT,
     NO_DIRECTIVE},
    {"did not find expected version number", NULL, 0, AT_PROBLEM, NO_VERSION},
    {"did not find expected digit or '.' character", NULL, 0, AT_PROBLEM, NO_VERSION},
    {"found extremely long version number", NULL, 0, AT_PROBLEM, NO_VERSION},
    {"found duplicate %YAML directive", NULL, 0, AT_PROBLEM,
     "the version of YAML is said twice; remove one of the lines"},
    {"found duplicate %TAG directive", NULL, 0, AT_PROBLEM,
     "this %%TAG is said twice; tags of one's own are not used here: remove these lines"},
    {"did not find expected whitespace", "while scanning a %TAG directive", 0, AT_PROBLEM, NO_HANDLE},
    {"did not find expected whitespace or line break", "while scanning a %TAG directive", 0, AT_PROBLEM,
     NO_HANDLE},
    {"did not find expected '!'", "while scanning a tag directive", 0, AT_PROBLEM, NO_HANDLE},
    {"did not find URI escaped octet", NULL, 0, AT_CONTEXT,
     "'!' begins a tag, and '%%' in one is followed by two hexadecimal digits; for text that begins with "
     "'!', " QUOTE_IT},
};

/* A backslash says little without the character that follows. */
static size_t escape_len(const struct yaml_source *src, size_t offset)
{
    uint32_t cp;
    return 1 + utf8_decode(src->bytes + offset + 1, src->len - offset - 1, &cp);
}

static void describe_found(const struct yaml_source *src, size_t offset, char *buf, size_t size)
{
    uint32_t cp;
    char shown[24];
    size_t n = utf8_decode(src->bytes + offset, src->len - offset, &cp);
    if (n == 0)
        snprintf(buf, size, "the end of the file");
    else if (cp == '\n' || cp == '\r')
        snprintf(buf, size, "the end of the line");
    else if (cp == '\t')
        snprintf(buf, size, "a tab");
    else
        snprintf(
            buf, size, "'%s'",
            utf8_escape(src->bytes + offset, cp == '\\' ? escape_len(src, offset) : n, shown, sizeof shown));
}

static const struct row *find_row(const struct yaml_complaint *c, char found)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        if (c->problem && strcmp(row->problem, c->problem) == 0 &&
            (!row->context || (c->context && strcmp(row->context, c->context) == 0)) &&
            (!row->found || row->found == found))
            return row;
    }
    return NULL;
}

/* Not printf(): a row could then read what is not there, and the compiler would rightly warn. */
static void fill_in(const char *sentence, const char *found, size_t line, char *buf, size_t size)
{
    size_t used = 0;
    for (const char *p = sentence; *p && used + 1 < size; p++) {
        if (*p != '%') {
            buf[used++] = *p;
            continue;
        }
        p++;
        int n = *p == 'l' ? snprintf(buf + used, size - used, "%zu", line)
                          : snprintf(buf + used, size - used, "%s", *p == 'f' ? found : "%");
        used += n > 0 ? (size_t)n : 0;
        if (used >= size)
            used = size - 1;
    }
    buf[used] = '\0';
}

void yaml_complaint_explain(const struct yaml_complaint *c, const struct yaml_source *src,
                            struct fault *fault)
{
    char found[32], text[sizeof fault->text];
    size_t offset = yaml_source_offset(src, c->index);
    describe_found(src, offset, found, sizeof found);
    const struct row *row = find_row(c, offset < src->len ? src->bytes[offset] : AT_END);
    if (!row) {
        fault_set(fault, c->line + 1, c->column + 1, "this is not YAML: %s%s%s; found %s",
                  c->problem ? c->problem : "unreadable", c->context ? " " : "", c->context ? c->context : "",
                  found);
        return;
    }
    fill_in(row->sentence, found, c->context_line + 1, text, sizeof text);
    if (row->place == AT_CONTEXT && c->context)
        fault_set(fault, c->context_line + 1, c->context_column + 1, "%s", text);
    else
        fault_set(fault, c->line + 1, c->column + 1, "%s", text);
}
