"""flowspool-sandbox under load: many clients, many requests, clients that go away, and what it counts meanwhile."""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import resource
import selectors
import socket
import struct
import threading
import time

import pytest
from conftest import BIN, wait_for
from sandbox_program import AUTH, NOTICE, raw_request, start  # noqa: F401

# Sanitizers and valgrind keep memory that the program has given back.
SANITIZED = "asan" in str(BIN) or "tsan" in str(BIN) or "FLOWSPOOL_TEST_PATIENCE" in os.environ


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kb(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.M)[1])


def test_statistics(start):
    s = start("--limiter", "none")
    for story in ["one", "two", "one"]:
        s.run(inputs={"story": story})
    s.run("wf_cited", {"story": "one"})
    s.run("wf_none", {"story": "one"})
    stats = s.stats()
    sha = {t: hashlib.sha256(json.dumps({"story": t}).encode()).hexdigest() for t in ("one", "two")}
    assert sorted((r["workflow"], r["body_sha256"], r["posts"], r["charged"]) for r in stats["requests"]) == sorted([
        ("wf_story", sha["one"], 2, 2), ("wf_story", sha["two"], 1, 1), ("wf_cited", sha["one"], 1, 1), ("wf_none", sha["one"], 1, 0)])
    assert stats["purchases"] == {"total": 4, "by_workflow": {"wf_story": 3, "wf_cited": 1}}
    assert (stats["requests_total"], stats["runs"], stats["by_status"]) == (5, 4, {"200": 4, "404": 1})
    assert (stats["in_flight"], stats["peak_in_flight"], stats["requests_dropped"]) == (0, 1, 0)
    assert stats["connections_total"] >= 6 and stats["credits"] is None
    status, _, body = s.request("POST", "/sandbox/reset", "")
    assert status == 200 and json.loads(body) == {"success": True}
    stats = s.stats()
    assert (stats["requests_total"], stats["runs"], stats["requests"], stats["by_status"]) == (0, 0, [], {})


def test_a_client_that_goes_away_has_bought(start):
    s = start("--latency", "2s")
    sock = s.send_raw()
    wait_for(lambda: s.stats()["in_flight"] == 1, "the run to begin")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    assert s.stats()["runs"] == 0
    wait_for(lambda: s.stats()["runs"] == 1, "the run to be charged")
    assert s.stats()["in_flight"] == 0


def test_keep_alive_and_pieces(start):
    s = start("--limiter", "none", "--latency", "5ms")
    connection = s.connect()
    for i in range(50):
        connection.request("POST", "/api/v1/run/wf_story", json.dumps({"story": i}), AUTH)
        assert json.loads(connection.getresponse().read())["result"].endswith(f" {i}")
    connection.close()
    assert s.stats()["connections_total"] == 2
    sock = socket.create_connection((s.host, s.port))
    for byte in raw_request('{"story":"slow"}'):
        sock.sendall(bytes([byte]))
    assert b"200 OK" in sock.recv(4096)
    sock.close()


