/* watch: which events reach the caller, and what becomes of floods, overflow and directories that move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/watch.h"
#include "io/watch_table.h"
#include "tempdir.h"

enum { PATIENCE_MS = 20000 };

struct fixture {
    struct tempdir dir;
    uv_loop_t loop;
    uv_timer_t patience;
    struct watch *watch;
    char seen[8192]; /* one event a line */
    size_t count, overflows;
    int markers;
    bool quiet; /* count only */
    bool close_at_first;
    bool out_of_patience;
};

static void on_event(void *arg, enum watch_event event, const char *path)
{
    static const char *const names[] = {"written", "arrived",  "created",  "gone",
                                        "dir",     "overflow", "self-gone"};
    struct fixture *f = arg;
    f->count++;
    f->overflows += event == WATCH_OVERFLOW;
    size_t len = strlen(f->seen);
    if (!f->quiet)
        snprintf(f->seen + len, sizeof f->seen - len, "%s %s\n", names[event], path);
    if (f->close_at_first)
        watch_close(f->watch);
}

static void on_patience(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    f->out_of_patience = true;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    tempdir_open(&f->dir, "/tmp");
    put_dir(&f->dir, "spool");
    char path[300];
    snprintf(path, sizeof path, "%s/spool", f->dir.path);
    TEMPDIR_MUST(uv_loop_init(&f->loop) == 0 && uv_timer_init(&f->loop, &f->patience) == 0);
    f->patience.data = f;
    uv_timer_start(&f->patience, on_patience, PATIENCE_MS, 0);
    TEMPDIR_MUST(watch_open(&f->watch, &f->loop, path, on_event, f) == 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (!f->close_at_first)
        watch_close(f->watch);
    uv_close((uv_handle_t *)&f->patience, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    TEMPDIR_MUST(uv_loop_close(&f->loop) == 0);
    tempdir_close(&f->dir);
    free(f);
    return 0;
}

static void move(struct fixture *f, const char *from, const char *to)
{
    TEMPDIR_MUST(renameat(f->dir.fd, from, f->dir.fd, to) == 0);
}

/* Runs the loop until a last event, provoked here, has come: then all before it have. */
static const char *events_so_far(struct fixture *f)
{
    char marker[64], line[80], *end;
    put_file(&f->dir, "marker", "");
    snprintf(marker, sizeof marker, "spool/marker-%d.yaml", ++f->markers);
    snprintf(line, sizeof line, "arrived marker-%d.yaml\n", f->markers);
    move(f, "marker", marker);
    while (!(end = strstr(f->seen, line)) && !f->out_of_patience)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_false(f->out_of_patience);
    *end = '\0';
    return f->seen;
}

static void forget(struct fixture *f)
{
    events_so_far(f);
    f->seen[0] = '\0';
    f->count = 0;
}

/* ---- single events ---- */

enum action { PUT, MOVE, LINK, SYMLINK, REMOVE, MKDIR, RMDIR, TOUCH };

struct event_case {
    const char *name;
    enum action action;
    const char *a, *b;
    const char *want;
};

/* In order: each finds what those before it left. */
static const struct event_case event_cases[] = {
    {"written in place", PUT, "spool/a.yaml", NULL, "created a.yaml\nwritten a.yaml\n"},
    {"written again", PUT, "spool/a.yaml", NULL, "written a.yaml\n"},
    {"touched", TOUCH, "spool/a.yaml", NULL, "written a.yaml\n"},
    {"moved within", MOVE, "spool/a.yaml", "spool/b.yaml", "gone a.yaml\narrived b.yaml\n"},
    {"held", MOVE, "spool/b.yaml", "spool/b.yaml.hold", "gone b.yaml\narrived b.yaml.hold\n"},
    {"moved away", MOVE, "spool/b.yaml.hold", "outside.yaml", "gone b.yaml.hold\n"},
    {"moved in", MOVE, "outside.yaml", "spool/C.YML", "arrived C.YML\n"},
    {"linked in", LINK, "spool/C.YML", "spool/d.yaml", "created d.yaml\n"},
    {"a link: the scan says what it is", SYMLINK, "d.yaml", "spool/l.yaml", "created l.yaml\n"},
    {"removed", REMOVE, "spool/l.yaml", NULL, "gone l.yaml\n"},
    {"a temporary", PUT, "spool/.x.yaml", NULL, ""},
    {"and its renaming", MOVE, "spool/.x.yaml", "spool/x.yaml", "arrived x.yaml\n"},
    {"an outcome", PUT, "spool/.flowspool.abcdef", NULL, ""},
    {"and its renaming", MOVE, "spool/.flowspool.abcdef", "spool/x.result.json", ""},
    {"something else", PUT, "spool/notes.txt", NULL, ""},
    {"a pause", PUT, "spool/PAUSE", NULL, "created PAUSE\nwritten PAUSE\n"},
    {"and its end", REMOVE, "spool/PAUSE", NULL, "gone PAUSE\n"},
    {"a directory", MKDIR, "spool/sub", NULL, "dir sub\n"},
    {"a directory gone", RMDIR, "spool/sub", NULL, "dir sub\n"},
    {"a hidden directory", MKDIR, "spool/.git", NULL, ""},
    {"control characters", PUT, "spool/new\tline.yaml", NULL,
     "created new\tline.yaml\nwritten new\tline.yaml\n"},
};

static void act(struct fixture *f, const struct event_case *c)
{
    int fd = f->dir.fd;
    switch (c->action) {
    case PUT:
        put_file(&f->dir, c->a, "x");
        break;
    case MOVE:
        move(f, c->a, c->b);
        break;
    case LINK:
        TEMPDIR_MUST(linkat(fd, c->a, fd, c->b, 0) == 0);
        break;
    case SYMLINK:
        TEMPDIR_MUST(symlinkat(c->a, fd, c->b) == 0);
        break;
    case REMOVE:
        TEMPDIR_MUST(unlinkat(fd, c->a, 0) == 0);
        break;
    case MKDIR:
        put_dir(&f->dir, c->a);
        break;
    case RMDIR:
        TEMPDIR_MUST(unlinkat(fd, c->a, AT_REMOVEDIR) == 0);
        break;
    case TOUCH:
        TEMPDIR_MUST(utimensat(fd, c->a, NULL, 0) == 0);
        break;
    }
}

static void events_say_where_to_look(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(watch_add(f->watch, ""), 0);
    assert_int_equal(watch_add(f->watch, ""), 0); /* repeating is harmless */
    for (size_t i = 0; i < sizeof event_cases / sizeof *event_cases; i++) {
        const struct event_case *c = &event_cases[i];
        forget(f);
        act(f, c);
        const char *seen = events_so_far(f);
        if (strcmp(seen, c->want) != 0)
            fail_msg("%s: '%s', want '%s'", c->name, seen, c->want);
    }
}

static void nothing_is_watched_unasked(void **state)
{
    struct fixture *f = *state;
    put_file(&f->dir, "spool/a.yaml", "x");
    assert_int_equal(watch_add(f->watch, ""), 0);
    put_dir(&f->dir, "spool/sub");
    put_file(&f->dir, "spool/sub/a.yaml", "x");
    assert_string_equal(events_so_far(f), "dir sub\n");
}

/* ---- directories ---- */

static void only_real_directories_below_can_be_added(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->dir, "spool/sub");
    put_file(&f->dir, "spool/file", "");
    TEMPDIR_MUST(symlinkat("sub", f->dir.fd, "spool/link") == 0);
    assert_int_equal(watch_add(f->watch, "sub"), 0);
    assert_int_equal(watch_add(f->watch, "link"), -ENOTDIR);
    assert_int_equal(watch_add(f->watch, "file"), -ENOTDIR);
    assert_int_equal(watch_add(f->watch, "missing"), -ENOENT);
    assert_int_equal(watch_add(f->watch, ".."), -EINVAL);
    assert_int_equal(watch_add(f->watch, "sub/.."), -EINVAL);
}

static void a_subdirectory_reports_under_its_path(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->dir, "spool/sub");
    put_dir(&f->dir, "spool/sub/deep");
    assert_int_equal(watch_add(f->watch, ""), 0);
    assert_int_equal(watch_add(f->watch, "sub/deep"), 0);
    put_file(&f->dir, "spool/sub/deep/PAUSE", "x"); /* means nothing there */
    put_file(&f->dir, "out.yaml", "x");
    move(f, "out.yaml", "spool/sub/deep/a.yaml");
    assert_string_equal(events_so_far(f), "arrived sub/deep/a.yaml\n");
}

