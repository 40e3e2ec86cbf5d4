#include "io/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A leak check looks at the process through ptrace and /proc, and a report runs a program. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- files ---- */

/* Newer than the headers of Debian 12. */
#define ACCESS_FS_TRUNCATE  (1ULL << 14) /* from ABI 3 on */
#define ACCESS_FS_IOCTL_DEV (1ULL << 15) /* from ABI 5 on */

#define LEAST_ABI 2

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE                                                                                                \
    (READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |              \
     LANDLOCK_ACCESS_FS_REFER | ACCESS_FS_TRUNCATE)
#define HANDLED                                                                                              \
    (WRITE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_FIFO |      \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | ACCESS_FS_IOCTL_DEV)
/* What a rule for a file, not a directory, may hold. */
#define OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_FS_TRUNCATE)

/* Libraries that are loaded late (name services, TLS providers), certificates, the resolver, the number of
 * processors. */
static const char *const system_paths[] = {
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/run/systemd",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/nscd",
    "/var/lib/ca-certificates",
    "/var/lib/sss",
    "/dev/urandom",
    "/dev/random",
    "/proc/self",
    "/proc/sys",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
};

static long landlock_abi(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static uint64_t known_to(long abi)
{
    uint64_t known = HANDLED;
    if (abi < 3)
        known &= ~ACCESS_FS_TRUNCATE;
    if (abi < 5)
        known &= ~ACCESS_FS_IOCTL_DEV;
    return known;
}

static bool add_rule(int ruleset, const char *path, uint64_t access)
{
    if (path == NULL)
        return true;
    struct stat st;
    struct landlock_path_beneath_attr rule = {.allowed_access = access};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return true;
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= OF_FILES;
    long rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
    return rc == 0;
}

static bool add_rules(int ruleset, const struct confine *c, uint64_t known)
{
    bool ok = true;
    for (size_t i = 0; i < sizeof system_paths / sizeof system_paths[0]; i++)
        ok = ok && add_rule(ruleset, system_paths[i], READ);
    for (size_t i = 0; i < c->nreadable; i++)
        ok = ok && add_rule(ruleset, c->readable[i], READ);
    for (size_t i = 0; i < c->nwritable; i++)
        ok = ok && add_rule(ruleset, c->writable[i], WRITE & known);
    if (SANITIZED)
        ok = ok && add_rule(ruleset, "/proc", READ) &&
             add_rule(ruleset, "/usr", READ | LANDLOCK_ACCESS_FS_EXECUTE);
    return ok && add_rule(ruleset, "/dev/null", READ | LANDLOCK_ACCESS_FS_WRITE_FILE);
}

/* 0 or an errno. */
static int confine_files(const struct confine *c, long abi)
{
    uint64_t known = known_to(abi);
    const struct landlock_ruleset_attr attr = {.handled_access_fs = known};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0)
        return errno;
    int err = 0;
    if (!add_rules(ruleset, c, known) || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        err = errno;
    close(ruleset);
    return err;
}

/* ---- system calls ---- */

#define REFUSED SCMP_ACT_ERRNO(EPERM)

/* Names, so that a library that does not know one yet passes over it, as does an architecture without it. */
static const char *const refused_calls[] = {
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "capset",
    "chroot",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_settime",
    "clock_settime64",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mknod",
    "mknodat",
    "modify_ldt",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "setdomainname",
    "setfsgid",
    "setfsgid32",
    "setfsuid",
    "setfsuid32",
    "setgid",
    "setgid32",
    "setgroups",
    "setgroups32",
    "sethostname",
    "setns",
    "setregid",
    "setregid32",
    "setresgid",
    "setresgid32",
    "setresuid",
    "setresuid32",
    "setreuid",
    "setreuid32",
    "settimeofday",
    "setuid",
    "setuid32",
    "stime",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "vhangup",
    "vm86",
    "vm86old",
};
static const char *const refused_unless_sanitized[] = {"execve", "execveat", "ptrace"};

static int refuse_all(scmp_filter_ctx f, const char *const names[], size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number != __NR_SCMP_ERROR)
            rc = seccomp_rule_add(f, REFUSED, number, 0);
        if (rc == -EDOM) /* not on this architecture */
            rc = 0;
    }
    return rc;
}

static int refuse_if(scmp_filter_ctx f, int number, struct scmp_arg_cmp first)
{
    return seccomp_rule_add_array(f, REFUSED, number, 1, &first);
}

/* Threads, but no namespaces. Whether clone3() makes one cannot be seen from here; a libc that is told that
 * there is none uses clone(). */
static int refuse_namespaces(scmp_filter_ctx f)
{
    static const scmp_datum_t flags[] = {CLONE_NEWCGROUP, CLONE_NEWIPC,  CLONE_NEWNET, CLONE_NEWNS,
                                         CLONE_NEWPID,    CLONE_NEWUSER, CLONE_NEWUTS};
    int rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && rc == 0; i++)
        rc = refuse_if(f, SCMP_SYS(clone), (struct scmp_arg_cmp){0, SCMP_CMP_MASKED_EQ, flags[i], flags[i]});
    return rc;
}

/* Local, IPv4, IPv6, and the netlink that name lookup asks for addresses. */
static int refuse_sockets(scmp_filter_ctx f)
{
    int rc = refuse_if(f, SCMP_SYS(socket), (struct scmp_arg_cmp){0, SCMP_CMP_GT, AF_NETLINK, 0});
    for (scmp_datum_t family = AF_INET + 1; family < AF_NETLINK && rc == 0; family++)
        if (family != AF_INET6)
            rc = refuse_if(f, SCMP_SYS(socket), (struct scmp_arg_cmp){0, SCMP_CMP_EQ, family, 0});
    return rc;
}

/* 0 or an errno. */
static int confine_calls(void)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    if (f == NULL)
        return ENOMEM;
    int rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (rc == 0)
        rc = refuse_all(f, refused_calls, sizeof refused_calls / sizeof refused_calls[0]);
    if (rc == 0 && !SANITIZED)
        rc = refuse_all(f, refused_unless_sanitized,
                        sizeof refused_unless_sanitized / sizeof refused_unless_sanitized[0]);
    if (rc == 0)
        rc = refuse_namespaces(f);
    if (rc == 0)
        rc = refuse_sockets(f);
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    return -rc;
}

/* ---- both ---- */

void confine_self(const struct confine *c, char words[CONFINE_WORDS])
{
    char files[64];
    long abi = landlock_abi();
    prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);
    int err = abi < LEAST_ABI ? 0 : confine_files(c, abi);
    if (abi < LEAST_ABI)
        snprintf(files, sizeof files, "files by nothing (no Landlock here)");
    else if (err != 0)
        snprintf(files, sizeof files, "files by nothing (Landlock: %s)", strerror(err));
    else
        snprintf(files, sizeof files, "files by Landlock %ld", abi);
    err = confine_calls();
    if (err != 0)
        snprintf(words, CONFINE_WORDS, "%s, system calls by nothing (seccomp: %s)", files, strerror(err));
    else
        snprintf(words, CONFINE_WORDS, "%s, system calls by seccomp", files);
}
