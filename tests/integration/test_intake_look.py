"""One look at one file: held or removed while it waits, edited or gone right before its job is sent."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from conftest import ROOT_ONLY, Daemon, Spool, job_text, wait_for
from command_line import command, frozen
from hostile_control import posts, release, script, stats
from intake_steps import counts, looked, started, wait_jobs
from killed import NEEDS_STRACE


# --- a file that waits under two names ---


def test_a_broken_file_is_held_and_removed_while_it_waits(spool, sandbox, daemon):
    """Both looks, at the name it had and the one it got, are due when it is gone."""
    server = sandbox("--limiter", "none")
    d = daemon(server.url, config="settle: 100ms\nrescan: 1h\n")
    started(spool)
    path = spool.path / "u.yaml"
    path.write_text("workflow: [\n")
    looked(spool, "one")
    time.sleep(0.5)  # several times settle: it was read and is too young to refuse
    path.rename(spool.path / "u.yaml.hold")
    looked(spool, "two")
    with frozen(d):
        time.sleep(10.5)  # both looks are due
        (spool.path / "u.yaml.hold").unlink()
    looked(spool, "three")
    assert d.stop() == 0, d.log


def test_once_ends_when_a_file_that_waited_is_held(spool, hostile, daemon):
    """A file still to settle is renamed to NAME.yaml.hold: nothing is left to wait for."""
    server = hostile()
    script(server, all="hold")
    spool.drop("keeps-it-going.yaml")
    d = daemon(server.url, "--once", config="settle: 2s\n")
    started(spool)
    wait_for(lambda: posts(server) == 1, "the request")
    path = spool.path / "u.yaml"
    path.write_text(job_text(inputs={"n": 1}))
    time.sleep(0.3)  # it waits to settle
    path.rename(spool.path / "u.yaml.hold")
    wait_jobs(spool, held=1)
    release(server)
    assert d.wait() == 0, d.log
    assert posts(server) == 1


def test_a_retry_of_a_file_that_is_held_by_now(spool, hostile, daemon):
    """The order comes when nobody has noticed yet that the file was renamed; it is carried out once."""
    server = hostile()
    script(server, all="status:422")
    d = daemon(server.url, "--once", config="rescan: 1h\n")
    path = spool.drop("a.yaml")
    assert d.wait() == 1 and spool.error("a")["error"]["code"] == "rejected"
    done = command("--spool", spool.path, "retry", "a.yaml")
    assert done.stdout.startswith("1 job runs again"), done
    path.rename(spool.path / "a.yaml.hold")
    script(server, all="ok")
    d = daemon(server.url, "--once", config="rescan: 1h\n")
    assert d.wait() == 0, d.log
    assert posts(server) == 1 and counts(spool)["held"] == 1
    (spool.path / "a.yaml.hold").rename(path)
    assert daemon(server.url, "--once").wait() == 0
    assert spool.result("a") and posts(server) == 2


# --- a file that changes right before its request ---


def test_a_waiting_job_whose_file_is_being_edited_is_not_sent(spool, hostile, daemon):
    """In place, and not yet settled: neither the old request nor half of the new one."""
    server = hostile()
    script(server, wf_first="hold")
    spool.drop("first.yaml", workflow="wf_first")
    daemon(server.url, "--max-concurrency", "1", config="rescan: 1h\n")
    started(spool)
    wait_for(lambda: posts(server) == 1, "the first request")
    path = spool.drop("a.yaml", workflow="wf_old")
    wait_jobs(spool, waiting=1)
    with open(path, "w") as f:
        f.write(job_text("wf_new"))
        f.flush()
        script(server, all="ok")
        release(server)
        spool.outcome("first")
        looked(spool)
        assert set(stats(server)["whole"]) == {"wf_first", "wf_marker"}
    assert spool.outcome("a")["workflow"] == "wf_new"
    assert set(stats(server)["whole"]) == {"wf_first", "wf_marker", "wf_new"}


@NEEDS_STRACE
@pytest.mark.parametrize("what", ["removed", "edited", "held", "directory removed"])
def test_no_event_tells_and_no_old_request_is_sent(spool, hostile, daemon, what):
    """As where another host writes: only the hourly scan would see it."""
    server = hostile()
    script(server, wf_first="hold")
    (spool.path / "sub").mkdir()
    spool.drop("first.yaml", workflow="wf_first")
    blind = ["env", f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0", "strace", "-D", "-f", "-qq", "-o",
             "/dev/null", "-e", "trace=inotify_add_watch", "-e", "inject=inotify_add_watch:error=ENOSPC"]
    d = daemon(server.url, "--max-concurrency", "1", config="rescan: 1h\nrecursive: true\n", prefix=blind)
    started(spool)
    wait_for(lambda: posts(server) == 1, "the first request")
    path = spool.drop("sub/a.yaml", workflow="wf_old")
    d.send(signal.SIGHUP)
    wait_jobs(spool, waiting=1)
    if what == "edited":
        path.write_text(job_text("wf_new"))
    elif what == "held":
        path.rename(spool.path / "sub/a.yaml.hold")
    else:
        path.unlink()
    if what == "directory removed":
        path.parent.rmdir()
    script(server, all="ok")
    release(server)
    spool.outcome("first")
    if what == "edited":
        assert spool.outcome("sub/a")["workflow"] == "wf_new"
    else:
        wait_jobs(spool, waiting=0, held=1 if what == "held" else 0)
    assert "wf_old" not in stats(server)["whole"], d.log


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="needs another user than root")
def test_a_directory_that_cannot_be_looked_into_holds_its_own_jobs_only(hostile):
    """Neither sent nor believed gone; with --once it is given up. In a directory of its own: others would close the way
    to pytest's while a daemon of another user runs."""
    server = hostile()
    script(server, wf_first="hold")
    place = pathlib.Path(tempfile.mkdtemp(prefix="flowspool-test-"))
    spool = Spool(place / "spool")
    (spool.path / "sub").mkdir()
    spool.drop("first.yaml", workflow="wf_first")
    (place / "key").write_text("key\n")
    (place / "key").chmod(0o600)
    prefix = []
    if os.geteuid() == 0:
        for name in [place, *place.rglob("*")]:
            os.chown(name, 65534, 65534)
        prefix = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    config = "rescan: 1h\nrecursive: true\nonce_patience: 2s\n"
    daemons = []

    def start(*options):
        daemons.append(Daemon(place, spool, server.url, ("--once", *options), config=config, prefix=prefix))
        return daemons[-1]

    try:
        d = start("--max-concurrency", "1")
        started(spool)
        wait_for(lambda: posts(server) == 1, "the first request")
        for n in range(3):
            spool.drop(f"sub/j{n}.yaml", workflow="wf_sub", inputs={"n": n}, priority=5)
            spool.drop(f"j{n}.yaml", workflow="wf_other", inputs={"n": n})
        wait_jobs(spool, waiting=6)
        (spool.path / "sub").chmod(0)
        script(server, all="ok")
        release(server)
        for n in range(3):
            assert spool.outcome(f"j{n}")["success"]
        d.logged("cannot be looked at")
        assert d.wait() == 6, d.log
        assert "wf_sub" not in stats(server)["whole"]
        (spool.path / "sub").chmod(0o755)
        wait_jobs(spool, waiting=3)
        d = start()
        assert d.wait() == 0, d.log
        assert posts(server, "wf_sub") == 3
    finally:
        for d in daemons:
            if d.process.poll() is None:
                d.kill()
        (spool.path / "sub").chmod(0o755)
        shutil.rmtree(place)


