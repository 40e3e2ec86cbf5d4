/* yamlcomplaint - says libyaml's errors in words that help. Part of yamltree.
 *
 * libyaml names a grammar rule ("did not find expected key") and a place; people need what stands
 * there, what was expected and what to do. A complaint that is not in the table is passed on as it is.
 */
#ifndef FLOWSPOOL_CORE_YAMLCOMPLAINT_H
#define FLOWSPOOL_CORE_YAMLCOMPLAINT_H

#include <stddef.h>

#include "core/fault.h"
#include "core/yamlsource.h"

/* libyaml's view: lines, columns and the index count from 0. */
struct yaml_complaint {
    const char *problem, *context; /* may be NULL */
    size_t line, column, index;
    size_t context_line, context_column;
};

void yaml_complaint_explain(const struct yaml_complaint *c, const struct yaml_source *src,
                            struct fault *fault);

#endif