def test_thousands_in_flight(start):
    """2,000 runs at once: one thread, little memory, all at their time."""
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * count + 500:
        pytest.skip("too few descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    s = start("--limiter", "none", "--latency", "8s", "--any-workflow")
    begin = time.monotonic()
    sockets = [s.send_raw(f'{{"story":"{i}"}}') for i in range(count)]
    wait_for(lambda: s.stats()["in_flight"] == count or time.monotonic() - begin > 8, "all to be in flight")
    status, memory = pathlib.Path(f"/proc/{s.process.pid}/status").read_text(), resident_kb(s.process)
    with selectors.DefaultSelector() as selector:
        for sock in sockets:
            selector.register(sock, selectors.EVENT_READ)
        answered = 0
        while answered < count:
            ready = selector.select(30)
            assert ready, f"only {answered} answers"
            for key, _ in ready:
                assert key.fileobj.recv(4096).startswith(b"HTTP/1.1 200 OK")
                selector.unregister(key.fileobj)
                key.fileobj.close()
                answered += 1
    stats = s.stats()
    assert stats["runs"] == count and all(r["charged"] == 1 for r in stats["requests"])
    assert stats["peak_in_flight"] > count / 2
    assert re.search(r"^Threads:\s+1$", status, re.M)
    if not SANITIZED:
        assert memory < 80000


def test_max_connections(start):
    """What is beyond the bound waits, it is not refused."""
    s = start("--limiter", "none", "--latency", "100ms", "--max-connections", "3")
    sockets = [s.send_raw(f'{{"story":"{i}"}}') for i in range(9)]
    replies = []
    for sock in sockets:
        replies.append(sock.recv(4096))
        sock.close()
    assert all(r.startswith(b"HTTP/1.1 200 OK") for r in replies)
    assert s.stats()["peak_in_flight"] <= 3


def test_a_free_place_is_given_to_who_waits(start):
    """With every place taken, one that becomes free is enough to go on; no other event is needed."""
    s = start("--limiter", "none", "--max-connections", "1")
    for i in range(20):
        first = s.send_raw(f'{{"story":"first {i}"}}')
        assert first.recv(4096).startswith(b"HTTP/1.1 200 OK")
        second = s.send_raw(f'{{"story":"second {i}"}}')
        first.close()
        second.settimeout(10)
        assert second.recv(4096).startswith(b"HTTP/1.1 200 OK")
        second.close()


def test_nonsense_on_the_wire(start):
    """What is not HTTP, or ends too early, does not disturb anybody else."""
    s = start("--limiter", "none")
    for data in [b"\x16\x03\x01\x02\x00\x01\x00", b"POST\r\n\r\n", b"GET " + b"/" * 40000 + b" HTTP/1.1\r\n\r\n",
                 b"POST /api/v1/run/wf_story HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
                 b"POST /api/v1/run/wf_story HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
                 b"POST /api/v1/run/wf_story HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                 b"POST /api/v1/run/%00%ff%2f HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"]:
        with contextlib.suppress(ConnectionError), socket.create_connection((s.host, s.port)) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
    assert s.run()[0] == 200
    stats = s.stats()
    assert stats["runs"] == 1 and stats["by_status"]["200"] == 1


def test_many_clients_at_once(start):
    s = start("--limiter", "none", "--latency", "uniform:0ms,20ms", "--fault", "reset-after:1/50", "--fault", "cut:1/50")
    failures = []

    def work(worker):
        for i in range(40):
            try:
                status, _, body = s.run(inputs={"story": f"{worker}-{i}"})
                if status != 200 or not json.loads(body)["result"].endswith(f" {worker}-{i}"):
                    failures.append((status, body))
            except (ConnectionError, http.client.HTTPException):
                pass

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    stats = s.stats()
    assert not failures and stats["runs"] == stats["requests_total"] == 320
    assert stats["faults"]["reset-after"] == 6 and stats["faults"]["cut"] == 6


def post_distinct(s, numbers, at_a_time=50):
    """One request for each number over one connection, several written before their replies are read."""
    numbers, notice = list(numbers), NOTICE.encode("unicode_escape")
    with socket.create_connection((s.host, s.port), timeout=30) as sock:
        for i in range(0, len(numbers), at_a_time):
            some = numbers[i:i + at_a_time]
            sock.sendall(b"".join(raw_request(f'{{"story":"{n}"}}') for n in some))
            data = b""
            while data.count(notice) < len(some) or not data.endswith(b'"}'):
                piece = sock.recv(1 << 20)
                assert piece, data[-500:]
                data += piece
            assert data.count(b"HTTP/1.1 200 OK") == len(some)


def test_many_different_requests(start):
    """The statistics cost each request the same, however many there were, and little memory; so it can serve benchmarks."""
    s = start("--limiter", "none")
    post_distinct(s, range(3000))
    begin, memory = cpu_seconds(s.process), resident_kb(s.process)
    post_distinct(s, range(3000, 6000))
    middle = cpu_seconds(s.process)
    post_distinct(s, range(6000, 12000))
    early, late = middle - begin, (cpu_seconds(s.process) - middle) / 2
    if not SANITIZED:
        assert resident_kb(s.process) - memory < 8000, "for 9,000 more requests"
    assert late < 3 * early + 0.1, "12,000 known requests make a new one no dearer"
    assert (early + 2 * late) / 9000 < 0.0005, "thousands a second"
    stats = s.stats()
    assert len(stats["requests"]) == stats["runs"] == stats["requests_total"] == 12000
    assert all((r["posts"], r["charged"]) == (1, 1) for r in stats["requests"]) and stats["requests_dropped"] == 0
    assert stats["connections_total"] == 4
