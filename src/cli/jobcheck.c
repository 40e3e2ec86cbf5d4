#include "cli/jobcheck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"

bool jobcheck_open(struct jobcheck *c, struct findings *f, enum inputs_as inputs_as)
{
    *c = (struct jobcheck){.findings = f, .inputs_as = inputs_as};
    bool requests = firsts_open(&c->requests), outcomes = firsts_open(&c->outcomes);
    return requests && outcomes;
}

void jobcheck_close(struct jobcheck *c)
{
    firsts_close(&c->requests);
    firsts_close(&c->outcomes);
}

/* Two jobs in one file never share one: jobfile refuses that. True: nobody had the outcome's name. */
static bool claim(struct jobcheck *c, const char *shown, bool several, const char *id, size_t document)
{
    char digest[DIGEST_HEX], *first = NULL;
    char *stem = name_outcome_stem(shown, several, id, document);
    if (stem == NULL) {
        c->failed = true;
        return true;
    }
    const struct digest_part part = {stem, strlen(stem)};
    digest_hex(&part, 1, digest);
    free(stem);
    c->failed = !firsts_see(&c->outcomes, digest, shown, &first) || c->failed;
    if (first == NULL)
        return true;
    findings_fault_text(c->findings, shown,
                        "its outcome would have the same name as that of %s; rename one of them", first);
    free(first);
    return false;
}

/* A file that does not parse has an outcome, too: its error. */
static bool check_names(struct jobcheck *c, const char *shown, const char *path, const struct jobfile *jobs)
{
    const size_t count = jobs != NULL ? jobs->count : 1;
    for (size_t i = 0; i < count; i++) {
        const char *id = count > 1 ? jobs->jobs[i].id : NULL;
        const char *why = name_refusal(path, count > 1, id, i + 1);
        if (why != NULL)
            findings_fault_text(c->findings, shown, "%s", why);
        if (why != NULL || !claim(c, shown, count > 1, id, i + 1))
            return false;
    }
    return true;
}

void jobcheck_request(struct jobcheck *c, const char *shown, const struct jobfile *jobs, size_t i,
                      bool bought)
{
    char *name = NULL, *first = NULL;
    if (jobs->count > 1 && asprintf(&name, "%s #%zu", shown, i + 1) < 0)
        name = NULL;
    const char *called = name != NULL ? name : shown;
    c->failed = !firsts_see(&c->requests, jobs->jobs[i].request_sha256, called, &first) || c->failed;
    if (first != NULL && bought)
        findings_duplicate(c->findings, called, first);
    free(first);
    free(name);
}

bool jobcheck_file(struct jobcheck *c, const char *shown, const char *path, const char *bytes, size_t len,
                   struct jobfile *out)
{
    struct fault fault;
    if (!jobfile_parse(bytes, len, c->inputs_as, out, &fault)) {
        findings_fault(c->findings, shown, &fault);
        if (path != NULL)
            check_names(c, shown, path, NULL);
        return false;
    }
    if (path != NULL && !check_names(c, shown, path, out)) {
        jobfile_free(out);
        return false;
    }
    c->jobs += (int64_t)out->count;
    return true;
}
