/* names - which spool names are jobs, which are ignored, and what their outcomes are called. Pure.
 *
 * The rules of flowspool-job(5), FILES. Names are bytes; paths are relative to the spool with '/'.
 */
#ifndef FLOWSPOOL_CORE_NAMES_H
#define FLOWSPOOL_CORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum name_kind {
    NAME_JOB,       /* NAME.yaml or NAME.yml, any case */
    NAME_HELD_JOB,  /* NAME.yaml.hold: the same job, held */
    NAME_OURS_TEMP, /* .flowspool.XXXXXX: a temporary of ours; swept at start */
    NAME_JOB_LIKE,  /* looks like a job but is not one: NAME.yaml.txt; worth one log line */
    NAME_CONFLICT,  /* a job file that a synchroniser set aside; likewise */
    NAME_OTHER,     /* nothing to us: outcomes, dot files, editor files, ... */
};
enum name_kind name_classify(const char *name);

/* Whether a directory of this name is entered with `recursive`. */
bool name_is_scanned_dir(const char *name);

/* Length of the name (or path) without .yaml/.yml and without .hold. */
size_t name_stem_len(const char *path);
/* Length of the path without a trailing .hold: the name the job is known by. */
size_t name_job_len(const char *path);

/* Why a job of this path can have no outcome: the name is not UTF-8, or it would be too long for a file
 * name with the longest suffix (control characters are fine). NULL when it can have one. The last three
 * arguments are those of name_outcome_stem(), because they are part of the name. */
const char *name_refusal(const char *path, bool several, const char *id, size_t document);

/* Outcome stem for a document: "dir/NAME", or "dir/NAME.ID" / "dir/NAME.N" in a file of several
 * (id: NULL or "" when the document has none; alone in its file, id and number are not used).
 * malloc'd; NULL when out of memory. The outcome is STEM.result.json or STEM.error.json, the kept
 * body STEM.error.body. */
char *name_outcome_stem(const char *path, bool several, const char *id, size_t document);

/* Length of the name (or path) of an outcome file, or of a kept body, without that ending; 0: it is none. */
size_t name_outcome_stem_len(const char *path);

/* Copies a name for a log or terminal: control bytes and bad UTF-8 as \xNN. Returns buf. */
char *name_escape(const char *name, char *buf, size_t size);

bool name_is_utf8(const char *s, size_t len);

#endif