static void a_directory_that_becomes_a_spool_is_told_and_can_be_dropped(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->dir, "spool/sub");
    put_dir(&f->dir, "spool/sub/deep");
    put_dir(&f->dir, "spool/subway");
    assert_int_equal(watch_add(f->watch, ""), 0);
    assert_int_equal(watch_add(f->watch, "sub"), 0);
    assert_int_equal(watch_add(f->watch, "sub/deep"), 0);
    assert_int_equal(watch_add(f->watch, "subway"), 0);
    put_dir(&f->dir, "spool/.flowspool"); /* our own */
    assert_string_equal(events_so_far(f), "");
    put_dir(&f->dir, "spool/sub/.flowspool");
    assert_string_equal(events_so_far(f), "dir sub/.flowspool\n");
    forget(f);
    watch_drop(f->watch, "sub");
    watch_drop(f->watch, "sub");
    watch_drop(f->watch, "unknown");
    put_file(&f->dir, "out.yaml", "x");
    move(f, "out.yaml", "spool/sub/a.yaml");
    move(f, "spool/sub/a.yaml", "spool/sub/deep/a.yaml");
    move(f, "spool/sub/deep/a.yaml", "spool/subway/a.yaml");
    assert_string_equal(events_so_far(f), "arrived subway/a.yaml\n");
    forget(f);
    assert_int_equal(watch_add(f->watch, "sub"), 0); /* ours again */
    move(f, "spool/subway/a.yaml", "spool/sub/a.yaml");
    assert_string_equal(events_so_far(f), "gone subway/a.yaml\narrived sub/a.yaml\n");
}

