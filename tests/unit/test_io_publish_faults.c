/* publish: full disks, failing syncs, missing rights. */
#include "publish_fixture.h"

#include <grp.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- full, forbidden, far away ---- */

static void a_full_disk_keeps_the_old_and_gets_better(void **state)
{
    struct fixture *f = *state;
    static char big[48 * 1024];
    char path[300];
    put_dir(&f->spool, "tiny");
    snprintf(path, sizeof path, "%s/tiny", f->spool.path);
    if (mount("flowspool-test", path, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k") != 0)
        skip();
    memset(big, 'x', sizeof big - 1);
    put_file(&f->spool, "tiny/a.result.json", "r");
    int fill = openat(f->spool.fd, "tiny/fill", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    TEMPDIR_MUST(fill >= 0 && posix_fallocate(fill, 0, 32 * 1024) == 0);
    close(fill);
    enum publish_rc full = publish_text(f, "tiny/a", true, big);
    int err = f->last.err;
    int left = count_names(path, ".flowspool.");
    bool old_there = strcmp(file_text(&f->spool, "tiny/a.result.json"), "r") == 0;
    TEMPDIR_MUST(unlinkat(f->spool.fd, "tiny/fill", 0) == 0);
    enum publish_rc free_again = publish_text(f, "tiny/a", true, big);
    bool moved = strcmp(file_text(kept(f), f->last.moved), "r") == 0; /* another file system: a copy */
    TEMPDIR_MUST(umount2(path, MNT_DETACH) == 0);
    assert_int_equal(full, PUBLISH_TRY_LATER);
    assert_int_equal(err, ENOSPC);
    assert_int_equal(left, 0);
    assert_true(old_there);
    assert_int_equal(free_again, PUBLISH_OK);
    assert_true(moved);
}

static void half_a_batch_that_fits_is_published(void **state)
{
    struct fixture *f = *state;
    static char big[40 * 1024];
    char path[300];
    put_dir(&f->spool, "tiny");
    snprintf(path, sizeof path, "%s/tiny", f->spool.path);
    if (mount("flowspool-test", path, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k") != 0)
        skip();
    memset(big, 'x', sizeof big - 1);
    struct publish_task big_1 = task("tiny/a", true, big, NULL), big_2 = task("tiny/b", true, big, NULL),
                        small = task("tiny/c", true, "R", NULL);
    int queued = publish_outcome(f->publish, &big_1, on_done, next_report(f)) |
                 publish_outcome(f->publish, &big_2, on_done, next_report(f)) |
                 publish_outcome(f->publish, &small, on_done, next_report(f));
    wait_for(f, 3);
    bool a = has_name(&f->spool, "tiny/a.result.json"), b = has_name(&f->spool, "tiny/b.result.json"),
         c = has_name(&f->spool, "tiny/c.result.json");
    int left = count_names(path, ".flowspool.");
    TEMPDIR_MUST(umount2(path, MNT_DETACH) == 0);
    assert_int_equal(queued, 0);
    assert_true(a && !b && c);
    assert_int_equal(left, 0);
}

static void results_are_copied_to_another_file_system(void **state)
{
    struct fixture *f = *state;
    struct tempdir far;
    struct fixture g = {.base = f->base};
    tempdir_open(&far, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    struct stat here, there;
    TEMPDIR_MUST(fstat(f->spool.fd, &here) == 0 && fstat(far.fd, &there) == 0);
    if (here.st_dev == there.st_dev) {
        tempdir_close(&far);
        skip();
    }
    char kept_path[64];
    TEMPDIR_MUST(snprintf(kept_path, sizeof kept_path, "%s/kept", far.path) < (int)sizeof kept_path);
    TEMPDIR_MUST(renameat(f->base.fd, "spool", f->base.fd, "first") == 0);
    TEMPDIR_MUST(renameat(f->base.fd, "state", f->base.fd, "first-state") == 0);
    make_fixture(&g, kept_path);
    put_file(&g.spool, "a.result.json", "r");
    enum publish_rc first = publish_text(&g, "a", true, "R");
    const char *calls = disk_trace();
    const char *copied = strstr(calls, "rename to a.2"), *replaced = strstr(calls, "rename to a.result.json");
    bool in_order = copied && replaced && strstr(calls, "link a.result.json\nsync TEMP\nrename to a.2") &&
                    strstr(copied, "sync kept") && strstr(copied, "sync kept") < replaced;
    if (!in_order)
        print_error("%s", calls);
    bool moved = strcmp(file_text(kept(&g), g.last.moved), "r") == 0;
    /* The crash came after the copy: it is found again and not made twice. */
    struct stat st;
    TEMPDIR_MUST(fstatat(kept(&g)->fd, g.last.moved, &st, 0) == 0);
    int temporaries = count_temporaries(&g), count = count_names(kept_path, "a.");
    close_fixture(&g);
    tempdir_close(&far);
    assert_int_equal(first, PUBLISH_OK);
    assert_true(in_order);
    assert_true(moved);
    assert_int_equal(temporaries, 0);
    assert_int_equal(count, 1);
}

/* Runs body in a child without privileges (or here, when there are none); its exit status. */
static int as_nobody(void (*body)(struct fixture *f), struct fixture *f, gid_t extra_group)
{
    publish_close(f->publish); /* a process with threads cannot well be forked */
    f->publish = NULL;
    pid_t child = fork();
    TEMPDIR_MUST(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgroups(1, &extra_group) != 0 || setresgid(65534, 65534, 65534) != 0 ||
                               setresuid(65534, 65534, 65534) != 0))
            _exit(77);
        body(f);
        _exit(0);
    }
    int status;
    TEMPDIR_MUST(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void open_in_child(struct fixture *f)
{
    if (uv_loop_init(&f->loop) != 0 || publish_open(&f->publish, &f->loop, f->spool.fd, f->kept.path) != 0)
        _exit(78);
}

static enum publish_rc in_child(struct fixture *f, const struct publish_task *t)
{
    f->reported = 0;
    if (publish_outcome(f->publish, t, on_done, next_report(f)) != 0)
        _exit(79);
    while (f->reported == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    return f->last.rc;
}

static void try_unwritable(struct fixture *f)
{
    open_in_child(f);
    struct publish_task t = task("readonly/a", true, "R", NULL);
    if (in_child(f, &t) != PUBLISH_TRY_LATER || f->last.err != EACCES)
        _exit(1);
    t.stem = "writable/a";
    if (in_child(f, &t) != PUBLISH_OK)
        _exit(2);
    publish_close(f->publish);
}

static void a_directory_that_refuses_fails_its_own_only(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->spool, "readonly");
    put_dir(&f->spool, "writable");
    TEMPDIR_MUST(chmod(f->base.path, 0755) == 0 && fchmodat(f->spool.fd, "readonly", 0555, 0) == 0 &&
                 fchmodat(f->spool.fd, "writable", 0777, 0) == 0);
    int status = as_nobody(try_unwritable, f, 65534);
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
    assert_true(has_name(&f->spool, "writable/a.result.json"));
}

static void out_of_descriptors_is_tried_later(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, none;
    put_dir(&f->spool, "sub");
    TEMPDIR_MUST(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = before;
    none.rlim_cur = 3;
    TEMPDIR_MUST(setrlimit(RLIMIT_NOFILE, &none) == 0);
    enum publish_rc rc = publish_text(f, "sub/a", true, "R");
    int err = f->last.err;
    TEMPDIR_MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    assert_int_equal(rc, PUBLISH_TRY_LATER);
    assert_int_equal(err, EMFILE);
    assert_int_equal(publish_text(f, "sub/a", true, "R"), PUBLISH_OK);
}

/* ---- failing syncs ---- */

static void a_failed_sync_goes_to_a_new_file_once(void **state)
{
    struct fixture *f = *state;
    disk_fails_syncs(1, EIO, 0, 0);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_OK);
    assert_string_equal(disk_trace(),
                        "sync TEMP\nunlink TEMP\nsync TEMP\nrename to a.result.json\nsync spool\n");
    assert_string_equal(file_text(&f->spool, "a.result.json"), "R");

    put_file(&f->spool, "b.result.json", "R"); /* what lies there is not trusted either */
    disk_fails_syncs(1, EIO, 0, 0);
    assert_int_equal(publish_text(f, "b", true, "R"), PUBLISH_OK);
    const char *calls = disk_trace();
    assert_non_null(strstr(calls, "sync b.result.json\nsync TEMP\n"));
    assert_non_null(strstr(calls, "rename to b.result.json\nsync spool\n"));
}

static void a_second_failure_stops(void **state)
{
    struct fixture *f = *state;
    put_file(&f->spool, "a.error.json", "e");
    disk_fails_syncs(2, EIO, 0, 0);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_SYNC_FAILED);
    assert_int_equal(f->last.err, EIO);
    assert_string_equal(f->last.detail, "cannot sync a.result.json: Input/output error");
    assert_false(has_name(&f->spool, "a.result.json"));
    assert_string_equal(file_text(&f->spool, "a.error.json"), "e");
    assert_int_equal(count_temporaries(f), 0);
}

static void any_error_of_a_sync_counts(void **state)
{
    struct fixture *f = *state;
    disk_fails_syncs(2, EROFS, 0, 0);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_SYNC_FAILED);
    assert_int_equal(f->last.err, EROFS);
    disk_fails_syncs(1, EROFS, 0, 0);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_OK);
}

static void directories_and_full_disks_at_the_sync(void **state)
{
    struct fixture *f = *state;
    disk_fails_syncs(1, ENOSPC, 0, 0);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_TRY_LATER);
    disk_fails_syncs(1, EDQUOT, 0, 0);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_TRY_LATER);
    assert_int_equal(f->last.err, EDQUOT);
    assert_int_equal(count_names(f->spool.path, ""), 0);
    disk_fails_syncs(0, 0, 1, ENOSPC);
    assert_int_equal(publish_text(f, "a", true, "R"), PUBLISH_SYNC_FAILED);
    disk_fails_syncs(0, 0, 1, EINVAL); /* a file system that has none */
    assert_int_equal(publish_text(f, "b", true, "R"), PUBLISH_OK);
    put_file(&f->spool, "c.result.json", "r"); /* superseded_dir cannot be synced: the old one stays */
    assert_int_equal(publish_text(f, "z", true, "R"), PUBLISH_OK);
    put_file(&f->spool, "z.result.json", "other");
    assert_int_equal(publish_text(f, "z", true, "R"), PUBLISH_OK); /* superseded_dir is there now */
    disk_fails_syncs(0, 0, 1, EIO);
    assert_int_equal(publish_text(f, "c", true, "R"), PUBLISH_SYNC_FAILED);
    assert_string_equal(file_text(&f->spool, "c.result.json"), "r");
    assert_int_equal(count_temporaries(f), 0);
}

/* ---- owner and mode ---- */

struct owner_case {
    uint32_t job_mode, want_mode;
};

static const struct owner_case owner_cases[] = {
    {0100644, 0644}, {0100640, 0640}, {0100600, 0600}, {0100664, 0664}, {0100400, 0600},
    {0100444, 0644}, {0104755, 0644}, {0100000, 0600}, {0100666, 0666},
};

static void an_outcome_is_the_job_owner_s(void **state)
{
    struct fixture *f = *state;
    mode_t mask = umask(0077); /* does not matter */
    for (size_t i = 0; i < sizeof owner_cases / sizeof *owner_cases; i++) {
        char stem[8], name[32];
        snprintf(stem, sizeof stem, "j%zu", i);
        snprintf(name, sizeof name, "%s.error.body", stem);
        struct publish_task t = task(stem, false, "E", "B");
        t.mode = owner_cases[i].job_mode;
        if (geteuid() == 0) {
            t.uid = 1234;
            t.gid = 2345;
        }
        assert_int_equal(publish_now(f, &t), PUBLISH_OK);
        struct stat st = stat_of(&f->spool, name);
        assert_int_equal(st.st_mode & 07777, owner_cases[i].want_mode);
        assert_int_equal(st.st_uid, t.uid);
        assert_int_equal(st.st_gid, t.gid);
    }
    umask(mask);
}

static void publish_for_others(struct fixture *f)
{
    open_in_child(f);
    struct publish_task t = task("mine/a", true, "R", NULL); /* its group is ours: 4242 */
    t.uid = 1234;
    t.gid = 2345;
    t.mode = 0100640;
    if (in_child(f, &t) != PUBLISH_OK)
        _exit(1);
    t.stem = "foreign/a";
    if (in_child(f, &t) != PUBLISH_OK)
        _exit(2);
    t.stem = "foreign/b";
    t.mode = 0100664;
    if (in_child(f, &t) != PUBLISH_OK)
        _exit(3);
    publish_close(f->publish);
}

static void without_the_right_it_carries_the_directory_s_group(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0)
        skip();
    put_dir(&f->spool, "mine");
    put_dir(&f->spool, "foreign");
    TEMPDIR_MUST(chmod(f->base.path, 0755) == 0 && fchownat(f->spool.fd, "mine", 0, 4242, 0) == 0 &&
                 fchownat(f->spool.fd, "foreign", 0, 4343, 0) == 0 &&
                 fchmodat(f->spool.fd, "mine", 0777, 0) == 0 &&
                 fchmodat(f->spool.fd, "foreign", 0777, 0) == 0);
    int status = as_nobody(publish_for_others, f, 4242);
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
    struct stat st = stat_of(&f->spool, "mine/a.result.json");
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_gid, 4242);
    assert_int_equal(st.st_mode & 07777, 0640);
    st = stat_of(&f->spool, "foreign/a.result.json"); /* a group that had nothing to do with the job */
    assert_int_equal(st.st_gid, 65534);
    assert_int_equal(st.st_mode & 07777, 0600);
    st = stat_of(&f->spool, "foreign/b.result.json");
    assert_int_equal(st.st_mode & 07777, 0644);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_disk_keeps_the_old_and_gets_better),
        TEST(half_a_batch_that_fits_is_published),
        TEST(results_are_copied_to_another_file_system),
        TEST(a_directory_that_refuses_fails_its_own_only),
        TEST(out_of_descriptors_is_tried_later),
        TEST(a_failed_sync_goes_to_a_new_file_once),
        TEST(a_second_failure_stops),
        TEST(any_error_of_a_sync_counts),
        TEST(directories_and_full_disks_at_the_sync),
        TEST(an_outcome_is_the_job_owner_s),
        TEST(without_the_right_it_carries_the_directory_s_group),
    };
    return cmocka_run_group_tests_name("io_publish_faults", tests, NULL, NULL);
}
