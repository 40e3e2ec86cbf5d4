/* flowspool check. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/dircheck.h"
#include "cli/namewords.h"
#include "cli/overview.h"
#include "core/names.h"
#include "io/clock.h"

static const char help[] = "usage: flowspool check [-r] [--quiet | --json] FILE|DIR|-...\n"
                           "Reads job files as flowspoold would, and says what it would refuse, as\n"
                           "FILE:LINE:COLUMN: MESSAGE, and what it would ignore. - is standard input. Of a\n"
                           "directory also how many jobs it holds, how many of them would be bought (those\n"
                           "without a result beside them or in the state), and which are the same request.\n"
                           "Without FILE: the spool. Nothing is sent, and no daemon need run.\n"
                           "\n"
                           "  -c, --config FILE  its inputs_as, max_job_size, recursive and state_dir\n"
                           "  -r, --recursive    directories below DIR, too\n"
                           "      --quiet        only what is wrong\n"
                           "      --json         one JSON object; names of members in flowspool(1)\n"
                           "\n"
                           "Exit: 0 nothing is wrong, 1 something would be refused, 2 usage.\n"
                           "\n"
                           "Examples: flowspool check story.yaml\n"
                           "          flowspool check -c /etc/flowspool.yaml\n"
                           "          make-job | flowspool check - && echo fine\n";

struct check {
    struct config cfg;
    bool json, quiet, recursive;
    struct findings findings;
    struct jobcheck jobs;
    int64_t files;
    bool dirs; /* a directory was checked */
    int64_t ignored, held, purchases[PURCHASE_COUNT];
    bool paused;
};

/* ---- files ---- */

/* At most max + 1 bytes, from a file, a pipe or a terminal; malloc'd. NULL: errno. */
static char *read_all(int fd, int64_t max, size_t *len)
{
    size_t room = 1 << 16;
    char *bytes = malloc(room);
    ssize_t n = 1;
    *len = 0;
    while (bytes != NULL && n > 0 && *len <= (size_t)max) {
        if (*len == room) {
            char *grown = realloc(bytes, room *= 2);
            if (grown == NULL)
                break;
            bytes = grown;
        }
        do
            n = read(fd, bytes + *len, room - *len);
        while (n < 0 && errno == EINTR);
        *len += n > 0 ? (size_t)n : 0;
    }
    if (n == 0 || (n > 0 && *len > (size_t)max))
        return bytes;
    free(bytes);
    return NULL;
}

/* path: NULL for what has no name. */
static void check_open_file(struct check *c, int fd, const char *shown, const char *path)
{
    size_t len;
    struct jobfile jobs;
    char *bytes = read_all(fd, c->cfg.max_job_size, &len);
    c->files++;
    if (bytes == NULL) {
        findings_fault_text(&c->findings, shown, "cannot be read: %s", strerror(errno));
    } else if (len > (size_t)c->cfg.max_job_size) {
        findings_fault_text(&c->findings, shown, "larger than max_job_size (%lld bytes)",
                            (long long)c->cfg.max_job_size);
    } else if (jobcheck_file(&c->jobs, shown, path, bytes, len, &jobs)) {
        for (size_t i = 0; i < jobs.count; i++)
            jobcheck_request(&c->jobs, shown, &jobs, i, true);
        jobfile_free(&jobs);
    }
    free(bytes);
}

/* The name as the daemon would know it, malloc'd; NULL: it would not. That is no fault: files are written
 * under such names, checked, and renamed. */
static char *job_path(struct check *c, const char *shown)
{
    struct stat link;
    const char *slash = strrchr(shown, '/'), *name = slash != NULL ? slash + 1 : shown;
    const char *why = name_ignored_words(name);
    if (lstat(shown, &link) == 0 && S_ISLNK(link.st_mode))
        why = "symbolic link";
    if (why == NULL)
        return strndup(name, name_job_len(name));
    c->ignored++;
    findings_warning(&c->findings, shown, "ignored by flowspoold: %s", why);
    return NULL;
}

/* ---- directories ---- */

