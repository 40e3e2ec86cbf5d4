#include "core/yamltree.h"

#include <string.h>

#include <yaml.h>

#include "core/utf8.h"
#include "core/yamlbuild.h"
#include "core/yamlcomplaint.h"
#include "core/yamljson.h"
#include "core/yamlsource.h"

struct reading {
    struct yaml_source *src;
    struct yaml_builder *b;
    struct fault *fault;
};

/* ---- tags ---- */

enum written_on { ON_SCALAR = 1, ON_LIST = 2, ON_MAP = 4 };

static bool refuse_tag(const char *tag, const char *why, const struct yaml_head *head, struct fault *fault)
{
    static const char own[] = "tag:yaml.org,2002:";
    char shown[80];
    bool standard = strncmp(tag, own, sizeof own - 1) == 0;
    if (standard)
        tag += sizeof own - 1;
    fault_set(fault, head->line, head->column, "the tag %s%s %s", standard ? "!!" : "",
              utf8_escape(tag, strlen(tag), shown, sizeof shown), why);
    return false;
}

/* libyaml has resolved the handle: "!!int" comes as tag:yaml.org,2002:int, a local tag as "!name". */
static bool read_tag(const char *tag, enum written_on on, struct yaml_head *head, struct fault *fault)
{
    static const struct {
        const char *name;
        unsigned on;
        enum yaml_tag tag;
    } known[] = {
        {YAML_STR_TAG, ON_SCALAR, YAML_TAG_STR},      {YAML_INT_TAG, ON_SCALAR, YAML_TAG_INT},
        {YAML_FLOAT_TAG, ON_SCALAR, YAML_TAG_FLOAT},  {YAML_BOOL_TAG, ON_SCALAR, YAML_TAG_BOOL},
        {YAML_NULL_TAG, ON_SCALAR, YAML_TAG_NULL},    {YAML_SEQ_TAG, ON_LIST, YAML_TAG_COLLECTION},
        {YAML_MAP_TAG, ON_MAP, YAML_TAG_COLLECTION},  {"!", ON_SCALAR, YAML_TAG_STR},
        {"!", ON_LIST | ON_MAP, YAML_TAG_COLLECTION},
    };
    bool elsewhere = false;
    if (!tag)
        return true;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(tag, known[i].name) != 0)
            continue;
        elsewhere = true;
        if (!(known[i].on & on))
            continue;
        head->tag = known[i].tag;
        return true;
    }
    return refuse_tag(tag,
                      elsewhere
                          ? "does not fit what follows it; remove it"
                          : "is not known here (known are !!str, !!int, !!float, !!bool, !!null, !!seq and "
                            "!!map); remove it, or put text that begins with '!' in quotes",
                      head, fault);
}

/* ---- events ---- */

static struct yaml_head head_of(const yaml_event_t *e, const yaml_char_t *anchor)
{
    return (struct yaml_head){.tag = YAML_TAG_NONE,
                              .anchor = (const char *)anchor,
                              .line = e->start_mark.line + 1,
                              .column = e->start_mark.column + 1};
}

static enum yaml_style style_of(yaml_scalar_style_t style)
{
    switch (style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE:
        return YAML_STYLE_SINGLE;
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        return YAML_STYLE_DOUBLE;
    case YAML_LITERAL_SCALAR_STYLE:
    case YAML_FOLDED_SCALAR_STYLE:
        return YAML_STYLE_BLOCK;
    default:
        return YAML_STYLE_PLAIN;
    }
}

static bool take_scalar(struct reading *r, const yaml_event_t *e)
{
    struct yaml_head head = head_of(e, e->data.scalar.anchor);
    if (!read_tag((const char *)e->data.scalar.tag, ON_SCALAR, &head, r->fault))
        return false;
    size_t len = e->data.scalar.length;
    if (memchr(e->data.scalar.value, 0, len)) {
        fault_set(
            r->fault, head.line, head.column,
            "this text contains a NUL character (\\0 or \\u0000), which text here cannot hold; remove it");
        return false;
    }
    char *text = yaml_build_text(r->b, len + 1);
    if (!text)
        return fault_no_memory(r->fault);
    memcpy(text, e->data.scalar.value, len);
    text[len] = '\0';
    struct yaml_origin origin = {.style = style_of(e->data.scalar.style),
                                 .line = head.line,
                                 .column = head.column,
                                 .index = e->start_mark.index};
    if (!yaml_source_restore(r->src, &origin, text, &len, r->fault))
        return false;
    return yaml_build_scalar(r->b, &head, origin.style == YAML_STYLE_PLAIN, text, len, r->fault);
}

