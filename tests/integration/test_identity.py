"""What is the same job: touches, rewrites, renames, removals, supersession, holds by name, lost state."""

import collections
import json
import os
import shutil
import time

import pytest
from conftest import flowspool, gates, job_text, stays, wait_for
from hostile_control import posts, release, script, stats

QUICK = "rescan: 100ms\nretry: {base: 10ms, cap: 50ms}\n"


def again(spool, name, text):
    """Writes a file anew in the recommended way."""
    aside = spool.path / f".{name}.again"
    aside.write_text(text)
    aside.rename(spool.path / name)


def looked_at(spool, server, before):
    """How many requests there were beyond `before`, once everything in the spool was looked at: two markers that came later are
    done, one after the other. Like what may have been written in place before them, they have to settle, and between them lies
    more than a rescan."""
    for _ in range(2):
        name = f"marker{time.monotonic_ns()}"
        (spool.path / f"{name}.yaml").write_text(job_text("wf_marker", {"n": name}))
        spool.outcome(name)
    return posts(server) - posts(server, "wf_marker") - before


def counts(spool):
    """How many jobs are in which state; nothing yet, none."""
    return collections.Counter(json.loads(flowspool(spool, "status", "--json"))["jobs"])


def waiting(spool):
    return counts(spool)["waiting"]


def job(spool, name):
    done = flowspool(spool, "list", "--json", name, check=False)
    return json.loads(done.stdout) if done.stdout.strip() else None


# --- done jobs ---

TOUCHES = {
    "touch": lambda p: p.touch(),
    "old time": lambda p: os.utime(p, (1, 1)),
    "chmod": lambda p: p.chmod(0o600),
    "same content": lambda p: p.write_text(p.read_text()),
    "comment": lambda p: p.write_text("# why\n" + p.read_text()),
    "line ends": lambda p: p.write_bytes(p.read_bytes().replace(b"\n", b"\r\n")),
    "priority": lambda p: p.write_text("priority: 7\nmax_attempts: 2\ninputs_as: typed\n" + p.read_text()),
}


@pytest.mark.parametrize("how", TOUCHES)
def test_a_result_is_not_bought_again(spool, hostile, daemon, how):
    server = hostile()
    d = daemon(server.url, config=QUICK)
    path = spool.drop("a.yaml")
    spool.outcome("a")
    TOUCHES[how](path)
    if how != "chmod":
        d.logged("a.yaml: already done: same request, not sent again")
    assert looked_at(spool, server, 1) == 0
    assert spool.result("a")["attempts"] == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_a_result_that_was_collected_is_not_bought_again(spool, hostile, daemon, once, restarted):
    server = hostile()
    d = daemon(server.url, config=QUICK)
    spool.drop("a.yaml")
    spool.outcome("a")
    (spool.path / "a.result.json").unlink()
    if restarted:
        assert d.stop() == 0
        d = daemon(server.url, config=QUICK)
    (spool.path / "a.yaml").touch()
    assert looked_at(spool, server, 1) == 0
    assert spool.result("a") is None
    flowspool(spool, "retry", "--force", "a.yaml")
    assert spool.outcome("a")["success"]


@pytest.mark.parametrize("step,code,runs_again", [
    ("status:422", "rejected", True), ("status:404", "workflow_not_found", True), ("text:504", "ambiguous", False),
    ("not-json", "invalid_response", False)])
@pytest.mark.parametrize("how", ["touch", "same content", "chmod"])
def test_a_failed_job_whose_file_is_written_again(spool, hostile, daemon, step, code, runs_again, how):
    server = hostile()
    script(server, wf_a=step)
    d = daemon(server.url, config="rescan: 100ms\nretry: {on_ambiguous: hold}\n")
    path = spool.drop("a.yaml", workflow="wf_a")
    assert spool.outcome("a")["error"]["code"] == code
    script(server, all="ok")
    if code == "workflow_not_found":  # remembered for a minute; the operator says that it may exist now
        flowspool(spool, "resume")
    TOUCHES[how](path)
    if runs_again and how != "chmod":
        wait_for(lambda: spool.result("a"), "the result of the second run")
        assert posts(server) == 2
        return
    if how != "chmod":
        d.logged("only flowspool retry sends it again")
    assert looked_at(spool, server, 1) == 0
    assert spool.error("a")["error"]["code"] == code
    flowspool(spool, "retry", "a.yaml")
    wait_for(lambda: spool.result("a"), "the result after flowspool retry")


# --- other content ---


