"""kill -9 at any moment: every job ends with one outcome, and nothing is bought that must not be.

The sandbox is a process of its own, so what it counted as charged survives the daemon.
"""

import hashlib
import json
import random
import time

import pytest

from conftest import flowspool, wait_for
from hostile_control import posts, script

JOBS = 40
HOLD = "retry: {on_ambiguous: hold}\n"
RETRY = "retry: {on_ambiguous: retry, max_ambiguous: 1, base: 10ms, cap: 20ms}\n"


def fill(spool, jobs=JOBS):
    for i in range(jobs):
        spool.drop(f"j{i:03}.yaml", workflow="wf_echo", inputs={"n": f"number {i}"})
    return [f"j{i:03}" for i in range(jobs)]


def charged(server):
    """How often each body was bought."""
    return {r["body_sha256"]: r["charged"] for r in server.stats()["requests"]}


def outcome_of_each(spool, stems):
    """{stem: outcome}: each job has exactly one, whole, and nothing half-written lies about."""
    expected = set()
    found = {}
    for stem in stems:
        result, error = spool.result(stem), spool.error(stem)
        assert (result is None) != (error is None), f"{stem} has {'both' if result else 'no'} outcomes"
        found[stem] = result or error
        expected.add(f"{stem}.{'result' if result else 'error'}.json")
    assert set(spool.outcomes()) == expected
    assert [p.name for p in spool.path.iterdir() if p.name.startswith(".flowspool.")] == []
    return found


def job(spool, name):
    """What `flowspool list` knows of it."""
    listed = flowspool(spool, "list", "--json", check=False).stdout.splitlines()
    return next((j for j in map(json.loads, listed) if j["job"] == name), {})


def kill_when(daemon, reached, what):
    wait_for(lambda: reached() or daemon.process.poll() is not None, what)
    daemon.kill()


def finish(once, url, config):
    """A last run to the end; only ambiguity may have failed a job."""
    status, d = once(url, config=config)
    assert status in (0, 1), d.log
    return d


# --- under load ---


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_bought_twice_with_hold(spool, sandbox, daemon, once, seed):
    """Killed again and again under load, also while it starts again: with on_ambiguous: hold every job ends with one
    outcome and no request is charged twice."""
    chance = random.Random(seed)
    server = sandbox("--limiter", "none", "--latency", "uniform:20ms,150ms", "--seed", seed)
    stems = fill(spool)
    bought = 0
    for round_ in range(4):
        d = daemon(server.url, "--max-concurrency", 8, config=HOLD)
        bought += chance.randrange(1, 8)
        kill_when(d, lambda: server.stats()["runs"] >= bought, f"{bought} runs")
        if round_ % 2:  # and once more before, or while, it has recovered
            d = daemon(server.url, "--max-concurrency", 8, config=HOLD)
            wait_for(lambda: d.log != "" or d.process.poll() is not None, "the start line")
            time.sleep(chance.uniform(0, 0.03))  # the moment is the test's variable: no moment may be wrong
            d.kill()
    finish(once, server.url, HOLD)

    buys = charged(server)
    assert set(buys.values()) <= {0, 1}, buys
    outcomes = outcome_of_each(spool, stems)
    for stem, outcome in outcomes.items():
        if outcome["success"]:
            assert f"number {int(stem[1:])}" in outcome["result"]
            assert outcome["ambiguous"] == 0
        else:
            assert outcome["error"]["code"] == "ambiguous", outcome
            assert outcome["ambiguous"] == 1
    failed = [o for o in outcomes.values() if not o["success"]]
    # What was not in flight at a kill was no matter of doubt; at most all slots of every kill were.
    assert len(failed) <= 6 * 8
    assert sum(buys.values()) >= JOBS - len(failed)


def test_one_more_purchase_at_most_with_retry(spool, sandbox, daemon, once):
    """With on_ambiguous: retry a job is bought at most max_ambiguous times more, and its outcome says so."""
    server = sandbox("--limiter", "none", "--latency", "uniform:20ms,150ms", "--seed", 5)
    stems = fill(spool)
    for target in (3, 9, 14, 22):
        d = daemon(server.url, "--max-concurrency", 8, config=RETRY)
        kill_when(d, lambda: server.stats()["runs"] >= target, f"{target} runs")
    finish(once, server.url, RETRY)

    outcomes = outcome_of_each(spool, stems)
    assert max(charged(server).values()) <= 2
    in_doubt = sum(o["ambiguous"] for o in outcomes.values())
    assert 0 < in_doubt <= 4 * 8
    assert sum(charged(server).values()) <= JOBS + in_doubt
    for outcome in outcomes.values():
        assert outcome["success"] or outcome["error"]["code"] == "ambiguous"
        assert outcome["ambiguous"] <= 2


def test_a_drained_spool_started_again_sends_nothing(spool, sandbox, once):
    server = sandbox("--limiter", "none")
    stems = fill(spool, 12)
    assert once(server.url)[0] == 0
    assert server.stats()["requests_total"] == 12
    status, d = once(server.url)
    assert status == 0
    assert server.stats()["requests_total"] == 12
    outcome_of_each(spool, stems)
    assert d.ended == (0, 0), d.log


