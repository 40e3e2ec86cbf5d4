/* findings - what check has to say about files: one line each on stderr, as compilers do, or members of one
 * JSON object on stdout. */
#ifndef FLOWSPOOL_CLI_FINDINGS_H
#define FLOWSPOOL_CLI_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/jsonline.h"
#include "core/fault.h"

struct findings {
    bool json, quiet;      /* quiet: faults only */
    struct json_line line; /* with json: within the list "findings" */
    int64_t faults, warnings, duplicates;
};

/* With json, the object is opened: members may follow findings_end(). */
void findings_begin(struct findings *f, FILE *out);
void findings_end(struct findings *f);

/* The file would be refused. */
void findings_fault(struct findings *f, const char *file, const struct fault *fault);
void findings_fault_text(struct findings *f, const char *file, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The file would not be what somebody may think. */
void findings_warning(struct findings *f, const char *file, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Both are bought. */
void findings_duplicate(struct findings *f, const char *file, const char *first);

#endif
