#include "sandbox/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/units.h"
#include "flowspool_version.h"
#include "sandbox/listen.h"

enum option_id {
    OPT_HELP = 256,
    OPT_VERSION,
    OPT_LISTEN,
    OPT_PORT,
    OPT_PORT_FILE,
    OPT_WORKFLOWS,
    OPT_ANY_WORKFLOW,
    OPT_KEY,
    OPT_KEY_FILE,
    OPT_CREDITS,
    OPT_LIMITER,
    OPT_LIMIT,
    OPT_WINDOW,
    OPT_HEADERS,
    OPT_RETRY_AFTER,
    OPT_LATENCY,
    OPT_SEED,
    OPT_FAULT,
    OPT_MISSING_INPUT,
    OPT_CACHE,
    OPT_RUN_ID,
    OPT_TLS_CERT,
    OPT_TLS_KEY,
    OPT_MAX_CONNECTIONS,
    OPT_VERBOSE,
};

static const struct option long_options[] = {
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"port", required_argument, NULL, OPT_PORT},
    {"port-file", required_argument, NULL, OPT_PORT_FILE},
    {"workflows", required_argument, NULL, OPT_WORKFLOWS},
    {"any-workflow", no_argument, NULL, OPT_ANY_WORKFLOW},
    {"key", required_argument, NULL, OPT_KEY},
    {"key-file", required_argument, NULL, OPT_KEY_FILE},
    {"credits", required_argument, NULL, OPT_CREDITS},
    {"limiter", required_argument, NULL, OPT_LIMITER},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"headers", required_argument, NULL, OPT_HEADERS},
    {"retry-after", required_argument, NULL, OPT_RETRY_AFTER},
    {"latency", required_argument, NULL, OPT_LATENCY},
    {"seed", required_argument, NULL, OPT_SEED},
    {"fault", required_argument, NULL, OPT_FAULT},
    {"missing-input", required_argument, NULL, OPT_MISSING_INPUT},
    {"cache", no_argument, NULL, OPT_CACHE},
    {"run-id", no_argument, NULL, OPT_RUN_ID},
    {"tls-cert", required_argument, NULL, OPT_TLS_CERT},
    {"tls-key", required_argument, NULL, OPT_TLS_KEY},
    {"max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS},
    {"verbose", no_argument, NULL, OPT_VERBOSE},
    {NULL, 0, NULL, 0},
};

static const char help[] = "usage: flowspool-sandbox [OPTION]...\n"
                           "The workflow endpoint on this machine. Its results are rendered templates: no\n"
                           "language model is asked.\n"
                           "\n"
                           "  --listen ADDR         numeric address (127.0.0.1)\n"
                           "  --port N              8787; 0: any that is free\n"
                           "  --port-file FILE      write the port there, for scripts\n"
                           "  --max-connections N   10000\n"
                           "  --tls-cert FILE, --tls-key FILE   serve https (PEM)\n"
                           "  --workflows FILE      which ids there are; without it there is every id\n"
                           "  --any-workflow        an id that is not in FILE answers with its inputs\n"
                           "  --key KEY, --key-file FILE, $FLOWSPOOL_SANDBOX_KEY\n"
                           "                        accepted Bearer keys; none given: any\n"
                           "  --credits N           runs the account can pay for\n"
                           "  --limiter KIND        sliding (the default), fixed, first, log, token, none\n"
                           "  --limit N             requests in a window (10)\n"
                           "  --window D            its length (1s)\n"
                           "  --headers WHERE       rate headers: success, all, none, on-reply, zero\n"
                           "  --retry-after D       with a 429: a duration or exact; D,date sends a date\n"
                           "  --latency DIST        8s, uniform:1s,3s, lognormal:median=8s,sigma=0.6\n"
                           "  --seed N              draw the same latencies and faults again\n"
                           "  --fault KIND[:ARG][:RATE]   may be repeated; RATE is 5% or 1/20\n"
                           "        nothing runs:   reset-before 503 redirect 401 429 402 404\n"
                           "        the run fails:  500 502 504; with :charged it is charged all the same\n"
                           "        charged, then:  reset-after cut garbage not-http drip:30s\n"
                           "                        huge:128MiB huge-chunked:128MiB\n"
                           "  --missing-input HOW   undefined (that word is shown) or strict (a 400)\n"
                           "  --cache               the same bytes again are answered at once and free\n"
                           "  --run-id              answers carry a run_id\n"
                           "  --verbose             a line per request on stderr\n"
                           "  --help, --version\n"
                           "\n"
                           "GET /sandbox/stats tells what happened, POST /sandbox/reset forgets it.\n"
                           "\n"
                           "Example: flowspool-sandbox --workflows contrib/sandbox-workflows.yaml \\\n"
                           "             --latency uniform:1s,3s --fault 500:5%\n";

