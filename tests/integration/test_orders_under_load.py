"""Orders while jobs run, in random sequences: each job ends as its last accepted order allows, and is bought once.

Seeds are fixed. What happens when still depends on the machine, so what is asserted holds whatever the interleaving:
the answer to each order says what it found, and from then on only that may follow.
"""

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import time

import pytest

from command_line import command, jobs, status
from conftest import wait_for

JOBS = 60
STEPS = 160
CONFIG = """
max_concurrency: 4
rate: {limit: 1000, window: 1s}  # the refusals here are faults, and mean no limit
retry:
  base: 5ms
  cap: 20ms
  max_attempts: 100
  on_ambiguous: hold
"""


class Line:
    """Orders straight to the socket: the answer by job, and no process to start."""

    def __init__(self, spool):
        self.state = spool.state
        self.socket = None

    def ask(self, **order):
        if self.socket is None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(30)
            directory = os.open(self.state, os.O_RDONLY | os.O_DIRECTORY)
            self.socket.connect(f"/proc/self/fd/{directory}/control")  # a socket's path is short
            os.close(directory)
            self.answers = self.socket.makefile("r")
        self.socket.sendall(json.dumps(order).encode() + b"\n")
        return json.loads(self.answers.readline())

    def order(self, kind, job, **more):
        """(changed, in_flight) or None when it was refused; what is refused for a moment is asked again."""
        end = time.monotonic() + 20
        while True:
            answer = self.ask(command=kind, jobs=[job], **more)
            assert answer["ok"], answer
            if not answer["refused"]:
                assert answer["changed"] + answer["in_flight"] == 1, answer
                return answer["changed"] == 1, answer["in_flight"] == 1
            assert answer["changed"] == answer["in_flight"] == 0 and answer["refused"][0]["why"], answer
            if not answer["refused"][0]["again"]:
                return None
            assert time.monotonic() < end, answer
            time.sleep(0.005)

    def close(self):
        if self.socket is not None:
            self.answers.close()
            self.socket.close()
            self.socket = None


class Job:
    """What has been accepted for one job, and what may follow from it."""

    def __init__(self, name, workflow):
        self.name, self.workflow = name, workflow
        self.id = None
        self.cancelled = False  # the last of cancel and retry
        self.may_have_result = True  # of a cancelled one: it was on its way, or had one
        self.forced = 0
        self.quiet = None  # no more posts than these until something accepted lets it go
        self.named_hold = False

    def accept_cancel(self, in_flight):
        self.may_have_result = in_flight or (self.forced > 0 and not self.cancelled)
        self.cancelled = True

    def accept_retry(self):
        self.cancelled = False
        self.quiet = None

    def allowed(self, crashed):
        ends = {"cancelled"} if self.cancelled else {"done"}
        if self.cancelled and self.may_have_result:
            ends.add("done")
        if crashed:
            ends.add("ambiguous")
        return ends


