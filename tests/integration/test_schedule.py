"""Which job goes next, and when: priority, first seen, name, document; not_before, expires; the cap and the pace."""

import hashlib
import itertools
import json
import time

import pytest

from conftest import flowspool, instant, job_text, live, stays, unix, wait_for
from hostile_control import posts, release, script, stats


def order_of(server, workflow="wf_order"):
    """The texts that were sent, in the order of their arrival."""
    return [json.loads(body)["text"] for body in stats(server)["whole"].get(workflow, {})]


def jobs(spool, state="waiting"):
    listed = flowspool(spool, "list", "--json", check=False).stdout.splitlines()
    return [j["job"] for j in map(json.loads, listed) if j["state"] == state]


def ordered(name, **keys):
    return job_text("wf_order", {"text": name}, **keys)


@pytest.fixture
def busy(spool, hostile, daemon):
    """A daemon whose one slot is taken until go(): what is dropped meanwhile is put in order."""
    server = hostile()
    script(server, wf_first="hold")
    spool.drop("000-first.yaml", workflow="wf_first", priority=100)
    d = daemon(server.url, "--max-concurrency", 1)
    wait_for(lambda: stats(server)["in_flight"] == 1, "the slot to be taken")

    def go(expected):
        wait_for(lambda: len(jobs(spool)) == expected, f"{expected} jobs to be waiting")
        time.sleep(0.05)  # the queue is read again at most every 20 ms: a later arrival than that need not overtake
        live(spool)  # by now it knows of what is stored, also when it had no turn for a while
        release(server)
        wait_for(lambda: posts(server, "wf_order") == expected, "all jobs to be sent")
        return order_of(server)

    yield go
    assert d.stop() == 0


# --- order ---


def test_priority_goes_first(spool, busy):
    priorities = [0, -100, 100, 5, -5, 99, 1]
    for i, p in enumerate(priorities):
        spool.drop(f"j{i}.yaml", ordered(str(p), priority=p))
    assert busy(len(priorities)) == [str(p) for p in sorted(priorities, reverse=True)]


def test_first_seen_goes_before_name(spool, busy):
    for i, name in enumerate(["z", "m", "a"]):
        spool.drop(f"{name}.yaml", ordered(name))
        wait_for(lambda: len(jobs(spool)) == i + 1, f"{name} to be taken")
    assert busy(3) == ["z", "m", "a"]


def test_what_lies_there_at_the_start(spool, hostile, once):
    """It was all first seen at once, however long reading takes and in whatever order the directory lists it: priority
    decides, then the name."""
    server = hostile()
    expected = []
    for i, letters in enumerate(itertools.product("zamk", "30142")):
        name, priority = "".join(letters), i % 2
        expected.append((-priority, name))
        spool.drop(f"{name}.yaml", ordered(name, priority=priority))
    changed = max(f.stat().st_ctime for f in spool.path.iterdir())
    wait_for(lambda: time.time() > changed + 0.3, "all files to be settled before the start")
    assert once(server.url, "--max-concurrency", 1)[0] == 0
    assert order_of(server) == [name for _, name in sorted(expected)]


def test_documents_go_in_their_order(spool, busy):
    text = "---\n".join(ordered(f"document {n}") for n in range(1, 13))
    spool.drop("many.yaml", text)
    assert busy(12) == [f"document {n}" for n in range(1, 13)]


def test_priority_applies_in_place(spool, busy):
    """A new priority is no new job: it keeps its age, and there is one purchase."""
    for name in "abc":
        spool.drop(f"{name}.yaml", ordered(name))
    wait_for(lambda: len(jobs(spool)) == 3, "the jobs to be taken")
    spool.drop("c.yaml", ordered("c", priority=7))
    wait_for(lambda: '"priority":7' in flowspool(spool, "list", "--json"), "the priority")
    assert busy(3) == ["c", "a", "b"]


