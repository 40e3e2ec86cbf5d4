"""The examples in contrib/examples, run as they are: Python, make and shell. (The C one: tests/check_install.sh.)"""

import json
import os
import shutil
import subprocess

import pytest

from conftest import BIN, PATIENCE, ROOT
from hostile_control import posts, script

EXAMPLES = ROOT / "contrib" / "examples"


def run(spool, *command, env=None, **keys):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("FLOWSPOOL_", "MAKE"))}
    environment.update({"PATH": f"{BIN}:{os.environ['PATH']}", "FLOWSPOOL_SPOOL": str(spool.path), **(env or {})})
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=2 * PATIENCE, env=environment, **keys)


@pytest.fixture
def server(hostile, daemon):
    s = hostile()
    script(s, wf_gone="status:404", wf_echo={"do": "ok", "result": "Once é 😀\u0000.\n"}, all="ok")
    daemon(s.url, config="retry:\n  max_attempts: 1\n")
    return s


# --- Python ---


def python(spool, *arguments):
    library = BIN.parent / "lib" / "libflowspool.so.0"
    env = {"LIBFLOWSPOOL": str(library), "PYTHONIOENCODING": "utf-8"}
    needed = subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=True).stdout
    if "libasan" in needed:  # must come before everything else, and Python itself leaks
        asan = next(line.split()[2] for line in needed.splitlines() if "libasan" in line)
        env.update(LD_PRELOAD=asan, ASAN_OPTIONS="detect_leaks=0:exitcode=99")
    return run(spool, "/usr/bin/python3", EXAMPLES / "submit.py", spool.path, *arguments, env=env)


def test_python(spool, server):
    done = python(spool, "wf_echo", "story=a \"dog\": é")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Once é 😀\0.\n\n", "")
    failed = python(spool, "wf_gone")
    assert failed.returncode == 1 and "the service knows no published workflow" in failed.stderr
    refused = python(spool, "wf bad")
    assert refused.returncode == 1 and refused.stderr.startswith("workflow must be")
    assert python(spool).returncode == 2


# --- make ---


@pytest.fixture
def project(tmp_path):
    (tmp_path / "jobs").mkdir()
    shutil.copy(EXAMPLES / "Makefile", tmp_path)
    return tmp_path


def make(spool, project, *arguments):
    return run(spool, "make", "-j", 8, *arguments, cwd=project)


def put(project, name, text, workflow="wf_a"):
    (project / "jobs" / f"{name}.yaml").write_text(f"workflow: {workflow}\ninputs: {{text: {text}}}\n")


def test_make(spool, server, project):
    for i in range(12):
        put(project, f"j{i}", f"number {i}")
    done = make(spool, project)
    assert done.returncode == 0, done.stderr
    results = {p.name: json.loads(p.read_text()) for p in (project / "results").iterdir()}
    assert set(results) == {f"j{i}.result.json" for i in range(12)} and all(r["success"] for r in results.values())
    assert posts(server) == 12
    assert make(spool, project).stdout == "make: Nothing to be done for 'all'.\n"

    put(project, "j3", "another")
    os.utime(project / "jobs" / "j4.yaml")  # newer, and the same request
    assert make(spool, project).returncode == 0
    assert posts(server) == 13, "only what is another request is bought"
    again = json.loads((project / "results" / "j3.result.json").read_text())
    assert again["request_sha256"] != results["j3.result.json"]["request_sha256"]


def test_make_goes_on_where_one_fails(spool, server, project):
    put(project, "bad", "x", workflow="wf_gone")
    put(project, "good", "x")
    failed = make(spool, project, "-k")
    assert failed.returncode == 2 and "bad.yaml failed workflow_not_found" in failed.stdout
    assert [p.name for p in (project / "results").iterdir()] == ["good.result.json"]
    put(project, "bad", "x")
    assert make(spool, project).returncode == 0
    assert sorted(p.name for p in (project / "results").iterdir()) == ["bad.result.json", "good.result.json"]


# --- shell ---


def test_shell(spool, sandbox, daemon):
    s = sandbox("--limiter", "none", "--latency", "uniform:1ms,50ms")
    daemon(s.url)
    lines = [f"line {i}, \"quoted\"" for i in range(8)] + ["the same", "the same"]
    done = run(spool, EXAMPLES / "pipeline.sh", "wf_a", "text", input="\n".join(lines) + "\n")
    assert done.returncode == 0, done.stderr
    places = [done.stdout.find(line.split(",")[0]) for line in lines[:8]]
    assert places == sorted(places) and places[0] >= 0, "in the order of the lines"
    assert done.stdout.count("the same") == 2 and s.stats()["runs"] == 10


def test_shell_tells_of_failures(spool, server):
    done = run(spool, EXAMPLES / "pipeline.sh", "wf_gone", "text", input="x\n")
    assert (done.returncode, done.stdout) == (1, "") and "failed: workflow_not_found" in done.stderr
    assert run(spool, EXAMPLES / "pipeline.sh").returncode == 2
