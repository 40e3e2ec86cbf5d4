"""The daemon dies while outcomes follow their jobs to other names: at every step on the disk, and again while it starts anew.

The daemon runs under strace, which ends it with SIGKILL when it enters its Nth call of some kind. Names are traded in circles,
so that one spool serves for all the Ns.
"""

import itertools
import os
import signal

import pytest

from conftest import flowspool, job_text, wait_for
from hostile_control import posts
from killed import NEEDS_STRACE, delayed_at, kill_traced, killed_at, signal_traced

pytestmark = NEEDS_STRACE

QUICK = "rescan: 200ms\nmax_job_size: 1KiB\nonce_patience: 10s\n"
# Every STRIDE-th point: all of them take minutes.
STRIDE = int(os.environ.get("FLOWSPOOL_TEST_STRIDE", "9"))


class Circle:
    """What the results of some jobs said, and where each must be now."""

    def __init__(self, spool, server, once):
        self.spool, self.server, self.once = spool, server, once

    def start(self):
        for name in "abcd":
            self.spool.drop(f"{name}.yaml", inputs={"n": name})
        self.documents = ["k", "l", "m"]
        self.write()
        assert self.once(self.server.url, config=QUICK)[0] == 0
        self.bought = posts(self.server)
        self.said = {n: self.spool.result(n)["result"] for n in ("a", "b", "c", "d", "m.1", "m.2", "m.3")}
        return self

    def write(self):
        aside = self.spool.path / ".m.new"
        aside.write_text("---\n".join(job_text(inputs={"n": d}) for d in self.documents))
        aside.rename(self.spool.path / "m.yaml")

    def turn(self):
        """a, b and c rotate, d changes its name and back, the documents rotate."""
        for old, new in (("a.yaml", ".t"), ("b.yaml", "a.yaml"), ("c.yaml", "b.yaml"), (".t", "c.yaml")):
            (self.spool.path / old).rename(self.spool.path / new)
        here, there = ("d", "e") if "d" in self.said else ("e", "d")
        (self.spool.path / f"{here}.yaml").rename(self.spool.path / f"{there}.yaml")
        self.documents = self.documents[1:] + self.documents[:1]
        self.write()
        before = self.said
        self.said = {"a": before["b"], "b": before["c"], "c": before["a"], there: before[here],
                     "m.1": before["m.2"], "m.2": before["m.3"], "m.3": before["m.1"]}

    def check(self, when):
        found = {n: (self.spool.result(n) or {}).get("result") for n in self.said}
        assert found == self.said, when
        assert {n: self.spool.result(n)["job"] for n in self.said} == {n: f"{n.partition('.')[0]}.yaml" for n in self.said}, when
        assert self.spool.outcomes() == sorted(f"{n}.result.json" for n in self.said), when
        assert posts(self.server) == self.bought, when
        assert [p.name for p in self.spool.path.iterdir() if p.name.startswith(".flowspool.")] == [], when


@pytest.mark.parametrize("calls", ["renameat", "linkat", "unlinkat", "fsync", "fdatasync", "pwrite64"])
def test_killed_while_outcomes_follow_their_jobs(spool, hostile, once, calls):
    circle = Circle(spool, hostile(), once).start()
    for nth in itertools.count(1, STRIDE if calls == "pwrite64" else max(1, STRIDE // 2)):
        circle.turn()
        ended, d = once(circle.server.url, config=QUICK, prefix=killed_at(calls, nth))
        again, _ = once(circle.server.url, config=QUICK, prefix=killed_at(calls, nth // 2 + 1))
        status, last = once(circle.server.url, config=QUICK)
        assert status == 0, last.log
        circle.check(f"killed at {calls} number {nth}, then at {nth // 2 + 1}: statuses {ended}, {again}")
        if ended == 0:
            break


@pytest.mark.parametrize("calls", ["renameat", "linkat", "unlinkat"])
def test_killed_and_the_names_change_again(spool, hostile, once, calls):
    """What was cut is put right before the next renames are looked at."""
    circle = Circle(spool, hostile(), once).start()
    for nth in itertools.count(1):
        circle.turn()
        ended, _ = once(circle.server.url, config=QUICK, prefix=killed_at(calls, nth))
        circle.turn()
        status, last = once(circle.server.url, config=QUICK)
        assert status == 0, last.log
        circle.check(f"killed at {calls} number {nth}: status {ended}")
        if ended == 0:
            break


@pytest.mark.parametrize("call", ["renameat", "linkat", "unlinkat"])
def test_killed_while_a_step_takes_long(spool, hostile, once, daemon, call):
    """The daemon is killed in the middle of a step that hangs, and the names are traded back meanwhile."""
    server = hostile()
    for name in ("a", "b"):
        spool.drop(f"{name}.yaml", inputs={"n": name})
    assert once(server.url, config=QUICK)[0] == 0
    said = {n: spool.result(n) for n in "ab"}

    def trade():
        for old, new in (("a.yaml", ".t"), ("b.yaml", "a.yaml"), (".t", "b.yaml")):
            (spool.path / old).rename(spool.path / new)

    trade()
    trace = spool.path.parent / "trace"
    d = daemon(server.url, config=QUICK, prefix=delayed_at(call, trace))
    try:
        wait_for(lambda: trace.exists() and f"{call}(" in trace.read_text(), "the step")
        trade()
        flowspool(spool, "status")
    finally:
        kill_traced(d)
    assert once(server.url, config=QUICK)[0] == 0
    assert {n: spool.result(n) for n in "ab"} == said
    assert posts(server) == 2


def renamed(spool, server, once, daemon, seconds=60):
    """a.yaml became b.yaml, and its result is about to: the daemon takes so long for that, and what the result says."""
    path = spool.drop("a.yaml")
    assert once(server.url, config=QUICK)[0] == 0
    said = spool.result("a")["result"]
    path.rename(spool.path / "b.yaml")
    slow = delayed_at("renameat", spool.path.parent / "trace", "exit", seconds)
    return daemon(server.url, config=QUICK, prefix=slow), said


def test_killed_after_a_step_whose_job_has_another_name_by_then(spool, hostile, once, daemon):
    """The outcome has the new name, but that is not recorded yet; the file was renamed again meanwhile."""
    server = hostile()
    d, said = renamed(spool, server, once, daemon)
    try:
        wait_for(lambda: spool.result("b"), "the result under the new name")
        (spool.path / "b.yaml").rename(spool.path / "c.yaml")
        spool.drop("later.yaml", workflow="wf_later")
        wait_for(lambda: "later.yaml" in flowspool(spool, "list", "--json"), "what came after that to be seen")
    finally:
        kill_traced(d)
    assert once(server.url, config=QUICK)[0] == 0
    assert spool.outcomes() == ["c.result.json", "later.result.json"]
    assert spool.result("c")["result"] == said and spool.result("c")["job"] == "c.yaml"
    assert posts(server, "wf_echo") == 1


def test_stopped_while_the_result_before_leaves_the_name(spool, hostile, once, daemon):
    """A reply that was paid for waits for the name of its outcome, and a drain for that."""
    server = hostile()
    d, said = renamed(spool, server, once, daemon, seconds=3)
    try:
        wait_for(lambda: spool.result("b"), "the result under the new name")
        spool.drop("a.yaml", inputs={"text": "another"})
        wait_for(lambda: posts(server) == 2, "the request")
    finally:
        signal_traced(d, signal.SIGTERM)
    assert d.wait() == 0, d.log
    assert spool.outcomes() == ["a.result.json", "b.result.json"], d.log
    assert spool.result("b")["result"] == said and spool.result("a")["result"] != said
