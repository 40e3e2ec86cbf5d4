"""flowspool status: what it knows with a daemon that runs, hangs, died or never was."""

import os
import pathlib
import re
import shutil
import signal
import tempfile

import pytest

from command_line import command, frozen, narrow, on_terminal, status
from conftest import BIN, Spool, flowspool, gates, live, wait_for
from hostile_control import script


def held(spool, kind):
    return [h for h in live(spool)["holds"] if h["kind"] == kind]


def wait_held(spool, kind):
    return wait_for(lambda: held(spool, kind), f"a hold of the kind {kind}")[0]


def test_no_daemon_ever(spool):
    done = command("--spool", spool.path, "status")
    assert done.returncode == 0 and done.stderr == ""
    assert "not running" in done.stdout and "no flowspoold has run here yet" in done.stdout and narrow(done.stdout)
    about = status(spool)
    assert about["daemon"] == "not_running" and about["jobs"] is None and about["live"] is None and about["left_ms"] is None
    assert list(spool.path.iterdir()) == [], "looking makes no state"


def test_live_daemon(spool, sandbox, daemon):
    s = sandbox("--limit", "40", "--window", "1s", "--latency", "0")
    d = daemon(s.url)
    for i in range(5):
        spool.drop(f"job-{i}.yaml", inputs={"text": i})
    spool.drop("late.yaml", expires="2020-01-01T00:00:00Z")
    spool.drop("later.yaml", not_before="2099-01-01T00:00:00Z")
    spool.drop("held.yaml.hold")
    spool.drop("twice.yaml", inputs={"text": "a"})
    spool.outcome("twice")
    spool.drop("twice.yml", inputs={"text": "b"})
    os.symlink("job-0.yaml", spool.path / "link.yaml")
    (spool.path / "notes.yaml.txt").write_text("x")
    for i in range(5):
        spool.outcome(f"job-{i}")
    wait_for(lambda: status(spool)["jobs"]["refused_files"] == 1, "the second twice to be refused")
    d.send(signal.SIGHUP)
    counts = {"done": 6, "failed": 1, "later": 1, "held": 1, "waiting": 0, "in_flight": 0, "missing": 0}

    def settled():
        about = status(spool)
        now = about["live"] and about["live"]["ignored"] == 2 and about["live"]["run"]["done"] == 6 and about["left_ms"] == 0
        return about if now and about["jobs"].items() >= counts.items() else None

    about = wait_for(settled, "all to have ended and the scan")
    assert about["daemon"] == "running" and about["reason"] is None and about["live"]["pid"] == d.process.pid
    assert about["live"]["rate"]["limit"] == 40
    text = flowspool(spool, "status")
    for words in ["running (pid", s.url, "6 done", "1 failed", "1 for later", "1 held", "1 refused file", "2 ignored files",
                  "limit 40", "at most ", "run 6 bought; 6 done, 1 failed, 1 refused file; 6 requests", "in flight", "/s", "sending   open"]:
        assert words in " ".join(text.split()).replace("sending open", "sending   open"), (words, text)
    assert narrow(text.replace(str(d.key_file), "")), text


def test_in_flight_and_time_left(spool, sandbox, daemon):
    s = sandbox("--limiter", "none", "--latency", "400ms")
    d = daemon(s.url, "--max-concurrency", "2")
    for i in range(30):
        spool.drop(f"job-{i:02}.yaml", inputs={"text": i})
    about = wait_for(lambda: (a := status(spool))["left_ms"] and a, "a rate")
    assert about["live"]["in_flight"] <= 2 and about["live"]["rate"]["cap"] <= 2 and about["live"]["rate"]["per_second"] > 0
    left = about["jobs"]["waiting"] + about["jobs"]["in_flight"]
    assert about["left_ms"] == pytest.approx(left / about["live"]["rate"]["per_second"] * 1000, rel=0.01)
    text = flowspool(spool, "status")
    assert "in flight (max_concurrency)" in text and "about " in text and " left" in text and "the oldest waits" in text
    assert d.stop() == 0


@pytest.mark.parametrize("options, kind, cause, words", [
    (["--fault", "401"], "account", "unauthorized", "the account refuses the key"),
    (["--credits", "0"], "account", "no_credits", "the account refuses work"),
    (["--fault", "503"], "endpoint", "unreachable", "the endpoint is out of reach"),
    (["--fault", "429", "--retry-after", "50s"], "rate", "429", "rate limit was met (429)"),
])
def test_holds_of_the_far_side(spool, sandbox, daemon, options, kind, cause, words):
    daemon(sandbox("--limiter", "none", *options).url)
    spool.drop("a.yaml")
    hold = wait_held(spool, kind)
    assert hold["cause"] == cause and hold["held_for_ms"] >= 0
    assert [h["kind"] for h in live(spool)["holds"]] == [kind]
    text = flowspool(spool, "status")
    flat = " ".join(text.split())
    assert "sending held for" in flat and words in flat and re.search("asks again in|one request asks now", flat) and narrow(text.split("rate ")[1]), text
    if kind != "rate":
        assert status(spool)["left_ms"] is None and "; about" not in text, "nobody knows how long it takes"


