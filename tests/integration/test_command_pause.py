"""flowspool pause and resume: through the daemon, through the state, across restarts."""

import signal

from command_line import command, frozen, status
from conftest import Spool, flowspool, gates, live, wait_for


def flat(spool):
    return " ".join(flowspool(spool, "status").split())


def test_pause_and_resume(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    d = daemon(s.url)
    d.logged("spool ")
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    done = command("--spool", spool.path, "pause")
    assert (done.returncode, done.stdout, done.stderr) == (0, "paused: nothing new is sent until flowspool resume\n", "")
    spool.drop("a.yaml")
    wait_for(lambda: status(spool)["jobs"]["waiting"] == 1, "the job")
    assert gates(spool) == ["paused"] and s.stats()["requests_total"] == 0
    done = command("--spool", spool.path, "resume")
    assert (done.returncode, done.stdout, done.stderr) == (0, "resumed\n", "")
    spool.outcome("a")
    assert gates(spool) == [] and status(spool)["paused"] is False


def test_what_is_in_flight_finishes(spool, sandbox, daemon):
    s = sandbox("--limiter", "none", "--latency", "700ms")
    daemon(s.url)
    spool.drop("a.yaml")
    wait_for(lambda: s.stats()["in_flight"] == 1, "the request")
    assert command("--spool", spool.path, "pause").returncode == 0
    assert spool.outcome("a")["success"] is True


def test_a_pause_outlives_restarts_and_crashes(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    d = daemon(s.url)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    assert command("--spool", spool.path, "pause").returncode == 0
    since = status(spool)["paused_at"]
    assert since, "what was answered is stored"
    spool.drop("a.yaml")
    for end in (signal.SIGKILL, signal.SIGTERM):
        d.send(end)
        d.wait()
        about = status(spool)
        assert about["paused"] is True and about["paused_at"] == since
        assert "nothing: no daemon; for " in flat(spool) and "paused; to go on: flowspool resume" in flat(spool)
        d = daemon(s.url)
        wait_for(lambda: live(spool)["scanned"], "the daemon")
        assert gates(spool) == ["paused"]
        assert "sending held for " in flat(spool) and "paused; to go on" in flat(spool)
        assert command("--spool", spool.path, "pause").returncode == 0
        assert status(spool)["paused_at"] == since, "it was paused before"
    assert s.stats()["requests_total"] == 0
    assert d.stop() == 0
    d = daemon(s.url, "--once")
    assert d.wait() == 6, "jobs are left"
    assert command("--spool", spool.path, "resume").stdout == "resumed: the next flowspoold sends\n"
    d = daemon(s.url, "--once")
    assert d.wait() == 0 and spool.result("a")


def test_pause_without_a_daemon(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    assert daemon(s.url, "--once").wait() == 0
    done = command("--spool", spool.path, "pause")
    assert (done.returncode, done.stdout) == (0, "paused: the next flowspoold sends nothing until flowspool resume\n"), done
    assert status(spool)["paused"] is True
    spool.drop("a.yaml")
    d = daemon(s.url)
    wait_for(lambda: (a := status(spool))["live"] and a["jobs"]["waiting"] == 1, "the job")
    assert gates(spool) == ["paused"]
    d.kill()
    assert command("--spool", spool.path, "resume").returncode == 0
    daemon(s.url)
    spool.outcome("a")


def test_no_state(spool):
    for word in ("pause", "resume"):
        done = command("--spool", spool.path, word)
        assert done.returncode == 2 and "no flowspoold has run" in done.stderr, done
    assert list(spool.path.iterdir()) == [], "there is nothing to change, and nothing is made"


def test_a_daemon_that_hangs_is_not_paused_behind_its_back(spool, sandbox, daemon):
    d = daemon(sandbox("--limiter", "none").url)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    with frozen(d):
        for word in ("pause", "resume"):
            done = command("--spool", spool.path, word)
            assert done.returncode == 4 and done.stdout == "" and "nothing was changed" in done.stderr, done
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon to go on")
    assert gates(spool) == [] and status(spool)["paused"] is False


def test_resume_says_what_still_holds(spool, sandbox, daemon):
    daemon(sandbox("--limiter", "none").url)
    wait_for(lambda: status(spool)["daemon"] == "running", "the daemon")
    (spool.path / "PAUSE").touch()
    assert command("--spool", spool.path, "pause").returncode == 0
    wait_for(lambda: sorted(gates(spool)) == ["pause-file", "paused"], "both")
    done = command("--spool", spool.path, "resume")
    assert done.returncode == 0
    assert done.stdout == "resumed\nstill held: paused by the file PAUSE in the spool; to go on: remove it\n"


def test_resume_accepts_what_vanished(spool, sandbox, daemon):
    s = sandbox("--limiter", "none")
    (spool.path / "PAUSE").touch()
    daemon(s.url)
    for i in range(24):
        spool.drop(f"job-{i}.yaml", inputs={"text": i})
    wait_for(lambda: (a := status(spool))["jobs"] and a["jobs"]["waiting"] == 24, "the jobs")
    for i in range(20):
        (spool.path / f"job-{i}.yaml").unlink()
    wait_for(lambda: "vanished" in gates(spool), "the loss to be noticed")
    (spool.path / "PAUSE").unlink()
    wait_for(lambda: gates(spool) == ["vanished"], "the file to be gone")
    assert command("--spool", spool.path, "resume").stdout == "resumed\n"
    for i in range(20, 24):
        spool.outcome(f"job-{i}")
    assert s.stats()["runs"] == 4


def test_resume_accepts_a_lost_state(sandbox, daemon, tmp_path):
    s = sandbox("--limiter", "none")
    spool = Spool(tmp_path / "lost")
    for i in range(100):
        spool.drop(f"job-{i}.yaml", inputs={"text": i})
    (spool.path / "other.result.json").write_text("{}")
    d = daemon(s.url, spool=spool)
    wait_for(lambda: (a := status(spool))["live"] and a["jobs"]["waiting"] == 100, "the jobs")
    assert gates(spool) == ["lost-state"] and s.stats()["requests_total"] == 0
    d.kill()
    assert status(spool)["lost_state"] is True
    assert command("--spool", spool.path, "resume").returncode == 0
    assert status(spool)["lost_state"] is False
    daemon(s.url, spool=spool)
    wait_for(lambda: status(spool)["jobs"]["done"] == 100, "all")


def test_resume_asks_the_account_at_once(spool, sandbox, daemon):
    s = sandbox("--limiter", "none", "--credits", "0")
    daemon(s.url, config="rescan: 60s\nprobe: 15m\n")
    spool.drop("a.yaml")
    wait_for(lambda: (a := status(spool)["live"]) and any((h["next_probe_ms"] or 0) > 600000 for h in a["holds"]), "a long wait")
    before = s.stats()["requests_total"]
    done = command("--spool", spool.path, "resume")
    assert done.returncode == 0
    wait_for(lambda: s.stats()["requests_total"] > before, "the probe")
    assert "still held: the account refuses work" in done.stdout
