#include "core/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/utf8.h"

#define FILE_NAME_MAX  255 /* bytes, on every file system a spool may lie on */
#define LONGEST_SUFFIX ".result.json"

static bool ends_with(const char *s, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len >= n && memcmp(s + len - n, end, n) == 0;
}

static bool ends_with_any_case(const char *s, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len >= n && strncasecmp(s + len - n, end, n) == 0;
}

/* The length of a trailing .yaml or .yml in any case, 0 when there is none. */
static size_t job_suffix_len(const char *s, size_t len)
{
    if (ends_with_any_case(s, len, ".yaml"))
        return 5;
    return ends_with_any_case(s, len, ".yml") ? 4 : 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* mkstemp() fills in six letters and digits; anything else under this prefix is not ours to delete. */
static bool is_our_temporary(const char *name)
{
    static const char prefix[] = ".flowspool.";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *random = name + sizeof prefix - 1;
    return strlen(random) == 6 && strspn(random, "abcdefghijklmnopqrstuvwxyz"
                                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == 6;
}

/* Whether s begins with the shape of a date or time: '9' stands for any digit. */
static bool has_shape(const char *s, const char *shape)
{
    for (; *shape != '\0'; s++, shape++)
        if (*shape == '9' ? *s < '0' || *s > '9' : *s != *shape)
            return false;
    return true;
}

/* Whether such a shape begins anywhere in the len bytes at s. */
static bool holds_shape(const char *s, size_t len, const char *shape)
{
    for (size_t i = 0; i + strlen(shape) <= len; i++)
        if (has_shape(s + i, shape))
            return true;
    return false;
}

/* Whether the len bytes at note say these words, and then a date. */
static bool says_with_date(const char *note, size_t len, const char *words, bool first)
{
    const char *at = strcasestr(note, words);
    size_t from = at == NULL ? 0 : (size_t)(at - note) + strlen(words);
    if (at == NULL || from > len || (first && at != note))
        return false;
    return holds_shape(note + from, len - from, "9999-99-99");
}

/* "NAME (…)": what stands between the brackets. */
static bool is_conflict_note(const char *note, size_t len)
{
    static const char by_case[] = "case conflict"; /* the one without a date; a number may follow */
    size_t n = sizeof by_case - 1;
    if (len >= n && strncasecmp(note, by_case, n) == 0 && strspn(note + n, " 0123456789") >= len - n)
        return true;
    return says_with_date(note, len, "conflicted copy", false) ||
           says_with_date(note, len, "conflict ", true) || says_with_date(note, len, "sfconflict ", true);
}

/* A copy that a synchroniser set aside is a second purchase of the same job, so it is not one. Only what they
 * really write counts, because people write "chapter (conflict of interest)" too.
 * Syncthing: NAME.sync-conflict-DATE-TIME-ID. Dropbox and Nextcloud: NAME (… conflicted copy DATE …), NAME
 * (conflict DATE), NAME (Case Conflict). Seafile: NAME (SFConflict WHO DATE). ownCloud:
 * NAME_conflict-DATE-TIME and NAME_conflict-WHO-DATE-TIME. */
static bool is_sync_conflict(const char *name)
{
    static const char syncthing[] = ".sync-conflict-", owncloud[] = "_conflict-", when[] = "99999999-999999";
    const char *mark = strcasestr(name, syncthing);
    if (mark && has_shape(mark + sizeof syncthing - 1, when))
        return true;
    mark = strcasestr(name, owncloud);
    if (mark && holds_shape(mark, strlen(mark), when))
        return true;
    for (const char *open = strchr(name, '('); open; open = strchr(open + 1, '('))
        if (is_conflict_note(open + 1, strcspn(open + 1, ")")))
            return true;
    return false;
}

static bool is_unfinished(const char *name, size_t len)
{
    static const char *const ends[] = {"~", ".tmp", ".part", ".swp", ".filepart", ".crdownload"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ends_with_any_case(name, len, ends[i]))
            return true;
    return false;
}

enum name_kind name_classify(const char *name)
{
    size_t len = strlen(name);
    if (is_our_temporary(name))
        return NAME_OURS_TEMP;
    if (name[0] == '.' || name[0] == '_' || is_unfinished(name, len))
        return NAME_OTHER;
    bool held = name_job_len(name) < len;
    if (held || job_suffix_len(name, len) > 0)
        return is_sync_conflict(name) ? NAME_CONFLICT : held ? NAME_HELD_JOB : NAME_JOB;
    if (ends_with_any_case(name, len, ".yaml.txt") || ends_with_any_case(name, len, ".yml.txt"))
        return NAME_JOB_LIKE;
    return NAME_OTHER;
}

bool name_is_scanned_dir(const char *name)
{
    return name[0] != '\0' && !strchr("._@#~", name[0]);
}

size_t name_job_len(const char *path)
{
    static const char hold[] = ".hold";
    size_t len = strlen(path);
    if (!ends_with(path, len, hold))
        return len;
    size_t without = len - (sizeof hold - 1);
    return job_suffix_len(path, without) > 0 ? without : len;
}

size_t name_stem_len(const char *path)
{
    size_t len = name_job_len(path);
    return len - job_suffix_len(path, len);
}

/* ".ID" or ".N", or "" alone in a file: what stands between the name and the suffix. */
static size_t document_part(char *buf, size_t size, bool several, const char *id, size_t document)
{
    int n = 0;
    buf[0] = '\0';
    if (several && id && id[0])
        n = snprintf(buf, size, ".%s", id);
    else if (several)
        n = snprintf(buf, size, ".%zu", document);
    return n > 0 ? (size_t)n : 0;
}

const char *name_refusal(const char *path, bool several, const char *id, size_t document)
{
    char part[32];
    if (!utf8_is_valid(path, strlen(path)))
        return "the name is not UTF-8; rename the file";
    size_t stem = name_stem_len(path) - (size_t)(base_name(path) - path);
    if (stem + document_part(part, sizeof part, several, id, document) + strlen(LONGEST_SUFFIX) >
        FILE_NAME_MAX)
        return "the name is too long: with " LONGEST_SUFFIX
               " (and, in a file of several documents, the id or number) it may have 255 bytes; "
               "rename the file";
    return NULL;
}

char *name_outcome_stem(const char *path, bool several, const char *id, size_t document)
{
    char none[1];
    size_t stem = name_stem_len(path);
    size_t part = document_part(none, sizeof none, several, id, document);
    char *out = malloc(stem + part + 1);
    if (!out)
        return NULL;
    memcpy(out, path, stem);
    document_part(out + stem, part + 1, several, id, document);
    return out;
}

size_t name_outcome_stem_len(const char *path)
{
    static const char *const endings[] = {".result.json", ".error.json", ".error.body"};
    size_t len = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(path, len, endings[i]))
            return len - strlen(endings[i]);
    return 0;
}

char *name_escape(const char *name, char *buf, size_t size)
{
    return utf8_escape(name, strlen(name), buf, size);
}

bool name_is_utf8(const char *s, size_t len)
{
    return utf8_is_valid(s, len);
}
