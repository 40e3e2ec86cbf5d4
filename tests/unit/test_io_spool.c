/* spool: what is opened and what is refused, and what shows that a file is complete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

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

/* ---- opening ---- */

static void the_spool_must_be_a_directory(void **state)
{
    struct fixture *f = *state;
    struct spool *s;
    char path[300];
    put_file(&f->dir, "file", "");
    snprintf(path, sizeof path, "%s/file", f->dir.path);
    assert_int_equal(spool_open(&s, path), -ENOTDIR);
    snprintf(path, sizeof path, "%s/missing", f->dir.path);
    assert_int_equal(spool_open(&s, path), -ENOENT);
}

struct path_case {
    const char *path;
    int want;
};

static const struct path_case path_cases[] = {
    {"good.yaml", 0},
    {"sub/good.yaml", 0},
    {"sub/deeper/good.yaml", 0},
    {"-leading.yaml", 0},
    {"new\nline.yaml", 0},
    {"\xff.yaml", 0},
    {"missing.yaml", -ENOENT},
    {"missing/good.yaml", -ENOENT},
    {"good.yaml/x", -ENOTDIR},
    {"link.yaml", -ELOOP},
    {"dangling.yaml", -ELOOP},
    {"linkdir/good.yaml", -ELOOP},
    {"sub/linkup/good.yaml", -ELOOP},
    {"sub", -EINVAL},
    {"fifo.yaml", -EINVAL},
    {"socket.yaml", -EINVAL},
    {"", -EINVAL},
    {"../good.yaml", -EINVAL},
    {"sub/../good.yaml", -EINVAL},
    {"sub/..", -EINVAL},
    {"./sub/good.yaml", -EINVAL},
    {"sub//good.yaml", -EINVAL},
    {"sub/", -EINVAL},
    {"/etc/passwd", -EINVAL},
};

