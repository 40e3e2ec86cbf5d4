/* spool: the scan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/spool.h"
#include "tempdir.h"

struct fixture {
    struct tempdir dir;
    struct spool *spool;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    tempdir_open(&f->dir, "/tmp");
    TEMPDIR_MUST(spool_open(&f->spool, f->dir.path) == 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    spool_close(f->spool);
    tempdir_close(&f->dir);
    free(f);
    return 0;
}

enum { MAX_SEEN = 512 };
struct seen {
    char *lines[MAX_SEEN];
    size_t count;
    void (*on_item)(enum scan_item item, const char *path, void *arg);
    void *arg;
};

static void collect(void *arg, enum scan_item item, const char *path, const char *note, int err)
{
    static const char *const names[] = {"file", "ignored", "spool", "enter", "done", "failed", "temp"};
    struct seen *s = arg;
    TEMPDIR_MUST(s->count < MAX_SEEN);
    TEMPDIR_MUST(asprintf(&s->lines[s->count++], "%s %s%s%s%s%s", names[item], path, note ? ": " : "",
                          note ? note : "", err ? " " : "", err ? strerrorname_np(-err) : "") > 0);
    if (s->on_item)
        s->on_item(item, path, s->arg);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int scan_all(struct spool *spool, bool recursive, struct seen *s)
{
    struct spool_scan *scan;
    TEMPDIR_MUST(spool_scan_begin(spool, recursive, &scan) == 0);
    int rc;
    do {
        size_t before = s->count;
        rc = spool_scan_step(scan, 3, collect, s);
        TEMPDIR_MUST(s->count - before <= 3);
    } while (rc > 0);
    spool_scan_end(scan);
    qsort(s->lines, s->count, sizeof s->lines[0], by_text);
    return rc;
}

static void expect_seen(struct seen *s, const char *const *want, size_t count)
{
    for (size_t i = 0; i < s->count || i < count; i++)
        if (i >= s->count || i >= count || strcmp(s->lines[i], want[i]) != 0)
            fail_msg("item %zu is '%s', want '%s'", i, i < s->count ? s->lines[i] : "(nothing)",
                     i < count ? want[i] : "(nothing)");
    for (size_t i = 0; i < s->count; i++)
        free(s->lines[i]);
    s->count = 0;
}

static void put_scan_tree(const struct tempdir *d)
{
    static const char *const dirs[] = {"sub",     "sub/deep", "other",    "other/.flowspool",
                                       ".hidden", "_under",   "dir.yaml", ".flowspool"};
    static const char *const files[] = {"a.yaml",
                                        "b.YML",
                                        "c.yaml.hold",
                                        "d.yaml.txt",
                                        "a.result.json",
                                        ".dot.yaml",
                                        "_u.yaml",
                                        "e.yaml~",
                                        ".flowspool.aaaaaa",
                                        "PAUSE",
                                        "sub/PAUSE",
                                        "sub/s.yaml",
                                        "sub/deep/t.yml",
                                        "other/not-ours.yaml",
                                        ".hidden/h.yaml",
                                        "_under/u.yaml",
                                        "dir.yaml/v.yaml",
                                        "readme.md",
                                        "story (conflict 2026-11-23).yaml"};
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        put_dir(d, dirs[i]);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put_file(d, files[i], "");
    TEMPDIR_MUST(symlinkat("a.yaml", d->fd, "l.yaml") == 0);
    TEMPDIR_MUST(symlinkat("..", d->fd, "sub/up") == 0);
    TEMPDIR_MUST(symlinkat("a.yaml", d->fd, ".flowspool.bbbbbb") == 0);
    TEMPDIR_MUST(mkfifoat(d->fd, "f.yaml", 0644) == 0);
}

#define EXPECT_SEEN(s, ...)                                                                                  \
    do {                                                                                                     \
        static const char *const want_[] = {__VA_ARGS__};                                                    \
        expect_seen(s, want_, sizeof want_ / sizeof *want_);                                                 \
    } while (0)

static void a_flat_scan_sees_jobs_and_names_what_it_ignores(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    put_scan_tree(&f->dir);
    assert_int_equal(scan_all(f->spool, false, &s), 0);
    EXPECT_SEEN(
        &s, "done ", "enter ", "file a.yaml", "file b.YML", "file c.yaml.hold",
        "ignored d.yaml.txt: its name does not end in .yaml or .yml",
        "ignored dir.yaml: subdirectory; set recursive: true to watch it",
        "ignored f.yaml: not a regular file", "ignored l.yaml: symbolic link",
        "ignored other: subdirectory; set recursive: true to watch it",
        "ignored story (conflict 2026-11-23).yaml: a copy that a synchroniser set aside; to run it, rename "
        "it",
        "ignored sub: subdirectory; set recursive: true to watch it", "temp .flowspool.aaaaaa");
}

static void a_recursive_scan_enters_what_is_ours(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    put_scan_tree(&f->dir);
    assert_int_equal(scan_all(f->spool, true, &s), 0);
    EXPECT_SEEN(
        &s, "done ", "done dir.yaml", "done sub", "done sub/deep", "enter ", "enter dir.yaml", "enter sub",
        "enter sub/deep", "file a.yaml", "file b.YML", "file c.yaml.hold", "file dir.yaml/v.yaml",
        "file sub/deep/t.yml", "file sub/s.yaml",
        "ignored d.yaml.txt: its name does not end in .yaml or .yml", "ignored f.yaml: not a regular file",
        "ignored l.yaml: symbolic link",
        "ignored story (conflict 2026-11-23).yaml: a copy that a synchroniser set aside; to run it, rename "
        "it",
        "spool other: another spool: it has a .flowspool of its own", "temp .flowspool.aaaaaa");
}

static void remove_before_it_is_listed(enum scan_item item, const char *path, void *arg)
{
    const struct tempdir *d = arg;
    if (item == SCAN_DIR_DONE && path[0] == '\0')
        TEMPDIR_MUST(unlinkat(d->fd, "gone", AT_REMOVEDIR) == 0);
    if (item == SCAN_DIR_ENTER && strcmp(path, "going") == 0)
        TEMPDIR_MUST(unlinkat(d->fd, "going", AT_REMOVEDIR) == 0);
}

static void a_directory_that_vanishes_was_not_listed(void **state)
{
    struct fixture *f = *state;
    struct seen s = {.on_item = remove_before_it_is_listed, .arg = &f->dir};
    put_dir(&f->dir, "gone");
    put_dir(&f->dir, "going");
    assert_int_equal(scan_all(f->spool, true, &s), 0);
    EXPECT_SEEN(&s, "done ", "enter ", "enter going", "failed going ENOENT", "failed gone ENOENT");
}

static void a_spool_that_vanishes_ends_the_scan(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    struct spool *spool;
    char path[300];
    put_dir(&f->dir, "spool");
    snprintf(path, sizeof path, "%s/spool", f->dir.path);
    assert_int_equal(spool_open(&spool, path), 0);
    TEMPDIR_MUST(rmdir(path) == 0);
    assert_int_equal(scan_all(spool, true, &s), -ENOENT);
    EXPECT_SEEN(&s, "enter "); /* and not done */
    spool_close(spool);
}