class Night:
    """One random sequence."""

    def __init__(self, seed, spool, server, start):
        self.random = random.Random(seed)
        self.spool, self.server, self.start = spool, server, start
        self.jobs = [Job(f"job-{i:02}.yaml", f"wf_{i:02}") for i in range(JOBS)]
        self.line = Line(spool)
        self.crashed = False
        self.accepted = {}

    def posts(self, job):
        return sum(posts for workflow, posts, _ in self.server.posts() if workflow == job.workflow)

    def begin(self):
        self.daemon = self.start()
        for job in self.jobs:
            self.spool.drop(job.name, workflow=job.workflow, inputs={"text": job.name})
        wait_for(lambda: len(self.ids()) == JOBS, "the jobs")
        for path, number in self.ids().items():
            next(j for j in self.jobs if j.name == path).id = number

    def ids(self):
        with contextlib.suppress(sqlite3.OperationalError):  # it is only just being made
            with contextlib.closing(sqlite3.connect(f"file:{self.spool.state}/state.db?mode=ro", uri=True)) as state:
                return {bytes(path).decode(): number for path, number in state.execute("SELECT path, id FROM jobs")}
        return {}

    def still_quiet(self, job):
        """A job that is held or cancelled was not sent since that was answered."""
        if job.quiet is not None:
            assert self.posts(job) <= job.quiet, f"{job.name} was sent although {'cancelled' if job.cancelled else 'held'}"

    def hush(self, job, in_flight):
        """A request that is out may not have arrived yet."""
        if job.quiet is None:
            job.quiet = self.posts(job) + in_flight

    # ---- the steps ----

    def cancel(self, job):
        if answer := self.line.order("cancel", job.id):
            job.accept_cancel(answer[1])
            self.hush(job, answer[1])
            return True

    def hold(self, job):
        if answer := self.line.order("hold", job.id):
            self.hush(job, answer[1])
            return True

    def release(self, job):
        self.still_quiet(job)
        if self.line.order("release", job.id):
            job.quiet = None
            return True

    def may_buy_again(self, job):
        return self.crashed and jobs(self.spool)[job.name]["code"] == "ambiguous"

    def retry(self, job):
        self.still_quiet(job)
        if self.may_buy_again(job):
            return False
        if self.line.order("retry", job.id, force=False):
            job.accept_retry()
            return True

    def force(self, job):
        self.still_quiet(job)
        if self.may_buy_again(job):
            return False
        if self.line.order("retry", job.id, force=True):
            job.accept_retry()
            job.forced += 1
            return True

    def rename(self, job):
        """NAME.yaml.hold and back."""
        path, held = self.spool.path / job.name, self.spool.path / (job.name + ".hold")
        (held.rename(path) if job.named_hold else path.rename(held))
        job.named_hold = not job.named_hold
        return True

    def pause(self, _):
        return self.line.ask(command="pause")["ok"]

    def resume(self, _):
        return self.line.ask(command="resume")["ok"]

    def pause_file(self, _):
        path = self.spool.path / "PAUSE"
        path.unlink() if path.exists() else path.touch()
        return True

    def crash(self):
        self.line.close()
        self.crashed = True
        self.daemon.kill()
        self.daemon = self.start()
        wait_for(lambda: status(self.spool)["daemon"] == "running", "the next daemon")

    def go(self, steps):
        kinds = [self.cancel] * 4 + [self.hold] * 4 + [self.release] * 4 + [self.retry] * 6 + [self.force, self.rename, self.rename] + [
            self.pause, self.resume, self.resume, self.pause_file, self.pause_file]
        for _ in range(steps):
            kind, job = self.random.choice(kinds), self.random.choice(self.jobs)
            if kind(job):
                self.accepted[kind.__name__] = self.accepted.get(kind.__name__, 0) + 1
            time.sleep(self.random.choice((0, 0, 0.002, 0.02)))

    # ---- the end ----

    def end(self):
        for job in self.jobs:
            self.still_quiet(job)
            if job.named_hold:
                self.rename(job)
        with contextlib.suppress(FileNotFoundError):
            (self.spool.path / "PAUSE").unlink()
        self.line.ask(command="resume")
        self.line.close()
        done = command("--spool", self.spool.path, "release", "--all")
        assert done.returncode == 0, done
        wait_for(self.all_ended, "every job to end", patience=90)

    def all_ended(self):
        """Nothing waits or is on its way, nor does a retry that was accepted still wait for its file to be read."""
        with contextlib.closing(sqlite3.connect(f"file:{self.spool.state}/state.db?mode=ro", uri=True)) as state:
            return state.execute("SELECT count(*) FROM jobs WHERE state < 3 OR (blocked & 60) <> 0").fetchone() == (0,)

    def outcome(self, job):
        stem = job.name.removesuffix(".yaml")
        result, error = self.spool.result(stem), self.spool.error(stem)
        assert (result is None) != (error is None), f"{job.name} has {'both outcomes' if result else 'no outcome'}"
        return "done" if result else error["error"]["code"]

    def judge(self):
        charged = {}
        for workflow, _, runs in self.server.posts():
            charged[workflow] = charged.get(workflow, 0) + runs
        for job in self.jobs:
            ended = self.outcome(job)
            assert ended in job.allowed(self.crashed), (job.name, ended, vars(job))
            assert charged.get(job.workflow, 0) <= 1 + job.forced, (job.name, charged[job.workflow], vars(job))
            if ended == "done":
                assert charged[job.workflow] >= 1, job.name
            if job.cancelled:
                self.still_quiet(job)
        listed = jobs(self.spool)
        assert {j.name: self.outcome(j) for j in self.jobs} == {
            name: j["code"] or j["state"] for name, j in listed.items()}, "the state says what the files say"
        assert not list(self.spool.path.glob(".flowspool.*"))


