#include "io/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/names.h"
#include "core/units.h"
#include "io/clock.h"

/* Escaped for people; for JSON each of its bytes may take two. A line holds a name and a message. */
#define TEXT_MAX       1024
#define QUOTED_MAX     (2 * TEXT_MAX)
#define LINE_MAX_BYTES (2 * QUOTED_MAX + 128)

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* The one piece of state: set at start, the mutex keeps lines of several threads apart. */
static struct {
    pthread_mutex_t mutex;
    enum log_level max;
    int fd;
    bool json;
    char progress[256];
} sink = {.mutex = PTHREAD_MUTEX_INITIALIZER, .max = LOG_INFO, .fd = STDERR_FILENO};

void log_set(enum log_level max, bool json)
{
    pthread_mutex_lock(&sink.mutex);
    sink.max = max;
    sink.json = json;
    pthread_mutex_unlock(&sink.mutex);
}

enum log_level log_level(void)
{
    return sink.max;
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(text, level_names[i]) != 0)
            continue;
        *out = (enum log_level)i;
        return true;
    }
    return false;
}

/* What name_escape() made is printable UTF-8 without control bytes: quotes and backslashes are what is left
 * to escape for JSON. */
static void json_string(char out[QUOTED_MAX], const char *printable)
{
    size_t used = 0;
    for (const char *s = printable; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            out[used++] = '\\';
        out[used++] = *s;
    }
    out[used] = '\0';
}

int log_to(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        return -EINVAL;
    }
    pthread_mutex_lock(&sink.mutex);
    int old = sink.fd;
    sink.fd = fd;
    pthread_mutex_unlock(&sink.mutex);
    if (old != STDERR_FILENO)
        close(old);
    return 0;
}

static void put(int fd, const char *text, size_t len)
{
    ssize_t n = write(fd, text, len); /* nobody is left to tell when it is gone */
    (void)n;
}

static void put_line(char *line, size_t len)
{
    static const char erase[] = "\r\033[K";
    pthread_mutex_lock(&sink.mutex);
    bool drawn = sink.progress[0] != '\0' && sink.fd == STDERR_FILENO;
    if (drawn)
        put(sink.fd, erase, sizeof erase - 1);
    put(sink.fd, line, len);
    if (drawn)
        put(sink.fd, sink.progress, strlen(sink.progress));
    pthread_mutex_unlock(&sink.mutex);
}

/* Where a line speaks of: a job, perhaps a place in its file. Texts are escaped already. */
struct about {
    const char *job;     /* NULL: none */
    size_t line, column; /* 0: none */
};

static size_t format_text(char *line, const char *time, const char *level, const struct about *about,
                          const char *message)
{
    char place[48] = "";
    if (about->line != 0)
        snprintf(place, sizeof place, ":%zu:%zu", about->line, about->column);
    int n = snprintf(line, LINE_MAX_BYTES - 1, "%s %s %s%s%s%s", time, level,
                     about->job != NULL ? about->job : "", place, about->job != NULL ? ": " : "", message);
    return n < LINE_MAX_BYTES - 1 ? (size_t)n : LINE_MAX_BYTES - 2;
}

static size_t format_json(char *line, const char *time, const char *level, const struct about *about,
                          const char *message)
{
    char quoted_job[QUOTED_MAX] = "", quoted_message[QUOTED_MAX], place[64] = "";
    if (about->job != NULL)
        json_string(quoted_job, about->job);
    if (about->line != 0)
        snprintf(place, sizeof place, "\"line\":%zu,\"column\":%zu,", about->line, about->column);
    json_string(quoted_message, message);
    int n =
        snprintf(line, LINE_MAX_BYTES - 1, "{\"time\":\"%s\",\"level\":\"%s\",%s%s%s%s\"message\":\"%s\"}",
                 time, level, about->job != NULL ? "\"job\":\"" : "", quoted_job,
                 about->job != NULL ? "\"," : "", place, quoted_message);
    return n < LINE_MAX_BYTES - 1 ? (size_t)n : LINE_MAX_BYTES - 2;
}

static void emit_raw(const char *level, const struct about *about, const char *raw)
{
    char message[TEXT_MAX], name[TEXT_MAX], time[UNITS_INSTANT_SIZE], line[LINE_MAX_BYTES];
    struct about escaped = *about;
    name_escape(raw, message, sizeof message);
    if (about->job != NULL) {
        name_escape(about->job, name, sizeof name);
        escaped.job = name;
    }
    units_format_instant(clock_unix_ms(), time);
    size_t len = (sink.json ? format_json : format_text)(line, time, level, &escaped, message);
    line[len++] = '\n';
    put_line(line, len);
}

static void emit(const char *level, const char *job, const char *format, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void emit(const char *level, const char *job, const char *format, va_list ap)
{
    char raw[TEXT_MAX];
    vsnprintf(raw, sizeof raw, format, ap);
    emit_raw(level, &(struct about){.job = job}, raw);
}

void log_refused(const char *job, size_t line, size_t column, const char *reason)
{
    char raw[TEXT_MAX];
    if (LOG_WARN > sink.max)
        return;
    snprintf(raw, sizeof raw, "refused: %s", reason);
    emit_raw(level_names[LOG_WARN], &(struct about){job, line, column}, raw);
}

void log_line(enum log_level level, const char *job, const char *format, ...)
{
    if (level > sink.max)
        return;
    va_list ap;
    va_start(ap, format);
    emit(level_names[level], job, format, ap);
    va_end(ap);
}

void log_summary(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    emit("info", NULL, format, ap);
    va_end(ap);
}

void log_progress(const char *line)
{
    static const char erase[] = "\r\033[K";
    pthread_mutex_lock(&sink.mutex);
    if (line != NULL || sink.progress[0] != '\0')
        put(STDERR_FILENO, erase, sizeof erase - 1);
    snprintf(sink.progress, sizeof sink.progress, "%s", line != NULL ? line : "");
    put(STDERR_FILENO, sink.progress, strlen(sink.progress));
    pthread_mutex_unlock(&sink.mutex);
}
