#include "cli/jsonline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/jsonquote.h"
#include "core/units.h"

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

void json_end_line(struct json_line *j)
{
    fputc('\n', j->out);
    j->more = false;
}

void json_raw(struct json_line *j, const char *name, const char *text)
{
    begin(j, name);
    fputs(text, j->out);
}

void json_text(struct json_line *j, const char *name, const char *text)
{
    char *quoted = text != NULL ? json_quote(text, strlen(text)) : NULL;
    j->failed = j->failed || (text != NULL && quoted == NULL);
    json_raw(j, name, quoted != NULL ? quoted : "null");
    free(quoted);
}

void json_int(struct json_line *j, const char *name, int64_t value)
{
    begin(j, name);
    fprintf(j->out, "%" PRId64, value);
}

void json_known(struct json_line *j, const char *name, int64_t value)
{
    if (value < 0)
        json_raw(j, name, "null");
    else
        json_int(j, name, value);
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