def test_other_content_is_a_new_job(spool, hostile, daemon):
    server = hostile()
    daemon(server.url, config=QUICK)
    spool.drop("a.yaml", inputs={"n": "1"})
    first = spool.outcome("a")
    again(spool, "a.yaml", job_text(inputs={"n": "2"}))
    wait_for(lambda: spool.result("a") and spool.result("a")["request_sha256"] != first["request_sha256"], "the new result")
    kept = list((spool.state / "superseded").iterdir())
    assert [json.loads(p.read_text())["request_sha256"] for p in kept] == [first["request_sha256"]]
    assert posts(server) == 2


def test_an_identity_that_comes_back_is_restored(spool, hostile, daemon):
    server = hostile()
    daemon(server.url, config=QUICK)
    spool.drop("a.yaml", inputs={"n": "1"})
    first = spool.outcome("a")
    again(spool, "a.yaml", job_text(inputs={"n": "2"}))
    wait_for(lambda: spool.result("a") and spool.result("a")["request_sha256"] != first["request_sha256"], "the new result")
    again(spool, "a.yaml", job_text(inputs={"n": "1"}))
    wait_for(lambda: spool.result("a") and spool.result("a")["request_sha256"] == first["request_sha256"], "the first result")
    assert posts(server) == 2


def test_run_makes_a_new_job(spool, hostile, daemon):
    server = hostile()
    daemon(server.url, config=QUICK)
    spool.drop("a.yaml", run="1")
    spool.outcome("a")
    again(spool, "a.yaml", job_text(run="2"))
    wait_for(lambda: posts(server) == 2, "the second run")
    assert list(stats(server)["whole"]["wf_echo"].values()) == [2], "run is not sent"


def test_changed_in_flight(spool, hostile, daemon):
    """The running attempt is finished and kept as superseded, then the new one runs."""
    server = hostile()
    script(server, all="hold")
    daemon(server.url, config=QUICK)
    spool.drop("a.yaml", inputs={"n": "1"})
    wait_for(lambda: posts(server) == 1, "the first")
    again(spool, "a.yaml", job_text(inputs={"n": "2"}))
    wait_for(lambda: counts(spool)["waiting"] == 1, "the second to be known")
    stays(lambda: posts(server) == 1, 0.3)
    script(server, all="ok")
    release(server)
    assert spool.outcome("a")["success"]
    wait_for(lambda: posts(server) == 2, "the second")
    kept = wait_for(lambda: [p for p in (spool.state / "superseded").iterdir() if p.name.endswith(".json")], "the first's result")
    assert json.loads(kept[0].read_text())["request_sha256"] != spool.result("a")["request_sha256"]


def test_unchanged_documents_keep_their_results(spool, hostile, daemon):
    server = hostile()
    daemon(server.url, config=QUICK)
    documents = [job_text(inputs={"n": str(n)}) for n in range(3)]
    spool.drop("m.yaml", "---\n".join(documents))
    wait_for(lambda: len(spool.outcomes()) == 3, "three results")
    first, third = (spool.result(f"m.{n}")["request_sha256"] for n in (1, 3))
    documents[1] = job_text(inputs={"n": "other"})
    again(spool, "m.yaml", "---\n".join(documents))
    wait_for(lambda: posts(server) == 4, "the changed one")
    wait_for(lambda: (spool.state / "superseded").exists(), "the old one, kept")
    assert looked_at(spool, server, 4) == 0
    again(spool, "m.yaml", "---\n".join(reversed(documents)))
    request_of = lambda stem: (spool.result(stem) or {}).get("request_sha256")
    wait_for(lambda: (request_of("m.1"), request_of("m.3")) == (third, first), "the new order")
    assert (spool.result("m.1")["document"], spool.result("m.3")["document"]) == (1, 3)
    assert looked_at(spool, server, 4) == 0


def test_edits_apply_in_place_while_it_waits(spool, hostile, daemon):
    server = hostile()
    (spool.path / "PAUSE").touch()
    daemon(server.url, config=QUICK)
    spool.drop("a.yaml", inputs={"n": "1"})
    wait_for(lambda: job(spool, "a.yaml"), "the job")
    queued = job(spool, "a.yaml")["queued_at"]
    again(spool, "a.yaml", "priority: 9\n" + job_text(inputs={"n": "1"}))
    wait_for(lambda: job(spool, "a.yaml")["priority"] == 9, "the new priority")
    assert job(spool, "a.yaml")["queued_at"] == queued
    assert posts(server) == 0
    (spool.path / "PAUSE").unlink()
    spool.outcome("a")


# --- removal ---


