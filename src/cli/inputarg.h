/* inputarg - KEY=VALUE, KEY=@FILE and KEY:=JSON as they are typed.
 *
 * The key ends at the first '=' or ':='. A backslash before '=', ':' or a backslash makes it a part of the
 * key. The value is all that follows; one that begins with '@' names a file, and "\@" stands for an '@' that
 * does not (a value that begins with several backslashes and an '@' loses one of them).
 */
#ifndef FLOWSPOOL_CLI_INPUTARG_H
#define FLOWSPOOL_CLI_INPUTARG_H

#include <stdbool.h>

struct input_arg {
    char *key;
    bool json;         /* KEY:= */
    bool from_file;    /* value is a file's name, "-" is standard input */
    const char *value; /* into the word */
};

/* NULL, or why the word is none (out of memory, too). */
const char *input_arg_parse(const char *word, struct input_arg *out);
void input_arg_free(struct input_arg *a);

#endif
