"""HTTP/2: requests share a connection, and what becomes of them when it dies. One POST an attempt here as well: libcurl sends
streams again by itself that the server refused or that a dying connection left without an answer."""

import pathlib
import signal
import threading

import pytest

from conftest import wait_for
from http2_server import Http2Server, make_certificate, success

COUNT = 12
HOLD = "retry: {on_ambiguous: hold}\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("h2"))


@pytest.fixture
def http2(certificate):
    """http2(serve) starts a server; .config makes the daemon trust it."""
    started = []

    def start(serve):
        server = Http2Server(*certificate, serve)
        server.config = f"ca_file: {certificate[0]}\n"
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


def when_all_are_there(act, count=COUNT):
    """Serves nobody until `count` requests are whole on one connection; then act(connection, requests)."""

    def serve(connection, request):
        if len(connection.whole) == count:
            act(connection, connection.whole)

    return serve


def drop(spool, count=COUNT):
    for i in range(count):
        spool.drop(f"j{i}.yaml", inputs={"n": str(i)})
    return sorted(f'{{"n":"{i}"}}' for i in range(count))


def test_requests_share_a_connection(spool, http2, once):
    """None waits for another: the server answers only when it has them all."""
    server = http2(when_all_are_there(lambda c, requests: [c.reply(r, success()) for r in reversed(requests)]))
    bodies = drop(spool)
    assert once(server.url, "--max-concurrency", COUNT, config=server.config)[0] == 0
    assert server.protocols == ["h2"]
    assert sorted(server.bodies) == bodies


def test_the_connection_is_kept(spool, http2, once):
    server = http2(lambda c, request: c.reply(request, success()))
    bodies = drop(spool, 30)
    assert once(server.url, "--max-concurrency", 3, config=server.config)[0] == 0
    assert server.protocols == ["h2"]
    assert sorted(server.bodies) == bodies


def dies(connection, _):
    connection.close()


def resets(connection, _):
    connection.reset()


def refuses_streams(connection, requests):
    for request in requests:
        connection.refuse(request)


def goes_away(connection, _):
    connection.go_away(0)
    connection.close()


def says_half(connection, requests):
    for request in requests:
        connection.reply(request, success()[:-1], end=False)
    connection.reset()


@pytest.mark.parametrize("act", [dies, resets, refuses_streams, goes_away, says_half], ids=lambda f: f.__name__)
def test_one_post_an_attempt(spool, http2, once, act):
    """Whatever HTTP/2 allows the library to send again: to the job it was sent, and may have been charged."""
    server = http2(when_all_are_there(act))
    bodies = drop(spool)
    assert once(server.url, "--max-concurrency", COUNT, config=server.config + HOLD)[0] == 1
    assert sorted(server.bodies) == bodies, "each exactly once"
    assert server.requests == COUNT
    for i in range(COUNT):
        assert spool.error(f"j{i}")["error"]["code"] == "ambiguous"


def test_after_a_death_each_request_has_a_connection_of_its_own(spool, http2, once):
    """Up to a hundred requests are ambiguous at once when a shared connection dies: that happens once."""
    server = http2(when_all_are_there(dies))
    bodies = drop(spool)
    assert once(server.url, "--max-concurrency", COUNT, config=server.config + "retry: {base: 1ms}\n")[0] == 0
    assert server.protocols[0] == "h2"
    assert set(server.protocols[1:]) == {"http/1.1"}
    assert sorted(server.bodies) == sorted(bodies * 2)
    assert all(spool.result(f"j{i}")["ambiguous"] == 1 for i in range(COUNT))


@pytest.mark.parametrize("announced", [True, False], ids=["length", "end of stream"])
@pytest.mark.parametrize("end", ["finish", "reset"])
def test_replies_and_the_end_at_once(spool, http2, daemon, end, announced):
    """All of it is there before the daemon looks. What arrived whole is kept, what did not is ambiguous, and nothing is sent
    again. A reset may cost whole replies too: libcurl 7.88 writes to the connection, and fails, before it hands them over."""
    there, go, gone = threading.Event(), threading.Event(), threading.Event()

    def act(connection, requests):
        there.set()
        go.wait(60)
        for request in requests[:-1]:
            connection.reply(request, success(15000), announced=announced)
        connection.reply(requests[-1], success()[:-1], end=False)
        if end == "finish":
            gone.set()
        getattr(connection, end)()
        gone.set()

    server = http2(when_all_are_there(act, 4))
    bodies = drop(spool, 4)
    d = daemon(server.url, "--once", "--max-concurrency", 4, config=server.config + HOLD)
    wait_for(there.is_set, "four requests")
    d.send(signal.SIGSTOP)
    try:
        wait_for(lambda: stopped(d.process.pid), "the daemon to stand still")
        go.set()
        wait_for(gone.is_set, "the replies and the end")
    finally:
        d.send(signal.SIGCONT)
    assert d.wait() == 1
    assert sorted(server.bodies) == bodies
    results = [r for r in map(spool.result, ("j0", "j1", "j2", "j3")) if r]
    errors = [e for e in map(spool.error, ("j0", "j1", "j2", "j3")) if e]
    assert len(results) + len(errors) == 4
    assert len(results) <= 3 if end == "reset" else len(results) == 3
    assert all(r["result"] == "x" * 15000 for r in results)
    assert all(e["error"]["code"] == "ambiguous" for e in errors)


def stopped(pid):
    """Every thread of it."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)
