"""429: the account slows down, no job suffers. How long nothing is sent, what goes first, and how it grows again."""

import time

import pytest
from conftest import flowspool, holds, stays, wait_for
from hostile_control import posts, release, script, stats

QUICK = "retry: {base: 10ms, cap: 50ms}\n"


def refusal(retry_after=None, **step):
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return {"do": "status", "status": 429, "headers": headers, **step}


def rate_hold(spool):
    """The rate hold as `flowspool status` tells it, or None."""
    return holds(spool).get("rate")


@pytest.mark.parametrize("value,least,most", [
    ("7", 5, 7), ("86400", 3590, 3600), ("999999999999999999999", 3590, 3600), ("Fri, 31 Dec 2099 23:59:59 GMT", 3590, 3600),
], ids=str)
def test_retry_after_is_bounded(spool, hostile, daemon, value, least, most):
    """An hour at most; a tenth more so that not all who were refused come back together."""
    server = hostile()
    script(server, all=refusal(value))
    spool.drop("a.yaml")
    daemon(server.url, config=QUICK)
    hold = wait_for(lambda: rate_hold(spool), "the hold")
    assert hold["cause"] == "429"
    assert least * 1000 <= hold["next_probe_ms"] <= most * 1100


@pytest.mark.parametrize("value", ["0", "-3", "soon", "", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 99 Foo 2099"], ids=str)
def test_retry_after_that_says_nothing(spool, hostile, once, value):
    """Then the backoff is ours; here at most 50 ms."""
    server = hostile()
    script(server, all=[refusal(value), "ok"])
    spool.drop("a.yaml")
    began = time.monotonic()
    code, d = once(server.url, config=QUICK)
    assert code == 0, d.log
    assert time.monotonic() - began < 15
    assert spool.result("a")["rate_limited"] == 1


@pytest.mark.parametrize("step", [refusal(body="<html>slow down</html>"), refusal(body=""), {"do": "cut", "status": 429, "body": "x"},
                                  refusal(body={"success": True, "result": "x"})], ids=["html", "empty", "cut", "success"])
def test_a_429_is_one_whatever_its_body(spool, hostile, once, step):
    server = hostile()
    script(server, all=[step, "ok"])
    spool.drop("a.yaml", max_attempts=1)
    code, d = once(server.url, config=QUICK)
    assert code == 0, d.log
    result = spool.result("a")
    assert (result["attempts"], result["rate_limited"], result["ambiguous"]) == (1, 1, 0)


def test_it_grows_again_after_the_hold(spool, hostile, daemon):
    """One request goes first; when it was answered, few, and more and more; not everything at once."""
    server = hostile()
    script(server, wf_a=[refusal("1"), "hold"], wf_b="hold")
    spool.drop("a.yaml", workflow="wf_a")
    daemon(server.url, config=QUICK)
    wait_for(lambda: posts(server) == 1, "the 429")
    for n in range(30):
        spool.drop(f"b{n:02}.yaml", workflow="wf_b", inputs={"n": n})
    wait_for(lambda: posts(server) == 2, "the probe")
    release(server)
    wait_for(lambda: posts(server) > 2, "what follows")
    stays(lambda: stats(server)["in_flight"] <= 4, 0.5)
    wait_for(lambda: stats(server)["in_flight"] > 4, "growth although nothing is answered")
    script(server, all="ok")
    release(server)
    wait_for(lambda: len(spool.outcomes()) == 31, "all of them")
    assert all(name.endswith("result.json") for name in spool.outcomes())


def test_what_is_in_flight_finishes_during_the_hold(spool, hostile, daemon):
    server = hostile()
    script(server, wf_slow="hold", wf_no=refusal("3600"))
    for n in range(3):
        spool.drop(f"slow{n}.yaml", workflow="wf_slow", inputs={"n": n})
    daemon(server.url, config=QUICK)
    wait_for(lambda: stats(server)["in_flight"] == 3, "the slow ones")
    spool.drop("no.yaml", workflow="wf_no")
    wait_for(lambda: rate_hold(spool), "the hold")
    release(server)
    wait_for(lambda: len(spool.outcomes()) == 3, "their results")
    assert all(spool.result(f"slow{n}")["attempts"] == 1 for n in range(3))


def test_429s_fail_no_job_and_count_for_each(spool, hostile, once):
    """Longer than max_attempts, max_ambiguous and give_up_after together could bear."""
    server = hostile()
    script(server, **{f"wf_{n}": [refusal("0")] * (n + 1) + ["ok"] for n in range(6)})
    for n in range(6):
        spool.drop(f"j{n}.yaml", workflow=f"wf_{n}", max_attempts=1)
    code, d = once(server.url, config="retry: {base: 10ms, cap: 20ms, give_up_after: 1ms, max_ambiguous: 0}\n")
    assert code == 0, d.log
    for n in range(6):
        assert (spool.result(f"j{n}")["attempts"], spool.result(f"j{n}")["rate_limited"]) == (1, n + 1)
    assert "failed:" not in d.log


def test_resume_asks_at_once(spool, hostile, daemon):
    server = hostile()
    script(server, all=[refusal("3600"), "ok"])
    spool.drop("a.yaml")
    daemon(server.url, config=QUICK)
    wait_for(lambda: rate_hold(spool), "the hold")
    flowspool(spool, "resume")
    assert spool.outcome("a")["rate_limited"] == 1
    assert rate_hold(spool) is None
