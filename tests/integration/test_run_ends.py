"""Runs that must come to an end, in time, and count what is theirs: expiry, --once behind holds, max_jobs, give_up_after."""

import json
import os
import shutil
import signal
import time

import pytest
from conftest import ROOT_ONLY, flowspool, instant, wait_for
from hostile_control import posts, release, script, stats

QUICK = "retry: {base: 10ms, cap: 50ms}\n"


# --- expires ---


def test_many_that_expired_together_are_not_sent(spool, hostile, once):
    """More than one batch of them."""
    server = hostile()
    for n in range(200):
        spool.drop(f"j{n:03}.yaml", inputs={"n": n}, expires="2001-01-01T00:00:00Z")
    code, d = once(server.url)
    assert code == 1, d.log
    assert {spool.error(f"j{n:03}")["error"]["code"] for n in range(200)} == {"expired"}
    assert posts(server) == 0


def test_those_that_expire_behind_a_pause_are_not_sent(spool, hostile, daemon):
    """One expires early, so that the next expiry must be looked up again."""
    server = hostile()
    (spool.path / "PAUSE").touch()
    d = daemon(server.url)
    d.logged("sending is held")
    spool.drop("first.yaml", inputs={"n": 1}, expires=instant(2))
    spool.drop("second.yaml", inputs={"n": 2}, expires=instant(4))
    spool.drop("third.yaml", inputs={"n": 3})
    assert spool.outcome("first")["error"]["code"] == "expired"
    assert spool.outcome("second")["error"]["code"] == "expired"
    (spool.path / "PAUSE").unlink()
    assert spool.outcome("third")["success"] is True
    assert posts(server) == 1


def test_what_may_have_been_charged_and_expired_is_ambiguous(spool, hostile, daemon):
    """A touch must not buy it again."""
    server = hostile()
    script(server, all="reset-after-read")
    d = daemon(server.url, config="retry: {base: 1h, cap: 1h}\n")
    d.logged("at most")
    spool.drop("a.yaml", expires=instant(3))
    d.logged("may have been charged")
    error = spool.outcome("a")
    assert (error["error"]["code"], error["ambiguous"]) == ("ambiguous", 1)
    assert "expires" in error["error"]["message"] and "flowspool retry" in error["error"]["message"]
    assert posts(server) == 1


# --- --once behind holds ---


def refused_account(spool, server, once):
    """What a run that ended with 3 leaves behind."""
    script(server, all="status:402")
    spool.drop("a.yaml")
    code, d = once(server.url)
    assert code == 3, d.log


def test_once_ends_behind_a_pause_although_the_account_refused_before(spool, hostile, once):
    server = hostile()
    refused_account(spool, server, once)
    before = posts(server)
    (spool.path / "PAUSE").touch()
    code, d = once(server.url)
    assert code == 6, d.log
    assert posts(server) == before and spool.outcomes() == []


def test_once_ends_without_an_endpoint_although_the_account_refused_before(spool, hostile, once):
    server = hostile()
    refused_account(spool, server, once)
    url = server.url
    server.stop()
    code, d = once(url, config="once_patience: 1s\n")
    assert code == 6, d.log
    assert "once_patience" in d.log and spool.outcomes() == []


def test_the_last_probe_goes_when_nothing_else_is_out(spool, hostile, daemon):
    """Probes that were refused while a request was still out do not end the run: one more goes after that."""
    server = hostile()
    script(server, wf_slow="hold", wf_a="status:402")
    spool.drop("slow.yaml", workflow="wf_slow", priority=5)
    for n in range(3):
        spool.drop(f"a{n}.yaml", workflow="wf_a", inputs={"n": n})
    d = daemon(server.url, "--once")
    wait_for(lambda: posts(server, "wf_a") >= 3, "refused probes")
    script(server, all="ok")
    release(server)
    assert d.wait() == 0, d.log
    assert "4 done" in d.log.splitlines()[-1]


@pytest.mark.parametrize("again", [False, True], ids=["new", "at the next start"])
def test_once_ends_where_an_outcome_cannot_be_written(spool, hostile, once, again):
    """A directory is in the way: tried for once_patience, kept, and delivered without a second purchase."""
    server = hostile()
    (spool.path / "a.result.json").mkdir()
    spool.drop("a.yaml")
    code, d = once(server.url, config="once_patience: 6s\n")
    assert code == 6, d.log
    if again:
        assert once(server.url, config="once_patience: 1s\n")[0] == 6
    (spool.path / "a.result.json").rmdir()
    code, d = once(server.url)
    assert code == 0, d.log
    assert spool.result("a")["success"] is True and posts(server) == 1


