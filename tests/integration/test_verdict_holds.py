"""Holds in detail: who is held, who is not, what a probe decides, and how sending grows again after one.

test_holds.py has how each begins and ends and what --once makes of it.
"""

import signal
import time

import pytest
from conftest import flowspool, holds, live, stays, wait_for
from hostile_control import posts, release, script, stats

FAST_PROBE = "retry: {base: 10ms, cap: 50ms}\n"


@pytest.fixture
def patient(tmp_path):
    """A configuration whose probes are so far apart that the test sees none; a later -c wins."""
    path = tmp_path / "patient.yaml"
    path.write_text("settle: 200ms\nprobe: 1h\nretry: {base: 10ms, cap: 50ms}\n")
    return path


# --- the account ---


@pytest.mark.parametrize("how", ["resume", "hup", "restart"])
def test_the_account_is_asked_again_at_once(spool, hostile, daemon, patient, how):
    server = hostile()
    script(server, all="status:402")
    for n in range(3):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    d = daemon(server.url, "-c", patient)
    wait_for(lambda: "account" in holds(spool), "the hold")
    assert holds(spool)["account"]["next_probe_ms"] > 3500 * 1000
    before = wait_for(lambda: live(spool)["in_flight"] == stats(server)["in_flight"] == 0 and posts(server),
                      "those that were on their way")
    stays(lambda: posts(server) == before, 0.3)
    script(server, all="ok")
    if how == "resume":
        flowspool(spool, "resume")
    elif how == "hup":
        d.send(signal.SIGHUP)
    else:
        assert d.stop() == 0
        daemon(server.url, "-c", patient)
    wait_for(lambda: len(spool.outcomes()) == 3, "the results")
    assert all(spool.result(f"j{n}")["attempts"] == 1 for n in range(3))


@pytest.mark.parametrize("status", [401, 402])
def test_many_refused_at_once_are_one_hold_and_one_probe(spool, hostile, daemon, status, patient):
    """Exit 3 does not wait for `probe`, and asks once more only, however many were refused together."""
    server = hostile()
    script(server, all=[f"hold:{status}"] * 8 + [f"status:{status}"])
    for n in range(8):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    began = time.monotonic()
    d = daemon(server.url, "--once", "-c", patient)
    wait_for(lambda: stats(server)["in_flight"] == 8, "all of them to be on their way")
    release(server)
    assert d.wait() == 3, d.log
    assert time.monotonic() - began < 60, "the probe was not waited for"
    assert spool.outcomes() == []
    assert posts(server) == 9 and stats(server)["peak"] == 8
    assert "8 waiting" in d.log


def test_a_probe_of_the_account_that_says_anything_else_ends_the_hold(spool, hostile, daemon):
    """A job that fails for a reason of its own shows that the account is served."""
    server = hostile()
    script(server, all=["status:401", "status:422", "ok"])
    spool.drop("a.yaml")
    spool.drop("b.yaml", inputs={"n": 2})
    daemon(server.url, "--max-concurrency", "1", config=FAST_PROBE)
    wait_for(lambda: len(spool.outcomes()) == 2, "both")
    assert holds(spool) == {}
    assert sorted(name.split(".")[1] for name in spool.outcomes()) == ["error", "result"]


def test_one_request_after_an_account_hold_then_a_few(spool, hostile, daemon):
    server = hostile()
    script(server, all=["status:402", "ok", "hold"])
    spool.drop("a.yaml")
    daemon(server.url, config=FAST_PROBE).logged("the account refuses work")
    grows_slowly(spool, server)


def grows_slowly(spool, server):
    """After the probe (the second of the script) was answered, of twenty more only a few go at first."""
    for n in range(20):
        spool.drop(f"more{n:02}.yaml", inputs={"n": n})
    wait_for(lambda: posts(server) > 2 and stats(server)["in_flight"], "what follows the probe")
    stays(lambda: stats(server)["in_flight"] <= 4, 0.5)
    script(server, all="ok")
    wait_for(lambda: not release(server) and len(spool.outcomes()) == 21, "all of them")


# --- the endpoint ---


def test_one_request_after_an_endpoint_hold_then_a_few(spool, hostile, daemon):
    server = hostile()
    script(server, all=["status:503", "ok", "hold"])
    spool.drop("a.yaml")
    daemon(server.url, config=FAST_PROBE).logged("the endpoint is away")
    grows_slowly(spool, server)


@pytest.mark.parametrize("code", [301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed(spool, hostile, daemon, code):
    server = hostile()
    script(server, all=[f"redirect:{code}", "ok"])
    spool.drop("a.yaml", max_attempts=1)
    daemon(server.url, config=FAST_PROBE)
    assert spool.outcome("a")["attempts"] == 1
    seen = stats(server)
    assert (seen["redirected"], seen["posts"]) == (0, 2)


@pytest.mark.parametrize("how", ["reset", "close", "garbage"])
def test_tls_that_fails_sends_nothing(spool, hostile, daemon, how):
    """Whatever ends the handshake: nothing was sent, so nothing counts, not even as ambiguous."""
    server = hostile("--tls")
    url = f"https://127.0.0.1:{server.about['port']}"
    script(server, **{"@accept": how})
    spool.drop("a.yaml", max_attempts=1)
    daemon(url, config=f"ca_file: {server.about['ca_file']}\n")
    wait_for(lambda: "endpoint" in holds(spool), "the hold")
    wait_for(lambda: holds(spool)["endpoint"]["refusals"] >= 2, "a probe")
    assert posts(server) == 0 and spool.outcomes() == []
    script(server, **{"@accept": "ok"})
    result = spool.outcome("a")
    assert (result["attempts"], result["ambiguous"]) == (1, 0)


def test_an_unknown_host_is_away(spool, once):
    spool.drop("a.yaml")
    code, d = once("http://no-such-host.invalid", config="once_patience: 1s\n")
    assert code == 6, d.log
    assert spool.outcomes() == [] and "name lookup" in d.log


def test_away_in_every_way_costs_no_attempt(spool, hostile, daemon, often, port):
    """An hour of it in short: refused connections, then a proxy's page. Every job has one attempt, and still has it."""
    for n in range(4):
        spool.drop(f"j{n}.yaml", inputs={"n": n}, max_attempts=1)
    d = daemon(f"http://127.0.0.1:{port}", "-c", often)
    wait_for(lambda: holds(spool).get("endpoint", {}).get("refusals", 0) >= 2, "refused connections")
    server = hostile("--port", str(port))
    script(server, all=["html:404", "ok"])
    wait_for(lambda: len(spool.outcomes()) == 4, f"the results; {d.log}")
    for n in range(4):
        result = spool.result(f"j{n}")
        assert (result["attempts"], result["ambiguous"], result["rate_limited"]) == (1, 0, 0)
    assert posts(server) == 1 + 4


def test_a_probe_that_is_not_answered_does_not_end_the_hold(spool, hostile, daemon):
    server = hostile()
    script(server, all=["status:503", "reset-after-read", "hang"])
    for n in range(4):
        spool.drop(f"j{n}.yaml", inputs={"n": n})
    daemon(server.url, "--max-concurrency", "1", config=FAST_PROBE)
    wait_for(lambda: posts(server) == 3, "the second probe")
    assert set(holds(spool)) == {"endpoint"}
    stays(lambda: posts(server) == 3, 0.5)
