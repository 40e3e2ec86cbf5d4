/* terminal - how wide stdout is, whether it shows colours, and text that fits. */
#ifndef FLOWSPOOL_CLI_TERMINAL_H
#define FLOWSPOOL_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Columns of the terminal, 80 where stdout is none. */
size_t terminal_width(void);
/* Lines of the terminal, 24 where that is not known. */
size_t terminal_height(void);
/* stdout is a terminal that can move its cursor. */
bool terminal_is_able(void);
/* stdout is a terminal that is not dumb, and $NO_COLOR is not set. */
bool terminal_colours(void);

#define TERMINAL_RED    "\033[31m"
#define TERMINAL_GREEN  "\033[32m"
#define TERMINAL_YELLOW "\033[33m"
#define TERMINAL_PLAIN  "\033[0m"

/* Columns that a text takes; it holds no control characters (utf8_escape). */
size_t text_width(const char *text);
/* The bytes of the longest beginning that takes at most so many columns; *taken: how many it takes. */
size_t text_fit(const char *text, size_t columns, size_t *taken);

#endif