def test_edits_while_jobs_start_are_no_contradiction(spool, sandbox, daemon):
    """Files that change and go at the very moment their jobs are about to be sent: what the state still says of them is
    old by then. The daemon goes on, and what was written last is what has its result."""
    server = sandbox("--limiter", "none")
    d = daemon(server.url, "--max-concurrency", 4)
    for run in range(120):
        for i in range(3):
            spool.drop(f"edited{i}.yaml", inputs={"n": str(i)}, run=f"r{run}")
        gone = spool.drop(f"gone{run % 5}.yaml", inputs={"n": f"gone {run}"})
        if run % 2:
            gone.unlink()
        assert d.process.poll() is None, d.log[-2000:]
    for i in range(3):
        digest = hashlib.sha256((spool.path / f"edited{i}.yaml").read_bytes()).hexdigest()
        wait_for(lambda: (spool.result(f"edited{i}") or {}).get("job_sha256") == digest, "the result of what was written last")
    assert d.stop() == 0
    assert "bug" not in d.log


# --- one job, one moment ---


def test_killed_in_flight_is_ambiguous(spool, hostile, daemon, once):
    """The request was read, the reply never came: with hold the job fails as ambiguous, once, and only
    `flowspool retry` sends it again."""
    server = hostile("--default", "hold")
    spool.drop("a.yaml")
    d = daemon(server.url, config=HOLD)
    wait_for(lambda: posts(server) == 1, "the request")
    d.kill()
    status, _ = once(server.url, config=HOLD)
    assert status == 1
    error = spool.error("a")
    assert error["error"]["code"] == "ambiguous"
    assert error["error"]["retryable"] is True
    assert (error["ambiguous"], error["attempts"], error["error"]["http_status"]) == (1, 0, None)
    assert once(server.url, config=HOLD)[0] == 0
    (spool.path / "a.yaml").touch()
    assert once(server.url, config=HOLD)[0] == 0
    assert posts(server) == 1, "neither a start nor a touch may buy again what was perhaps charged"

    script(server, all="ok")
    flowspool(spool, "retry", "a.yaml")
    assert once(server.url, config=HOLD)[0] == 0
    assert spool.result("a")["success"] is True
    assert spool.error("a") is None


def test_killed_between_reply_and_outcome_buys_nothing(spool, sandbox, daemon, once):
    """A reply that reached us is durable before it is looked at: an outcome that could not be written when the daemon
    was killed is written by the next start, without a request."""
    server = sandbox("--limiter", "none")
    obstacle = spool.path / "a.result.json"
    obstacle.mkdir()
    spool.drop("a.yaml", inputs={"text": "paid for"})
    d = daemon(server.url, config=HOLD)
    d.logged("tried again every")
    d.kill()
    assert server.stats()["runs"] == 1
    d = daemon(server.url, config=HOLD)
    d.logged("tried again every")
    d.kill()
    obstacle.rmdir()
    status, _ = once(server.url, config=HOLD)
    assert status == 0
    assert "paid for" in spool.result("a")["result"]
    assert spool.result("a")["ambiguous"] == 0
    assert server.stats()["requests_total"] == 1


def test_killed_during_a_backoff_keeps_its_attempts(spool, hostile, daemon):
    server = hostile()
    script(server, wf_echo=["status:500", "ok"])
    spool.drop("a.yaml")
    d = daemon(server.url, config="retry: {base: 1h, cap: 1h}\n")
    wait_for(lambda: job(spool, "a.yaml").get("state") == "later", "the attempt's end to be stored")
    d.kill()
    spool.drop("b.yaml", workflow="wf_other")
    d = daemon(server.url)
    assert spool.outcome("b")["success"] is True
    assert d.stop() == 0
    assert (job(spool, "a.yaml")["attempts"], job(spool, "a.yaml")["state"]) == (1, "later")
    assert posts(server, "wf_echo") == 1, "a start is no reason to try again sooner"


def test_second_daemon_exits_4(spool, sandbox, daemon):
    """One daemon a spool, whatever path leads to it; the second touches nothing and the first goes on."""
    server = sandbox("--limiter", "none")
    first = daemon(server.url)
    first.logged("endpoint")
    wait_for(lambda: (spool.state / "lock").exists(), "the lock")
    second = daemon(server.url)
    assert second.wait() == 4
    assert "another flowspoold holds this spool" in second.log
    link = spool.path.parent / "link"
    link.symlink_to(spool.path)
    third = daemon(server.url, "--spool", link)
    assert third.wait() == 4
    fourth = daemon(server.url, "--once")
    assert fourth.wait() == 4
    spool.drop("a.yaml")
    assert spool.outcome("a")["success"] is True
    assert first.stop() == 0


def test_the_lock_goes_with_kill(spool, sandbox, daemon, once):
    server = sandbox("--limiter", "none")
    d = daemon(server.url)
    d.logged("endpoint")
    d.kill()
    assert (spool.state / "lock").exists()
    assert once(server.url)[0] == 0


def test_what_a_killed_daemon_left_is_swept(spool, sandbox, once):
    """A temporary of an outcome that was being written when the power went."""
    server = sandbox("--limiter", "none")
    left = spool.path / ".flowspool.aBc123"
    left.write_text('{"version":1,"half')
    foreign = spool.path / ".flowspool.notes"
    foreign.write_text("somebody's")
    spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    assert not left.exists()
    assert spool.result("a")["success"] is True