static bool wrong(const char *option, const char *value, const char *allowed)
{
    fprintf(stderr, "flowspool-sandbox: --%s: '%s' is not %s\n", option, value, allowed);
    return false;
}

static bool parse_whole(const char *text, int64_t min, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < min || value > max) {
        return false;
    }
    *out = value;
    return true;
}

/* from: where the key was given; the key itself is in no message. */
static bool add_key(struct options *o, const char *from, const char *key, size_t len)
{
    if (len == 0) {
        fprintf(stderr, "flowspool-sandbox: %s: a key cannot be empty\n", from);
        return false;
    }
    if (o->key_count == OPTIONS_KEYS_MAX) {
        fprintf(stderr, "flowspool-sandbox: %s: there can be at most %d keys\n", from, OPTIONS_KEYS_MAX);
        return false;
    }
    char *copy = strndup(key, len);
    if (!copy) {
        fprintf(stderr, "flowspool-sandbox: out of memory\n");
        return false;
    }
    o->keys[o->key_count++] = copy;
    return true;
}

/* One key a line. */
static bool read_keys(struct options *o, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        fprintf(stderr, "flowspool-sandbox: --key-file: cannot open %s: %s\n", path, strerror(errno));
        return false;
    }
    char *line = NULL;
    size_t room = 0;
    bool ok = true;
    size_t before = o->key_count;
    while (ok && getline(&line, &room, file) >= 0) {
        size_t len = strcspn(line, "\r\n");
        ok = len == 0 || add_key(o, "--key-file", line, len);
    }
    if (ok && ferror(file)) {
        fprintf(stderr, "flowspool-sandbox: --key-file: cannot read %s: %s\n", path, strerror(errno));
        ok = false;
    } else if (ok && o->key_count == before) {
        fprintf(stderr, "flowspool-sandbox: --key-file: %s holds no key\n", path);
        ok = false;
    }
    free(line);
    fclose(file);
    return ok;
}

static bool set_headers(struct options *o, const char *text)
{
    static const char *const names[] = {
        [HEADERS_SUCCESS] = "success",   [HEADERS_ALL] = "all",   [HEADERS_NONE] = "none",
        [HEADERS_ON_REPLY] = "on-reply", [HEADERS_ZERO] = "zero",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            o->headers = (enum rate_headers)i;
            return true;
        }
    }
    return wrong("headers", text, "one of success, all, none, on-reply, zero");
}

static bool set_retry_after(struct options *o, const char *text)
{
    char value[32];
    size_t len = strcspn(text, ",");
    int64_t ms = 0;
    if (len < sizeof value) {
        memcpy(value, text, len);
        value[len] = '\0';
        o->retry_after = (struct retry_after){
            .enabled = true, .exact = strcmp(value, "exact") == 0, .date = strcmp(text + len, ",date") == 0};
        bool tail_ok = text[len] == '\0' || o->retry_after.date;
        if (tail_ok && (o->retry_after.exact || (units_parse_duration_ms(value, &ms) && ms >= 0))) {
            o->retry_after.seconds = ms / 1000 + (ms % 1000 ? 1 : 0);
            return true;
        }
    }
    return wrong("retry-after", text, "a duration or exact, with or without ,date");
}

static bool set_latency(struct options *o, const char *text)
{
    struct fault fault;
    o->has_latency = latency_parse(text, &o->latency, &fault);
    if (o->has_latency) {
        return true;
    }
    fprintf(stderr, "flowspool-sandbox: --latency: %s\n", fault.text);
    return false;
}

static bool add_fault(struct options *o, const char *text)
{
    struct fault fault;
    if (o->fault_count == FAULT_RULES_MAX) {
        fprintf(stderr, "flowspool-sandbox: --fault may be given %d times\n", FAULT_RULES_MAX);
        return false;
    }
    if (fault_rule_parse(text, &o->faults[o->fault_count], &fault)) {
        o->fault_count++;
        return true;
    }
    fprintf(stderr, "flowspool-sandbox: --fault: %s\n", fault.text);
    return false;
}

/* Options whose value is a whole number. */
static bool set_number(struct options *o, int id, const char *text)
{
    int64_t n;
    switch (id) {
    case OPT_PORT:
        if (!parse_whole(text, 0, 65535, &n)) {
            return wrong("port", text, "a port, 0 to 65535");
        }
        o->port = (uint16_t)n;
        return true;
    case OPT_CREDITS:
        return parse_whole(text, 0, INT64_MAX, &o->credits) || wrong("credits", text, "a number from 0 up");
    case OPT_LIMIT:
        return parse_whole(text, 1, LIMITER_LIMIT_MAX, &o->limit) || wrong("limit", text, "1 to 1000000");
    case OPT_SEED:
        if (!parse_whole(text, 0, INT64_MAX, &n)) {
            return wrong("seed", text, "a whole number from 0 up");
        }
        o->seed = (uint64_t)n;
        return true;
    default:
        if (!parse_whole(text, 1, 1000000, &n)) {
            return wrong("max-connections", text, "1 to 1000000");
        }
        o->max_connections = (unsigned)n;
        return true;
    }
}