def test_age_goes_before_what_came_later_with_the_same_priority(spool, busy):
    """A job whose comment was changed keeps its place in the queue."""
    for name in "xy":
        spool.drop(f"{name}.yaml", ordered(name))
        wait_for(lambda: f"{name}.yaml" in jobs(spool), "it to be taken")
    text = "# a comment\n" + ordered("x")
    spool.drop("x.yaml", text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    wait_for(lambda: digest in flowspool(spool, "list", "--json"), "the new bytes to be read")
    assert busy(2) == ["x", "y"]


# --- times ---


def test_not_before(spool, hostile, daemon):
    """Not a moment early, and without waiting for the next scan; other jobs go on meanwhile."""
    server = hostile()
    d = daemon(server.url)
    d.logged("at most")
    due = time.time() + 3
    spool.drop("later.yaml", ordered("later", not_before=instant(3), priority=100))
    wait_for(lambda: jobs(spool, "later") == ["later.yaml"], "the job to wait")
    spool.drop("now.yaml", ordered("now"))
    now, later = spool.outcome("now"), spool.outcome("later")
    assert unix(now["started_at"]) < due, "it did not wait for the other"
    assert due - 0.01 <= unix(later["started_at"]) < due + 10
    assert order_of(server) == ["now", "later"]
    assert d.stop() == 0


@pytest.mark.parametrize("when", ["2001-01-01T00:00:00Z", "2001-01-01T00:00:00+14:00", '"2001-01-01T00:00:00-03:30"'])
def test_not_before_that_is_past(spool, hostile, once, when):
    spool.drop("a.yaml", ordered("a", not_before=when))
    assert once(hostile().url)[0] == 0
    assert spool.result("a")["success"] is True


def test_once_leaves_what_is_for_later(spool, hostile, once):
    """It is counted in the last line and no reason for another exit status."""
    server = hostile()
    spool.drop("a.yaml", ordered("a", not_before="2999-01-01T00:00:00Z"))
    spool.drop("b.yaml", ordered("b"))
    status, d = once(server.url)
    assert status == 0
    assert "1 done" in d.log.splitlines()[-1] and "1 for later" in d.log.splitlines()[-1]
    assert spool.outcomes() == ["b.result.json"]
    assert order_of(server) == ["b"]


def test_a_changed_not_before_applies_in_place(spool, hostile, daemon):
    server = hostile()
    spool.drop("a.yaml", ordered("a", not_before="2999-01-01T00:00:00Z"))
    d = daemon(server.url)
    wait_for(lambda: jobs(spool, "later") == ["a.yaml"], "the job to wait")
    spool.drop("a.yaml", ordered("a"))
    assert spool.outcome("a")["success"] is True
    assert posts(server) == 1
    assert d.stop() == 0


def test_expired_before_it_was_seen(spool, hostile, once):
    server = hostile()
    spool.drop("a.yaml", ordered("a", expires="2001-01-01T00:00:00Z"))
    status, d = once(server.url)
    assert status == 1
    error = spool.error("a")
    assert error["error"]["code"] == "expired"
    assert error["error"]["http_status"] is None
    assert (error["attempts"], error["ambiguous"], error["started_at"], error["duration_ms"]) == (0, 0, None, None)
    assert "a.yaml: failed: expired" in d.log
    assert posts(server) == 0


def test_expires_while_it_waits(spool, hostile, daemon):
    """It fails at its time, unsent, although the only slot was taken all along."""
    server = hostile()
    script(server, wf_first="hold")
    spool.drop("a.yaml", workflow="wf_first")
    d = daemon(server.url, "--max-concurrency", 1)
    wait_for(lambda: stats(server)["in_flight"] == 1, "the slot to be taken")
    at = time.time() + 3
    spool.drop("b.yaml", ordered("b", expires=instant(3)))
    wait_for(lambda: jobs(spool) == ["b.yaml"], "the job to wait")
    assert spool.outcome("b")["error"]["code"] == "expired"
    assert at - 0.01 <= time.time() < at + 10
    assert order_of(server) == []
    release(server)
    assert spool.outcome("a")["success"] is True
    assert d.stop() == 0


def test_expires_during_a_hold(spool, hostile, daemon):
    server = hostile("--default", "status:402")
    d = daemon(server.url)
    spool.drop("a.yaml", ordered("a"))
    d.logged("the account refuses work")
    spool.drop("b.yaml", ordered("b", expires=instant(0.8)))
    assert spool.outcome("b")["error"]["code"] == "expired"
    assert spool.error("a") is None
    assert d.stop() == 0


def test_in_flight_is_not_expired(spool, hostile, daemon):
    """It was sent in time: what was bought is kept."""
    server = hostile("--default", "hold")
    d = daemon(server.url)
    d.logged("at most")
    at = time.time() + 3
    spool.drop("a.yaml", ordered("a", expires=instant(3)))
    wait_for(lambda: stats(server)["in_flight"] == 1, "the request")
    wait_for(lambda: time.time() > at + 0.3, "its time to pass")
    release(server)
    assert spool.outcome("a")["success"] is True
    assert d.stop() == 0


def test_backoff_does_not_outlast_expires(spool, hostile, daemon):
    server = hostile("--default", "status:500")
    d = daemon(server.url, config="retry: {base: 1h, cap: 1h}\n")
    d.logged("at most")
    spool.drop("a.yaml", ordered("a", expires=instant(3)))
    error = spool.outcome("a")
    assert (error["error"]["code"], error["attempts"]) == ("expired", 1)
    assert d.stop() == 0


# --- how many, how fast ---


@pytest.mark.parametrize("cap", [1, 3, 17])
def test_max_concurrency_is_reached(spool, hostile, daemon, cap):
    """Where there is work for it; and no more are sent while none of them is answered."""
    server = hostile("--default", "hold")
    for i in range(20):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    d = daemon(server.url, "--max-concurrency", cap)
    wait_for(lambda: stats(server)["in_flight"] == cap, "as many as allowed")
    wait_for(lambda: len(jobs(spool)) == 20 - cap, "the others to be known")
    stays(lambda: posts(server) == cap, 0.3)
    d.kill()


@pytest.mark.parametrize("cap", [1, 3, 17])
def test_max_concurrency_is_not_passed(spool, sandbox, once, cap):
    server = sandbox("--limiter", "none", "--latency", "60ms")
    for i in range(40):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    assert once(server.url, "--max-concurrency", cap)[0] == 0
    assert server.stats()["peak_in_flight"] <= cap


def test_max_per_second(spool, sandbox, once):
    server = sandbox("--limiter", "none")
    for i in range(21):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    assert once(server.url, config="rate: {max_per_second: 20}\n")[0] == 0
    at = sorted(unix(spool.result(f"j{i}")["started_at"]) for i in range(21))
    assert 0.9 <= at[-1] - at[0] < 5
    assert all(at[i + 6] - at[i] > 0.2 for i in range(len(at) - 6)), "evenly, not in bursts"


def test_more_jobs_than_the_window_holds(spool, sandbox, once):
    """Only a window of the queue is in memory; all of it goes."""
    server = sandbox("--limiter", "none")
    for i in range(400):
        spool.drop(f"j{i:03}.yaml", inputs={"n": str(i)}, priority=i % 3)
    assert once(server.url, "--max-concurrency", 4)[0] == 0
    assert len(spool.outcomes()) == 400
    assert server.stats()["runs"] == 400
