/* Submitting: whole, for good, replacing nothing; or nothing at all, whatever step fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "flowspool/flowspool.h"
#include "tempdir.h"

/* ---- system calls that fail when a test says so: the archive's calls lead here ---- */

static struct faults {
    int write, fsync_file, fsync_dir, renameat2, linkat; /* errno; 0: as usual */
    _Atomic int syncs, links;
} fault;

static int fail_with(int error)
{
    errno = error;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    if (fault.write != 0 && fd > 2)
        return fail_with(fault.write);
    return syscall(SYS_write, fd, bytes, len);
}

int fsync(int fd)
{
    struct stat st;
    fault.syncs++;
    assert_int_equal(fstat(fd, &st), 0);
    int error = S_ISDIR(st.st_mode) ? fault.fsync_dir : fault.fsync_file;
    return error != 0 ? fail_with(error) : (int)syscall(SYS_fsync, fd);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
    assert_int_equal(flags, RENAME_NOREPLACE);
    if (fault.renameat2 != 0)
        return fail_with(fault.renameat2);
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    fault.links++;
    if (fault.linkat != 0)
        return fail_with(fault.linkat);
    return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

/* ---- fixture ---- */

static const char text[] = "workflow: wf_a\ninputs: {}\n";
static const char several[] = "id: kettle\nworkflow: wf_a\ninputs: {a: 1}\n---\nworkflow: wf_a\ninputs: {}\n";

static int set_up(void **state)
{
    struct tempdir *spool = calloc(1, sizeof *spool);
    assert_non_null(spool);
    tempdir_open(spool, "/tmp");
    fault = (struct faults){0};
    *state = spool;
    return 0;
}

static int tear_down(void **state)
{
    tempdir_close(*state);
    free(*state);
    return 0;
}

static size_t names_in(const struct tempdir *spool, const char *below)
{
    char path[512];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", spool->path, below);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static int submit(const struct tempdir *spool, const char *name, const char *says)
{
    struct flowspool_error *error = (struct flowspool_error *)(uintptr_t)1;
    char *path = (char *)(uintptr_t)1;
    int rc = flowspool_submit_bytes(spool->path, text, strlen(text), name, &path, &error);
    if (rc == 0) {
        assert_null(error);
        assert_string_equal(path, says);
    } else {
        assert_null(path);
        assert_int_equal(flowspool_error_code(error), rc);
        if (!strstr(flowspool_error_message(error), says))
            fail_msg("%s", flowspool_error_message(error));
    }
    flowspool_free(path);
    flowspool_error_free(error);
    return rc;
}

/* ---- what works ---- */

static void it_is_there_whole_synced_and_under_its_name(void **state)
{
    const struct tempdir *spool = *state;
    struct stat st;
    mode_t mask = umask(027);
    assert_int_equal(submit(spool, "a.yaml", "a.yaml"), 0);
    umask(mask);
    assert_string_equal(file_text(spool, "a.yaml"), text);
    assert_int_equal(fstatat(spool->fd, "a.yaml", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(fault.syncs, 2); /* the file, and its directory */
    assert_int_equal(names_in(spool, ""), 1);
}

static void names_get_an_ending(void **state)
{
    static const char *const names[][2] = {
        {"a", "a.yaml"},         {"b.yml", "b.yml"},        {"c.YAML", "c.YAML"},    {"d.x", "d.x.yaml"},
        {"sub/e", "sub/e.yaml"}, {"f.yaml.hold", "f.yaml"}, {"g h ü", "g h ü.yaml"}, {"-h", "-h.yaml"},
    };
    const struct tempdir *spool = *state;
    put_dir(spool, "sub");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(submit(spool, names[i][0], names[i][1]), 0);
    assert_true(has_name(spool, "f.yaml.hold"));
    assert_string_equal(file_text(spool, "sub/e.yaml"), text);
}

static void without_a_name_there_is_a_new_one(void **state)
{
    const struct tempdir *spool = *state;
    for (int i = 0; i < 50; i++) {
        char *path = NULL;
        assert_int_equal(flowspool_submit_bytes(spool->path, several, strlen(several), NULL, &path, NULL), 0);
        assert_memory_equal(path, "wf_a-2", 6);
        assert_string_equal(path + strlen(path) - 5, ".yaml");
        assert_string_equal(file_text(spool, path), several);
        flowspool_free(path);
    }
    assert_int_equal(names_in(spool, ""), 50);
}

/* A file that begins with _ is ignored. */
static void a_workflow_s_name_does_not_hide_the_job(void **state)
{
    const struct tempdir *spool = *state;
    char *path = NULL;
    struct flowspool_job *job = flowspool_job_new("_private");
    assert_int_equal(flowspool_submit(spool->path, job, NULL, &path, NULL), 0);
    assert_memory_equal(path, "job-2", 5);
    flowspool_free(path);
    flowspool_job_free(job);
    job = flowspool_job_new("x_conflict-20261124-120000");
    assert_int_equal(flowspool_submit(spool->path, job, NULL, &path, NULL), 0);
    assert_memory_equal(path, "job-2", 5);
    flowspool_free(path);
    assert_int_equal(flowspool_submit(spool->path, job, "mine", NULL, NULL), 0);
    flowspool_job_free(job);
}

/* ---- names that are taken, or can be none ---- */

static void nothing_is_replaced(void **state)
{
    const struct tempdir *spool = *state;
    put_file(spool, "a.yaml", "old");
    put_file(spool, "b.yml", "old");
    put_file(spool, "c.yaml.hold", "old");
    assert_int_equal(symlinkat("nowhere", spool->fd, "d.yaml"), 0);
    put_dir(spool, "e.yaml");
    assert_int_equal(submit(spool, "a", "a.yaml is there already"), -EEXIST);
    assert_int_equal(submit(spool, "b", "b.yml is there already, and its outcome has the same name"),
                     -EEXIST);
    assert_int_equal(submit(spool, "c", "c.yaml.hold is there already"), -EEXIST);
    assert_int_equal(submit(spool, "d", "d.yaml is there already"), -EEXIST);
    assert_int_equal(submit(spool, "e", "e.yaml is there already"), -EEXIST);
    assert_string_equal(file_text(spool, "a.yaml"), "old");
    assert_int_equal(names_in(spool, ""), 5);
}

/* What comes between the look and the rename is not replaced either. */
static void who_comes_between_keeps_its_name(void **state)
{
    const struct tempdir *spool = *state;
    fault.renameat2 = EEXIST;
    assert_int_equal(submit(spool, "a", "a.yaml is there already"), -EEXIST);
    fault.renameat2 = EINVAL;
    fault.linkat = EEXIST;
    assert_int_equal(submit(spool, "a", "a.yaml is there already"), -EEXIST);
    assert_int_equal(names_in(spool, ""), 0);
}

static void names_that_are_ignored_are_errors(void **state)
{
    static const char *const names[] = {
        "",
        ".hidden",
        "_later",
        "a.yaml~",
        "..",
        ".",
        "/tmp/a",
        "../a",
        "sub/../a",
        "sub//a",
        "./a",
        "sub/",
        ".d/a",
        "_d/a",
        "@eaDir/a",
        "#d/a",
        "~d/a",
        "a/.b",
        ".yaml",
        "x.sync-conflict-20261124-120000-ABCDEFG.yaml",
        "x (conflicted copy 2026-11-24).yaml",
        "bad\xFF",
        "sub/_x",
    };
    const struct tempdir *spool = *state;
    put_dir(spool, "sub");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        print_message("\"%s\"\n", names[i]);
        if (strcmp(names[i], "a.yaml~") == 0)
            assert_int_equal(submit(spool, names[i], "a.yaml~.yaml"), 0); /* no editor's copy any more */
        else
            assert_int_equal(submit(spool, names[i], "cannot be a job's name"), -EINVAL);
    }
    assert_int_equal(names_in(spool, ""), 2);
}

static void a_name_leaves_room_for_its_outcome(void **state)
{
    const struct tempdir *spool = *state;
    char name[300];
    memset(name, 'n', sizeof name);
    snprintf(name + 243, 6, ".yaml");
    char expected[300];
    memcpy(expected, name, sizeof expected);
    assert_int_equal(submit(spool, name, expected), 0);
    memset(name, 'm', 244);
    snprintf(name + 244, 6, ".yaml");
    assert_int_equal(submit(spool, name, "too long"), -ENAMETOOLONG);
    memset(name, 'o', 243);
    snprintf(name + 243, 6, ".yaml");
    struct flowspool_error *error = NULL;
    assert_int_equal(flowspool_submit_bytes(spool->path, several, strlen(several), name, NULL, &error),
                     -ENAMETOOLONG);
    flowspool_error_free(error);
    memset(name, 'p', 250);
    name[250] = '\0';
    assert_int_equal(submit(spool, name, "too long"), -ENAMETOOLONG);
    assert_int_equal(names_in(spool, ""), 1);
}

/* ---- directories ---- */

static void links_beneath_the_spool_are_not_followed(void **state)
{
    const struct tempdir *spool = *state;
    put_dir(spool, "real");
    put_file(spool, "file", "x");
    assert_int_equal(symlinkat("real", spool->fd, "link"), 0);
    assert_int_equal(symlinkat("/tmp", spool->fd, "out"), 0);
    assert_int_equal(submit(spool, "link/a", "cannot open the directory link"), -ENOTDIR);
    assert_int_equal(submit(spool, "out/a", "cannot open the directory out"), -ENOTDIR);
    assert_int_equal(submit(spool, "link/further/a", "cannot open the directory link/further"), -ELOOP);
    assert_int_equal(submit(spool, "none/a", "cannot open the directory none: No such file"), -ENOENT);
    assert_int_equal(submit(spool, "file/a", "cannot open the directory file"), -ENOTDIR);
    assert_int_equal(names_in(spool, "real"), 0);
    assert_int_equal(submit(spool, "real/a", "real/a.yaml"), 0);
}

static void the_spool_itself_may_be_a_link(void **state)
{
    const struct tempdir *spool = *state;
    struct flowspool_error *error = NULL;
    char link[128];
    put_dir(spool, "real");
    assert_int_equal(symlinkat("real", spool->fd, "link"), 0);
    snprintf(link, sizeof link, "%s/link", spool->path);
    assert_int_equal(flowspool_submit_bytes(link, text, strlen(text), "a", NULL, NULL), 0);
    assert_true(has_name(spool, "real/a.yaml"));
    assert_int_equal(flowspool_submit_bytes("/no/such/spool", text, strlen(text), "a", NULL, &error),
                     -ENOENT);
    assert_string_equal(flowspool_error_message(error),
                        "cannot open the spool /no/such/spool: No such file or directory");
    flowspool_error_free(error);
}

/* Root may do everything: another user tries. */
static void one_that_may_not_be_listed_takes_jobs_one_that_may_not_be_written_none(void **state)
{
    const struct tempdir *spool = *state;
    put_dir(spool, "drop");
    put_dir(spool, "closed");
    assert_int_equal(fchmodat(spool->fd, "drop", 0733, 0), 0);
    assert_int_equal(fchmodat(spool->fd, "closed", 0555, 0), 0);
    assert_int_equal(fchmod(spool->fd, 0755), 0);
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    else
        assert_int_equal(fchmodat(spool->fd, "drop", 0333, 0), 0);
    assert_int_equal(submit(spool, "drop/a", "drop/a.yaml"), 0);
    assert_int_equal(submit(spool, "closed/a", "cannot create a file for closed/a.yaml: Permission denied"),
                     -EACCES);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(fchmodat(spool->fd, "drop", 0755, 0), 0);
    assert_int_equal(names_in(spool, "drop"), 1);
    assert_int_equal(names_in(spool, "closed"), 0);
}

/* ---- a disk that fails ---- */

static void every_step_s_failure_leaves_nothing(void **state)
{
    static const struct {
        const char *name;
        int *fault;
        int error;
        const char *says;
    } cases[] = {
        {"no room", &fault.write, ENOSPC, "cannot write a.yaml: No space left on device"},
        {"nothing written", &fault.write, EIO, "cannot write a.yaml: Input/output error"},
        {"no sync", &fault.fsync_file, EIO, "cannot sync a.yaml: Input/output error"},
        {"no rename", &fault.renameat2, EROFS, "cannot put in place a.yaml: Read-only file system"},
        {"no sync of the directory", &fault.fsync_dir, EIO, "cannot sync the directory of a.yaml"},
    };
    const struct tempdir *spool = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].name);
        *cases[i].fault = cases[i].error;
        assert_int_equal(submit(spool, "a", cases[i].says), -cases[i].error);
        *cases[i].fault = 0;
        assert_int_equal(names_in(spool, ""), 0);
    }
    assert_int_equal(submit(spool, "a", "a.yaml"), 0);
}

