"""Every row of the verdict table: what a reply does to its job, to its workflow, and to everybody."""

import email.utils
import json
import time

import pytest
from conftest import stays, wait_for
from hostile_control import posts, release, script, stats

QUICK = "retry: {base: 10ms, cap: 50ms}\n"
NO_JSON = {"do": "status", "body": "<html>no</html>"}


def served(hostile, **steps):
    server = hostile()
    script(server, **steps)
    return server


def bodies(server, workflow):
    """The bodies that arrived whole, each with how often."""
    return stats(server)["whole"].get(workflow, {})


# --- the job fails ---

FAILS = [
    # step, code, status, retryable, attempts, body kept
    ({"do": "status", "status": 400, "body": {"success": False, "error": "Bad", "code": "missing_input"}},
     "missing_input", 400, False, 1, False),
    ({"do": "status", "status": 400, "body": {"success": False, "error": "Bad"}}, "rejected", 400, False, 1, False),
    ({"do": "status", "status": 400, "body": "what?"}, "rejected", 400, False, 1, False),
    ({"do": "status", "status": 413, "body": "Request Entity Too Large"}, "rejected", 413, False, 1, False),
    ({"do": "status", "status": 422}, "rejected", 422, False, 1, False),
    ({"do": "status", "status": 403, "body": {"success": False, "error": "Not yours"}}, "rejected", 403, False, 1, False),
    ("status:404", "workflow_not_found", 404, False, 1, False),
    ("status:500", "server_error", 500, True, 3, False),
    ({"do": "status", "status": 502, "body": {"success": False, "error": "x"}}, "server_error", 502, True, 3, False),
    ("success-false", "invalid_response", 200, True, 1, True),
    ("success-text", "invalid_response", 200, True, 1, True),
    ("array", "invalid_response", 200, True, 1, True),
    ("not-json", "invalid_response", 200, True, 1, True),
    ("empty", "invalid_response", 200, True, 1, False),
    ("html", "invalid_response", 200, True, 1, True),
    ({"do": "status", "status": 201, "body": {"success": True, "result": "x"}}, "invalid_response", 201, True, 1, True),
    ({"do": "status", "status": 204, "body": ""}, "invalid_response", 204, True, 1, False),
    ({"do": "status", "status": 200, "body": {"success": True}}, "invalid_response", 200, True, 1, True),
    ({"do": "big", "mb": 0.1}, "response_too_large", 200, True, 1, True),
]


@pytest.mark.parametrize("step,code,status,retryable,attempts,kept", FAILS, ids=lambda v: json.dumps(v)[:50] if isinstance(v, (str, dict)) else "")
def test_a_reply_that_fails_the_job(spool, hostile, once, step, code, status, retryable, attempts, kept):
    server = served(hostile, wf_a=step)
    spool.drop("a.yaml", workflow="wf_a")
    done, d = once(server.url, config="retry: {base: 10ms, cap: 50ms, max_attempts: 3}\nmax_response_size: 64KiB\n")
    assert done == 1, d.log
    error = spool.error("a")
    assert spool.result("a") is None and error["success"] is False
    assert error["error"]["code"] == code
    assert error["error"]["http_status"] == status
    assert error["error"]["retryable"] is retryable
    assert error["attempts"] == attempts == posts(server, "wf_a")
    assert (error["rate_limited"], error["ambiguous"]) == (0, 0)
    assert len(bodies(server, "wf_a")) == 1, "every attempt sends the same bytes"
    assert f"a.yaml: failed: {code}: " in d.log
    assert (spool.path / "a.error.body").exists() is kept
    if code == "response_too_large":
        assert len((spool.path / "a.error.body").read_bytes()) == 4096 == len(error["error"]["response"])
    elif kept:
        assert (spool.path / "a.error.body").read_bytes().decode() == error["error"]["response"]


def test_max_attempts_of_the_job_counts(spool, hostile, once):
    server = served(hostile, wf_a="status:500")
    spool.drop("a.yaml", workflow="wf_a", max_attempts=2)
    assert once(server.url, config=QUICK)[0] == 1
    assert spool.error("a")["attempts"] == 2 == posts(server)


def test_a_5xx_is_retried_until_it_works(spool, hostile, once):
    server = served(hostile, wf_a=["status:500", "status:500", "ok"])
    spool.drop("a.yaml", workflow="wf_a")
    assert once(server.url, config=QUICK)[0] == 0
    assert spool.result("a")["attempts"] == 3 == posts(server)
    assert len(bodies(server, "wf_a")) == 1


# --- 429 ---


