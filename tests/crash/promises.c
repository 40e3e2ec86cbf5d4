#include "promises.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/job.h"
#include "core/jsonspan.h"
#include "files.h"
#include "io/store.h"

void breach(struct report *r, int *kind, const char *format, ...)
{
    size_t used = strlen(r->breaches);
    va_list ap;
    (*kind)++;
    va_start(ap, format);
    vsnprintf(r->breaches + used, BREACHES_SIZE - used, format, ap);
    va_end(ap);
    used = strlen(r->breaches);
    snprintf(r->breaches + used, BREACHES_SIZE - used, "\n");
}

bool report_is_clean(const struct report *r)
{
    return r->lost + r->twice + r->other == 0;
}

/* ---- one outcome ---- */

struct found {
    bool there, success;
    char *code;   /* of an error */
    char *result; /* of a success */
    long long ambiguous;
    char digest[DIGEST_HEX];
};

static void found_free(struct found *f)
{
    free(f->code);
    free(f->result);
    *f = (struct found){0};
}

static const char *outcome_path(const struct place *p, const char *stem, bool success)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s.json", stem, success ? "result" : "error");
    return path_of(p->spool, name);
}

static char *member_text(const struct json_object *o, const char *name)
{
    const struct json_member *m = json_find(o, name);
    return m != NULL ? json_string(m) : NULL;
}

static char *error_code(const struct json_object *o)
{
    struct json_object error;
    const struct json_member *m = json_find(o, "error");
    return m != NULL && json_scan_object(m->value, m->value_len, &error) ? member_text(&error, "code") : NULL;
}

/* False: it is not whole. */
static bool parse(struct found *f, const char *text, size_t len, bool success)
{
    struct json_object o;
    const struct digest_part all = {text, len};
    digest_hex(&all, 1, f->digest);
    if (!json_scan_object(text, len, &o))
        return false;
    const struct json_member *says = json_find(&o, "success"), *count = json_find(&o, "ambiguous");
    f->there = true;
    f->success = success;
    if (success)
        f->result = member_text(&o, "result");
    else
        f->code = error_code(&o);
    return says != NULL && (says->type == JSON_TRUE) == success && count != NULL &&
           json_whole(count, &f->ambiguous) && (success ? f->result : f->code) != NULL;
}

/* Reads whichever is there; of both the result. during: at a crash both may be there for a moment. */
static struct found find_outcome(const struct place *p, const char *stem, bool during, struct report *r)
{
    struct found f = {0};
    for (int success = 1; success >= 0; success--) {
        size_t len;
        char *text = file_read(outcome_path(p, stem, success != 0), &len);
        if (text == NULL)
            continue;
        if (f.there && !during)
            breach(r, &r->other, "%s has both outcomes", stem);
        else if (!f.there && !parse(&f, text, len, success != 0))
            breach(r, &r->other, "the outcome of %s is not whole%s: %zu bytes: %.60s", stem,
                   during ? ", at the crash" : "", len, text);
        free(text);
    }
    return f;
}

/* ---- at the crash ---- */

struct reading {
    struct witness *w;
    const struct place *p;
    struct store *store;
};

static bool is_answered(struct store *s, const struct job_row *row)
{
    struct reply_row reply;
    if (row->state == JOB_DONE || row->state == JOB_FAILED)
        return true;
    if (row->state != JOB_REPLIED || !store_load_reply(s, row->id, &reply))
        return false;
    bool bought = reply.http_status == 200;
    reply_row_free(&reply);
    return bought;
}

static bool read_row(void *arg, const struct job_row *row)
{
    struct reading *reading = arg;
    const struct scenario *s = reading->p->scenario;
    for (size_t i = 0; i < WANTS_MAX && s->wants[i].stem != NULL; i++) {
        struct witness_job *j = &reading->w->jobs[i];
        if (row->stem == NULL || strcmp(row->stem, s->wants[i].stem) != 0)
            continue;
        j->state = (int)row->state;
        j->ambiguous = row->ambiguous;
        j->answered = is_answered(reading->store, row);
    }
    return true;
}

/* One that is not a database yet, or that was cut while it became one, says nothing; the next start must cope
 * with it. */
static void read_state(struct witness *w, const struct place *p)
{
    char message[256];
    struct store *store;
    const char *state = path_of(p->spool, ".flowspool");
    tree_remove(p->scratch);
    directory_make(p->scratch, 0700);
    if (!file_copy(path_of(state, "state.db"), path_of(p->scratch, "state.db")))
        return;
    file_copy(path_of(state, "state.db-wal"), path_of(p->scratch, "state.db-wal"));
    if (store_open_readonly(&store, p->scratch, message, sizeof message) != STORE_OK)
        return;
    struct reading reading = {w, p, store};
    store_list(store, -1, NULL, read_row, &reading);
    store_close(store);
}

