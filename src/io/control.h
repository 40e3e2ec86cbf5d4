/* control - the operator's socket in state_dir: one JSON object per line, one reply per line.
 *
 * The daemon's half, on the libuv loop; control_client.h is the other. The socket is state_dir/control, mode
 * 0600 (0660 with state_group); peer credentials are checked: root, the daemon's user, or a member of the
 * group. Requests are bounded (64 KiB a line, 16 clients, 10 s idle).
 */
#ifndef FLOWSPOOL_IO_CONTROL_H
#define FLOWSPOOL_IO_CONTROL_H

#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct control;
/* request: one line, NUL-terminated. Returns the malloc'd reply without newline (NULL: internal error). */
typedef char *(*control_fn)(void *arg, const char *request);

int control_open(struct control **out, uv_loop_t *loop, const char *state_dir,
                 gid_t group /* (gid_t)-1: none */, control_fn fn, void *arg);
void control_close(struct control *s);
/* Only inside fn: its reply is kept back, until what it says is durable. The ticket, which is never 0, is for
 * the second, which lets it go: as it is, or as this text. A client that left meanwhile is no error. */
uint64_t control_hold_reply(struct control *s);
void control_unhold_reply(struct control *s); /* only inside fn: not after all */
void control_release_reply(struct control *s, uint64_t ticket, const char *text);

#endif
