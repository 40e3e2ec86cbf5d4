/* flowspool - the public library: a thin face over the daemon's own policy code, so that what a
 * producer checks is what the daemon will read. */
#include <stdlib.h>

#include "core/jobfile.h"
#include "flowspool_version.h"
#include "lib/error.h"

const char *flowspool_version(void)
{
    return FLOWSPOOL_VERSION;
}

void flowspool_free(void *text)
{
    free(text);
}

size_t flowspool_check(const char *bytes, size_t len, struct flowspool_error **error)
{
    struct jobfile file;
    struct fault fault = {0};
    if (error)
        *error = NULL;
    if (!jobfile_parse(bytes, len, INPUTS_TEXT, &file, &fault)) {
        error_parse(error, &fault);
        return 0;
    }
    size_t count = file.count;
    jobfile_free(&file);
    return count;
}
