#include "cli/terminal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "core/utf8.h"

size_t terminal_width(void)
{
    struct winsize w;
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
        return w.ws_col;
    return 80;
}

size_t terminal_height(void)
{
    struct winsize w;
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0)
        return w.ws_row;
    return 24;
}

bool terminal_is_able(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

bool terminal_colours(void)
{
    const char *no_colour = getenv("NO_COLOR");
    return terminal_is_able() && (no_colour == NULL || no_colour[0] == '\0');
}

/* wcwidth() knows nothing outside ASCII where the locale is C: one column is the best guess then. */
static size_t columns_of(uint32_t cp)
{
    int width = wcwidth((wchar_t)cp);
    return width < 0 ? 1 : (size_t)width;
}

size_t text_fit(const char *text, size_t columns, size_t *taken)
{
    size_t len = strlen(text), used = 0;
    *taken = 0;
    while (used < len) {
        uint32_t cp = '?';
        size_t n = utf8_decode(text + used, len - used, &cp);
        size_t width = columns_of(cp);
        if (width > columns - *taken)
            break;
        *taken += width;
        used += n > 0 ? n : 1;
    }
    return used;
}

size_t text_width(const char *text)
{
    size_t taken;
    text_fit(text, SIZE_MAX, &taken);
    return taken;
}