static bool is_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Of a daemon that runs there, or of the configuration; "": not known. */
static void find_endpoint(const struct check *c, const struct config *cfg, char *out, size_t size)
{
    struct arena a = {0};
    struct overview o = {.cfg = cfg, .daemon = ASK_NOBODY};
    snprintf(out, size, "%s", c->cfg.endpoint);
    if (out[0] == '\0')
        overview_ask(&o, &a);
    if (out[0] == '\0' && o.daemon == ASK_ANSWERED)
        snprintf(out, size, "%s", o.status.endpoint);
    arena_free(&a);
    for (size_t len = strlen(out); len > 0 && out[len - 1] == '/'; len--)
        out[len - 1] = '\0';
}

static void check_dir_at(struct check *c, const char *dir, char *state_dir)
{
    char endpoint[2048];
    struct config there = c->cfg;
    there.state_dir = state_dir;
    find_endpoint(c, &there, endpoint, sizeof endpoint);
    struct dircheck d = {
        .check = &c->jobs,
        .cfg = &c->cfg,
        .dir = dir,
        .recursive = c->recursive,
        .purchases = {.endpoint = endpoint,
                      .outcome_max = config_outcome_max(&c->cfg),
                      .now_ms = clock_unix_ms()},
    };
    dircheck_run(&d, state_dir);
    c->dirs = true;
    c->files += d.files;
    c->ignored += d.ignored;
    c->held += d.held;
    c->paused = c->paused || d.paused;
    for (size_t i = 0; i < PURCHASE_COUNT; i++)
        c->purchases[i] += d.jobs[i];
}

static void check_dir(struct check *c, const char *dir)
{
    char *state_dir = NULL, *plain = strdup(dir);
    for (size_t len = plain != NULL ? strlen(plain) : 0; len > 1 && plain[len - 1] == '/'; len--)
        plain[len - 1] = '\0';
    if (is_same(dir, c->cfg.spool))
        state_dir = strdup(c->cfg.state_dir);
    else if (asprintf(&state_dir, "%s/.flowspool", dir) < 0)
        state_dir = NULL;
    if (plain != NULL && state_dir != NULL)
        check_dir_at(c, plain, state_dir);
    else
        c->jobs.failed = true;
    free(state_dir);
    free(plain);
}

/* ---- what was named ---- */

static void check_one(struct check *c, const char *word)
{
    struct stat st;
    char *path = NULL;
    if (strcmp(word, "-") == 0) {
        check_open_file(c, STDIN_FILENO, "<stdin>", NULL);
        return;
    }
    int fd = open(word, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        findings_fault_text(&c->findings, word, "cannot be read: %s", strerror(errno));
    else if (S_ISDIR(st.st_mode))
        check_dir(c, word);
    else
        check_open_file(c, fd, word, path = S_ISREG(st.st_mode) ? job_path(c, word) : NULL);
    free(path);
    if (fd >= 0)
        close(fd);
}

/* ---- the end ---- */

static void counts_json(struct check *c)
{
    struct json_line *j = &c->findings.line;
    findings_end(&c->findings);
    json_number(j, "files", c->files);
    json_number(j, "jobs", c->jobs.jobs);
    json_known(j, "purchases", c->dirs ? c->purchases[PURCHASE_BUY] : -1);
    json_known(j, "held", c->dirs ? c->held : -1);
    json_known(j, "done", c->dirs ? c->purchases[PURCHASE_DONE] : -1);
    json_known(j, "on_their_way", c->dirs ? c->purchases[PURCHASE_ON_WAY] : -1);
    json_known(j, "failed", c->dirs ? c->purchases[PURCHASE_SETTLED] : -1);
    json_known(j, "expired", c->dirs ? c->purchases[PURCHASE_EXPIRED] : -1);
    json_number(j, "duplicates", c->findings.duplicates);
    json_number(j, "ignored", c->ignored);
    json_number(j, "faults", c->findings.faults);
    json_close(j);
    json_end_line(j);
}

static const char *plural(int64_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}

/* What is not bought again, as far as there is any. */
static void others_text(const struct check *c)
{
    const struct {
        int64_t n;
        const char *what;
    } others[] = {
        {c->purchases[PURCHASE_DONE], "done"},
        {c->purchases[PURCHASE_ON_WAY], "in flight"},
        {c->purchases[PURCHASE_SETTLED], "failed"},
        {c->purchases[PURCHASE_EXPIRED], "expired"},
    };
    const char *separator = "; not bought:";
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (others[i].n == 0)
            continue;
        printf("%s %lld %s", separator, (long long)others[i].n, others[i].what);
        separator = ",";
    }
}

