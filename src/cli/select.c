#include "cli/select.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"
#include "cli/jobwords.h"
#include "core/names.h"

#define DIGEST_LEAST 6

/* ---- words ---- */

static const char *below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

static const char *relative(const char *given, const char *spool)
{
    while (strncmp(given, "./", 2) == 0)
        given += 2;
    const char *inside = below(given, spool);
    return inside != NULL ? inside : given;
}

/* What the shell completes: a path from here. Only its directory is resolved, since job files are no links
 * and may be gone. *out: malloc'd, or NULL when it leads elsewhere. False: no memory. */
static bool seen_from_here(const char *given, const char *spool, char **out)
{
    char dir[PATH_MAX], real_dir[PATH_MAX], real_spool[PATH_MAX];
    const char *slash = strrchr(given, '/'), *name = slash != NULL ? slash + 1 : given;
    size_t len = slash == NULL ? 0 : slash == given ? 1 : (size_t)(slash - given);
    *out = NULL;
    if (len >= sizeof dir || name[0] == '\0')
        return true;
    memcpy(dir, given, len);
    dir[len] = '\0';
    if (realpath(len > 0 ? dir : ".", real_dir) == NULL || realpath(spool, real_spool) == NULL)
        return true;
    const char *inside = strcmp(real_dir, real_spool) == 0 ? "" : below(real_dir, real_spool);
    if (inside == NULL)
        return true;
    return asprintf(out, "%s%s%s", inside, inside[0] != '\0' ? "/" : "", name) >= 0;
}

bool select_open(struct selection *s, char *const *argv, size_t count, const char *spool)
{
    *s = (struct selection){.words = calloc(count + 1, sizeof *s->words), .count = count};
    if (s->words == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct select_word *w = &s->words[i];
        w->given = argv[i];
        w->text = relative(argv[i], spool);
        w->best = SELECT_NOTHING;
        if (!seen_from_here(argv[i], spool, &w->here))
            return false;
    }
    return true;
}

void select_close(struct selection *s)
{
    for (size_t i = 0; s->words != NULL && i < s->count; i++)
        free(s->words[i].here);
    free(s->words);
    *s = (struct selection){0};
}

/* ---- what fits ---- */

static bool is_file(const char *text, const struct job_row *r)
{
    size_t path = strlen(r->path), stem = strlen(r->stem);
    if (strncmp(text, r->path, path) == 0 && (text[path] == '\0' || strcmp(text + path, ".hold") == 0))
        return true;
    return strncmp(text, r->stem, stem) == 0 && stem > 0 && name_outcome_stem_len(text) == stem;
}

/* Of the outcome files only the one that there is: "*.error.json" means what failed. */
static bool is_in_glob(const char *text, const struct job_row *r)
{
    char outcome[PATH_MAX];
    const char *ending = shown_ending(r);
    if (strpbrk(text, "*?[") == NULL)
        return false;
    if (fnmatch(text, r->path, FNM_PATHNAME) == 0)
        return true;
    if (ending == NULL || snprintf(outcome, sizeof outcome, "%s%s", r->stem, ending) >= (int)sizeof outcome)
        return false;
    return fnmatch(text, outcome, FNM_PATHNAME) == 0;
}

static bool begins_digest(const char *text, const char *digest)
{
    size_t len = strlen(text);
    return len >= DIGEST_LEAST && strncasecmp(text, digest, len) == 0;
}

static enum select_rank rank_of(const struct select_word *w, const struct job_row *r)
{
    if (is_file(w->text, r))
        return SELECT_PATH;
    if (w->here != NULL && is_file(w->here, r))
        return SELECT_HERE;
    if (is_in_glob(w->text, r))
        return SELECT_GLOB;
    if (strcmp(w->text, r->stem) == 0)
        return SELECT_STEM;
    return begins_digest(w->text, r->request_sha256) ? SELECT_DIGEST : SELECT_NOTHING;
}

void select_see(struct selection *s, const struct job_row *r)
{
    for (size_t i = 0; i < s->count; i++) {
        struct select_word *w = &s->words[i];
        enum select_rank rank = rank_of(w, r);
        w->best = rank < w->best ? rank : w->best;
        if (rank != SELECT_DIGEST)
            continue;
        w->ambiguous = w->ambiguous || (w->digest[0] != '\0' && strcmp(w->digest, r->request_sha256) != 0);
        memcpy(w->digest, r->request_sha256, sizeof w->digest);
    }
}

bool select_job(const struct selection *s, const struct job_row *r, const struct select_word **by)
{
    *by = NULL;
    for (size_t i = 0; i < s->count && *by == NULL; i++)
        if (s->words[i].best != SELECT_NOTHING && rank_of(&s->words[i], r) == s->words[i].best)
            *by = &s->words[i];
    return *by != NULL || s->count == 0;
}

bool select_check_word(const struct select_word *w)
{
    if (w->best == SELECT_DIGEST && w->ambiguous) {
        cli_complain("\"%s\" begins the digests of different requests: give more digits", w->given);
        return false;
    }
    if (w->best != SELECT_NOTHING)
        return true;
    if (strpbrk(w->given, "*?[") != NULL)
        cli_complain("no job matches \"%s\"", w->given);
    else
        cli_complain(
            "no job is \"%s\": a job is named by its file in the spool, a glob, or 6 or more digits of "
            "its request_sha256",
            w->given);
    return false;
}

bool select_check(const struct selection *s)
{
    bool ok = true;
    for (size_t i = 0; i < s->count; i++)
        ok = select_check_word(&s->words[i]) && ok;
    return ok;
}