static bool take_list(struct reading *r, const yaml_event_t *e)
{
    struct yaml_head head = head_of(e, e->data.sequence_start.anchor);
    return read_tag((const char *)e->data.sequence_start.tag, ON_LIST, &head, r->fault) &&
           yaml_build_open(r->b, &head, YAML_NODE_LIST, r->fault);
}

static bool take_map(struct reading *r, const yaml_event_t *e)
{
    struct yaml_head head = head_of(e, e->data.mapping_start.anchor);
    return read_tag((const char *)e->data.mapping_start.tag, ON_MAP, &head, r->fault) &&
           yaml_build_open(r->b, &head, YAML_NODE_MAP, r->fault);
}

static bool take_event(struct reading *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        yaml_build_document(r->b);
        return true;
    case YAML_DOCUMENT_END_EVENT:
        return yaml_build_document_end(r->b, r->fault);
    case YAML_ALIAS_EVENT:
        return yaml_build_alias(r->b, (const char *)e->data.alias.anchor, e->start_mark.line + 1,
                                e->start_mark.column + 1, r->fault);
    case YAML_SCALAR_EVENT:
        return take_scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return take_list(r, e);
    case YAML_MAPPING_START_EVENT:
        return take_map(r, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return yaml_build_close(r->b, r->fault);
    default:
        return true;
    }
}

static bool complain(const yaml_parser_t *parser, struct reading *r)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return fault_no_memory(r->fault);
    struct yaml_complaint complaint = {.problem = parser->problem,
                                       .context = parser->context,
                                       .line = parser->problem_mark.line,
                                       .column = parser->problem_mark.column,
                                       .index = parser->problem_mark.index,
                                       .context_line = parser->context_mark.line,
                                       .context_column = parser->context_mark.column};
    yaml_complaint_explain(&complaint, r->src, r->fault);
    return false;
}

static bool parse_events(yaml_parser_t *parser, struct reading *r)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return complain(parser, r);
        bool last = event.type == YAML_STREAM_END_EVENT;
        bool ok = take_event(r, &event);
        yaml_event_delete(&event);
        if (!ok || last)
            return ok;
    }
}

static bool parse_yaml(struct reading *r)
{
    yaml_parser_t parser;
    if (!yaml_source_shield(r->src, r->fault))
        return false;
    if (!yaml_parser_initialize(&parser))
        return fault_no_memory(r->fault);
    const char *bytes = r->src->shielded ? r->src->shielded : r->src->bytes;
    size_t len = r->src->shielded ? r->src->shielded_len : r->src->len;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, len);
    bool ok = parse_events(&parser, r);
    yaml_parser_delete(&parser);
    return ok;
}

static bool finish(bool ok, struct yaml_builder *b, struct yaml_tree **out, struct fault *fault)
{
    if (!ok) {
        yaml_build_free(b);
        return false;
    }
    *out = yaml_build_finish(b);
    return *out || fault_no_memory(fault);
}

bool yaml_tree_parse(const char *bytes, size_t len, const struct yaml_limits *limits, struct yaml_tree **out,
                     struct fault *fault)
{
    struct yaml_source src;
    *out = NULL;
    if (!yaml_source_check(bytes, len, &src, fault))
        return false;

    struct yaml_builder *b = yaml_build_new(limits);
    if (!b)
        return fault_no_memory(fault);
    enum yaml_json json = yaml_json_read(src.bytes, src.len, b, fault);
    if (json != YAML_JSON_OTHER)
        return finish(json == YAML_JSON_READ, b, out, fault);

    yaml_build_free(b);
    b = yaml_build_new(limits);
    if (!b)
        return fault_no_memory(fault);
    struct reading r = {.src = &src, .b = b, .fault = fault};
    bool ok = parse_yaml(&r);
    yaml_source_free(&src);
    return finish(ok, b, out, fault);
}
