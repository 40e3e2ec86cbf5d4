/* shop - the service of the crash driver, in a process of its own: it counts what every job bought, and its
 * count outlives every daemon.
 *
 * Plain HTTP/1.1 on a port of the loopback address. The count lies in memory that both processes see; the
 * shop alone writes it while it is open. What a request gets is told by its workflow:
 *
 *   wf_ok     a result at once                 wf_fault  500 at first, then a result
 *   wf_slow   a result after some ms           wf_broken 500 always
 *   wf_busy   429 at first, then a result      wf_gone   404 of the service
 *   wf_fat    a result too big for memory      wf_huge   one larger than the daemon accepts
 *   wf_cut    charged and cut off at first     wf_never  charged and never answered at first; then a result
 *
 * The key of a job is the input "key"; a result says "KEY sale N", with N counted for each key from 1.
 */
#ifndef FLOWSPOOL_CRASH_SHOP_H
#define FLOWSPOOL_CRASH_SHOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#define SHOP_ITEMS 32
#define KEY_SIZE   16

struct shop_item {
    char key[KEY_SIZE];
    int posts;   /* requests that arrived whole */
    int charged; /* of those, what was charged, answered or not */
    int at_once; /* requests that came while another one for this key was open */
};

struct shop_count {
    _Atomic int posts; /* of all keys */
    int nitems;
    struct shop_item items[SHOP_ITEMS];
};

struct shop {
    pid_t pid;
    int port;
    int ask, answer; /* ends of pipes: see shop_settle() */
    struct shop_count *count;
};

bool shop_open(struct shop *s);
void shop_close(struct shop *s);
/* Returns when all that daemons which are gone have sent is counted. False: the shop is gone too. */
bool shop_settle(struct shop *s);
/* Forgets all sales. After shop_settle(), while no daemon runs. */
void shop_reset(struct shop *s);
/* What was counted for this key; all zero for one that never came. */
struct shop_item shop_item(const struct shop *s, const char *key);

#endif
