/* screen - a text on the terminal behind stdout that is drawn again in place.
 *
 * It has the terminal's second screen, so that it needs no more of the first than what it leaves there in the
 * end. While it is open, the signals that end, stop or resize it are blocked and come out of screen_wait():
 * there is no moment in which the cursor stays hidden.
 */
#ifndef FLOWSPOOL_CLI_SCREEN_H
#define FLOWSPOOL_CLI_SCREEN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct screen {
    sigset_t signals, before;
    bool quiet; /* typing is not shown */
    struct termios typing;
};

enum screen_event {
    SCREEN_TIME,  /* the time is over, or the terminal has another size, or the program was continued */
    SCREEN_ENDED, /* interrupted, told to end, or the terminal is gone */
};

/* False: stdout is no terminal that can do it. */
bool screen_open(struct screen *s);
/* In one write: lines that are not drawn anew never disappear. What is higher than the terminal is cut.
 * False: the terminal is gone. */
bool screen_draw(const char *text);
enum screen_event screen_wait(struct screen *s, int64_t ms);
/* Leaves the text where the program was started. */
void screen_close(struct screen *s, const char *text);

#endif
