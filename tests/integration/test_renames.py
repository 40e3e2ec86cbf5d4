"""Files that trade names, one after the other or all at once: each result goes where its job goes, and none is bought again.

What is done to the files is done while the daemon runs, and while it does not.
"""

import json
import shutil

import pytest

from conftest import flowspool, job_text, kept, wait_for
from hostile_control import posts, release, script

QUICK = "rescan: 200ms\nretry: {base: 10ms, cap: 50ms}\n"


def jobs(spool):
    """What flowspool list says, by name."""
    return {j["job"]: j for j in map(json.loads, flowspool(spool, "list", "--json", check=False).stdout.splitlines())}


def results(spool, stems):
    """{stem: (job, result)} of those that have one."""
    found = {stem: spool.result(stem) for stem in stems}
    return {stem: (r["job"], r["result"]) for stem, r in found.items() if r}


class Numbered:
    """Jobs with a result each, and the daemon, running or not while their files are renamed."""

    def __init__(self, spool, server, daemon, names, running):
        self.spool, self.server, self.daemon, self.running = spool, server, daemon, running
        self.d = daemon(server.url, config=QUICK)
        for name in names:
            spool.drop(f"{name}.yaml", inputs={"n": name})
        wait_for(lambda: len(spool.outcomes()) == len(names), "a result of each")
        self.bought = posts(server)
        self.said = {name: spool.result(name)["result"] for name in names}

    def rename(self, *pairs):
        """In this order; a name that starts with a dot is no job's."""
        if not self.running:
            assert self.d.stop() == 0
        for old, new in pairs:
            name = lambda n: n if n.startswith(".") else f"{n}.yaml"
            (self.spool.path / name(old)).rename(self.spool.path / name(new))
        if not self.running:
            self.d = self.daemon(self.server.url, config=QUICK)

    def expect(self, **now):
        """now: {new name: old name}. Each result is there, under the new name, and nothing was bought."""
        want = {new: (f"{new}.yaml", self.said[old]) for new, old in now.items()}
        wait_for(lambda: results(self.spool, want) == want, "each result under its job's name")
        wait_for(lambda: self.spool.outcomes() == sorted(f"{n}.result.json" for n in want), "no other outcome")
        wait_for(lambda: kept(self.spool) == [], "nothing to be kept aside")
        listed = lambda: {n.removesuffix(".yaml"): j["state"] for n, j in jobs(self.spool).items()}
        wait_for(lambda: listed() == dict.fromkeys(want, "done"), "each job to be done")
        self.spool.drop("marker.yaml", inputs={"n": "marker"})
        self.spool.outcome("marker")
        assert posts(self.server) == self.bought + 1
        assert self.d.stop() == 0, self.d.log


@pytest.fixture(params=["running", "stopped"])
def numbered(request, spool, hostile, daemon):
    def start(names):
        return Numbered(spool, hostile(), daemon, names, request.param == "running")

    return start


# --- jobs with results ---


def test_a_hundred_jobs_are_renumbered(numbered):
    n = numbered([f"{i:03}" for i in range(100)])
    n.rename(*[(f"{i:03}", f"{i + 1:03}") for i in reversed(range(100))])
    n.expect(**{f"{i + 1:03}": f"{i:03}" for i in range(100)})


def test_renumbered_downwards(numbered):
    n = numbered([f"{i:03}" for i in range(1, 30)])
    n.rename(*[(f"{i:03}", f"{i - 1:03}") for i in range(1, 30)])
    n.expect(**{f"{i - 1:03}": f"{i:03}" for i in range(1, 30)})


def test_two_files_trade_names(numbered):
    n = numbered(["a", "b"])
    n.rename(("a", ".t"), ("b", "a"), (".t", "b"))
    n.expect(a="b", b="a")


def test_three_files_rotate(numbered):
    n = numbered(["a", "b", "c"])
    n.rename(("a", ".t"), ("b", "a"), ("c", "b"), (".t", "c"))
    n.expect(a="b", b="c", c="a")


def test_many_pairs_trade_names(numbered):
    names = [f"{i:02}" for i in range(40)]
    n = numbered(names)
    n.rename(*[step for a, b in zip(names[::2], names[1::2]) for step in ((a, ".t"), (b, a), (".t", b))])
    n.expect(**{a: b for a, b in zip(names[::2], names[1::2])}, **{b: a for a, b in zip(names[::2], names[1::2])})


def test_new_files_take_names_that_became_free(numbered, spool):
    """Files are renamed and others written under their old names, in whatever order they are then found: only the new ones
    are bought."""
    names = [f"{i:02}" for i in range(20)]
    n = numbered(names)
    if not n.running:
        assert n.d.stop() == 0
    for name in names:
        (spool.path / f"{name}.yaml").rename(spool.path / f"{name}-old.yaml")
        spool.drop(f"{name}.yaml", inputs={"n": f"new {name}"})
    if not n.running:
        n.d = n.daemon(n.server.url, config=QUICK)
    want = {f"{name}-old": (f"{name}-old.yaml", n.said[name]) for name in names}
    wait_for(lambda: results(spool, want) == want, "the results of the renamed")
    wait_for(lambda: all(r and r["result"] not in n.said.values() for r in map(spool.result, names)), "the results of the new ones")
    wait_for(lambda: kept(spool) == [], "nothing to be kept aside")
    assert posts(n.server) == n.bought + len(names)


