#!/usr/bin/python3
"""How long the operator's command takes to answer with many jobs in the state. Prints figures and judges nothing.

    status_at_scale.py [JOBS]     default: 100000

The state is made by flowspoold itself, from one job that is then multiplied in its database. The programs are those in
$FLOWSPOOL_BIN_DIR (default: build/release/bin in the tree). Needs no account and sends nothing.
"""

import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FLOWSPOOL_BIN_DIR", ROOT / "build" / "release" / "bin"))
RUNS = 15
# Nothing listens there: what is not paused finds nobody.
ENDPOINT = "http://127.0.0.1:9"


def command(spool, *arguments):
    return [str(BIN / "flowspool"), "--spool", str(spool), *arguments]


def start(scratch, spool):
    """flowspoold, paused, when it has listed the spool."""
    log = open(scratch / "log", "ab")
    daemon = subprocess.Popen([str(BIN / "flowspoold"), "--spool", str(spool), "--endpoint", ENDPOINT, "--api-key-file",
                               str(scratch / "key")], stderr=log)
    for _ in range(3000):
        said = subprocess.run(command(spool, "status", "--json"), capture_output=True, text=True)
        if '"scanned":true' in said.stdout:
            return daemon
        if daemon.poll() is not None:
            break
        time.sleep(0.02)
    raise SystemExit("flowspoold does not start: " + (scratch / "log").read_text())


def stop(daemon):
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()


def multiply(database, jobs):
    """Copies of the one job there: half of them done, a tenth failed, a tenth for later, the others ready."""
    db = sqlite3.connect(database)
    columns = {t: [c[1] for c in db.execute(f"PRAGMA table_info({t})")] for t in ("files", "jobs")}
    replaced = {
        "files": {"id": "id + n.i", "path": "CAST('one-' || printf('%08d', n.i) || '.yaml' AS BLOB)", "ino": "ino + n.i"},
        "jobs": {"id": "id + n.i", "file_id": "file_id + n.i", "path": "CAST('one-' || printf('%08d', n.i) || '.yaml' AS BLOB)",
                 "stem": "CAST('one-' || printf('%08d', n.i) AS BLOB)", "request_sha256": "printf('%064x', n.i)",
                 "state": "CASE WHEN n.i % 10 < 5 THEN 3 WHEN n.i % 10 = 5 THEN 4 ELSE 0 END",
                 "due_ms": "CASE WHEN n.i % 10 = 6 THEN 4102444800000 ELSE 0 END",
                 "seen_ms": "seen_ms + n.i", "queued_ms": "queued_ms + n.i"},
    }
    with db:
        for table in ("files", "jobs"):
            values = ", ".join(replaced[table].get(c, c) for c in columns[table])
            db.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                       f" INSERT INTO {table} ({', '.join(columns[table])}) SELECT {values}"
                       f" FROM (SELECT * FROM {table} LIMIT 1), n", (jobs - 1,))
    db.close()


def measure(what, arguments, runs=RUNS):
    took = []
    for _ in range(runs):
        begun = time.perf_counter()
        done = subprocess.run(arguments, capture_output=True)
        took.append((time.perf_counter() - begun) * 1000)
        if done.returncode != 0:
            raise SystemExit(f"{arguments}: {done.stderr.decode()}")
    took.sort()
    print(f"{what:34} median {took[runs // 2]:7.1f} ms, worst {took[-1]:7.1f} ms")


def measure_all(spool, jobs, when):
    name = f"one-{(jobs - 1) // 10 * 10 - 1:08d}"  # one of the last that are ready
    for what, arguments in [("status", ["status"]), ("status --json", ["status", "--json"]), ("show JOB", ["show", name + ".yaml"]),
                            ("explain JOB", ["explain", name]), ("log JOB", ["log", name + ".yaml"])]:
        measure(f"{what}, {when}", command(spool, *arguments))
    measure(f"list --names GLOB, {when}", command(spool, "list", "--names", name[:-2] + "*"), 3)


def main(arguments):
    jobs = int(arguments[0]) if arguments else 100000
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="flowspool-bench-"))
    try:
        spool = scratch / "spool"
        spool.mkdir()
        (scratch / "key").write_text("bench\n")
        (scratch / "key").chmod(0o600)
        (spool / "PAUSE").touch()
        (spool / "one.yaml").write_text("workflow: wf_bench\ninputs: {}\n")
        daemon = start(scratch, spool)
        for _ in range(3000):
            if subprocess.run(command(spool, "list", "--names"), capture_output=True).stdout:
                break
            time.sleep(0.02)
        stop(daemon)
        multiply(spool / ".flowspool" / "state.db", jobs)
        measure_all(spool, jobs, "no daemon")
        for i in range(1, jobs):  # their files, or the daemon would miss them; it finds all of them changed
            (spool / f"one-{i:08d}.yaml").write_text(f"workflow: wf_bench\ninputs: {{n: {i}}}\n")
        daemon = start(scratch, spool)
        try:
            measure_all(spool, jobs, "busy daemon")
        finally:
            stop(daemon)
    finally:
        shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