static void a_renamed_directory_takes_its_watches_off(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->dir, "spool/sub");
    put_dir(&f->dir, "spool/sub/deep");
    assert_int_equal(watch_add(f->watch, ""), 0);
    assert_int_equal(watch_add(f->watch, "sub"), 0);
    assert_int_equal(watch_add(f->watch, "sub/deep"), 0);
    move(f, "spool/sub", "away");
    assert_string_equal(events_so_far(f), "dir sub\nself-gone sub\n");
    forget(f);
    put_file(&f->dir, "away/deep/a.yaml", "x"); /* no longer ours */
    put_file(&f->dir, "away/a.yaml", "x");
    move(f, "away", "spool/back");
    assert_string_equal(events_so_far(f), "dir back\n");
    forget(f);
    assert_int_equal(watch_add(f->watch, "back"), 0);
    assert_int_equal(watch_add(f->watch, "back/deep"), 0);
    move(f, "spool/back/a.yaml", "spool/back/deep/b.yaml");
    assert_string_equal(events_so_far(f), "gone back/a.yaml\narrived back/deep/b.yaml\n");
}

static void a_directory_added_under_its_new_name_reports_so(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->dir, "spool/old");
    assert_int_equal(watch_add(f->watch, "old"), 0);
    move(f, "spool/old", "spool/new");
    assert_int_equal(watch_add(f->watch, "new"), 0); /* before the event of its move was read */
    assert_int_equal(watch_add(f->watch, ""), 0);
    assert_string_equal(events_so_far(f), "self-gone new\n"); /* the caller adds it again */
    forget(f);
    assert_int_equal(watch_add(f->watch, "new"), 0);
    put_file(&f->dir, "spool/new/a.yaml", "x");
    assert_string_equal(events_so_far(f), "created new/a.yaml\nwritten new/a.yaml\n");
}

static void a_removed_directory_is_forgotten(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->dir, "spool/sub");
    assert_int_equal(watch_add(f->watch, ""), 0);
    assert_int_equal(watch_add(f->watch, "sub"), 0);
    TEMPDIR_MUST(unlinkat(f->dir.fd, "spool/sub", AT_REMOVEDIR) == 0);
    const char *seen = events_so_far(f);
    assert_non_null(strstr(seen, "self-gone sub\n"));
    assert_non_null(strstr(seen, "dir sub\n"));
}

static void a_spool_that_moved_says_so_and_keeps_its_watch(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(watch_add(f->watch, ""), 0);
    move(f, "spool", "elsewhere");
    move(f, "elsewhere", "spool");
    assert_string_equal(events_so_far(f), "self-gone \n"); /* the kernel merges equal events that follow */
    forget(f);
    put_file(&f->dir, "spool/a.yaml", "x");
    assert_string_equal(events_so_far(f), "created a.yaml\nwritten a.yaml\n");
}

/* ---- many ---- */

static long max_queued_events(void)
{
    long max = 0;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    if (file && fscanf(file, "%ld", &max) != 1)
        max = 0;
    if (file)
        fclose(file);
    return max;
}

