/* beneath - opens paths below a directory without ever following a link, '..' or a path that leads out.
 *
 * Shared by the modules that touch the spool: the paths come from names that anybody may create there.
 */
#ifndef FLOWSPOOL_IO_BENEATH_H
#define FLOWSPOOL_IO_BENEATH_H

/* Opens path below root ("" is root itself, as a description of its own) and returns a descriptor or a
 * negative errno: -ELOOP for a link, -EINVAL for a path with "", "." or ".." in it. O_NOFOLLOW and O_CLOEXEC
 * are added to flags; O_CREAT is not for this. With O_PATH a link as the last name is opened, not followed.
 */
int beneath_open(int root, const char *path, int flags);

#endif
