#include "core/holdwords.h"

#include <stdio.h>
#include <string.h>

const char *gate_words(const char *cause)
{
    static const struct {
        const char *cause, *words;
    } table[] = {
        {"paused", "paused; to go on: flowspool resume"},
        {"pause-file", "paused by the file PAUSE in the spool; to go on: remove it"},
        {"vanished", "most job files vanished at once: put them back, or accept it: flowspool resume"},
        {"lost-state", "the state was lost, so results may be bought again; to accept it: flowspool resume"},
        {"disk", "no room on the disk for replies; goes on when there is"},
        {"max-jobs", "max_jobs are used up; to go on: start again, or raise it and send SIGHUP"},
        {"spool-gone", "the spool cannot be listed, or is another directory now"},
        {"draining", "flowspoold is stopping"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].cause, cause) == 0)
            return table[i].words;
    return cause;
}

void hold_words(const struct status_hold *h, char buf[HOLD_WORDS_SIZE])
{
    const size_t size = HOLD_WORDS_SIZE;
    const char *open = h->reason[0] != '\0' ? " (" : "", *close = h->reason[0] != '\0' ? ")" : "";
    if (strcmp(h->kind, STATUS_GATE) == 0)
        snprintf(buf, size, "%s", gate_words(h->cause));
    else if (strcmp(h->kind, STATUS_DIRECTORY) == 0)
        snprintf(buf, size, "no outcome can be written in the directory %s", h->reason);
    else if (strcmp(h->kind, STATUS_RATE) == 0)
        snprintf(buf, size, "the account's rate limit was met (429)");
    else if (strcmp(h->kind, STATUS_ACCOUNT) == 0)
        snprintf(buf, size, "the account refuses %s%s%s%s",
                 strcmp(h->cause, "unauthorized") == 0 ? "the key" : "work", open, h->reason, close);
    else if (strcmp(h->kind, STATUS_WORKFLOW) == 0)
        snprintf(buf, size, "workflow %s %s%s%s%s", h->workflow != NULL ? h->workflow : "?",
                 strcmp(h->cause, "workflow_not_found") == 0 ? "is not found" : "fails", open, h->reason,
                 close);
    else if (strcmp(h->kind, STATUS_ENDPOINT) == 0)
        snprintf(buf, size, "the endpoint %s%s%s%s",
                 strcmp(h->cause, "server_errors") == 0 ? "fails" : "is out of reach", open, h->reason,
                 close);
    else
        snprintf(buf, size, "%s: %s%s%s%s", h->kind, h->cause, open, h->reason, close);
}
