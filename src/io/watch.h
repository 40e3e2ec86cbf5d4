/* watch - file events as hints, by inotify's own descriptor on the libuv loop.
 *
 * libuv's own events hide queue overflow and close-after-write. Events only say "look there"; the scan
 * is the truth. Without inotify (or out of watches) everything still works by rescans: watch_add says so.
 * Only job files, held ones, PAUSE and directories are reported; our own outcomes and everybody's temporaries
 * are dropped by name. A flood is taken in portions, one per turn of the loop.
 * What no event tells: that the spool directory was removed while somebody has it open (spool_still_there
 * does).
 */
#ifndef FLOWSPOOL_IO_WATCH_H
#define FLOWSPOOL_IO_WATCH_H

#include <uv.h>

enum watch_event {
    WATCH_WRITTEN,   /* closed after writing, or attributes changed (touch, but chmod too: compare)
                      */
    WATCH_ARRIVED,   /* renamed in: complete at once */
    WATCH_CREATED,   /* appeared: being written perhaps, or linked in and complete (the caller looks at
                        st_nlink) */
    WATCH_GONE,      /* deleted or moved away */
    WATCH_DIR,       /* a directory appeared or vanished, or became another spool: scan */
    WATCH_OVERFLOW,  /* events were lost: scan; path is "" */
    WATCH_SELF_GONE, /* a watched directory itself was moved, deleted or unmounted: path names it */
};
struct watch;
/* path: relative to the spool, of the file or directory; valid during the call. The function may call
 * watch_add and watch_close. */
typedef void (*watch_fn)(void *arg, enum watch_event event, const char *path);

/* 0 or a negative errno (-EMFILE: out of inotify instances); watches nothing yet. */
int watch_open(struct watch **out, uv_loop_t *loop, const char *spool_dir, watch_fn fn, void *arg);
/* rel "" is the spool itself. 0, or -ENOSPC when the kernel's limit of watches is reached, or another
 * negative errno. Repeating is harmless, and right after a directory was renamed: it gets its new name. */
int watch_add(struct watch *w, const char *rel);
/* Watches neither this directory nor any below it any more. */
void watch_drop(struct watch *w, const char *rel);
/* No event is reported any more. The loop must turn once more to free the memory. NULL is allowed. */
void watch_close(struct watch *w);

#endif
