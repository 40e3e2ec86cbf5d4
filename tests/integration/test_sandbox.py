"""flowspool-sandbox from outside: what goes over the wire, and how it starts and stops."""

import contextlib
import email.utils
import hashlib
import http.client
import json
import os
import pathlib
import re
import resource
import selectors
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
from conftest import BIN, ROOT, wait_for

PROGRAM = str(BIN / "flowspool-sandbox")
WORKFLOWS = """
workflows:
  wf_story: {template: "Write a short story about {{story}}"}
  wf_cited:
    template: "{{a}} and {{b}}"
    citations: [https://example.org/a, {title: B, url: https://example.org/b}]
  wf_draft: {template: x, published: false}
"""
NOTICE = "[flowspool-sandbox: this is the rendered template; no language model was asked]\n\n"
AUTH = {"Authorization": "Bearer some-key", "Content-Type": "application/json"}


class Sandbox:
    def __init__(self, tmp_path, *options, env=None):
        self.err_path = tmp_path / f"stderr-{time.monotonic_ns()}"
        workflows = tmp_path / "workflows.yaml"
        workflows.write_text(WORKFLOWS)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FLOWSPOOL_SANDBOX")}
        environment.update(env or {})
        with open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(
                [PROGRAM, "--port", "0", "--workflows", str(workflows), *options],
                stdout=subprocess.PIPE, stderr=err, env=environment, text=True)
        self.line = self.process.stdout.readline()
        found = re.fullmatch(r"flowspool-sandbox: listening on (https?)://(\S+):(\d+)\n", self.line)
        assert found, self.line + self.err
        self.host, self.port = found[2].strip("[]"), int(found[3])

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=30)

    def request(self, method, path, body=None, headers=AUTH):
        """(status, headers, body)"""
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            connection.close()

    def run(self, workflow="wf_story", inputs=None, headers=AUTH):
        inputs = {"story": "a dog"} if inputs is None else inputs
        return self.request("POST", f"/api/v1/run/{workflow}", json.dumps(inputs), headers)

    def stats(self):
        status, _, body = self.request("GET", "/sandbox/stats")
        assert status == 200
        return json.loads(body)

    def send_raw(self, inputs='{"story":"a dog"}', workflow="wf_story"):
        """Sends one request and returns the socket, unread."""
        s = socket.create_connection((self.host, self.port), timeout=30)
        s.sendall(raw_request(inputs, workflow))
        return s

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            out, _ = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        assert "Sanitizer" not in self.err and "runtime error:" not in self.err, self.err
        assert out == "", "one line on stdout, not more"
        return self.process.returncode


