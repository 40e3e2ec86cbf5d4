#include "lib/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flowspool_error {
    int code;
    struct fault fault;
};

/* Handed out when there is no memory for an error: a failure always has a reason. Never freed. */
static const struct flowspool_error out_of_memory = {-ENOMEM, {.text = "out of memory", .no_memory = true}};

int flowspool_error_code(const struct flowspool_error *error)
{
    return error->code;
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

int error_fault(struct flowspool_error **out, int code, const struct fault *fault)
{
    if (!out)
        return code;
    struct flowspool_error *error = malloc(sizeof *error);
    if (!error)
        return error_memory(out);
    error->code = code;
    error->fault = *fault;
    *out = error;
    return code;
}

int error_parse(struct flowspool_error **out, const struct fault *fault)
{
    return fault->no_memory ? error_memory(out) : error_fault(out, -EINVAL, fault);
}

int error_memory(struct flowspool_error **out)
{
    if (out)
        *out = (struct flowspool_error *)&out_of_memory;
    return -ENOMEM;
}

int error_set(struct flowspool_error **out, int code, const char *format, ...)
{
    char text[1024];
    struct fault fault;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fault_set(&fault, 0, 0, "%s", text);
    return error_fault(out, code, &fault);
}

int error_system(struct flowspool_error **out, int code, const char *what, const char *name)
{
    const char *why = strerrordesc_np(-code);
    return error_set(out, code, "cannot %s %s: %s", what, name, why ? why : "unknown error");
}