def test_removed_while_it_waits(spool, hostile, daemon):
    server = hostile()
    (spool.path / "PAUSE").touch()
    daemon(server.url, config=QUICK + "forget_after: 3s\n")
    path = spool.drop("a.yaml")
    wait_for(lambda: job(spool, "a.yaml"), "the job")
    path.unlink()
    wait_for(lambda: (job(spool, "a.yaml") or {}).get("state") == "missing", "it to be missed")
    wait_for(lambda: job(spool, "a.yaml") is None, "it to be forgotten")
    (spool.path / "PAUSE").unlink()
    assert looked_at(spool, server, 0) == 0
    assert not [n for n in spool.outcomes() if n.startswith("a.")]


def test_removed_and_back(spool, hostile, daemon):
    server = hostile()
    (spool.path / "PAUSE").touch()
    daemon(server.url, config=QUICK)
    path = spool.drop("a.yaml")
    wait_for(lambda: job(spool, "a.yaml"), "the job")
    queued = job(spool, "a.yaml")["queued_at"]
    path.rename(spool.path.parent / "away.yaml")
    wait_for(lambda: job(spool, "a.yaml")["state"] == "missing", "it to be missed")
    (spool.path.parent / "away.yaml").rename(path)
    wait_for(lambda: job(spool, "a.yaml")["state"] == "waiting", "it to be back")
    assert job(spool, "a.yaml")["queued_at"] == queued
    (spool.path / "PAUSE").unlink()
    assert spool.outcome("a")["success"] and posts(server) == 1


def test_removed_in_flight(spool, hostile, daemon):
    server = hostile()
    script(server, all="hold")
    daemon(server.url, "--max-concurrency", "1", config=QUICK)
    path = spool.drop("a.yaml")
    wait_for(lambda: posts(server) == 1, "the request")
    other = spool.drop("b.yaml", inputs={"n": "2"})
    wait_for(lambda: counts(spool)["waiting"] == 1, "one that waits")
    path.unlink()
    other.unlink()
    wait_for(lambda: counts(spool)["missing"] == 1, "the second to be missed, so the first was too")
    assert stats(server)["in_flight"] == 1 and spool.outcomes() == []
    release(server)
    assert spool.outcome("a")["success"]
    assert posts(server) == 1


@pytest.mark.parametrize("beside,runs", [("result", False), ("ambiguous", False), ("rejected", True), (None, True)])
def test_dropped_again_later(spool, hostile, daemon, beside, runs):
    server = hostile()
    script(server, all={None: "ok", "result": "ok", "ambiguous": "text:504", "rejected": "status:422"}[beside])
    daemon(server.url, config="rescan: 100ms\nforget_after: 100ms\nretry: {on_ambiguous: hold}\n")
    path = spool.drop("a.yaml")
    spool.outcome("a")
    script(server, all="ok")
    path.unlink()
    wait_for(lambda: job(spool, "a.yaml") is None, "it to be forgotten")
    if beside is None:
        (spool.path / "a.result.json").unlink()
    spool.drop("a.yaml")
    assert looked_at(spool, server, 1) == (1 if runs else 0)


def test_many_vanish_at_once(spool, hostile, daemon):
    server = hostile()
    (spool.path / "PAUSE").touch()
    daemon(server.url, config=QUICK)
    for n in range(30):
        spool.drop(f"j{n:02}.yaml", inputs={"n": str(n)})
    wait_for(lambda: waiting(spool) == 30, "the jobs")
    away = spool.path.parent / "away"
    away.mkdir()
    for n in range(20):
        (spool.path / f"j{n:02}.yaml").rename(away / f"j{n:02}.yaml")
    wait_for(lambda: "vanished" in gates(spool), "the hold")
    (spool.path / "PAUSE").unlink()
    wait_for(lambda: gates(spool) == ["vanished"], "the end of the pause")
    stays(lambda: posts(server) == 0, 0.3)
    assert gates(spool) == ["vanished"]
    for path in away.iterdir():
        path.rename(spool.path / path.name)
    wait_for(lambda: len(spool.outcomes()) == 30, "all of them")
    assert posts(server) == 30


def test_many_vanished_is_accepted_by_resume(spool, hostile, daemon):
    server = hostile()
    (spool.path / "PAUSE").touch()
    d = daemon(server.url, config=QUICK)
    for n in range(30):
        spool.drop(f"j{n:02}.yaml", inputs={"n": str(n)})
    wait_for(lambda: waiting(spool) == 30, "the jobs")
    for n in range(20):
        (spool.path / f"j{n:02}.yaml").unlink()
    d.logged("vanished")
    (spool.path / "PAUSE").unlink()
    flowspool(spool, "resume")
    wait_for(lambda: len(spool.outcomes()) == 10, "those that are left")
    assert posts(server) == 10