def test_a_name_with_the_other_ending_is_taken_over(numbered, spool):
    """a.yaml becomes b.yaml, and c.yaml becomes a.yml: the outcome of a.yaml had the name a, and goes along."""
    n = numbered(["a", "c"])
    if not n.running:
        assert n.d.stop() == 0
    (spool.path / "a.yaml").rename(spool.path / "b.yaml")
    (spool.path / "c.yaml").rename(spool.path / "a.yml")
    if not n.running:
        n.d = n.daemon(n.server.url, config=QUICK)
    want = {"b": ("b.yaml", n.said["a"]), "a": ("a.yml", n.said["c"])}
    wait_for(lambda: results(spool, want) == want, "both results")
    wait_for(lambda: spool.outcomes() == ["a.result.json", "b.result.json"], "no other outcome")
    wait_for(lambda: kept(spool) == [], "nothing to be kept aside")
    assert posts(n.server) == n.bought


def test_renamed_twice_in_a_row(numbered):
    n = numbered(["a", "b", "c"])
    n.rename(("a", "d"), ("b", "a"), ("d", "e"), ("a", "d"))
    n.expect(e="a", d="b", c="c")


def test_renamed_over_another_job(numbered, spool):
    """The other job's file is gone for good: its result is kept, and named for as long as the job is known."""
    n = numbered(["a", "b"])
    n.rename(("a", "b"))
    want = {"b": ("b.yaml", n.said["a"])}
    wait_for(lambda: results(spool, want) == want, "the result of a under the name b")
    wait_for(lambda: spool.outcomes() == ["b.result.json"], "no other outcome")
    assert [json.loads((spool.state / "superseded" / k).read_text())["result"] for k in kept(spool)] == [n.said["b"]]
    assert posts(n.server) == n.bought


def test_collected_results_stay_collected(numbered, spool):
    n = numbered(["a", "b", "c"])
    (spool.path / "b.result.json").unlink()
    n.rename(("c", "d"), ("b", "c"), ("a", "b"))
    want = {"b": ("b.yaml", n.said["a"]), "d": ("d.yaml", n.said["c"])}
    wait_for(lambda: results(spool, ["b", "c", "d"]) == want, "the results that are there")
    wait_for(lambda: set(jobs(spool)) == {"b.yaml", "c.yaml", "d.yaml"}, "the new names")
    spool.drop("marker.yaml", inputs={"n": "marker"})
    spool.outcome("marker")
    assert posts(n.server) == n.bought + 1
    wait_for(lambda: kept(spool) == [], "nothing to be kept aside")
    assert results(spool, ["b", "c", "d"]) == want


def test_failed_jobs_trade_names(spool, hostile, daemon):
    """Errors and what was kept of their replies go along too."""
    server = hostile()
    script(server, wf_a="status:422", wf_b="not-json")
    d = daemon(server.url, config=QUICK)
    for name in ("a", "b"):
        spool.drop(f"{name}.yaml", workflow=f"wf_{name}")
        spool.outcome(name)
    body = (spool.path / "b.error.body").read_bytes()
    assert d.stop() == 0
    for old, new in (("a.yaml", ".t"), ("b.yaml", "a.yaml"), (".t", "b.yaml")):
        (spool.path / old).rename(spool.path / new)
    daemon(server.url, config=QUICK)
    codes = lambda: [(spool.error(n) or {"error": {"code": None}})["error"]["code"] for n in "ab"]
    wait_for(lambda: codes() == ["invalid_response", "rejected"], "each error under its job's name")
    wait_for(lambda: not (spool.path / "b.error.body").exists(), "the body to leave its old name")
    assert (spool.path / "a.error.body").read_bytes() == body
    assert posts(server) == 2
    wait_for(lambda: kept(spool) == [], "nothing to be kept aside")


# --- jobs that wait, or are on their way ---


@pytest.mark.parametrize("running", [True, False])
def test_waiting_jobs_are_renumbered(spool, hostile, daemon, running):
    server = hostile()
    (spool.path / "PAUSE").touch()
    d = daemon(server.url, config=QUICK)
    for i in range(30):
        spool.drop(f"{i:02}.yaml", inputs={"n": str(i)})
    wait_for(lambda: len(jobs(spool)) == 30, "the jobs")
    queued = {i: jobs(spool)[f"{i:02}.yaml"]["queued_at"] for i in range(30)}
    if not running:
        assert d.stop() == 0
    for i in reversed(range(30)):
        (spool.path / f"{i:02}.yaml").rename(spool.path / f"{i + 1:02}.yaml")
    if not running:
        d = daemon(server.url, config=QUICK)
    ages = lambda: {i: j["queued_at"] for n, j in jobs(spool).items() if j["state"] == "waiting" for i in [int(n[:2]) - 1]}
    wait_for(lambda: ages() == queued, "each job under its new name, with its age")
    (spool.path / "PAUSE").unlink()
    wait_for(lambda: len(spool.outcomes()) == 30, "a result of each")
    assert posts(server) == 30
    assert all(spool.result(f"{i:02}")["job"] == f"{i:02}.yaml" for i in range(1, 31))