def test_once_does_not_wait_for_ever_for_a_file_that_stays_open(spool, hostile, once):
    """Nobody can tell whether it is complete; the others have run."""
    server = hostile()
    spool.drop("a.yaml")
    with open(spool.path / "open.yaml", "w") as writer:
        writer.write("workflow: wf_echo\ninputs: {}\n")
        writer.flush()
        code, d = once(server.url, config="once_patience: 1s\n")
        assert code == 6, d.log
    assert spool.outcomes() == ["a.result.json"] and posts(server) == 1
    code, d = once(server.url)
    assert code == 0 and spool.result("open")["success"] is True, d.log


# --- max_jobs counts what this start bought ---


def test_max_jobs_is_of_this_start(spool, hostile, daemon, once):
    server = hostile()
    script(server, all="hold")
    for n in range(7):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    d = daemon(server.url, "--max-jobs", "3")
    wait_for(lambda: stats(server)["in_flight"] == 3, "three requests")
    d.kill()
    release(server)
    script(server, all="ok")
    code, d = once(server.url, "--max-jobs", "3", config="retry: {on_ambiguous: hold}\n")
    assert code == 6, d.log
    assert posts(server) == 6, "three more; those of the last start are no purchases of this one"
    assert sum(spool.result(f"j{n}") is not None for n in range(7)) == 3
    assert "3 bought, 0 possibly" in d.log.splitlines()[-1]


# --- give_up_after ---


def test_giving_up_comes_in_time(spool, hostile, daemon, tmp_path):
    """Not only with the next probe, which may be a quarter of an hour away."""
    server = hostile()
    script(server, all="status:503")
    spool.drop("a.yaml")
    slow = tmp_path / "slow.yaml"
    slow.write_text("settle: 200ms\nprobe: 1h\nretry: {give_up_after: 2s}\n")
    started = time.monotonic()
    d = daemon(server.url, "-c", slow)
    assert spool.outcome("a")["error"]["code"] == "unreachable", d.log
    assert posts(server) == 1 and time.monotonic() - started < 25


def test_a_retry_after_giving_up_is_sent(spool, hostile, daemon):
    """The message says to type it."""
    server = hostile()
    script(server, all="status:503")
    spool.drop("a.yaml")
    daemon(server.url, config="retry: {give_up_after: 500ms}\n")
    assert spool.outcome("a")["error"]["code"] == "unreachable"
    script(server, all="ok")
    wait_for(lambda: json.loads(flowspool(spool, "list", "--json", "a.yaml"))["state"] == "failed", "its end")
    flowspool(spool, "retry", "a.yaml")
    wait_for(lambda: spool.result("a"), "the result")


# --- the state ---


def test_a_state_directory_that_was_open_to_others_is_closed(spool, hostile, once):
    spool.state.mkdir(mode=0o755)
    spool.state.chmod(0o755)
    spool.drop("a.yaml")
    assert once(hostile().url)[0] == 0
    assert spool.state.stat().st_mode & 0o777 == 0o700


def test_a_directory_of_other_things_is_not_closed(spool, hostile, once, tmp_path):
    """state_dir: /var/lib would be a mistake, and must not lock everybody out of it."""
    other = tmp_path / "other"
    other.mkdir()
    other.chmod(0o755)
    (other / "thing").touch()
    spool.drop("a.yaml")
    server = hostile()
    code, d = once(server.url, config=f"state_dir: {other}\n")
    assert code == 2, d.log
    assert str(other) in d.log and "0700" in d.log
    assert other.stat().st_mode & 0o777 == 0o755 and posts(server) == 0


@ROOT_ONLY
def test_a_crash_while_a_lost_state_is_noticed_changes_nothing(spool, hostile, daemon, once):
    """The new state exists, the look at the spool is not over: the next start looks again."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    server = hostile()
    for n in range(101):
        spool.drop(f"j{n:03}.yaml", inputs={"n": n})
    assert once(server.url)[0] == 0
    for name in os.listdir(spool.path):
        if name.startswith("j000.result"):
            os.unlink(spool.path / name)
    shutil.rmtree(spool.state)
    spool.state.mkdir(mode=0o700)
    # The first listing of the spool is that look.
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(spool.path), "-e", "trace=getdents64",
             "-e", "inject=getdents64:signal=SIGKILL:when=1"]
    d = daemon(server.url, "--once", prefix=trace)
    assert d.wait() in (-signal.SIGKILL, 128 + signal.SIGKILL), d.log
    assert (spool.state / "state.db").exists(), "the state was there when it was killed"
    code, d = once(server.url)
    assert code == 6 and "flowspool resume" in d.log, d.log
    assert posts(server) == 101, "what was collected is not bought again"
