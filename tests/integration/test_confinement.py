"""What flowspoold gives up at its start, and that nothing it has to do needs it."""

import os
import re
import signal
import subprocess

import pytest

from command_line import status
from conftest import BIN, Daemon, wait_for
from hostile_control import script

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def of_threads(d):
    """/proc/PID/status of each thread, as mappings."""
    for task in os.listdir(f"/proc/{d.process.pid}/task"):
        with open(f"/proc/{d.process.pid}/task/{task}/status", encoding="utf-8") as lines:
            yield dict(line.split(":\t", 1) for line in lines.read().splitlines() if ":\t" in line)


def words(d):
    return re.search(r"info confined: files by (.*), system calls by (.*)", d.log).groups()


@pytest.fixture
def running(spool, sandbox, daemon):
    """A daemon that has run a job: all its threads are there."""

    def start(config="", **keys):
        server = sandbox("--limiter", "none")
        d = daemon(server.url, config=config, **keys)
        spool.drop("first.yaml")
        assert spool.outcome("first")["success"] is True
        return d

    return start


def test_every_thread_is_confined(running):
    d = running()
    files, calls = words(d)
    for s in of_threads(d):
        assert s["NoNewPrivs"] == "1", s["Name"]
        assert s["Seccomp"] == ("2" if calls == "seccomp" else "0"), s["Name"]
        assert s["Umask"].strip() == "0077"
    assert calls == "seccomp" and (files.startswith("Landlock") or "no Landlock" in files)


def test_it_can_be_switched_off(running):
    d = running("confine: off\n")
    d.logged("not confined")
    assert all(s["Seccomp"] == "0" and s["NoNewPrivs"] == "0" for s in of_threads(d))


def test_no_core(running):
    with open(f"/proc/{running().process.pid}/limits", encoding="utf-8") as limits:
        assert re.search(r"Max core file size\s+0\s+0", limits.read())


