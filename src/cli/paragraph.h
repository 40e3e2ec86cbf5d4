/* paragraph - a labelled line of parts that goes on below itself where it gets too long:
 *
 *   jobs      1 waiting, 2 in flight, 9 done;
 *             the oldest waits 5s
 */
#ifndef FLOWSPOOL_CLI_PARAGRAPH_H
#define FLOWSPOOL_CLI_PARAGRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct paragraph {
    FILE *out;
    size_t indent; /* columns of the label */
    size_t width;  /* of the whole */
    bool colours;
    size_t used; /* of the line, behind the label; nobody else's business */
};

void paragraph_start(struct paragraph *p, const char *label);
/* Behind the first part: the separator, and a blank or a new line. colour: or NULL. Whatever comes from
 * outside is escaped here. A part that does not fit begins a line of its own; words longer than a line stay
 * whole, so that they can be copied. */
void paragraph_part(struct paragraph *p, const char *separator, const char *colour, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void paragraph_end(struct paragraph *p);

#endif
