#!/usr/bin/python3
"""Takes one safeguard at a time out of the daemon and shows whether the crash driver notices. Root only (power cuts).

    mutate.py [--only REGEX] [--work DIR] [--list]

Works on a copy of the sources; each mutation replaces text that must occur exactly once. Exit: 0 every mutation did as the table
says, 1 one did not, 2 it could not be tried.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def cut(fs, scenario, *more):
    return ["--power-cut", fs, "--scenario", scenario, *more]


def kill(scenario, *more):
    return ["--scenario", scenario, *more]


PLAIN = [cut("ext4", "plain"), cut("btrfs", "plain")]
MOVED = [cut("ext4", "moved"), cut("btrfs", "moved")]
FAT = [cut("ext4", "documents"), cut("btrfs", "documents")]

# name, [(file, text, text instead)], sweeps, and if none can notice: why.
MUTATIONS = [
    ("state: never synced", [("src/io/store_sql.c", "PRAGMA synchronous = FULL;", "PRAGMA synchronous = OFF;")], PLAIN, ""),
    ("state: synced at checkpoints only", [("src/io/store_sql.c", "PRAGMA synchronous = FULL;", "PRAGMA synchronous = NORMAL;")], PLAIN, ""),
    ("outcome: not synced", [("src/io/publish_batch.c", "    sync_pool_run(b->pool, fds, errs, n);\n    for (size_t i = 0; i < n; i++)\n        after_sync",
                              "    for (size_t i = 0; i < n; i++)\n        errs[i] = 0;\n    for (size_t i = 0; i < n; i++)\n        after_sync")], PLAIN, ""),
    ("outcome: its directory never synced", [("src/io/publish_batch.c",
                                              "    sync_pool_run(b->pool, fds, errs, n);\n    for (size_t i = 0; i < n; i++)\n        if (is_sync",
                                              "    for (size_t i = 0; i < n; i++)\n        errs[i] = 0;\n    for (size_t i = 0; i < n; i++)\n        if (is_sync")],
     PLAIN + MOVED,
     "the next commit of the state syncs the same log: ext4's journal, and the names of synced files in that of Btrfs; another file system may not"),
    ("outcome: directory not synced after the old result was kept",
     [("src/io/publish_batch.c", "    sync_dirs(b);\n    each_open(b, put_pieces);", "    each_open(b, put_pieces);")], MOVED,
     "the rename after it is in the same or a later transaction of the journal: no power cut here keeps one without the other"),
    ("outcome: directory not synced after the rename",
     [("src/io/publish_batch.c", "    sync_dirs(b);\n    each_open(b, remove_leftovers);", "    each_open(b, remove_leftovers);")], PLAIN + MOVED,
     "the sync after the next step follows at once and covers it"),
    ("outcome: directory not synced after the leftovers went",
     [("src/io/publish_batch.c", "    each_open(b, remove_leftovers);\n    sync_dirs(b);", "    each_open(b, remove_leftovers);")], MOVED,
     "what comes back is a file that is no longer the job's; the next start removes it"),
    ("outcome: written under its final name",
     [("src/io/publish_piece.c", "    int fd = temp_create(dir->fd, dir->tag, mode_for(owner->mode, false), p->temp);",
       "    int fd = openat(dir->fd, p->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);"),
      ("src/io/publish_piece.c", "    if (!p->present && renameat(dir->fd, p->temp, dir->fd, p->name) != 0)\n        return -errno;\n", "")],
     [kill("plain")], ""),
    ("outcome: temporaries are not swept",
     [("src/io/spool.c", "    if (name_classify(name) != NAME_OURS_TEMP)", "    if (name_classify(name) != NAME_OURS_TEMP || s != NULL)")],
     [kill("plain")], ""),
    ("reply: a spilled one is not synced",
     [("src/io/http_reply.c", "fdatasync(s->fd) == 0 && sync_directory(s->dir)", "sync_directory(s->dir)")], FAT, ""),
    ("reply: the directory of a spilled one is not synced",
     [("src/io/http_reply.c", "fdatasync(s->fd) == 0 && sync_directory(s->dir)", "fdatasync(s->fd) == 0"),
      ("src/io/http_reply.c", "static bool sync_directory(const char *dir)", "__attribute__((unused)) static bool sync_directory(const char *dir)")], FAT,
     "these file systems make the name of a new file durable with its first sync"),
    ("reply: judged before it is stored",
     [("src/daemon/attempt.c", "    if (!keep) {\n        attempt_judge(l);\n        return;\n    }",
       "    if (!keep || e != NULL) {\n        l->row.state = JOB_REPLIED;\n        attempt_judge(l);\n        return;\n    }")], [kill("plain")], ""),
    ("reply: left-over spills are not swept",
     [("src/daemon/recovery.c", "if (d->d_name[0] != '.' && !store_names_spill(e->store, d->d_name))", "if (d->d_name[0] == '/')")], [kill("documents")], ""),
    ("lock: not taken", [("src/daemon/state_dir.c", "if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)", "if (s->lock_fd >= 0)")],
     [kill("second", "--from", "700")], ""),
    ("cap: ambiguous jobs are repeated without end",
     [("src/core/retry.c", "return p->ambiguous_retry && ambiguous <= p->max_ambiguous;", "return p->ambiguous_retry && ambiguous >= 0;")],
     [kill("recovery", "--policy", "retry", "--from", "700")], ""),
    ("cap: on_ambiguous: hold is not asked for",
     [("src/core/retry.c", "return p->ambiguous_retry && ambiguous <= p->max_ambiguous;", "return ambiguous <= p->max_ambiguous;")],
     [kill("recovery", "--policy", "hold", "--from", "700")], ""),
    ("cap: max_attempts", [("src/core/retry.c", "return attempts < (job_max > 0 ? job_max : p->max_attempts);",
                            "return attempts < (job_max > 0 ? job_max : p->max_attempts) + 1000;")], [kill("retries", "--from", "100")], ""),
    ("cap: max_response_size", [("src/io/http_settings.c", "s->max_response_size = o->max_response_size;", "s->max_response_size = 1 << 29;")],
     [kill("documents", "--from", "100")], ""),
    ("disk: no room is kept for replies", [("src/daemon/engine.c", "return room >= need && inodes;", "return (room >= need && inodes) || need > 0;")],
     [kill("full"), kill("full", "--recovery", "--again-stride", "397")],
     "a state that cannot grow stops sending too: the intent of a request comes first and waits for room"),
    ("state: the backup of a migration is not synced",
     [("src/io/store_schema.c", "sync_path(copy, 0) != 0 || rename(copy, kept) != 0 || sync_path(dir, O_DIRECTORY) != 0", "rename(copy, kept) != 0"),
      ("src/io/store_schema.c", "static int sync_path(const char *path, int flags)", "__attribute__((unused)) static int sync_path(const char *path, int flags)")],
     PLAIN[:1], "no scenario starts with the state of an older program"),
    ("kept result: a copy is not synced", [("src/io/publish_keep.c", "return fsync(to) == 0 ? 0 : -errno;", "return 0;")], MOVED[:1],
     "spool and state share a file system here, so results are kept by a link, and the copy is not used"),
    ("kept result: the parent of a new superseded/ is not synced",
     [("src/io/publish_batch.c", "int err = sync_directory(fd);\n    close(fd);\n    return err;", "close(fd);\n    return 0;")], MOVED[:1],
     "a start makes the directory long before; only where somebody removes it meanwhile is it made anew"),
    ("outcome: what is written again after a failed sync is not synced",
     [("src/io/publish_batch.c", "    if (!err && fsync(p->fd) != 0)\n        err = -errno;\n    return err;", "    return err;")], PLAIN[:1],
     "no sync fails here; tests/unit/test_io_publish_faults.c has such disks"),
]


def run(command, **keys):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **keys)


def build(tree):
    done = run(["cmake", "--build", "--preset", "release", "-j", "2", "--target", "flowspoold"], cwd=tree)
    if done.returncode != 0:
        sys.exit(f"mutate.py: it does not build:\n{done.stdout[-2000:]}")


def prepare(work):
    tree = work / "tree"
    tree.mkdir()
    for name in ("CMakeLists.txt", "CMakePresets.json"):
        shutil.copy2(ROOT / name, tree)
    for name in ("src", "include", "tests", "man", "contrib", "jobs"):
        shutil.copytree(ROOT / name, tree / name)
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md"):
        shutil.copy2(ROOT / name, tree)
    done = run(["cmake", "--preset", "release", "-DFLOWSPOOL_WERROR=OFF"], cwd=tree)  # what a mutation leaves unused is no fault
    if done.returncode != 0:
        sys.exit(f"mutate.py: {done.stdout[-2000:]}")
    done = run(["cmake", "--build", "--preset", "release", "-j", "2", "--target", "flowspool-crash", "flowspoold"], cwd=tree)
    if done.returncode != 0:
        sys.exit(f"mutate.py: {done.stdout[-2000:]}")
    return tree


def mutate(tree, edits):
    """The files as they were."""
    before = {}
    for name, old, new in edits:
        path = tree / name
        text = path.read_text()
        before.setdefault(path, text)
        if text.count(old) != 1:
            sys.exit(f"mutate.py: {name} has {text.count(old)} times:\n{old}")
        path.write_text(text.replace(old, new))
    return before


def points(output):
    return sum(int(line.split()[1]) for line in output.splitlines() if line.startswith("all "))


def sweep(tree, options):
    """What noticed it ("": nothing), points tried."""
    tried = 0
    for o in options:
        more = [] if "--stride" in o else ["--stride", "7"]
        more += [] if "--policy" in o else ["--policy", "hold"]
        done = run([tree / "build/release/tests/flowspool-crash", *o, *more, "--first", "--seconds", "40", "-j", "2"],
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        if done.returncode == 1:
            breach = done.stdout.partition("BREACH")[2].splitlines()[1:2]
            return f"{' '.join(o)}: {''.join(breach)}", tried
        if done.returncode != 0:
            return f"could not be tried: {' '.join(o)}: {done.stdout[-300:]}", tried
        tried += points(done.stdout)
    return "", tried


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", help="mutations whose name this regular expression finds")
    arguments.add_argument("--work", help="where the copy is built (default: a temporary directory)")
    arguments.add_argument("--list", action="store_true")
    given = arguments.parse_args()
    chosen = [m for m in MUTATIONS if given.only is None or re.search(given.only, m[0])]
    if given.list:
        print("\n".join(m[0] for m in chosen))
        return 0
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="flowspool-mutate-", dir=given.work) as work:
        tree = prepare(pathlib.Path(work))
        for name, edits, sweeps, reason in chosen:
            began = time.monotonic()
            before = mutate(tree, edits)
            build(tree)
            by, tried = sweep(tree, sweeps)
            for path, text in before.items():
                path.write_text(text)
            said = f"noticed by {by}" if by else f"not noticed in {tried} points: {reason or 'IT SHOULD BE'}"
            wrong += by.startswith("could not") or not (by or reason)
            print(f"{name} [{time.monotonic() - began:.0f} s]\n    {said}", flush=True)
    print(f"{len(chosen)} mutations, {wrong} not as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