def test_429_is_no_attempt_and_fails_no_job(spool, hostile, once):
    refused = {"do": "status", "status": 429, "headers": {"Retry-After": "0"}}
    server = served(hostile, wf_a=[refused] * 7 + ["ok"])
    spool.drop("a.yaml", workflow="wf_a", max_attempts=1)
    status, d = once(server.url, config=QUICK)
    assert status == 0, d.log
    result = spool.result("a")
    assert (result["attempts"], result["rate_limited"]) == (1, 7)
    assert len(bodies(server, "wf_a")) == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(spool, hostile, once, form):
    at = time.time() + 3
    value = "2" if form == "seconds" else email.utils.formatdate(at, usegmt=True)
    server = served(hostile, wf_a=[{"do": "status", "status": 429, "headers": {"Retry-After": value}}, "ok"])
    spool.drop("a.yaml", workflow="wf_a")
    began = time.time()
    assert once(server.url, config=QUICK)[0] == 0
    # The date was said when the server was told, in whole seconds; the number counts from its reply.
    assert time.time() >= (began + 1.9 if form == "seconds" else int(at))


def test_after_a_429_one_request_goes_first(spool, hostile, daemon):
    """The whole account slows down, not the job alone: nothing goes in the meantime, then one, then the rest."""
    refused = {"do": "status", "status": 429, "headers": {"Retry-After": "3"}}
    server = served(hostile, wf_a=[refused, "hold"], wf_b="hold")
    spool.drop("a.yaml", workflow="wf_a")
    d = daemon(server.url, config=QUICK)
    wait_for(lambda: posts(server) == 1, "the 429")
    for n in range(10):
        spool.drop(f"b{n}.yaml", workflow="wf_b", inputs={"n": n})
    stays(lambda: posts(server) == 1, 0.4)
    wait_for(lambda: posts(server) == 2, "the probe")
    stays(lambda: posts(server) == 2, 0.4)
    script(server, all="ok")
    release(server)
    wait_for(lambda: len(spool.outcomes()) == 11, "all of them")
    assert not d.log.count("failed:")


# --- ambiguous ---

AMBIGUOUS = ["reset-after-read", "close-after-read", "cut", "cut-chunked", "no-last-chunk", "garbage", "half-status",
             "half-headers", "text:504", "text:500", {"do": "status", "status": 502, "body": "Bad gateway"}, "hang"]


@pytest.mark.parametrize("step", AMBIGUOUS, ids=json.dumps)
def test_ambiguous_is_held_at_once_where_configured(spool, hostile, once, step):
    server = served(hostile, wf_a=step)
    spool.drop("a.yaml", workflow="wf_a")
    status, d = once(server.url, config="request_timeout: 1s\nretry: {on_ambiguous: hold}\n")
    assert status == 1, d.log
    error = spool.error("a")
    assert error["error"]["code"] == "ambiguous" and error["error"]["retryable"] is True
    assert (error["attempts"], error["ambiguous"]) == (0, 1)
    assert posts(server) == 1


def test_ambiguous_is_repeated_as_often_as_allowed(spool, hostile, once):
    server = served(hostile, wf_a="reset-after-read", wf_b=["reset-after-read", "reset-after-read", "ok"])
    spool.drop("a.yaml", workflow="wf_a")
    spool.drop("b.yaml", workflow="wf_b")
    assert once(server.url, config="retry: {base: 10ms, cap: 50ms, max_ambiguous: 2}\n")[0] == 1
    assert spool.error("a")["error"]["code"] == "ambiguous"
    assert (spool.error("a")["attempts"], spool.error("a")["ambiguous"]) == (0, 3)
    assert posts(server, "wf_a") == 3
    assert (spool.result("b")["attempts"], spool.result("b")["ambiguous"]) == (1, 2)
    assert len(bodies(server, "wf_b")) == 1


@pytest.mark.parametrize("config,expected", [("", 2), ("retry: {on_ambiguous: hold}\n", 1)])
def test_the_default_repeats_once(spool, hostile, once, config, expected):
    server = served(hostile, wf_a="text:504")
    spool.drop("a.yaml", workflow="wf_a")
    assert once(server.url, config=config or QUICK)[0] == 1
    assert posts(server) == expected


def test_reset_before_the_request_was_read_is_ambiguous_or_away_but_never_lost(spool, hostile, once):
    server = served(hostile, wf_a=["reset-before-read", "ok"])
    spool.drop("a.yaml", workflow="wf_a")
    assert once(server.url, config=QUICK)[0] == 0
    assert spool.result("a")["success"] is True
