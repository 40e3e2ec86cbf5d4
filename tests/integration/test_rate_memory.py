"""What was learned about the rate limit outlives the daemon, for the endpoint and the key that it was learned with."""

import json
import re
import signal
import sqlite3
import time

import pytest

from command_line import order, status
from conftest import KEY, flowspool, holds, live, short, stays, wait_for
from hostile_control import posts, release, script

LEARNED = "the rate limit, until replies say otherwise: limit "
OTHER = "another-key-77aa10"


def memories(spool):
    """What the state remembers, by name."""
    with sqlite3.connect(f"file:{spool.state}/state.db?mode=ro", uri=True, timeout=10) as db:
        return dict(db.execute("SELECT key, value FROM meta WHERE key LIKE 'rate.%.%'"))


def learned_limits(spool):
    return sorted(int(value.split()[2]) for value in memories(spool).values())


def succeeds(spool, stem):
    spool.outcome(stem)
    assert spool.result(stem), spool.error(stem)


def run_jobs(spool, prefix, count=12):
    for i in range(count):
        spool.drop(f"{prefix}{i}.yaml", inputs={"text": f"{prefix}{i}"})
    for i in range(count):
        succeeds(spool, f"{prefix}{i}")


def learn(spool, d, prefix="a", limit=40):
    run_jobs(spool, prefix)
    wait_for(lambda: limit in learned_limits(spool), "the memory to be written")


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_restart_recalls_it(spool, sandbox, daemon, end):
    s = sandbox("--limit", "40", "--latency", "20ms")
    d = daemon(s.url)
    learn(spool, d)
    assert LEARNED not in d.log
    d.kill() if end == "killed" else d.stop()
    name, = memories(spool)
    assert name.startswith("rate.") and name.endswith("." + short(KEY))
    assert KEY not in name + memories(spool)[name]
    d = daemon(s.url)
    d.logged(LEARNED + "40 per ")
    run_jobs(spool, "b")


def test_a_stop_loses_nothing(spool, sandbox, daemon):
    """The last seconds before an orderly end are written with it."""
    s = sandbox("--limit", "40", "--latency", "20ms")
    d = daemon(s.url)
    learn(spool, d)
    run_jobs(spool, "b", 1)
    before = memories(spool)
    assert d.stop() == 0
    assert memories(spool) != before


def test_status_tells_it_with_and_without_a_daemon(spool, sandbox, daemon):
    s = sandbox("--limit", "40", "--latency", "20ms")
    d = daemon(s.url)
    learn(spool, d)
    running = r"limit 40 (\(that the server counts in is not known yet\)|per \w+)"
    assert re.search(running, " ".join(order(spool, "status").stdout.split())), order(spool, "status").stdout
    assert status(spool)["live"]["rate"]["limit"] == 40
    d.kill()
    said = " ".join(order(spool, "status").stdout.split())
    assert re.search(r"rate unknown; as of [0-9.]+ ?\w+ ago: limit 40 ", said), said


def test_what_is_told_is_of_the_key_that_it_names(spool, sandbox, daemon):
    s = sandbox("--limit", "40", "--latency", "20ms", key=None)
    d = daemon(s.url)
    learn(spool, d)
    run_jobs(spool, "b", 1)
    change_key(spool, d, OTHER)
    d.kill()
    with sqlite3.connect(f"file:{spool.state}/state.db?mode=ro", uri=True, timeout=10) as db:
        view = json.loads(db.execute("SELECT value FROM meta WHERE key = 'rate.view'").fetchone()[0])
    assert view["learned"]["limit"] == 40 and view["key"] == short(KEY)


def test_another_key_and_another_endpoint_start_afresh(spool, sandbox, daemon):
    s = sandbox("--limit", "40", "--latency", "20ms", key=None)
    d = daemon(s.url)
    learn(spool, d)
    d.stop()
    d.key_file.write_text(OTHER + "\n")
    d = daemon(s.url)
    run_jobs(spool, "b", 1)
    assert LEARNED not in d.log
    d.stop()
    d.key_file.write_text(KEY + "\n")
    elsewhere = sandbox("--limit", "40", "--latency", "20ms", key=None)
    d = daemon(elsewhere.url)
    run_jobs(spool, "c", 1)
    assert LEARNED not in d.log
    d.stop()
    d = daemon(s.url)
    d.logged(LEARNED + "40 per ")


def change_key(spool, d, key):
    d.key_file.write_text(key + "\n")
    d.send(signal.SIGHUP)
    wait_for(lambda: live(spool)["key"] == short(key), "the key to be in use")


