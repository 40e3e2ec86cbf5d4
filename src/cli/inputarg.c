#include "cli/inputarg.h"

#include <stdlib.h>
#include <string.h>

/* Where the key ends: at '=' or ':='. Copies it without its backslashes. */
static const char *read_key(const char *word, char *key)
{
    const char *p = word;
    while (*p != '\0' && *p != '=' && !(p[0] == ':' && p[1] == '=')) {
        if (*p == '\\' && (p[1] == '=' || p[1] == ':' || p[1] == '\\'))
            p++;
        *key++ = *p++;
    }
    *key = '\0';
    return p;
}

static void read_value(const char *value, struct input_arg *out)
{
    size_t backslashes = strspn(value, "\\");
    out->from_file = value[0] == '@';
    out->value = out->from_file || (backslashes > 0 && value[backslashes] == '@') ? value + 1 : value;
}

const char *input_arg_parse(const char *word, struct input_arg *out)
{
    *out = (struct input_arg){.key = malloc(strlen(word) + 1)};
    if (out->key == NULL)
        return "out of memory";
    const char *end = read_key(word, out->key);
    const char *why = NULL;
    if (*end == '\0')
        why = "is no input: write KEY=VALUE, KEY=@FILE or KEY:=JSON";
    else if (out->key[0] == '\0')
        why = "has no name before its '='";
    if (why != NULL) {
        input_arg_free(out);
        return why;
    }
    out->json = *end == ':';
    read_value(end + (out->json ? 2 : 1), out);
    return NULL;
}

void input_arg_free(struct input_arg *a)
{
    free(a->key);
    *a = (struct input_arg){0};
}
