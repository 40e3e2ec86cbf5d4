/* control_client - the asking half of the operator's socket (control.h): one request, one reply, a time-out.
 * Blocking, and without an event loop, because the library has it too.
 */
#ifndef FLOWSPOOL_IO_CONTROL_CLIENT_H
#define FLOWSPOOL_IO_CONTROL_CLIENT_H

#include <sys/un.h>

/* The socket's address through the opened directory, for both halves: a path may be longer than the 107 bytes
 * that an address holds. */
int control_address(int dir_fd, struct sockaddr_un *a);

/* Sends one request, returns the malloc'd reply. NULL: *err is a negative errno (-ENOENT, -ECONNREFUSED: no
 * daemon; -ETIMEDOUT: it does not answer). */
char *control_call(const char *state_dir, const char *request, int timeout_ms, int *err);

#endif
