"""Every exit status of the contract's table, and which one wins where several apply: 5, 3, 6, 1."""

import os
import signal
import sqlite3
import subprocess

import pytest
from conftest import BIN, flowspool, gates, wait_for
from hostile_control import posts, release, script, stats

QUICK = "retry: {base: 10ms, cap: 50ms}\n"


def last_line(d):
    return d.log.splitlines()[-1]


# --- 0 ---


def test_0_stopped_cleanly(spool, sandbox, daemon):
    """Without --once a failed job is no failure of the daemon, and jobs that are left are none either."""
    spool.drop("bad.yaml", expires="2001-01-01T00:00:00Z")
    spool.drop("later.yaml", not_before="2099-01-01T00:00:00Z")
    d = daemon(sandbox().url)
    spool.drop("a.yaml", inputs={"n": 1})
    assert spool.outcome("a")["success"] is True
    assert spool.outcome("bad")["error"]["code"] == "expired"
    assert d.stop() == 0


def test_0_every_job_that_ended_succeeded(spool, hostile, once):
    """What is held or for later stays, is counted, and is no failure; what failed in an earlier run is none of this one."""
    server = hostile()
    script(server, wf_bad="status:422", all=["status:500", "ok"])
    spool.drop("bad.yaml", workflow="wf_bad")
    assert once(server.url)[0] == 1
    spool.drop("a.yaml")
    spool.drop("later.yaml", inputs={"n": 1}, not_before="2099-01-01T00:00:00Z")
    spool.drop("held.yaml.hold", inputs={"n": 2})
    code, d = once(server.url, config=QUICK)
    assert code == 0, d.log
    assert spool.result("a")["attempts"] == 2, "a retry is awaited"
    assert "1 done, 0 failed" in last_line(d) and "1 for later" in last_line(d) and "1 held" in last_line(d)


def test_0_what_arrives_meanwhile_is_worked_on(spool, hostile, daemon):
    server = hostile()
    script(server, wf_slow="hold", wf_echo="ok")
    spool.drop("slow.yaml", workflow="wf_slow")
    d = daemon(server.url, "--once")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the slow one")
    spool.drop("late.yaml")
    assert spool.outcome("late")["success"] is True
    release(server)
    assert d.wait() == 0, d.log
    assert "2 done" in last_line(d)


# --- 1 ---

FAILURES = {
    "a reply that fails it": dict(step="status:422"),
    "attempts used up": dict(step="status:500"),
    "ambiguous": dict(step="reset-after-read"),
    "unusable": dict(step="html"),
    "expired": dict(step="ok", expires="2001-01-01T00:00:00Z"),
}


@pytest.mark.parametrize("step,keys", [(f.pop("step"), f) for f in FAILURES.values()], ids=FAILURES)
def test_1_a_job_failed(spool, hostile, once, step, keys):
    server = hostile()
    script(server, wf_bad=step, wf_echo="ok")
    spool.drop("bad.yaml", workflow="wf_bad", **keys)
    spool.drop("good.yaml")
    code, d = once(server.url, config=QUICK)
    assert code == 1, d.log
    assert spool.error("bad") and spool.result("good")
    assert "1 done, 1 failed" in last_line(d)
    assert once(server.url, config=QUICK)[0] == 0, "it failed in the run before"


def test_1_two_files_that_share_an_outcome(spool, hostile, once):
    server = hostile()
    spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    spool.drop("a.yml", inputs={"n": 2})
    code, d = once(server.url)
    assert code == 1, d.log
    assert "a.yml: refused" in d.log and spool.outcomes() == ["a.result.json"]
    assert posts(server) == 1


# --- 2: test_configuration_errors.py and test_configuration_sources.py have every key; 4: test_crash.py ---


def test_2_and_4_come_before_anything_is_sent(spool, hostile, once, daemon):
    server = hostile()
    spool.drop("a.yaml")
    assert once(server.url, config="max_concurency: 3\n")[0] == 2
    assert once(server.url, "--no-such-option")[0] == 2
    assert once(server.url, "--max-concurrency", "0")[0] == 2
    assert posts(server) == 0 and spool.outcomes() == []
    script(server, all="hold")
    first = daemon(server.url)
    wait_for(lambda: stats(server)["in_flight"] == 1, "the first daemon's request")
    code, d = once(server.url)
    assert code == 4, d.log
    assert str(spool.path) in d.log
    release(server)
    assert spool.outcome("a")["success"] is True
    assert first.stop() == 0 and posts(server) == 1


