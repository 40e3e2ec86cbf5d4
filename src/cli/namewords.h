/* namewords - why a name in a spool is not that of a job, in words. */
#ifndef FLOWSPOOL_CLI_NAMEWORDS_H
#define FLOWSPOOL_CLI_NAMEWORDS_H

/* NULL: the name (without directories) is a job's, held or not. */
const char *name_ignored_words(const char *name);
/* Whether a scan enters the directories that a path names; NULL: it does, else why not. */
const char *path_ignored_words(const char *path);

#endif
