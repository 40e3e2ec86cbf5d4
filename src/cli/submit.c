/* flowspool submit. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/inputarg.h"
#include "cli/readfile.h"
#include "cli/waiting.h"
#include "core/units.h"
#include "core/utf8.h"
#include "flowspool/flowspool.h"
#include "io/clock.h"

static const char help[] =
    "usage: flowspool submit [OPTION]... WORKFLOW [INPUT]...\n"
    "       flowspool submit [--name N] [--wait [--timeout D]] - < JOBFILE\n"
    "Puts a job into the spool, whole or not at all, and prints its name.\n"
    "\n"
    "      KEY=TEXT          an input, sent as this text (\\= in a KEY is part of it)\n"
    "      KEY=@FILE         the text of a file; -: of standard input\n"
    "      KEY:=JSON         an input that is a number, a list, ... (or :=@FILE)\n"
    "      --name N          the job file's name; without it a new one\n"
    "      --priority P      -100 to 100, higher goes first\n"
    "      --not-before T    2026-11-24T22:00:00Z, or from now on, such as 8h\n"
    "      --expires T       the same: fails if it could not be sent until then\n"
    "      --max-attempts N  1 to 1000\n"
    "      --run R           another value makes the same request another job\n"
    "      --wait            waits, and prints the result instead of the name\n"
    "      --timeout D       at most so long, such as 90s or 8h\n"
    "\n"
    "Exit: 0 done, 1 it failed, or cannot be put there, 2 usage, 124 time ran out.\n"
    "\n"
    "Example: flowspool submit wf_story story=@dog.txt words:=300 --wait\n";

struct submit {
    const char *name, *run;
    const char *priority, *max_attempts, *not_before, *expires; /* as given, or NULL */
    bool wait;
    int64_t timeout_ms; /* -1: none */
    bool stdin_used;
};

/* ---- options ---- */

static bool number_of(const char *what, const char *text, int *out)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && value >= -100000 && value <= 100000) {
        *out = (int)value;
        return true;
    }
    cli_complain("%s: \"%s\" is no number", what, text);
    return false;
}

/* A duration counts from now. */
static bool instant_of(const char *what, const char *text, int64_t *out)
{
    int64_t ms;
    if (units_parse_instant_ms(text, out))
        return true;
    if (units_parse_duration_ms(text, &ms) && ms < INT64_MAX / 2) {
        *out = clock_unix_ms() + ms;
        return true;
    }
    cli_complain(
        "%s: \"%s\" is neither a time with Z or an offset, such as 2026-11-24T22:00:00Z, nor a duration "
        "from now, such as 8h",
        what, text);
    return false;
}

/* What cannot be sticks to the job, which is then refused with words for it. */
static bool set_options(const struct submit *s, struct flowspool_job *job)
{
    int number;
    int64_t instant;
    if (s->run != NULL)
        flowspool_job_run(job, s->run);
    if (s->priority != NULL) {
        if (!number_of("--priority", s->priority, &number))
            return false;
        flowspool_job_priority(job, number);
    }
    if (s->max_attempts != NULL) {
        if (!number_of("--max-attempts", s->max_attempts, &number))
            return false;
        flowspool_job_max_attempts(job, number);
    }
    if (s->not_before != NULL) {
        if (!instant_of("--not-before", s->not_before, &instant))
            return false;
        flowspool_job_not_before(job, instant);
    }
    if (s->expires != NULL) {
        if (!instant_of("--expires", s->expires, &instant))
            return false;
        flowspool_job_expires(job, instant);
    }
    return true;
}

/* ---- inputs ---- */

static bool set_from_file(struct submit *s, struct flowspool_job *job, const struct input_arg *a)
{
    size_t len;
    bool standard = strcmp(a->value, "-") == 0;
    if (standard && s->stdin_used) {
        cli_complain("%s: standard input can be read once", a->key);
        return false;
    }
    s->stdin_used = s->stdin_used || standard;
    char *text = read_file(a->value, &len);
    if (text == NULL)
        return false;
    bool ok = strlen(text) == len;
    if (!ok)
        cli_complain("%s: a NUL character, which no text can hold", a->value);
    else if (a->json)
        flowspool_job_input_json(job, a->key, text);
    else
        flowspool_job_input(job, a->key, text);
    free(text);
    return ok;
}

static bool set_input(struct submit *s, struct flowspool_job *job, const char *word)
{
    struct input_arg a;
    const char *why = input_arg_parse(word, &a);
    if (why != NULL) {
        cli_complain("\"%s\" %s", word, why);
        return false;
    }
    bool ok = true;
    if (a.from_file)
        ok = set_from_file(s, job, &a);
    else if (a.json)
        flowspool_job_input_json(job, a.key, a.value);
    else
        flowspool_job_input(job, a.key, a.value);
    input_arg_free(&a);
    return ok;
}

