/* http_settings - what all requests of one configuration share. */
#include "io/http_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CA_FILE_MAX = 8 * 1024 * 1024 };

static bool has_part(CURLU *url, CURLUPart part)
{
    char *value = NULL;
    CURLUcode rc = curl_url_get(url, part, &value, 0);
    curl_free(value);
    return rc == CURLUE_OK;
}

static const char *url_fault(CURLU *url, const char *endpoint)
{
    if (curl_url_set(url, CURLUPART_URL, endpoint, 0) != CURLUE_OK) {
        return "it is not a URL of the form https://host[:port][/path]";
    }
    if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD)) {
        return "it must not contain a user name or password: the key has its own file";
    }
    return NULL;
}

const char *http_endpoint_fault(const char *endpoint)
{
    if (endpoint[0] == '\0') {
        return "it is empty";
    }
    if (strlen(endpoint) > 2000) {
        return "it is longer than 2000 characters";
    }
    for (const char *p = endpoint; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '\\') {
            return "it contains a space, a backslash or a control character";
        }
    }
    if (strncasecmp(endpoint, "https://", 8) != 0 && strncasecmp(endpoint, "http://", 7) != 0) {
        return "it must start with https:// (or http://)";
    }
    if (strpbrk(endpoint, "?#") != NULL) {
        return "it must not contain a query or a fragment";
    }
    if (strcasestr(endpoint, "/api/v1") != NULL) {
        return "it must not contain /api/v1: /api/v1/run/{workflow} is appended to it";
    }
    CURLU *url = curl_url();
    if (url == NULL) {
        return "out of memory";
    }
    const char *fault = url_fault(url, endpoint);
    curl_url_cleanup(url);
    return fault;
}

/* Its user and password must not end in the log, so what is wrong is said without it. */
static const char *proxy_fault(const char *proxy)
{
    static const char *const schemes[] = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"};
    CURLU *url = curl_url();
    char *scheme = NULL;
    if (url == NULL) {
        return "out of memory";
    }
    bool known =
        curl_url_set(url, CURLUPART_URL, proxy, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK;
    bool usable = false;
    for (size_t i = 0; known && i < sizeof schemes / sizeof schemes[0]; i++) {
        usable = usable || strcasecmp(scheme, schemes[i]) == 0;
    }
    curl_free(scheme);
    curl_url_cleanup(url);
    if (!known) {
        return "it is not of the form http://[user:password@]host[:port]";
    }
    return usable ? NULL : "it must be a http, https, socks4, socks4a, socks5 or socks5h proxy";
}

/* Appends a file to the bundle. 0 or a negative errno. *certificate: a certificate begins in it. */
static int append_file(int out, const char *path, bool *certificate)
{
    static const char begin[] = "-----BEGIN ";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > CA_FILE_MAX) {
        close(fd);
        return -EINVAL;
    }
    size_t size = (size_t)st.st_size;
    char *text = malloc(size + 2);
    if (text == NULL) {
        close(fd);
        return -ENOMEM;
    }
    ssize_t n = read(fd, text, size);
    int rc = n < 0 ? -errno : 0;
    close(fd);
    if (rc == 0) {
        size = (size_t)n;
        *certificate = memmem(text, size, begin, strlen(begin)) != NULL;
        text[size++] = '\n'; /* the next file's first line must begin a line */
        ssize_t written = write(out, text, size);
        rc = written < 0 ? -errno : written != (ssize_t)size ? -EIO : 0;
    }
    free(text);
    return rc;
}

/* CURLOPT_CAINFO replaces the system's bundle, and a blob or CURLOPT_CAPATH keeps libcurl from sharing
 * one parsed store among connections (a megabyte and milliseconds each). So: a memory file with both. */
static int combine_trust(struct http_settings *s, const char *ca_file, const char *bundle,
                         unsigned generation, char *message, size_t size)
{
    bool certificate = false;
    s->ca_fd = memfd_create("flowspool-ca", MFD_CLOEXEC);
    int rc = s->ca_fd < 0 ? -errno : 0;
    if (rc == 0 && bundle != NULL) {
        rc = append_file(s->ca_fd, bundle, &certificate);
        rc = rc == -ENOENT ? 0 : rc;
    }
    if (rc != 0) {
        (void)snprintf(message, size, "cannot prepare the trust anchors: %s", strerror(-rc));
        return rc;
    }
    certificate = false;
    rc = append_file(s->ca_fd, ca_file, &certificate);
    if (rc == 0 && !certificate) {
        rc = -EINVAL;
    }
    if (rc != 0) {
        (void)snprintf(message, size, "ca_file %s: %s", ca_file,
                       rc == -EINVAL ? "not a file with PEM certificates" : strerror(-rc));
        return rc;
    }
    /* libcurl's store is found again by the path alone, so a reused descriptor number must not give the
     * same path: the number of slashes changes with the configuration. */
    int slashes = (int)(generation % 32) + 1;
    char path[80];
    (void)snprintf(path, sizeof path, "/proc/self/fd%.*s%d", slashes, "////////////////////////////////",
                   s->ca_fd);
    s->ca_path = strdup(path);
    return s->ca_path == NULL ? -ENOMEM : 0;
}