static void a_file_system_that_cannot_rename_so_gets_a_link(void **state)
{
    static const int errors[] = {EINVAL, ENOSYS};
    const struct tempdir *spool = *state;
    for (size_t i = 0; i < 2; i++) {
        struct stat st;
        char name[8], path[16];
        snprintf(name, sizeof name, "a%zu", i);
        snprintf(path, sizeof path, "a%zu.yaml", i);
        fault.renameat2 = errors[i];
        assert_int_equal(submit(spool, name, path), 0);
        assert_int_equal(fstatat(spool->fd, path, &st, 0), 0);
        assert_int_equal(st.st_nlink, 1);
    }
    assert_int_equal(fault.links, 2);
    fault.linkat = EPERM;
    assert_int_equal(submit(spool, "b", "cannot put in place b.yaml: Operation not permitted"), -EPERM);
    assert_int_equal(names_in(spool, ""), 2);
}

static void bad_bytes_are_refused_with_their_place(void **state)
{
    static const char bad[] = "workflow: wf_a\ninputs: {}\nprioritty: 3\n";
    const struct tempdir *spool = *state;
    struct flowspool_error *error = NULL;
    assert_int_equal(flowspool_submit_bytes(spool->path, bad, strlen(bad), "a", NULL, &error), -EINVAL);
    assert_int_equal(flowspool_error_line(error), 3);
    assert_int_equal(flowspool_error_column(error), 1);
    flowspool_error_free(error);
    assert_int_equal(flowspool_submit_bytes(spool->path, "", 0, "a", NULL, NULL), -EINVAL);
    assert_int_equal(names_in(spool, ""), 0);
}

