"""What is counted where, the same bytes on every attempt, and how long a job waits before the next one."""

import hashlib
import json

import pytest
from conftest import flowspool, job_text, live, unix, wait_for
from hostile_control import posts, release, script, stats

QUICK = "retry: {base: 10ms, cap: 50ms}\n"


def bodies(server, workflow="wf_echo"):
    return stats(server)["whole"].get(workflow, {})


def counts(outcome):
    return outcome["attempts"], outcome["rate_limited"], outcome["ambiguous"]


# --- counts ---


def test_everything_that_can_happen_to_one_job(spool, hostile, daemon):
    """Each is counted where it belongs, and holds nowhere; the body is the same all along."""
    server = hostile()
    slow_down = {"do": "status", "status": 429, "headers": {"Retry-After": "0"}}
    script(server, all=[slow_down, "status:503", "reset-after-read", "status:500", "status:401", "html:404", slow_down, "text:504",
                        "status:500", "ok"])
    spool.drop("a.yaml", max_attempts=3)
    d = daemon(server.url, config="retry: {base: 10ms, cap: 20ms, max_ambiguous: 2, max_attempts: 1}\n")
    result = spool.outcome("a")
    assert result["success"] is True, d.log
    assert counts(result) == (3, 2, 2)
    assert list(bodies(server).values()) == [10] and posts(server) == 10


@pytest.mark.parametrize("most", [0, 1, 3])
def test_max_ambiguous(spool, hostile, once, most):
    server = hostile()
    script(server, all="close-after-read")
    spool.drop("a.yaml")
    code, d = once(server.url, config=f"retry: {{base: 10ms, cap: 20ms, max_ambiguous: {most}}}\n")
    assert code == 1, d.log
    error = spool.error("a")
    assert error["error"]["code"] == "ambiguous" and error["error"]["http_status"] is None
    assert error["error"]["response"] is None
    assert counts(error) == (0, 0, most + 1) and posts(server) == most + 1
    assert "may have been charged" in error["error"]["message"] and "flowspool retry a.yaml" in error["error"]["message"]


def test_ambiguity_uses_up_no_attempt_and_no_attempt_ambiguity(spool, hostile, once):
    server = hostile()
    script(server, wf_a=["reset-after-read", "status:500", "status:500", "ok"], wf_b=["status:500", "cut", "status:500", "status:500"])
    for name in "ab":
        spool.drop(f"{name}.yaml", workflow=f"wf_{name}")
    once(server.url, config="retry: {base: 10ms, cap: 20ms, max_attempts: 3}\n")
    assert counts(spool.result("a")) == (3, 0, 1)
    assert spool.error("b")["error"]["code"] == "server_error" and counts(spool.error("b")) == (3, 0, 1)


def test_only_retry_sends_an_ambiguous_job_again(spool, hostile, daemon):
    """Not a touch, not the same content again, not a start. What may have been charged before still counts, all else begins anew."""
    server = hostile()
    script(server, all=["reset-after-read", "ok"])
    path = spool.drop("a.yaml")
    config = "retry: {on_ambiguous: hold}\n"
    d = daemon(server.url, config=config)
    assert spool.outcome("a")["error"]["code"] == "ambiguous"
    path.write_text(path.read_text())
    d.logged("only flowspool retry sends it again")
    assert d.stop() == 0
    daemon(server.url, config=config)
    spool.drop("b.yaml", inputs={"n": 2})
    assert spool.outcome("b")["success"] is True and posts(server) == 2
    flowspool(spool, "retry", "a.yaml")
    assert counts(wait_for(lambda: spool.result("a"), "the result")) == (1, 0, 1)
    wait_for(lambda: spool.outcomes() == ["a.result.json", "b.result.json"], "the old error to go")


def test_unusable_is_never_bought_again_by_itself(spool, hostile, daemon):
    """Not by attempts that are left, not by a touch; by flowspool retry. What was paid for is kept all the same."""
    server = hostile()
    script(server, all=["not-json", "ok"])
    path = spool.drop("a.yaml", max_attempts=5)
    d = daemon(server.url, config=QUICK)
    error = spool.outcome("a")
    assert error["error"]["code"] == "invalid_response"
    paid = (spool.path / "a.error.body").read_bytes()
    path.write_text(path.read_text())
    d.logged("only flowspool retry sends it again")
    assert posts(server) == 1
    flowspool(spool, "retry", "a.yaml")
    wait_for(lambda: spool.result("a"), "the result")
    wait_for(lambda: spool.outcomes() == ["a.result.json"] and not (spool.path / "a.error.body").exists(), "the old outcome to go")
    assert paid in [p.read_bytes() for p in (spool.state / "superseded").iterdir()]


