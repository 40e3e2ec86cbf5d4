/* files - what the driver does with files. What it cannot do ends it: then nothing is shown. */
#ifndef FLOWSPOOL_CRASH_FILES_H
#define FLOWSPOOL_CRASH_FILES_H

#include <stdbool.h>
#include <stddef.h>

#define PATH_SIZE 512

/* "dir/name", in one of a few buffers that take turns. */
const char *path_of(const char *dir, const char *name);
void file_write(const char *path, const char *text);
/* As a user should: written aside and renamed. */
void file_put(const char *dir, const char *name, const char *text);
void file_rename(const char *dir, const char *from, const char *to);
/* malloc'd, with a NUL behind; NULL: there is no such file. */
char *file_read(const char *path, size_t *len);
/* False: there is no such file. */
bool file_copy(const char *from, const char *to);
void directory_make(const char *path, unsigned mode);
void tree_remove(const char *path); /* no error when it is not there */

#endif
