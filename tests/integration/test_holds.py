"""Holds: of the account, of the endpoint, of a workflow. Distinct, visible, and over by themselves; and how --once ends
with them."""

import pytest
from conftest import holds, wait_for
from hostile_control import posts, release, script, stats

FAST_PROBE = "retry: {base: 10ms, cap: 50ms}\n"


# --- the account ---


@pytest.mark.parametrize("status", [401, 402])
def test_the_account_refuses_work_with_once(spool, hostile, once, status):
    """Exit 3 after one more probe at once; what was in flight finished; no job failed."""
    server = hostile()
    script(server, all=f"status:{status}")
    for n in range(5):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    code, d = once(server.url, "--max-concurrency", "1")
    assert code == 3, d.log
    assert spool.outcomes() == []
    assert posts(server) == 2
    assert str(status) in d.log
    script(server, all="ok")
    assert once(server.url)[0] == 0
    assert len(spool.outcomes()) == 5 and spool.result("j0")["attempts"] == 1


def test_what_is_in_flight_finishes_when_the_account_refuses(spool, hostile, daemon):
    server = hostile()
    script(server, wf_slow="hold", wf_no="status:402")
    for n in range(3):
        spool.drop(f"slow{n}.yaml", workflow="wf_slow", inputs={"n": n})
    d = daemon(server.url, "--once")
    wait_for(lambda: stats(server)["in_flight"] == 3, "the slow ones")
    spool.drop("no.yaml", workflow="wf_no")
    d.logged("402")
    release(server)
    assert d.wait() == 3, d.log
    assert spool.outcomes() == [f"slow{n}.result.json" for n in range(3)]


@pytest.mark.parametrize("status", [401, 402])
def test_an_account_hold_ends_by_itself(spool, hostile, daemon, status):
    server = hostile()
    script(server, all=f"status:{status}")
    for n in range(3):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    daemon(server.url, config=FAST_PROBE)
    wait_for(lambda: "account" in holds(spool), "the hold")
    assert set(holds(spool)) == {"account"}
    script(server, all="ok")
    wait_for(lambda: len(spool.outcomes()) == 3, "the results")
    assert holds(spool) == {}
    assert all(spool.result(f"j{n}")["attempts"] == 1 for n in range(3))


def test_3_goes_before_1(spool, hostile, once):
    """A job that failed does not hide that the account refuses work."""
    server = hostile()
    script(server, wf_bad="status:422", wf_no="status:401")
    spool.drop("a.yaml", workflow="wf_bad", priority=5)
    spool.drop("b.yaml", workflow="wf_no")
    code, d = once(server.url, "--max-concurrency", "1")
    assert code == 3, d.log
    assert spool.outcomes() == ["a.error.json"]


# --- the endpoint ---

AWAY = [{"do": "status", "status": 301, "headers": {"Location": "http://127.0.0.1:1/"}, "body": ""}, "status:407",
        "status:503", {"do": "status", "status": 403, "body": "<html>"}, {"do": "status", "status": 404, "body": "nginx"}]


@pytest.mark.parametrize("step", AWAY, ids=lambda s: str(s if isinstance(s, str) else s["status"]))
def test_an_endpoint_that_is_not_the_service(spool, hostile, daemon, step):
    server = hostile()
    script(server, all=step)
    for n in range(4):
        spool.drop(f"j{n}.yaml", inputs={"n": n}, max_attempts=1)
    daemon(server.url, config=FAST_PROBE)
    wait_for(lambda: set(holds(spool)) == {"endpoint"}, "the hold")
    wait_for(lambda: posts(server) >= 4, "a few probes")
    assert set(holds(spool)) == {"endpoint"} and spool.outcomes() == []
    script(server, all="ok")
    wait_for(lambda: len(spool.outcomes()) == 4, "the results")
    assert holds(spool) == {}
    assert all(spool.result(f"j{n}")["attempts"] == 1 for n in range(4))


def test_nobody_listens_and_once_loses_patience(spool, once, port):
    for n in range(3):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    code, d = once(f"http://127.0.0.1:{port}", config="once_patience: 1s\n")
    assert code == 6, d.log
    assert spool.outcomes() == []
    assert "3 held" in d.log or "3 waiting" in d.log


def test_6_goes_before_1(spool, hostile, once):
    server = hostile()
    script(server, wf_bad="status:422", wf_away="status:503")
    spool.drop("a.yaml", workflow="wf_bad", priority=5)
    spool.drop("b.yaml", workflow="wf_away")
    code, d = once(server.url, "--max-concurrency", "1", config="once_patience: 1s\n")
    assert code == 6, d.log
    assert spool.outcomes() == ["a.error.json"]