# --- names ---


@pytest.mark.parametrize("to", ["b.yaml", "sub/a.yaml"])
def test_renamed_when_done(spool, hostile, daemon, to):
    server = hostile()
    daemon(server.url, config=QUICK + "recursive: true\n")
    (spool.path / "sub").mkdir()
    path = spool.drop("a.yaml")
    before = spool.outcome("a")
    path.rename(spool.path / to)
    stem = to.removesuffix(".yaml")
    wait_for(lambda: spool.result(stem), "the result under the new name")
    wait_for(lambda: spool.result("a") is None, "the old name to be free")
    assert spool.result(stem)["job"] == to and spool.result(stem)["result"] == before["result"]
    assert looked_at(spool, server, 1) == 0


def test_renamed_while_it_waits_and_in_flight(spool, hostile, daemon):
    server = hostile()
    script(server, all="hold")
    (spool.path / "PAUSE").touch()
    daemon(server.url, config=QUICK)
    path = spool.drop("a.yaml")
    wait_for(lambda: job(spool, "a.yaml"), "the job")
    path.rename(spool.path / "b.yaml")
    wait_for(lambda: job(spool, "b.yaml"), "the new name")
    (spool.path / "PAUSE").unlink()
    wait_for(lambda: posts(server) == 1, "the request")
    (spool.path / "b.yaml").rename(spool.path / "c.yaml")
    wait_for(lambda: job(spool, "c.yaml"), "the third name")
    script(server, all="ok")
    release(server)
    assert spool.outcome("c")["job"] == "c.yaml"
    assert looked_at(spool, server, 1) == 0
    assert not [n for n in spool.outcomes() if n[:2] in ("a.", "b.")]


def test_a_copy_is_a_new_job(spool, hostile, daemon):
    server = hostile()
    daemon(server.url, config=QUICK)
    path = spool.drop("a.yaml")
    spool.outcome("a")
    shutil.copyfile(path, spool.path / "b.yaml")
    assert spool.outcome("b")["success"] and posts(server) == 2


def test_hold_by_name(spool, hostile, daemon):
    server = hostile()
    (spool.path / "PAUSE").touch()
    daemon(server.url, config=QUICK)
    path = spool.drop("a.yaml")
    wait_for(lambda: job(spool, "a.yaml"), "the job")
    queued = job(spool, "a.yaml")["queued_at"]
    path.rename(spool.path / "a.yaml.hold")
    wait_for(lambda: job(spool, "a.yaml")["state"] == "held", "the hold")
    (spool.path / "PAUSE").unlink()
    assert looked_at(spool, server, 0) == 0
    (spool.path / "a.yaml.hold").rename(path)
    assert spool.outcome("a")["queued_at"] == queued


# --- the state ---


def test_a_lost_state_holds_until_resume(spool, hostile, daemon, once):
    server = hostile()
    for n in range(110):
        (spool.path / f"j{n:03}.yaml").write_text(job_text(inputs={"n": str(n)}))
    assert once(server.url)[0] == 0
    for n in range(60):
        (spool.path / f"j{n:03}.result.json").unlink()
    shutil.rmtree(spool.state)
    d = daemon(server.url, config=QUICK)
    wait_for(lambda: "lost-state" in gates(spool), "the hold")
    assert posts(server) == 110 and "flowspool resume" in d.log
    flowspool(spool, "resume")
    wait_for(lambda: len(spool.outcomes()) == 110, "all of them")
    assert posts(server) == 170, "those with a result beside them are not bought again"


def test_a_state_that_vanishes_stops_sending(spool, hostile, daemon):
    server = hostile()
    d = daemon(server.url, config=QUICK)
    spool.drop("a.yaml")
    spool.outcome("a")
    spool.state.rename(spool.path.parent / "gone")
    spool.drop("b.yaml", inputs={"n": "2"})
    d.logged("the state in state_dir vanished")
    assert posts(server) == 1
    (spool.path.parent / "gone").rename(spool.state)
    assert spool.outcome("b")["success"], "put back, it goes on"


def test_nothing_is_sent_by_a_second_run(spool, hostile, once):
    server = hostile()
    script(server, wf_bad="status:422", all="ok")
    for n in range(20):
        spool.drop(f"j{n}.yaml", inputs={"n": str(n)})
    spool.drop("bad.yaml", workflow="wf_bad")
    assert once(server.url)[0] == 1
    before = posts(server)
    status, d = once(server.url)
    assert status == 0, d.log
    assert posts(server) == before
