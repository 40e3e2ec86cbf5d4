"""flowspool prune: superseded results go, nothing else does, and nothing is bought again for it."""

import os
import time

from command_line import command, frozen, status
from conftest import kept, wait_for


def prune(spool, *arguments):
    return command("--spool", spool.path, "prune", *arguments)


def settled(spool, s, runs):
    wait_for(lambda: s.stats()["runs"] == runs and (a := status(spool)["jobs"])["in_flight"] + a["waiting"] == 0, f"{runs} runs")


def supersede(spool, s, daemon, count=2):
    """Results of a.yaml that made room, the oldest of them old."""
    d = daemon(s.url)
    spool.drop("a.yaml", run=0)
    settled(spool, s, 1)
    for run in range(1, count + 1):
        spool.drop("a.yaml", run=run)
        settled(spool, s, run + 1)
    assert len(kept(spool)) == count
    oldest = min((spool.state / "superseded").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    os.utime(oldest, (time.time() - 7200, time.time() - 7200))
    return d, oldest.name


def test_all_of_them(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    supersede(spool, s, daemon)
    size = sum(p.stat().st_size for p in (spool.state / "superseded").iterdir())
    done = prune(spool, "--dry-run")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"2 superseded files would be removed, {size} bytes\n", "")
    assert len(kept(spool)) == 2
    done = prune(spool)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"2 superseded files removed, {size} bytes\n", "")
    assert kept(spool) == [] and spool.result("a")["success"] is True
    assert prune(spool).stdout == "0 superseded files removed, 0 bytes\n"


def test_older_ones(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    _, oldest = supersede(spool, s, daemon)
    assert prune(spool, "--older-than", "3h").stdout.startswith("0 superseded files removed")
    assert prune(spool, "--older-than", "1h", "--dry-run").stdout.startswith("1 superseded file would be removed")
    assert oldest in kept(spool)
    assert prune(spool, "--older-than", "1h").stdout.startswith("1 superseded file removed")
    assert oldest not in kept(spool) and len(kept(spool)) == 1


def test_what_was_pruned_is_not_bought_again(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    d, _ = supersede(spool, s, daemon, count=2)
    assert prune(spool).returncode == 0
    for times, run in enumerate((0, 1, 2), 1):
        spool.drop("a.yaml", run=run)
        wait_for(lambda: d.log.count("already done") == times, "the file to be looked at")
        wait_for(lambda: status(spool)["jobs"]["files"] == 1 and status(spool)["jobs"]["done"] == 1, "the job")
    d.stop()
    d = daemon(s.url, "--once")
    assert d.wait() == 0
    assert s.stats()["runs"] == 3


def test_nothing_else(spool, sandbox, daemon):
    """What no row names goes too, if its name is one of ours; links are not followed, directories stay."""
    s = sandbox("--limiter", "none")
    supersede(spool, s, daemon, count=1)
    place = spool.state / "superseded"
    outside = spool.path.parent / "outside.result.json"
    outside.write_text("mine")
    (place / "link.result.json").symlink_to(outside)
    (place / "dir.result.json").mkdir()
    (place / "dir.result.json" / "x.result.json").write_text("x")
    (place / "notes.txt").write_text("x")
    (place / ".flowspool.abcdef").write_text("x")
    ours = ["other.20200101T000000Z-1.result.json", "b.7.error.json", "b.7.error.json.body", "c.20200101T000000Z-2.error.body"]
    for name in ours:
        (place / name).write_text("x")
    (spool.path / "b.result.json").write_text("{}")
    done = prune(spool)
    assert done.returncode == 0 and done.stdout.startswith("5 superseded files removed")
    assert kept(spool) == [".flowspool.abcdef", "dir.result.json", "link.result.json", "notes.txt"]
    assert outside.read_text() == "mine" and (place / "dir.result.json" / "x.result.json").exists()
    assert spool.result("a") and (spool.path / "b.result.json").exists() and (spool.state / "state.db").exists()


def test_without_a_daemon(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    d, _ = supersede(spool, s, daemon)
    d.kill()
    assert prune(spool, "--dry-run").stdout.startswith("2 superseded files would be removed")
    assert prune(spool, "--older-than", "1h").stdout.startswith("1 superseded file removed")
    assert prune(spool).stdout.startswith("1 superseded file removed")
    assert kept(spool) == [] and spool.result("a")
    daemon(s.url, "--once").wait()
    assert s.stats()["runs"] == 3


def test_more_than_one_order_removes(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    supersede(spool, s, daemon, count=1)
    place = spool.state / "superseded"
    first = place / kept(spool)[0]
    for i in range(20050):
        os.link(first, place / f"x.{i}.result.json")
    assert prune(spool, "--dry-run").stdout.startswith("20051 superseded files would be removed")
    assert prune(spool).stdout.startswith("20051 superseded files removed")
    assert kept(spool) == []


def test_who_does_not_answer(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    d, _ = supersede(spool, s, daemon, count=1)
    with frozen(d):
        done = prune(spool)
        assert done.returncode == 4 and "nothing was changed" in done.stderr and done.stdout == ""
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon to go on")
    (spool.state / "control").unlink()
    done = prune(spool)
    assert done.returncode == 4 and "holds the state" in done.stderr and done.stdout == ""
    assert len(kept(spool)) == 1


def test_wrong_usage(spool):
    for words, complaint in [(["--older-than", "old"], 'not "old"'), (["--older-than"], "requires an argument"), (["a.yaml"], 'argument "a.yaml"')]:
        done = prune(spool, *words)
        assert done.returncode == 2 and complaint in done.stderr and done.stdout == "", done
    done = prune(spool)
    assert done.returncode == 2 and "no flowspoold has run" in done.stderr and list(spool.path.iterdir()) == []
