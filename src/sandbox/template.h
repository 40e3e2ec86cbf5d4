/* template - text with {{variables}}, rendered with the members of a JSON object. Pure.
 *
 * What comes out is the inside of a JSON string. A string input is spliced in with its escapes as they
 * came, so nothing is decoded and encoded again and nothing (\u0000, lone surrogates, digits) is lost.
 * Numbers, literals, lists and objects appear as their JSON text; a variable without an input appears
 * as `undefined`, as the known server prints it.
 */
#ifndef FLOWSPOOL_SANDBOX_TEMPLATE_H
#define FLOWSPOOL_SANDBOX_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/fault.h"

#define TEMPLATE_VARIABLES_MAX 256

struct template;

/* raw JSON of an input inside the caller's text; NULL: there is none of that name */
struct template_value {
    const char *raw;
    size_t len;
};

/* text is UTF-8. NULL with *fault: too many variables, or no memory. Braces that are no {{name}} are text. */
struct template *template_parse(const char *text, size_t len, struct fault *fault);
void template_free(struct template *t);

size_t template_variable_count(const struct template *t);
const char *template_variable_name(const struct template *t, size_t index);

/* Finds the inputs in a JSON object that the caller has validated; values has one place for each
 * variable. Of duplicate keys the last one counts. */
void template_bind(const struct template *t, const char *object, size_t len, struct template_value *values);

/* Length of the rendered text; written to out unless that is NULL (no NUL is added). */
size_t template_render(const struct template *t, const struct template_value *values, char *out);

/* Length of UTF-8 text as the inside of a JSON string; written to out unless that is NULL. */
size_t template_escape(const char *text, size_t len, char *out);

#endif
