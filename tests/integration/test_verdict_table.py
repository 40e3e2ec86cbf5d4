"""The verdict table row by row: replies at its edges, many of them in one run, each a workflow of its own.

test_verdicts.py has what a row does in detail; here is which row a reply falls into. The first row that fits counts.
"""

import pytest
from hostile_control import posts, script, stats

QUICK = "retry: {base: 10ms, cap: 50ms}\n"
SAYS_NO = {"success": False, "error": "no"}


def status(code, body=None, **headers):
    step = {"do": "status", "status": code}
    if body is not None:
        step["body"] = body
    if headers:
        step["headers"] = headers
    return step


def run(spool, hostile, once, rows, config):
    """One job a row, all in one run; {row: (error outcome or None, requests)}."""
    server = hostile()
    script(server, **{f"wf_{n}": step for n, step in enumerate(rows.values())})
    for n in range(len(rows)):
        spool.drop(f"j{n}.yaml", workflow=f"wf_{n}")
    code, d = once(server.url, config=config)
    assert code == 1, d.log
    requests = stats(server)
    per_row = {}
    for n, row in enumerate(rows):
        whole = requests["whole"].get(f"wf_{n}", {})
        assert len(whole) <= 1, f"{row}: every attempt sends the same bytes"
        assert spool.result(f"j{n}") is None, f"{row} is no result"
        per_row[row] = (spool.error(f"j{n}"), sum(whole.values()))
    return per_row


def check(seen, code, statuses, attempts, ambiguous, requests, kept=None, spool=None):
    """All rows at once, so that one run shows all that is wrong."""
    wrong = {}
    for n, (row, (error, sent)) in enumerate(seen.items()):
        found = None if error is None else (error["error"]["code"], error["error"]["http_status"], error["attempts"],
                                            error["ambiguous"], error["rate_limited"], sent)
        expected = (code, statuses(row), attempts, ambiguous, 0, requests)
        if found != expected:
            wrong[row] = f"{found} instead of {expected}"
        if kept is not None and (spool.path / f"j{n}.error.body").exists() is not kept:
            wrong[row] = f"body kept: {not kept}"
    assert wrong == {}


# --- "any other 4xx, 413 included, whatever its body": the job fails ---

OTHER_4XX = [400, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 431, 451,
             460, 499]


def test_any_other_4xx_fails_the_job(spool, hostile, once):
    rows = {f"{code} {kind}": status(code, body) for code in OTHER_4XX[:4] + [413, 451]
            for kind, body in [("json", SAYS_NO), ("text", "Nope"), ("nothing", ""), ("array", "[1]"), ("object", "{}")]}
    rows.update({f"{code} json": status(code, SAYS_NO) for code in OTHER_4XX})
    rows["403 json"] = status(403, SAYS_NO)
    rows["400 success"] = status(400, {"success": True, "result": "x"})
    rows["422 cut"] = {"do": "cut", "status": 422}
    rows["422 huge"] = status(422, "n" * 100000)
    seen = run(spool, hostile, once, rows, QUICK + "max_response_size: 64KiB\n")
    check(seen, "rejected", lambda row: int(row.split()[0]), 1, 0, 1, False, spool)
    assert all(error["error"]["retryable"] is False for error, _ in seen.values())


@pytest.mark.parametrize("body,code", [
    ({"success": False, "code": "missing_input", "error": "story is missing"}, "missing_input"),
    ({"success": False, "error": {"code": "missing_input", "message": "story is missing"}}, "missing_input"),
    ({"success": False, "code": "other"}, "rejected"),
    ("missing_input", "rejected"),
])
def test_missing_input_is_a_400_that_says_so(spool, hostile, once, body, code):
    server = hostile()
    script(server, wf_a=status(400, body), wf_b=status(422, body))
    spool.drop("a.yaml", workflow="wf_a")
    spool.drop("b.yaml", workflow="wf_b")
    assert once(server.url, config=QUICK)[0] == 1
    assert spool.error("a")["error"]["code"] == code
    assert spool.error("b")["error"]["code"] == "rejected", "only a 400"
    if isinstance(body, dict) and "error" in body:
        assert "story is missing" in spool.error("a")["error"]["message"]