def raw_request(body, workflow="wf_story"):
    return (f"POST /api/v1/run/{workflow} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


@pytest.fixture
def start(tmp_path):
    started = []

    def go(*options, **keys):
        started.append(Sandbox(tmp_path, *options, **keys))
        return started[-1]

    yield go
    for s in started:
        if s.process.returncode is None:
            assert s.stop() == 0


# --- Answers ---


def test_a_success(start):
    s = start("--limit", "50")
    status, headers, body = s.run(inputs={"story": 'a "dog"\nnamed Zoë \U0001f600', "unused": 1})
    assert status == 200
    assert json.loads(body) == {"success": True, "result": NOTICE + 'Write a short story about a "dog"\nnamed Zoë \U0001f600'}
    assert headers["x-flowspool-sandbox"] == "1"
    assert headers["content-type"] == "application/json"
    assert headers["x-ratelimit-limit"] == "50"
    assert headers["x-ratelimit-remaining"] == "49"
    assert re.fullmatch(r"sandbox1::[0-9a-f]{5}-\d{13}-[0-9a-f]{12}", headers["x-vercel-id"])
    assert s.run()[1]["x-vercel-id"] != headers["x-vercel-id"]


def test_rendering(start):
    s = start("--limiter", "none")
    assert json.loads(s.run(inputs={})[2])["result"] == NOTICE + "Write a short story about undefined"
    reply = json.loads(s.run("wf_cited", {"a": [1, "x"], "b": 1.50})[2])
    assert reply["result"] == NOTICE + '[1, "x"] and 1.5'
    assert reply["citations"] == ["https://example.org/a", {"title": "B", "url": "https://example.org/b"}]


def test_any_workflow_echoes_its_inputs(start):
    s = start("--any-workflow", "--run-id")
    status, headers, body = s.run("wf_other", {"a": 'b"'})
    reply = json.loads(body)
    assert reply["result"] == NOTICE + 'Workflow wf_other was called with {"a": "b\\""}'
    assert reply["run_id"] == headers["x-vercel-id"]
    assert s.run("wf_draft")[0] == 404


ERRORS = [
    # name, options, workflow, headers, status, body
    ("no key", [], "wf_story", {}, 401, {"error": "Unauthorized: bad or missing API key", "success": False}),
    ("empty key", [], "wf_story", {"Authorization": "Bearer "}, 401, None),
    ("wrong key", ["--key", "right"], "wf_story", AUTH, 401, None),
    ("no credits", ["--credits", "0"], "wf_story", AUTH, 402,
     {"error": "Invalid billing: no credits are left on the account", "success": False, "code": "invalid_billing"}),
    ("unknown workflow", [], "wf_none", AUTH, 404, {"error": "Workflow not found", "success": False}),
    ("not published", [], "wf_draft", AUTH, 404, {"error": "Workflow not found", "success": False}),
    ("id of a wrong form", ["--any-workflow"], "wf.none", AUTH, 404, {"error": "Workflow not found", "success": False}),
    ("refused", ["--fault", "429"], "wf_story", AUTH, 429, {"error": "Rate limit exceeded", "success": False}),
    ("failed", ["--fault", "500"], "wf_story", AUTH, 500,
     {"error": "Failed to run workflow", "success": False, "code": "internal_server_error"}),
    ("strict", ["--missing-input", "strict"], "wf_cited", AUTH, 400,
     {"error": "Missing required input: a", "success": False, "code": "missing_input"}),
]


@pytest.mark.parametrize("options,workflow,headers,status,body", [e[1:] for e in ERRORS], ids=[e[0] for e in ERRORS])
def test_errors(start, options, workflow, headers, status, body):
    s = start(*options)
    got = s.run(workflow, headers=headers)
    assert got[0] == status
    assert json.loads(got[2])["success"] is False
    if body is not None:
        assert json.loads(got[2]) == body
    assert got[1]["content-type"] == "application/json"
    assert got[1]["x-flowspool-sandbox"] == "1" and "x-vercel-id" in got[1]
    assert "x-ratelimit-limit" not in got[1] and "x-ratelimit-remaining" not in got[1] and "retry-after" not in got[1]
    assert s.stats()["runs"] == 0


def test_pages_that_are_not_the_service(start):
    s = start()
    for method, path, status in [("GET", "/", 404), ("POST", "/api/v1/run/", 404), ("POST", "/api/v1/run/wf_story/stream", 404),
                                 ("GET", "/api/v1/run/wf_story", 405), ("POST", "/sandbox/stats", 405), ("GET", "/sandbox/reset", 405)]:
        got = s.request(method, path, "{}" if method == "POST" else None)
        assert (got[0], got[1].get_content_type()) == (status, "text/plain"), path
        assert got[1]["x-flowspool-sandbox"] == "1"


def test_bodies_that_are_no_object(start):
    s = start("--limiter", "none")
    for body in ["", "[]", "{", '{"a":1}x', '{"a":"\xff"}'.encode("latin-1")]:
        status, _, reply = s.request("POST", "/api/v1/run/wf_story", body)
        assert (status, json.loads(reply)["code"]) == (400, "invalid_body"), body


def test_large_bodies(start):
    s = start("--limiter", "none")
    fits = json.dumps({"story": "x" * (4718592 - 13)})
    assert len(fits) == 4718592
    status, _, body = s.request("POST", "/api/v1/run/wf_story", fits)
    assert status == 200 and len(json.loads(body)["result"]) > 4718000
    connection = s.connect()
    connection.request("POST", "/api/v1/run/wf_story", fits + " ", AUTH)
    reply = connection.getresponse()
    assert (reply.status, reply.headers.get_content_type()) == (413, "text/plain")
    assert b"FUNCTION_PAYLOAD_TOO_LARGE" in reply.read()
    connection.request("GET", "/sandbox/stats?requests=0")  # the connection is still good
    stats = json.loads(connection.getresponse().read())
    assert stats["by_status"] == {"200": 1, "413": 1} and "requests" not in stats
    connection.close()


# --- Faults ---


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


# --- Limits, credits, cache ---


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


# --- Keys ---


def test_keys(start, tmp_path):
    key_file = tmp_path / "keys"
    key_file.write_text("from-file-1\r\nfrom-file-2\n")
    s = start("--key", "from-option", "--key-file", str(key_file), "--verbose", env={"FLOWSPOOL_SANDBOX_KEY": "from-environment"})
    for key in ["from-option", "from-file-1", "from-file-2", "from-environment"]:
        assert s.run(headers={"Authorization": f"Bearer {key}"})[0] == 200
    for key in ["from", "from-option2", ""]:
        assert s.run(headers={"Authorization": f"Bearer {key}"})[0] == 401
    wait_for(lambda: s.err.count("status=") == 7, "a line per request")
    assert "from-" not in s.err and "workflow=wf_story bytes=18 status=200" in s.err


# --- Statistics ---


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
    s = start("--latency", "300ms")
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
    s = start("--limiter", "none", "--latency", "3s", "--any-workflow")
    begin = time.monotonic()
    sockets = [s.send_raw(f'{{"story":"{i}"}}') for i in range(count)]
    wait_for(lambda: s.stats()["in_flight"] == count or time.monotonic() - begin > 3, "all to be in flight")
    status = pathlib.Path(f"/proc/{s.process.pid}/status").read_text()
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
    if "asan" not in str(BIN):
        assert int(re.search(r"^VmRSS:\s+(\d+) kB$", status, re.M)[1]) < 80000


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


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return str(cert), str(key)


def test_tls(start, certificate):
    cert, key = certificate
    s = start("--tls-cert", cert, "--tls-key", key, "--latency", "20ms", "--fault", "reset-after:1/2")
    assert "https://" in s.line
    context = ssl.create_default_context(cafile=cert)
    for expectation in [contextlib.nullcontext(), pytest.raises((ConnectionError, ssl.SSLError, http.client.HTTPException))]:
        connection = http.client.HTTPSConnection(s.host, s.port, context=context, timeout=30)
        with expectation:
            connection.request("POST", "/api/v1/run/wf_story", '{"story":"x"}', AUTH)
            assert json.loads(connection.getresponse().read())["success"] is True
        connection.close()
    connection = http.client.HTTPSConnection(s.host, s.port, context=context, timeout=30)
    connection.request("GET", "/sandbox/stats")
    assert json.loads(connection.getresponse().read())["runs"] == 2
    connection.close()


# --- Start and stop ---


def test_ipv6(start):
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    s = start("--listen", "::1")
    assert "http://[::1]:" in s.line
    assert s.run()[0] == 200


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_stops_at_once_with_runs_in_flight(start, sig):
    s = start("--limiter", "none", "--latency", "1h", "--fault", "drip:1h:1/3")
    sockets = [s.send_raw(f'{{"story":"{i}"}}') for i in range(30)]
    wait_for(lambda: s.stats()["in_flight"] == 30, "all to be in flight")
    begin = time.monotonic()
    assert s.stop(sig) == 0
    assert time.monotonic() - begin < 10
    for sock in sockets:
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
        sock.close()


def test_stops_while_it_drips(start):
    s = start("--fault", "drip:1h")
    sockets = [s.send_raw(f'{{"story":"{i}"}}') for i in range(5)]
    for sock in sockets:
        assert sock.recv(1)
    assert s.stop() == 0
    for sock in sockets:
        sock.close()


def test_usr1_prints_statistics(start):
    s = start()
    s.run()
    s.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: s.err.endswith("}\n"), "statistics on stderr")
    stats = json.loads(s.err)
    assert stats["runs"] == 1 and "requests" not in stats
    assert s.run()[0] == 200