void witness_take(struct witness *w, const struct place *p, struct report *r)
{
    const struct scenario *s = p->scenario;
    *w = (struct witness){0};
    for (size_t i = 0; i < WANTS_MAX && s->wants[i].stem != NULL; i++) {
        struct witness_job *j = &w->jobs[i];
        struct found f = find_outcome(p, s->wants[i].stem, true, r);
        j->state = -1;
        if (f.there)
            memcpy(j->outcome, f.digest, sizeof j->outcome);
        if (f.code != NULL)
            snprintf(j->code, sizeof j->code, "%s", f.code);
        if (s->wants[i].key != NULL)
            j->charged = shop_item(p->shop, s->wants[i].key).charged;
        found_free(&f);
    }
    read_state(w, p);
}

/* ---- how one job ended ---- */

struct ending {
    const struct place *p;
    const struct want *want;
    struct found found;
    struct shop_item sold;
    struct report *r;
};

static void check_sales(const struct ending *e)
{
    int most = e->p->policy == POLICY_RETRY ? 1 + MAX_AMBIGUOUS : 1;
    bool too_large = e->found.code != NULL && strcmp(e->found.code, CODE_RESPONSE_TOO_LARGE) == 0;
    long long told = (e->found.success || too_large ? 1 : 0) + e->found.ambiguous;
    if (e->sold.charged > most)
        breach(e->r, &e->r->twice, "%s was bought %d times", e->want->stem, e->sold.charged);
    else if (e->sold.charged > told)
        breach(e->r, &e->r->twice, "%s was bought %d times, and its outcome tells of %lld", e->want->stem,
               e->sold.charged, told);
    if (e->sold.at_once > 0)
        breach(e->r, &e->r->twice, "%s had two requests in flight", e->want->stem);
}

static void check_result(const struct ending *e)
{
    char words[KEY_SIZE + 32];
    for (int n = 1; n <= e->sold.charged; n++) {
        snprintf(words, sizeof words, "%s sale %d", e->want->key, n);
        if (strcmp(e->found.result, words) == 0)
            return;
    }
    breach(e->r, &e->r->lost, "the result of %s is not what was sold: %.60s", e->want->stem, e->found.result);
}

static bool ends_as_wanted(const struct ending *e)
{
    if (e->found.success)
        return e->want->code == NULL;
    return e->want->code != NULL && e->found.code != NULL && strcmp(e->found.code, e->want->code) == 0;
}

/* Each time that its request was out and its reply not durable allows for one ambiguous attempt. */
static void check_ambiguous(const struct ending *e, const struct witness *w, size_t job, int count)
{
    int allowed = e->want->lost;
    for (int i = 0; i < count; i++)
        allowed += w[i].jobs[job].state == JOB_SENT;
    if (e->found.ambiguous > allowed)
        breach(e->r, &e->r->other, "%s has %lld ambiguous attempts, and %d can have been", e->want->stem,
               e->found.ambiguous, allowed);
}

/* An error that no stored reply is behind is found again by the next start if its end was not stored: it says
 * the same with other words and times. What was answered for stays as it is, to the byte. */
static bool is_kept(const struct ending *e, const struct witness_job *then)
{
    if (then->code[0] != '\0' && then->state == JOB_SENT)
        return e->found.code != NULL && strcmp(e->found.code, then->code) == 0;
    return strcmp(then->outcome, e->found.digest) == 0;
}

static void check_against(const struct ending *e, const struct witness_job *then)
{
    bool may_move = e->p->scenario->outcomes_move;
    if (then->outcome[0] != '\0' && !may_move && !is_kept(e, then))
        breach(e->r, &e->r->lost, "the outcome of %s that lay there at the crash is another one now",
               e->want->stem);
    if (!then->answered || (may_move && then->state != JOB_REPLIED))
        return;
    if (e->found.ambiguous != then->ambiguous)
        breach(e->r, &e->r->other, "the reply to %s was durable and became ambiguous", e->want->stem);
    if (e->sold.charged != then->charged)
        breach(e->r, &e->r->twice, "the reply to %s was durable and it was bought again", e->want->stem);
    if (then->state == JOB_REPLIED && !ends_as_wanted(e))
        breach(e->r, &e->r->lost, "the reply to %s was durable and was not used", e->want->stem);
}