static void put_paths(const struct tempdir *d)
{
    put_dir(d, "sub");
    put_dir(d, "sub/deeper");
    static const char *const files[] = {"good.yaml",     "sub/good.yaml",  "sub/deeper/good.yaml",
                                        "-leading.yaml", "new\nline.yaml", "\xff.yaml"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put_file(d, files[i], "x");
    TEMPDIR_MUST(symlinkat("good.yaml", d->fd, "link.yaml") == 0);
    TEMPDIR_MUST(symlinkat("nowhere", d->fd, "dangling.yaml") == 0);
    TEMPDIR_MUST(symlinkat("sub", d->fd, "linkdir") == 0);
    TEMPDIR_MUST(symlinkat("..", d->fd, "sub/linkup") == 0);
    TEMPDIR_MUST(mkfifoat(d->fd, "fifo.yaml", 0644) == 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket.yaml", d->path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    TEMPDIR_MUST(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    close(fd);
}

/* How many paths spool_stat or spool_read answer otherwise. */
static int wrong_paths(struct spool *s)
{
    int wrong = 0;
    for (size_t i = 0; i < sizeof path_cases / sizeof *path_cases; i++) {
        const struct path_case *c = &path_cases[i];
        struct spool_stat st;
        char *bytes = NULL;
        size_t len;
        bool writer;
        int looked = spool_stat(s, c->path, &st);
        int read = spool_read(s, c->path, 100, &bytes, &len, &st, &writer);
        if (looked != c->want || read != c->want) {
            fprintf(stderr, "\"%s\": want %d, stat %d, read %d\n", c->path, c->want, looked, read);
            wrong++;
        }
        free(bytes);
    }
    return wrong;
}

static void links_and_odd_files_are_refused(void **state)
{
    struct fixture *f = *state;
    put_paths(&f->dir);
    assert_int_equal(wrong_paths(f->spool), 0);
}

/* From here on this process gets error for openat2. */
static bool forbid_openat2(unsigned int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void without_openat2_the_same_is_refused(void **state)
{
    static const unsigned int errors[] = {ENOSYS, EPERM};
    struct fixture *f = *state;
    put_paths(&f->dir);
    for (size_t i = 0; i < 2; i++) {
        pid_t child = fork();
        TEMPDIR_MUST(child >= 0);
        if (child == 0) {
            if (!forbid_openat2(errors[i]))
                _exit(77);
            _exit(syscall(SYS_openat2, AT_FDCWD, ".", NULL, 0) == -1 && errno == (int)errors[i]
                      ? wrong_paths(f->spool)
                      : 78);
        }
        int status;
        TEMPDIR_MUST(waitpid(child, &status, 0) == child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            skip();
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

/* ---- reading ---- */

static int read_it(struct fixture *f, const char *path, int64_t max, char **bytes, size_t *len)
{
    struct spool_stat st;
    bool writer;
    *bytes = NULL;
    return spool_read(f->spool, path, max, bytes, len, &st, &writer);
}

static void a_file_is_read_whole(void **state)
{
    struct fixture *f = *state;
    struct spool_stat st, looked;
    bool writer = true;
    char *bytes;
    size_t len;
    put_bytes(&f->dir, "a.yaml", "a\0b", 3);
    assert_int_equal(spool_read(f->spool, "a.yaml", 3, &bytes, &len, &st, &writer), 0);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "a\0b", 4);
    assert_false(writer);
    free(bytes);
    assert_int_equal(spool_stat(f->spool, "a.yaml", &looked), 0);
    assert_memory_equal(&looked, &st, sizeof st);
    assert_int_equal(st.size, 3);
    assert_int_equal(st.nlink, 1);
    assert_int_equal(st.uid, geteuid());
    assert_true(S_ISREG(st.mode));
    assert_true(st.mtime_ns > INT64_C(1500000000) * 1000000000);
    assert_true(st.btime_ns == 0 || st.btime_ns <= st.ctime_ns);

    put_file(&f->dir, "empty.yaml", "");
    assert_int_equal(read_it(f, "empty.yaml", 0, &bytes, &len), 0);
    assert_int_equal(len, 0);
    assert_string_equal(bytes, "");
    free(bytes);
}

static void larger_than_allowed_is_refused_by_size(void **state)
{
    struct fixture *f = *state;
    char *bytes;
    size_t len;
    put_file(&f->dir, "four.yaml", "1234");
    assert_int_equal(read_it(f, "four.yaml", 4, &bytes, &len), 0);
    free(bytes);
    assert_int_equal(read_it(f, "four.yaml", 3, &bytes, &len), -EFBIG);
    put_file(&f->dir, "sparse.yaml", "");
    int fd = openat(f->dir.fd, "sparse.yaml", O_WRONLY | O_CLOEXEC);
    TEMPDIR_MUST(fd >= 0 && ftruncate(fd, INT64_C(1) << 40) == 0);
    close(fd);
    assert_int_equal(read_it(f, "sparse.yaml", 1 << 20, &bytes, &len), -EFBIG);
    assert_int_equal(spool_read_outcome(f->spool, "sparse.yaml", 1 << 20, &bytes, &len), -EFBIG);
}

static void a_writer_shows_until_it_closes(void **state)
{
    struct fixture *f = *state;
    struct spool_stat st;
    bool writer;
    char *bytes;
    size_t len;
    put_file(&f->dir, "a.yaml", "text");
    int reading = openat(f->dir.fd, "a.yaml", O_RDONLY | O_CLOEXEC);
    int writing = openat(f->dir.fd, "a.yaml", O_WRONLY | O_CLOEXEC);
    assert_int_equal(spool_read(f->spool, "a.yaml", 100, &bytes, &len, &st, &writer), 0);
    free(bytes);
    bool leases = fcntl(reading, F_SETLEASE, F_RDLCK) != 0 && errno == EAGAIN;
    close(writing);
    close(reading);
    if (!leases)
        skip(); /* this file system or this user cannot tell */
    assert_true(writer);
    assert_int_equal(spool_read(f->spool, "a.yaml", 100, &bytes, &len, &st, &writer), 0);
    free(bytes);
    assert_false(writer);
}

struct writer {
    int fd;
    bool in_place;
    atomic_bool stop;
};

static void *keep_writing(void *arg)
{
    struct writer *w = arg;
    while (!w->stop)
        TEMPDIR_MUST((w->in_place ? pwrite(w->fd, "x", 1, 0) : write(w->fd, "x", 1)) == 1);
    return NULL;
}

static void changing_while_it_is_read_is_noticed(void **state)
{
    struct fixture *f = *state;
    for (int in_place = 0; in_place < 2; in_place++) {
        char *bytes;
        size_t len;
        put_file(&f->dir, "a.yaml", "");
        struct writer w = {.fd = openat(f->dir.fd, "a.yaml", O_WRONLY | O_CLOEXEC), .in_place = in_place};
        TEMPDIR_MUST(w.fd >= 0 && ftruncate(w.fd, 8 << 20) == 0 && lseek(w.fd, 0, SEEK_END) > 0);
        pthread_t thread;
        TEMPDIR_MUST(pthread_create(&thread, NULL, keep_writing, &w) == 0);
        int err = 0;
        for (int i = 0; i < 200 && err == 0; i++) {
            err = read_it(f, "a.yaml", 1 << 30, &bytes, &len);
            free(bytes);
        }
        w.stop = true;
        pthread_join(thread, NULL);
        close(w.fd);
        assert_int_equal(err, -EAGAIN);
    }
}

/* ---- the rest of the directory ---- */

static void a_spool_that_moved_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct spool *s;
    char path[300], away[300];
    put_dir(&f->dir, "spool");
    snprintf(path, sizeof path, "%s/spool", f->dir.path);
    snprintf(away, sizeof away, "%s/away", f->dir.path);
    assert_int_equal(spool_open(&s, path), 0);
    assert_true(spool_still_there(s));
    TEMPDIR_MUST(rename(path, away) == 0);
    assert_false(spool_still_there(s));
    TEMPDIR_MUST(mkdir(path, 0755) == 0); /* another one in its place */
    assert_false(spool_still_there(s));
    TEMPDIR_MUST(rmdir(path) == 0 && rename(away, path) == 0);
    assert_true(spool_still_there(s));
    TEMPDIR_MUST(rmdir(path) == 0);
    assert_false(spool_still_there(s));
    spool_close(s);
}

static void a_relative_spool_survives_chdir(void **state)
{
    struct fixture *f = *state;
    struct spool *s;
    char before[512];
    TEMPDIR_MUST(getcwd(before, sizeof before) && chdir(f->dir.path) == 0);
    int err = spool_open(&s, ".");
    TEMPDIR_MUST(chdir(before) == 0);
    assert_int_equal(err, 0);
    assert_true(spool_still_there(s));
    const char *kind;
    assert_true(spool_is_network(s, &kind) == (kind != NULL));
    spool_close(s);
}

static void only_our_temporaries_are_swept(void **state)
{
    struct fixture *f = *state;
    put_dir(&f->dir, "sub");
    put_dir(&f->dir, ".flowspool.DIRdir");
    put_file(&f->dir, ".flowspool.abcDE1", "");
    put_file(&f->dir, "sub/.flowspool.abcDE1", "");
    put_file(&f->dir, "a.yaml", "");
    assert_int_equal(spool_sweep(f->spool, ".flowspool.abcDE1"), 0);
    assert_int_equal(spool_sweep(f->spool, ".flowspool.abcDE1"), -ENOENT);
    assert_int_equal(spool_sweep(f->spool, "sub/.flowspool.abcDE1"), 0);
    assert_int_equal(spool_sweep(f->spool, "a.yaml"), -EINVAL);
    assert_int_equal(spool_sweep(f->spool, "../.flowspool.abcDE1"), -EINVAL);
    assert_int_equal(spool_sweep(f->spool, ".flowspool.DIRdir"), -EISDIR);
    assert_false(has_name(&f->dir, ".flowspool.abcDE1"));
    assert_false(has_name(&f->dir, "sub/.flowspool.abcDE1"));
    assert_int_equal(spool_exists(f->spool, "a.yaml"), 1);
    assert_int_equal(spool_exists(f->spool, ".flowspool.DIRdir"), 0);
    assert_int_equal(spool_exists(f->spool, "b.yaml"), 0);
}

static void what_lies_in_another_spool_is_known(void **state)
{
    struct fixture *f = *state;
    static const char *const dirs[] = {".flowspool", "a", "a/.flowspool", "a/b", "c", "c/d"};
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        put_dir(&f->dir, dirs[i]);
    put_file(&f->dir, "c/.flowspool", ""); /* no state */
    TEMPDIR_MUST(symlinkat("../a/.flowspool", f->dir.fd, "c/d/.flowspool") == 0);
    assert_int_equal(spool_in_other(f->spool, "x.yaml"), 0); /* our own state */
    assert_int_equal(spool_in_other(f->spool, "a/x.yaml"), 1);
    assert_int_equal(spool_in_other(f->spool, "a/b/x.yaml"), 1);
    assert_int_equal(spool_in_other(f->spool, "a/gone/x.yaml"), 1);
    assert_int_equal(spool_in_other(f->spool, "c/d/x.yaml"), 0);
    assert_int_equal(spool_in_other(f->spool, "gone/x.yaml"), 0);
    char *long_path = calloc(1, 5000);
    assert_non_null(long_path);
    memset(long_path, 'x', 4990);
    memcpy(long_path + 4990, "/y.yaml", 8);
    assert_int_equal(spool_in_other(f->spool, long_path), -ENAMETOOLONG);
    free(long_path);
}

static void only_some_errors_mean_that_nothing_is_there(void **state)
{
    (void)state;
    static const int gone[] = {-ENOENT, -ENOTDIR, -ELOOP, -EINVAL, -ENAMETOOLONG};
    static const int open_question[] = {0, -EIO, -EACCES, -EMFILE, -ENFILE, -ESTALE, -ENOMEM};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        assert_true(spool_is_gone(gone[i]));
    for (size_t i = 0; i < sizeof open_question / sizeof *open_question; i++)
        assert_false(spool_is_gone(open_question[i]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_spool_must_be_a_directory),
        TEST(links_and_odd_files_are_refused),
        TEST(without_openat2_the_same_is_refused),
        TEST(a_file_is_read_whole),
        TEST(larger_than_allowed_is_refused_by_size),
        TEST(a_writer_shows_until_it_closes),
        TEST(changing_while_it_is_read_is_noticed),
        TEST(a_spool_that_moved_is_noticed),
        TEST(a_relative_spool_survives_chdir),
        TEST(only_our_temporaries_are_swept),
        TEST(what_lies_in_another_spool_is_known),
        cmocka_unit_test(only_some_errors_mean_that_nothing_is_there),
    };
    return cmocka_run_group_tests_name("io_spool", tests, NULL, NULL);
}
