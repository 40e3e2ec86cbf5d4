#include "io/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/yamltree.h"
#include "io/config_internal.h"

#define CONFIG_MAX_BYTES (1 << 20)

/* A load under way: where each key stood, for faults that show only when all is read. */
struct load {
    struct config c;
    struct place {
        size_t line, column; /* 0: not in the file, or overridden */
    } places[CONFIG_KEYS];
    struct fault *fault;
};

/* ---- the file ---- */

static bool is_group(const char *name)
{
    return strcmp(name, "rate") == 0 || strcmp(name, "retry") == 0;
}

static bool unknown_key(struct load *l, const struct yaml_node *key, const char *name)
{
    const char *near = config_similar_key(name);
    fault_set(l->fault, key->line, key->column,
              "unknown key \"%s\"%s%s%s; flowspoold --describe-config lists them", name,
              near != NULL ? ", perhaps \"" : "", near != NULL ? near : "", near != NULL ? "\"" : "");
    return false;
}

static bool read_pair(struct load *l, const char *name, const struct yaml_pair *p)
{
    const struct key *k = config_find_key(name);
    const struct yaml_node *v = p->value;
    if (k == NULL)
        return unknown_key(l, p->key, name);
    if (v->kind != YAML_NODE_SCALAR) {
        fault_set(l->fault, v->line, v->column, "\"%s\" takes %s, not a %s", name, config_kind_name(k),
                  v->kind == YAML_NODE_MAP ? "mapping" : "list");
        return false;
    }
    if (k->kind != KEY_TEXT && v->len == 0) {
        fault_set(l->fault, v->line, v->column, "\"%s\" has no value; it takes %s: %s", name,
                  config_kind_name(k), k->range);
        return false;
    }
    if (!config_set_value(&l->c, k, v->text)) {
        fault_set(l->fault, v->line, v->column, "\"%s: %s\" is not possible; it takes %s: %s", name, v->text,
                  config_kind_name(k), k->range);
        return false;
    }
    l->places[k - config_keys] = (struct place){v->line, v->column};
    return true;
}

static bool read_group(struct load *l, const struct yaml_pair *group)
{
    char name[256];
    if (group->value->kind != YAML_NODE_MAP) {
        fault_set(l->fault, group->value->line, group->value->column, "\"%s\" takes a mapping of keys",
                  group->key->text);
        return false;
    }
    for (size_t i = 0; i < group->value->count; i++) {
        const struct yaml_pair *p = &group->value->pairs[i];
        snprintf(name, sizeof name, "%s.%s", group->key->text, p->key->text);
        if (!read_pair(l, name, p))
            return false;
    }
    return true;
}

static bool read_top(struct load *l, const struct yaml_pair *p)
{
    if (is_group(p->key->text))
        return read_group(l, p);
    if (strchr(p->key->text, '.') == NULL)
        return read_pair(l, p->key->text, p);
    fault_set(l->fault, p->key->line, p->key->column, "unknown key \"%s\"; write it as a mapping",
              p->key->text);
    return false;
}

static bool read_tree(struct load *l, const struct yaml_tree *tree)
{
    size_t documents = yaml_tree_documents(tree);
    if (documents == 0)
        return true;
    const struct yaml_node *root = yaml_tree_document(tree, documents - 1);
    if (documents > 1 || root->kind != YAML_NODE_MAP) {
        fault_set(l->fault, root->line, root->column, "the configuration is one mapping of keys to values");
        return false;
    }
    for (size_t i = 0; i < root->count; i++)
        if (!read_top(l, &root->pairs[i]))
            return false;
    return true;
}

static bool read_bytes(const char *path, char **bytes, size_t *len, struct fault *fault)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fault_set(fault, 0, 0, "configuration %s: %s", path, strerror(errno));
        return false;
    }
    *bytes = malloc(CONFIG_MAX_BYTES + 1);
    *len = 0;
    ssize_t n = *bytes != NULL ? 1 : -1;
    while (n > 0 && *len <= CONFIG_MAX_BYTES) {
        n = read(fd, *bytes + *len, CONFIG_MAX_BYTES + 1 - *len);
        *len += n > 0 ? (size_t)n : 0;
    }
    int err = errno;
    close(fd);
    if (n == 0)
        return true;
    fault_set(fault, 0, 0, "configuration %s: %s", path, n < 0 ? strerror(err) : "larger than 1 MiB");
    free(*bytes);
    *bytes = NULL;
    return false;
}

static bool read_file(struct load *l, const char *path)
{
    char *bytes = NULL;
    size_t len = 0;
    struct yaml_tree *tree = NULL;
    if (!read_bytes(path, &bytes, &len, l->fault))
        return false;
    bool ok = yaml_tree_parse(bytes, len, &yaml_limits_default, &tree, l->fault) && read_tree(l, tree);
    yaml_tree_free(tree);
    free(bytes);
    return ok;
}

