"""Files with two names, with several documents, in another spool, or whose names only look wrong."""

import hashlib
import os
import time

import pytest
from conftest import Spool, job_text, wait_for
from command_line import command
from hostile_control import posts, script, stats
from intake_steps import closed, counts, looked, started, wait_jobs

QUICK = "rescan: 100ms\nretry: {base: 10ms, cap: 50ms}\n"


# --- two links ---


def test_a_file_with_two_links_that_is_still_open_is_not_taken(spool, hostile, daemon, tmp_path):
    server = hostile()
    daemon(server.url, config="rescan: 100ms\n")
    started(spool)
    path = spool.path / "a.yaml"
    with open(path, "w") as f:
        f.write("workflow: wf_a\ninputs: {n: 1}\n")
        f.flush()
        os.link(path, tmp_path / "second-name")
        os.link(path, spool.path / "b.yaml")
        looked(spool)
        time.sleep(1)  # several times settle
        assert "wf_a" not in stats(server)["whole"]
        f.write("run: 2\n")
    for stem in "ab":
        assert spool.outcome(stem)["job_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert posts(server, "wf_a") == 2


@pytest.mark.parametrize("where", ["here", "second name"])
def test_a_job_with_two_links_is_edited_in_place(spool, hostile, daemon, where, tmp_path):
    """Complete when it was linked in; when it is written afterwards it settles like any other."""
    server = hostile()
    daemon(server.url, config="rescan: 100ms\nsettle: 4s\n")
    started(spool)
    aside = tmp_path / "a.yaml"
    aside.write_text(job_text("wf_a", inputs={"n": 1}))
    began = time.monotonic()
    os.link(aside, spool.path / "a.yaml")
    assert spool.outcome("a")["success"]
    assert time.monotonic() - began < 4, "linked in, it is complete at once"
    path = aside if where == "second name" else spool.path / "a.yaml"
    path.write_text(job_text("wf_a", inputs={"n": "half"}))
    looked(spool)
    path.write_text(job_text("wf_a", inputs={"n": "whole"}))
    wait_for(lambda: posts(server, "wf_a") == 2, "the second request")
    assert sorted(stats(server)["whole"]["wf_a"]) == ['{"n":"1"}', '{"n":"whole"}']


# --- several documents ---


def several(*specs):
    return "---\n".join(job_text(workflow, inputs={"n": n}) for workflow, n in specs)


def test_retry_of_several_documents_runs_all_that_it_says(spool, hostile, daemon):
    server = hostile()
    daemon(server.url, config=QUICK)
    started(spool)
    spool.drop("m.yaml", several(("wf_a", 1), ("wf_a", 2), ("wf_a", 3)))
    wait_jobs(spool, done=3)
    done = command("--spool", spool.path, "retry", "--force", "m.yaml")
    assert done.stdout == "3 jobs run again\n", done
    wait_for(lambda: posts(server, "wf_a") == 6, "all three")
    wait_jobs(spool, done=3, waiting=0, in_flight=0)
    assert sorted(stats(server)["whole"]["wf_a"].values()) == [2, 2, 2]
    looked(spool)
    assert posts(server, "wf_a") == 6


@pytest.mark.parametrize("daemon_runs", [True, False])
def test_retry_of_one_document_runs_no_other(spool, hostile, daemon, daemon_runs):
    server = hostile()
    script(server, all="status:422")
    d = daemon(server.url, config=QUICK)
    started(spool)
    spool.drop("m.yaml", several(("wf_a", 1), ("wf_b", 2), ("wf_c", 3)))
    wait_jobs(spool, failed=3)
    script(server, all="ok")
    if not daemon_runs:
        assert d.stop() == 0
    done = command("--spool", spool.path, "retry", "--failed", "--workflow", "wf_b")
    assert done.stdout.startswith("1 job runs again"), done
    if not daemon_runs:
        daemon(server.url, config=QUICK)
        started(spool)
    wait_jobs(spool, failed=2, done=1)
    looked(spool)
    assert posts(server, "wf_b") == 2 and posts(server, "wf_a") == posts(server, "wf_c") == 1


def test_a_sandbox_result_from_elsewhere_runs_again_without_its_neighbours(spool, sandbox, hostile, daemon, tmp_path):
    """A start at another endpoint runs what a sandbox did; failed documents of the same file stay as they are."""
    (tmp_path / "workflows.yaml").write_text("workflows:\n  wf_bad: {template: \"{{missing}}\"}\n")
    first = sandbox("--limiter", "none", "--workflows", tmp_path / "workflows.yaml", "--missing-input", "strict")
    server = hostile()
    d = daemon(first.url, config=QUICK)
    started(spool)
    spool.drop("m.yaml", several(("wf_good", 1), ("wf_bad", 2)))
    wait_jobs(spool, done=1, failed=1)
    assert d.stop() == 0
    daemon(server.url, config=QUICK)
    started(spool)
    wait_for(lambda: posts(server, "wf_good") == 1, "the run elsewhere")
    looked(spool)
    assert posts(server, "wf_bad") == 0


# --- a directory that becomes another spool ---


def test_a_subdirectory_that_becomes_another_spool_is_left_to_it(spool, hostile, daemon):
    """With a watch on it, and jobs of it in the queue."""
    server = hostile()
    inner = Spool(spool.path / "sub")
    (spool.path / "PAUSE").touch()
    daemon(server.url, config="recursive: true\nrescan: 1h\n")
    started(spool)
    for n in range(5):
        inner.drop(f"old{n}.yaml", workflow="wf_sub", inputs={"old": n})
    spool.drop("mine.yaml", workflow="wf_mine")
    wait_jobs(spool, waiting=6)
    daemon(server.url, spool=inner, config="rescan: 1h\n")
    started(spool)
    for n in range(5):
        assert inner.outcome(f"old{n}")["job"] == f"old{n}.yaml"
    (spool.path / "PAUSE").unlink()
    assert spool.outcome("mine")["success"]
    for n in range(5):
        inner.drop(f"new{n}.yaml", workflow="wf_sub", inputs={"new": n})
    for n in range(5):
        assert inner.outcome(f"new{n}")["job"] == f"new{n}.yaml"
    looked(spool)
    assert posts(server, "wf_sub") == 10
    wait_for(lambda: counts(spool)["waiting"] == 0, "the outer one to give them up")
    assert "vanished" not in closed(spool)


# --- names ---


def test_conflict_copies_are_told_and_what_only_sounds_like_one_runs(spool, hostile, once):
    server = hostile()
    spool.drop("chapter (conflict of interest).yaml", workflow="wf_a", inputs={"n": 1})
    spool.drop("plan_conflict-2.yaml", workflow="wf_a", inputs={"n": 2})
    spool.drop("story (Ann's conflicted copy 2026-11-23).yaml", workflow="wf_copy", inputs={"n": 3})
    spool.drop("story.sync-conflict-20261123-220000-ABCDEFG.yaml", workflow="wf_copy", inputs={"n": 4})
    status, d = once(server.url)
    assert status == 0
    assert posts(server, "wf_a") == 2 and posts(server, "wf_copy") == 0
    assert d.log.count("ignored:") == 1 and "synchroniser" in d.log, d.log