static struct flowspool_job *build(struct submit *s, const char *workflow, char *const *words, int count)
{
    struct flowspool_job *job = flowspool_job_new(workflow);
    if (job == NULL) {
        cli_complain("out of memory");
        return NULL;
    }
    bool ok = set_options(s, job);
    for (int i = 0; ok && i < count; i++)
        ok = set_input(s, job, words[i]);
    if (ok)
        return job;
    flowspool_job_free(job);
    return NULL;
}

/* ---- the result ---- */

struct waited {
    const struct config *cfg;
    bool several; /* jobs in the file */
    bool failed;
};

/* What a service wrote must not drive a terminal. */
static void put_for_terminal(const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        char shown[24];
        uint32_t cp;
        n = utf8_decode(text + i, len - i, &cp);
        n = n > 0 ? n : 1;
        if (text[i] == '\n' || text[i] == '\t')
            putchar(text[i]);
        else
            fputs(utf8_escape(text + i, n, shown, sizeof shown), stdout);
    }
}

/* A file or a pipe gets every byte. */
static void put_result(const char *text, size_t len)
{
    if (isatty(STDOUT_FILENO) == 1)
        put_for_terminal(text, len);
    else
        fwrite(text, 1, len, stdout);
    if (len == 0 || text[len - 1] != '\n')
        putchar('\n');
}

static void show_result(struct waited *w, const struct ended_job *job)
{
    struct flowspool_outcome *o = NULL;
    struct flowspool_error *error = NULL;
    size_t len;
    char *file = NULL;
    int found = asprintf(&file, "%s.result.json", job->stem) < 0
                    ? -ENOMEM
                    : flowspool_outcome_read(w->cfg->spool, file, &o, &error);
    const char *text = found == 1 ? flowspool_outcome_result(o, &len) : NULL;
    if (text != NULL)
        put_result(text, len);
    else
        cli_complain("%s succeeded, but its outcome is not there: %s", job->name,
                     error != NULL ? flowspool_error_message(error) : "somebody has moved it away");
    w->failed = w->failed || text == NULL;
    flowspool_outcome_free(o);
    flowspool_error_free(error);
    free(file);
}

static void on_ended(void *arg, const struct ended_job *job)
{
    struct waited *w = arg;
    w->failed = w->failed || !job->done;
    if (!job->done)
        cli_complain("%s failed: %s: %s", job->name, job->code, job->message);
    else if (w->several)
        printf("%s done\n", job->name);
    else
        show_result(w, job);
}

static int wait_for(const struct submit *s, const struct config *cfg, const char *path, size_t jobs)
{
    struct waited w = {.cfg = cfg, .several = jobs > 1};
    struct waiting *waiting = waiting_open(cfg);
    if (waiting == NULL)
        return CLI_USAGE;
    int status = CLI_USAGE;
    if (waiting_add_file(waiting, path))
        status = waiting_run(waiting, s->timeout_ms, on_ended, &w);
    else
        cli_complain("out of memory");
    waiting_close(waiting);
    if (status == CLI_TIMEOUT)
        cli_complain("it stays in the spool; to wait on: flowspool wait %s", path);
    return status == CLI_OK && w.failed ? CLI_NOT_ALL : status;
}

/* ---- submitting ---- */

static int status_of(int code)
{
    switch (code) {
    case -EINVAL: /* a name or a job that cannot be */
    case -ENAMETOOLONG:
    case -ENOENT: /* no such spool or directory */
    case -ENOTDIR:
    case -ELOOP:
        return CLI_USAGE;
    default:
        return CLI_NOT_ALL;
    }
}

static int submit_bytes(const struct submit *s, const struct config *cfg, const char *bytes, size_t len,
                        size_t jobs)
{
    char *path = NULL;
    struct flowspool_error *error = NULL;
    int code = flowspool_submit_bytes(cfg->spool, bytes, len, s->name, &path, &error);
    if (code != 0) {
        cli_complain("%s", flowspool_error_message(error));
        flowspool_error_free(error);
        return status_of(code);
    }
    int status = CLI_OK;
    if (s->wait)
        status = wait_for(s, cfg, path, jobs);
    else
        puts(path);
    flowspool_free(path);
    return status;
}