/* ---- all of it ---- */

static struct place *place_of(struct load *l, const char *name)
{
    return &l->places[config_find_key(name) - config_keys];
}

static bool set_defaults(struct load *l)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++)
        if (!config_set_value(&l->c, &config_keys[i], config_keys[i].preset))
            return false;
    return true;
}

/* An empty variable is how scripts unset one. */
static bool override(struct load *l, const char *name, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return true;
    *place_of(l, name) = (struct place){0, 0};
    return config_set_value(&l->c, config_find_key(name), text);
}

static bool apply_overrides(struct load *l, const struct config_overrides *o)
{
    if (o->max_concurrency > 0)
        l->c.max_concurrency = o->max_concurrency;
    if (o->max_jobs >= 0)
        l->c.max_jobs = o->max_jobs;
    l->c.settle_given = place_of(l, "settle")->line != 0;
    return override(l, "endpoint", getenv("FLOWSPOOL_ENDPOINT")) && override(l, "endpoint", o->endpoint) &&
           override(l, "spool", o->spool);
}

static bool resolve_spool(struct load *l)
{
    const struct place *at = place_of(l, "spool");
    if (l->c.spool[0] == '\0') {
        fault_set(l->fault, at->line, at->column,
                  "no spool is set: give --spool DIR, or `spool:` in the configuration");
        return false;
    }
    struct stat st;
    char *real = realpath(l->c.spool, NULL);
    int err = errno;
    if (real == NULL || stat(real, &st) != 0 || !S_ISDIR(st.st_mode)) {
        fault_set(l->fault, at->line, at->column, "spool %s: %s", l->c.spool,
                  real == NULL ? strerror(err) : "not a directory");
        free(real);
        return false;
    }
    free(l->c.spool);
    l->c.spool = real;
    return true;
}

/* The daemon and the operator's command need not have the same working directory, so every path is absolute;
 * the state's last part need not exist yet. */
static bool resolve_state_dir(struct load *l)
{
    char *dir = NULL;
    int n = 0;
    if (l->c.state_dir[0] == '/')
        return true;
    if (l->c.state_dir[0] == '\0') {
        n = asprintf(&dir, "%s/.flowspool", l->c.spool);
    } else {
        char *here = getcwd(NULL, 0);
        n = here != NULL ? asprintf(&dir, "%s/%s", here, l->c.state_dir) : -1;
        free(here);
    }
    if (n < 0)
        return false;
    free(l->c.state_dir);
    l->c.state_dir = dir;
    return true;
}

static bool check_endpoint(struct load *l, const char *(*check)(const char *endpoint))
{
    const struct place *at = place_of(l, "endpoint");
    if (check == NULL)
        return true;
    if (l->c.endpoint[0] == '\0') {
        fault_set(l->fault, at->line, at->column,
                  "no endpoint is set: give --endpoint URL, $FLOWSPOOL_ENDPOINT, or `endpoint:` in the "
                  "configuration");
        return false;
    }
    const char *why = check(l->c.endpoint);
    if (why != NULL && strchr(l->c.endpoint, '@') != NULL) /* a password is no business of the log */
        fault_set(l->fault, at->line, at->column, "endpoint: %s", why);
    else if (why != NULL)
        fault_set(l->fault, at->line, at->column, "endpoint %s: %s", l->c.endpoint, why);
    return why == NULL;
}

static bool check_whole(struct load *l)
{
    const struct place *cap = place_of(l, "retry.cap"), *base = place_of(l, "retry.base");
    const struct place *limit = place_of(l, "rate.limit"), *window = place_of(l, "rate.window");
    if (l->c.retry_cap_ms < l->c.retry_base_ms) {
        const struct place *at = cap->line != 0 ? cap : base;
        fault_set(l->fault, at->line, at->column, "retry.cap must not be smaller than retry.base");
        return false;
    }
    if ((l->c.rate_limit > 0) != (l->c.rate_window_ms > 0)) {
        const struct place *at = limit->line != 0 ? limit : window;
        fault_set(l->fault, at->line, at->column,
                  "rate.limit and rate.window go together: a hint needs both");
        return false;
    }
    return true;
}

bool config_load(const char *path, const struct config_overrides *o, struct config *c, struct fault *fault)
{
    struct load l = {.fault = fault};
    fault_no_memory(fault);
    bool ok = set_defaults(&l) && (path == NULL || read_file(&l, path)) && apply_overrides(&l, o) &&
              resolve_spool(&l) && resolve_state_dir(&l) && check_endpoint(&l, o->endpoint_fault) &&
              check_whole(&l);
    if (!ok) {
        config_free(&l.c);
        return false;
    }
    *c = l.c;
    return true;
}

int64_t config_outcome_max(const struct config *c)
{
    return c->max_response_size * 2 + (INT64_C(1) << 20);
}