@needs_root
def test_every_descriptor_is_closed_on_exec(running):
    """But for the three that it was started with."""
    d = running()
    for fd in map(int, os.listdir(f"/proc/{d.process.pid}/fd")):
        try:
            with open(f"/proc/{d.process.pid}/fdinfo/{fd}", encoding="utf-8") as info:
                flags = int(re.search(r"flags:\s+(\d+)", info.read()).group(1), 8)
            target = os.readlink(f"/proc/{d.process.pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        assert fd <= 2 or flags & os.O_CLOEXEC, target


def reloaded(d, change, said):
    before = d.log.count(said)
    change()
    d.send(signal.SIGHUP)
    wait_for(lambda: d.log.count(said) > before, said)


def test_a_key_that_is_replaced_is_read(spool, hostile, daemon, tmp_path):
    """By rename, so that it is another file; noticed without SIGHUP."""
    s = hostile()
    script(s, all="ok")
    d = daemon(s.url)
    d.logged("confined")
    fresh = tmp_path / "key.new"
    fresh.write_text("another-key\n")
    fresh.chmod(0o600)
    fresh.rename(d.key_file)
    wait_for(lambda: spool.drop("wakes.yaml") and "the key changed" in d.log, "the key to change")
    spool.drop("a.yaml")
    assert spool.outcome("a")["success"] is True


@pytest.fixture
def configured(tmp_path):
    """configured(FILE): a daemon with that configuration and no option besides."""
    started = []

    class Configured(Daemon):
        def __init__(self, config):
            self.log_path = tmp_path / "flowspoold.log"
            with open(self.log_path, "wb") as log:
                self.process = subprocess.Popen([str(BIN / "flowspoold"), "-c", str(config)], stdin=subprocess.DEVNULL,
                                                stdout=subprocess.PIPE, stderr=log)
            started.append(self)

    yield Configured
    for d in started:
        if d.process.poll() is None:
            d.kill()


def test_another_key_file(spool, sandbox, configured, tmp_path):
    """In a directory that it knows it is read; elsewhere it is said, and all stays as it was."""
    server = sandbox("--limiter", "none", key="k" * 20)
    for where in ("one", "elsewhere"):
        (tmp_path / where).mkdir()
        (tmp_path / where / "key").write_text("k" * 20 + "\n")
        (tmp_path / where / "key").chmod(0o600)
    (tmp_path / "one/next").write_text("k" * 20 + "\n")
    (tmp_path / "one/next").chmod(0o600)
    (tmp_path / "conf").mkdir()
    config = tmp_path / "conf/flowspool.yaml"

    def use(path):
        config.write_text(f"spool: {spool.path}\nendpoint: {server.url}\napi_key_file: {path}\n")

    use(tmp_path / "one/key")
    d = configured(config)
    d.logged("confined")
    reloaded(d, lambda: use(tmp_path / "one/next"), str(tmp_path / "one/next"))
    if words(d)[0].startswith("Landlock"):
        reloaded(d, lambda: use(tmp_path / "elsewhere/key"), "others take a restart")
        (tmp_path / "elsewhere/ca.pem").write_text("no certificate, which it never learns\n")
        more = f"{tmp_path}/one/next\nca_file: {tmp_path}/elsewhere/ca.pem"
        reloaded(d, lambda: use(more), "others take a restart")
    spool.drop("a.yaml")
    assert spool.outcome("a")["success"] is True


def test_results_move_between_spool_and_state(spool, sandbox, daemon, tmp_path):
    """With the state elsewhere, and directories below the spool."""
    server = sandbox("--limiter", "none")
    d = daemon(server.url, config=f"recursive: true\nstate_dir: {tmp_path}/state\n")
    for run in range(3):
        spool.drop("sub/a.yaml", run=run)
        wait_for(lambda: server.stats()["runs"] == run + 1 and spool.result("sub/a"), "a result")
    wait_for(lambda: len(os.listdir(tmp_path / "state/superseded")) == 2, "superseded results")
    assert "error" not in d.log


@needs_root
def test_a_spool_on_another_file_system(spool, sandbox, daemon):
    subprocess.run(["mount", "-t", "tmpfs", "none", spool.path], check=True)
    try:
        server = sandbox("--limiter", "none")
        d = daemon(server.url, config="status_file: true\n")
        spool.drop("a.yaml")
        assert spool.outcome("a")["success"] is True
        wait_for(lambda: (spool.path / "STATUS.txt").exists(), "STATUS.txt")
        d.stop()
    finally:
        subprocess.run(["umount", "-l", spool.path], check=True)


def test_the_log_is_opened_anew(spool, sandbox, daemon, tmp_path):
    """As logrotate does it: renamed away, then SIGHUP."""
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs/flowspoold.log"
    server = sandbox("--limiter", "none")
    d = daemon(server.url, "--log-level", "debug", config=f"log_file: {log}\n")
    wait_for(lambda: log.exists() and "confined" in log.read_text(), "the log")
    assert d.log == "" and (log.stat().st_mode & 0o777) == 0o600
    old = tmp_path / "logs/flowspoold.log.1"
    log.rename(old)
    d.send(signal.SIGHUP)
    wait_for(log.exists, "the new one")
    spool.drop("a.yaml")
    wait_for(lambda: "a.yaml: done" in log.read_text(), "what came then")
    assert "a.yaml" not in old.read_text()
    log.unlink()
    log.symlink_to(old)  # not followed: it goes on where it was
    before = old.read_text()
    d.send(signal.SIGHUP)
    wait_for(lambda: status(spool)["live"] is not None, "an answer")
    assert old.read_text() == before


def test_a_log_that_cannot_be_opened(daemon, tmp_path):
    for path in (tmp_path / "not/there.log", tmp_path):
        d = daemon("http://127.0.0.1:9", config=f"log_file: {path}\n")
        assert d.wait() == 2 and "log_file" in d.log
