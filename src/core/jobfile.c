#include "core/jobfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/similar.h"
#include "core/units.h"
#include "core/utf8.h"
#include "core/yamltree.h"

#define PRIORITY_MOST     100
#define MAX_ATTEMPTS_MOST 1000

/* A job while its keys are read; nodes of what is compared or reported later, NULL when absent. */
struct draft {
    struct job_spec *job;
    const struct yaml_node *document, *workflow, *inputs, *id, *run, *expires;
};

/* "key must be EXPECTED; it is FOUND" at the value's place. */
static bool refuse_value(const struct yaml_node *n, const char *key, const char *expected,
                         struct fault *fault)
{
    char shown[80];
    if (n->kind != YAML_NODE_SCALAR)
        fault_set(fault, n->line, n->column, "%s must be %s; this is a %s", key, expected,
                  n->kind == YAML_NODE_LIST ? "list" : "mapping");
    else if (n->len == 0)
        fault_set(fault, n->line, n->column, "%s must be %s; it is empty", key, expected);
    else
        fault_set(fault, n->line, n->column, "%s must be %s; it is '%s'", key, expected,
                  utf8_escape(n->text, n->len, shown, sizeof shown));
    return false;
}

/* ---- one reader per key ---- */

/* Letters and digits of ASCII, and the bytes in more. Copies what is good. */
static bool copy_name(const struct yaml_node *n, const char *more, char *to, size_t size)
{
    if (n->kind != YAML_NODE_SCALAR || n->len == 0 || n->len >= size)
        return false;
    for (size_t i = 0; i < n->len; i++) {
        char c = n->text[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && !strchr(more, c))
            return false;
    }
    memcpy(to, n->text, n->len + 1);
    return true;
}

static bool read_workflow(struct draft *d, const struct yaml_node *key, const struct yaml_node *n,
                          struct fault *fault)
{
    if (d->workflow) {
        fault_set(fault, key->line, key->column,
                  "workflow and workflow_id mean the same, and line %zu has the other; remove one",
                  d->workflow->line);
        return false;
    }
    d->workflow = n;
    return copy_name(n, "_-", d->job->workflow, sizeof d->job->workflow) ||
           refuse_value(n, key->text, "1 to 128 of the characters A-Z a-z 0-9 _ - (such as wf_abc123)",
                        fault);
}

static bool read_inputs(struct draft *d, const struct yaml_node *key, const struct yaml_node *n,
                        struct fault *fault)
{
    d->inputs = n;
    return n->kind == YAML_NODE_MAP ||
           refuse_value(n, key->text, "a mapping of names to values ({} when the workflow takes none)",
                        fault);
}

static bool read_id(struct draft *d, const struct yaml_node *key, const struct yaml_node *n,
                    struct fault *fault)
{
    d->id = n;
    return copy_name(n, "._-", d->job->id, sizeof d->job->id) ||
           refuse_value(n, key->text,
                        "1 to 64 of the characters A-Z a-z 0-9 . _ - (it becomes part of a file name)",
                        fault);
}

static bool read_run(struct draft *d, const struct yaml_node *key, const struct yaml_node *n,
                     struct fault *fault)
{
    d->run = n;
    return n->kind == YAML_NODE_SCALAR ||
           refuse_value(n, key->text, "one value (a new one makes a new job)", fault);
}

static bool read_inputs_as(struct draft *d, const struct yaml_node *key, const struct yaml_node *n,
                           struct fault *fault)
{
    if (n->kind == YAML_NODE_SCALAR && strcmp(n->text, "text") == 0)
        d->job->inputs_as = INPUTS_TEXT;
    else if (n->kind == YAML_NODE_SCALAR && strcmp(n->text, "typed") == 0)
        d->job->inputs_as = INPUTS_TYPED;
    else
        return refuse_value(n, key->text, "text or typed", fault);
    return true;
}

/* Decimal, no sign but '-', no leading zeros: what looks octal to one reader is not for us to guess. */
static bool read_integer(const struct yaml_node *n, int least, int most, int *out)
{
    if (n->kind != YAML_NODE_SCALAR)
        return false;
    const char *p = n->text + (n->text[0] == '-');
    if (*p < '0' || *p > '9' || (*p == '0' && n->len > 1))
        return false;
    int value = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (*p - '0');
        if (value > most && value > -least)
            return false;
    }
    if (n->text[0] == '-')
        value = -value;
    if (*p != '\0' || value < least || value > most)
        return false;
    *out = value;
    return true;
}

static bool read_priority(struct draft *d, const struct yaml_node *key, const struct yaml_node *n,
                          struct fault *fault)
{
    return read_integer(n, -PRIORITY_MOST, PRIORITY_MOST, &d->job->priority) ||
           refuse_value(n, key->text, "a whole number from -100 to 100", fault);
}

static bool read_max_attempts(struct draft *d, const struct yaml_node *key, const struct yaml_node *n,
                              struct fault *fault)
{
    return read_integer(n, 1, MAX_ATTEMPTS_MOST, &d->job->max_attempts) ||
           refuse_value(n, key->text, "a whole number from 1 to 1000", fault);
}

