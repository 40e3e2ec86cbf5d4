/* What a confined process cannot do, and what it still can. In children: it is for good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/confine.h"

#define SCRATCH "/tmp/flowspool-confine-XXXXXX"

static char words[CONFINE_WORDS];

/* Runs fn confined to DIR/w (read and write) and DIR/r (read), in DIR; its result is the exit status. */
static int confined(const char *dir, int (*fn)(void))
{
    char w[64], r[64];
    snprintf(w, sizeof w, "%s/w", dir);
    snprintf(r, sizeof r, "%s/r", dir);
    pid_t pid = fork();
    if (pid == 0) {
        const char *const writable[] = {w, NULL, "/nowhere"};
        const char *const readable[] = {r, NULL};
        const struct confine c = {writable, 3, readable, 2};
        if (chdir(dir) != 0)
            _exit(120);
        confine_self(&c, words);
        _exit(fn());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int error_of_open(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? 0 : errno;
}

/* The number of the step that went wrong, 99: this kernel has no Landlock. */
static int use_files(void)
{
    if (strstr(words, "files by Landlock") == NULL)
        return 99;
    if (error_of_open("w/new", O_RDWR | O_CREAT | O_TRUNC) != 0 || rename("w/new", "w/newer") != 0)
        return 1;
    if (mkdir("w/d", 0700) != 0 || rename("w/newer", "w/d/newest") != 0 || unlink("w/d/newest") != 0)
        return 2;
    if (error_of_open("r/file", O_RDONLY) != 0 || error_of_open("/etc/passwd", O_RDONLY) != 0)
        return 3;
    if (error_of_open("r/file", O_WRONLY) != EACCES || error_of_open("r/new", O_RDWR | O_CREAT) != EACCES)
        return 4;
    if (error_of_open("o/file", O_RDONLY) != EACCES || error_of_open("o/file", O_WRONLY) != EACCES)
        return 5;
    if (unlink("o/file") == 0 || rename("r/file", "w/file") == 0 || symlink("/etc", "w/link") == 0)
        return 6;
    return error_of_open("/dev/null", O_RDWR) != 0 || error_of_open("/dev/urandom", O_RDONLY) != 0 ? 7 : 0;
}

static void *in_thread(void *arg)
{
    bool *same = arg;
    *same = syscall(SYS_unshare, CLONE_NEWUSER) != 0 && errno == EPERM;
    return NULL;
}

static bool refused(long rc)
{
    return rc < 0 && errno == EPERM;
}

static int use_calls(void)
{
    char *const none[] = {NULL};
    if (strstr(words, "calls by seccomp") == NULL)
        return 99;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
    if (!refused(execve("/bin/true", none, none)) || !refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL)))
        return 1;
#else
    (void)none;
#endif
    if (!refused(mount("none", "w", "tmpfs", 0, NULL)) || !refused(chroot("w")) || !refused(setuid(getuid())))
        return 2;
    if (!refused(syscall(SYS_bpf, 0, NULL, 0)) || !refused(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, 0, 0)))
        return 3;
    if (!refused(unshare(CLONE_NEWUSER)) || !refused(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)))
        return 4;
    if (!refused(socket(AF_PACKET, SOCK_RAW, 0)) || !refused(socket(AF_VSOCK, SOCK_STREAM, 0)) ||
        !refused(socket(AF_APPLETALK, SOCK_DGRAM, 0)))
        return 5;
    int fds[] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_STREAM, 0),
                 socket(AF_NETLINK, SOCK_RAW, 0)};
    for (size_t i = 0; i < 3; i++)
        if (fds[i] < 0)
            return 6;
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", "80", NULL, &found) != 0)
        return 7;
    freeaddrinfo(found);
    pthread_t thread;
    bool same = false;
    if (pthread_create(&thread, NULL, in_thread, &same) != 0 || pthread_join(thread, NULL) != 0 || !same)
        return 8;
    return 0;
}

static void make(const char *dir, const char *name, bool is_dir)
{
    char path[96];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (is_dir) {
        assert_int_equal(mkdir(path, 0700), 0);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int set_up(void **state)
{
    static char dir[] = SCRATCH;
    memcpy(dir, SCRATCH, sizeof dir);
    assert_non_null(mkdtemp(dir));
    make(dir, "w", true);
    make(dir, "r", true);
    make(dir, "o", true);
    make(dir, "r/file", false);
    make(dir, "o/file", false);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", (char *)*state);
    return system(command);
}

static void files_outside_are_out_of_reach(void **state)
{
    int step = confined(*state, use_files);
    if (step == 99)
        skip();
    assert_int_equal(step, 0);
}

static void calls_that_nobody_needs_are_refused(void **state)
{
    int step = confined(*state, use_calls);
    if (step == 99)
        skip();
    assert_int_equal(step, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_outside_are_out_of_reach, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_that_nobody_needs_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
