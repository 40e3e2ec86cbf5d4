/* An outcome that lies beside a new job. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/outcome.h"
#include "core/verdict.h"
#include "daemon/intake_internal.h"
#include "io/log.h"

static bool read_beside(struct intake *in, const char *stem, const char *ending, struct outcome_summary *out)
{
    char path[4096];
    char *text = NULL;
    size_t len = 0;
    if (snprintf(path, sizeof path, "%s%s", stem, ending) >= (int)sizeof path)
        return false;
    if (spool_read_outcome(in->o.spool, path, config_outcome_max(in->o.config), &text, &len) != 0)
        return false;
    bool ok = outcome_read(text, len, out);
    free(text);
    return ok;
}

static bool stops_run(const struct intake *in, const struct outcome_summary *s, const char *request_sha256)
{
    if (strcmp(s->request_sha256, request_sha256) != 0)
        return false;
    return !s->sandbox || (s->endpoint != NULL && strcmp(s->endpoint, in->o.endpoint) == 0);
}

/* A new job whose result, or ambiguous error, lies beside it is not bought again. */
void intake_adopt_beside(struct intake *in, const struct look *k, const char *stem, struct take_job *t)
{
    struct outcome_summary s = {0};
    if (read_beside(in, stem, ".result.json", &s) && s.success && stops_run(in, &s, t->request_sha256)) {
        t->state = JOB_DONE;
        t->sandbox = s.sandbox;
        t->endpoint = s.sandbox ? in->o.endpoint : NULL;
    }
    outcome_summary_free(&s);
    s = (struct outcome_summary){0};
    if (t->state == JOB_WAITING && read_beside(in, stem, ".error.json", &s) && !s.success &&
        code_if_charged(s.code, s.ambiguous) != NULL && stops_run(in, &s, t->request_sha256)) {
        t->state = JOB_FAILED;
        t->code = code_if_charged(s.code, s.ambiguous);
        t->message = "its outcome beside the job file says that it may have been charged";
    }
    outcome_summary_free(&s);
    if (t->state == JOB_WAITING)
        return;
    t->beside = true;
    in->o.host.already_done(in->o.host.arg);
    log_line(LOG_INFO, k->job_path, "already done: its outcome lies beside it; not sent");
}