/* Two events each time. */
static void rename_to_and_fro(struct fixture *f, long times)
{
    put_file(&f->dir, "spool/a.yaml", "x");
    for (long i = 0; i < times; i++)
        move(f, i % 2 ? "spool/b.yaml" : "spool/a.yaml", i % 2 ? "spool/a.yaml" : "spool/b.yaml");
}

static void overflow_is_told(void **state)
{
    struct fixture *f = *state;
    long max = max_queued_events();
    if (max <= 0 || max > 200000)
        skip();
    assert_int_equal(watch_add(f->watch, ""), 0);
    f->quiet = true;
    rename_to_and_fro(f, max / 2 + 100);
    while (f->overflows == 0 && !f->out_of_patience)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->overflows, 1);
    assert_int_equal(f->count, max + 1);
    f->quiet = false; /* and it goes on */
    assert_string_equal(events_so_far(f), "");
}

static void a_flood_is_taken_in_portions(void **state)
{
    struct fixture *f = *state;
    enum { TIMES = 7000 };
    if (max_queued_events() < 2 * TIMES + 10)
        skip();
    assert_int_equal(watch_add(f->watch, ""), 0);
    f->quiet = true;
    rename_to_and_fro(f, TIMES);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_in_range(f->count, 1, 9000);
    while (f->count < 2 * TIMES + 2 && !f->out_of_patience)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->count, 2 * TIMES + 2);
    assert_int_equal(f->overflows, 0);
}

static void it_can_be_closed_from_an_event(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(watch_add(f->watch, ""), 0);
    rename_to_and_fro(f, 10);
    f->close_at_first = true;
    while (f->count == 0 && !f->out_of_patience)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->count, 1);
}

static void a_missing_spool_cannot_be_watched(void **state)
{
    struct fixture *f = *state;
    struct watch *w = NULL;
    assert_int_equal(watch_open(&w, &f->loop, "/nonexistent/spool", on_event, f), -ENOENT);
    assert_null(w);
    watch_close(NULL);
}

/* Descriptors that are stride apart: in sequence as the kernel gives them, or all with one home. */
static void check_table(int stride)
{
    struct watch_table t = {0};
    char path[32];
    assert_null(watch_table_find(&t, stride));
    for (int i = 1; i <= 500; i++) {
        snprintf(path, sizeof path, i % 5 ? "a/%d" : "ab/%d", i);
        assert_int_equal(watch_table_put(&t, i * stride, path), 0);
    }
    assert_int_equal(watch_table_put(&t, 500 * stride, "renamed"), 0);
    for (int i = 1; i < 500; i += 2)
        watch_table_remove(&t, i * stride);
    watch_table_remove(&t, stride);
    assert_int_equal(t.count, 250);
    int taken = 0;
    for (size_t from = 0; watch_table_take_below(&t, "a", &from) >= 0;)
        taken++;
    assert_int_equal(taken, 200); /* even, and no multiple of 5 */
    for (int i = 1; i <= 500; i++) {
        snprintf(path, sizeof path, "ab/%d", i);
        const char *found = watch_table_find(&t, i * stride);
        if (i % 10 != 0)
            assert_null(found);
        else if (!found || strcmp(found, i == 500 ? "renamed" : path) != 0)
            fail_msg("stride %d: %d is %s", stride, i, found ? found : "lost");
    }
    watch_table_free(&t);
}

static void the_table_keeps_what_was_put(void **state)
{
    (void)state;
    check_table(1);
    check_table(3);
    check_table(1 << 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_say_where_to_look),
        TEST(nothing_is_watched_unasked),
        TEST(only_real_directories_below_can_be_added),
        TEST(a_subdirectory_reports_under_its_path),
        TEST(a_directory_that_becomes_a_spool_is_told_and_can_be_dropped),
        TEST(a_renamed_directory_takes_its_watches_off),
        TEST(a_directory_added_under_its_new_name_reports_so),
        TEST(a_removed_directory_is_forgotten),
        TEST(a_spool_that_moved_says_so_and_keeps_its_watch),
        TEST(overflow_is_told),
        TEST(a_flood_is_taken_in_portions),
        TEST(it_can_be_closed_from_an_event),
        TEST(a_missing_spool_cannot_be_watched),
        cmocka_unit_test(the_table_keeps_what_was_put),
    };
    return cmocka_run_group_tests_name("io_watch", tests, NULL, NULL);
}