def test_413_before_the_body_was_read(spool, hostile, once):
    """A server that says too large does not wait for the rest, and hangs up."""
    server = hostile()
    script(server, all="early:413")
    spool.drop("a.yaml", inputs={"text": "t" * 900000})
    code, d = once(server.url, config=QUICK)
    assert code == 1, d.log
    error = spool.error("a")
    assert (error["error"]["code"], error["error"]["http_status"]) == ("rejected", 413)
    assert (error["attempts"], error["ambiguous"]) == (1, 0)
    assert posts(server) == 1


# --- 5xx with the service's JSON: retried, then it fails ---


def test_5xx_with_the_services_json(spool, hostile, once):
    rows = {f"{code} json": status(code, SAYS_NO) for code in [500, 501, 502, 504, 505, 520, 599]}
    rows["500 success"] = status(500, {"success": True, "result": "x"})
    rows["504 error object"] = status(504, {"success": False, "error": {"message": "m", "code": "c"}})
    seen = run(spool, hostile, once, rows, "retry: {base: 10ms, cap: 20ms, max_attempts: 2}\n")
    check(seen, "server_error", lambda row: int(row.split()[0]), 2, 0, 2, False, spool)
    assert all(error["error"]["retryable"] is True for error, _ in seen.values())


# --- 2xx received whole but unusable ---


def test_2xx_that_is_no_result(spool, hostile, once):
    good = {"success": True, "result": "x"}
    rows = {
        "200 text": status(200, "fine"), "200 html": "html", "200 half": "not-json", "200 array": "array", "200 null": status(200, "null"),
        "200 success false": "success-false", "200 success text": "success-text", "200 success 1": status(200, {"success": 1, "result": "x"}),
        "200 no success": status(200, {"result": "x"}), "200 more behind": status(200, '{"success":true,"result":"x"} and more'),
        "200 bad utf8": "bad-utf8", "200 compressed": "gzip",
        "201 json": status(201, good), "202 json": status(202, good), "203 json": status(203, good), "206 json": status(206, good),
    }
    seen = run(spool, hostile, once, rows, QUICK)
    check(seen, "invalid_response", lambda row: int(row.split()[0]), 1, 0, 1, True, spool)
    assert all(error["error"]["retryable"] is True for error, _ in seen.values())


def test_too_large_by_one_byte(spool, hostile, once):
    frame = len('{"success": true, "result": ""}')
    fits, over = "f" * (65536 - frame), "o" * (65537 - frame)
    server = hostile()
    script(server, wf_fits={"do": "ok", "result": fits}, wf_over={"do": "ok", "result": over}, wf_chunked="huge-chunked:1",
           wf_length="huge-length:1")
    for name in ("fits", "over", "chunked", "length"):
        spool.drop(f"{name}.yaml", workflow=f"wf_{name}")
    code, d = once(server.url, config="max_response_size: 64KiB\n")
    assert code == 1, d.log
    assert spool.result("fits")["result"] == fits
    firsts = {"over": b'{"success": true, "result": "' + b"o" * 4096, "chunked": b"a" * 4096, "length": b"a" * 4096}
    for name, first in firsts.items():
        error = spool.error(name)
        assert (error["error"]["code"], error["attempts"], error["ambiguous"]) == ("response_too_large", 1, 0)
        kept = (spool.path / f"{name}.error.body").read_bytes()
        assert kept == first[:len(kept)] and (len(kept) == 4096 or name == "length"), f"{name}: {len(kept)}"
        assert error["error"]["response"] == kept.decode()
        assert "max_response_size" in error["error"]["message"]
        assert posts(server, f"wf_{name}") == 1


# --- ambiguous: it may have been charged ---


