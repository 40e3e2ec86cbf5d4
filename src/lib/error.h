/* error - why a function of the library failed: what the caller is handed. */
#ifndef FLOWSPOOL_LIB_ERROR_H
#define FLOWSPOOL_LIB_ERROR_H

#include "core/fault.h"
#include "flowspool/flowspool.h"

/* All return code, a negative errno. Where out is not NULL, *out is an error with the sentence. */
int error_set(struct flowspool_error **out, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int error_fault(struct flowspool_error **out, int code, const struct fault *fault);
/* Of a job file that does not parse: -EINVAL, or -ENOMEM. */
int error_parse(struct flowspool_error **out, const struct fault *fault);
int error_memory(struct flowspool_error **out);
/* "cannot DO NAME: No space left on device" */
int error_system(struct flowspool_error **out, int code, const char *what, const char *name);

#endif