static void depth_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct spool_scan *scan;
    struct seen s = {0};
    char path[4 * 80] = "d";
    for (int i = 0; i < 70; i++, strcat(path, "/d"))
        put_dir(&f->dir, path);
    TEMPDIR_MUST(spool_scan_begin(f->spool, true, &scan) == 0);
    assert_int_equal(spool_scan_step(scan, 1000, collect, &s), 0);
    spool_scan_end(scan);
    assert_int_equal(s.count, 2 + 2 * 64 + 1);
    size_t ignored = 0;
    for (size_t i = 0; i < s.count; i++) {
        ignored += strstr(s.lines[i], "ignored d/d") != NULL;
        free(s.lines[i]);
    }
    assert_int_equal(ignored, 1);
}

static void names_that_are_nothing_to_us_bound_a_step_too(void **state)
{
    struct fixture *f = *state;
    struct spool_scan *scan;
    struct seen s = {0};
    char name[32];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "%d.result.json", i);
        put_file(&f->dir, name, "");
    }
    TEMPDIR_MUST(spool_scan_begin(f->spool, true, &scan) == 0);
    int steps = 1;
    while (spool_scan_step(scan, 10, collect, &s) > 0)
        steps++;
    spool_scan_end(scan);
    assert_in_range(steps, 2000 / 160, 2000 / 160 + 2);
    EXPECT_SEEN(&s, "enter ", "done ");
}

static void a_scan_can_be_given_up(void **state)
{
    struct fixture *f = *state;
    struct spool_scan *scan;
    struct seen s = {0};
    put_scan_tree(&f->dir);
    TEMPDIR_MUST(spool_scan_begin(f->spool, true, &scan) == 0);
    assert_int_equal(spool_scan_step(scan, 9, collect, &s), 1);
    spool_scan_end(scan);
    while (s.count > 0)
        free(s.lines[--s.count]);
}

struct in_order {
    char last[64];
    size_t count;
};

static void expect_order(void *arg, enum scan_item item, const char *path, const char *note, int err)
{
    struct in_order *o = arg;
    (void)note;
    assert_int_equal(err, 0);
    if (item == SCAN_DIR_DONE)
        assert_int_equal(o->count, 300); /* after all that is in it */
    if (item != SCAN_FILE)
        return;
    assert_true(strcmp(o->last, path) < 0);
    snprintf(o->last, sizeof o->last, "%s", path);
    o->count++;
}

static void job_files_are_seen_in_order(void **state)
{
    struct fixture *f = *state;
    struct spool_scan *scan;
    struct in_order o = {0};
    for (int i = 299; i >= 0; i--) {
        char name[32];
        snprintf(name, sizeof name, "%03d.yaml", (i * 7) % 300);
        put_file(&f->dir, name, "");
    }
    TEMPDIR_MUST(spool_scan_begin(f->spool, true, &scan) == 0);
    while (spool_scan_step(scan, 10, expect_order, &o) > 0) {}
    spool_scan_end(scan);
    assert_int_equal(o.count, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flat_scan_sees_jobs_and_names_what_it_ignores),
        TEST(a_recursive_scan_enters_what_is_ours),
        TEST(a_directory_that_vanishes_was_not_listed),
        TEST(a_spool_that_vanishes_ends_the_scan),
        TEST(depth_is_bounded),
        TEST(names_that_are_nothing_to_us_bound_a_step_too),
        TEST(a_scan_can_be_given_up),
        TEST(job_files_are_seen_in_order),
    };
    return cmocka_run_group_tests_name("io_spool_scan", tests, NULL, NULL);
}
