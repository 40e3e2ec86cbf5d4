"""Rate limits, their headers, credits and the cache of flowspool-sandbox."""

import email.utils
import json
import time

import pytest
from conftest import wait_for
from sandbox_program import start  # noqa: F401


def refusals(s, count):
    return [s.run()[0] for _ in range(count)].count(429)


def test_the_limiter_refuses_and_says_nothing(start):
    s = start("--limiter", "log", "--limit", "3", "--window", "1h")
    got = [s.run() for _ in range(5)]
    assert [g[0] for g in got] == [200, 200, 200, 429, 429]
    assert [g[1]["x-ratelimit-remaining"] for g in got] == ["2", "1", "0", None, None]
    assert got[4][1]["retry-after"] is None
    assert s.stats()["rate_limited"] == 2
    s.request("POST", "/sandbox/reset", "")
    assert s.run()[0] == 200


@pytest.mark.parametrize("kind", ["sliding", "fixed", "first", "token"])
def test_other_limiters(start, kind):
    s = start("--limiter", kind, "--limit", "3", "--window", "1h")
    # An aligned hour may end in the middle; then more get through, once.
    assert refusals(s, 9) in ((6, 3) if kind in ("sliding", "fixed") else (6,))


def test_no_limiter(start):
    s = start("--limiter", "none", "--limit", "1", "--window", "1h")
    got = [s.run() for _ in range(5)]
    assert {g[0] for g in got} == {200} and not any("x-ratelimit-limit" in g[1] for g in got)


def test_default_limiter_is_the_known_servers(start):
    s = start()
    headers = s.run()[1]
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("10", "9")
    wait_for(lambda: refusals(s, 20) > 0, "more than 10 in a second")
    wait_for(lambda: s.run()[0] == 200, "the window to slide")


def test_where_headers_go(start):
    for where, on_success, on_error in [("all", "1", "0"), ("none", None, None), ("on-reply", "1", None), ("zero", "0", None)]:
        s = start("--headers", where, "--limiter", "log", "--limit", "2", "--window", "1h")
        assert s.run()[1]["x-ratelimit-remaining"] == on_success, where
        s.run("wf_none")
        status, headers, _ = s.run()
        assert status == 429 and headers["x-ratelimit-remaining"] == on_error, where
    s = start("--headers", "zero")
    got = [s.run() for _ in range(30)]
    assert {g[0] for g in got} == {200}
    assert {(g[1]["x-ratelimit-limit"], g[1]["x-ratelimit-remaining"]) for g in got} == {("0", "0")}


def test_headers_belong_to_the_arrival(start):
    """Two runs that overlap: the first one's reply still says what was left when it came."""
    s = start("--latency", "200ms", "--limiter", "log", "--limit", "9", "--window", "1h")
    one, two = s.send_raw(), s.send_raw('{"story":"two"}')
    assert b"x-ratelimit-remaining: 8\r\n" in one.recv(4096)
    assert b"x-ratelimit-remaining: 7\r\n" in two.recv(4096)
    one.close()
    two.close()


def test_retry_after(start):
    for option, check in [("5s", lambda v: v == "5"), ("1500ms", lambda v: v == "2"), ("exact", lambda v: 3590 < int(v) <= 3600),
                          ("exact,date", lambda v: 3580 < email.utils.parsedate_to_datetime(v).timestamp() - time.time() <= 3601)]:
        s = start("--limiter", "log", "--limit", "1", "--window", "1h", "--retry-after", option)
        assert s.run()[1]["retry-after"] is None
        status, headers, _ = s.run()
        assert status == 429 and check(headers["retry-after"]), (option, headers["retry-after"])


def test_credits(start):
    s = start("--credits", "2", "--limiter", "none", "--fault", "500:1/2")
    assert [s.run()[0] for _ in range(5)] == [200, 500, 200, 402, 402]
    stats = s.stats()
    assert stats["credits"] == 0 and stats["runs"] == 2


def test_cache(start):
    s = start("--cache", "--fault", "reset-after:1/2", "--limiter", "none", "--headers", "zero", "--latency", "20ms")
    assert s.run(inputs={"story": "1"})[1]["x-ratelimit-limit"] == "0"
    with pytest.raises(ConnectionError):
        s.run(inputs={"story": "2"})
    status, headers, body = s.run(inputs={"story": "2"})  # paid for already
    assert status == 200 and "x-ratelimit-limit" not in headers and json.loads(body)["result"].endswith(" 2")
    stats = s.stats()
    assert (stats["runs"], stats["cached"]) == (2, 1)