@ROOT_ONLY
@NEEDS_STRACE
def test_a_file_edited_while_its_outcome_cannot_be_written_is_not_read_all_the_time(spool, hostile, daemon, tmp_path):
    server = hostile()
    script(server, all="hold")
    d = daemon(server.url, config="rescan: 1h\nsettle: 10ms\n")
    started(spool)
    spool.drop("a.yaml")
    wait_for(lambda: posts(server) == 1, "the request")
    (spool.path / "a.result.json").mkdir()
    release(server)
    d.logged("its outcome cannot be written")
    trace = tmp_path / "trace"
    counting = subprocess.Popen(["strace", "-f", "-p", str(d.process.pid), "-o", str(trace), "-e", "trace=openat2,openat"],
                                stderr=subprocess.DEVNULL)
    try:
        wait_for(trace.exists, "strace")
        spool.drop("a.yaml", workflow="wf_new")
        wait_for(lambda: trace.read_text(errors="replace").count('"a.yaml"') > 2, "a few looks")
        time.sleep(2)
        assert trace.read_text(errors="replace").count('"a.yaml"') < 15
    finally:
        counting.terminate()
        counting.wait()
    (spool.path / "a.result.json").rmdir()
    script(server, all="ok")
    wait_for(lambda: (r := spool.result("a")) and r["workflow"] == "wf_new", "the result of the new request")
    assert posts(server) == 2
