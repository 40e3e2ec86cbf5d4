"""What goes wrong in flowspool-sandbox on purpose, and what it costs."""

import http.client
import json
import time

import pytest
from sandbox_program import raw_request, start  # noqa: F401


def test_replies_of_the_platform(start):
    for fault, status, kind, error in [("502", 502, "text/html", None), ("503", 503, "text/html", None),
                                       ("504", 504, "text/plain", "FUNCTION_INVOCATION_TIMEOUT"), ("redirect", 307, "text/plain", None)]:
        s = start("--fault", fault)
        got = s.run()
        assert (got[0], got[1].get_content_type(), got[1]["x-vercel-error"]) == (status, kind, error)
        assert (got[1]["location"] is not None) == (fault == "redirect")
        stats = s.stats()
        assert stats["faults"] == {fault: 1} and stats["runs"] == 0


def test_charged_failures(start):
    s = start("--fault", "504:charged")
    assert s.run()[0] == 504
    assert s.stats()["requests"][0]["charged"] == 1


@pytest.mark.parametrize("latency", ["0", "50ms"])
@pytest.mark.parametrize("fault,posts,charged", [("reset-before", 0, 0), ("reset-after", 1, 1)])
def test_resets_are_resets(start, latency, fault, posts, charged):
    s = start("--fault", fault, "--latency", latency)
    sock = s.send_raw()
    with pytest.raises(ConnectionResetError):
        assert sock.recv(1) == b"an orderly end is not a reset"
    sock.close()
    stats = s.stats()
    assert (stats["requests_total"], stats["runs"], stats["faults"]) == (posts, charged, {fault: 1})
    assert stats["by_status"] == {}


@pytest.mark.parametrize("latency", ["0", "50ms"])
def test_spoiled_replies_are_charged(start, latency):
    def cut(s):
        with pytest.raises(http.client.IncompleteRead) as error:
            s.run()
        assert error.value.partial.startswith(b'{"success":true')

    def garbage(s):
        status, _, body = s.run()
        assert status == 200
        with pytest.raises(ValueError):
            json.loads(body)

    def not_http(s):
        with pytest.raises(http.client.BadStatusLine):
            s.run()

    for fault, check in [("cut", cut), ("garbage", garbage), ("not-http", not_http)]:
        s = start("--fault", fault, "--latency", latency)
        check(s)
        stats = s.stats()
        assert stats["runs"] == 1 and stats["faults"] == {fault: 1}, fault


def test_huge(start):
    for fault, chunked in [("huge", False), ("huge-chunked", True)]:
        s = start("--fault", f"{fault}:20MiB")
        status, headers, body = s.run()
        assert status == 200 and len(body) == 20 << 20
        assert (headers["transfer-encoding"] == "chunked") == chunked
        assert len(json.loads(body)["result"]) > 20 << 19


def test_drip(start):
    s = start("--fault", "drip:1s")
    sock = s.send_raw()
    begin, pieces, data = time.monotonic(), 0, b""
    while not data.endswith(b'"}'):
        piece = sock.recv(65536)
        assert piece, data
        pieces, data = pieces + 1, data + piece
    assert pieces > 20 and time.monotonic() - begin > 0.8
    assert json.loads(data.partition(b"\r\n\r\n")[2])["success"] is True
    # Another one, whose client goes away in the middle; the sandbox goes on.
    sock.sendall(raw_request('{"story":"two"}'))
    sock.recv(10)
    sock.close()
    assert s.stats()["runs"] == 2


def test_rates_and_order_of_rules(start):
    s = start("--limiter", "none", "--fault", "500:1/4", "--fault", "504:1/2")
    assert [s.run()[0] for _ in range(8)] == [200, 504, 200, 500, 504, 200, 504, 500]


def test_same_seed_same_night(start):
    def statuses():
        s = start("--limiter", "none", "--seed", "11", "--fault", "500:40%")
        return [s.run()[0] for _ in range(40)]

    first = statuses()
    assert set(first) == {200, 500} and statuses() == first