static bool set_limiter(struct options *o, const char *text)
{
    return limiter_kind_parse(text, &o->limiter) ||
           wrong("limiter", text, "one of sliding, fixed, first, log, token, none");
}

static bool set_window(struct options *o, const char *text)
{
    return (units_parse_duration_ms(text, &o->window_ms) && o->window_ms >= 1 &&
            o->window_ms <= LIMITER_WINDOW_MAX_US / 1000) ||
           wrong("window", text, "a duration from 1ms to 24h");
}

static bool set_missing_input(struct options *o, const char *text)
{
    o->strict_inputs = strcmp(text, "strict") == 0;
    return o->strict_inputs || strcmp(text, "undefined") == 0 ||
           wrong("missing-input", text, "strict or undefined");
}

static bool set_text(struct options *o, int id, const char *text)
{
    switch (id) {
    case OPT_LISTEN:
        o->listen = text;
        return listen_is_address(text) || wrong("listen", text, "a numeric IPv4 or IPv6 address");
    case OPT_PORT_FILE:
        o->port_file = text;
        return true;
    case OPT_WORKFLOWS:
        o->workflows = text;
        return true;
    case OPT_TLS_CERT:
        o->tls_cert = text;
        return true;
    case OPT_TLS_KEY:
        o->tls_key = text;
        return true;
    case OPT_KEY:
        return add_key(o, "--key", text, strlen(text));
    case OPT_KEY_FILE:
        return read_keys(o, text);
    case OPT_LIMITER:
        return set_limiter(o, text);
    case OPT_WINDOW:
        return set_window(o, text);
    case OPT_HEADERS:
        return set_headers(o, text);
    case OPT_RETRY_AFTER:
        return set_retry_after(o, text);
    case OPT_LATENCY:
        return set_latency(o, text);
    case OPT_FAULT:
        return add_fault(o, text);
    case OPT_MISSING_INPUT:
        return set_missing_input(o, text);
    default:
        return set_number(o, id, text);
    }
}

static void set_flag(struct options *o, int id)
{
    switch (id) {
    case OPT_ANY_WORKFLOW:
        o->any_workflow = true;
        break;
    case OPT_CACHE:
        o->cache = true;
        break;
    case OPT_RUN_ID:
        o->run_id = true;
        break;
    default:
        o->verbose = true;
        break;
    }
}

static uint64_t any_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000007U ^ (uint64_t)now.tv_nsec << 20 ^ (uint64_t)getpid();
}

static void set_defaults(struct options *o)
{
    *o = (struct options){
        .listen = "127.0.0.1",
        .port = 8787,
        .credits = -1,
        .limiter = LIMITER_SLIDING,
        .limit = 10,
        .window_ms = 1000,
        .headers = HEADERS_SUCCESS,
        .seed = any_seed(),
        .max_connections = 10000,
    };
}

/* What follows from several options together. */
static bool settle(struct options *o, bool limiter_given)
{
    const char *key = getenv("FLOWSPOOL_SANDBOX_KEY");
    if (key && *key && !add_key(o, "FLOWSPOOL_SANDBOX_KEY", key, strlen(key))) {
        return false;
    }
    if (!o->tls_cert != !o->tls_key) {
        fprintf(stderr, "flowspool-sandbox: --tls-cert and --tls-key go together\n");
        return false;
    }
    if (!o->workflows) {
        o->any_workflow = true;
    }
    if (o->headers == HEADERS_ZERO && !limiter_given) {
        o->limiter = LIMITER_NONE; /* a broken limiter lets requests pass */
    }
    return true;
}

enum options_end options_parse(int argc, char **argv, struct options *out)
{
    set_defaults(out);
    bool limiter_given = false;
    int id, index = 0;
    while ((id = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (id == '?') {
            fprintf(stderr, "Try 'flowspool-sandbox --help'.\n");
            return OPTIONS_WRONG;
        }
        if (id == OPT_HELP || id == OPT_VERSION) {
            fputs(id == OPT_HELP ? help : "flowspool-sandbox " FLOWSPOOL_VERSION "\n", stdout);
            return OPTIONS_DONE;
        }
        limiter_given |= id == OPT_LIMITER;
        if (!optarg) {
            set_flag(out, id);
        } else if (!set_text(out, id, optarg)) {
            return OPTIONS_WRONG;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "flowspool-sandbox: '%s' is no option; try --help\n", argv[optind]);
        return OPTIONS_WRONG;
    }
    return settle(out, limiter_given) ? OPTIONS_GO : OPTIONS_WRONG;
}

void options_free(struct options *o)
{
    for (size_t i = 0; i < o->key_count; i++) {
        free(o->keys[i]);
    }
    o->key_count = 0;
}