static bool read_instant(const struct yaml_node *key, const struct yaml_node *n, int64_t *ms,
                         struct fault *fault)
{
    if (n->kind != YAML_NODE_SCALAR || !units_parse_instant_ms(n->text, ms))
        return refuse_value(n, key->text, "a date and time with Z or an offset, such as 2026-11-24T22:00:00Z",
                            fault);
    if (*ms <= 0)
        *ms = 1; /* 0 stands for "absent", and 1970 is as long ago as anything before it */
    return true;
}

static bool read_not_before(struct draft *d, const struct yaml_node *key, const struct yaml_node *n,
                            struct fault *fault)
{
    return read_instant(key, n, &d->job->not_before_ms, fault);
}

static bool read_expires(struct draft *d, const struct yaml_node *key, const struct yaml_node *n,
                         struct fault *fault)
{
    d->expires = n;
    return read_instant(key, n, &d->job->expires_ms, fault);
}

static const struct {
    const char *name;
    bool (*read)(struct draft *, const struct yaml_node *key, const struct yaml_node *value, struct fault *);
} keys[] = {
    {"workflow", read_workflow}, {"workflow_id", read_workflow},
    {"inputs", read_inputs},     {"id", read_id},
    {"run", read_run},           {"inputs_as", read_inputs_as},
    {"priority", read_priority}, {"not_before", read_not_before},
    {"expires", read_expires},   {"max_attempts", read_max_attempts},
};
#define KEYS (sizeof keys / sizeof keys[0])

static bool refuse_key(const struct yaml_node *key, struct fault *fault)
{
    const char *names[KEYS];
    char shown[80], allowed[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < KEYS; i++) {
        names[i] = keys[i].name;
        int n = snprintf(allowed + used, sizeof allowed - used, "%s%s", i > 0 ? ", " : "", names[i]);
        if (n > 0 && (size_t)n < sizeof allowed - used)
            used += (size_t)n;
    }
    const char *similar = similar_name(key->text, names, KEYS);
    fault_set(
        fault, key->line, key->column,
        "the key '%s' is not known%s%s%s; allowed are %s (what is meant for the workflow goes under inputs)",
        utf8_escape(key->text, key->len, shown, sizeof shown), similar ? " (did you mean '" : "",
        similar ? similar : "", similar ? "'?)" : "", allowed);
    return false;
}

/* ---- one document ---- */

static bool read_pair(struct draft *d, const struct yaml_pair *pair, struct fault *fault)
{
    for (size_t i = 0; i < KEYS; i++)
        if (strcmp(pair->key->text, keys[i].name) == 0)
            return keys[i].read(d, pair->key, pair->value, fault);
    return refuse_key(pair->key, fault);
}

static bool refuse_missing(const struct draft *d, const char *what, struct fault *fault)
{
    fault_set(fault, d->document->line, d->document->column, "the job has no %s", what);
    return false;
}

static bool check_whole(const struct draft *d, struct fault *fault)
{
    if (!d->workflow)
        return refuse_missing(d, "workflow; add a line such as 'workflow: wf_abc123'", fault);
    if (!d->inputs)
        return refuse_missing(d, "inputs; add them, or 'inputs: {}' when the workflow takes none", fault);
    if (d->expires && d->job->not_before_ms > 0 && d->job->expires_ms <= d->job->not_before_ms) {
        fault_set(fault, d->expires->line, d->expires->column,
                  "the job expires before it may begin; expires must be later than not_before");
        return false;
    }
    return true;
}

static bool digest_request(struct job_spec *job, const struct yaml_node *inputs, struct fault *fault)
{
    char *identity = payload_identity(inputs, fault);
    if (!identity)
        return false;
    const struct digest_part parts[] = {
        {job->workflow, strlen(job->workflow) + 1}, /* the NULs separate */
        {job->run, strlen(job->run) + 1},
        {identity, strlen(identity)},
    };
    digest_hex(parts, sizeof parts / sizeof parts[0], job->request_sha256);
    free(identity);
    return true;
}

static bool read_document(struct draft *d, const struct yaml_node *document, enum inputs_as default_as,
                          struct fault *fault)
{
    struct job_spec *job = d->job;
    d->document = document;
    if (document->kind != YAML_NODE_MAP)
        return refuse_value(document, "a job", "'key: value' lines, such as 'workflow: wf_abc123'", fault);
    job->inputs_as = default_as == INPUTS_TYPED ? INPUTS_TYPED : INPUTS_TEXT;
    for (size_t i = 0; i < document->count; i++)
        if (!read_pair(d, &document->pairs[i], fault))
            return false;
    if (!check_whole(d, fault))
        return false;
    job->run = strdup(d->run ? d->run->text : "");
    if (!job->run)
        return fault_no_memory(fault);
    job->body = payload_body(d->inputs, job->inputs_as, fault);
    if (!job->body)
        return false;
    job->body_len = strlen(job->body);
    return digest_request(job, d->inputs, fault);
}

