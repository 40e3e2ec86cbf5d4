/* fault - what is wrong with an input, and where.
 *
 * The one error convention for everything people write (job files, configuration, workflow files):
 * the function returns false (or a negative errno for I/O) and fills a fault with the place and a
 * sentence that names what was found, what was expected and what to do. Lines and columns count
 * from 1, in characters; 0 means "no place in particular".
 */
#ifndef FLOWSPOOL_CORE_FAULT_H
#define FLOWSPOOL_CORE_FAULT_H

#include <stdbool.h>
#include <stddef.h>

struct fault {
    size_t line;
    size_t column;
    char text[512]; /* one sentence, UTF-8, no newline, control characters escaped */
    bool no_memory; /* nothing is known to be wrong with the input */
};

void fault_set(struct fault *f, size_t line, size_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "out of memory", in no place in particular. False, for the caller to return. */
bool fault_no_memory(struct fault *f);

/* Writes "line 3, column 7: text" (or just "text" where there is no place). */
void fault_describe(const struct fault *f, char *buf, size_t size);

#endif
