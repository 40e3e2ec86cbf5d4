"""What the state remembers of files: forgotten when it is time, and only what is surely gone; holds that come and go."""

import subprocess
import time

import pytest
from conftest import ROOT_ONLY, job_text, wait_for
from hostile_control import posts
from intake_steps import counts, live, started, write_many
from killed import NEEDS_STRACE


def test_one_scan_forgets_all_whose_time_has_come(spool, hostile, daemon):
    """However many went: the state does not grow where files come and go faster than it is scanned."""
    server = hostile()
    write_many(spool, 900, lambda n: job_text(inputs={"n": n}))
    d = daemon(server.url, "--once")
    assert d.wait() == 0, d.log
    for path in list(spool.path.glob("j*")):
        path.unlink()
    d = daemon(server.url, "--once", config="forget_after: 1h\n")
    assert d.wait() == 0, d.log
    assert counts(spool)["files"] == 900, "not yet"
    d = daemon(server.url, "--once", config="forget_after: 0s\n")
    assert d.wait() == 0, d.log
    assert counts(spool)["files"] == 0


@ROOT_ONLY
@NEEDS_STRACE
def test_a_file_that_cannot_be_looked_at_is_not_gone(spool, hostile, daemon):
    server = hostile()
    (spool.path / "PAUSE").touch()
    d = daemon(server.url, config="rescan: 100ms\n")
    for n in range(3):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    started(spool)
    wait_for(lambda: counts(spool)["waiting"] == 3, "the jobs")
    trace = spool.path.parent / "trace"
    failing = subprocess.Popen(["strace", "-f", "-p", str(d.process.pid), "-o", str(trace), "-e", "trace=statx", "-e",
                                "inject=statx:error=EIO"], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: trace.exists() and trace.read_text(errors="replace").count("EIO") > 20, "some scans")
        assert counts(spool)["waiting"] == 3 and "gone" not in d.log, d.log
        (spool.path / "PAUSE").unlink()
    finally:
        failing.terminate()
        failing.wait()
    for n in range(3):
        assert spool.outcome(f"j{n}")["success"]
    assert posts(server) == 3 and "gone" not in d.log


@pytest.mark.parametrize("held", [True, False])
def test_a_hold_that_comes_and_goes_at_once(spool, hostile, daemon, held):
    """Faster than the state can follow; the file's name at the end decides."""
    server = hostile()
    path = spool.drop("a.yaml")
    hold = spool.path / "a.yaml.hold"
    (spool.path / "PAUSE").touch()
    daemon(server.url, config="rescan: 1h\n")
    started(spool)
    wait_for(lambda: counts(spool)["waiting"] == 1, "the job")
    for _ in range(2000):
        path.rename(hold)
        hold.rename(path)
    if held:
        path.rename(hold)
    spool.drop("marker.yaml.hold")
    wait_for(lambda: counts(spool)["files"] == 2, "what came later")
    wait_for(lambda: counts(spool)["held"] == (2 if held else 1), "the hold to be what it is")
    assert counts(spool)["waiting"] == (0 if held else 1)
    (spool.path / "PAUSE").unlink()
    if held:
        hold.rename(path)
    assert spool.outcome("a")["success"] and posts(server) == 1


def test_what_was_told_is_told_again_when_it_comes_again(spool, hostile, daemon):
    d = daemon(hostile().url, config="rescan: 100ms\n")
    started(spool)
    link = spool.path / "link.yaml"

    def comes_and_goes():
        link.symlink_to("/nowhere")
        wait_for(lambda: live(spool)["ignored"] == 1, "a scan that meets it")
        link.unlink()
        wait_for(lambda: live(spool)["ignored"] == 0, "a scan that does not")
        time.sleep(0.3)  # and another one
        return d.log.count("link.yaml: ignored") >= 2

    wait_for(comes_and_goes, "the second line")
