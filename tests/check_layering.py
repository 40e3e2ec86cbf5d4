#!/usr/bin/python3
"""Checks that calls go down only: which file may include what, and what policy may call.

    check_layering.py [TREE]          prints FILE:LINE: what is wrong; status 1 if anything is
    check_layering.py --archive FILE  the compiled policy, or library, has no writable data
    check_layering.py --self-test     the rules can fail
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# --- The rules ---

# What core may include besides core/: headers whose use needs no file, clock, process or thread.
PURE_HEADERS = set(
    "assert ctype errno float inttypes limits math stdarg stdbool stddef stdint stdio stdlib string strings time"
    .split())

# A library belongs to the few files that wrap it, so that it can be replaced there: (layer, file name).
LIBRARY_HEADERS = [
    (r"yaml\.h", [("core", r"yamltree\.c")]),
    (r"cjson/.*|cJSON\.h", [("core", r"(payload|status|statusjson|order|learned|tuningjson)\.c")]),
    (r"openssl/.*", [("core", r"digest\.c")]),
    (r"curl/.*", [("io", r"http\w*\.[ch]")]),
    (r"seccomp\.h", [("io", r"confine\.c")]),
    (r"sqlite3\.h", [("io", r"store\w*\.[ch]")]),
    (r"microhttpd\.h", [("sandbox", r".*")]),
    (r"uv\.h", [("io", r".*"), ("daemon", r".*"), ("sandbox", r".*")]),
]

# Which of the project's own headers a layer may include.
OWN_HEADERS = {
    "core": r"core/.*",
    "io": r"(core|io)/.*",
    "daemon": r"(core|io|daemon)/.*",
    # The command looks at job files as the daemon does (check, explain), so it has the daemon's own scan.
    "cli": r"core/.*|cli/.*|io/(store|control|config|log|clock|beneath|publish_prune|spool)\w*\.h|flowspool/flowspool\.h",
    "sandbox": r"(core|sandbox)/.*",
    "lib": r"(core|lib|flowspool)/.*|io/(beneath|clock|control_client|filesystem)\.h",
    "include": r"flowspool/.*",
}

# Edges never call each other. What they share has no outside world of its own and reports to nobody.
IO_SHARED = {"alarm", "beneath", "clock", "filesystem", "log"}

# What the library has of them: no event loop, no database, no other program's business.
IO_IN_LIB = {"beneath", "clock", "control_client", "filesystem"}

GENERATED_HEADERS = {"flowspool_version.h"}

# Calls that would give policy a clock, a file, a socket, the environment, randomness, a thread or a voice.
IMPURE_CALLS = set("""
    time clock clock_gettime gettimeofday localtime localtime_r gmtime mktime tzset sleep usleep nanosleep
    open openat creat close read pread write pwrite readv writev lseek stat fstat lstat fstatat access unlink rename
    mkdir rmdir opendir readdir link symlink fsync fdatasync truncate ftruncate mmap munmap ioctl fcntl dup dup2 pipe
    fopen fdopen freopen fread fwrite fclose fflush fgets fgetc getc getchar gets getline getdelim fscanf scanf
    printf vprintf dprintf vdprintf fprintf vfprintf puts putchar fputs fputc putc perror syslog err warn errx warnx
    socket connect bind listen accept send recv sendto recvfrom poll select epoll_wait getaddrinfo
    getenv secure_getenv setenv unsetenv putenv setlocale getpid getuid gethostname
    rand rand_r srand random srandom drand48 arc4random getrandom getentropy
    pthread_create pthread_mutex_lock thrd_create signal sigaction raise kill fork execv execve system popen
    exit _exit quick_exit atexit
""".split())

# What cannot go on aborts; the sentence that says why (a job, both its states) has to go somewhere.
IMPURE_ALLOWED = {("job.c", "fprintf")}

INCLUDE = re.compile(r'\s*#\s*include\s*(<([^>]+)>|"([^"]+)"|(.*))')
CALL = re.compile(r"(?<![\w.])(?<!->)([A-Za-z_]\w*)\s*\(")


# --- The check ---

def without_comments(text, keep_strings):
    """The text with comments (and the insides of literals) blanked, every line where it was."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        if found[0] in "\"'" and keep_strings:
            return found
        return re.sub(r"[^\n]", " ", found)

    return token.sub(blank, text)