static void check_job(const struct place *p, const struct witness *w, int count, size_t job, struct report *r)
{
    struct ending e = {.p = p, .want = &p->scenario->wants[job], .r = r};
    e.found = find_outcome(p, e.want->stem, false, r);
    if (e.want->key != NULL)
        e.sold = shop_item(p->shop, e.want->key);
    if (!e.found.there) {
        breach(r, &r->lost, "%s has no outcome", e.want->stem);
        return;
    }
    bool ambiguous = e.found.code != NULL && strcmp(e.found.code, CODE_AMBIGUOUS) == 0;
    r->ambiguous += ambiguous;
    if (!ambiguous && !ends_as_wanted(&e))
        breach(r, &r->other, "%s ended with %s", e.want->stem,
               e.found.code != NULL ? e.found.code : "a result");
    if (e.found.success && e.found.result != NULL)
        check_result(&e);
    check_sales(&e);
    check_ambiguous(&e, w, job, count);
    for (int i = 0; i < count; i++)
        check_against(&e, &w[i].jobs[job]);
    found_free(&e.found);
}

/* ---- the files ---- */

/* What the file of this name must hold now; NULL: there must be none. */
static const char *text_of(const struct scenario *s, const char *name)
{
    const char *text = NULL;
    for (size_t i = 0; i < FILES_MAX && s->files[i].name != NULL; i++)
        if (strcmp(s->files[i].name, name) == 0)
            text = s->files[i].text;
    for (size_t i = 0; i < FILES_MAX && s->renames[i].name != NULL; i++) {
        if (strcmp(s->renames[i].name, name) == 0)
            text = NULL;
        if (strcmp(s->renames[i].text, name) == 0)
            text = text_of(&(struct scenario){.files = {s->files[0], s->files[1], s->files[2], s->files[3]}},
                           s->renames[i].name);
    }
    for (size_t i = 0; i < FILES_MAX && s->later[i].name != NULL; i++)
        if (strcmp(s->later[i].name, name) == 0)
            text = s->later[i].text;
    return text;
}

static void check_file(const struct place *p, const char *name, struct report *r)
{
    const char *expected = text_of(p->scenario, name);
    char *text = file_read(path_of(p->spool, name), NULL);
    bool same = text == NULL ? expected == NULL : expected != NULL && strcmp(text, expected) == 0;
    if (!same)
        breach(r, &r->lost, "the job file %s is %s", name, text == NULL ? "gone" : "not what it was");
    free(text);
}

static void check_files(const struct place *p, struct report *r)
{
    const struct scenario *s = p->scenario;
    for (size_t i = 0; i < FILES_MAX && s->files[i].name != NULL; i++)
        check_file(p, s->files[i].name, r);
    for (size_t i = 0; i < FILES_MAX && s->renames[i].name != NULL; i++)
        check_file(p, s->renames[i].text, r);
    for (size_t i = 0; i < FILES_MAX && s->later[i].name != NULL; i++)
        check_file(p, s->later[i].name, r);
}

static bool is_expected(const struct place *p, const char *name)
{
    const struct scenario *s = p->scenario;
    if (name[0] == '.')
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, ".flowspool") == 0;
    if (text_of(s, name) != NULL || strcmp(name, "STATUS.txt") == 0)
        return true;
    for (size_t i = 0; i < WANTS_MAX && s->wants[i].stem != NULL; i++) {
        size_t len = strlen(s->wants[i].stem);
        if (strncmp(name, s->wants[i].stem, len) == 0 &&
            (strcmp(name + len, ".result.json") == 0 || strcmp(name + len, ".error.json") == 0 ||
             strcmp(name + len, ".error.body") == 0))
            return true;
    }
    return false;
}

static void check_names(const struct place *p, struct report *r)
{
    DIR *dir = opendir(p->spool);
    for (const struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;)
        if (!is_expected(p, d->d_name))
            breach(r, &r->other, "%s was left in the spool", d->d_name);
    if (dir != NULL)
        closedir(dir);
}

/* Spilled replies of jobs that have ended, and results that were to be kept. */
static void check_state_dir(const struct place *p, struct report *r)
{
    const char *state = path_of(p->spool, ".flowspool");
    const char *replies = path_of(state, "replies"), *superseded = path_of(state, "superseded");
    bool kept = p->scenario->kept == NULL;
    DIR *dir = opendir(replies);
    for (const struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;)
        if (d->d_name[0] != '.')
            breach(r, &r->other, "replies/%s was left", d->d_name);
    if (dir != NULL)
        closedir(dir);
    dir = opendir(superseded);
    for (const struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
        char *text = d->d_name[0] != '.' ? file_read(path_of(superseded, d->d_name), NULL) : NULL;
        kept = kept || (text != NULL && strstr(text, p->scenario->kept) != NULL);
        free(text);
    }
    if (dir != NULL)
        closedir(dir);
    if (!kept)
        breach(r, &r->lost, "the superseded result (%s) is gone", p->scenario->kept);
}

void promises_check(const struct place *p, const struct witness *witnesses, int count, struct report *r)
{
    for (size_t i = 0; i < WANTS_MAX && p->scenario->wants[i].stem != NULL; i++)
        check_job(p, witnesses, count, i, r);
    check_files(p, r);
    check_names(p, r);
    check_state_dir(p, r);
}
