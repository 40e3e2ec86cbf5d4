#include "cli/select.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"

#define DIGEST_LEAST 6

static const char *relative(const char *given, const char *spool)
{
    size_t len = strlen(spool);
    while (strncmp(given, "./", 2) == 0)
        given += 2;
    if (strncmp(given, spool, len) == 0 && given[len] == '/')
        return given + len + 1;
    return given;
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
        w->is_glob = strpbrk(w->text, "*?[") != NULL;
    }
    return true;
}

void select_close(struct selection *s)
{
    free(s->words);
    *s = (struct selection){0};
}

static bool is_path(const char *text, const char *path)
{
    size_t len = strlen(path);
    return strncmp(text, path, len) == 0 && (text[len] == '\0' || strcmp(text + len, ".hold") == 0);
}

/* "a", or one of the files that are called so. */
static bool is_stem(const char *text, const char *stem)
{
    static const char *const endings[] = {"", ".result.json", ".error.json", ".error.body"};
    size_t len = strlen(stem);
    if (strncmp(text, stem, len) != 0)
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (strcmp(text + len, endings[i]) == 0)
            return true;
    return false;
}

static bool is_digest(struct select_word *w, const char *digest)
{
    size_t len = strlen(w->text);
    if (len < DIGEST_LEAST || strncasecmp(w->text, digest, len) != 0)
        return false;
    if (w->digest[0] != '\0' && strcmp(w->digest, digest) != 0)
        w->ambiguous = true;
    memcpy(w->digest, digest, sizeof w->digest);
    return true;
}

static bool means(struct select_word *w, const struct job_row *r)
{
    if (is_path(w->text, r->path) || is_stem(w->text, r->stem))
        return true;
    if (w->is_glob)
        return fnmatch(w->text, r->path, FNM_PATHNAME) == 0;
    return is_digest(w, r->request_sha256);
}

bool select_job(struct selection *s, const struct job_row *r, const struct select_word **by)
{
    *by = NULL;
    for (size_t i = 0; i < s->count; i++) {
        if (!means(&s->words[i], r))
            continue;
        s->words[i].matched++;
        if (*by == NULL)
            *by = &s->words[i];
    }
    return *by != NULL || s->count == 0;
}

bool select_check(const struct selection *s)
{
    bool ok = true;
    for (size_t i = 0; i < s->count; i++) {
        const struct select_word *w = &s->words[i];
        if (w->ambiguous)
            cli_complain("\"%s\" begins the digests of different requests: give more digits", w->given);
        else if (w->matched == 0)
            cli_complain(
                "no job is \"%s\": a job is named by its file in the spool, a glob, or 6 or more digits "
                "of its request_sha256",
                w->given);
        ok = ok && !w->ambiguous && w->matched > 0;
    }
    return ok;
}
