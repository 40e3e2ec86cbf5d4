#include "cli/screen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/terminal.h"

/* As every terminal since the VT100 understands it, the second screen as xterm does. */
#define ENTER     "\033[?1049h\033[?25l"
#define LEAVE     "\033[?25h\033[?1049l"
#define HOME      "\033[H"
#define ERASE_END "\033[K" /* of the line */
#define ERASE_ALL "\033[J" /* below */

static bool put(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static bool put_text(const char *text)
{
    return put(text, strlen(text));
}

/* ---- typing ---- */

/* What is typed would be shown in the middle of the text. In the background the terminal is not ours to
 * change.
 */
static void hide_typing(struct screen *s)
{
    s->quiet = tcgetpgrp(STDIN_FILENO) == getpgrp() && tcgetattr(STDIN_FILENO, &s->typing) == 0;
    if (!s->quiet)
        return;
    struct termios quiet = s->typing;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
}

static void show_typing(const struct screen *s)
{
    if (s->quiet)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &s->typing);
}

/* ---- life ---- */

static void enter(struct screen *s)
{
    hide_typing(s);
    put_text(ENTER);
}

static void leave(const struct screen *s)
{
    put_text(LEAVE);
    show_typing(s);
}

bool screen_open(struct screen *s)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
    if (!terminal_is_able())
        return false;
    *s = (struct screen){0};
    sigemptyset(&s->signals);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&s->signals, signals[i]);
    sigprocmask(SIG_BLOCK, &s->signals, &s->before);
    enter(s);
    return true;
}

void screen_close(struct screen *s, const char *text)
{
    leave(s);
    put_text(text);
    sigprocmask(SIG_SETMASK, &s->before, NULL);
}

/* ---- drawing ---- */

/* The text with the end of each line erased, as far as the terminal is high; malloc'd or NULL. */
static char *frame(const char *text, size_t rows)
{
    char *out = NULL;
    size_t size = 0, row = 0;
    FILE *f = open_memstream(&out, &size);
    if (f == NULL)
        return NULL;
    fputs(HOME, f);
    while (*text != '\0' && row < rows) {
        size_t len = strcspn(text, "\n");
        if (row++ > 0)
            fputc('\n', f);
        fwrite(text, 1, len, f);
        fputs(ERASE_END, f);
        text += len + (text[len] == '\n');
    }
    fputs(ERASE_ALL, f);
    if (fclose(f) == 0)
        return out;
    free(out);
    return NULL;
}

bool screen_draw(const char *text)
{
    char *out = frame(text, terminal_height());
    bool ok = out == NULL || put_text(out); /* without memory the last one stays a little longer */
    free(out);
    return ok;
}

/* ---- waiting ---- */

/* SIGTSTP is blocked, so that the terminal can be given back first. */
static void stop(struct screen *s)
{
    leave(s);
    raise(SIGSTOP);
    enter(s);
}

enum screen_event screen_wait(struct screen *s, int64_t ms)
{
    const struct timespec patience = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    switch (sigtimedwait(&s->signals, NULL, &patience)) {
    case SIGINT:
    case SIGTERM:
    case SIGHUP:
    case SIGQUIT:
        return SCREEN_ENDED;
    case SIGTSTP:
        stop(s);
        return SCREEN_TIME;
    default: /* time, size, or continued */
        return SCREEN_TIME;
    }
}
