/* answer - the status, headers and body of each answer, word for word as the service writes them. */
#ifndef FLOWSPOOL_SANDBOX_ANSWER_H
#define FLOWSPOOL_SANDBOX_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "sandbox/service.h"

struct answer_text {
    int status;
    const char *content_type;
    const char *platform_error; /* x-vercel-error, or NULL */
    const char *location;       /* or NULL */
    char *body;                 /* malloc'd */
    size_t len;
};

/* with_run_id: results carry the request's id as run_id. False: no memory. */
bool answer_text(const struct run *r, const char *request_id, bool with_run_id, struct answer_text *out);

#endif
