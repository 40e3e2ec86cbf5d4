/* SPOOL/STATUS.txt, with `status_file: true`.
 *
 * It is written when what it says has changed, at most every few seconds, and once a minute while something
 * is sent, for the rate; so the disk of a daemon that has nothing to do can sleep. That it cannot be written
 * is said once, and stops nothing.
 */
#include <string.h>

#include "core/digest.h"
#include "core/statustext.h"
#include "daemon/engine.h"
#include "io/log.h"

#define NAME         "STATUS.txt"
#define EVERY_MS     3000
#define WHILE_MOVING (60 * 1000)

static void write_text(struct engine *e, const char *text, size_t len)
{
    struct status_file *f = &e->status_file;
    int err = publish_note(e->publish, NAME, text, len);
    if (err != 0 && !f->failed)
        log_line(LOG_WARN, NULL, NAME " cannot be written: %s; tried again when something changes",
                 strerror(-err));
    f->failed = err != 0;
    f->there = f->there || err == 0;
}

/* Whether it says something else than what was written last. */
static bool has_changed(struct engine *e, const struct status *s, char text[STATUS_TEXT_SIZE])
{
    struct status_file *f = &e->status_file;
    char digest[DIGEST_HEX];
    const struct status_text_about about = {0};
    const struct digest_part part = {text, status_text(s, &about, text)};
    digest_hex(&part, 1, digest);
    bool changed = strcmp(digest, f->digest) != 0;
    memcpy(f->digest, digest, sizeof digest);
    return changed;
}

static void look(struct engine *e, int64_t now_ms)
{
    struct status_file *f = &e->status_file;
    struct hold_list holds;
    char text[STATUS_TEXT_SIZE];
    const struct status s = report_status(e, &holds);
    bool changed = has_changed(e, &s, text);
    f->looked_ms = now_ms;
    f->stale = false;
    f->moving = s.in_flight > 0 || (s.has_counts && s.counts.in_flight > 0);
    if (changed)
        f->changed_unix_ms = clock_unix_ms();
    if (!changed && !(f->moving && now_ms - f->written_ms >= WHILE_MOVING))
        return;
    const struct status_text_about about = {.written_ms = clock_unix_ms(), .changed_ms = f->changed_unix_ms};
    write_text(e, text, status_text(&s, &about, text));
    f->written_ms = now_ms;
}

/* Who reads it next must not take what it said before for the present. */
static void end(struct engine *e, const char *ended)
{
    struct status_file *f = &e->status_file;
    struct hold_list holds;
    char text[STATUS_TEXT_SIZE];
    int64_t now = clock_unix_ms();
    const struct status s = report_status(e, &holds);
    const struct status_text_about about = {.written_ms = now, .changed_ms = now, .ended = ended};
    if (f->there)
        write_text(e, text, status_text(&s, &about, text));
    *f = (struct status_file){0};
}

void statusfile_step(struct engine *e, int64_t now_ms)
{
    struct status_file *f = &e->status_file;
    if (!e->cfg.status_file) {
        if (f->there)
            end(e, "no longer keeps this file");
        return;
    }
    if (f->looked_ms != 0 && now_ms - f->looked_ms < EVERY_MS) {
        f->stale = true;
        return;
    }
    look(e, now_ms);
}

int64_t statusfile_next(const struct engine *e)
{
    const struct status_file *f = &e->status_file;
    if (!e->cfg.status_file)
        return INT64_MAX;
    if (f->stale)
        return f->looked_ms + EVERY_MS;
    return f->moving ? f->written_ms + WHILE_MOVING : INT64_MAX;
}

void statusfile_end(struct engine *e)
{
    if (e->cfg.status_file)
        end(e, "has stopped");
}
