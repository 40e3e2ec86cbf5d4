/* jsonline - one JSON object a line, member by member, straight to a stream.
 *
 * What JSON may hold as it is but a terminal obeys (C1, DEL, bidirectional overrides) is written as \uXXXX.
 */
#ifndef FLOWSPOOL_CLI_JSONLINE_H
#define FLOWSPOOL_CLI_JSONLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json_line {
    FILE *out;
    bool more;   /* a comma comes first */
    bool failed; /* no memory for a text; the line is not whole */
};

/* name NULL: the line's own braces; else a member that is an object. */
void json_open(struct json_line *j, const char *name);
void json_close(struct json_line *j);
/* A member that is a list; what is in it has no names. */
void json_open_list(struct json_line *j, const char *name);
void json_close_list(struct json_line *j);
void json_end_line(struct json_line *j);
void json_text(struct json_line *j, const char *name, const char *text); /* NULL: null; bytes that are not
                                                                            UTF-8 become U+FFFD */
void json_number(struct json_line *j, const char *name, int64_t value);
void json_known(struct json_line *j, const char *name, int64_t value); /* negative: null */
void json_real(struct json_line *j, const char *name, double value);   /* to thousandths; not finite: null */
void json_instant(struct json_line *j, const char *name, int64_t unix_ms); /* 0: null */
void json_bool(struct json_line *j, const char *name, bool value);
void json_raw(struct json_line *j, const char *name, const char *text); /* JSON as it is */

#endif
