#include "io/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/digest.h"
#include "io/log.h"

#define KEY_MAX 4096

static void short_hash(const char *text, char out[13])
{
    char hex[DIGEST_HEX];
    const struct digest_part part = {text, strlen(text)};
    digest_hex(&part, 1, hex);
    memcpy(out, hex, 12);
    out[12] = '\0';
}

/* Drops one trailing newline; NULL when it is fit to stand in a header, else why not. */
static const char *unfit(char *text)
{
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len == 0)
        return "is empty";
    if (len > KEY_MAX)
        return "is longer than 4096 bytes";
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f)
            return "holds a space, a control byte, a line break or a byte that is not ASCII; a key is one "
                   "line of ASCII";
    return NULL;
}

static bool read_key_file(const char *path, char **text, struct fault *fault)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        fault_set(fault, 0, 0, "key file %s: %s", path, strerror(errno));
        return false;
    }
    char *buf = calloc(1, KEY_MAX + 3);
    size_t used = 0;
    ssize_t n = buf != NULL ? 1 : -1;
    while (n > 0 && used < KEY_MAX + 2) {
        n = read(fd, buf + used, KEY_MAX + 2 - used);
        used += n > 0 ? (size_t)n : 0;
    }
    int err = errno;
    close(fd);
    if (n >= 0 && strlen(buf) == used) {
        *text = buf;
        return true;
    }
    if (n < 0)
        fault_set(fault, 0, 0, "key file %s: %s", path, strerror(err));
    else
        fault_set(fault, 0, 0, "key file %s holds a NUL byte; a key is one line of ASCII", path);
    if (buf != NULL)
        explicit_bzero(buf, used);
    free(buf);
    return false;
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

struct source {
    const char *file; /* read it */
    const char *text; /* or take this */
    const char *name;
    bool own_mode; /* who may read the file is the operator's doing: a service manager has its own ways */
};

static void warn_readable(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
        log_line(LOG_WARN, NULL, "key file %s can be read by others (mode %03o): chmod 600 it", path,
                 (unsigned)st.st_mode & 0777);
}

/* A later source that says something else: somebody may think that it is the one in use. */
static void warn_overridden(const struct source *s, const struct api_key *used)
{
    char *text = NULL;
    struct fault ignored;
    char hash[13];
    if (s->file != NULL && !read_key_file(s->file, &text, &ignored))
        return;
    if (s->file == NULL)
        text = strdup(s->text);
    if (text == NULL)
        return;
    if (unfit(text) == NULL) {
        short_hash(text, hash);
        if (strcmp(hash, used->short_hash) != 0)
            log_line(LOG_WARN, NULL, "%s%s holds another key (%s) and is not used: %s comes first", s->name,
                     s->file != NULL ? s->file : "", hash, used->source);
    }
    wipe(text);
}

static bool use_source(const struct source *s, struct api_key *out, struct fault *fault)
{
    char *text = NULL;
    char *file = NULL;
    fault_no_memory(fault);
    if (s->file != NULL && !read_key_file(s->file, &text, fault))
        return false;
    if (s->file == NULL)
        text = strdup(s->text);
    else
        file = strdup(s->file);
    const char *why = text != NULL ? unfit(text) : NULL;
    if (why != NULL)
        fault_set(fault, 0, 0, "the key from %s%s %s", s->name, s->file != NULL ? s->file : "", why);
    if (text == NULL || why != NULL || (s->file != NULL && file == NULL)) {
        wipe(text);
        free(file);
        return false;
    }
    out->text = text;
    out->file = file;
    snprintf(out->source, sizeof out->source, "%s%s", s->name, s->file != NULL ? s->file : "");
    short_hash(text, out->short_hash);
    if (s->own_mode)
        warn_readable(file);
    return true;
}

static const char *credential_path(char *buf, size_t size)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (dir == NULL || snprintf(buf, size, "%s/api_key", dir) >= (int)size)
        return NULL;
    return access(buf, F_OK) == 0 ? buf : NULL;
}

bool api_key_load(const char *option_file, const char *config_file, struct api_key *out, struct fault *fault)
{
    char path[4096];
    const char *credential = credential_path(path, sizeof path), *variable = getenv("FLOWSPOOL_API_KEY");
    const struct source sources[] = {
        {option_file, NULL, "file ", true},
        {credential, NULL, "credential ", false},
        {NULL, variable != NULL && variable[0] != '\0' ? variable : NULL, "$FLOWSPOOL_API_KEY", false},
        {config_file[0] != '\0' ? config_file : NULL, NULL, "file ", true},
    };
    bool found = false;
    *out = (struct api_key){0};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (sources[i].file == NULL && sources[i].text == NULL)
            continue;
        if (found)
            warn_overridden(&sources[i], out);
        else if (!use_source(&sources[i], out, fault))
            return false;
        found = true;
    }
    if (!found)
        fault_set(fault, 0, 0,
                  "no key: give --api-key-file FILE, the credential api_key, $FLOWSPOOL_API_KEY, or "
                  "`api_key_file:` in the "
                  "configuration");
    return found;
}

void api_key_free(struct api_key *k)
{
    wipe(k->text);
    free(k->file);
    *k = (struct api_key){0};
}

uint64_t api_key_signature(const struct api_key *k)
{
    struct stat st;
    if (k->file == NULL || stat(k->file, &st) != 0)
        return 0;
    uint64_t mix = (uint64_t)st.st_ino * 0x9e3779b97f4a7c15U;
    mix ^= (uint64_t)st.st_mtim.tv_sec * 1000000007U + (uint64_t)st.st_mtim.tv_nsec;
    mix ^= (uint64_t)st.st_ctim.tv_sec * 998244353U + (uint64_t)st.st_ctim.tv_nsec * 31U;
    return mix ^ ((uint64_t)st.st_size << 48) ^ 1U;
}