def night(seed, spool, sandbox, daemon):
    server = sandbox("--limiter", "none", "--latency", "uniform:20ms,120ms", "--fault", "500:15%", "--fault", "429:10%", "--seed", seed)
    return Night(seed, spool, server, lambda: daemon(server.url, config=CONFIG))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_job_ends_as_its_last_order_allows(spool, sandbox, daemon, seed):
    n = night(seed, spool, sandbox, daemon)
    n.begin()
    n.go(STEPS)
    n.end()
    n.judge()
    assert n.daemon.stop() == 0
    assert set(n.accepted) >= {"cancel", "hold", "release", "retry"}, n.accepted


@pytest.mark.parametrize("seed", [4, 5])
def test_and_so_it_does_when_the_daemon_is_killed_in_between(spool, sandbox, daemon, seed):
    n = night(seed, spool, sandbox, daemon)
    n.begin()
    for _ in range(3):
        n.go(STEPS // 4)
        n.crash()
    n.go(STEPS // 4)
    n.end()
    n.judge()
    assert n.daemon.stop() == 0


@pytest.mark.parametrize("seed", [7])
def test_the_folder_alone(spool, sandbox, daemon, seed):
    """Who has no shell there: removing cancels, .hold holds, PAUSE stops."""
    n = night(seed, spool, sandbox, daemon)
    n.begin()
    removed, held = set(), set()
    steps = n.jobs[:]
    n.random.shuffle(steps)
    for i, job in enumerate(steps):
        if i % 3 == 0:
            (spool.path / job.name).unlink()
            removed.add(job)
        elif i % 3 == 1:
            n.rename(job)
            held.add(job)
        if i % 8 == 0:
            n.pause_file(None)
        time.sleep(n.random.choice((0, 0.01, 0.03)))
    with contextlib.suppress(FileNotFoundError):
        (spool.path / "PAUSE").unlink()

    def calm():
        about = status(spool)["jobs"]
        return about["waiting"] + about["later"] + about["in_flight"] == 0

    wait_for(calm, "what may run to end")
    states = {name: j["state"] for name, j in jobs(spool).items()}
    before = {job: n.posts(job) for job in n.jobs}
    for job in n.jobs:
        allowed = {"done", "missing"} if job in removed else {"done", "held"} if job in held else {"done"}
        assert states[job.name] in allowed, (job.name, states[job.name])
        if states[job.name] == "done":
            assert n.outcome(job) == "done"
        else:
            stem = job.name.removesuffix(".yaml")
            assert spool.result(stem) is None and spool.error(stem) is None
    for job in held:
        n.rename(job)
    wait_for(lambda: status(spool)["jobs"]["held"] == 0 and calm(), "the held ones to run")
    for job in n.jobs:
        if job in removed:
            assert n.posts(job) == before[job], "nothing is sent for a file that is gone"
        else:
            assert n.outcome(job) == "done"
    charged = [runs for _, _, runs in n.server.posts()]
    assert max(charged) == 1, "nothing is bought twice"
    assert n.daemon.stop() == 0


def test_orders_that_are_answered_last_are_what_a_crash_leaves(spool, sandbox, daemon):
    """kill -9 between the answer and the next turn of the loop, many times over."""
    n = night(6, spool, sandbox, daemon)
    n.begin()
    n.pause(None)
    wait_for(lambda: (a := status(spool))["live"] and a["live"]["in_flight"] + a["live"]["counts"]["in_flight"] == 0, "the pause")
    waiting = [j for j in n.jobs if jobs(spool)[j.name]["state"] in ("waiting", "later")][:12]
    assert len(waiting) == 12
    for job, kind in zip(waiting, ["cancel", "hold", "cancel", "hold"] * 3):
        assert n.line.order(kind, job.id) == (True, False)
        n.daemon.send(signal.SIGKILL)
        assert n.daemon.wait() == -signal.SIGKILL
        n.line.close()
        n.daemon = n.start()
        wait_for(lambda: status(spool)["daemon"] == "running", "the next daemon")
        if kind == "cancel":
            job.accept_cancel(False)
            assert spool.outcome(job.name.removesuffix(".yaml"))["error"]["code"] == "cancelled"
        else:
            assert jobs(spool)[job.name]["state"] == "held"
    n.crashed = False
    n.end()
    n.judge()
