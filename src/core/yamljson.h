/* yamljson - reads a stream that is exactly one JSON text. Part of yamltree.
 *
 * Every JSON object has to be a valid job file, and libyaml cannot promise that: it refuses tabs before
 * the first brace, keys of more than 1,024 characters and a line break before a colon. So what is
 * JSON is read as JSON; whatever is not JSON to the last byte is left to libyaml and its messages.
 */
#ifndef FLOWSPOOL_CORE_YAMLJSON_H
#define FLOWSPOOL_CORE_YAMLJSON_H

#include <stddef.h>

#include "core/fault.h"
#include "core/yamlbuild.h"

enum yaml_json {
    YAML_JSON_READ,  /* one document was built */
    YAML_JSON_OTHER, /* not a JSON list or object: throw the builder away and ask libyaml */
    YAML_JSON_FAULT, /* JSON so far, but past a bound, with a key twice, or out of memory */
};

/* The bytes are UTF-8 without control characters (yaml_source_check()). */
enum yaml_json yaml_json_read(const char *bytes, size_t len, struct yaml_builder *b, struct fault *fault);

#endif
