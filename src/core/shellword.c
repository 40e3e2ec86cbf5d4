#include "core/shellword.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

static bool is_plain(const char *name)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-")] == '\0';
}

/* In single quotes, where only they themselves mean anything. */
static char *put_quoted(char *p, const char *text)
{
    *p++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            p = stpcpy(p, "'\\''");
        else
            *p++ = *text;
    }
    *p++ = '\'';
    *p = '\0';
    return p;
}

char *shell_operand(const char *name)
{
    static const char stop[] = "-- ";
    size_t len = strlen(name), shown_size = 4 * len + 1;
    char *shown = malloc(shown_size), *out = malloc(4 * shown_size + sizeof stop + 2);
    if (!shown || !out) {
        free(shown);
        free(out);
        return NULL;
    }
    utf8_escape(name, len, shown, shown_size);
    char *p = out;
    if (name[0] == '-')
        p = stpcpy(p, stop);
    if (is_plain(name))
        stpcpy(p, shown);
    else
        put_quoted(p, shown);
    free(shown);
    return out;
}