def test_hold_of_a_workflow(spool, sandbox, daemon, port):
    """It has worked and is gone now."""
    flaky = sandbox("--limiter", "none", "--latency", "0", port=port)
    d = daemon(flaky.url)
    spool.drop("first.yaml", workflow="wf_flaky", inputs={"text": "works"})
    spool.outcome("first")
    flaky.stop()
    sandbox("--limiter", "none", "--fault", "404", port=port)
    spool.drop("second.yaml", workflow="wf_flaky", inputs={"text": "gone"})
    hold = wait_held(spool, "workflow")
    assert (hold["workflow"], hold["cause"]) == ("wf_flaky", "workflow_not_found")
    assert "workflow wf_flaky is not found" in " ".join(flowspool(spool, "status").split())
    assert d.stop() == 0


def test_pause_file(spool, sandbox, daemon):
    (spool.path / "PAUSE").touch()
    daemon(sandbox("--limiter", "none").url)
    assert wait_held(spool, "gate")["cause"] == "pause-file"
    assert "held: paused by the file PAUSE in the spool" in " ".join(flowspool(spool, "status").split())
    (spool.path / "PAUSE").unlink()
    wait_for(lambda: not held(spool, "gate"), "the hold to end")
    assert "sending   open" in flowspool(spool, "status")


