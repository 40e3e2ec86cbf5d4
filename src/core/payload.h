/* payload - a YAML node as JSON: the body that is sent, and the text that identifies a request.
 *
 * Body, `text`: every scalar is the string that was written. Body, `typed`: plain true, false, null
 * and what JSON calls a number go as such with every digit kept; everything else is a string.
 * Identity: the inputs in written order, each scalar as [text, "plain" or "quoted"]
 * (see "What is the same job" in flowspool-job(5)); it does not depend on inputs_as.
 * Pure; cJSON prints. A tag decides first: !!str is a quoted string; !!int, !!float, !!bool and
 * !!null make the scalar plain and are faults where JSON has no such value.
 */
#ifndef FLOWSPOOL_CORE_PAYLOAD_H
#define FLOWSPOOL_CORE_PAYLOAD_H

#include "core/fault.h"
#include "core/yamltree.h"

enum inputs_as { INPUTS_DEFAULT, INPUTS_TEXT, INPUTS_TYPED };

/* Compact JSON, malloc'd, NUL-terminated; NULL with *fault on a bad tag or out of memory. */
char *payload_body(const struct yaml_node *inputs, enum inputs_as as, struct fault *fault);
char *payload_identity(const struct yaml_node *inputs, struct fault *fault);

/* Whether text is a number as JSON (RFC 8259) writes it. */
bool payload_is_json_number(const char *text, size_t len);

#endif
