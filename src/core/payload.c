#include "core/payload.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "core/utf8.h"

/* ---- what a scalar is ---- */

static size_t digits(const char *text, size_t len, size_t i)
{
    size_t start = i;
    while (i < len && text[i] >= '0' && text[i] <= '9')
        i++;
    return i - start;
}

/* -?(0|[1-9][0-9]*): its length, 0 when text does not begin so. */
static size_t integer_len(const char *text, size_t len)
{
    size_t i = len > 0 && text[0] == '-' ? 1 : 0;
    size_t n = digits(text, len, i);
    if (n == 0)
        return 0;
    return text[i] == '0' ? i + 1 : i + n;
}

bool payload_is_json_number(const char *text, size_t len)
{
    size_t i = integer_len(text, len);
    if (i == 0)
        return false;
    if (i < len && text[i] == '.') {
        size_t n = digits(text, len, i + 1);
        if (n == 0)
            return false;
        i += 1 + n;
    }
    if (i < len && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        if (i < len && (text[i] == '+' || text[i] == '-'))
            i++;
        size_t n = digits(text, len, i);
        if (n == 0)
            return false;
        i += n;
    }
    return i == len;
}

static bool is_bool(const struct yaml_node *n)
{
    return strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0;
}

static bool fits_tag(const struct yaml_node *n, const char **expected)
{
    switch (n->tag) {
    case YAML_TAG_INT:
        *expected = "!!int says this is a whole number as JSON writes it (such as -12)";
        return n->len > 0 && integer_len(n->text, n->len) == n->len;
    case YAML_TAG_FLOAT:
        *expected = "!!float says this is a number as JSON writes it (such as -1.5e3)";
        return payload_is_json_number(n->text, n->len);
    case YAML_TAG_BOOL:
        *expected = "!!bool says this is true or false";
        return is_bool(n);
    case YAML_TAG_NULL:
        *expected = "!!null says this is null";
        return strcmp(n->text, "null") == 0;
    default:
        return true;
    }
}

static bool check_tag(const struct yaml_node *n, struct fault *fault)
{
    const char *expected;
    char shown[80];
    if (fits_tag(n, &expected))
        return true;
    fault_set(fault, n->line, n->column, "%s, but it is '%s'; remove the tag or correct the value", expected,
              utf8_escape(n->text, n->len, shown, sizeof shown));
    return false;
}

/* A tag decides before the quotes do. */
static bool is_plain(const struct yaml_node *n)
{
    return n->tag == YAML_TAG_NONE ? n->plain : n->tag != YAML_TAG_STR;
}

/* ---- trees ---- */

enum form { FORM_TEXT, FORM_TYPED, FORM_IDENTITY };

static cJSON *typed_scalar(const struct yaml_node *n)
{
    if (!is_plain(n))
        return cJSON_CreateString(n->text);
    if (strcmp(n->text, "null") == 0)
        return cJSON_CreateNull();
    if (is_bool(n))
        return cJSON_CreateBool(n->text[0] == 't');
    if (payload_is_json_number(n->text, n->len))
        return cJSON_CreateRaw(n->text);
    return cJSON_CreateString(n->text);
}

/* Takes item, also when it fails. */
static bool append(cJSON *list, cJSON *item)
{
    if (item && cJSON_AddItemToArray(list, item))
        return true;
    cJSON_Delete(item);
    return false;
}

static cJSON *identity_scalar(const struct yaml_node *n)
{
    cJSON *pair = cJSON_CreateArray();
    if (!pair)
        return NULL;
    if (append(pair, cJSON_CreateString(n->text)) &&
        append(pair, cJSON_CreateString(is_plain(n) ? "plain" : "quoted")))
        return pair;
    cJSON_Delete(pair);
    return NULL;
}

static cJSON *scalar_to_json(const struct yaml_node *n, enum form form)
{
    switch (form) {
    case FORM_TYPED:
        return typed_scalar(n);
    case FORM_IDENTITY:
        return identity_scalar(n);
    default:
        return cJSON_CreateString(n->text);
    }
}

static cJSON *to_json(const struct yaml_node *n, enum form form, struct fault *fault);

static bool add_members(cJSON *out, const struct yaml_node *n, enum form form, struct fault *fault)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct yaml_node *value = n->kind == YAML_NODE_MAP ? n->pairs[i].value : n->items[i];
        cJSON *item = to_json(value, form, fault);
        if (!item)
            return false;
        bool added = n->kind == YAML_NODE_MAP ? cJSON_AddItemToObject(out, n->pairs[i].key->text, item)
                                              : cJSON_AddItemToArray(out, item);
        if (added)
            continue;
        cJSON_Delete(item);
        return fault_no_memory(fault);
    }
    return true;
}

/* Recursion is bounded: yamltree bounds nesting, aliases included. */
static cJSON *to_json(const struct yaml_node *n, enum form form, struct fault *fault)
{
    cJSON *out;
    if (n->kind == YAML_NODE_SCALAR) {
        if (!check_tag(n, fault))
            return NULL;
        out = scalar_to_json(n, form);
    } else {
        out = n->kind == YAML_NODE_MAP ? cJSON_CreateObject() : cJSON_CreateArray();
    }
    if (!out) {
        fault_no_memory(fault);
        return NULL;
    }
    if (n->kind == YAML_NODE_SCALAR || add_members(out, n, form, fault))
        return out;
    cJSON_Delete(out);
    return NULL;
}

static char *print(const struct yaml_node *inputs, enum form form, struct fault *fault)
{
    cJSON *json = to_json(inputs, form, fault);
    if (!json)
        return NULL;
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (!text)
        fault_no_memory(fault);
    return text;
}

char *payload_body(const struct yaml_node *inputs, enum inputs_as as, struct fault *fault)
{
    return print(inputs, as == INPUTS_TYPED ? FORM_TYPED : FORM_TEXT, fault);
}

char *payload_identity(const struct yaml_node *inputs, struct fault *fault)
{
    return print(inputs, FORM_IDENTITY, fault);
}
