"""Two files that want the same outcome name: the one seen second is refused, and nothing of it is bought meanwhile."""

from command_line import command, jobs, order, paused, status
from conftest import flowspool, wait_for
from hostile_control import posts


def refused(spool):
    return set(jobs(spool, "--state", "refused"))


def renamed_into_a_conflict(spool):
    spool.drop("a.yaml", workflow="wf_a")
    spool.drop("b.yaml", workflow="wf_b")
    wait_for(lambda: set(jobs(spool)) == {"a.yaml", "b.yaml"}, "both")
    (spool.path / "b.yaml").rename(spool.path / "a.yml")
    wait_for(lambda: refused(spool) == {"a.yml"}, "the refusal")


def only_the_first_ran(spool):
    assert spool.outcome("a")["workflow"] == "wf_a"
    spool.drop("marker.yaml", workflow="wf_marker")
    spool.outcome("marker")


def test_a_waiting_job_that_is_renamed_into_a_conflict_is_not_sent(spool, hostile, daemon):
    server = hostile()
    paused(spool, daemon, server)
    renamed_into_a_conflict(spool)
    text = flowspool(spool, "explain", "a.yml")
    assert "refused" in text and "rename one of the two" in text
    assert order(spool, "resume").returncode == 0
    only_the_first_ran(spool)
    assert posts(server, "wf_b") == 0 and spool.outcomes() == ["a.result.json", "marker.result.json"]
    (spool.path / "a.yml").rename(spool.path / "c.yml")
    assert spool.outcome("c")["workflow"] == "wf_b"
    wait_for(lambda: refused(spool) == set(), "no refusal")
    assert posts(server, "wf_b") == 1


def test_a_waiting_job_whose_file_is_edited_into_a_conflict_is_not_sent(spool, hostile, daemon):
    """Two documents now, and one of their outcomes has the name of another job's."""
    server = hostile()
    paused(spool, daemon, server)
    spool.drop("a.1.yaml", workflow="wf_other")
    spool.drop("a.yaml", workflow="wf_old")
    wait_for(lambda: set(jobs(spool)) == {"a.1.yaml", "a.yaml"}, "both")
    spool.drop("a.yaml", text="workflow: wf_x\ninputs: {}\n---\nworkflow: wf_y\ninputs: {}\n")
    wait_for(lambda: refused(spool) == {"a.yaml"}, "the refusal")
    assert order(spool, "resume").returncode == 0
    assert spool.outcome("a.1")["workflow"] == "wf_other"
    spool.drop("marker.yaml", workflow="wf_marker")
    spool.outcome("marker")
    assert posts(server, "wf_old") == posts(server, "wf_x") == posts(server, "wf_y") == 0
    (spool.path / "a.yaml").rename(spool.path / "b.yaml")
    wait_for(lambda: spool.result("b.1") and spool.result("b.2"), "what the file says now, under another name")
    assert posts(server, "wf_old") == 0


def test_a_restart_does_not_forget_it(spool, hostile, daemon):
    server = hostile()
    d = paused(spool, daemon, server)
    renamed_into_a_conflict(spool)
    d.kill()
    done = command("--spool", spool.path, "resume")
    assert done.returncode == 0, done.stderr
    daemon(server.url)
    only_the_first_ran(spool)
    assert posts(server, "wf_b") == 0