def include_faults(layer, path, header, own):
    if layer == "io" and path.stem in IO_IN_LIB:
        name = pathlib.PurePath(header)
        if header == "uv.h" or (name.parts[0] == "io" and name.stem not in IO_IN_LIB):
            yield f'the library has this file too, and may not depend on "{header}"'
            return
    if own:
        if header in GENERATED_HEADERS and layer != "core":
            return
        if not re.fullmatch(OWN_HEADERS[layer], header):
            yield f'src/{layer} may not include "{header}"'
        elif layer == "io" and header.startswith("io/"):
            theirs = pathlib.PurePath(header).stem
            family = path.stem.split("_")[0]
            if theirs.split("_")[0] != family and theirs not in IO_SHARED:
                yield f'an edge may not include another edge: "{header}"'
        return
    for pattern, places in LIBRARY_HEADERS:
        if re.fullmatch(pattern, header):
            if not any(layer == where and re.fullmatch(name, path.name) for where, name in places):
                yield f"<{header}> does not belong here; another file wraps it"
            return
    if layer == "core" and header.removesuffix(".h") not in PURE_HEADERS:
        yield f"policy is pure and may not include <{header}>"


def file_faults(layer, path):
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(without_comments(text, True).splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        if match.group(4) is not None:
            yield number, "an include must name its header"
            continue
        header = match.group(2) or match.group(3)
        for fault in include_faults(layer, path, header, match.group(3) is not None):
            yield number, fault
    if layer != "core":
        return
    for number, line in enumerate(without_comments(text, False).splitlines(), 1):
        for name in CALL.findall(line):
            if name in IMPURE_CALLS and (path.name, name) not in IMPURE_ALLOWED:
                yield number, f"policy is pure and may not call {name}()"
        for name in re.findall(r"\b(environ|stdout|stdin)\b", line):
            yield number, f"policy is pure and may not use {name}"


def tree_faults(tree):
    """(path relative to the tree, line, what is wrong), and how many files were read."""
    faults = []
    count = 0
    roots = [(name, tree / "src" / name) for name in OWN_HEADERS if name != "include"]
    for layer, root in roots + [("include", tree / "include")]:
        for path in sorted(root.rglob("*.[ch]")):
            count += 1
            for number, fault in file_faults(layer, path):
                faults.append((path.relative_to(tree).as_posix(), number, fault))
    known = {root.name for _, root in roots}
    for path in sorted((tree / "src").iterdir()):
        if path.is_dir() and path.name not in known:
            faults.append((path.relative_to(tree).as_posix(), 0, "this layer has no rules yet"))
    return faults, count


def archive_faults(archive):
    """Writable data in the compiled policy: it would be state that no caller owns."""
    table = subprocess.run(["objdump", "-t", archive], check=True, capture_output=True, text=True).stdout
    entry = re.compile(r"^[0-9a-f]+ .{7} (\.data|\.bss|\*COM\*)(?!\.rel\.ro)\S*\t[0-9a-f]+ +(?:\.hidden )?(\S+)$", re.M)
    return [name for _, name in entry.findall(table) if not name.startswith(".")]


# --- The self-test: each line alone, in that file, must be found; a sound tree must pass ---

SOUND = {
    "src/core/job.c": '#include "core/job.h"\n#include <stdio.h>\nfprintf(stderr, "x");\n',
    "src/core/job.h": "/* calls time(NULL) and open() in words only */\n#include <stdint.h>\n",
    "src/core/retry.c": 'when.time(now); p->read(x); retry_time(1); s = "open(";\n',
    "src/core/yamltree.c": "#include <yaml.h>\n",
    "src/core/payload.c": "#include <cjson/cJSON.h>\n",
    "src/io/spool_scan.c": '#include "io/spool.h"\n#include "io/filesystem.h"\n',
    "src/io/http.c": '#include "io/http.h"\n#include "io/http_reply.h"\n#include "io/log.h"\n#include <curl/curl.h>\n',
    "src/io/store_write.c": '#include "io/store.h"\n#include <sqlite3.h>\n#include <uv.h>\n',
    "src/daemon/main.c": '#include "daemon/engine.h"\n#include "io/http.h"\n#include "core/job.h"\n#include <uv.h>\n',
    "src/cli/main.c": '#include "io/store.h"\n#include "flowspool/flowspool.h"\n#include "core/job.h"\n',
    "src/daemon/options.c": '#include "flowspool_version.h"\n',
    "src/sandbox/main.c": '#include "sandbox/limiter.h"\n#include "core/yamltree.h"\n#include <microhttpd.h>\n',
    "src/io/clock.h": "#include <stdint.h>\n",
    "src/lib/flowspool.c": '#include "flowspool/flowspool.h"\n#include "core/jobfile.h"\n#include "lib/error.h"\n'
                           '#include "io/control_client.h"\n',
    "include/flowspool/flowspool.h": "#include <stddef.h>\n",
}

UNSOUND = [
    ("src/core/retry.c", "now = time(NULL);"),
    ("src/core/retry.c", "clock_gettime(CLOCK_BOOTTIME, &t);"),
    ("src/core/retry.c", "if (x) fd = open (path, 0);"),
    ("src/core/retry.c", 'printf("x");'),
    ("src/core/retry.c", 'fprintf(stderr, "x");'),
    ("src/core/retry.c", "fputs(text, stdout);"),
    ("src/core/retry.c", 'value = getenv("HOME");'),
    ("src/core/retry.c", "jitter = rand();"),
    ("src/core/retry.c", "usleep(10);"),
    ("src/core/retry.c", "#include <unistd.h>"),
    ("src/core/retry.c", "#include <sys/stat.h>"),
    ("src/core/retry.c", "#include <yaml.h>"),
    ("src/core/retry.c", "#include <cjson/cJSON.h>"),
    ("src/core/outcome.c", "#include <cjson/cJSON.h>"),
    ("src/core/digest.c", "fputs(text, stderr);"),
    ("src/core/retry.c", "#include <openssl/evp.h>"),
    ("src/core/retry.c", "#include <uv.h>"),
    ("src/core/retry.c", '#include "io/log.h"'),
    ("src/core/retry.c", '#include "job.h"'),
    ("src/core/retry.h", "#  include <pthread.h>"),
    ("src/io/http.c", '#include "io/store.h"'),
    ("src/io/http.c", "#include <sqlite3.h>"),
    ("src/io/http.c", '#include "daemon/engine.h"'),
    ("src/io/config.c", "#include <yaml.h>"),
    ("src/io/spool.c", "#include <curl/curl.h>"),
    ("src/daemon/engine.c", "#include <curl/curl.h>"),
    ("src/daemon/engine.c", "#include <sqlite3.h>"),
    ("src/daemon/engine.c", '#include "cli/list.h"'),
    ("src/cli/list.c", '#include "io/http.h"'),
    ("src/cli/list.c", "#include <uv.h>"),
    ("src/cli/list.c", '#include "daemon/engine.h"'),
    ("src/sandbox/main.c", '#include "io/log.h"'),
    ("src/sandbox/main.c", '#include "daemon/engine.h"'),
    ("src/lib/flowspool.c", '#include "io/store.h"'),
    ("src/lib/flowspool.c", '#include "io/control.h"'),
    ("src/lib/flowspool.c", "#include <uv.h>"),
    ("src/lib/flowspool.c", "#include <cjson/cJSON.h>"),
    ("src/io/clock.h", "#include <uv.h>"),
    ("src/io/control_client.c", '#include "io/control.h"'),
    ("include/flowspool/flowspool.h", '#include "core/job.h"'),
    ("src/extra/x.c", ""),
]


def write_tree(tree, files):
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def self_test_tree(files):
    with tempfile.TemporaryDirectory() as directory:
        write_tree(pathlib.Path(directory), files)
        return tree_faults(pathlib.Path(directory))[0]


def self_test_archive():
    """A writable counter is found; constant tables, of pointers too, are not."""
    sources = {"static int n; int next(void) { return ++n; }": True,
               "int count = 7;": True,
               "static const char *const t[] = {\"a\", \"b\"}; const char *at(int i) { return t[i]; }": False}
    wrong = []
    for source, expected in sources.items():
        with tempfile.TemporaryDirectory() as directory:
            base = pathlib.Path(directory)
            (base / "x.c").write_text(source)
            subprocess.run(["cc", "-fPIC", "-c", "x.c"], cwd=base, check=True)
            subprocess.run(["ar", "rc", "x.a", "x.o"], cwd=base, check=True)
            if bool(archive_faults(str(base / "x.a"))) != expected:
                wrong.append(source)
    return wrong


def self_test():
    wrong = [f"a sound tree was refused: {fault}" for fault in self_test_tree(SOUND)]
    for name, line in UNSOUND:
        head = SOUND.get(name, "")
        faults = self_test_tree({**SOUND, name: head + "\n" + line + "\n"})
        place = ("src/extra", 0) if name.startswith("src/extra/") else (name, head.count("\n") + 2)
        if not any((path, number) == place for path, number, _ in faults):
            wrong.append(f"{name}: not found: {line} ({faults})")
    wrong += [f"compiled policy judged wrongly: {source}" for source in self_test_archive()]
    print("\n".join(wrong) or f"{len(UNSOUND)} violations found where they are")
    return 1 if wrong else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) == 2 and arguments[0] == "--archive":
        names = archive_faults(arguments[1])
        for name in names:
            print(f"{arguments[1]}: no writable data may be kept here: {name}")
        return 1 if names else 0
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print(__doc__, file=sys.stderr)
        return 2
    faults, count = tree_faults(pathlib.Path(arguments[0] if arguments else "."))
    for path, number, fault in faults:
        print(f"{path}:{number}: {fault}")
    if count == 0:
        print("no source files here", file=sys.stderr)
        return 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
