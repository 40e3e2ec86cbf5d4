"""Disks that are full, read-only or limited: nothing is half-written, nothing paid for is lost, and work goes on by itself.

A file system of its own needs root and mount(2); where that is not allowed, the tests that need one are skipped.
"""

import json
import os
import subprocess

import pytest

from conftest import Spool, flowspool, live, wait_for
from hostile_control import posts, release, script, stats

MIB = 1 << 20
HOLD = "retry: {on_ambiguous: hold}\n"


@pytest.fixture
def disk(tmp_path):
    """disk(name, size): an empty file system of that size, mounted."""
    mounted = []

    def mount(name, size, *options):
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "flowspool-test", place],
                              capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"cannot mount a small file system here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


def remount(place, how):
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True, capture_output=True)


def fill(place, leave=0):
    """A file that takes all the room but so much."""
    v = os.statvfs(place)
    size = v.f_bavail * v.f_frsize - leave
    ballast = place / "_ballast"
    with open(ballast, "ab", buffering=0) as f:
        try:
            while size > 0:
                size -= f.write(b"\0" * min(size, MIB))
        except OSError:
            pass
    return ballast


def holds(spool):
    return [(h["kind"], h["cause"]) for h in live(spool)["holds"]]


def whole(spool):
    """Every outcome there is can be read whole; no temporary is left."""
    for name in spool.outcomes():
        assert json.loads((spool.path / name).read_bytes())["version"] == 1
    assert [p for p in spool.path.rglob(".flowspool.*")] == []


# --- full ---


def test_nothing_is_bought_without_room_for_the_reply(disk, hostile, daemon):
    """The hold is named in log and status, and ends when there is room."""
    server = hostile()
    spool = Spool(disk("small", "24m") / "spool")
    ballast = fill(spool.path.parent, leave=4 * MIB)
    spool.drop("a.yaml")
    d = daemon(server.url, spool=spool)
    d.logged("sending is held (disk)")
    assert "no room on the disk" in d.log
    assert holds(spool) == [("gate", "disk")]
    assert posts(server) == 0
    ballast.unlink()
    assert spool.outcome("a")["success"] is True
    d.logged("no longer held (disk)")
    assert d.stop() == 0
    whole(spool)


def test_once_gives_up_on_a_full_disk(disk, hostile, once):
    server = hostile()
    spool = Spool(disk("small", "24m") / "spool")
    fill(spool.path.parent, leave=4 * MIB)
    spool.drop("a.yaml")
    status, d = once(server.url, spool=spool, config="once_patience: 500ms\n")
    assert status == 6
    assert "left: 1 waiting" in d.log.splitlines()[-1]
    assert posts(server) == 0


def test_a_reply_that_comes_when_the_disk_is_full_waits(disk, hostile, daemon):
    """It was paid for: nothing is bought meanwhile, and its outcome is written when there is room, without another request."""
    server = hostile("--default", "hold")
    spool = Spool(disk("small", "32m") / "spool")
    for name in "ab":
        spool.drop(f"{name}.yaml", inputs={"text": name})
    d = daemon(server.url, "--max-concurrency", 1, spool=spool, config=HOLD)
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    script(server, all={"do": "ok", "result": "x" * (2 * MIB)})
    ballast = fill(spool.path.parent)
    release(server)
    d.logged("sending is held (disk)")
    whole(spool)
    assert posts(server) == 1
    ballast.unlink()
    assert spool.outcome("a")["success"] is True
    assert spool.outcome("b")["success"] is True
    assert posts(server) == 2
    assert d.stop() == 0
    whole(spool)


def test_killed_while_the_disk_is_full(disk, hostile, daemon, once):
    """Neither a full disk nor the next start buys again what may have been charged."""
    server = hostile("--default", "hold")
    spool = Spool(disk("small", "32m") / "spool")
    spool.drop("a.yaml")
    d = daemon(server.url, spool=spool, config=HOLD)
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    ballast = fill(spool.path.parent)
    release(server)
    d.logged("sending is held (disk)")
    d.kill()
    ballast.unlink()
    script(server, all="ok")
    assert once(server.url, spool=spool, config=HOLD)[0] in (0, 1)
    assert posts(server) == 1
    assert len(spool.outcomes()) == 1
    whole(spool)


def test_the_state_on_a_full_disk(disk, spool, hostile, daemon):
    """state_dir on a disk of its own; the spool has room."""
    server = hostile("--default", "hold")
    state = disk("state", "24m")
    spool.drop("a.yaml", inputs={"text": "a"})
    d = daemon(server.url, "--max-concurrency", 1, config=HOLD + f"state_dir: {state}/s\n")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    ballast = fill(state)
    script(server, all={"do": "ok", "result": "y" * MIB})
    release(server)
    d.logged("sending is held (disk)")
    spool.drop("b.yaml", inputs={"text": "b"})
    ballast.unlink()
    assert spool.outcome("a")["success"] is True
    assert spool.outcome("b")["success"] is True
    assert posts(server) == 2
    assert d.stop() == 0
    whole(spool)