def test_two_in_flight_trade_names(spool, hostile, daemon):
    server = hostile()
    script(server, all="hold")
    daemon(server.url, config=QUICK)
    for name in ("a", "b"):
        spool.drop(f"{name}.yaml", inputs={"n": name})
    wait_for(lambda: posts(server) == 2, "both requests")
    digest = {n: jobs(spool)[f"{n}.yaml"]["request_sha256"] for n in "ab"}
    for old, new in (("a.yaml", ".t"), ("b.yaml", "a.yaml"), (".t", "b.yaml")):
        (spool.path / old).rename(spool.path / new)
    now = lambda: {n.removesuffix(".yaml"): j["request_sha256"] for n, j in jobs(spool).items()}
    wait_for(lambda: now() == {"a": digest["b"], "b": digest["a"]}, "the new names")
    script(server, all="ok")
    release(server)
    wait_for(lambda: len(spool.outcomes()) == 2, "both results")
    assert {n: spool.result(n)["request_sha256"] for n in "ab"} == {"a": digest["b"], "b": digest["a"]}
    wait_for(lambda: kept(spool) == [], "nothing to be kept aside")
    assert posts(server) == 2


@pytest.mark.parametrize("killed", [False, True])
def test_renamed_onto_a_job_in_flight(spool, hostile, once, daemon, killed):
    """Both are in flight: the file that has the name now gets it, the other reply is kept, also when the daemon dies between
    the replies and their outcomes. Nothing is refused."""
    server = hostile()
    script(server, all="hold")
    hold = QUICK.replace("retry: {", "retry: {on_ambiguous: hold, ")
    d = daemon(server.url, config=hold)
    for name in ("a", "b"):
        spool.drop(f"{name}.yaml", inputs={"n": name})
    wait_for(lambda: posts(server) == 2, "both requests")
    digest = jobs(spool)["a.yaml"]["request_sha256"]
    (spool.path / "a.yaml").rename(spool.path / "b.yaml")
    wait_for(lambda: {n: j["request_sha256"] for n, j in jobs(spool).items()} == {"b.yaml": digest}, "the new owner of the name")
    if killed:
        d.kill()
        status, d = once(server.url, config=hold)
        assert status == 1, d.log
        assert spool.error("b")["error"]["code"] == "ambiguous" and spool.error("b")["request_sha256"] == digest
        assert len(kept(spool)) == 1
    else:
        script(server, all="ok")
        release(server)
        assert spool.outcome("b")["request_sha256"] == digest
        wait_for(lambda: len(kept(spool)) == 1, "the other's result")
    assert spool.outcomes() == [f"b.{'error' if killed else 'result'}.json"]
    assert posts(server) == 2
    assert "refused" not in d.log


def test_once_does_not_fail_for_names_that_are_traded(spool, hostile, once):
    server = hostile()
    for i in range(30):
        spool.drop(f"{i:02}.yaml", inputs={"n": str(i)})
    assert once(server.url)[0] == 0
    for i in reversed(range(30)):
        (spool.path / f"{i:02}.yaml").rename(spool.path / f"{i + 1:02}.yaml")
    status, d = once(server.url)
    assert status == 0, d.log
    assert posts(server) == 30
    assert spool.outcomes() == [f"{i:02}.result.json" for i in range(1, 31)], "all in place when it ends"
    assert d.ended == (0, 0) and kept(spool) == [], d.log


def test_a_lost_row_is_not_needed(spool, hostile, daemon):
    """The state is lost after a renumbering: the results lie beside their jobs, so nothing is bought."""
    server = hostile()
    d = daemon(server.url, config=QUICK)
    for i in range(10):
        spool.drop(f"{i}.yaml", inputs={"n": str(i)})
    wait_for(lambda: len(spool.outcomes()) == 10, "a result of each")
    want = {str(i + 1): (f"{i + 1}.yaml", spool.result(str(i))["result"]) for i in range(10)}
    for i in reversed(range(10)):
        (spool.path / f"{i}.yaml").rename(spool.path / f"{i + 1}.yaml")
    wait_for(lambda: results(spool, want) == want, "the new names")
    assert d.stop() == 0
    shutil.rmtree(spool.state)
    daemon(server.url, config=QUICK)
    spool.drop("marker.yaml", text=job_text(inputs={"n": "marker"}))
    spool.outcome("marker")
    assert posts(server) == 11