def test_quiet_by_default(start):
    s = start()
    s.run()
    assert s.stop() == 0
    assert s.err == ""


def test_port_file_and_a_port_that_is_taken(start, tmp_path):
    port_file = tmp_path / "port"
    s = start("--port-file", str(port_file))
    wait_for(port_file.exists, "the port file")
    assert port_file.read_text() == f"{s.port}\n"
    assert not list(tmp_path.glob("port.*"))
    done = subprocess.run([PROGRAM, "--port", str(s.port)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "cannot listen" in done.stderr and done.stdout == ""
    s.stop()
    again = subprocess.Popen([PROGRAM, "--port", str(s.port)], stdout=subprocess.PIPE, text=True)
    try:
        assert again.stdout.readline().endswith(f":{s.port}\n"), "a port just given up can be had again"
    finally:
        again.terminate()
        again.communicate(timeout=30)


WRONG = [
    ["--port", "65536"], ["--port", "x"], ["--port"], ["--nonsense"], ["word"], ["--limiter", "leaky"], ["--limit", "0"],
    ["--window", "0"], ["--window", "25h"], ["--headers", "some"], ["--retry-after", "soon"], ["--retry-after", "5s,time"],
    ["--latency", "normal:3s"], ["--seed", "-1"], ["--fault", "418"], ["--fault", "500:200%"], ["--missing-input", "lax"],
    ["--credits", "-1"], ["--max-connections", "0"], ["--key", ""], ["--key-file", "/nonexistent"], ["--key-file", "/dev/null"],
    ["--workflows", "/nonexistent"], ["--workflows", "/dev/null"], ["--tls-cert", "/dev/null"],
    ["--tls-cert", "/nonexistent", "--tls-key", "/dev/null"], ["--fault", "500"] * 17,
]


@pytest.mark.parametrize("options", WRONG, ids=lambda o: " ".join(o[:2]))
def test_wrong_usage(options):
    done = subprocess.run([PROGRAM, "--port", "0", *options], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and done.stdout == ""
    assert any(option.lstrip("-") in done.stderr for option in options)


def test_a_fault_in_the_workflow_file_is_located(tmp_path):
    path = tmp_path / "w.yaml"
    path.write_text("workflows:\n  wf_a:\n    template: x\n    publish: true\n")
    done = subprocess.run([PROGRAM, "--port", "0", "--workflows", str(path)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and f"{path}: line 4, column 5: " in done.stderr


def test_cannot_listen_there():
    done = subprocess.run([PROGRAM, "--listen", "localhost"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "localhost" in done.stderr


def test_help_and_manual_agree():
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) <= 32 and max(map(len, lines)) <= 110, "fits a screen"
    in_help = set(re.findall(r"--([a-z-]+)", done.stdout)) | {"help", "version"}
    manual = (ROOT / "man" / "flowspool-sandbox.1").read_text()
    assert in_help == set(re.findall(r"^\.It Fl -([a-z-]+)", manual, re.M))
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=30)
    assert re.fullmatch(r"flowspool-sandbox \d+\.\d+\.\d+\n", version.stdout)


def test_same_seed_same_night(start):
    def statuses():
        s = start("--limiter", "none", "--seed", "11", "--fault", "500:40%")
        return [s.run()[0] for _ in range(40)]

    first = statuses()
    assert set(first) == {200, 500} and statuses() == first


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