static int submit_job(struct submit *s, const struct config *cfg, char *const *words, int count)
{
    size_t len;
    struct flowspool_error *error = NULL;
    struct flowspool_job *job = build(s, words[0], words + 1, count - 1);
    if (job == NULL)
        return CLI_USAGE;
    int status = CLI_USAGE;
    const char *bytes = flowspool_job_print(job, &len, &error);
    if (bytes != NULL)
        status = submit_bytes(s, cfg, bytes, len, 1);
    else
        cli_complain("%s", flowspool_error_message(error));
    flowspool_error_free(error);
    flowspool_job_free(job);
    return status;
}

/* A fault is said as compilers do, and as flowspool check does. */
static int submit_stdin(const struct submit *s, const struct config *cfg)
{
    size_t len;
    struct flowspool_error *error = NULL;
    char *bytes = read_file("-", &len);
    if (bytes == NULL)
        return CLI_NOT_ALL;
    int status = CLI_NOT_ALL;
    size_t jobs = flowspool_check(bytes, len, &error);
    if (jobs > 0)
        status = submit_bytes(s, cfg, bytes, len, jobs);
    else if (flowspool_error_line(error) > 0)
        fprintf(stderr, "-:%zu:%zu: %s\n", flowspool_error_line(error), flowspool_error_column(error),
                flowspool_error_message(error));
    else
        fprintf(stderr, "-: %s\n", flowspool_error_message(error));
    flowspool_error_free(error);
    free(bytes);
    return status;
}

enum {
    OPT_NAME = CLI_OPT_OWN,
    OPT_PRIORITY,
    OPT_NOT_BEFORE,
    OPT_EXPIRES,
    OPT_MAX_ATTEMPTS,
    OPT_RUN,
    OPT_WAIT,
    OPT_TIMEOUT
};

/* Where the option's text goes; NULL: it is none of these. */
static const char **text_of(struct submit *s, int option)
{
    switch (option) {
    case OPT_NAME:
        return &s->name;
    case OPT_PRIORITY:
        return &s->priority;
    case OPT_NOT_BEFORE:
        return &s->not_before;
    case OPT_EXPIRES:
        return &s->expires;
    case OPT_MAX_ATTEMPTS:
        return &s->max_attempts;
    case OPT_RUN:
        return &s->run;
    default:
        return NULL;
    }
}

/* -1, or a status to exit with. */
static int parse(struct cli *c, struct submit *s, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"name", required_argument, NULL, OPT_NAME},
        {"priority", required_argument, NULL, OPT_PRIORITY},
        {"not-before", required_argument, NULL, OPT_NOT_BEFORE},
        {"expires", required_argument, NULL, OPT_EXPIRES},
        {"max-attempts", required_argument, NULL, OPT_MAX_ATTEMPTS},
        {"run", required_argument, NULL, OPT_RUN},
        {"wait", no_argument, NULL, OPT_WAIT},
        {"timeout", required_argument, NULL, OPT_TIMEOUT},
        {NULL, 0, NULL, 0},
    };
    int option, rc = -1;
    while (rc < 0 && (option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        const char **text = text_of(s, option);
        if (text != NULL)
            *text = optarg;
        else if (option == OPT_WAIT)
            s->wait = true;
        else if (option != OPT_TIMEOUT)
            rc = cli_common_option(c, option, help);
        else if (!units_parse_duration_ms(optarg, &s->timeout_ms))
            rc = cli_misused("submit ", "\"%s\" is no duration such as 90s, 5m or 8h", optarg);
    }
    return rc;
}

static int check_use(const struct submit *s, int count, char *const *words)
{
    if (count == 0)
        return cli_misused("submit ", "which workflow?");
    if (s->timeout_ms >= 0 && !s->wait)
        return cli_misused("submit ", "--timeout goes with --wait");
    if (strcmp(words[0], "-") != 0)
        return -1;
    if (count > 1)
        return cli_misused("submit ", "a job file on standard input has its own inputs");
    if (s->priority != NULL || s->not_before != NULL || s->expires != NULL || s->max_attempts != NULL ||
        s->run != NULL)
        return cli_misused("submit ", "a job file on standard input takes --name, --wait and --timeout only");
    return -1;
}

int cli_submit(struct cli *c, int argc, char **argv)
{
    struct submit s = {.timeout_ms = -1};
    struct config cfg;
    int rc = parse(c, &s, argc, argv);
    if (rc < 0)
        rc = check_use(&s, argc - optind, argv + optind);
    if (rc >= 0)
        return rc;
    if (!cli_find(c, &cfg))
        return CLI_USAGE;
    if (strcmp(argv[optind], "-") == 0)
        rc = submit_stdin(&s, &cfg);
    else
        rc = submit_job(&s, &cfg, argv + optind, argc - optind);
    config_free(&cfg);
    return rc;
}
