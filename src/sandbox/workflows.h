/* workflows - the workflow file: which ids exist and what they answer.
 *
 *   workflows:
 *     wf_story:
 *       template: Write a short story about {{story}}
 *       published: true                  # optional; false answers 404, as the service does
 *       latency: lognormal:median=8s     # optional; --latency wins over it
 *       citations: [https://example.org/a, {title: A page, url: https://example.org/b}]   # optional
 */
#ifndef FLOWSPOOL_SANDBOX_WORKFLOWS_H
#define FLOWSPOOL_SANDBOX_WORKFLOWS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/fault.h"
#include "sandbox/latency.h"
#include "sandbox/template.h"

#define WORKFLOW_ID_MAX 128

struct workflow {
    char *id;
    bool published;
    struct template *template;
    bool has_latency;
    struct latency latency;
    char *citations; /* a JSON list, or NULL */
};

struct workflows {
    size_t count;
    struct workflow *list; /* sorted by id */
};

/* [A-Za-z0-9_-]{1,128} */
bool workflow_id_is_valid(const char *id);

bool workflows_parse(const char *yaml, size_t len, struct workflows *out, struct fault *fault);
/* Reads the file first; what cannot be read is a fault without a place. */
bool workflows_load(const char *path, struct workflows *out, struct fault *fault);
void workflows_free(struct workflows *w);

/* NULL: no such id. */
const struct workflow *workflows_find(const struct workflows *w, const char *id);

#endif