def test_vanished_and_lost_state_are_told_apart(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    (spool.path / "PAUSE").touch()
    d = daemon(s.url)
    for i in range(24):
        spool.drop(f"job-{i}.yaml", inputs={"text": i})
    wait_for(lambda: status(spool)["jobs"] and status(spool)["jobs"]["waiting"] == 24, "the jobs")
    for i in range(20):
        (spool.path / f"job-{i}.yaml").unlink()
    wait_for(lambda: "vanished" in gates(spool), "the loss to be noticed")
    text = " ".join(flowspool(spool, "status").split())
    assert "most job files vanished at once" in text and "state was lost" not in text and "20 whose files are gone" in text
    d.stop()
    other = Spool(spool.path.parent / "other")
    for i in range(100):
        other.drop(f"job-{i}.yaml", inputs={"text": i})
    (other.path / "job-0.result.json").write_text("{}")
    d = daemon(s.url, spool=other)
    wait_for(lambda: gates(other) == ["lost-state"], "that loss to be noticed")
    text = " ".join(flowspool(other, "status").split())
    assert "held: the state was lost" in text and "files vanished" not in text
    d.kill()
    about = status(other)
    assert about["lost_state"] is True and about["daemon"] == "not_running"
    assert "the state was lost" in " ".join(flowspool(other, "status").split())


def test_a_daemon_that_hangs(spool, sandbox, daemon):
    d = daemon(sandbox("--limiter", "none").url)
    spool.drop("a.yaml")
    spool.outcome("a")
    wait_for(lambda: status(spool)["jobs"]["done"] == 1, "the job to be done")
    with frozen(d):
        done = command("--spool", spool.path, "status")
        assert done.returncode == 0 and "does not answer" in done.stdout and "1 done" in done.stdout, done
        about = status(spool)
        assert about["daemon"] == "no_answer" and about["live"] is None and about["jobs"]["done"] == 1
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon to answer again")


def test_a_daemon_that_died(spool, sandbox, daemon):
    s = sandbox("--limiter", "none", "--latency", "20s")
    d = daemon(s.url)
    spool.drop("a.yaml")
    wait_for(lambda: s.stats()["in_flight"] == 1, "the request")
    d.kill()
    done = command("--spool", spool.path, "status")
    assert done.returncode == 0 and "not running" in done.stdout and "1 in flight" in done.stdout
    assert "nothing: no daemon" in done.stdout


def test_account_refusal_outlives_the_daemon(spool, sandbox, daemon):
    d = daemon(sandbox("--limiter", "none", "--fault", "402").url)
    spool.drop("a.yaml")
    wait_held(spool, "account")
    assert d.stop() == 0
    about = status(spool)
    assert about["account_refused"] == "402" and about["jobs"]["waiting"] == 1
    assert "the account refused work last (402)" in " ".join(flowspool(spool, "status").split())


def test_where_the_spool_is(spool, sandbox, daemon, tmp_path):
    state = tmp_path / "elsewhere"
    d = daemon(sandbox("--limiter", "none").url, config=f"spool: {spool.path}\nstate_dir: {state}\n")
    spool.drop("a.yaml")
    spool.outcome("a")
    wait_for(lambda: "1 done" in command("-c", d.config_file, "status").stdout, "the state beside the configuration")
    for arguments, variables in [
            (["-c", d.config_file, "status"], {}),
            (["status", "--config", d.config_file], {}),
            (["-c", d.config_file, "status"], {"FLOWSPOOL_SPOOL": "/nowhere"}),
            (["-c", d.config_file, "--spool", spool.path, "status"], {})]:
        assert "running (pid" in command(*arguments, **variables).stdout, arguments
    assert "give -c FILE" in " ".join(command("status", FLOWSPOOL_SPOOL=str(spool.path)).stdout.split())
    assert command("status", FLOWSPOOL_SPOOL="").returncode == 2
    assert command("--spool", tmp_path / "nowhere", "status").returncode == 2
    assert command("--spool", "spool", "status", cwd=tmp_path).returncode == 0


def test_usage():
    for arguments in [[], ["nonsense"], ["--nonsense"], ["status"], ["--spool"], ["--spool", "/", "status", "more"],
                      ["--spool", "/", "status", "--nonsense"]]:
        done = command(*arguments)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("flowspool"), (arguments, done)
        assert "/bin/flowspool" not in done.stderr
    commands = re.findall(r"^  ([a-z]+) {2,}\S", command("--help").stdout, re.M)
    assert "status" in commands and len(commands) >= 9
    for arguments in [["--help"], *([c, "--help"] for c in commands)]:
        done = command(*arguments)
        assert done.returncode == 0 and done.stderr == "" and narrow(done.stdout), arguments
        assert len(done.stdout.splitlines()) <= 24 and "Example" in done.stdout, f"{arguments} does not fit a screen"
    assert command("--version").stdout.startswith("flowspool ")


def test_long_paths(sandbox, daemon, tmp_path):
    """A socket's address holds 107 bytes, a spool's path any number."""
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    spool = Spool(deep / "spool")
    d = daemon(sandbox("--limiter", "none").url, spool=spool)
    d.logged("spool ")
    wait_for(lambda: status(spool)["daemon"] == "running", "an answer")
    assert command("--spool", spool.path, "pause").returncode == 0
    assert gates(spool) == ["paused"]
    assert d.stop() == 0


def test_what_the_far_side_says_drives_no_terminal(spool, hostile, daemon):
    """The account's refusal is shown; its control characters are not."""
    server = hostile()
    said = "no \x1b[31mcredits\x1b]0;x\x07 \u009b2J \u202e here"
    script(server, all={"do": "status", "status": 402, "body": {"success": False, "error": said}})
    daemon(server.url)
    spool.drop("a.yaml")
    wait_held(spool, "account")
    for arguments in [["status"], ["status", "--json"]]:
        raw = command("--spool", spool.path, *arguments).stdout
        assert not any(c in raw for c in "\x1b\x07\u009b\u202e"), repr(raw)
    assert "credits" in held(spool, "account")[0]["reason"]


def test_colours_only_where_they_are_wanted(spool, sandbox, daemon):
    daemon(sandbox("--limiter", "none", "--missing-input", "strict", "--fault", "404").url)
    spool.drop("a.yaml")
    spool.outcome("a")
    wait_for(lambda: status(spool)["jobs"]["failed"] == 1, "the failure")
    arguments = ["--spool", spool.path, "status"]
    assert "\x1b[31m1 failed\x1b[0m" in on_terminal(*arguments)
    for plain in [on_terminal(*arguments, NO_COLOR="1"), on_terminal(*arguments, TERM="dumb"), command(*arguments).stdout]:
        assert "1 failed" in plain and "\x1b" not in plain
    assert "\x1b[" in on_terminal(*arguments, NO_COLOR=""), "an empty variable says nothing"


@pytest.fixture
def open_place():
    """A directory that other users can enter, with a copy of the command."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        shutil.copy(BIN / "flowspool", place)
        yield pathlib.Path(place)


def as_stranger(place, *arguments):
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    return command(*arguments, prefix=prefix, program=place / "flowspool")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_other_users_learn_and_change_nothing(sandbox, daemon, open_place):
    spool = Spool(open_place / "spool")
    d = daemon(sandbox("--limiter", "none").url, spool=spool)
    spool.drop("a.yaml")
    spool.outcome("a")
    for words in (["status"], ["list"], ["pause"], ["retry", "a"]):
        done = as_stranger(open_place, "--spool", spool.path, *words)
        assert done.returncode == 2 and "ermission" in done.stdout + done.stderr, (words, done)
    assert not status(spool)["paused"] and d.stop() == 0
    done = as_stranger(open_place, "--spool", spool.path, "pause")
    assert done.returncode == 2 and "ermission" in done.stderr, done
