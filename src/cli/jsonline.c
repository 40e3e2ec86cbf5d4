#include "cli/jsonline.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/jsonquote.h"
#include "core/units.h"
#include "core/utf8.h"

static void begin(struct json_line *j, const char *name)
{
    if (j->more)
        fputc(',', j->out);
    j->more = true;
    if (name != NULL)
        fprintf(j->out, "\"%s\":", name); /* names are our own words */
}

void json_open(struct json_line *j, const char *name)
{
    begin(j, name);
    fputc('{', j->out);
    j->more = false;
}

void json_close(struct json_line *j)
{
    fputc('}', j->out);
    j->more = true;
}

void json_open_list(struct json_line *j, const char *name)
{
    begin(j, name);
    fputc('[', j->out);
    j->more = false;
}

void json_close_list(struct json_line *j)
{
    fputc(']', j->out);
    j->more = true;
}

void json_end_line(struct json_line *j)
{
    fputc('\n', j->out);
    j->more = false;
}

static size_t plain_span(const char *text)
{
    size_t n = 0;
    while (text[n] >= 0x20 && text[n] < 0x7F)
        n++;
    return n;
}

/* The character at text; its length. In JSON, one that a terminal obeys can only stand in a string. */
static size_t put_character(FILE *out, const char *text)
{
    char shown[24];
    uint32_t cp = 0;
    size_t n = utf8_decode(text, strnlen(text, 4), &cp);
    n = n > 0 ? n : 1;
    utf8_escape(text, n, shown, sizeof shown);
    if (shown[0] == '\\')
        fprintf(out, "\\u%04" PRIx32, cp);
    else
        fwrite(text, 1, n, out);
    return n;
}

void json_raw(struct json_line *j, const char *name, const char *text)
{
    begin(j, name);
    while (*text != '\0') {
        size_t n = plain_span(text);
        fwrite(text, 1, n, j->out);
        text += n;
        if (*text != '\0')
            text += put_character(j->out, text);
    }
}

void json_text(struct json_line *j, const char *name, const char *text)
{
    char *quoted = text != NULL ? json_quote(text, strlen(text)) : NULL;
    j->failed = j->failed || (text != NULL && quoted == NULL);
    json_raw(j, name, quoted != NULL ? quoted : "null");
    free(quoted);
}

void json_number(struct json_line *j, const char *name, int64_t value)
{
    begin(j, name);
    fprintf(j->out, "%" PRId64, value);
}

void json_known(struct json_line *j, const char *name, int64_t value)
{
    if (value < 0)
        json_raw(j, name, "null");
    else
        json_number(j, name, value);
}

void json_real(struct json_line *j, const char *name, double value)
{
    begin(j, name);
    if (isfinite(value))
        fprintf(j->out, "%.3f", value);
    else
        fputs("null", j->out);
}

void json_instant(struct json_line *j, const char *name, int64_t unix_ms)
{
    char text[UNITS_INSTANT_SIZE];
    if (unix_ms != 0)
        units_format_instant(unix_ms, text);
    json_text(j, name, unix_ms != 0 ? text : NULL);
}

void json_bool(struct json_line *j, const char *name, bool value)
{
    json_raw(j, name, value ? "true" : "false");
}
