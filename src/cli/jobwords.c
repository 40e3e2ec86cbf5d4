#include "cli/jobwords.h"

#include <stdio.h>
#include <string.h>

#include "cli/terminal.h"
#include "core/units.h"

static const char *const names[SHOWN_COUNT] = {
    [SHOWN_WAITING] = "waiting", [SHOWN_LATER] = "later",         [SHOWN_HELD] = "held",
    [SHOWN_MISSING] = "missing", [SHOWN_IN_FLIGHT] = "in-flight", [SHOWN_DONE] = "done",
    [SHOWN_FAILED] = "failed",   [SHOWN_REFUSED] = "refused",
};

enum shown_state shown_state(const struct job_row *r)
{
    switch (r->state) {
    case JOB_SENT:
    case JOB_REPLIED:
        return SHOWN_IN_FLIGHT;
    case JOB_DONE:
        return SHOWN_DONE;
    case JOB_FAILED:
        return SHOWN_FAILED;
    case JOB_WAITING:
    case JOB_NSTATES:
        break;
    }
    if ((r->blocked & JOB_BLOCK_MISSING) != 0)
        return SHOWN_MISSING;
    if (r->blocked != 0)
        return SHOWN_HELD;
    return r->due_ms != 0 ? SHOWN_LATER : SHOWN_WAITING;
}

const char *shown_name(enum shown_state s)
{
    return names[s];
}

const char *shown_colour(enum shown_state s)
{
    switch (s) {
    case SHOWN_DONE:
        return TERMINAL_GREEN;
    case SHOWN_FAILED:
    case SHOWN_REFUSED:
        return TERMINAL_RED;
    case SHOWN_HELD:
    case SHOWN_MISSING:
        return TERMINAL_YELLOW;
    default:
        return NULL;
    }
}

bool shown_parse(const char *name, enum shown_state *out)
{
    for (size_t i = 0; i < SHOWN_COUNT; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        *out = (enum shown_state)i;
        return true;
    }
    return false;
}

int shown_stored(enum shown_state s)
{
    switch (s) {
    case SHOWN_DONE:
        return JOB_DONE;
    case SHOWN_FAILED:
        return JOB_FAILED;
    case SHOWN_WAITING:
    case SHOWN_LATER:
    case SHOWN_HELD:
    case SHOWN_MISSING:
        return JOB_WAITING;
    default:
        return -1; /* two stored states are in flight */
    }
}

const char *shown_why(const struct job_row *r, int64_t now_ms, char *buf, size_t size)
{
    char wait[48];
    const char *again = (r->blocked & JOB_ASKED_AGAIN) != 0 ? "runs again; " : "";
    switch (shown_state(r)) {
    case SHOWN_LATER:
        units_format_duration(r->due_ms - now_ms, wait, sizeof wait);
        snprintf(buf, size, r->due_ms == r->not_before_ms ? "starts in %s" : "again in %s", wait);
        return buf;
    case SHOWN_HELD:
        if ((r->blocked & JOB_BLOCK_CANCEL) != 0)
            return "being cancelled";
        if ((r->blocked & JOB_BLOCK_CONFLICT) != 0)
            return "its file is refused: see flowspool list --state refused";
        return (r->blocked & JOB_BLOCK_HOLD_FILE) != 0 ? "its file ends in .hold"
                                                       : "to let it go: flowspool release";
    case SHOWN_MISSING:
        return "its file is gone";
    case SHOWN_IN_FLIGHT:
        if ((r->blocked & JOB_BLOCK_CANCEL) != 0)
            return "cancelled, unless it has a result";
        return (r->blocked & JOB_BLOCK_HOLD) != 0 ? "held, if it would be tried again" : "";
    case SHOWN_FAILED:
        snprintf(buf, size, "%s%s: %s", again, r->code != NULL ? r->code : "?",
                 r->message != NULL ? r->message : "");
        return buf;
    case SHOWN_DONE:
        if (again[0] != '\0')
            return "runs again";
        return r->sandbox ? "from a sandbox" : "";
    default:
        return "";
    }
}

const char *shown_ending(const struct job_row *r)
{
    if (r->state == JOB_DONE)
        return ".result.json";
    return r->state == JOB_FAILED ? ".error.json" : NULL;
}

const char *verdict_words(const char *verdict)
{
    static const struct {
        const char *verdict, *words;
    } table[] = {
        {"success", "success"},
        {"rate_limited", "rate limit met (not counted)"},
        {"account_refused", "account refused (not counted)"},
        {"endpoint_away", "endpoint away (not counted)"},
        {"workflow_not_found", "workflow not found"},
        {"workflow_held", "workflow not found, now held"},
        {"rejected", "refused by the service"},
        {"server_error", "the service failed"},
        {"server_error_held", "the service failed, now held"},
        {"invalid_response", "the reply holds no result"},
        {"too_large", "the reply was too large"},
        {"ambiguous", "no answer; may have been charged"},
        {"crashed", "cut off; may have been charged"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].verdict, verdict) == 0)
            return table[i].words;
    return verdict;
}
