"""Outcomes that cannot follow their jobs yet: something is in the way. Nothing is lost, and it goes on by itself."""

import json

from conftest import flowspool, kept, wait_for
from hostile_control import posts

QUICK = "rescan: 200ms\nretry: {base: 10ms, cap: 50ms}\n"


def jobs(spool):
    """The names that flowspool list knows."""
    return {json.loads(line)["job"] for line in flowspool(spool, "list", "--json", check=False).stdout.splitlines()}


def blocked(spool, d):
    """a.yaml became b.yaml, but a directory keeps its result from going there. What that says."""
    path = spool.drop("a.yaml")
    said = spool.outcome("a")["result"]
    (spool.path / "b.result.json").mkdir()
    path.rename(spool.path / "b.yaml")
    d.logged("a directory is in the way")
    return said


def test_a_directory_in_the_way_is_waited_for(spool, hostile, daemon):
    server = hostile()
    d = daemon(server.url, config=QUICK)
    said = blocked(spool, d)
    assert spool.result("a")["result"] == said
    (spool.path / "b.result.json").rmdir()
    wait_for(lambda: (spool.path / "b.result.json").is_file() and spool.result("b")["result"] == said, "the result under the new name")
    wait_for(lambda: spool.outcomes() == ["b.result.json"], "the old name to be free")
    assert posts(server) == 1 and d.log.count("a directory is in the way") == 1


def test_a_directory_in_the_way_is_waited_for_after_a_restart(spool, hostile, daemon):
    server = hostile()
    d = daemon(server.url, config=QUICK)
    said = blocked(spool, d)
    assert d.stop() == 0
    (spool.path / "b.result.json").rmdir()
    daemon(server.url, config=QUICK)
    wait_for(lambda: spool.result("b"), "the result under the new name")
    assert spool.result("b")["result"] == said and posts(server) == 1


def test_once_waits_for_what_is_in_the_way_and_gives_up(spool, hostile, once):
    server = hostile()
    path = spool.drop("a.yaml")
    assert once(server.url)[0] == 0
    (spool.path / "b.result.json").mkdir()
    path.rename(spool.path / "b.yaml")
    status, d = once(server.url, config="once_patience: 6s\n")
    assert status == 6, d.log
    assert spool.result("a")["success"]
    (spool.path / "b.result.json").rmdir()
    assert once(server.url)[0] == 0
    assert spool.outcomes() == ["b.result.json"] and posts(server) == 1


def test_a_new_job_at_a_name_whose_result_cannot_leave_yet(spool, hostile, daemon):
    """a.yaml became b.yaml, but a directory keeps its result from going there; a new a.yaml is done meanwhile."""
    server = hostile()
    d = daemon(server.url, config=QUICK)
    said = blocked(spool, d)
    spool.drop("a.yaml", inputs={"n": "2"})
    wait_for(lambda: spool.result("a") and spool.result("a")["result"] != said, "the new result")
    assert [json.loads((spool.state / "superseded" / k).read_text())["result"] for k in kept(spool)] == [said]
    (spool.path / "b.result.json").rmdir()
    wait_for(lambda: (spool.path / "b.result.json").is_file() and spool.result("b")["result"] == said, "the first result")
    wait_for(lambda: kept(spool) == [], "nothing to be kept aside")
    assert posts(server) == 2


def test_a_collected_result_takes_no_name(spool, hostile, daemon):
    """b.yaml became c.yaml, but its result was collected; that of c.yaml cannot go to d yet. When it can, no copy stays."""
    server = hostile()
    d = daemon(server.url, config=QUICK)
    for name in ("b", "c"):
        spool.drop(f"{name}.yaml", inputs={"n": name})
        spool.outcome(name)
    said = spool.result("c")["result"]
    (spool.path / "b.result.json").unlink()
    (spool.path / "d.result.json").mkdir()
    (spool.path / "c.yaml").rename(spool.path / "d.yaml")
    (spool.path / "b.yaml").rename(spool.path / "c.yaml")
    d.logged("a directory is in the way")
    wait_for(lambda: jobs(spool) == {"c.yaml", "d.yaml"}, "the new names")
    (spool.path / "d.result.json").rmdir()
    wait_for(lambda: (spool.path / "d.result.json").is_file() and spool.result("d")["result"] == said, "the result of what was c")
    wait_for(lambda: spool.outcomes() == ["d.result.json"] and kept(spool) == [], "no other outcome")
    assert posts(server) == 2
