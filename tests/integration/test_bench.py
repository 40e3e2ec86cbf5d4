"""The commands that print figures work. What they measure is not judged here."""

import json
import os
import shutil
import subprocess
import sys

from conftest import BIN, ROOT

BENCH = ROOT / "tests" / "bench" / "rate_on_sockets.py"


def bench(*options):
    return subprocess.run([sys.executable, BENCH, "--quick", "--at-most", "60", *options], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "FLOWSPOOL_BIN_DIR": str(BIN)})


def test_every_peer_gets_its_jobs_done():
    done = bench("--case", "no-limit", "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    peers = ["flowspoold", "asyncio", "cookbook"] + (["curl"] if shutil.which("curl") else [])
    assert [r["peer"] for r in rows] == peers
    assert [(r["done"], r["stopped"], r["requests"], r["refused"]) for r in rows] == [(50, False, 50, 0)] * len(peers)


def test_the_table_has_a_line_for_each_run():
    done = bench("--case", "log-60-per-10s", "--peer", "flowspoold")
    assert done.returncode == 0, done.stderr
    head, row = done.stdout.splitlines()
    assert head.split()[:3] == ["case", "peer", "jobs"]
    assert row.split()[:3] == ["log-60-per-10s", "flowspoold", "24"]


def test_the_times_of_the_command_are_told_for_each_question():
    done = subprocess.run([sys.executable, ROOT / "tests/bench/status_at_scale.py", "100"], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "FLOWSPOOL_BIN_DIR": str(BIN)})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == 2 * ["status", "status --json", "show JOB", "explain JOB", "log JOB",
                                                          "list --names GLOB"]
    assert all(" median " in line and " worst " in line for line in lines)