# --- the same bytes ---

NASTY = """\
workflow: wf_echo
inputs:
  z: 19.90
  a: "quote \\" backslash \\\\ slash / \\u00e9 \\U0001F600"
  list: [1, two, {three: 3.000}]
  block: |
    first

      second
  empty:
"""


def test_the_body_is_the_same_across_attempts_restarts_and_retries(spool, hostile, daemon):
    server = hostile()
    script(server, all="status:500")
    spool.drop("a.yaml", NASTY)
    d = daemon(server.url, config="retry: {base: 10ms, cap: 20ms, max_attempts: 4}\n")
    assert spool.outcome("a")["attempts"] == 4
    assert d.stop() == 0
    script(server, all=["reset-after-read", "ok"])
    daemon(server.url, config=QUICK)
    live(spool)
    flowspool(spool, "retry", "a.yaml")
    wait_for(lambda: spool.result("a"), "the result")
    (body, times), = bodies(server).items()
    assert times == 6
    assert json.loads(body) == {"z": "19.90", "a": 'quote " backslash \\ slash / é 😀', "list": ["1", "two", {"three": "3.000"}],
                                "block": "first\n\n  second\n", "empty": ""}


@pytest.mark.parametrize("when", ["in flight", "waiting again"])
def test_the_body_is_fixed_at_the_first_attempt(spool, hostile, daemon, when):
    """Until then inputs_as applies in place; after it the server has seen one body and sees no other."""
    server = hostile()
    script(server, wf_echo=["hold:500", "ok"], wf_b="ok")
    text = job_text(inputs={"n": 3})
    spool.drop("a.yaml", text)
    daemon(server.url, config=QUICK)
    wait_for(lambda: posts(server) == 1, "the first attempt")
    if when == "waiting again":
        flowspool(spool, "pause")
        release(server)
        wait_for(lambda: live(spool)["in_flight"] == 0, "its end")
    typed = "inputs_as: typed\n# the same job\n" + text
    spool.drop("a.yaml", typed)
    digest = hashlib.sha256(typed.encode()).hexdigest()
    wait_for(lambda: digest in flowspool(spool, "list", "--json"), "the new bytes to be read")
    spool.drop("b.yaml", "inputs_as: typed\n" + job_text(workflow="wf_b", inputs={"n": 3}))
    flowspool(spool, "resume")
    release(server)
    assert spool.outcome("a")["attempts"] == 2 and spool.outcome("b")["success"] is True
    assert bodies(server) == {'{"n":"3"}': 2}
    assert bodies(server, "wf_b") == {'{"n":3}': 1}


# --- how long it waits ---


def test_backoff_is_jittered_and_bounded(spool, hostile, once):
    """Full jitter: anything up to the base after the first failure, different for each."""
    server = hostile()
    script(server, **{f"wf_{n}": ["status:500", "ok"] for n in range(8)})
    for n in range(8):
        spool.drop(f"j{n}.yaml", workflow=f"wf_{n}")
    code, d = once(server.url, config="retry: {base: 2s, cap: 30s}\n")
    assert code == 0, d.log
    waits = []
    for n in range(8):
        result = spool.result(f"j{n}")
        waits.append(unix(result["finished_at"]) - unix(result["started_at"]))
    assert 0.3 < max(waits) < 3.5, waits
    assert max(waits) - min(waits) > 0.2, waits


def test_backoff_grows_up_to_its_cap(spool, hostile, once):
    """12 failures at a base of 10 ms would wait 20 s for the last alone, were it not for the cap."""
    server = hostile()
    script(server, all=["status:500"] * 12 + ["ok"])
    spool.drop("a.yaml", max_attempts=99)
    code, d = once(server.url, config="retry: {base: 10ms, cap: 40ms}\n")
    assert code == 0, d.log
    result = spool.result("a")
    assert result["attempts"] == 13
    assert unix(result["finished_at"]) - unix(result["started_at"]) < 6
