/* flowspool - the public library: a thin face over the daemon's own policy code, so that what a
 * producer checks is what the daemon will read. */
#include "flowspool/flowspool.h"

#include <stdlib.h>

#include "core/fault.h"
#include "core/jobfile.h"
#include "flowspool_version.h"

struct flowspool_error {
    struct fault fault;
};

/* Handed out when there is no memory for an error: a refusal always has a reason. Never freed. */
static const struct flowspool_error out_of_memory = {{.line = 0, .column = 0, .text = "out of memory"}};

const char *flowspool_version(void)
{
    return FLOWSPOOL_VERSION;
}

size_t flowspool_error_line(const struct flowspool_error *error)
{
    return error->fault.line;
}

size_t flowspool_error_column(const struct flowspool_error *error)
{
    return error->fault.column;
}

const char *flowspool_error_message(const struct flowspool_error *error)
{
    return error->fault.text;
}

void flowspool_error_free(struct flowspool_error *error)
{
    if (error != &out_of_memory)
        free(error);
}

static struct flowspool_error *error_new(const struct fault *fault)
{
    struct flowspool_error *error = malloc(sizeof *error);
    if (!error)
        return (struct flowspool_error *)&out_of_memory;
    error->fault = *fault;
    return error;
}

size_t flowspool_check(const char *bytes, size_t len, struct flowspool_error **error)
{
    struct jobfile file;
    struct fault fault = {0};
    if (error)
        *error = NULL;
    if (!jobfile_parse(bytes, len, INPUTS_TEXT, &file, &fault)) {
        if (error)
            *error = error_new(&fault);
        return 0;
    }
    size_t count = file.count;
    jobfile_free(&file);
    return count;
}
