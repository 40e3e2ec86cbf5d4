#include "cli/jobjson.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/jobwords.h"

static void outcome(struct json_line *j, const struct job_row *r)
{
    char *name = NULL;
    const char *ending = shown_ending(r);
    if (ending != NULL && asprintf(&name, "%s%s", r->stem, ending) < 0) {
        name = NULL;
        j->failed = true;
    }
    json_text(j, "outcome", name);
    free(name);
}

void job_json(struct json_line *j, const struct job_row *r)
{
    json_text(j, "job", r->path);
    json_known(j, "document", r->document > 0 ? r->document : -1);
    json_text(j, "id", r->doc_id);
    json_text(j, "state", shown_name(shown_state(r)));
    json_text(j, "workflow", r->workflow);
    json_text(j, "request_sha256", r->request_sha256[0] != '\0' ? r->request_sha256 : NULL);
    json_text(j, "job_sha256", r->job_sha256);
    json_number(j, "priority", r->priority);
    json_number(j, "attempts", r->attempts);
    json_number(j, "rate_limited", r->rate_limited);
    json_number(j, "ambiguous", r->ambiguous);
    json_known(j, "http_status", r->http_status > 0 ? r->http_status : -1);
    json_text(j, "code", r->code);
    json_text(j, "message", r->message);
    json_instant(j, "seen_at", r->seen_ms);
    json_instant(j, "queued_at", r->queued_ms);
    json_instant(j, "not_before", r->not_before_ms);
    json_instant(j, "expires", r->expires_ms);
    json_instant(j, "due_at", r->state == JOB_WAITING ? r->due_ms : 0);
    json_instant(j, "started_at", r->started_ms);
    json_instant(j, "finished_at", r->finished_ms);
    json_known(j, "duration_ms", r->duration_ms);
    json_text(j, "request_id", r->request_id);
    json_text(j, "endpoint", r->endpoint);
    json_bool(j, "sandbox", r->sandbox);
    outcome(j, r);
}

void job_json_refused(struct json_line *j, const struct file_row *f)
{
    json_text(j, "job", f->path);
    json_text(j, "state", shown_name(SHOWN_REFUSED));
    json_text(j, "job_sha256", f->job_sha256);
    json_text(j, "message", f->fault != NULL ? f->fault : "");
    json_instant(j, "seen_at", f->seen_ms);
}
