"""Workflows that are held or not known, streaks of failures, and what giving a hold up means for whom.

test_holds.py has how each hold begins and ends and what --once makes of it.
"""

from conftest import flowspool, holds, wait_for
from hostile_control import posts, script

FAST_PROBE = "retry: {base: 10ms, cap: 50ms}\n"
SAYS_NO = {"success": False, "error": "no"}


# --- a workflow ---


def test_404_with_json_is_remembered_for_jobs_that_come_later(spool, hostile, daemon):
    server = hostile()
    script(server, wf_gone="status:404", wf_ok="ok")
    spool.drop("first.yaml", workflow="wf_gone")
    daemon(server.url)
    first = spool.outcome("first")
    assert (first["error"]["code"], first["error"]["http_status"], first["attempts"]) == ("workflow_not_found", 404, 1)
    spool.drop("later.yaml", workflow="wf_gone", inputs={"n": 2})
    later = spool.outcome("later")
    assert (later["error"]["code"], later["attempts"], later["started_at"]) == ("workflow_not_found", 0, None)
    assert later["error"]["http_status"] is None and later["error"]["response"] is None and later["duration_ms"] is None
    spool.drop("other.yaml", workflow="wf_ok")
    assert spool.outcome("other")["success"] is True
    assert posts(server, "wf_gone") == 1
    script(server, all="ok")
    flowspool(spool, "retry", "later.yaml")
    wait_for(lambda: spool.result("later"), "the result: the operator says that it exists now")


def test_a_workflow_that_succeeded_in_an_earlier_run_is_waited_for(spool, hostile, once):
    server = hostile()
    script(server, wf_a="ok", wf_b="status:404")
    spool.drop("a.yaml", workflow="wf_a")
    assert once(server.url)[0] == 0
    script(server, all="status:404")
    spool.drop("a2.yaml", workflow="wf_a", inputs={"n": 2})
    spool.drop("b.yaml", workflow="wf_b")
    code, d = once(server.url, config="once_patience: 1s\n")
    assert code == 6, d.log
    assert spool.outcomes() == ["a.result.json", "b.error.json"]
    assert spool.error("b")["error"]["code"] == "workflow_not_found"


def test_a_workflow_hold_takes_no_slot_from_others(spool, hostile, daemon):
    """Many jobs of the held workflow go before, by priority; the others pass them."""
    server = hostile()
    script(server, wf_a=["ok", "status:404"], wf_b="ok")
    spool.drop("first.yaml", workflow="wf_a")
    daemon(server.url, "--max-concurrency", "2", config=FAST_PROBE)
    spool.outcome("first")
    for n in range(150):
        spool.drop(f"held{n:03}.yaml", workflow="wf_a", inputs={"n": n}, priority=9)
    wait_for(lambda: "workflow" in holds(spool), "the hold")
    for n in range(5):
        spool.drop(f"free{n}.yaml", workflow="wf_b", inputs={"n": n})
    wait_for(lambda: all(spool.result(f"free{n}") for n in range(5)), "the others")
    assert holds(spool)["workflow"]["workflow"] == "wf_a"
    assert not any(name.startswith("held") for name in spool.outcomes())


def test_20_failures_in_a_row_of_all_workflows_hold_the_endpoint(spool, hostile, daemon):
    server = hostile()
    script(server, all={"do": "status", "status": 500, "body": SAYS_NO})
    for n in range(40):
        spool.drop(f"j{n:02}.yaml", workflow=f"wf_{n % 8}", inputs={"n": n})
    daemon(server.url, "--max-concurrency", "4", config="retry: {base: 10ms, cap: 20ms, max_attempts: 3}\n")
    wait_for(lambda: "endpoint" in holds(spool), "the hold")
    assert holds(spool)["endpoint"]["cause"] == "server_errors"
    script(server, all="ok")
    wait_for(lambda: len(spool.outcomes()) == 40, "all of them")
    # Nobody's attempts go on during the hold: 20 failures use up the three of six jobs, and a few were on their way.
    assert sum("error" in name for name in spool.outcomes()) <= 8
    assert holds(spool) == {}


def test_a_success_in_between_is_no_row(spool, hostile, once):
    """20 without a success in between: here it is every tenth."""
    server = hostile()
    script(server, wf_a=(["status:500"] * 9 + ["ok"]) * 6 + ["ok"])
    for n in range(12):
        spool.drop(f"j{n:02}.yaml", workflow="wf_a", inputs={"n": n})
    code, d = once(server.url, "--max-concurrency", "1", config="retry: {base: 1ms, cap: 2ms, max_attempts: 100}\n")
    assert code == 0, d.log
    assert "held" not in d.log.replace("0 held", "")


# --- give_up_after ---


def test_after_giving_up_new_jobs_are_tried(spool, hostile, daemon):
    """Those that waited have failed; a job that comes when the server is back is not one of them, nor is a retry."""
    server = hostile()
    script(server, all="status:503")
    for n in range(3):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    daemon(server.url, config="retry: {give_up_after: 500ms}\n")
    wait_for(lambda: len(spool.outcomes()) == 3, "those that waited")
    assert {spool.error(f"j{n}")["error"]["code"] for n in range(3)} == {"unreachable"}
    script(server, all="ok")
    spool.drop("new.yaml", inputs={"n": "new"})
    assert spool.outcome("new")["success"] is True
    flowspool(spool, "retry", "j0.yaml")
    wait_for(lambda: spool.result("j0"), "the result of the retry")


def test_after_giving_up_a_workflow_new_jobs_are_tried(spool, hostile, daemon):
    server = hostile()
    script(server, all="status:500")
    for n in range(25):
        spool.drop(f"j{n:02}.yaml", inputs={"n": n})
    daemon(server.url, "--max-concurrency", "4",
           config="retry: {base: 10ms, cap: 20ms, max_attempts: 9, give_up_after: 500ms}\n")
    wait_for(lambda: len(spool.outcomes()) == 25, "those that waited")
    assert {spool.error(f"j{n:02}")["error"]["code"] for n in range(25)} == {"server_error"}
    script(server, all="ok")
    spool.drop("new.yaml", inputs={"n": "new"})
    assert spool.outcome("new")["success"] is True


def test_an_endpoint_that_comes_back_in_time_fails_nobody(spool, hostile, daemon):
    server = hostile()
    script(server, all=["status:503", "status:503", "ok"])
    spool.drop("a.yaml", max_attempts=1)
    daemon(server.url, config="retry: {give_up_after: 20s}\n")
    assert spool.outcome("a")["success"] is True
