"""SPOOL/STATUS.txt, for people who see nothing of the daemon but the spool."""

import re
import signal
import time

from command_line import status
from conftest import flowspool, wait_for
from hostile_control import release, script, stats

ON = "status_file: true\n"


def text(spool):
    try:
        return (spool.path / "STATUS.txt").read_text()
    except FileNotFoundError:
        return ""


def says(spool, *words):
    flat = lambda: re.sub(r" +", " ", text(spool))
    wait_for(lambda: all(w in flat() for w in words), f"{words}; it says:\n{flat()}")


def test_off_by_default(spool, sandbox, daemon):
    d = daemon(sandbox("--limiter", "none").url)
    spool.drop("a.yaml")
    spool.outcome("a")
    d.stop()
    assert sorted(p.name for p in spool.path.iterdir()) == [".flowspool", "a.result.json", "a.yaml"]


def test_it_says_what_status_says(spool, hostile, daemon):
    server = hostile()
    script(server, all="hold")
    d = daemon(server.url, config=ON)
    says(spool, "flowspoold is running.", "waiting 0\n", "in flight 0\n", "sending open\n")
    spool.drop("a.yaml")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    says(spool, "in flight 1\n", "rate 0.0 a second\n")
    flowspool(spool, "pause")
    spool.drop("b.yaml", inputs={"text": "b"})
    spool.drop("c.yaml.hold", inputs={"text": "c"})
    says(spool, "waiting 1 (the oldest since 20", "held 1\n", "sending held: paused; to go on: flowspool resume\n")
    assert "rate" not in text(spool)
    release(server)
    says(spool, "done 1\n", "in flight 0\n")
    assert re.search(r"^Last change 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ, written 20\S+Z \(UTC\)\.$", text(spool), re.M)
    assert d.stop() == 0
    assert text(spool).startswith("flowspoold has stopped; nothing is sent.\n") and "waiting    1" in text(spool)
    assert not [p for p in spool.path.iterdir() if p.name.startswith(".flowspool.")]


def test_a_daemon_with_nothing_to_do_writes_nothing(spool, sandbox, daemon):
    d = daemon(sandbox("--limiter", "none").url, config=ON + "rescan: 300ms\n")
    spool.drop("a.yaml")
    says(spool, "done 1\n", "in flight 0\n", "waiting 0\n")
    before = (spool.path / "STATUS.txt").stat()
    for _ in range(3):
        d.send(signal.SIGUSR1)
        flowspool(spool, "status")
    end = time.monotonic() + 7  # twice as long as it is looked at most often
    while time.monotonic() < end:
        now = (spool.path / "STATUS.txt").stat()
        assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns), text(spool)
        time.sleep(0.2)
    spool.drop("b.yaml", inputs={"text": "b"})
    says(spool, "done 2\n")


def test_it_is_not_written_for_every_job(spool, sandbox, daemon):
    s = sandbox("--limiter", "none", "--latency", "5ms")
    daemon(s.url, config=ON)
    for i in range(300):
        spool.drop(f"{i}.yaml", inputs={"text": i})
    seen = set()

    def done():
        seen.add((spool.path / "STATUS.txt").stat().st_ino if text(spool) else 0)
        return (status(spool)["jobs"] or {}).get("done") == 300

    began = time.monotonic()
    wait_for(done, "all jobs")
    assert len(seen - {0}) <= 2 + (time.monotonic() - began) / 3


def test_what_is_in_its_place(spool, sandbox, daemon):
    """Its failure stops nothing; a link is replaced and not followed."""
    s = sandbox("--limiter", "none")
    (spool.path / "STATUS.txt").mkdir()
    d = daemon(s.url, config=ON)
    spool.drop("a.yaml")
    assert spool.outcome("a")["success"] is True
    d.logged("STATUS.txt cannot be written")
    (spool.path / "STATUS.txt").rmdir()
    target = spool.path.parent / "target"
    target.write_text("mine")
    (spool.path / "STATUS.txt").symlink_to(target)
    spool.drop("b.yaml", inputs={"text": "b"})
    says(spool, "done 2\n")
    assert target.read_text() == "mine" and not (spool.path / "STATUS.txt").is_symlink()
    assert d.log.count("cannot be written") == 1
    assert d.stop() == 0 and not [p for p in spool.path.iterdir() if p.name.startswith(".flowspool.")]


def test_who_may_list_the_spool_may_read_it(spool, sandbox, daemon):
    url = sandbox("--limiter", "none").url
    for mode, expected in ((0o755, 0o644), (0o750, 0o640), (0o700, 0o600)):
        spool.path.chmod(mode)
        d = daemon(url, config=ON)
        says(spool, "is running")
        assert d.stop() == 0
        assert (spool.path / "STATUS.txt").stat().st_mode & 0o777 == expected


def test_switched_on_and_off(spool, sandbox, daemon):
    d = daemon(sandbox("--limiter", "none").url)
    spool.drop("a.yaml")
    spool.outcome("a")
    assert text(spool) == ""
    off = d.config_file.read_text()
    d.config_file.write_text(off + ON)
    d.send(signal.SIGHUP)
    says(spool, "is running", "done 1\n")
    d.config_file.write_text(off)
    d.send(signal.SIGHUP)
    says(spool, "no longer keeps this file")
    spool.drop("b.yaml", inputs={"text": "b"})
    wait_for(lambda: status(spool)["jobs"]["done"] == 2, "the job")
    assert d.stop() == 0 and "no longer keeps this file" in text(spool)


def test_once(spool, sandbox, daemon):
    spool.drop("a.yaml")
    d = daemon(sandbox("--limiter", "none").url, "--once", config=ON)
    assert d.wait() == 0 and "has stopped" in text(spool) and "done       1" in text(spool)
