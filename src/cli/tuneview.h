/* tuneview - what flowspool tune knows, from the daemon or as the last one kept it, and its two forms. */
#ifndef FLOWSPOOL_CLI_TUNEVIEW_H
#define FLOWSPOOL_CLI_TUNEVIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/ask.h"
#include "core/tuning.h"

struct tune_view {
    const struct config *cfg;
    int64_t now_ms; /* Unix */
    bool has_state; /* a daemon has run here */
    bool known;     /* the next is there: the daemon's, or what the last one kept */
    struct tuning tuning;
    enum ask_rc daemon;
    const char *reason; /* of what it did not answer */
};

/* cfg and now_ms are set. Strings live in the arena. False: message says why. */
bool tuneview_read(struct tune_view *v, struct arena *a, char *message, size_t size);

/* False: no memory. */
bool tuneview_text(const struct tune_view *v, FILE *out, bool colours, size_t width);
bool tuneview_json(const struct tune_view *v, FILE *out);

/* The readings as a chart, at most so many columns wide; nothing where no limit is known. */
void tuneview_chart(const struct tuning *t, FILE *out, size_t width);

#endif
