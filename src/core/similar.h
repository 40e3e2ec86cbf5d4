/* similar - "did you mean": the known name that a misspelt one most likely stands for. Pure. */
#ifndef FLOWSPOOL_CORE_SIMILAR_H
#define FLOWSPOOL_CORE_SIMILAR_H

#include <stddef.h>

/* Known names longer than this are never suggested. */
#define SIMILAR_NAME_MAX 32

/* The closest of the known names, at most two letters put in, left out or changed, else NULL. */
const char *similar_name(const char *written, const char *const *known, size_t count);

#endif