def test_2_on_the_command_line(spool):
    done = subprocess.run([BIN / "flowspoold", "--spool", spool.path], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (2, "")
    assert "endpoint" in done.stderr


# --- 5 ---


def spoil(spool, how):
    state = spool.state / "state.db"
    if how == "newer":
        with sqlite3.connect(state) as db:
            db.execute("PRAGMA user_version = 9999")
        db.close()
        return
    for ending in ("-wal", "-shm"):
        (spool.state / f"state.db{ending}").unlink(missing_ok=True)
    if how == "garbage":
        state.write_bytes(b"this is no database " * 500)
    elif how == "cut":
        os.truncate(state, 5000)
    else:  # a page in the middle
        with open(state, "r+b") as f:
            f.seek(4096)
            f.write(b"\xff" * 4096)


@pytest.mark.parametrize("how", ["newer", "garbage", "cut", "page"])
def test_5_goes_before_what_else_would_be_said(spool, hostile, once, how):
    """A state that cannot be used: nothing is sent, nothing changed, whatever jobs or account would have said."""
    server = hostile()
    spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    spoil(spool, how)
    before = (spool.state / "state.db").read_bytes()
    script(server, all="status:401")
    os.utime(spool.drop("bad.yaml", "workflow: [\n"), (1, 1))
    spool.drop("b.yaml", inputs={"n": 2})
    code, d = once(server.url)
    assert code == 5, d.log
    assert posts(server) == 1 and spool.outcomes() == ["a.result.json"]
    assert (spool.state / "state.db").read_bytes() == before
    if how == "newer":
        assert "newer" in d.log


def test_5_goes_before_1_and_3_in_a_run(spool, hostile, daemon):
    """A job failed, the account refuses, then a reply that was paid for and stored can no longer be read."""
    server = hostile()
    script(server, wf_bad="status:422", wf_no="status:401", wf_big={"do": "hold-body", "result": "r" * 300000})
    spool.drop("big.yaml", workflow="wf_big")
    d = daemon(server.url, "--once", config="max_response_memory: 64KiB\n")
    replies = spool.state / "replies"
    wait_for(lambda: replies.exists() and [p for p in replies.iterdir() if p.stat().st_size > 200000], "the reply to be spilled")
    spool.drop("bad.yaml", workflow="wf_bad")
    spool.drop("no.yaml", workflow="wf_no", inputs={"n": 1}, priority=-5)
    d.logged("failed: rejected")
    d.logged("the account refuses work")
    for spilled in replies.iterdir():
        spilled.unlink()
    release(server)
    assert d.wait() == 5, d.log
    assert spool.result("big") is None and spool.error("big") is None


def test_5_goes_before_6(spool, hostile, daemon):
    server = hostile()
    script(server, wf_away="status:503", wf_big={"do": "hold-body", "result": "r" * 300000})
    spool.drop("big.yaml", workflow="wf_big")
    d = daemon(server.url, "--once", config="max_response_memory: 64KiB\n")
    replies = spool.state / "replies"
    wait_for(lambda: replies.exists() and [p for p in replies.iterdir() if p.stat().st_size > 200000], "the reply to be spilled")
    spool.drop("away.yaml", workflow="wf_away")
    d.logged("the endpoint is away")
    d.send(signal.SIGTERM)
    wait_for(lambda: "draining" in gates(spool), "the drain")
    for spilled in replies.iterdir():
        spilled.unlink()
    release(server)
    assert d.wait() == 5, d.log


# --- 3 ---


def test_3_again_and_again_until_the_account_is_served(spool, hostile, once):
    server = hostile()
    script(server, all="status:402")
    for n in range(3):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    for _ in range(3):
        before = posts(server)
        code, d = once(server.url, "--max-concurrency", "1")
        assert code == 3, d.log
        assert 1 <= posts(server) - before <= 2
        assert spool.outcomes() == [] and "3 waiting" in last_line(d)
    script(server, all="ok")
    assert once(server.url)[0] == 0
    assert all(spool.result(f"j{n}")["attempts"] == 1 for n in range(3))


def test_not_3_when_the_one_more_probe_is_served(spool, hostile, once):
    server = hostile()
    script(server, all=["status:401", "ok"])
    spool.drop("a.yaml")
    code, d = once(server.url)
    assert code == 0, d.log
    assert posts(server) == 2


def test_each_account_hold_has_its_own_one_more_probe(spool, hostile, daemon):
    """A probe that was refused in an earlier hold says nothing about this one."""
    server = hostile()
    script(server, wf_slow="hold", wf_no=["status:402", "status:402", "ok", "status:402", "ok"])
    spool.drop("slow.yaml", workflow="wf_slow")
    d = daemon(server.url, "--once")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the slow one")
    spool.drop("first.yaml", workflow="wf_no")
    assert spool.outcome("first")["attempts"] == 1
    spool.drop("second.yaml", workflow="wf_no", inputs={"n": 2})
    wait_for(lambda: posts(server, "wf_no") >= 4, "the second refusal")
    release(server)
    assert d.wait() == 0, d.log
    assert spool.result("second")["attempts"] == 1


# --- 6 ---


@pytest.mark.parametrize("how", ["file", "pause"])
def test_6_paused(spool, hostile, daemon, how):
    server = hostile()
    script(server, all="hold")
    spool.drop("a.yaml")
    d = daemon(server.url, "--once", "--max-concurrency", "1")
    wait_for(lambda: stats(server)["in_flight"] == 1, "the first request")
    if how == "file":
        (spool.path / "PAUSE").touch()
        wait_for(lambda: "pause-file" in gates(spool), "the pause")
    else:
        flowspool(spool, "pause")
    spool.drop("b.yaml", inputs={"n": 2})
    release(server)
    assert d.wait() == 6, d.log
    assert spool.outcomes() == ["a.result.json"]
    assert posts(server) == 1


def test_6_paused_goes_before_1(spool, hostile, once):
    (spool.path / "PAUSE").touch()
    spool.drop("bad.yaml", expires="2001-01-01T00:00:00Z")
    spool.drop("a.yaml", inputs={"n": 1})
    server = hostile()
    code, d = once(server.url)
    assert code == 6, d.log
    assert posts(server) == 0 and spool.outcomes() == ["bad.error.json"]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_6_by_a_signal_goes_before_1(spool, hostile, daemon, sig):
    server = hostile()
    script(server, wf_bad="status:422", wf_echo="hold")
    spool.drop("bad.yaml", workflow="wf_bad")
    spool.drop("j0.yaml", inputs={"n": 0})
    d = daemon(server.url, "--once", "--max-concurrency", "2")
    wait_for(lambda: spool.error("bad") and stats(server)["in_flight"] == 1, "one failed, one in flight")
    for n in (1, 2):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    wait_for(lambda: stats(server)["in_flight"] == 2, "one more in flight, one left")
    d.send(sig)
    wait_for(lambda: "draining" in gates(spool), "the drain")
    release(server)
    assert d.wait() == 6, d.log
    assert len(spool.outcomes()) == 3 and spool.error("bad")


def test_6_an_outcome_that_cannot_be_written_is_not_waited_for_for_ever(spool, hostile, once):
    """It is tried again every 5 s, which is no progress."""
    server = hostile()
    (spool.path / "a.result.json").mkdir()
    spool.drop("a.yaml")
    assert once(server.url, config="once_patience: 6s\n")[0] == 6
    (spool.path / "a.result.json").rmdir()
    assert once(server.url)[0] == 0
    assert spool.result("a")["success"] and posts(server) == 1


@pytest.mark.parametrize("step", ["status:503", {"do": "status", "status": 404, "body": "no"}], ids=["503", "404"])
def test_6_by_patience_fails_nobody(spool, hostile, once, step):
    server = hostile()
    script(server, all=step)
    spool.drop("a.yaml", max_attempts=1)
    code, d = once(server.url, config="once_patience: 1s\n")
    assert code == 6, d.log
    assert spool.outcomes() == [] and "1 waiting" in last_line(d)
    assert "once_patience" in d.log


def test_6_by_patience_with_a_workflow(spool, hostile, once):
    server = hostile()
    script(server, wf_a="status:500", wf_b="ok")
    for n in range(25):
        spool.drop(f"a{n:02}.yaml", workflow="wf_a", inputs={"n": n})
    spool.drop("b.yaml", workflow="wf_b")
    code, d = once(server.url, "--max-concurrency", "4",
                   config="once_patience: 1s\nretry: {base: 10ms, cap: 20ms, max_attempts: 99}\n")
    assert code == 6, d.log
    assert spool.outcomes() == ["b.result.json"]
