/* Names at a take: the file's own, which it may have by a rename, those of its outcomes, and the files that
 * have to give way for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "daemon/intake_internal.h"

#define INODE_MATCHES 8
#define STRAYS_MAX    256

static bool is_in(const struct jobfile *f, const struct job_row *row)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(row->request_sha256, f->jobs[i].request_sha256) == 0)
            return true;
    return false;
}

/* A file that was renamed: same inode, its old name gone, and a job of the same identity in it. 1 or 0;
 * negative: its old name cannot be looked at now. */
static int is_renamed(struct intake *in, const struct look *k, const struct file_row *candidate)
{
    char path[4096];
    struct spool_stat st;
    if (strcmp(candidate->path, k->job_path) == 0)
        return 0;
    int err = intake_find_file(in, candidate->path, path, sizeof path, &st);
    if (err != 0 && err != -ENOENT)
        return err;
    if (err == 0 && st.ino == k->st.ino)
        return 0; /* a second link: another job */
    size_t count = 0;
    bool same = false;
    struct job_row *jobs = store_file_jobs(in->o.store, candidate->id, &count);
    for (size_t i = 0; i < count && !same; i++)
        same = is_in(k->jobs, &jobs[i]);
    job_rows_free(jobs, count);
    return same;
}

bool take_find_rename(struct intake *in, const struct look *k, struct take_plan *p)
{
    struct file_row rows[INODE_MATCHES] = {0};
    const struct file_sig sig = spool_sig(&k->st);
    if (k->row->id != 0 && k->row->sig.ino == k->st.ino)
        return true;
    size_t n = store_files_by_inode(in->o.store, &sig, rows, INODE_MATCHES);
    bool settled = true;
    for (size_t i = 0; i < n; i++) {
        int is = p->renamed_from.id == 0 ? is_renamed(in, k, &rows[i]) : 0;
        settled = settled && is >= 0 && !intake_changes(in, rows[i].id);
        if (is > 0)
            p->renamed_from = rows[i];
        else
            file_row_free(&rows[i]);
    }
    return settled;
}

bool take_find_strays(struct intake *in, const struct look *k, struct take_plan *p)
{
    if (p->renamed_from.id != 0 || (k->row->id != 0 && k->row->sig.ino == k->st.ino))
        return true;
    const struct file_sig sig = spool_sig(&k->st);
    size_t count = 0;
    struct job_row *rows = store_load_strays(in->o.store, &sig, STRAYS_MAX, &count);
    if (count == 0)
        return true;
    struct job_row *grown = reallocarray(p->known, p->nknown + count, sizeof *grown);
    for (size_t i = 0; i < count; i++) {
        if (grown != NULL && rows[i].file_id != k->row->id && is_in(k->jobs, &rows[i])) {
            p->again = p->again || intake_changes(in, rows[i].file_id);
            grown[p->nknown++] = rows[i];
            p->nstrays++;
        } else {
            job_row_free(&rows[i]);
        }
    }
    if (grown != NULL)
        p->known = grown;
    free(rows);
    return grown != NULL;
}

/* ---- files that give way to this one ---- */

/* false: an outcome of it is being written right now. */
static bool can_give_way(struct intake *in, int64_t file_id)
{
    size_t count = 0;
    bool can = true;
    struct job_row *jobs = store_file_jobs(in->o.store, file_id, &count);
    for (size_t i = 0; i < count; i++)
        can = can && in->o.host.phase(in->o.host.arg, jobs[i].id) != LIVE_PUBLISHING;
    job_rows_free(jobs, count);
    return can;
}

void take_give_way(struct intake *in, int64_t file_id)
{
    size_t count = 0;
    struct job_row *jobs = store_file_jobs(in->o.store, file_id, &count);
    for (size_t i = 0; i < count; i++) {
        in->o.host.drop(in->o.host.arg, jobs[i].id);
        in->o.host.supersede(in->o.host.arg, jobs[i].id);
    }
    job_rows_free(jobs, count);
}

/* Each file once. */
void take_displace(struct intake *in, struct take_plan *p, int64_t file_id)
{
    for (size_t i = 0; i < p->ndisplace; i++)
        if (p->displace[i] == file_id)
            return;
    p->displace[p->ndisplace++] = file_id;
    p->again = p->again || intake_changes(in, file_id) || !can_give_way(in, file_id);
}

/* ---- outcome names ---- */

bool take_stems(const struct look *k, struct take_plan *p)
{
    p->njobs = k->jobs != NULL ? k->jobs->count : 1;
    p->stems = calloc(p->njobs, sizeof *p->stems);
    p->jobs = calloc(p->njobs, sizeof *p->jobs);
    p->drop = calloc(p->nknown + 1, sizeof *p->drop);
    p->supersede = calloc(p->nknown + 1, sizeof *p->supersede);
    p->displace = calloc(p->njobs + 1, sizeof *p->displace);
    if (p->stems == NULL || p->jobs == NULL || p->drop == NULL || p->supersede == NULL || p->displace == NULL)
        return false;
    for (size_t i = 0; i < p->njobs; i++) {
        bool several = k->jobs != NULL && k->jobs->count > 1;
        const char *id = several && k->jobs->jobs[i].id[0] != '\0' ? k->jobs->jobs[i].id : NULL;
        p->stems[i] = name_outcome_stem(k->job_path, several, id, i + 1);
        if (p->stems[i] == NULL)
            return false;
    }
    return true;
}

/* Who else has the name, malloc'd; NULL: nobody who could not give way. */
static char *other_owner(struct intake *in, const struct look *k, struct take_plan *p, const char *stem)
{
    int64_t own = p->renamed_from.id != 0 ? p->renamed_from.id : k->row->id;
    char *owner = store_stem_owner(in->o.store, stem, own);
    if (owner == NULL)
        return NULL;
    int64_t gone =
        k->row->id != 0 && strcmp(owner, k->job_path) == 0 ? k->row->id : intake_find_gone(in, owner);
    if (gone == 0)
        return owner;
    take_displace(in, p, gone);
    free(owner);
    return NULL;
}

const char *take_name_fault(struct intake *in, const struct look *k, struct take_plan *p, char *buf,
                            size_t size)
{
    for (size_t i = 0; i < p->njobs; i++) {
        bool several = k->jobs != NULL && k->jobs->count > 1;
        const char *id = several && k->jobs->jobs[i].id[0] != '\0' ? k->jobs->jobs[i].id : NULL;
        const char *why = name_refusal(k->job_path, several, id, i + 1);
        if (why != NULL)
            return why;
        char *owner = other_owner(in, k, p, p->stems[i]);
        if (owner == NULL)
            continue;
        snprintf(buf, size, "its outcome would have the same name as that of %s; rename one of them", owner);
        free(owner);
        return buf;
    }
    return NULL;
}