static int set_trust(struct http_settings *s, const struct http_options *o, unsigned generation,
                     char *message, size_t size)
{
    const char *bundle = curl_version_info(CURLVERSION_NOW)->cainfo;
    s->has_bundle = bundle != NULL && access(bundle, R_OK) == 0;
    if (o->ca_file == NULL || o->ca_file[0] == '\0') {
        return 0;
    }
    return combine_trust(s, o->ca_file, s->has_bundle ? bundle : NULL, generation, message, size);
}

static bool add_header(struct http_settings *s, const char *line)
{
    struct curl_slist *list = curl_slist_append(s->headers, line);
    if (list == NULL) {
        return false;
    }
    s->headers = list;
    return true;
}

static bool set_headers(struct http_settings *s)
{
    if (s->key[0] != '\0') {
        size_t size = strlen(s->key) + sizeof "Authorization: Bearer ";
        char *line = malloc(size);
        if (line == NULL) {
            return false;
        }
        (void)snprintf(line, size, "Authorization: Bearer %s", s->key);
        bool ok = add_header(s, line);
        explicit_bzero(line, size);
        free(line);
        if (!ok) {
            return false;
        }
    }
    return add_header(s, "Content-Type: application/json") && add_header(s, "Accept: application/json") &&
           add_header(s, "Expect:");
}

static bool copy_strings(struct http_settings *s, const struct http_options *o)
{
    s->base = strdup(o->endpoint);
    s->key = strdup(o->key != NULL ? o->key : "");
    s->user_agent = strdup(o->user_agent != NULL ? o->user_agent : "flowspool");
    s->proxy = strdup(o->proxy != NULL ? o->proxy : "");
    s->spill_dir = strdup(o->spill_dir != NULL ? o->spill_dir : "");
    if (s->base == NULL || s->key == NULL || s->user_agent == NULL || s->proxy == NULL ||
        s->spill_dir == NULL) {
        return false;
    }
    size_t len = strlen(s->base);
    while (len > 0 && s->base[len - 1] == '/') {
        s->base[--len] = '\0';
    }
    return true;
}

int http_settings_new(struct http_settings **out, const struct http_options *o, unsigned generation,
                      char *message, size_t size)
{
    const char *fault = http_endpoint_fault(o->endpoint);
    if (fault != NULL) {
        (void)snprintf(message, size, "endpoint: %s", fault);
        return -EINVAL;
    }
    fault = o->proxy != NULL && o->proxy[0] != '\0' ? proxy_fault(o->proxy) : NULL;
    if (fault != NULL) {
        (void)snprintf(message, size, "proxy: %s", fault);
        return -EINVAL;
    }
    if (o->key != NULL && strpbrk(o->key, "\r\n") != NULL) {
        (void)snprintf(message, size, "the key contains a line break");
        return -EINVAL;
    }
    struct http_settings *s = calloc(1, sizeof *s);
    if (s == NULL) {
        (void)snprintf(message, size, "out of memory");
        return -ENOMEM;
    }
    s->refs = 1;
    s->ca_fd = -1;
    s->tls = strncasecmp(o->endpoint, "https:", 6) == 0;
    s->request_timeout_ms = o->request_timeout_ms;
    s->connect_timeout_ms = o->connect_timeout_ms;
    s->max_response_size = o->max_response_size;
    int rc = -ENOMEM;
    (void)snprintf(message, size, "out of memory");
    if (copy_strings(s, o) && set_headers(s)) {
        rc = set_trust(s, o, generation, message, size);
    }
    if (rc != 0) {
        http_settings_unref(s);
        return rc;
    }
    message[0] = '\0';
    *out = s;
    return 0;
}

struct http_settings *http_settings_ref(struct http_settings *s)
{
    s->refs++;
    return s;
}

void http_settings_unref(struct http_settings *s)
{
    if (s == NULL || --s->refs > 0) {
        return;
    }
    for (struct curl_slist *h = s->headers; h != NULL; h = h->next) {
        explicit_bzero(h->data, strlen(h->data));
    }
    curl_slist_free_all(s->headers);
    if (s->key != NULL) {
        explicit_bzero(s->key, strlen(s->key));
    }
    if (s->ca_fd >= 0) {
        close(s->ca_fd);
    }
    free(s->base);
    free(s->key);
    free(s->user_agent);
    free(s->proxy);
    free(s->spill_dir);
    free(s->ca_path);
    free(s);
}