/* ---- many at once ---- */

#define THREADS 8
#define EACH    25

struct writer {
    pthread_t thread;
    const char *spool;
    bool same_names;
    int done, refused;
};

static void *write_jobs(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < EACH; i++) {
        char name[32], *path = NULL;
        struct flowspool_error *error = NULL;
        struct flowspool_job *job = flowspool_job_new("wf_a");
        flowspool_job_input(job, "text", "hello");
        snprintf(name, sizeof name, "j%d", i);
        int rc = flowspool_submit(w->spool, job, w->same_names ? name : NULL, &path, &error);
        w->done += rc == 0;
        w->refused += rc == -EEXIST;
        flowspool_free(path);
        flowspool_error_free(error);
        flowspool_job_free(job);
    }
    return NULL;
}

static void run_writers(const struct tempdir *spool, bool same_names, int *done, int *refused)
{
    struct writer writers[THREADS];
    *done = *refused = 0;
    for (size_t i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.spool = spool->path, .same_names = same_names};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_jobs, &writers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
        *done += writers[i].done;
        *refused += writers[i].refused;
    }
}

static void threads_submit_side_by_side(void **state)
{
    const struct tempdir *spool = *state;
    int done, refused;
    run_writers(spool, false, &done, &refused);
    assert_int_equal(done, THREADS * EACH);
    assert_int_equal(names_in(spool, ""), THREADS * EACH);
    run_writers(spool, true, &done, &refused);
    assert_int_equal(done, EACH); /* each name is won once */
    assert_int_equal(refused, (THREADS - 1) * EACH);
    assert_int_equal(names_in(spool, ""), (THREADS + 1) * EACH);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_is_there_whole_synced_and_under_its_name),
        TEST(names_get_an_ending),
        TEST(without_a_name_there_is_a_new_one),
        TEST(a_workflow_s_name_does_not_hide_the_job),
        TEST(nothing_is_replaced),
        TEST(who_comes_between_keeps_its_name),
        TEST(names_that_are_ignored_are_errors),
        TEST(a_name_leaves_room_for_its_outcome),
        TEST(links_beneath_the_spool_are_not_followed),
        TEST(the_spool_itself_may_be_a_link),
        TEST(one_that_may_not_be_listed_takes_jobs_one_that_may_not_be_written_none),
        TEST(every_step_s_failure_leaves_nothing),
        TEST(a_file_system_that_cannot_rename_so_gets_a_link),
        TEST(bad_bytes_are_refused_with_their_place),
        TEST(threads_submit_side_by_side),
    };
    return cmocka_run_group_tests_name("lib submit", tests, NULL, NULL);
}