def check_ambiguous(seen):
    wrong = {row: error for row, (error, _) in seen.items()
             if error is None or error["error"]["code"] != "ambiguous" or error["error"]["retryable"] is not True}
    assert wrong == {}
    for row, (error, sent) in seen.items():
        assert (error["attempts"], error["ambiguous"], sent) == (0, 1, 1), row
        code = int(row.split()[0])
        if code:
            assert error["error"]["http_status"] == code, row


def test_ambiguous(spool, hostile, once):
    texts = {f"{code} {kind}": status(code, body) for code in [500, 501, 502, 504, 505, 520]
             for kind, body in [("text", "oops"), ("nothing", ""), ("object", {"error": "no"}), ("array", "[]")]}
    wire = ["reset-after-read", "close-after-read", "cut", "cut-chunked", "no-last-chunk", "bad-chunk", "garbage", "http09",
            "half-status", "half-headers", "interim-only", "switch", "two-lengths", "bad-length", "flood-1xx:1"]
    texts["500 cut"] = {"do": "cut", "status": 500, "body": SAYS_NO}
    rows = {**texts, "504 platform": "text:504", "502 html": "html:502", **{f"0 {step}": step for step in wire}}
    check_ambiguous(run(spool, hostile, once, rows, "request_timeout: 20s\nretry: {on_ambiguous: hold}\n"))


def test_no_answer_in_time_is_ambiguous(spool, hostile, once):
    """None at all, or one that goes on and on."""
    rows = {f"{code} {step}": step for code, step in [(0, "hang"), (200, "drip:2"), (0, "drip-headers:2")]}
    check_ambiguous(run(spool, hostile, once, rows, "request_timeout: 2s\nretry: {on_ambiguous: hold}\n"))


# --- the status decides before the body: 429, 401, 402, 3xx, 407, 503 whatever comes with them ---

BODIES = {"json": SAYS_NO, "success": {"success": True, "result": "x"}, "text": "no", "nothing": ""}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_status_that_needs_no_body(spool, hostile, daemon, often, body):
    """Each refuses once: as an attempt none of them counts, and max_attempts is 1."""
    server = hostile()
    script(server, all=[*(status(code, body) for code in (503, 407, 300, 401, 402, 429)), "ok"])
    spool.drop("a.yaml", max_attempts=1)
    d = daemon(server.url, "-c", often)
    result = spool.outcome("a")
    assert result["success"] is True, d.log
    assert (result["attempts"], result["rate_limited"], result["ambiguous"]) == (1, 1, 0)
    assert posts(server) == 7 and len(stats(server)["whole"]["wf_echo"]) == 1


def test_403_and_404_that_are_not_the_services(spool, hostile, daemon, often):
    """An object without `success` is not the service's JSON, and a reply that was cut is none either."""
    server = hostile()
    script(server, all=[status(403, "nginx"), status(404, {"error": "no"}), status(404, "[]"), status(404, ""), "ok"])
    spool.drop("a.yaml", max_attempts=1)
    d = daemon(server.url, "-c", often)
    result = spool.outcome("a")
    assert result["success"] is True, d.log
    assert (result["attempts"], posts(server)) == (1, 5)


# --- success ---


def test_what_is_a_result(spool, hostile, once):
    """However it arrives: until the connection's end, slowly, late, on a connection that dies after it."""
    rows = ["ok", "no-length", "answer-then-close", "delay:0.3", "drip:400", "drip-headers:400", "nul"]
    server = hostile()
    script(server, **{f"wf_{n}": step for n, step in enumerate(rows)})
    for n in range(len(rows)):
        spool.drop(f"j{n}.yaml", workflow=f"wf_{n}")
    code, d = once(server.url)
    assert code == 0, d.log
    for n, row in enumerate(rows):
        assert spool.result(f"j{n}")["attempts"] == 1 == posts(server, f"wf_{n}"), row
    assert spool.result("j6")["result"] == "a\0b"