def test_no_inodes_left(disk, hostile, daemon):
    server = hostile()
    spool = Spool(disk("small", "32m", "nr_inodes=200") / "spool")
    spool.drop("a.yaml")
    litter = [spool.path.parent / f"_{i}" for i in range(150)]
    for path in litter:
        path.touch()
    d = daemon(server.url, spool=spool)
    d.logged("sending is held (disk)")
    assert posts(server) == 0
    for path in litter:
        path.unlink()
    assert spool.outcome("a")["success"] is True
    assert d.stop() == 0


# --- read-only ---


def test_a_directory_that_takes_no_outcome_holds_its_own_jobs_only(disk, spool, hostile, daemon):
    """Its jobs wait, unsent; the one whose reply is there already is written when the directory takes it."""
    server = hostile()
    script(server, wf_first="hold")
    sub = disk("spool/sub", "16m")
    spool.drop("sub/first.yaml", workflow="wf_first")
    spool.drop("sub/second.yaml", inputs={"text": "second"}, priority=-1)
    d = daemon(server.url, "--max-concurrency", 1, config="recursive: true\n" + HOLD)
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    remount(sub, "ro")
    script(server, all="ok")
    flowspool(spool, "pause")  # or the second would go before the first is known to have met the obstacle
    release(server)
    d.logged("jobs of sub wait")
    flowspool(spool, "resume")
    assert ("directory", "outcomes_cannot_be_written") in holds(spool)
    spool.drop("elsewhere.yaml", inputs={"text": "elsewhere"})
    assert spool.outcome("elsewhere")["success"] is True
    assert posts(server) == 2, "the second job of that directory was not sent"
    remount(sub, "rw")
    assert spool.outcome("sub/first")["success"] is True
    assert spool.outcome("sub/second")["success"] is True
    assert posts(server) == 3
    assert holds(spool) == []
    assert d.stop() == 0


def test_a_directory_in_the_way_of_an_outcome(spool, hostile, daemon):
    """It is not removed, nothing is written elsewhere, and when it goes the outcome is written, without a second purchase."""
    server = hostile()
    (spool.path / "a.result.json").mkdir()
    spool.drop("a.yaml")
    d = daemon(server.url, config=HOLD)
    d.logged("tried again every")
    assert "a.yaml" in d.log
    assert (spool.path / "a.result.json").is_dir()
    (spool.path / "a.result.json").rmdir()
    assert spool.outcome("a")["success"] is True
    d.logged("outcomes can be written again")
    assert posts(server) == 1
    assert d.stop() == 0
    whole(spool)


def test_a_symlink_in_the_way_of_an_outcome(spool, hostile, once, tmp_path):
    """It is replaced as a name; what it points to stays as it is."""
    target = tmp_path / "precious"
    target.write_text("as it was")
    (spool.path / "a.result.json").symlink_to(target)
    spool.drop("a.yaml")
    assert once(hostile().url)[0] == 0
    assert not (spool.path / "a.result.json").is_symlink()
    assert spool.result("a")["success"] is True
    assert target.read_text() == "as it was"


def test_a_whole_spool_that_is_read_only(disk, hostile, once, tmp_path):
    """Nothing is bought whose outcome could not be written."""
    server = hostile()
    place = disk("small", "16m")
    spool = Spool(place / "spool")
    spool.drop("a.yaml")
    remount(place, "ro")
    status, d = once(server.url, spool=spool, config=f"state_dir: {tmp_path / 'state'}\nonce_patience: 500ms\n")
    assert status in (2, 5, 6), d.log
    assert posts(server) <= 1, "one request may find out, no more"
    remount(place, "rw")
    status, _ = once(server.url, spool=spool, config=f"state_dir: {tmp_path / 'state'}\n")
    assert status == 0
    assert spool.result("a")["success"] is True
    assert posts(server) == 1


# --- limits of the process ---


def limited(what, amount):
    return ["prlimit", f"--{what}={amount}:{amount}", "--"]


def test_a_limit_on_file_sizes(spool, hostile, daemon, once):
    """RLIMIT_FSIZE reached by the state: the signal does not kill, the daemon says what happened and ends with 5, and a
    start without the limit goes on."""
    server = hostile()
    script(server, all={"do": "ok", "result": "z" * 300_000})
    for i in range(12):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, "--max-concurrency", 1, config=HOLD, prefix=limited("fsize", 500_000))
    assert d.wait() == 5, d.log
    whole(spool)
    assert once(server.url, config=HOLD)[0] in (0, 1)
    assert len(spool.outcomes()) == 12
    whole(spool)
    assert posts(server) <= 12


def test_a_limit_on_open_files(spool, hostile, once):
    """Fewer in flight, said at the start; nothing is lost."""
    server = hostile()
    script(server, all={"do": "delay", "seconds": 0.05})
    for i in range(60):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    status, d = once(server.url, "--max-concurrency", 500, prefix=limited("nofile", 150))
    assert status == 0
    assert "the limit of open files (150) allows 22 requests in flight, not 500" in d.log
    assert stats(server)["peak"] <= 22
    assert len(spool.outcomes()) == 60