def test_give_up_after_fails_the_jobs_of_an_endpoint_hold(spool, hostile, once):
    server = hostile()
    script(server, all="status:503")
    for n in range(3):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    code, d = once(server.url, config="retry: {give_up_after: 1s}\n")
    assert code == 1, d.log
    for n in range(3):
        error = spool.error(f"j{n}")
        assert error["error"]["code"] == "unreachable" and error["error"]["retryable"] is True
        assert error["attempts"] == 0


def test_give_up_after_fails_no_job_of_an_account_hold(spool, hostile, daemon):
    server = hostile()
    script(server, all="status:402")
    spool.drop("a.yaml")
    d = daemon(server.url, config="retry: {give_up_after: 100ms}\n")
    wait_for(lambda: posts(server) >= 4, "a few probes")
    assert spool.outcomes() == [] and d.process.poll() is None


# --- a workflow ---


def test_a_workflow_that_does_not_exist_is_asked_for_once(spool, hostile, once):
    server = hostile()
    script(server, wf_gone="status:404", wf_ok="ok")
    for n in range(6):
        spool.drop(f"gone{n}.yaml", workflow="wf_gone", inputs={"n": n})
        spool.drop(f"ok{n}.yaml", workflow="wf_ok", inputs={"n": n})
    code, d = once(server.url, "--max-concurrency", "1")
    assert code == 1, d.log
    errors = [spool.error(f"gone{n}") for n in range(6)]
    assert {e["error"]["code"] for e in errors} == {"workflow_not_found"}
    assert {e["error"]["retryable"] for e in errors} == {False}
    # One more may be on its way before the first reply is durable and judged.
    assert sum(e["attempts"] for e in errors) == posts(server, "wf_gone") <= 2
    assert posts(server, "wf_ok") == 6


def test_a_workflow_that_has_succeeded_before_is_waited_for(spool, hostile, daemon):
    server = hostile()
    script(server, wf_a=["ok", "status:404"], wf_b="ok")
    spool.drop("first.yaml", workflow="wf_a")
    daemon(server.url, config=FAST_PROBE)
    spool.outcome("first")
    spool.drop("second.yaml", workflow="wf_a", inputs={"n": 2})
    wait_for(lambda: "workflow" in holds(spool), "the hold")
    spool.drop("other.yaml", workflow="wf_b")
    assert spool.outcome("other")["success"], "other workflows go on"
    assert spool.error("second") is None
    script(server, all="ok")
    assert spool.outcome("second")["attempts"] == 1
    assert holds(spool) == {}


def test_20_failures_in_a_row_hold_the_workflow(spool, hostile, daemon):
    server = hostile()
    script(server, wf_a="status:500", wf_b="ok")
    for n in range(40):
        spool.drop(f"a{n:02}.yaml", workflow="wf_a", inputs={"n": n})
    daemon(server.url, "--max-concurrency", "4", config="retry: {base: 10ms, cap: 20ms, max_attempts: 2}\n")
    wait_for(lambda: "workflow" in holds(spool), "the hold")
    spool.drop("b.yaml", workflow="wf_b")
    assert spool.outcome("b")["success"]
    script(server, all="ok")
    wait_for(lambda: len(spool.outcomes()) == 41, "all of them")
    # A hold costs no job its attempts: only what was sent before it can have failed.
    assert sum("error.json" in name for name in spool.outcomes()) <= 12


def test_give_up_after_fails_the_jobs_of_a_workflow_hold(spool, hostile, once):
    server = hostile()
    script(server, wf_a="status:500", wf_b="ok")
    for n in range(30):
        spool.drop(f"a{n:02}.yaml", workflow="wf_a", inputs={"n": n})
    spool.drop("b.yaml", workflow="wf_b")
    code, d = once(server.url, "--max-concurrency", "4",
                   config="retry: {base: 10ms, cap: 20ms, max_attempts: 9, give_up_after: 500ms}\n")
    assert code == 1, d.log
    assert {spool.error(f"a{n:02}")["error"]["code"] for n in range(30)} == {"server_error"}
    assert spool.result("b")


# --- what may be bought ---


def test_max_jobs(spool, hostile, once):
    server = hostile()
    for n in range(5):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    code, d = once(server.url, "--max-jobs", "2")
    assert code == 6, d.log
    assert len(spool.outcomes()) == 2 == posts(server)
    assert once(server.url)[0] == 0
    assert len(spool.outcomes()) == 5 == posts(server)