/* ---- several documents ---- */

/* What a document is called in the outcome's name, or its digest: sorted to find what is there twice. */
struct label {
    char text[DIGEST_HEX];
    size_t document; /* from 0 */
};
_Static_assert(JOB_ID_MAX < DIGEST_HEX, "a label holds an id");

static int compare_labels(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    if (order != 0)
        return order;
    return x->document < y->document ? -1 : x->document > y->document;
}

/* The first document in the file whose label an earlier one has, and that earlier one. */
static bool find_twin(struct label *labels, size_t count, size_t *earlier, size_t *later)
{
    bool found = false;
    qsort(labels, count, sizeof *labels, compare_labels);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(labels[i - 1].text, labels[i].text) != 0 || (found && labels[i].document > *later))
            continue;
        found = true;
        *earlier = labels[i - 1].document;
        *later = labels[i].document;
    }
    return found;
}

static bool check_names(const struct draft *drafts, size_t count, struct label *labels, struct fault *fault)
{
    size_t earlier, later;
    for (size_t i = 0; i < count; i++) {
        labels[i].document = i;
        if (drafts[i].id)
            memcpy(labels[i].text, drafts[i].job->id, sizeof drafts[i].job->id);
        else
            snprintf(labels[i].text, sizeof labels[i].text, "%zu", i + 1);
    }
    if (!find_twin(labels, count, &earlier, &later))
        return true;
    const struct draft *a = &drafts[earlier], *b = &drafts[later];
    if (a->id && b->id)
        fault_set(fault, b->id->line, b->id->column,
                  "the id '%s' is already that of the job in line %zu; give each its own", b->job->id,
                  a->document->line);
    else
        /* Two numbers never are the same, so one of the two has an id. */
        fault_set(fault, (a->id ? a : b)->id->line, (a->id ? a : b)->id->column,
                  "the id '%s' is also the number of the job in line %zu, which has no id, and outcomes are "
                  "named after both; choose another id",
                  (a->id ? a : b)->job->id, (a->id ? b : a)->document->line);
    return false;
}

static bool check_identities(const struct draft *drafts, size_t count, struct label *labels,
                             struct fault *fault)
{
    size_t earlier, later;
    for (size_t i = 0; i < count; i++) {
        labels[i].document = i;
        memcpy(labels[i].text, drafts[i].job->request_sha256, DIGEST_HEX);
    }
    if (!find_twin(labels, count, &earlier, &later))
        return true;
    const struct yaml_node *a = drafts[earlier].document, *b = drafts[later].document;
    fault_set(
        fault, b->line, b->column,
        "the jobs in lines %zu and %zu are the same request (workflow, run and inputs); remove one, or give "
        "one another 'run:' to have it sent twice",
        a->line, b->line);
    return false;
}

static bool check_documents(const struct draft *drafts, size_t count, struct fault *fault)
{
    if (count < 2)
        return true;
    struct label *labels = calloc(count, sizeof *labels);
    if (!labels)
        return fault_no_memory(fault);
    bool ok = check_names(drafts, count, labels, fault) && check_identities(drafts, count, labels, fault);
    free(labels);
    return ok;
}

static bool read_documents(const struct yaml_tree *tree, enum inputs_as default_as, struct jobfile *out,
                           struct fault *fault)
{
    size_t count = yaml_tree_documents(tree);
    if (count == 0) {
        fault_set(fault, 0, 0,
                  "the file holds no job; a job has at least the lines 'workflow: ...' and 'inputs: ...'");
        return false;
    }
    struct draft *drafts = calloc(count, sizeof *drafts);
    out->jobs = calloc(count, sizeof *out->jobs);
    if (!drafts || !out->jobs) {
        free(drafts);
        return fault_no_memory(fault);
    }
    out->count = count;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        drafts[i].job = &out->jobs[i];
        out->jobs[i].document = i + 1;
        ok = read_document(&drafts[i], yaml_tree_document(tree, i), default_as, fault);
    }
    ok = ok && check_documents(drafts, count, fault);
    free(drafts);
    return ok;
}

bool jobfile_parse(const char *bytes, size_t len, enum inputs_as default_as, struct jobfile *out,
                   struct fault *fault)
{
    struct yaml_tree *tree;
    memset(out, 0, sizeof *out);
    if (!yaml_tree_parse(bytes, len, &yaml_limits_default, &tree, fault))
        return false;
    bool ok = read_documents(tree, default_as, out, fault);
    yaml_tree_free(tree);
    if (!ok) {
        jobfile_free(out);
        return false;
    }
    const struct digest_part whole = {bytes, len};
    digest_hex(&whole, 1, out->job_sha256);
    return true;
}

void jobfile_free(struct jobfile *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->jobs[i].run);
        free(f->jobs[i].body);
    }
    free(f->jobs);
    memset(f, 0, sizeof *f);
}