static void purchases_text(const struct check *c)
{
    int64_t buy = c->purchases[PURCHASE_BUY];
    printf("%lld %s", (long long)buy, plural(buy, "purchase", "purchases"));
    if (c->held > 0)
        printf(", %lld more when %s released", (long long)c->held, plural(c->held, "it is", "they are"));
    if (c->findings.duplicates > 0)
        printf(", %lld of these %s", (long long)c->findings.duplicates,
               plural(c->findings.duplicates, "a duplicate", "duplicates"));
    others_text(c);
    putchar('\n');
    if (c->paused)
        puts("sending is held by a file PAUSE");
}

static void counts_text(const struct check *c)
{
    const int64_t jobs = c->jobs.jobs, faults = c->findings.faults, twice = c->findings.duplicates;
    printf("%lld %s", (long long)c->files, plural(c->files, "file", "files"));
    printf(", %lld %s", (long long)jobs, plural(jobs, "job", "jobs"));
    if (!c->dirs && twice > 0)
        printf(", %lld %s", (long long)twice, plural(twice, "a duplicate", "duplicates"));
    if (c->ignored > 0)
        printf(", %lld ignored", (long long)c->ignored);
    printf("; %lld %s\n", (long long)faults, plural(faults, "fault", "faults"));
    if (c->dirs)
        purchases_text(c);
}

static int finish(struct check *c)
{
    if (c->jobs.requests.full || c->jobs.outcomes.full)
        findings_warning(&c->findings, c->cfg.spool,
                         "more than %d jobs: of the others it was not looked whether they are the same",
                         FIRSTS_MAX);
    if (c->json)
        counts_json(c);
    else if (!c->quiet)
        counts_text(c);
    if (c->jobs.failed || c->findings.line.failed) {
        cli_complain("out of memory, or no room for a temporary file: not everything was checked");
        return CLI_USAGE;
    }
    return c->findings.faults > 0 ? CLI_NOT_ALL : CLI_OK;
}

static int check_words(struct check *c, int argc, char **argv)
{
    int status = CLI_USAGE;
    c->findings.json = c->json;
    c->findings.quiet = c->quiet;
    findings_begin(&c->findings, stdout);
    if (jobcheck_open(&c->jobs, &c->findings, c->cfg.inputs_as)) {
        for (int i = optind; i < argc && !c->jobs.failed; i++)
            check_one(c, argv[i]);
        if (optind == argc)
            check_dir(c, c->cfg.spool);
        status = finish(c);
    } else {
        cli_complain("out of memory, or no temporary file");
    }
    jobcheck_close(&c->jobs);
    return status;
}

/* ---- options ---- */

/* Files need no spool: where none was named, or that of the configuration is not on this machine, all else
 * counts that the configuration says. */
static bool configure(const struct cli *cli, struct check *c, bool has_words)
{
    const struct config_overrides o = {.spool = cli->spool, .max_jobs = -1};
    const struct cli anywhere = {.spool = "/", .config = cli->config};
    struct fault f;
    if (!has_words || cli->spool != NULL)
        return cli_find(cli, &c->cfg);
    return (cli->config != NULL && config_load(cli->config, &o, &c->cfg, &f)) || cli_find(&anywhere, &c->cfg);
}

enum { OPT_JSON = CLI_OPT_OWN, OPT_QUIET };

int cli_check(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        CLI_COMMON_OPTIONS,
        {"json", no_argument, NULL, OPT_JSON},
        {"quiet", no_argument, NULL, OPT_QUIET},
        {"recursive", no_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    struct check c = {0};
    int option;
    while ((option = getopt_long(argc, argv, "c:r", options, NULL)) != -1) {
        int rc = option == OPT_JSON    ? (c.json = true, -1)
                 : option == OPT_QUIET ? (c.quiet = true, -1)
                 : option == 'r'       ? (c.recursive = true, -1)
                                       : cli_common_option(cli, option, help);
        if (rc >= 0)
            return rc;
    }
    if (c.json && c.quiet)
        return cli_misused("check ", "either --json or --quiet");
    if (!configure(cli, &c, optind < argc))
        return CLI_USAGE;
    c.recursive = c.recursive || c.cfg.recursive;
    int status = check_words(&c, argc, argv);
    config_free(&c.cfg);
    return status;
}