def test_a_new_key_is_met_with_what_is_known_of_it(spool, sandbox, daemon):
    """While the daemon runs, too, and while requests are out."""
    s = sandbox("--limit", "40", "--latency", "20ms", key=None)
    slow = sandbox("--limiter", "none", "--latency", "8s", key=None)
    d = daemon(s.url)
    learn(spool, d)
    d.stop()
    d = daemon(None, config=f"endpoint: {slow.url}\n")
    spool.drop("out.yaml", inputs={"text": "out"})
    wait_for(lambda: live(spool)["in_flight"] == 1, "a request to be out")
    d.config_file.write_text(d.config_file.read_text().replace(slow.url, s.url))
    d.send(signal.SIGHUP)
    d.logged(LEARNED + "40 per ")
    run_jobs(spool, "b")
    succeeds(spool, "out")
    change_key(spool, d, OTHER)
    run_jobs(spool, "c")
    wait_for(lambda: learned_limits(spool) == [40, 40], "a memory of its own")
    change_key(spool, d, KEY)
    assert d.log.count(LEARNED) == 2, d.log
    run_jobs(spool, "d")
    assert d.stop() == 0


def test_requests_of_the_old_key_leave_their_room(spool, hostile, daemon):
    """They hold no slot of the new key's limit, but they are in flight."""
    server = hostile()
    script(server, all="hold")
    d = daemon(server.url, "--max-concurrency", "3")
    for i in range(8):
        spool.drop(f"a{i}.yaml", inputs={"text": str(i)})
    wait_for(lambda: live(spool)["in_flight"] == 3, "as many as may")
    d.key_file.write_text(OTHER + "\n")
    spool.drop("b.yaml", inputs={"text": "b"})
    d.logged("the key changed")
    stays(lambda: live(spool)["in_flight"] == 3, 1)
    script(server, all="ok")
    release(server)
    for i in range(8):
        succeeds(spool, f"a{i}")
    assert d.stop() == 0


def plant(spool, value):
    name, = memories(spool)
    with sqlite3.connect(f"{spool.state}/state.db") as db:
        db.execute("UPDATE meta SET value = ? WHERE key = ?", (value, name))
    db.close()


DAY = 24 * 3600 * 1000
NONSENSE = {
    "not ours": lambda now: "limit=10;window=1s",
    "empty": lambda now: "",
    "two days old": lambda now: f"1 {now - 2 * DAY} 3 2 60000 3 50 100000 200000 0 0",
    "of tomorrow": lambda now: f"1 {now + DAY} 3 2 60000 3 50 100000 200000 0 0",
    "no such window": lambda now: f"1 {now} 3 2 61000 3 50 100000 200000 0 0",
    "limit of none": lambda now: f"1 {now} 0 2 60000 3 50 100000 200000 0 0",
    "closed for a year": lambda now: f"1 {now} 0 0 0 0 0 0 0 0 {now + 365 * DAY}",
}


@pytest.mark.parametrize("what", NONSENSE)
def test_what_makes_no_sense_is_left_alone(spool, sandbox, daemon, what):
    s = sandbox("--limit", "40", "--latency", "20ms")
    d = daemon(s.url)
    learn(spool, d)
    d.stop()
    plant(spool, NONSENSE[what](int(time.time() * 1000)))
    d = daemon(s.url)
    run_jobs(spool, "b", 1)
    assert LEARNED not in d.log and "rate" not in holds(spool)


def test_what_does_not_fit_any_more_is_dropped(spool, sandbox, daemon):
    """The plan was three in an hour; now it is 40 a second."""
    s = sandbox("--limit", "40", "--latency", "20ms")
    d = daemon(s.url)
    learn(spool, d)
    d.stop()
    plant(spool, f"1 {int(time.time() * 1000)} 3 2 3600000 2 1 100000 200000 0 0")
    d = daemon(s.url)
    d.logged(LEARNED + "3 per 1h")
    run_jobs(spool, "b", 20)
    wait_for(lambda: learned_limits(spool) == [40], "what is true now to be kept")


def test_a_hold_outlives_a_restart(spool, hostile, daemon):
    server = hostile()
    script(server, all={"do": "status", "status": 429, "headers": {"Retry-After": "600"}})
    spool.drop("a.yaml")
    d = daemon(server.url)
    wait_for(lambda: holds(spool).get("rate"), "the hold")
    d.stop()
    d = daemon(server.url)
    hold = wait_for(lambda: holds(spool).get("rate"), "the hold again")
    assert 500_000 < hold["next_probe_ms"] <= 660_000
    assert posts(server) == 1
    script(server, all="ok")
    flowspool(spool, "resume")
    succeeds(spool, "a")


def test_nothing_is_written_while_nothing_happens(spool, sandbox, daemon):
    s = sandbox("--limit", "40", "--latency", "20ms")
    d = daemon(s.url)
    learn(spool, d)
    written = memories(spool)

    def quiet():
        """For longer than it takes to write what changed last."""
        nonlocal written
        time.sleep(4)
        before, written = written, memories(spool)
        return before == written

    wait_for(quiet, "the memory to be at rest")
    wal = spool.state / "state.db-wal"
    before = (wal.stat().st_mtime_ns, wal.stat().st_size, written)
    stays(lambda: (wal.stat().st_mtime_ns, wal.stat().st_size, memories(spool)) == before, 4)
    assert d.stop() == 0
